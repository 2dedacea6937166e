//! Tasks on a shared runtime, dedicated threads, and waiting from outside.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::beside::Beside;
use super::nearby::{Nearby, Pace};
use crate::{Fut, Spawner, Task, TaskControl, TaskName};

thread_local! {
    /// Whether this thread may block on the disk now, although it runs futures.
    static DEDICATED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is one that may block: a dedicated task's, a reader, or the helper of [`wait`].
pub fn is_dedicated() -> bool {
    DEDICATED.with(Cell::get)
}

/// Whether a system call may wait here: on a dedicated thread, or where no runtime could be stalled.
pub(super) fn may_block() -> bool {
    is_dedicated() || Handle::try_current().is_err()
}

/// Lets this thread block; called once by each thread made for it.
pub(super) fn mark_dedicated() {
    DEDICATED.with(|dedicated| dedicated.set(true));
}

/// Lets this thread block while `work` runs.
pub(super) fn while_dedicated<T>(work: impl FnOnce() -> T) -> T {
    /// Takes the permission back, also if `work` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            DEDICATED.with(|dedicated| dedicated.set(self.0));
        }
    }
    let _before = Before(DEDICATED.with(|dedicated| dedicated.replace(true)));
    work()
}

/// Runs `future` on a helper thread of its own, which may block on the disk, and parks the caller until it is done.
///
/// The door from ordinary code into this crate's futures, and the way for tests to run them. It may be called on a
/// runtime's thread, too; that thread is blocked meanwhile, so `future` must not need a task of that same thread.
/// Inside, this crate's timers and sockets work.
///
/// # Panics
/// If `future` panics, or if the machine gives no thread.
pub fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || {
        mark_dedicated();
        timers_only().block_on(future)
    };
    thread::scope(|scope| {
        let helper = thread::Builder::new()
            .name("wait".to_owned())
            .spawn_scoped(scope, run)
            .expect("the machine gives a thread: without any, nothing can run");
        helper.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The runtime of one dedicated thread: timers, no sockets, no workers.
fn timers_only() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without sockets asks the machine for nothing")
}

/// Where shared tasks run: a runtime given by the owner of the process, or one thread of our own, made when first
/// needed.
#[derive(Debug, Default)]
pub(super) struct Home {
    given: Option<Handle>,
    own: OnceLock<Runtime>,
}

impl Home {
    pub(super) fn given(handle: Handle) -> Self {
        Self { given: Some(handle), own: OnceLock::new() }
    }

    pub(super) fn handle(&self) -> &Handle {
        match &self.given {
            Some(handle) => handle,
            None => self.own.get_or_init(Self::drivers).handle(),
        }
    }

    fn drivers() -> Runtime {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("drivers")
            .enable_all()
            .build()
            .expect("the machine gives a thread and an event queue: without any, nothing can run")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(runtime) = self.own.take() {
            runtime.shutdown_background(); // an ordinary drop would wait, and panic inside a runtime
        }
    }
}

/// Runs `body` on a named thread of its own.
pub(super) fn spawn_thread(name: TaskName, body: Fut<'static, ()>) {
    let run = move || {
        mark_dedicated();
        timers_only().block_on(body);
    };
    thread::Builder::new()
        .name(name.to_string())
        .spawn(run)
        .expect("the machine gives a thread: without it this part of the process cannot run");
}

/// What a panic inside a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// The process aborts: a server restarts rather than limp on with a part missing.
    EndProcess,
    /// The task alone ends: an embedded store stops one bucket and leaves its host running.
    EndTask,
}

/// Where tasks that write and sync run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Syncs {
    /// On threads of their own: nothing else ever waits for the disk.
    #[default]
    OnThreads,
    /// Among the other tasks of a runtime with one thread, as long as the disk is fast: a sequential append costs
    /// two changes of threads less. When turns become slow, each such task moves to a thread of its own until the disk
    /// is fast again.
    AmongTasks,
}

/// Tasks of the machine.
#[derive(Debug)]
pub struct OsSpawner {
    home: Arc<Home>,
    on_panic: OnPanic,
    /// Set where tasks that sync share the runtime's thread.
    nearby: Option<Arc<Pace>>,
    beside: Beside,
}

