//! Ends of a scan: `-`, `+` or a number, both inclusive.

use std::fmt;

/// Where a scan starts, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RangeStart {
    /// `-`: the first event.
    #[default]
    First,
    /// This version or sequence.
    At(u64),
}

/// Where a scan ends, inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RangeEnd {
    /// `+`: the last event there is.
    #[default]
    Last,
    /// This version or sequence; it may lie beyond the last event.
    At(u64),
}

/// The part of a stream or partition a scan asks for. A start beyond the end is an empty range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Range {
    /// First position.
    pub start: RangeStart,
    /// Last position.
    pub end: RangeEnd,
}

impl Range {
    /// All events.
    pub const ALL: Self = Self { start: RangeStart::First, end: RangeEnd::Last };

    /// First position asked for.
    pub const fn first(self) -> u64 {
        match self.start {
            RangeStart::First => 0,
            RangeStart::At(position) => position,
        }
    }

    /// Last position asked for, inclusive; `u64::MAX` for `+`.
    pub const fn last(self) -> u64 {
        match self.end {
            RangeEnd::Last => u64::MAX,
            RangeEnd::At(position) => position,
        }
    }

    /// True if no position lies within.
    pub const fn is_empty(self) -> bool {
        self.first() > self.last()
    }
}

impl fmt::Display for RangeStart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => formatter.write_str("-"),
            Self::At(position) => position.fmt(formatter),
        }
    }
}

impl fmt::Display for RangeEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => formatter.write_str("+"),
            Self::At(position) => position.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_range_holds_every_position() {
        assert_eq!((Range::ALL.first(), Range::ALL.last()), (0, u64::MAX));
        assert!(!Range::ALL.is_empty());
    }

    #[test]
    fn a_range_is_empty_only_if_it_starts_behind_its_end() {
        let range = |start, end| Range { start: RangeStart::At(start), end: RangeEnd::At(end) };
        assert!(range(5, 1).is_empty());
        assert!(!range(2, 2).is_empty());
    }

    #[test]
    fn ends_are_written_as_they_are_asked_for() {
        let range = Range { start: RangeStart::At(3), end: RangeEnd::At(9) };
        assert_eq!(format!("{} {}", range.start, range.end), "3 9");
        assert_eq!(format!("{} {}", RangeStart::First, RangeEnd::Last), "- +");
    }
}
