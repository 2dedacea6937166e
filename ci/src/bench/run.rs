//! The order of a run.

use super::disk;
use super::histogram::Histogram;
use super::load::{self, Load, Measured, Until};
use super::request::{Kind, PAYLOAD_BYTES, Question, Requests, STREAMS};
use super::rows::{EVENTS_PER_READ_STREAM, ROWS, Row};
use super::server::{End, Server};
use super::{plot, report};
use crate::error::Failure;
use crate::shell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Payload of the events that make a directory large: few events, many bytes.
const STARTUP_PAYLOAD_BYTES: usize = 4_096;
/// Clients and pipeline of loads whose speed does not matter.
const FILL_LOAD: (usize, usize) = (16, 64);
/// The disk is looked at before the rows and between the first of them: it is slower at some times than at others.
const DISK_PROBE: Duration = Duration::from_secs(1);
const DISK_PROBES_BETWEEN: usize = 3;
/// Both servers rest before each round, so that no round pays for what the one before left to do in the background:
/// space made ready for the log, memory given back.
pub(crate) const REST: Duration = Duration::from_secs(3);
/// What the reading rows find.
const READ_FILL: Fill = Fill {
    prefix: "read-",
    payload_bytes: PAYLOAD_BYTES,
    events: STREAMS as u64 * EVENTS_PER_READ_STREAM,
};

/// How thorough a run is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Rounds per row and server; the table shows their median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that a round counts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Events for the measurement of memory; 0 leaves it out
    #[arg(long, default_value_t = 1_000_000)]
    memory_events: u64,
    /// Gigabytes of data for the measurement of start-up; 0 leaves it out
    #[arg(long, default_value_t = 0.25)]
    startup_gb: f64,
    /// Measure this server instead of building one, for example that of another commit
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Where bench.md and bench.svg go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Fail where a ratio lies below its floor
    #[arg(long)]
    enforce: bool,
    /// Only rows whose name contains this, for example `pipeline`
    #[arg(long)]
    only: Option<String>,
    /// Drive Redis on both sides: how far from 1.0 chance alone gets on this machine
    #[arg(long)]
    noise: bool,
}

/// The rounds of one row.
pub(crate) struct Compared {
    pub(crate) row: &'static Row,
    pub(crate) ours: Vec<Measured>,
    pub(crate) theirs: Vec<Measured>,
}

/// Everything a run found out.
pub(crate) struct Results {
    pub(crate) compared: Vec<Compared>,
    pub(crate) disk: Histogram,
    /// Bytes in use: before the first request, after all rows.
    pub(crate) resident: [(u64, u64); 2],
    /// Bytes per event after so many events.
    pub(crate) memory: Option<(u64, [u64; 2])>,
    pub(crate) startup: Option<Startup>,
    pub(crate) names: [&'static str; 2],
}

/// Time to start with that much data.
pub(crate) struct Startup {
    pub(crate) bytes: u64,
    pub(crate) after_stop: Duration,
    pub(crate) after_kill: Duration,
}

/// Measures and writes the report.
pub(crate) fn run(root: &Path, options: &Options) -> Result<(), Failure> {
    if options.binary.is_none() && !options.noise {
        shell::step(root, "cargo", &["build", "--release", "--bin", "sierradb"])?;
    }
    let bench = Bench::new(root, options)?;
    let results = bench.measure()?;
    let out = root.join(&options.out);
    std::fs::create_dir_all(&out).map_err(Failure::file(&out))?;
    let markdown = report::markdown(&results);
    println!("{markdown}");
    for (name, text) in [("bench.md", &markdown), ("bench.svg", &plot::svg(&results))] {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(Failure::file(&path))?;
        println!("wrote {}", path.display());
    }
    let low =
        results.compared.iter().filter(|compared| compared.ratio() < compared.row.floor).count();
    if options.enforce && low > 0 { Err(Failure::Floors { low }) } else { Ok(()) }
}

impl Compared {
    /// Our median rate over theirs.
    pub(crate) fn ratio(&self) -> f64 {
        median_rate(&self.ours) / median_rate(&self.theirs).max(1e-9)
    }
}

/// The median of the rounds' rates.
pub(crate) fn median_rate(rounds: &[Measured]) -> f64 {
    median(rounds, Measured::rate, f64::total_cmp)
}

/// The median of the rounds' percentiles.
pub(crate) fn median_latency(rounds: &[Measured], of: fn(&Histogram) -> Duration) -> Duration {
    median(rounds, |measured| of(&measured.latency), Duration::cmp)
}

fn median<T, V: Copy + Default>(
    items: &[T],
    value: impl Fn(&T) -> V,
    order: impl Fn(&V, &V) -> std::cmp::Ordering,
) -> V {
    let mut values: Vec<V> = items.iter().map(value).collect();
    values.sort_by(order);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

struct Bench<'a> {
    options: &'a Options,
    dir: PathBuf,
    sierradb: PathBuf,
    /// What stands in SierraDB's place: itself, or Redis if only noise is wanted.
    ours: Kind,
}

impl<'a> Bench<'a> {
    fn new(root: &Path, options: &'a Options) -> Result<Self, Failure> {
        let dir = root.join("target/bench/data");
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(Failure::file(&dir))?;
        }
        std::fs::create_dir_all(&dir).map_err(Failure::file(&dir))?;
        let ours = if options.noise { Kind::Redis } else { Kind::SierraDb };
        let built = || root.join("target/release/sierradb");
        let mut sierradb = options.binary.clone().unwrap_or_else(built);
        if !options.noise {
            // The server runs in another folder than we do.
            sierradb = std::fs::canonicalize(&sierradb).map_err(Failure::file(&sierradb))?;
        }
        Ok(Self { options, dir, sierradb, ours })
    }

