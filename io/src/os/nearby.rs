//! Tasks that sync, run among others while the disk is fast.
//!
//! On few cores a fast sync is shorter than handing it to another thread and back. So the task blocks the runtime's
//! only thread for that long; whatever arrives meanwhile is ready when it is done. A disk that becomes slow would
//! stall connections that want nothing from it, and let one task wait for another's sync: then each task takes its
//! future to a thread of its own, and comes back when the disk has been fast for a while.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::task::{Home, spawn_thread, while_dedicated};
use crate::{Fut, TaskName};

/// A turn that takes longer than this is slow: a thread of its own would cost a small part of it.
const SLOW_TURN: Duration = Duration::from_millis(2);

/// One turn as long as this is enough to move: the next might be as long.
const STALLED_TURN: Duration = Duration::from_millis(250);

/// What a slow turn adds to the score; each other turn takes one away. So one slow turn in sixteen is borne.
const SLOW_POINTS: u32 = 16;

/// The score at which the disk counts as slow: four slow turns close together.
const SLOW_SCORE: u32 = 4 * SLOW_POINTS;

/// The score of a slow disk. Each turn that is not slow takes one away, down to [`FAST_AGAIN`].
const MOVED: u32 = u32::MAX;

/// A slow disk counts as fast again after so many turns in a row that are not slow: some seconds of load.
const CALM_TURNS: u32 = 10_000;

/// See [`MOVED`].
const FAST_AGAIN: u32 = MOVED - CALM_TURNS;

/// How fast the disk is, by the turns of all tasks that use it.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU32);

impl Pace {
    /// Whether the disk counts as slow.
    pub(super) fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) > FAST_AGAIN
    }

    /// Notes a turn; true if the disk counts as slow now.
    fn is_slow_after(&self, turn: Duration) -> bool {
        // Relaxed: the score guards nothing, and a turn counted late moves a task one turn later.
        let before = self.0.load(Ordering::Relaxed);
        let after = score_after(before, turn);
        if before != after {
            self.0.store(after, Ordering::Relaxed);
        }
        let (was_slow, is_slow) = (before > FAST_AGAIN, after > FAST_AGAIN);
        if is_slow && !was_slow {
            tracing::warn!(
                turn_us = u64::try_from(turn.as_micros()).unwrap_or(u64::MAX),
                "the disk is slow: each writer gets a thread of its own"
            );
        } else if was_slow && !is_slow {
            tracing::info!("the disk is fast again: writers share the serving thread");
        }
        is_slow
    }
}

fn score_after(score: u32, turn: Duration) -> u32 {
    let is_slow = turn >= SLOW_TURN;
    if score > FAST_AGAIN {
        return match score - 1 {
            _ if is_slow => MOVED,
            FAST_AGAIN => 0,
            calmer => calmer,
        };
    }
    match score.saturating_add(SLOW_POINTS) {
        _ if turn >= STALLED_TURN => MOVED,
        _ if !is_slow => score.saturating_sub(1),
        SLOW_SCORE.. => MOVED,
        higher => higher,
    }
}

/// A task that syncs, while it is polled by a shared runtime.
pub(super) struct Nearby {
    pub(super) name: TaskName,
    /// `None` once it ended or moved.
    pub(super) body: Option<Fut<'static, ()>>,
    pub(super) pace: Arc<Pace>,
    /// Where it is at home.
    pub(super) home: Arc<Home>,
}

impl Nearby {
    /// Starts it, or goes on with it, among the other tasks.
    pub(super) fn start(self) {
        let home = Arc::clone(&self.home);
        home.handle().spawn(self);
    }

    /// Goes on with it on a thread of its own, until the disk is fast again.
    fn move_out(&mut self) {
        let Some(body) = self.body.take() else { return };
        let (name, pace, home) = (self.name, Arc::clone(&self.pace), Arc::clone(&self.home));
        let away = Away { body: Some(body), pace: Arc::clone(&pace) };
        let stay = async move {
            if let Some(body) = away.await {
                Self { name, body: Some(body), pace, home }.start();
            }
        };
        spawn_thread(name, Box::pin(stay));
    }
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
        self.move_out();
        Poll::Ready(())
    }
}

/// The same task on a thread of its own. Ready with its future if that is to go home, with `None` once it ended.
struct Away {
    body: Option<Fut<'static, ()>>,
    pace: Arc<Pace>,
}

impl Future for Away {
    type Output = Option<Fut<'static, ()>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let begun = Instant::now();
        if body.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        if self.pace.is_slow_after(begun.elapsed()) {
            return Poll::Pending;
        }
        Poll::Ready(self.body.take()) // it is polled over there, which registers a new waker
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
        assert!(slow_after(&[STALLED_TURN, FAST, FAST]), "not fast again so soon");
    }

    #[test]
    fn a_slow_disk_is_fast_again_after_many_turns_in_a_row() {
        let calm = usize::try_from(CALM_TURNS).unwrap();
        let turns = |fast: usize| [vec![STALLED_TURN], vec![FAST; fast]].concat();
        assert!(slow_after(&turns(calm - 1)));
        assert!(!slow_after(&turns(calm)));
        let interrupted = [turns(calm - 1), vec![SLOW_TURN], vec![FAST; calm - 1]].concat();
        assert!(slow_after(&interrupted), "a slow turn begins the count again");
        let afterwards = [turns(calm), vec![SLOW_TURN; 3]].concat();
        assert!(!slow_after(&afterwards), "what was is forgotten");
    }

    #[test]
    fn a_task_comes_back_when_the_disk_is_fast_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = OsOptions { syncs: Syncs::AmongTasks, ..OsOptions::default() };
        let io = Io::os_on(runtime.handle().clone(), options);
        let here = std::thread::current().name().map(str::to_owned);
        let (tell, told) = std::sync::mpsc::channel();
        let body = Box::pin(async move {
            std::thread::sleep(STALLED_TURN);
            for _ in 0..CALM_TURNS + 10 {
                tokio::task::yield_now().await;
                tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
            }
        });
        runtime.block_on(async {
            io.spawner().syncing(TaskName { role: "writer", key: 5 }, body).finished().await;
        });
        let threads: Vec<_> = told.iter().collect();
        assert_eq!(threads.first(), Some(&Some("writer-5".to_owned())));
        assert_eq!(threads.last(), Some(&here));
        assert_eq!(threads.len(), usize::try_from(CALM_TURNS + 10).unwrap(), "no turn is lost");
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
