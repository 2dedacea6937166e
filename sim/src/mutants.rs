//! Deliberate bugs: does the simulation catch them, and how soon?

use std::collections::BTreeSet;

use crate::campaign::{Campaign, Repeats, Until, run};

/// A deliberate bug in the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutant {
    /// Its name in `mutant!(io, name)`.
    pub name: &'static str,
    /// What it breaks.
    pub breaks: &'static str,
    /// Seeds within which it must be caught.
    pub budget_seeds: u64,
}

const fn mutant(name: &'static str, breaks: &'static str, budget_seeds: u64) -> Mutant {
    Mutant { name, breaks, budget_seeds }
}

/// The bugs that lane 1 must catch.
pub const LANE_1: [Mutant; 18] = [
    mutant("skip_sync", "no sync before the answer", 5),
    mutant("ack_before_sync", "answer, then sync", 5),
    mutant("sync_begun_early", "synced, then written, then answered", 5),
    mutant("sync_error_ignored", "error logged, answer sent", 20),
    mutant("retry_sync", "sync again after EIO", 50),
    mutant("skip_dir_sync", "name of a new segment not synced", 60),
    mutant("no_body_crc", "body unchecked", 5),
    mutant("no_header_crc", "header unchecked", 50),
    mutant("cut_any_bad_tail", "corruption taken for torn", 50),
    mutant("full_as_success", "NoSpace ignored", 50),
    mutant("full_stops_reads", "reads refused too", 50),
    mutant("seal_before_sync", "sealed with an unsynced end", 100),
    mutant("checkpoint_ignored", "a start scans everything", 20),
    mutant("stale_checkpoint", "used past a cut tail", 100),
    mutant("index_before_data", "visible before it is synced", 100),
    mutant("no_index_crc", "damaged page used", 100),
    mutant("filter_miss", "one key in a thousand absent", 50),
    mutant("half_transaction", "readers see a part", 20),
];

/// What became of one mutant.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Which one.
    pub mutant: Mutant,
    /// Seeds until it was caught, and the signature; `None` if it survived its budget.
    pub killed: Option<(u64, String)>,
}

/// Runs each mutant (all of them, or those named) until it is caught or its budget is spent.
pub fn score(only: &[String], first_seed: u64, jobs: usize) -> Vec<Verdict> {
    let is_wanted =
        |mutant: &&Mutant| only.is_empty() || only.iter().any(|name| name == mutant.name);
    LANE_1.iter().filter(is_wanted).map(|mutant| judge(*mutant, first_seed, jobs)).collect()
}

fn judge(mutant: Mutant, first_seed: u64, jobs: usize) -> Verdict {
    let campaign = Campaign {
        first_seed,
        next_seed: first_seed + mutant.budget_seeds,
        jobs,
        repeats: Repeats::Once,
        until: Until::FirstFailure,
        mutants: BTreeSet::from([mutant.name.to_owned()]),
        trace_lines: 0,
    };
    let summary = run(&campaign);
    let first = summary.failures.into_iter().next();
    let killed = first.map(|failure| (failure.seed - first_seed + 1, failure.violation.signature));
    Verdict { mutant, killed }
}
