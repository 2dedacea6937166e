//! What an append expects of a stream, and what the stream is at.

use std::fmt;

/// The state of a stream an append demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExpectedVersion {
    /// Whatever it is.
    #[default]
    Any,
    /// The stream has at least one event.
    Exists,
    /// The stream has no events.
    Empty,
    /// The stream's last event has exactly this version.
    Exact(u64),
}

/// The state a stream is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CurrentVersion {
    /// No events yet.
    Empty,
    /// The version of the last event; versions start at 0.
    Current(u64),
}

impl ExpectedVersion {
    /// The expectation that the word means: `any`, `exists`, `empty` in any case, or a number.
    pub fn from_word(word: &[u8]) -> Option<Self> {
        if let Some(version) = crate::args::parse_number(word) {
            return Some(Self::Exact(version));
        }
        let named = [Self::Any, Self::Exists, Self::Empty];
        let names: [&[u8]; 3] = [b"any", b"exists", b"empty"];
        let found = names.iter().position(|name| name.eq_ignore_ascii_case(word))?;
        named.get(found).copied()
    }

    /// True if a stream in state `current` meets the expectation.
    pub const fn is_met_by(self, current: CurrentVersion) -> bool {
        match (self, current) {
            (Self::Any, _)
            | (Self::Exists, CurrentVersion::Current(_))
            | (Self::Empty, CurrentVersion::Empty) => true,
            (Self::Exact(expected), CurrentVersion::Current(current)) => expected == current,
            (Self::Exists | Self::Exact(_), CurrentVersion::Empty)
            | (Self::Empty, CurrentVersion::Current(_)) => false,
        }
    }
}

impl CurrentVersion {
    /// The version the next event of the stream gets; `None` if the stream is full at 2^64 events.
    pub const fn next(self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Current(version) => version.checked_add(1),
        }
    }

    /// The version of the last event, if there is one.
    pub const fn last(self) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Current(version) => Some(version),
        }
    }
}

impl From<Option<u64>> for CurrentVersion {
    fn from(last: Option<u64>) -> Self {
        last.map_or(Self::Empty, Self::Current)
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any"),
            Self::Exists => formatter.write_str("exists"),
            Self::Empty => formatter.write_str("empty"),
            Self::Exact(version) => version.fmt(formatter),
        }
    }
}

impl fmt::Display for CurrentVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("empty"),
            Self::Current(version) => version.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expectation_is_met_by_its_states_alone() {
        use CurrentVersion::{Current, Empty};
        let states = [Empty, Current(0), Current(7)];
        let met = |expected: ExpectedVersion| states.map(|state| expected.is_met_by(state));
        assert_eq!(met(ExpectedVersion::Any), [true, true, true]);
        assert_eq!(met(ExpectedVersion::Exists), [false, true, true]);
        assert_eq!(met(ExpectedVersion::Empty), [true, false, false]);
        assert_eq!(met(ExpectedVersion::Exact(0)), [false, true, false]);
        assert_eq!(met(ExpectedVersion::Exact(7)), [false, false, true]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        use ExpectedVersion::{Any, Empty, Exact, Exists};
        for expected in [Any, Exists, Empty, Exact(0), Exact(u64::MAX)] {
            assert_eq!(ExpectedVersion::from_word(expected.to_string().as_bytes()), Some(expected));
        }
        assert_eq!(ExpectedVersion::from_word(b"EXISTS"), Some(Exists));
        assert_eq!(ExpectedVersion::from_word(b"+007"), Some(Exact(7)));
        for word in ["", "bad", "-1", "1.0", "18446744073709551616"] {
            assert_eq!(ExpectedVersion::from_word(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn the_next_version_follows_the_last() {
        assert_eq!(CurrentVersion::Empty.next(), Some(0));
        assert_eq!(CurrentVersion::from(Some(4)).next(), Some(5));
        assert_eq!(CurrentVersion::Current(u64::MAX).next(), None);
    }
}
