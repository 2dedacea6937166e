//! Tasks of one boot: a gate that holds polls while the host is paused or dead, seeded yields, stalls of dedicated
//! tasks, and counters by name.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::clock::world_sleep;
use super::config::DeadTasks;
use super::entropy::stream_seed;
use super::host::HostShared;
use super::num::mix;
use crate::{Fut, Prng, Spawner, Task, TaskControl, TaskName};

/// How many tasks of one role there are and were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCount {
    /// Not ended yet.
    pub live: u64,
    /// Started since the host was made.
    pub started: u64,
}

/// All tasks of a host.
#[derive(Debug, Default)]
pub(crate) struct TaskTable {
    counts: BTreeMap<&'static str, TaskCount>,
    live: BTreeMap<u64, AbortHandle>,
    next: u64,
}

impl TaskTable {
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, TaskCount> {
        self.counts.clone()
    }

    /// Handles of all living tasks, in the order of their start.
    pub(crate) fn handles(&self) -> Vec<AbortHandle> {
        self.live.values().cloned().collect()
    }
}

/// Whether tasks of a boot may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Paused,
    Dead,
}

/// Holds the polls of one boot's tasks.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<(Phase, Vec<Waker>)>);

impl Gate {
    pub(crate) fn open() -> Self {
        Self(Mutex::new((Phase::Open, Vec::new())))
    }

    fn state(&self) -> MutexGuard<'_, (Phase, Vec<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pause(&self) {
        let mut state = self.state();
        if state.0 == Phase::Open {
            state.0 = Phase::Paused;
        }
    }

    pub(crate) fn resume(&self) {
        let held = {
            let mut state = self.state();
            if state.0 == Phase::Paused {
                state.0 = Phase::Open;
            }
            std::mem::take(&mut state.1)
        };
        for waker in held {
            waker.wake();
        }
    }

    pub(crate) fn close(&self) {
        let held = {
            let mut state = self.state();
            state.0 = Phase::Dead;
            std::mem::take(&mut state.1)
        };
        drop(held);
    }

    /// Whether a task may be polled now; if the host is paused, it is woken later.
    fn admits(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        match state.0 {
            Phase::Open => true,
            Phase::Paused => {
                state.1.push(cx.waker().clone());
                false
            }
            Phase::Dead => false,
        }
    }
}

/// Spawner of one boot. Its tasks run on the runtime that is current where they are spawned.
pub(crate) struct SimSpawner {
    host: Arc<HostShared>,
    gate: Arc<Gate>,
    boot: u64,
}

impl SimSpawner {
    pub(crate) fn new(host: Arc<HostShared>, gate: Arc<Gate>, boot: u64) -> Self {
        Self { host, gate, boot }
    }

    fn start(&self, name: TaskName, body: Fut<'static, ()>, stall_one_in: u32) -> Task {
        let number = {
            let mut tasks = self.host.tasks();
            let count = tasks.counts.entry(name.role).or_default();
            count.started += 1;
            count.live += 1;
            tasks.next += 1;
            tasks.next
        };
        let ended = CancellationToken::new();
        let root = mix(self.host.root, self.boot);
        let gated = Gated {
            gate: Arc::clone(&self.gate),
            body,
            draw: Prng::new(mix(stream_seed(root, name.role, name.key), number)),
            yield_one_in: self.host.config.yields.one_in(self.host.root),
            stall_one_in,
            stall: None,
            end: End { host: Arc::clone(&self.host), name, number, ended: ended.clone() },
        };
        let abort = spawn_on_current(gated);
        if self.host.is_running(self.boot) {
            self.host.tasks().live.insert(number, abort.clone());
        } else if self.host.config.dead_tasks == DeadTasks::Abort {
            abort.abort();
        }
        Task::new(Arc::new(Control { abort, ended }))
    }
}

#[expect(clippy::disallowed_methods, reason = "the simulated spawner is where tasks come from")]
fn spawn_on_current(body: Gated) -> AbortHandle {
    tokio::spawn(body).abort_handle()
}

impl Spawner for SimSpawner {
    fn spawn(&self, name: TaskName, body: Fut<'static, ()>) -> Task {
        self.start(name, body, 0)
    }

    fn dedicated(&self, name: TaskName, body: Fut<'static, ()>) -> Task {
        self.start(name, body, self.host.config.dedicated_stall_one_in)
    }

    fn syncs_share_thread(&self) -> bool {
        self.host.config.syncs_share_thread
    }
}

struct Control {
    abort: AbortHandle,
    ended: CancellationToken,
}

impl TaskControl for Control {
    fn cancel(&self) {
        self.abort.abort();
    }

    fn is_finished(&self) -> bool {
        self.ended.is_cancelled()
    }

    fn finished(&self) -> Fut<'_, ()> {
        Box::pin(self.ended.cancelled())
    }
}

/// A task behind its gate.
struct Gated {
    gate: Arc<Gate>,
    body: Fut<'static, ()>,
    draw: Prng,
    yield_one_in: u32,
    stall_one_in: u32,
    stall: Option<Fut<'static, ()>>,
    /// Last, so that the body is gone when the end is told.
    end: End,
}

impl Gated {
    /// Whether this poll goes to others instead.
    fn steps_back(&mut self, cx: &mut Context<'_>) -> bool {
        if self.stall.is_none()
            && self.stall_one_in > 1
            && self.draw.chance(1, u64::from(self.stall_one_in))
        {
            let duration = Duration::from_millis(self.draw.between(1, 50));
            self.stall = Some(Box::pin(world_sleep(duration)));
        }
        if let Some(stall) = &mut self.stall {
            if stall.as_mut().poll(cx).is_pending() {
                return true;
            }
            self.stall = None;
        }
        if self.yield_one_in > 1 && self.draw.chance(1, u64::from(self.yield_one_in)) {
            cx.waker().wake_by_ref();
            return true;
        }
        false
    }
}

impl Future for Gated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.gate.admits(cx) || self.steps_back(cx) {
            return Poll::Pending;
        }
        match catch_unwind(AssertUnwindSafe(|| self.body.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(payload) => {
                self.end.host.note_panic(self.end.name, payload.as_ref());
                resume_unwind(payload)
            }
        }
    }
}

/// Tells that a task ended, however it did.
struct End {
    host: Arc<HostShared>,
    name: TaskName,
    number: u64,
    ended: CancellationToken,
}

impl Drop for End {
    fn drop(&mut self) {
        let handle = {
            let mut tasks = self.host.tasks();
            if let Some(count) = tasks.counts.get_mut(self.name.role) {
                count.live = count.live.saturating_sub(1);
            }
            tasks.live.remove(&self.number)
        };
        drop(handle);
        self.ended.cancel();
    }
}
