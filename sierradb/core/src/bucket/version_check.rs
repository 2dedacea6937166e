//! Expected against current stream version, and when a "no" may be said.
//!
//! A refusal must not reveal an entry that may still vanish. So a "no" that already follows from what is committed
//! is said at once, with the committed version; one that rests on entries in flight is held until they are committed.

use sierradb_protocol::{CurrentVersion, ExpectedVersion};

/// A stream as an append finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Next version by committed entries alone.
    pub(crate) committed_next: u64,
    /// Next version with entries in flight counted in.
    pub(crate) next: u64,
    /// The last entry in flight that changed the stream, if any.
    pub(crate) in_flight: Option<u64>,
}

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The expectation is met.
    Met,
    /// It is not, and that is final.
    Refused { current: CurrentVersion },
    /// It is not, once entry `index` is committed.
    Held { current: CurrentVersion, index: u64 },
}

/// Judges one expectation.
pub(crate) fn judge(expected: ExpectedVersion, standing: Standing) -> Judgement {
    let current = current(standing.next);
    if expected.is_met_by(current) {
        return Judgement::Met;
    }
    match standing.in_flight {
        None => Judgement::Refused { current },
        Some(_) if is_hopeless(expected, standing.committed_next) => {
            Judgement::Refused { current: self::current(standing.committed_next) }
        }
        Some(index) => Judgement::Held { current, index },
    }
}

/// The version of the last event, for answers.
pub(crate) fn current(next_version: u64) -> CurrentVersion {
    next_version.checked_sub(1).map_or(CurrentVersion::Empty, CurrentVersion::Current)
}

/// Whether no further event can make `expected` true. Versions only grow.
fn is_hopeless(expected: ExpectedVersion, committed_next: u64) -> bool {
    match expected {
        ExpectedVersion::Any | ExpectedVersion::Exists => false,
        ExpectedVersion::Empty => committed_next > 0,
        ExpectedVersion::Exact(version) => committed_next > version.saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(committed_next: u64, next: u64) -> Standing {
        Standing { committed_next, next, in_flight: (next > committed_next).then_some(77) }
    }

    #[test]
    fn a_no_that_rests_on_entries_in_flight_is_held() {
        let held = judge(ExpectedVersion::Exact(2), standing(3, 5));
        assert_eq!(held, Judgement::Held { current: CurrentVersion::Current(4), index: 77 });
        let held = judge(ExpectedVersion::Empty, standing(0, 1));
        assert_eq!(held, Judgement::Held { current: CurrentVersion::Current(0), index: 77 });
    }

    #[test]
    fn a_no_that_is_committed_is_said_at_once_with_the_committed_version() {
        let refused = judge(ExpectedVersion::Exact(1), standing(3, 5));
        assert_eq!(refused, Judgement::Refused { current: CurrentVersion::Current(2) });
        let refused = judge(ExpectedVersion::Exists, standing(0, 0));
        assert_eq!(refused, Judgement::Refused { current: CurrentVersion::Empty });
        let refused = judge(ExpectedVersion::Exact(9), standing(3, 3));
        assert_eq!(refused, Judgement::Refused { current: CurrentVersion::Current(2) });
    }

    #[test]
    fn a_yes_may_rest_on_entries_in_flight() {
        for expected in [ExpectedVersion::Any, ExpectedVersion::Exists, ExpectedVersion::Exact(4)] {
            assert_eq!(judge(expected, standing(0, 5)), Judgement::Met);
        }
    }
}
