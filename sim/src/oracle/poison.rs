//! P12: after a failed sync (or a failed write) a file takes no more writes or syncs, and nothing that depends on it
//! is acknowledged, until the process restarts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::violation::{Checked, require};

/// Files of one boot that failed.
#[derive(Debug, Default)]
pub struct Poison {
    files: BTreeSet<PathBuf>,
}

impl Poison {
    /// A write or sync of `path` failed.
    pub fn failed(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }

    /// A file of this name may be made anew.
    pub fn gone(&mut self, path: &Path) {
        self.files.remove(path);
    }

    /// The store is about to write or sync `path`.
    ///
    /// # Errors
    /// If that file failed before.
    pub fn touched(&self, path: &Path, op: &str) -> Checked {
        require(!self.files.contains(path), "poison", "touched-again", || {
            format!("{op} of {} after a write or sync of it failed", path.display())
        })
    }

    /// Whether a segment of `bucket` failed.
    pub fn has_segment_of(&self, bucket: u16) -> bool {
        let dir = format!("{bucket:05}");
        self.files.iter().any(|path| {
            path.extension().is_some_and(|ext| ext == "seg")
                && path.parent().and_then(Path::file_name).is_some_and(|name| *name == *dir)
        })
    }
}

/// A new append was stored by `bucket`; `was_poisoned` when its attempt began.
///
/// # Errors
/// If it was.
pub fn stored(bucket: u16, was_poisoned: bool) -> Checked {
    require(!was_poisoned, "poison", "acknowledged", || {
        format!("bucket {bucket} stored an append that began after its segment had failed")
    })
}
