//! Replays the corpora on stable, and 2,000 inputs derived from each.

use std::path::Path;

use sierradb_fuzz::{Mutator, TARGETS};

const DERIVED_INPUTS: usize = 2000;

/// The files of a corpus, sorted by name so that derived inputs are the same everywhere.
#[expect(clippy::disallowed_methods, reason = "the corpus is a directory of this crate")]
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = std::fs::read_dir(&folder).expect("the corpus exists");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("its files can be read")).collect()
}

#[test]
fn every_file_of_a_corpus_keeps_the_promises() {
    for (name, run) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has a corpus");
        files.iter().for_each(|bytes| run(bytes));
    }
}

#[test]
fn inputs_derived_from_a_corpus_keep_the_promises() {
    for (name, run) in TARGETS {
        let files = corpus(name);
        for seed in (0..).take(DERIVED_INPUTS) {
            let bytes = Mutator::new(seed).input(&files);
            // The seed is enough to see it again.
            let outcome = std::panic::catch_unwind(|| run(&bytes));
            assert!(outcome.is_ok(), "{name}, seed {seed}: {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn derived_inputs_are_many_and_the_same_each_time() {
    let files = corpus("command_parse");
    let inputs = |seeds: std::ops::Range<u64>| -> std::collections::BTreeSet<Vec<u8>> {
        seeds.map(|seed| Mutator::new(seed).input(&files)).collect()
    };
    assert_eq!(inputs(0..100), inputs(0..100));
    assert!(inputs(0..100).len() > 80, "{}", inputs(0..100).len());
}
