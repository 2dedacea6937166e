//! P14: a store opens after a crash at any point, and the work of it is bounded by the active segment.

use crate::violation::{Checked, require};

/// A start without injected damage or errors must succeed.
///
/// # Errors
/// If it did not.
pub fn opened(failure: Option<&str>) -> Checked {
    require(failure.is_none(), "recovery", "not-opened", || {
        format!("the directory was not opened: {}", failure.unwrap_or_default())
    })
}

/// After a start without injected damage every bucket accepts appends.
///
/// # Errors
/// If one refuses.
pub fn healthy(bucket: usize, refusing: Option<&str>) -> Checked {
    require(refusing.is_none(), "recovery", "refusing", || {
        format!("bucket {bucket} refuses appends after a crash: {}", refusing.unwrap_or_default())
    })
}

/// What a start may read of segment files: `limit` follows from the options and how the boot before ended.
///
/// # Errors
/// If it read more.
pub fn bounded(read_bytes: u64, limit_bytes: u64) -> Checked {
    require(read_bytes <= limit_bytes, "recovery", "unbounded", || {
        format!(
            "the start read {read_bytes} bytes of segment files, at most {limit_bytes} were needed"
        )
    })
}
