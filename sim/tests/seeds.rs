//! Fixed seeds of lane 1, each twice: no promise is broken, and a seed determines its run.
//!
//! `SIM_SEED=0x51f3` runs one seed, `SIM_SEEDS=500` sets how many; anything else in them is an error.
#![expect(clippy::disallowed_methods, reason = "the two variables choose seeds, nothing else")]

use std::collections::BTreeSet;

use sim::campaign::{Campaign, Repeats, Until, repro_line, run};
use sim::cli::parse_seed;

/// Seeds of every test run; `cargo ci sim` runs more, in release.
const SEEDS: u64 = 60;

fn seeds() -> (u64, u64) {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = parse_seed(&seed).expect("SIM_SEED is a number");
        return (seed, seed + 1);
    }
    let count =
        std::env::var("SIM_SEEDS").map(|count| parse_seed(&count).expect("SIM_SEEDS is a number"));
    (0, count.unwrap_or(SEEDS))
}

#[test]
fn crashes_and_faults_break_no_promise() {
    let (first_seed, next_seed) = seeds();
    let campaign = Campaign {
        first_seed,
        next_seed,
        jobs: 2,
        repeats: Repeats::Twice,
        until: Until::LastSeed,
        mutants: BTreeSet::new(),
        trace_lines: 0,
    };
    let summary = run(&campaign);
    let lines: Vec<String> = summary
        .failures
        .iter()
        .map(|failure| format!("{}\n{}", failure.violation, repro_line(failure, &campaign.mutants)))
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
    if next_seed - first_seed >= SEEDS {
        assert!(summary.torn > 10, "too few torn tails to mean anything: {summary:?}");
        assert!(summary.acks > 1_000, "too few appends to mean anything: {summary:?}");
    }
}
