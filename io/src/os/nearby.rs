//! Tasks that sync, run among others while the disk is fast.
//!
//! On few cores a sync is shorter than handing it to another thread and back. So the task blocks the runtime's only
//! thread for that long; whatever arrives meanwhile is ready when it is done. A disk that becomes slow would stall
//! connections that want nothing from it: then the task takes its future to a thread of its own, for good.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::task::{spawn_thread, while_dedicated};
use crate::{Fut, TaskName};

/// A turn that takes longer than this is slow: a healthy disk syncs in a tenth of it.
const SLOW_TURN: Duration = Duration::from_millis(10);

/// One turn as long as this is enough to move: the next might be as long.
const STALLED_TURN: Duration = Duration::from_millis(250);

/// What a slow turn adds to the score; each other turn takes one away. So one slow turn in sixteen is borne.
const SLOW_POINTS: u32 = 16;

/// The score at which the disk counts as slow: four slow turns close together.
const SLOW_SCORE: u32 = 4 * SLOW_POINTS;

/// A score that no later turn lowers.
const MOVED: u32 = u32::MAX;

/// How fast the disk is, by the turns of all tasks that use it.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU32);

impl Pace {
    /// Whether the disk counts as slow.
    pub(super) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MOVED
    }

    /// Notes a turn; true once the disk counts as slow.
    fn is_slow_after(&self, turn: Duration) -> bool {
        let next = |score: u32| match score {
            MOVED => MOVED,
            _ if turn >= STALLED_TURN => MOVED,
            _ if turn >= SLOW_TURN && score + SLOW_POINTS >= SLOW_SCORE => MOVED,
            _ if turn >= SLOW_TURN => score + SLOW_POINTS,
            _ => score.saturating_sub(1),
        };
        // Relaxed: the score guards nothing, and a turn counted late moves a task one turn later.
        let before = self.0.load(Ordering::Relaxed);
        let after = next(before);
        if before != after {
            self.0.store(after, Ordering::Relaxed);
        }
        if after == MOVED && before != MOVED {
            tracing::warn!(
                turn_ms = u64::try_from(turn.as_millis()).unwrap_or(u64::MAX),
                "the disk is slow: each writer gets a thread of its own"
            );
        }
        after == MOVED
    }
}

/// A task that syncs, while it is polled by a shared runtime.
pub(super) struct Nearby {
    pub(super) name: TaskName,
    /// `None` once it ended or moved.
    pub(super) body: Option<Fut<'static, ()>>,
    pub(super) pace: Arc<Pace>,
}

impl Future for Nearby {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.pace.is_slow() {
            let Some(body) = &mut self.body else { return Poll::Ready(()) };
            let begun = Instant::now();
            if while_dedicated(|| body.as_mut().poll(context)).is_ready() {
                self.body = None;
                return Poll::Ready(());
            }
            if !self.pace.is_slow_after(begun.elapsed()) {
                return Poll::Pending;
            }
        }
        // Also if it was another task that found the disk slow: this one's next turn would be no faster. The first
        // poll over there registers a new waker, so no wake-up is lost.
        if let Some(body) = self.body.take() {
            spawn_thread(self.name, body);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Io;
    use crate::os::{OsOptions, Syncs, is_dedicated};

    const FAST: Duration = Duration::from_micros(200);

    fn slow_after(turns: &[Duration]) -> bool {
        let pace = Pace::default();
        turns.iter().map(|turn| pace.is_slow_after(*turn)).last().unwrap_or(false)
    }

    #[test]
    fn a_slow_turn_now_and_then_is_borne_and_a_row_of_them_is_not() {
        let mut turns = vec![SLOW_TURN; 3];
        assert!(!slow_after(&turns));
        turns.push(SLOW_TURN);
        assert!(slow_after(&turns));
        let now_and_then = [vec![SLOW_TURN], vec![FAST; 20]].concat().repeat(100);
        assert!(!slow_after(&now_and_then));
        assert!(slow_after(&[STALLED_TURN, FAST, FAST]), "once moved, always moved");
    }

    /// Runs two tasks one after the other, each with `turns` turns that take `turn`; the threads of all turns.
    fn threads_of_turns(turns: usize, turn: Duration) -> Vec<Option<String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = OsOptions { syncs: Syncs::AmongTasks, ..OsOptions::default() };
        let io = Io::os_on(runtime.handle().clone(), options);
        assert!(io.spawner().syncs_share_thread());
        let (tell, told) = std::sync::mpsc::sync_channel(2 * turns);
        for key in [3, 4] {
            let tell = tell.clone();
            let body = Box::pin(async move {
                for _ in 0..turns {
                    assert!(is_dedicated(), "a turn may wait for the disk");
                    std::thread::sleep(turn);
                    tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
                    tokio::task::yield_now().await;
                }
            });
            runtime.block_on(async {
                io.spawner().syncing(TaskName { role: "writer", key }, body).finished().await;
                assert!(!is_dedicated(), "nobody else may wait on this thread");
            });
        }
        drop(tell);
        told.iter().collect()
    }

    #[test]
    fn fast_tasks_stay_and_slow_ones_go_on_on_threads_of_their_own() {
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(threads_of_turns(20, Duration::ZERO), vec![here.clone(); 40]);
        let slow = threads_of_turns(5, SLOW_TURN);
        let moved = ["writer-3", "writer-4"].map(|name| Some(name.to_owned()));
        let expected = [vec![here; 4], vec![moved[0].clone(); 1], vec![moved[1].clone(); 5]];
        assert_eq!(slow, expected.concat(), "the second one has no turn on the shared thread");
    }
}
