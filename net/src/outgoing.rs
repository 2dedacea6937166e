//! What waits to be written to one connection: replies, and behind them pushes.
//!
//! Replies go ahead of waiting pushes, but never into the middle of one. Each kind has its own budget of bytes: with
//! too many unsent replies the connection reads no requests; with too many waiting pushes the subscriptions wait, in
//! the order in which they asked. So a slow consumer costs a position in a log, not memory.
//!
//! [`Outgoing`] belongs to the connection's task. Each subscription holds a [`PushSender`].
//!
//! Invariants: `front_written` is below the length of the first frame; every frame waiting or taken holds its charge
//! of the push budget until its last byte is written or it is discarded.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::Semaphore;

use crate::limits;
use crate::resp::{Dialect, Encoder};

/// The connection's side.
#[derive(Debug)]
pub struct Outgoing {
    replies: BytesMut,
    /// Bytes of them written since there were none.
    burst: usize,
    /// The same, until there were none again.
    last_burst: usize,
    /// Frames taken from the shared queue.
    frames: VecDeque<Frame>,
    /// Bytes of the first frame already written.
    front_written: usize,
    /// Whom the next push wakes. Set while there is no frame and was no news.
    registered: Option<Waker>,
    shared: Arc<Shared>,
}

/// What senders and connection share.
#[derive(Debug)]
struct Shared {
    /// Bytes that pushes may still take.
    budget: Semaphore,
    /// A frame was sent since the connection's last look. Set under the lock of `waiting`.
    has_news: AtomicBool,
    /// A subscription was closed, so frames may have become void.
    has_closed: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Frame>,
    /// The connection's task, if it found nothing.
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Frame {
    bytes: Bytes,
    charge: u32,
    /// Set by its subscription's end.
    is_void: Arc<AtomicBool>,
}

impl Outgoing {
    /// Nothing to write.
    pub fn new() -> Self {
        let shared = Shared {
            budget: Semaphore::new(limits::PUSH_BUDGET_BYTES),
            has_news: AtomicBool::new(false),
            has_closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        };
        Self {
            replies: BytesMut::new(),
            burst: 0,
            last_burst: 0,
            frames: VecDeque::new(),
            front_written: 0,
            registered: None,
            shared: Arc::new(shared),
        }
    }

    /// Writes the next reply: exactly one value.
    pub fn reply(&mut self, dialect: Dialect) -> Encoder<'_> {
        Encoder::new(&mut self.replies, dialect)
    }

    /// Writes the next replies, each exactly one value.
    #[inline]
    pub fn replies(&mut self) -> Replies<'_> {
        if self.replies.capacity() == 0 {
            // A little more, since numbers grow.
            let room = self.last_burst + self.last_burst / 8;
            self.replies.reserve(room.min(limits::REPLY_ROOM_MAX_BYTES));
        }
        // In which dialect does not matter before the first.
        Replies { encoder: Encoder::new(&mut self.replies, Dialect::Resp2) }
    }

    /// Adds a reply encoded elsewhere.
    pub fn reply_bytes(&mut self, bytes: &[u8]) {
        self.replies.extend_from_slice(bytes);
    }

    /// Bytes of replies not yet written.
    pub fn unsent_reply_bytes(&self) -> usize {
        self.replies.len()
    }

    /// Whether so many replies wait that no more requests should be read.
    pub fn is_over_budget(&self) -> bool {
        self.replies.len() >= limits::REPLY_BUDGET_BYTES
    }

    /// A way in for the pushes of one more subscription.
    pub fn push_sender(&self) -> PushSender {
        PushSender { shared: Arc::clone(&self.shared), is_void: Arc::default() }
    }

    /// Bytes of the push budget in use: what waits here and in the shared queue, with overhead.
    pub fn waiting_push_bytes(&self) -> usize {
        limits::PUSH_BUDGET_BYTES.saturating_sub(self.shared.budget.available_permits())
    }

    /// Takes over what subscriptions have sent, drops what closed ones left behind, and has the task of `context`
    /// woken by the next push if there is none. To be called before [`slices`](Self::slices).
    pub fn collect(&mut self, context: &Context<'_>) {
        let current = context.waker();
        let is_known = self.registered.as_ref().is_some_and(|known| known.will_wake(current));
        if is_known && !self.shared.has_news.load(Ordering::Acquire) {
            return; // nearly always: there is no frame, so none to discard either, and no lock is taken
        }
        let mut waiting = self.shared.waiting();
        self.shared.has_news.store(false, Ordering::Release);
        self.frames.append(&mut waiting.frames);
        waiting.waker = self.frames.is_empty().then(|| current.clone());
        self.registered.clone_from(&waiting.waker);
        drop(waiting);
        if self.shared.has_closed.swap(false, Ordering::AcqRel) {
            self.discard_void();
        }
    }

    /// The replies, if nothing else is to be written.
    pub fn only_replies(&self) -> Option<&[u8]> {
        self.frames.is_empty().then_some(&self.replies)
    }

    /// The pieces to write next, in order; returns how many.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let begun = self.frames.front().filter(|_| self.front_written > 0);
        let rest = begun.and_then(|frame| frame.bytes.get(self.front_written..));
        let replies = (!self.replies.is_empty()).then_some(self.replies.as_ref());
        let frames = self.frames.iter().skip(usize::from(rest.is_some()));
        let pieces = rest.into_iter().chain(replies).chain(frames.map(|frame| &*frame.bytes));
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            used += 1;
        }
        used
    }

    /// The first `count` bytes of [`slices`](Self::slices) are written.
    ///
    /// # Panics
    /// If there were fewer.
    pub fn written(&mut self, mut count: usize) {
        if self.front_written > 0 {
            count -= self.frame_written(count);
        }
        let replies = count.min(self.replies.len());
        self.replies.advance(replies);
        count -= replies;
        self.burst += replies;
        if self.burst > 0 && self.replies.is_empty() {
            // The next connection gets this room while it is still in the processor's cache.
            self.replies = BytesMut::new();
            self.last_burst = std::mem::take(&mut self.burst);
        }
        while count > 0 {
            let taken = self.frame_written(count);
            assert!(taken > 0, "{count} bytes more were written than there were");
            count -= taken;
        }
    }

    /// Whether nothing waits here; subscriptions may have sent something since [`collect`](Self::collect).
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.frames.is_empty()
    }

    /// Counts up to `count` bytes of the first frame as written; returns how many it took.
    fn frame_written(&mut self, count: usize) -> usize {
        let Some(front) = self.frames.front() else { return 0 };
        let taken = count.min(front.bytes.len() - self.front_written);
        self.front_written += taken;
        if self.front_written == front.bytes.len() {
            self.front_written = 0;
            let charge = front.charge;
            self.frames.pop_front();
            self.shared.release(charge);
        }
        taken
    }

    /// A frame begun is finished, or the client could not read on.
    fn discard_void(&mut self) {
        let mut is_begun = self.front_written > 0;
        let shared = Arc::clone(&self.shared);
        self.frames.retain(|frame| {
            let keep = std::mem::take(&mut is_begun) || !frame.is_void.load(Ordering::Acquire);
            if !keep {
                shared.release(frame.charge);
            }
            keep
        });
    }
}

