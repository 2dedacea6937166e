//! Fixed seeds of lane 1, each twice: no promise is broken, and a seed determines its run.
//!
//! `SIM_SEED=0x51f3` runs one seed, `SIM_SEEDS=500` sets how many; anything else in them is an error.
#![expect(clippy::disallowed_methods, reason = "the two variables choose seeds, nothing else")]

use std::collections::BTreeSet;

use sim::campaign::{Campaign, Repeats, Summary, Until, repro_line, run};
use sim::cli::parse_seed;

/// Seeds of every test run; `cargo ci sim` runs more, in release.
const SEEDS: u64 = 60;

/// Seeds that fail without a fix, each with its bug, found again after every change of sizes or workload. Every test
/// run runs them. Bugs that the present sizes meet too rarely have unit tests alone: `creation.rs` of core.
const FIXED: [(u64, &str); 8] = [
    (0xb1, "appends went on after the sync of a segment's file had failed in the background"),
    (0x1e1, "the same, late in a run"),
    (0xe2, "the same, in one of several buckets"),
    (0x238, "a failed sync of a segment's file was made again"),
    (0x72, "the same, by a task that did not hear of it in time"),
    (0x118, "the same, in a later segment"),
    (0x4b0, "an index was rebuilt while a read looked elsewhere, which failed all the same"),
    (0x100f, "an old index file made a start believe the page cache after a failed sync"),
];

fn seeds() -> (u64, u64) {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = parse_seed(&seed).expect("SIM_SEED is a number");
        return (seed, seed + 1);
    }
    let count =
        std::env::var("SIM_SEEDS").map(|count| parse_seed(&count).expect("SIM_SEEDS is a number"));
    (0, count.unwrap_or(SEEDS))
}

fn campaign(first_seed: u64, next_seed: u64) -> Campaign {
    Campaign {
        first_seed,
        next_seed,
        jobs: 2,
        repeats: Repeats::Twice,
        until: Until::LastSeed,
        mutants: BTreeSet::new(),
        trace_lines: 0,
    }
}

fn failures(summary: &Summary) -> Vec<String> {
    let line = |failure| repro_line(failure, &BTreeSet::new());
    summary.failures.iter().map(|it| format!("{}\n{}", it.violation, line(it))).collect()
}

#[test]
fn fixed_bugs_stay_fixed() {
    for (seed, bug) in FIXED {
        let lines = failures(&run(&campaign(seed, seed + 1)));
        assert!(lines.is_empty(), "{bug}: {}", lines.join("\n"));
    }
}

#[test]
fn crashes_and_faults_break_no_promise() {
    let (first_seed, next_seed) = seeds();
    let summary = run(&campaign(first_seed, next_seed));
    let lines = failures(&summary);
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    if next_seed - first_seed >= SEEDS {
        assert!(summary.torn > 60, "too few torn tails to mean anything: {summary:?}");
        assert!(summary.acks > 1_000, "too few appends to mean anything: {summary:?}");
    }
}
