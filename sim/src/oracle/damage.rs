//! P11: damage is detected and refused; it is never served and never silently cut.
//!
//! With a single copy a damaged frame cannot be healed, so in buckets that were damaged an answer may be an error. It
//! may not be "there is nothing", and what is returned must be right (`invention` and `acked` see to that).

use std::collections::BTreeSet;

use crate::violation::{Checked, require};

/// Where damage was done.
#[derive(Debug, Default)]
pub struct Damage {
    buckets: BTreeSet<u16>,
}

impl Damage {
    /// Bytes of a segment of `bucket` were changed.
    pub fn done(&mut self, bucket: u16) {
        self.buckets.insert(bucket);
    }

    /// Whether errors of this bucket are excused.
    pub fn excuses(&self, bucket: u16) -> bool {
        self.buckets.contains(&bucket)
    }

    /// Whether any damage was done.
    pub fn any(&self) -> bool {
        !self.buckets.is_empty()
    }
}

/// A read that ended without error said that nothing follows below what had been shown.
///
/// # Errors
/// If it did.
pub fn not_silently_cut(what: &str, next: u64, floor: u64) -> Checked {
    require(next >= floor, "damage", "silently-cut", || {
        format!("{what} ends before {next} without an error, but {floor} positions were shown")
    })
}
