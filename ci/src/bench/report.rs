//! The results as Markdown.

use super::histogram::Histogram;
use super::request::{PAYLOAD_BYTES, STREAMS};
use super::run::{Compared, REST, Results, median_latency, median_rate};
use std::time::Duration;

/// The whole report.
pub(crate) fn markdown(results: &Results) -> String {
    let [ours, theirs] = results.names;
    let mut text = format!("# {ours} beside {theirs} Streams\n\n{}\n\n", machine());
    let rounds = results.compared.first().map_or(0, |compared| compared.ours.len());
    let explain = format!(
        "{theirs} with AOF and `appendfsync always`, {ours} as it is: both answer an append after its sync. \
         Payload {PAYLOAD_BYTES} B, {STREAMS} streams, one load generator on the same cores, medians of {rounds} rounds in turn, \
         both at rest for {} s before each.\n\n",
        REST.as_secs()
    );
    text.push_str(&explain);
    text.push_str(&format!("| | {ours} /s | {theirs} /s | ratio | rounds | floor | aim |\n"));
    text.push_str("|---|--:|--:|--:|---|--:|--:|\n");
    for compared in &results.compared {
        text.push_str(&rate_row(compared));
    }
    let heads = format!("{ours} p50 | p99 | {theirs} p50 | p99");
    text.push_str(&format!("\n| Latency | {heads} |\n|---|--:|--:|--:|--:|\n"));
    for compared in &results.compared {
        text.push_str(&latency_row(compared));
    }
    text.push_str(&facts(results));
    text
}

fn rate_row(compared: &Compared) -> String {
    let (ours, theirs) = (median_rate(&compared.ours), median_rate(&compared.theirs));
    let ratios =
        compared.ours.iter().zip(&compared.theirs).map(|(a, b)| a.rate() / b.rate().max(1e-9));
    let ratios: Vec<String> = ratios.map(|ratio| format!("{ratio:.2}")).collect();
    let row = compared.row;
    let below = if compared.ratio() < row.floor { " (below)" } else { "" };
    format!(
        "| {} | {ours:.0} | {theirs:.0} | **{:.2}** | {} | {:.1}{below} | {:.1} |\n",
        row.name,
        compared.ratio(),
        ratios.join(" "),
        row.floor,
        row.aim
    )
}

fn latency_row(compared: &Compared) -> String {
    let cell = |rounds, of: fn(&Histogram) -> Duration| micros(median_latency(rounds, of));
    format!(
        "| {} | {} | {} | {} | {} |\n",
        compared.row.name,
        cell(&compared.ours, Histogram::p50),
        cell(&compared.ours, Histogram::p99),
        cell(&compared.theirs, Histogram::p50),
        cell(&compared.theirs, Histogram::p99)
    )
}

fn facts(results: &Results) -> String {
    let [ours, theirs] = results.names;
    let disk = &results.disk;
    let mut text = String::from("\n| | |\n|---|---|\n");
    let mut row = |name: &str, value: String| text.push_str(&format!("| {name} | {value} |\n"));
    let p50 = disk.p50();
    let rate = 1.0 / p50.as_secs_f64().max(1e-9);
    row(
        "the disk alone: write 400 B and fdatasync",
        format!("p50 {}, p99 {}, {rate:.0}/s", micros(p50), micros(disk.p99())),
    );
    if let Some(compared) = results.compared.first() {
        let latency = median_latency(&compared.ours, Histogram::p50);
        row("one client above the disk, p50", micros(latency.saturating_sub(p50)));
    }
    for (name, (idle, busy)) in [ours, theirs].iter().zip(results.resident) {
        row(
            &format!("memory of {name}"),
            format!("{} idle, {} after all rows", mib(idle), mib(busy)),
        );
    }
    if let Some((events, [a, b])) = results.memory {
        row(
            &format!("memory per event at {events} events"),
            format!("{ours} {a} B, {theirs} {b} B"),
        );
    }
    if let Some(startup) = &results.startup {
        let value = format!(
            "{} after a clean stop, {} after kill -9",
            micros(startup.after_stop),
            micros(startup.after_kill)
        );
        row(&format!("start of {ours} with {}", mib(startup.bytes)), value);
    }
    text
}

/// One line about the machine, so that numbers are never read without it.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let value = |key: &str| {
        let line = info.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let name = value("model name");
    // Three processes share the cores here; much more than 3 means that others worked as well.
    format!(
        "Machine: {name}, {cores} cores, Linux {}, load average {load} at the end.",
        kernel.trim()
    )
}

/// A duration in the unit that reads best.
pub(crate) fn micros(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        m if m < 1_000.0 => format!("{m:.0} µs"),
        m if m < 1_000_000.0 => format!("{:.1} ms", m / 1e3),
        m => format!("{:.1} s", m / 1e6),
    }
}

fn mib(bytes: u64) -> String {
    let kib = u32::try_from(bytes / 1024).map_or(f64::from(u32::MAX), f64::from);
    format!("{:.1} MiB", kib / 1024.0)
}
