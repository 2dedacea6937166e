//! Whether a bucket takes appends, and why not.

use crate::error::AppendError;

/// State of a bucket. It only gets worse, except that a full disk may have room again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// Takes appends.
    Serving,
    /// The file system is nearly full: nothing is written until space returns.
    Full { free_bytes: u64, needed_bytes: u64 },
    /// A write or sync failed, or damage was found: no more appends until the process restarts, or an operator
    /// accepts the damage.
    ReadOnly { cause: String },
    /// Shutting down.
    Closing,
}

impl Health {
    /// Why an append is refused now; `None` if it is not.
    pub(crate) fn refusal(&self, bucket_id: u16) -> Option<AppendError> {
        match self {
            Self::Serving => None,
            Self::Full { free_bytes, needed_bytes } => {
                Some(AppendError::DiskFull { free_bytes: *free_bytes, needed_bytes: *needed_bytes })
            }
            Self::ReadOnly { cause } => {
                Some(AppendError::ReadOnly { bucket_id, cause: cause.clone() })
            }
            Self::Closing => Some(AppendError::Closing),
        }
    }
}
