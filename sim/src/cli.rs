//! Command line of the simulator.

use std::collections::BTreeSet;
use std::num::ParseIntError;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::campaign::{Campaign, Repeats, Summary, Until, repro_line, run};
use crate::mutants;

/// Runs SierraDB against simulated faults. Exit codes: 0 clean, 1 violation, 2 usage.
#[derive(Debug, Parser)]
#[command(name = "sim", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs seeds and reports what they break.
    Run(RunArgs),
    /// Runs deliberate bugs and tells which of them are caught (needs feature `mutants`).
    Mutants(MutantArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Which lane; 1 is one store on a simulated disk.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=1))]
    lane: u8,
    /// Seeds, as `0..100` or `0x51f0..0x5200`.
    #[arg(long, default_value = "0..200", value_parser = parse_seeds)]
    seeds: (u64, u64),
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run each seed once instead of twice.
    #[arg(long)]
    once: bool,
    /// Stop at the first failure.
    #[arg(long)]
    first: bool,
    /// Deliberate bugs to switch on (needs feature `mutants`).
    #[arg(long = "mutant")]
    mutants: Vec<String>,
    /// Print the coverage marks that were hit, with hits and seeds.
    #[arg(long)]
    marks: bool,
    /// Print the last lines of the trace of each failing seed.
    #[arg(long, default_value_t = 0)]
    trace: usize,
}

#[derive(Debug, clap::Args)]
struct MutantArgs {
    /// Only these.
    #[arg(long = "only")]
    only: Vec<String>,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

impl Cli {
    /// Does what was asked; the process' exit code.
    pub fn run(self) -> u8 {
        quiet_panics();
        match self.command {
            Command::Run(args) => run_seeds(args),
            Command::Mutants(args) => run_mutants(&args),
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is the simulator's report")]
fn run_seeds(args: RunArgs) -> u8 {
    let mutants: BTreeSet<String> = args.mutants.into_iter().collect();
    if !mutants.is_empty() && !cfg!(feature = "mutants") {
        println!("deliberate bugs need `--features mutants`");
        return 2;
    }
    let campaign = Campaign {
        first_seed: args.seeds.0,
        next_seed: args.seeds.1,
        jobs: args.jobs.max(1),
        repeats: if args.once { Repeats::Once } else { Repeats::Twice },
        until: if args.first { Until::FirstFailure } else { Until::LastSeed },
        mutants,
        trace_lines: args.trace,
    };
    let (summary, took) = timed(|| run(&campaign));
    print_summary(&campaign, args.lane, &summary, took);
    if args.marks {
        for (site, mark) in &summary.marks {
            println!("MARK     {}  {} hits  {} seeds", site.name(), mark.hits, mark.seeds);
        }
    }
    u8::from(!summary.failures.is_empty())
}

#[expect(clippy::print_stdout, reason = "this is the simulator's report")]
fn print_summary(campaign: &Campaign, lane: u8, summary: &Summary, took: Duration) {
    let times = if campaign.repeats == Repeats::Twice { 2 } else { 1 };
    let failed = summary.failures.len();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    println!(
        "run      lane {lane} disk  seeds {:#x}..{:#x} ×{times}  {} ok  {failed} failed  {} acks  {} events  {} cycles ({} torn)  {:.1?}  {} cycles/s",
        campaign.first_seed,
        campaign.next_seed,
        summary.seeds - failed as u64,
        summary.acks,
        summary.events,
        summary.cycles,
        summary.torn,
        took,
        summary.cycles * times * 1_000 / ms,
    );
    for failure in &summary.failures {
        for line in &failure.trace {
            println!("{line}");
        }
        println!("FAIL     seed {:#x}  {}", failure.seed, failure.violation);
        println!("{}", repro_line(failure, &campaign.mutants));
    }
}

#[expect(clippy::print_stdout, reason = "this is the simulator's report")]
fn run_mutants(args: &MutantArgs) -> u8 {
    if !cfg!(feature = "mutants") {
        println!("run it as `cargo run --release --package sim --features mutants -- mutants`");
        return 2;
    }
    let verdicts = mutants::score(&args.only, args.first_seed, args.jobs.max(1));
    let mut survivors = 0;
    for verdict in &verdicts {
        let (name, breaks) = (verdict.mutant.name, verdict.mutant.breaks);
        match &verdict.killed {
            Some((seeds, signature)) => {
                println!("killed   {name:<20} {breaks:<34} after {seeds:>3} seeds by {signature}");
            }
            None => {
                survivors += 1;
                let budget = verdict.mutant.budget_seeds;
                println!("SURVIVED {name:<20} {breaks:<34} {budget} seeds");
            }
        }
    }
    println!("mutants  {} of {} killed", verdicts.len() - survivors, verdicts.len());
    u8::from(survivors > 0)
}

fn parse_seeds(text: &str) -> Result<(u64, u64), String> {
    let (first, next) = text.split_once("..").ok_or("two seeds with `..` between them")?;
    let seed = |text: &str| parse_seed(text).map_err(|error| format!("{text:?}: {error}"));
    Ok((seed(first)?, seed(next)?))
}

/// A seed as decimal or `0x` hexadecimal number.
///
/// # Errors
/// If it is neither.
pub fn parse_seed(text: &str) -> Result<u64, ParseIntError> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

/// Panics of the simulated store are violations and reported as such.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "throughput of the simulator itself is measured on the machine's clock"
)]
fn timed<T>(body: impl FnOnce() -> T) -> (T, Duration) {
    let begun = std::time::Instant::now();
    let value = body();
    (value, begun.elapsed())
}
