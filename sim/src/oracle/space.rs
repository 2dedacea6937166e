//! P13: a full disk refuses appends with an error; reads go on; once there is space, appends work again.

use crate::violation::{Checked, require};

/// A read while the disk was full.
///
/// # Errors
/// If it failed.
pub fn read_went_on(failure: Option<&str>) -> Checked {
    require(failure.is_none(), "space", "read-refused", || {
        format!("a read failed while the disk was full: {}", failure.unwrap_or_default())
    })
}

/// An append some seconds after space returned, on a healthy bucket.
///
/// # Errors
/// If it was refused.
pub fn append_works_again(bucket: u16, refusal: Option<&str>) -> Checked {
    require(refusal.is_none(), "space", "still-refused", || {
        format!(
            "bucket {bucket} refuses appends although there is space: {}",
            refusal.unwrap_or_default()
        )
    })
}
