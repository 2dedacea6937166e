//! One subscription as its connection and its task share it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use sierradb_io::Shutdown;
use sierradb_net::{Dialect, PushSender};
use sierradb_protocol::Refusal;
use sierradb_protocol::command::PushKind;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

use crate::limits::SUBSCRIPTION_READERS;
use crate::subscription::window::Window;

/// What all subscriptions of one connection share.
#[derive(Debug)]
pub(crate) struct Lane {
    /// How frames are written.
    dialect: Mutex<Dialect>,
    /// Places for those that hold a batch of events in memory.
    pub(crate) readers: Semaphore,
    /// The connection's task, if it waits for the last of them to end.
    closing: AtomicWaker,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: Uuid,
    pub(crate) kind: PushKind,
    pub(crate) lane: Arc<Lane>,
    /// Its way into the connection.
    pub(crate) sender: PushSender,
    /// Cancelled when the server ends it: an `end` frame follows.
    pub(crate) ends: Shutdown,
    window: Mutex<Window>,
    /// Told after each acknowledgement.
    pub(crate) acknowledged: Notify,
    /// Events whose frames are on their way: what a last frame calls the next cursor.
    queued: AtomicU64,
    /// Its last frame is queued.
    is_over: AtomicBool,
}

impl Lane {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect: Mutex::new(dialect),
            readers: Semaphore::new(SUBSCRIPTION_READERS),
            closing: AtomicWaker::new(),
        }
    }

    /// How frames are written.
    pub(crate) fn dialect(&self) -> Dialect {
        *lock(&self.dialect)
    }

    /// Has the task of `context` woken whenever a subscription ended.
    pub(crate) fn wake_at_end(&self, context: &Context<'_>) {
        self.closing.register(context.waker());
    }

    /// Frames encoded from now on are written in `dialect`.
    pub(crate) fn set_dialect(&self, dialect: Dialect) {
        *lock(&self.dialect) = dialect;
    }
}

impl Member {
    pub(crate) fn new(
        id: Uuid,
        kind: PushKind,
        window: Window,
        lane: Arc<Lane>,
        sender: PushSender,
    ) -> Self {
        Self {
            id,
            kind,
            lane,
            sender,
            ends: Shutdown::new(),
            window: Mutex::new(window),
            acknowledged: Notify::new(),
            queued: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Whether it ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// It ended: the client has been, or need not be, told.
    pub(crate) fn set_over(&self) {
        self.is_over.store(true, Ordering::Release);
        self.lane.closing.wake();
    }

    /// How many events may be sent now.
    pub(crate) fn room(&self) -> u64 {
        lock(&self.window).room()
    }

    /// Takes the next cursor; there must be room. From here on it may be acknowledged.
    pub(crate) fn take_cursor(&self) -> u64 {
        lock(&self.window).send()
    }

    /// The frame of this cursor is on its way.
    pub(crate) fn queued(&self, cursor: u64) {
        self.queued.store(cursor + 1, Ordering::Release);
    }

    /// The cursor of the first event whose frame is not on its way.
    pub(crate) fn next_cursor(&self) -> u64 {
        self.queued.load(Ordering::Acquire)
    }

    /// Moves the acknowledged cursor.
    pub(crate) fn acknowledge(&self, cursor: u64) -> Result<(), Refusal> {
        lock(&self.window).acknowledge(cursor)?;
        self.acknowledged.notify_one();
        Ok(())
    }
}

/// What is under these locks is changed in one step, so a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
