//! Files whose write or sync failed: closed to writes until the process ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A file by device and inode, so that every handle and every name meets the same verdict.
pub(super) type FileId = (u64, u64);

/// The poisoned files of one [`OsDisk`](super::OsDisk).
#[derive(Debug, Default)]
pub(super) struct PoisonSet {
    /// Size of `files`, so that healthy disks never take the lock.
    count: AtomicUsize,
    files: Mutex<BTreeSet<FileId>>,
}

impl PoisonSet {
    pub(super) fn contains(&self, id: FileId) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.files().contains(&id)
    }

    pub(super) fn insert(&self, id: FileId) {
        let mut files = self.files();
        files.insert(id);
        self.count.store(files.len(), Ordering::Release);
    }

    /// A newly created file got this inode, so the poisoned one no longer exists.
    pub(super) fn forget(&self, id: FileId) {
        if self.contains(id) {
            let mut files = self.files();
            files.remove(&id);
            self.count.store(files.len(), Ordering::Release);
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeSet<FileId>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_inode_starts_clean() {
        let set = PoisonSet::default();
        assert!(!set.contains((1, 2)));
        set.insert((1, 2));
        set.insert((1, 3));
        assert!(set.contains((1, 2)) && set.contains((1, 3)) && !set.contains((2, 2)));
        set.forget((1, 2));
        assert!(!set.contains((1, 2)) && set.contains((1, 3)));
    }
}
