//! Many seeds: each twice, over several threads, with one line per failure.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sierradb_io::{Site, sim};

use crate::config::DiskSpec;
use crate::lane::disk::{self, Report};
use crate::violation::Violation;

/// What to run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// First seed.
    pub first_seed: u64,
    /// One above the last seed.
    pub next_seed: u64,
    /// Threads.
    pub jobs: usize,
    /// How often each seed runs.
    pub repeats: Repeats,
    /// Whether the first failure ends it.
    pub until: Until,
    /// Deliberate bugs switched on.
    pub mutants: BTreeSet<String>,
    /// Lines of the trace, disk operations included, to keep of a failing seed.
    pub trace_lines: usize,
}

/// How often each seed runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Once.
    Once,
    /// Twice; the traces must be equal.
    Twice,
}

/// When a campaign ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After its last seed.
    LastSeed,
    /// At the first failure.
    FirstFailure,
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What it broke.
    pub violation: Violation,
    /// The end of its trace, if asked for.
    pub trace: Vec<String>,
}

/// What a campaign found.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Seeds that ran.
    pub seeds: u64,
    /// Boots that ended.
    pub cycles: u64,
    /// Answered appends.
    pub acks: u64,
    /// Events durable in the end.
    pub events: u64,
    /// Starts that met a torn tail.
    pub torn: u64,
    /// Per coverage mark its hits, and the seeds that hit it.
    pub marks: BTreeMap<Site, MarkHits>,
    /// Failures, by seed.
    pub failures: Vec<Failure>,
}

/// How often a coverage mark was hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MarkHits {
    /// In all.
    pub hits: u64,
    /// Seeds with at least one hit.
    pub seeds: u64,
}

/// One seed's outcome and trace hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it did, or what it broke.
    pub result: Result<Report, Violation>,
    /// xxh3-128 over its trace; 0 after a panic.
    pub trace_hash: u128,
    /// The end of its trace, if asked for.
    pub trace: Vec<String>,
}

/// Runs one seed of lane 1 once.
pub fn run_seed(seed: u64, mutants: &BTreeSet<String>, trace_lines: usize) -> Outcome {
    let spec = DiskSpec::new(seed, mutants);
    let mut machine = spec.machine.clone();
    if trace_lines > 0 {
        (machine.trace, machine.trace_lines) = (sim::TraceLevel::Disk, trace_lines);
    }
    let spec = &spec;
    let body = move |host: sim::SimHost| async move {
        let result = disk::run(host.clone(), spec).await;
        let trace = host.trace_lines().iter().map(trace_text).collect();
        Outcome { result, trace_hash: host.trace_hash(), trace }
    };
    match catch_unwind(AssertUnwindSafe(|| sim::run_with(seed, machine, body))) {
        Ok(outcome) => outcome,
        Err(payload) => {
            let violation = Violation::new("panic", "core", panic_text(payload.as_ref()));
            Outcome { result: Err(violation), trace_hash: 0, trace: Vec::new() }
        }
    }
}

/// Runs one seed as often as asked for.
pub fn run_checked(seed: u64, campaign: &Campaign) -> Outcome {
    let first = run_seed(seed, &campaign.mutants, campaign.trace_lines);
    if campaign.repeats == Repeats::Twice {
        let second = run_seed(seed, &campaign.mutants, campaign.trace_lines);
        if first != second {
            let detail = format!("first {first:x?}, then {second:x?}");
            let result = Err(Violation::new("determinism", "trace", detail));
            return Outcome { result, trace_hash: 0, trace: Vec::new() };
        }
    }
    first
}

/// Runs all seeds of a campaign.
pub fn run(campaign: &Campaign) -> Summary {
    let next = AtomicU64::new(campaign.first_seed);
    let is_over = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= campaign.next_seed || is_over.load(Ordering::Relaxed) {
                return;
            }
            let outcome = run_checked(seed, campaign);
            let mut summary = summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            summary.seeds += 1;
            match outcome.result {
                Ok(report) => summary.add(&report),
                Err(violation) => {
                    summary.failures.push(Failure { seed, violation, trace: outcome.trace });
                    is_over.store(campaign.until == Until::FirstFailure, Ordering::Relaxed);
                }
            }
        }
    };
    on_threads(campaign.jobs, &worker);
    let mut summary = summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    summary.failures.sort_by_key(|failure| failure.seed);
    summary
}

impl Summary {
    fn add(&mut self, report: &Report) {
        self.cycles += report.cycles;
        self.acks += report.acks;
        self.events += report.events;
        self.torn += report.torn;
        for (site, hits) in &report.marks {
            let mark = self.marks.entry(*site).or_default();
            mark.hits += hits;
            mark.seeds += 1;
        }
    }
}

/// The line that repeats a failure.
pub fn repro_line(failure: &Failure, mutants: &BTreeSet<String>) -> String {
    let mutant: String = mutants.iter().map(|name| format!(" --mutant {name}")).collect();
    let features = if mutants.is_empty() { "" } else { " --features mutants" };
    format!(
        "REPRO: cargo run --release --package sim{features} -- run --lane 1 --seeds {seed:#x}..{end:#x}{mutant}   # {signature}",
        seed = failure.seed,
        end = failure.seed + 1,
        signature = failure.violation.signature
    )
}

#[expect(clippy::disallowed_methods, reason = "runs share nothing; each is single-threaded inside")]
fn on_threads(jobs: usize, worker: &(dyn Fn() + Sync)) {
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(worker);
        }
        worker();
    });
}

fn trace_text(line: &sim::TraceLine) -> String {
    format!("{:>6} {:>10}us {} {}", line.id, line.time_us, line.kind, line.fields)
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}
