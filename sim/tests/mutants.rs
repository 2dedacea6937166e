//! Deliberate bugs: each has its place in the product, and with feature `mutants` each is caught within its seeds.
#![expect(clippy::disallowed_methods, reason = "the sources are read to find the places")]

use std::collections::BTreeSet;
use std::path::Path;

use sim::mutants::LANE_1;

/// Packages that hold deliberate bugs.
const SOURCES: [&str; 2] = ["../sierradb/core/src", "../io/src/os"];

/// Names in `mutant!(…, name)` and `mutant_flag!(…, name)` below `dir`.
fn sites(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).expect("sources lie beside this package") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            sites(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("sources are text");
            let calls = ["mutant!(", "mutant_flag!("].map(|call| text.split(call).skip(1));
            for arguments in calls.into_iter().flatten() {
                let name = arguments.split(')').next().and_then(|it| it.split_once(", "));
                found.extend(name.map(|(_, name)| name.to_owned()));
            }
        }
    }
}

#[test]
fn every_mutant_has_a_place_and_every_place_a_mutant() {
    let mut found = BTreeSet::new();
    for dir in SOURCES {
        sites(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut found);
    }
    let listed: BTreeSet<String> = LANE_1.iter().map(|mutant| mutant.name.to_owned()).collect();
    assert_eq!(found, listed);
}

#[cfg(feature = "mutants")]
#[test]
fn every_mutant_is_caught_within_its_seeds() {
    let verdicts = sim::mutants::score(&[], 0, 2);
    let survivors: Vec<&str> =
        verdicts.iter().filter(|it| it.killed.is_none()).map(|it| it.mutant.name).collect();
    assert!(survivors.is_empty(), "nothing noticed {survivors:?}");
}
