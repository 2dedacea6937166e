//! How far a bucket's planned entries are committed: what the desk shares with those who wait for them.
//!
//! Entries are committed in the order of their indexes, and an append knows its result as soon as it is planned. So one
//! number answers for all that is in flight, and nothing is allocated, filled or looked up per append. Only who must
//! really wait leaves a waker here; a connection does so for the first of its appends alone.
//!
//! An index means one entry only as long as nothing is taken back. When that happens the desk begins anew with another
//! `Commits`; who waits for an entry of the old one learns its end there.
//!
//! Invariants: the committed index rises under the lock, so that no waker comes too late; wakers are called by whoever
//! collects them, when all locks are gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sierradb_io::Mono;

use crate::error::AppendError;

/// What became of planned entries, up to where no other verdict is known.
#[derive(Debug)]
pub(crate) struct Commits {
    bucket_id: u16,
    /// The longest wait for the sync.
    timeout: Duration,
    /// The last entry that is committed and visible.
    committed_index: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whom to wake, by the entry waited for.
    calls: BTreeMap<u64, Call>,
    /// Ends of entries behind an index; the first that fits holds.
    endings: Vec<(u64, Ending)>,
    /// When it was last looked for waits that took too long.
    looked_at: Option<Mono>,
}

#[derive(Debug)]
struct Call {
    begun: Mono,
    waker: Waker,
}

/// How entries end that are not committed.
#[derive(Debug)]
pub(crate) enum Ending {
    /// A disk error, at this time: the outcome of those up to an index is unknown, the others are not written.
    Poisoned {
        /// The last entry whose write was begun.
        begun_index: u64,
        /// The error.
        cause: String,
        /// When.
        at: Mono,
    },
    /// They were taken back.
    Refused(AppendError),
    /// Nobody is there any more who could commit them.
    Abandoned,
}

impl Commits {
    /// For entries behind `committed_index`.
    pub(crate) fn new(bucket_id: u16, timeout: Duration, committed_index: u64) -> Self {
        Self {
            bucket_id,
            timeout,
            committed_index: AtomicU64::new(committed_index),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, index: u64) -> bool {
        index <= self.committed_index.load(Ordering::Acquire)
    }

    /// Whether entry `index`, begun at `begun`, is committed, or how it ended; until then `context` is woken when that
    /// is known.
    pub(crate) fn poll(
        &self,
        (index, begun): (u64, Mono),
        context: &Context<'_>,
    ) -> Poll<Result<(), AppendError>> {
        if self.has(index) {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.lock();
        if self.has(index) {
            return Poll::Ready(Ok(())); // committed a moment ago
        }
        if let Some(error) = self.end_of(&state, index, begun) {
            return Poll::Ready(Err(error));
        }
        match state.calls.get_mut(&index) {
            Some(call) => call.waker.clone_from(context.waker()),
            None => {
                let call = Call { begun, waker: context.waker().clone() };
                state.calls.insert(index, call);
            }
        }
        Poll::Pending
    }

    fn end_of(&self, state: &State, index: u64, begun: Mono) -> Option<AppendError> {
        match state.endings.iter().find(|(after, _)| index > *after).map(|(_, ending)| ending) {
            Some(Ending::Poisoned { begun_index, cause, at }) if index <= *begun_index => {
                Some(self.unknown(at.since(begun), cause))
            }
            Some(Ending::Poisoned { cause, .. }) => {
                Some(AppendError::ReadOnly { bucket_id: self.bucket_id, cause: cause.clone() })
            }
            Some(Ending::Refused(error)) => Some(error.clone()),
            Some(Ending::Abandoned) => {
                Some(self.unknown(Duration::ZERO, "the database was stopped"))
            }
            None => {
                let waited = state.looked_at?.since(begun);
                let is_late = waited >= self.timeout;
                is_late.then(|| self.unknown(waited, "the disk has not answered"))
            }
        }
    }

    fn unknown(&self, waited: Duration, cause: &str) -> AppendError {
        let (bucket_id, cause) = (self.bucket_id, cause.to_owned());
        AppendError::OutcomeUnknown { bucket_id, waited, cause }
    }

    /// Entries up to `index` are committed and visible: adds to `wakers` those of who waits for them.
    pub(crate) fn commit(&self, index: u64, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        self.committed_index.store(index, Ordering::Release);
        while let Some(first) = state.calls.first_entry().filter(|first| *first.key() <= index) {
            wakers.push(first.remove().waker);
        }
    }

    /// Entries behind `after` end so: adds to `wakers` those of who waits for them.
    pub(crate) fn end(&self, after: u64, ending: Ending, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        state.endings.push((after, ending));
        let ended = state.calls.split_off(&after.saturating_add(1));
        wakers.extend(ended.into_values().map(|call| call.waker));
    }

    /// Ends waits that took too long: adds to `wakers` those of who waits so.
    pub(crate) fn expire(&self, now: Mono, wakers: &mut Vec<Waker>) {
        let mut state = self.lock();
        state.looked_at = state.looked_at.max(Some(now));
        let is_late = |call: &Call| now.since(call.begun) >= self.timeout;
        let late = state.calls.extract_if(.., |_, call| is_late(call));
        wakers.extend(late.map(|(_, call)| call.waker));
    }
}

#[cfg(test)]
mod tests;
