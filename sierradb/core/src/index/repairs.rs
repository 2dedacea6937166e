//! Index files that were found damaged while serving: readers ask for a rebuild and wait, maintenance does it.
//!
//! An index says nothing that its segment does not say, so a damaged page is no loss: the file is built again from
//! the frames, each verified, and the read that met the page is done again. Where the frames are damaged too, there
//! is no hope and the reader gets the error.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How a rebuild ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The segment has a sound index again.
    Rebuilt,
    /// It cannot be rebuilt before the next start.
    Hopeless,
}

/// Damaged index files of one bucket, by segment number.
#[derive(Debug, Default)]
pub(crate) struct IndexRepairs {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    wanted: BTreeSet<u64>,
    /// Rebuilt in this life.
    rebuilt: BTreeSet<u64>,
    hopeless: BTreeSet<u64>,
    /// Nobody will rebuild any more.
    is_over: bool,
}

impl IndexRepairs {
    /// A page of this segment's index is damaged.
    pub(crate) fn want(&self, segment: u64) {
        let mut state = self.state();
        if !state.is_over && !state.hopeless.contains(&segment) {
            state.wanted.insert(segment);
        }
    }

    /// Whether it helps to look into this segment's index once more: a rebuild of it is due, or was done. Between the
    /// damaged page and this question a read may look at other segments, and the rebuild come and go.
    pub(crate) fn is_worth_a_retry(&self, segment: u64) -> bool {
        let state = self.state();
        state.wanted.contains(&segment)
            || (state.rebuilt.contains(&segment) && !state.hopeless.contains(&segment))
    }

    /// Whether a rebuild of this segment's index is due.
    pub(crate) fn is_wanted(&self, segment: u64) -> bool {
        self.state().wanted.contains(&segment)
    }

    /// The next index to rebuild.
    pub(crate) fn next(&self) -> Option<u64> {
        self.state().wanted.first().copied()
    }

    /// A rebuild ended.
    pub(crate) fn done(&self, segment: u64, outcome: Outcome) {
        let mut state = self.state();
        state.wanted.remove(&segment);
        match outcome {
            Outcome::Rebuilt => state.rebuilt.insert(segment),
            Outcome::Hopeless => state.hopeless.insert(segment),
        };
        drop(state);
        self.changed.notify_waiters();
    }

    /// There will be no more rebuilds: whoever waits gets its error.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.wanted.clear();
        state.is_over = true;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ready once no rebuild of this segment's index is due.
    pub(crate) async fn settled(&self, segment: u64) {
        loop {
            let changed = self.changed.notified();
            if !self.is_wanted(segment) {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_without_hope_is_not_asked_for_again() {
        let repairs = IndexRepairs::default();
        repairs.want(3);
        repairs.want(2);
        assert_eq!(repairs.next(), Some(2));
        repairs.done(2, Outcome::Rebuilt);
        repairs.done(3, Outcome::Hopeless);
        repairs.want(3);
        assert_eq!(repairs.next(), None);
        repairs.want(2);
        assert!(repairs.is_wanted(2), "it may rot again");
        repairs.done(2, Outcome::Rebuilt);
        assert!(repairs.is_worth_a_retry(2), "who met the damage before the rebuild asks now");
        assert!(!repairs.is_worth_a_retry(3), "there is no hope");
        repairs.end();
        repairs.want(4);
        assert_eq!(repairs.next(), None);
    }

    #[test]
    fn a_waiting_reader_goes_on_when_the_rebuild_ends() {
        sierradb_io::sim::run(1, |host| async move {
            let io = host.boot();
            let repairs = std::sync::Arc::new(IndexRepairs::default());
            repairs.want(7);
            let maintenance = std::sync::Arc::clone(&repairs);
            let name = sierradb_io::TaskName { role: "maintain", key: 0 };
            let task = Box::pin(async move { maintenance.done(7, Outcome::Rebuilt) });
            let _running = io.spawner().spawn(name, task);
            repairs.settled(7).await;
        });
    }
}
