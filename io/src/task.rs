//! Tasks, dedicated threads, and the word to stop.

use std::fmt;
use std::sync::Arc;

use crate::Fut;

/// Asks tasks to stop: cloned, cancelled once, awaited by many.
pub type Shutdown = tokio_util::sync::CancellationToken;

/// Name of a task, for traces, counters and thread names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskName {
    /// What it does, as `writer`.
    pub role: &'static str,
    /// Which one.
    pub key: u64,
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role, self.key)
    }
}

/// Starts tasks.
pub trait Spawner: Send + Sync {
    /// Runs `body` among the other tasks; it must never block its thread. A panic ends the process in production
    /// and is a violation in simulation.
    fn spawn(&self, name: TaskName, body: Fut<'static, ()>) -> Task;

    /// Runs `body` on a thread of its own, which it may block. In the simulation an ordinary task.
    fn dedicated(&self, name: TaskName, body: Fut<'static, ()>) -> Task;

    /// Runs `body`, which blocks its thread for as long as one write and one sync take, and no longer. Where the disk
    /// is fast and cores are few, it may run among the other tasks: then no append changes threads. Else as
    /// [`Spawner::dedicated`].
    fn syncing(&self, name: TaskName, body: Fut<'static, ()>) -> Task {
        self.dedicated(name, body)
    }

    /// Whether tasks begun by [`Spawner::syncing`] run on one thread, with everything else.
    fn syncs_share_thread(&self) -> bool {
        false
    }

    /// Runs `body`, which computes for long while others wait, on another thread if everything shares one, the machine
    /// has another and that is not busy; else where it is polled. Dropped before it is ready, it ends `body`.
    fn beside(&self, body: Fut<'static, ()>) -> Fut<'static, ()> {
        body
    }
}

/// A started task. Dropping the handle leaves it running.
#[derive(Clone)]
pub struct Task(Arc<dyn TaskControl>);

/// What an implementation of [`Spawner`] provides for each task.
pub trait TaskControl: Send + Sync {
    /// Drops the task at its next suspension.
    fn cancel(&self);

    /// Whether it ended, by itself or by `cancel`.
    fn is_finished(&self) -> bool;

    /// Ready once it ended.
    fn finished(&self) -> Fut<'_, ()>;
}

impl Task {
    /// Wraps an implementation's handle.
    pub fn new(control: Arc<dyn TaskControl>) -> Self {
        Self(control)
    }

    /// Drops the task at its next suspension.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether it ended, by itself or by `cancel`.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Ready once it ended.
    pub async fn finished(&self) {
        self.0.finished().await;
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("finished", &self.is_finished()).finish()
    }
}
