//! The kinds of log entries, and their codes on disk.

use super::FrameError;

/// What a log entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// Nothing; a new leader's first entry.
    NoOp = 1,
    /// Events of one partition.
    Transaction = 2,
    /// A change of the replica set.
    Membership = 3,
    /// A command of the meta group.
    Control = 4,
}

impl FrameKind {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::NoOp => 1,
            Self::Transaction => 2,
            Self::Membership => 3,
            Self::Control => 4,
        }
    }

    pub(super) fn from_code(code: u8) -> Result<Self, FrameError> {
        match code {
            1 => Ok(Self::NoOp),
            2 => Ok(Self::Transaction),
            3 => Ok(Self::Membership),
            4 => Ok(Self::Control),
            found => Err(FrameError::Kind { found }),
        }
    }
}