/// Several replies written one after another: cheaper than each by itself.
#[derive(Debug)]
pub struct Replies<'a> {
    encoder: Encoder<'a>,
}

impl<'a> Replies<'a> {
    /// Writes the next reply in this dialect.
    pub fn to(&mut self, dialect: Dialect) -> &mut Encoder<'a> {
        self.encoder.set_dialect(dialect);
        &mut self.encoder
    }

    /// As [`Outgoing::is_over_budget`].
    pub fn is_over_budget(&self) -> bool {
        self.encoder.total_len() >= limits::REPLY_BUDGET_BYTES
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.shared.budget.close();
        self.shared.waiting().frames.clear();
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, charge: u32) {
        self.budget.add_permits(usize::try_from(charge).unwrap_or(usize::MAX));
    }
}

/// The connection is gone, or the subscription closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads these pushes any more")]
pub struct PushClosed;

/// The way of one subscription's frames into its connection.
#[derive(Debug, Clone)]
pub struct PushSender {
    shared: Arc<Shared>,
    is_void: Arc<AtomicBool>,
}

impl PushSender {
    /// Bytes of the push budget in use by all subscriptions of the connection.
    pub fn waiting_bytes(&self) -> usize {
        limits::PUSH_BUDGET_BYTES.saturating_sub(self.shared.budget.available_permits())
    }

    /// Waits until the connection has room for at least a small push: the moment to read a batch.
    ///
    /// # Errors
    /// [`PushClosed`]
    pub async fn room(&self) -> Result<(), PushClosed> {
        let place = self.shared.budget.acquire().await.map_err(|_closed| PushClosed)?;
        drop(place);
        self.refuse_closed()
    }

    /// Queues one complete frame as soon as the budget allows. Whoever waits longest comes first.
    ///
    /// Cancel-safe: dropped while it waits, the frame is not sent.
    ///
    /// # Errors
    /// [`PushClosed`]
    ///
    /// # Panics
    /// If the frame is empty.
    pub async fn send(&self, frame: Bytes) -> Result<(), PushClosed> {
        assert!(!frame.is_empty(), "a frame has a first byte");
        let counted = frame.len().saturating_add(limits::PUSH_OVERHEAD_BYTES);
        // One push of any size may wait: it takes the whole budget.
        let charge = u32::try_from(counted.min(limits::PUSH_BUDGET_BYTES)).unwrap_or(u32::MAX);
        let places = self.shared.budget.acquire_many(charge).await;
        let places = places.map_err(|_closed| PushClosed)?;
        let is_void = Arc::clone(&self.is_void);
        let mut waiting = self.shared.waiting();
        self.refuse_closed()?; // under the lock: from `close` on, nothing enters the queue
        waiting.frames.push_back(Frame { bytes: frame, charge, is_void });
        self.shared.has_news.store(true, Ordering::Release);
        let waker = waiting.waker.take();
        drop(waiting);
        places.forget(); // given back when the frame is written or discarded
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Ends the way: what waits is discarded, except a frame whose first bytes are written; what comes is refused.
    /// A reply encoded after this call is not followed by any of these frames.
    pub fn close(&self) {
        let mut waiting = self.shared.waiting();
        self.is_void.store(true, Ordering::Release);
        self.shared.has_closed.store(true, Ordering::Release);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn refuse_closed(&self) -> Result<(), PushClosed> {
        if self.is_void.load(Ordering::Acquire) || self.shared.budget.is_closed() {
            return Err(PushClosed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