impl OsSpawner {
    pub(super) fn new(home: Arc<Home>, on_panic: OnPanic, syncs: Syncs) -> Self {
        let nearby = match syncs {
            Syncs::OnThreads => None,
            Syncs::AmongTasks => Some(Arc::default()),
        };
        Self { home, on_panic, nearby, beside: Beside::default() }
    }

    fn guarded(&self, name: TaskName, body: Fut<'static, ()>, done: DropGuard) -> Guarded {
        Guarded { body, name, on_panic: self.on_panic, _done: done }
    }
}

impl Spawner for OsSpawner {
    fn spawn(&self, name: TaskName, body: Fut<'static, ()>) -> Task {
        let done = CancellationToken::new();
        let guarded = self.guarded(name, body, done.clone().drop_guard());
        let cancel = Cancel::Abort(self.home.handle().spawn(guarded).abort_handle());
        Task::new(Arc::new(Control { cancel, done }))
    }

    fn dedicated(&self, name: TaskName, body: Fut<'static, ()>) -> Task {
        let (body, task) = self.stoppable(name, body);
        spawn_thread(name, body);
        task
    }

    fn syncing(&self, name: TaskName, body: Fut<'static, ()>) -> Task {
        let Some(pace) = &self.nearby else { return self.dedicated(name, body) };
        let (body, task) = self.stoppable(name, body);
        let (pace, home) = (Arc::clone(pace), Arc::clone(&self.home));
        Nearby { name, body: Some(body), pace, home }.start();
        task
    }

    fn syncs_share_thread(&self) -> bool {
        self.nearby.as_ref().is_some_and(|pace| !pace.is_slow())
    }

    fn beside(&self, body: Fut<'static, ()>) -> Fut<'static, ()> {
        // A runtime with more threads spreads such work by itself.
        if self.nearby.is_some() { self.beside.run(body) } else { body }
    }
}

impl OsSpawner {
    /// `body`, ended by the word to stop, and the handle that says it.
    fn stoppable(&self, name: TaskName, body: Fut<'static, ()>) -> (Fut<'static, ()>, Task) {
        let done = CancellationToken::new();
        let stop = CancellationToken::new();
        let guarded = self.guarded(name, body, done.clone().drop_guard());
        let stopped = stop.clone();
        let body = Box::pin(async move {
            tokio::select! {
                biased; // the body first: if it ends by itself, nobody needs to stop it
                () = guarded => {}
                () = stopped.cancelled() => {}
            }
        });
        (body, Task::new(Arc::new(Control { cancel: Cancel::Stop(stop), done })))
    }
}

/// How a task is told to stop.
enum Cancel {
    Abort(AbortHandle),
    Stop(CancellationToken),
}

struct Control {
    cancel: Cancel,
    done: CancellationToken,
}

impl TaskControl for Control {
    fn cancel(&self) {
        match &self.cancel {
            Cancel::Abort(task) => task.abort(),
            Cancel::Stop(token) => token.cancel(),
        }
    }

    fn is_finished(&self) -> bool {
        self.done.is_cancelled()
    }

    fn finished(&self) -> Fut<'_, ()> {
        Box::pin(self.done.cancelled())
    }
}

/// A task's body, watched: its end is announced, after everything it owned is gone, and its panic is obeyed.
struct Guarded {
    body: Fut<'static, ()>,
    name: TaskName,
    on_panic: OnPanic,
    /// Fields drop in this order: whoever sees the task finished finds its locks released.
    _done: DropGuard,
}

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let body = &mut self.body;
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(context))) else {
            if self.on_panic == OnPanic::EndProcess {
                end_process(self.name);
            }
            return Poll::Ready(());
        };
        polled
    }
}

fn end_process(name: TaskName) -> ! {
    // The panic hook has already said what went wrong; a closed stderr must not keep us from ending.
    drop(writeln!(std::io::stderr(), "fatal: task {name} panicked, the process ends"));
    std::process::abort()
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
