//! Whether a bucket takes appends, and why not.

use sierradb_io::{DiskError, DiskErrorKind, DiskOp};

use crate::error::AppendError;

/// State of a bucket. It only gets worse, except that a full disk may have room again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// Takes appends.
    Serving,
    /// The file system is nearly full: nothing is written until space returns.
    Full { free_bytes: u64, needed_bytes: u64 },
    /// Damage was found, or a segment cannot be sealed: no more appends until the process restarts, or an operator
    /// accepts the damage. What is in work is finished or refused.
    ReadOnly { cause: String },
    /// A write or sync failed: as read-only, and nothing that is in work is finished either, since no segment file is
    /// touched again.
    Poisoned { cause: String },
    /// Shutting down.
    Closing,
}

impl Health {
    /// Whether free space decides: appends are taken, or will be once there is room.
    pub(crate) fn is_about_space(&self) -> bool {
        matches!(self, Self::Serving | Self::Full { .. })
    }

    /// Whether there will be no more appends in this life, whatever happens.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly { .. } | Self::Poisoned { .. })
    }

    /// Whether a write or sync has failed, and everybody in work was answered for it.
    pub(crate) fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }

    /// Why an append is refused now; `None` if it is not.
    pub(crate) fn refusal(&self, bucket_id: u16) -> Option<AppendError> {
        match self {
            Self::Serving => None,
            Self::Full { free_bytes, needed_bytes } => {
                Some(AppendError::DiskFull { free_bytes: *free_bytes, needed_bytes: *needed_bytes })
            }
            Self::ReadOnly { cause } | Self::Poisoned { cause } => {
                Some(AppendError::ReadOnly { bucket_id, cause: cause.clone() })
            }
            Self::Closing => Some(AppendError::Closing),
        }
    }
}

/// Whether a failed operation on segment files ends their bucket's appends until the process restarts. A failed sync
/// does, also one for lack of space: the kernel has marked the pages clean, the next sync would say "done". So does
/// any failed change but one that found no space, which changed nothing that is in use.
pub(crate) fn stops_bucket(error: &DiskError) -> bool {
    match error.op {
        DiskOp::Sync | DiskOp::SyncDir | DiskOp::SetLen => true,
        DiskOp::Write | DiskOp::Allocate | DiskOp::Zero => error.kind != DiskErrorKind::NoSpace,
        DiskOp::Open
        | DiskOp::List
        | DiskOp::CreateDir
        | DiskOp::Rename
        | DiskOp::Remove
        | DiskOp::Space
        | DiskOp::Lock
        | DiskOp::Read
        | DiskOp::Len => false,
    }
}
