//! Whose turn it is to sync, where writers share one thread.
//!
//! There a sync holds up everything else, other writers too. If all of them ran whenever they have something, each
//! would sync what little a few clients had sent meanwhile. So small batches take turns: one writer syncs, then the
//! thread looks at its sockets, and what arrived there makes the batch of the next writer larger. Turns are given
//! in the order they were asked for. A large batch needs no turn, since its sync is shared by enough appends already.

use std::sync::Arc;

use sierradb_io::Io;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{LARGE_BATCH_APPENDS, TURNS_AT_A_TIME};

/// The turns of all writers of a store; cloned to each.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    io: Io,
    turn: Arc<Semaphore>,
}

/// The right to sync; ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn(
    #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
);

impl Turns {
    /// The turns of the writers of one store.
    pub(crate) fn new(io: Io) -> Self {
        Self { io, turn: Arc::new(Semaphore::new(TURNS_AT_A_TIME)) }
    }

    /// Waits for the turn to write a batch of about `appends`. Where each writer has a thread there is no wait.
    pub(crate) async fn begin(&self, appends: usize) -> Turn {
        if appends >= LARGE_BATCH_APPENDS || !self.io.spawner().syncs_share_thread() {
            return Turn(None);
        }
        Turn(Arc::clone(&self.turn).acquire_owned().await.ok()) // it is never closed
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use sierradb_io::sim::{SimConfig, run_with};

    use super::*;

    /// Turns of a machine whose writers share a thread, or do not.
    fn with_turns<F: Future<Output = ()> + 'static>(
        syncs_share_thread: bool,
        body: impl FnOnce(Turns) -> F + 'static,
    ) {
        let config = SimConfig { syncs_share_thread, ..SimConfig::default() };
        run_with(1, config, |host| async move { body(Turns::new(host.boot())).await });
    }

    #[test]
    fn small_batches_wait_for_their_turn_and_large_ones_do_not() {
        with_turns(true, async |turns| {
            let first = turns.begin(1).now_or_never();
            assert!(first.is_some());
            assert!(turns.begin(LARGE_BATCH_APPENDS - 1).now_or_never().is_none());
            assert!(turns.begin(LARGE_BATCH_APPENDS).now_or_never().is_some());
            drop(first);
            assert!(turns.begin(1).now_or_never().is_some());
        });
    }

    #[test]
    fn writers_with_threads_of_their_own_never_wait() {
        with_turns(false, async |turns| {
            let held = (turns.begin(1).now_or_never(), turns.begin(1).now_or_never());
            assert!(held.0.is_some() && held.1.is_some());
        });
    }
}