    fn measure(&self) -> Result<Results, Failure> {
        let mut disk = disk::sync_latency(&self.dir, DISK_PROBE)?;
        let ours = self.start(self.ours, "ours")?;
        let theirs = self.start(Kind::Redis, "theirs")?;
        let idle = (ours.resident_bytes()?, theirs.resident_bytes()?);
        fill(&ours, READ_FILL)?;
        fill(&theirs, READ_FILL)?;
        let mut compared = Vec::new();
        let only = self.options.only.as_deref().unwrap_or_default();
        for row in ROWS.iter().filter(|row| row.name.contains(only)) {
            compared.push(self.compare(row, &ours, &theirs)?);
            if compared.len() <= DISK_PROBES_BETWEEN {
                disk.add(&disk::sync_latency(&self.dir, DISK_PROBE)?);
            }
        }
        let resident = [(idle.0, ours.resident_bytes()?), (idle.1, theirs.resident_bytes()?)];
        ours.stop(End::Kill)?;
        theirs.stop(End::Kill)?;
        let names = [if self.options.noise { "Redis (again)" } else { "SierraDB" }, "Redis"];
        let (memory, startup) = (self.memory()?, self.startup()?);
        std::fs::remove_dir_all(&self.dir).map_err(Failure::file(&self.dir))?;
        Ok(Results { compared, disk, resident, memory, startup, names })
    }

    /// Rounds in turn; every other round begins with the other server.
    fn compare(
        &self,
        row: &'static Row,
        ours: &Server,
        theirs: &Server,
    ) -> Result<Compared, Failure> {
        let measured = Duration::from_secs_f64(self.options.seconds.max(0.01));
        let until = Until::Time { warm_up: measured / 6, measured };
        let load = Load { clients: row.clients, pipeline: row.pipeline, until };
        let mut compared = Compared { row, ours: Vec::new(), theirs: Vec::new() };
        for round in 0..self.options.rounds.max(1) {
            for first in [true, false] {
                let ours_now = first == (round % 2 == 0);
                let server = if ours_now { ours } else { theirs };
                let mut requests = Requests::new(server.kind, row.question, row.prefix());
                std::thread::sleep(REST);
                let before = server.processor_time()?;
                let result = load::run(server.address, load, &mut requests)?;
                let used = server.processor_time()?.saturating_sub(before);
                let each = used.as_secs_f64() * 1e6 / result.all_replies().max(1.0);
                let (name, kind) = (row.name, server.kind);
                println!(
                    "{name:34} {kind:?} {:.0}/s, {each:.1} µs of processor each",
                    result.rate()
                );
                if ours_now { compared.ours.push(result) } else { compared.theirs.push(result) }
            }
        }
        Ok(compared)
    }

    fn memory(&self) -> Result<Option<(u64, [u64; 2])>, Failure> {
        let events = self.options.memory_events;
        if events == 0 {
            return Ok(None);
        }
        let per_event = |kind, folder| {
            let server = self.start(kind, folder)?;
            let before = server.resident_bytes()?;
            let payload_bytes = PAYLOAD_BYTES;
            fill(&server, Fill { prefix: "memory-", payload_bytes, events })?;
            let grown = server.resident_bytes()?.saturating_sub(before);
            server.stop(End::Kill)?;
            Ok(grown / events)
        };
        let ours = per_event(self.ours, "ours-memory")?;
        Ok(Some((events, [ours, per_event(Kind::Redis, "theirs-memory")?])))
    }

    fn startup(&self) -> Result<Option<Startup>, Failure> {
        if self.options.startup_gb <= 0.0 || self.options.noise {
            return Ok(None);
        }
        let bytes = Duration::from_secs_f64(self.options.startup_gb).as_nanos(); // 1 GB = 10^9 B
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let payload_bytes = STARTUP_PAYLOAD_BYTES;
        let events = bytes / u64::try_from(payload_bytes).unwrap_or(u64::MAX);
        let start = || self.start(Kind::SierraDb, "startup");
        let server = start()?;
        fill(&server, Fill { prefix: "large-", payload_bytes, events })?;
        server.stop(End::Polite)?;
        let server = start()?;
        let after_stop = server.started_in;
        // So that the killed server leaves something to recover.
        fill(&server, Fill { prefix: "large-", payload_bytes, events: u64::from(STREAMS) })?;
        server.stop(End::Kill)?;
        let server = start()?;
        let after_kill = server.started_in;
        server.stop(End::Kill)?;
        Ok(Some(Startup { bytes, after_stop, after_kill }))
    }

    fn start(&self, kind: Kind, folder: &str) -> Result<Server, Failure> {
        let binary = match kind {
            Kind::SierraDb => self.sierradb.as_path(),
            Kind::Redis => Path::new("redis-server"),
        };
        Server::start(kind, binary, &self.dir.join(folder))
    }
}

/// Events to append before something is measured.
#[derive(Debug, Clone, Copy)]
struct Fill {
    prefix: &'static str,
    payload_bytes: usize,
    events: u64,
}

/// Appends to the streams in turn.
fn fill(server: &Server, fill: Fill) -> Result<(), Failure> {
    let question = Question::Append { payload_bytes: fill.payload_bytes };
    let mut requests = Requests::new(server.kind, question, fill.prefix);
    let (clients, pipeline) = FILL_LOAD;
    let load = Load { clients, pipeline, until: Until::Requests(fill.events) };
    load::run(server.address, load, &mut requests).map(drop)
}
