//! How many writers of a store are at work.
//!
//! A writer alone, with one append, syncs on the spot: two changes of threads would take longer than many a device.
//! With others at work, its sync is carried out beside theirs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The writers of one store; cloned to each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Company(Arc<AtomicUsize>);

/// A writer between taking a batch and answering for it; ends when dropped.
#[derive(Debug)]
pub(crate) struct AtWork(Arc<AtomicUsize>);

impl Company {
    pub(crate) fn join(&self) -> AtWork {
        self.0.fetch_add(1, Ordering::Relaxed); // it guards no other memory
        AtWork(Arc::clone(&self.0))
    }
}

impl AtWork {
    /// Whether no other writer is at work.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_alone_until_another_comes_and_once_it_has_left() {
        let company = Company::default();
        let first = company.join();
        assert!(first.is_alone());
        let second = company.clone().join();
        assert!(!first.is_alone() && !second.is_alone());
        drop(first);
        assert!(second.is_alone());
    }
}
