//! Rounds: writers that share one thread write together, then sync one after another.
//!
//! On that thread a sync holds up everything else, other writers too. Were they to run whenever they have something,
//! each would sync what little a few clients had sent meanwhile, and the device would be asked for one thing at a
//! time. In a round all writers that have something write it and let the device begin at once; only then does the
//! first of them sync. What the others wrote travels meanwhile, so their syncs are short. The next round begins when
//! this one has ended and its clients were answered: what they sent since is its batch.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sierradb_io::Io;
use tokio::sync::Notify;

/// The rounds of all writers of a store; cloned to each.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    io: Io,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    round: Mutex<Round>,
    ended: Notify,
}

/// The round under way, if it has members.
#[derive(Debug, Default)]
struct Round {
    members: usize,
    /// It takes no further members.
    is_syncing: bool,
}

/// The right to write and sync in the round under way; ends when dropped.
#[derive(Debug)]
pub(crate) struct Member(Arc<Shared>);

impl Rounds {
    /// The rounds of the writers of one store.
    pub(crate) fn new(io: Io) -> Self {
        Self { io, shared: Arc::default() }
    }

    /// Waits for the round that may be entered now. Where each writer has a thread there are none, and no wait.
    pub(crate) async fn enter(&self) -> Option<Member> {
        loop {
            if !self.io.spawner().syncs_share_thread() {
                return None;
            }
            let ended = self.shared.ended.notified(); // before the look: an end in between is not missed
            if let Some(member) = self.try_enter() {
                return Some(member);
            }
            ended.await;
        }
    }

    fn try_enter(&self) -> Option<Member> {
        let mut round = self.shared.round();
        if round.is_syncing {
            return None;
        }
        round.members += 1;
        Some(Member(Arc::clone(&self.shared)))
    }
}

impl Shared {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// This member has written: lets the others that have something write, too. Behind it, it may sync.
    pub(crate) async fn let_others_write(&self) {
        if self.0.round().is_syncing {
            return;
        }
        tokio::task::yield_now().await;
        self.0.round().is_syncing = true;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut round = self.0.round();
        round.members -= 1;
        if round.members == 0 {
            round.is_syncing = false;
            drop(round);
            self.0.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use sierradb_io::sim::{SimConfig, run_with};

    use super::*;

    /// Rounds of a machine whose writers share a thread, or do not.
    fn with_rounds<F: Future<Output = ()> + 'static>(
        syncs_share_thread: bool,
        body: impl FnOnce(Rounds) -> F + 'static,
    ) {
        let config = SimConfig { syncs_share_thread, ..SimConfig::default() };
        run_with(1, config, |host| async move { body(Rounds::new(host.boot())).await });
    }

    #[test]
    fn a_round_takes_members_until_its_first_one_syncs() {
        with_rounds(true, async |rounds| {
            let first = rounds.enter().await.expect("a round");
            let second = rounds.enter().await.expect("the same round");
            first.let_others_write().await;
            let mut late = Box::pin(rounds.enter());
            assert!(late.as_mut().now_or_never().is_none());
            drop(first);
            assert!(late.as_mut().now_or_never().is_none(), "the second has not ended");
            drop(second);
            assert!(late.await.is_some());
        });
    }

    #[test]
    fn a_member_that_leaves_early_holds_up_nobody() {
        with_rounds(true, async |rounds| {
            drop(rounds.enter().await);
            let first = rounds.enter().await.expect("a round");
            first.let_others_write().await;
            drop(first);
            assert!(rounds.enter().now_or_never().is_some());
        });
    }

    #[test]
    fn writers_with_threads_of_their_own_have_no_rounds() {
        with_rounds(false, async |rounds| assert!(rounds.enter().await.is_none()));
    }
}
