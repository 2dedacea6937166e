//! Tasks that sync, run among others while the disk is fast.
//!
//! On few cores a fast sync is shorter than handing it to another thread and back. So the task may block the runtime's
//! only thread for the time of one; it has longer work begun elsewhere ([`crate::File::begin_durable_write`]). A disk that becomes
//! slow would stall connections that want nothing from it: then each task takes its future to a thread of its own, and
//! comes back when the disk has been fast for a while.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::task::{Home, spawn_thread, while_dedicated};
use crate::{Fut, TaskName};

/// A turn that takes longer than this is slow: a thread of its own would cost a small part of it.
const SLOW_TURN: Duration = Duration::from_millis(2);

/// Time in slow turns that is borne: as one of this length, or as many of them close together.
const BORNE: Duration = Duration::from_millis(250);

/// Of the time that passes, this part is taken off what slow turns took. So they are borne for good as long as they
/// take less than that of the time: a machine that gives its processors to others now and then is no slow disk.
const FORGIVEN: u32 = 4;

/// A slow disk counts as fast again after so many turns in a row that are not slow: some seconds of load.
const CALM_TURNS: u32 = 10_000;

/// How fast the disk is, by the turns of all tasks that use it.
#[derive(Debug, Default)]
pub(super) struct Pace {
    is_slow: AtomicBool,
    turns: Mutex<Turns>,
}

/// What is remembered of past turns.
#[derive(Debug, Default)]
struct Turns {
    /// Time in slow turns, less what is forgiven.
    lost: Duration,
    /// End of the last turn.
    ended: Option<Instant>,
    /// While the disk counts as slow: turns that are still to be fast.
    to_come: u32,
}

impl Pace {
    /// Whether the disk counts as slow.
    pub(super) fn is_slow(&self) -> bool {
        self.is_slow.load(Ordering::Relaxed) // it guards nothing; a task that sees it late moves one turn later
    }

    /// Notes a turn; true if the disk counts as slow now.
    fn is_slow_after(&self, begun: Instant, turn: Duration) -> bool {
        let was_slow = self.is_slow();
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let passed =
            turns.ended.map_or(Duration::ZERO, |ended| begun.saturating_duration_since(ended));
        turns.ended = Some(begun + turn);
        let is_slow = turns.are_slow_with(passed + turn, turn);
        drop(turns);
        if is_slow == was_slow {
            return is_slow;
        }
        self.is_slow.store(is_slow, Ordering::Relaxed);
        if is_slow {
            tracing::warn!(
                turn_us = u64::try_from(turn.as_micros()).unwrap_or(u64::MAX),
                "the disk is slow: each writer gets a thread of its own"
            );
        } else {
            tracing::info!("the disk is fast again: writers share the serving thread");
        }
        is_slow
    }
}

impl Turns {
    /// Adds one, at whose end so much time has `passed` since the one before.
    fn are_slow_with(&mut self, passed: Duration, turn: Duration) -> bool {
        let is_slow = turn >= SLOW_TURN;
        if self.to_come > 0 {
            self.to_come = if is_slow { CALM_TURNS } else { self.to_come - 1 };
            return self.to_come > 0;
        }
        self.lost = self.lost.saturating_sub(passed / FORGIVEN);
        if is_slow {
            self.lost += turn;
        }
        if self.lost < BORNE {
            return false;
        }
        *self = Self { lost: Duration::ZERO, to_come: CALM_TURNS, ..*self };
        true
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
            if !self.pace.is_slow_after(begun, begun.elapsed()) {
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
        if self.pace.is_slow_after(begun, begun.elapsed()) {
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

    /// Whether the disk counts as slow after turns, one straight after the other.
    fn slow_after(turns: &[Duration]) -> bool {
        let pace = Pace::default();
        let mut begun = Instant::now();
        let mut is_slow = false;
        for turn in turns {
            is_slow = pace.is_slow_after(begun, *turn);
            assert_eq!(is_slow, pace.is_slow());
            begun += *turn;
        }
        is_slow
    }

    #[test]
    fn slow_turns_are_borne_while_they_take_little_of_the_time() {
        let slow = 2 * SLOW_TURN;
        let rest = 3 * slow; // they take a quarter of the time
        let turns = |rest: Duration| [slow, rest / 8].repeat(1_000);
        let seldom = |rest: Duration| {
            turns(rest)
                .chunks(2)
                .flat_map(|pair| [vec![pair[0]], vec![pair[1]; 8]].concat())
                .collect::<Vec<_>>()
        };
        assert!(!slow_after(&seldom(rest)));
        assert!(slow_after(&seldom(rest / 3)));
        assert!(slow_after(&vec![SLOW_TURN; 200]));
        assert!(!slow_after(&vec![SLOW_TURN - Duration::from_micros(1); 10_000]));
    }

    #[test]
    fn one_long_stall_is_enough() {
        assert!(slow_after(&[2 * BORNE, FAST, FAST]), "not fast again so soon");
        assert!(!slow_after(&[BORNE / 2, FAST]));
    }

    #[test]
    fn a_slow_disk_is_fast_again_after_many_turns_in_a_row() {
        let calm = usize::try_from(CALM_TURNS).unwrap();
        let turns = |fast: usize| [vec![2 * BORNE], vec![FAST; fast]].concat();
        assert!(slow_after(&turns(calm - 1)));
        assert!(!slow_after(&turns(calm)));
        let interrupted = [turns(calm - 1), vec![SLOW_TURN], vec![FAST; calm - 1]].concat();
        assert!(slow_after(&interrupted), "a slow turn begins the count again");
        let afterwards = [turns(calm), vec![BORNE / 2]].concat();
        assert!(!slow_after(&afterwards), "what was is forgotten");
    }

    #[test]
    fn a_task_comes_back_when_the_disk_is_fast_again() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = OsOptions { syncs: Syncs::AmongTasks, ..OsOptions::default() };
        let io = Io::os_on(runtime.handle().clone(), options);
        let here = std::thread::current().name().map(str::to_owned);
        let calm = usize::try_from(CALM_TURNS).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let home = here.clone();
        let body = Box::pin(async move {
            std::thread::sleep(2 * BORNE);
            // A machine that is busy makes turns slow, and each begins the count again.
            for _ in 0..100 * calm {
                tokio::task::yield_now().await;
                let thread = std::thread::current().name().map(str::to_owned);
                let is_home = thread == home;
                tell.send(thread).unwrap();
                if is_home {
                    return;
                }
            }
        });
        runtime.block_on(async {
            io.spawner().syncing(TaskName { role: "writer", key: 5 }, body).finished().await;
        });
        let threads: Vec<_> = told.iter().collect();
        assert_eq!(threads.first(), Some(&Some("writer-5".to_owned())));
        assert_eq!(threads.last(), Some(&here));
        assert!(threads.len() >= calm, "{} turns are no proof of a fast disk", threads.len());
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
        let slow = threads_of_turns(3, BORNE.mul_f32(0.7));
        let moved = ["writer-3", "writer-4"].map(|name| Some(name.to_owned()));
        let expected = [vec![here; 2], vec![moved[0].clone(); 1], vec![moved[1].clone(); 3]];
        assert_eq!(slow, expected.concat(), "the second one has no turn on the shared thread");
    }
}
