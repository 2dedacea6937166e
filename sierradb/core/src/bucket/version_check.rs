//! Expected against current stream version.

use sierradb_protocol::{CurrentVersion, ExpectedVersion};

/// Whether a stream whose next version is `next_version` (0: it has no events) meets `expected`.
pub(crate) fn is_met(expected: ExpectedVersion, next_version: u64) -> bool {
    match expected {
        ExpectedVersion::Any => true,
        ExpectedVersion::Exists => next_version > 0,
        ExpectedVersion::Empty => next_version == 0,
        ExpectedVersion::Exact(version) => version.checked_add(1) == Some(next_version),
    }
}

/// The version of the last event, for answers.
pub(crate) fn current(next_version: u64) -> CurrentVersion {
    match next_version.checked_sub(1) {
        Some(version) => CurrentVersion::Current(version),
        None => CurrentVersion::Empty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expectation_is_judged_at_its_edges() {
        use ExpectedVersion::{Any, Empty, Exact, Exists};
        let cases = [
            (Any, 0, true),
            (Any, 9, true),
            (Exists, 0, false),
            (Exists, 1, true),
            (Empty, 0, true),
            (Empty, 1, false),
            (Exact(0), 0, false),
            (Exact(0), 1, true),
            (Exact(0), 2, false),
            (Exact(u64::MAX), 0, false),
            (Exact(u64::MAX), u64::MAX, false),
        ];
        for (expected, next_version, met) in cases {
            assert_eq!(is_met(expected, next_version), met, "{expected:?} against {next_version}");
        }
    }
}
