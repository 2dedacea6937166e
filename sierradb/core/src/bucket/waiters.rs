//! Appends not yet answered.
//!
//! Nearly every append is planned at once. Then its result is known and only its commit is waited for, which is one
//! number for all ([`Commits`]). What must wait before it is planned, and a refusal that rests on an entry in flight,
//! has a slot that both ends share, leaner than a channel of tokio's. Its lock is held for a few moves only, never while
//! a waker runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use sierradb_io::Mono;

use super::commits::Commits;
use crate::error::AppendError;
use crate::event::AppendResult;

/// Answer of an append.
pub(crate) type Answer = Result<AppendResult, AppendError>;

/// What both ends share.
#[derive(Debug, Default)]
struct Slot(Mutex<Content>);

#[derive(Debug, Default)]
struct Content {
    /// Given and not yet taken.
    answer: Option<Answer>,
    /// Whom to wake.
    waker: Option<Waker>,
    /// The answering end went without an answer.
    is_abandoned: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, bucket_id: u16, context: &Context<'_>) -> Poll<Answer> {
        let mut content = self.lock();
        if let Some(answer) = content.answer.take() {
            return Poll::Ready(answer);
        }
        if content.is_abandoned {
            return Poll::Ready(Err(AppendError::OutcomeUnknown {
                bucket_id,
                waited: Duration::ZERO,
                cause: "the database was stopped".to_owned(),
            }));
        }
        // Polled again after its end, nothing will ever come.
        match &mut content.waker {
            Some(waker) => waker.clone_from(context.waker()), // clones only if it would wake another
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

/// The answering end: used once.
#[derive(Debug)]
pub(crate) struct Waiter(Option<Arc<Slot>>);

impl Waiter {
    /// Answers. Nobody may be listening any more, which changes nothing.
    pub(crate) fn answer(mut self, answer: Answer) {
        let Some(slot) = self.0.take() else { return };
        let waker = {
            let mut content = slot.lock();
            content.answer = Some(answer);
            content.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let Some(slot) = self.0.take() else { return };
        let waker = {
            let mut content = slot.lock();
            content.is_abandoned = true;
            content.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The answer of an append that was queued; see [`Database::begin_append`](crate::Database::begin_append).
/// Dropping it does not take the append back.
#[derive(Debug)]
pub struct PendingAppend(Pending);

#[derive(Debug)]
enum Pending {
    /// It has its numbers, and waits for the commit of entry `index`.
    Planned {
        commits: Arc<Commits>,
        index: u64,
        begun: Mono,
        /// Given once.
        result: Option<AppendResult>,
    },
    /// It waits for whoever has the other end.
    Slot { slot: Arc<Slot>, bucket_id: u16 },
}

impl PendingAppend {
    /// An answer known at once.
    pub(crate) fn ready(answer: Answer) -> Self {
        let (waiter, pending) = Self::waiting(0);
        waiter.answer(answer);
        pending
    }

    /// An answer that `Waiter` will give.
    pub(crate) fn waiting(bucket_id: u16) -> (Waiter, Self) {
        let slot = Arc::new(Slot::default());
        (Waiter(Some(slot.clone())), Self(Pending::Slot { slot, bucket_id }))
    }

    /// What entry `index` answers once it is committed.
    pub(crate) fn planned(
        commits: Arc<Commits>,
        (index, begun): (u64, Mono),
        result: AppendResult,
    ) -> Self {
        Self(Pending::Planned { commits, index, begun, result: Some(result) })
    }
}

impl Future for PendingAppend {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        match &mut self.get_mut().0 {
            Pending::Planned { commits, index, begun, result } => {
                if result.is_none() {
                    return Poll::Pending; // polled again after its end
                }
                let ended = ready!(commits.poll((*index, *begun), context));
                let result = result.take().expect("looked at above");
                Poll::Ready(ended.map(|()| result))
            }
            Pending::Slot { slot, bucket_id } => slot.poll(*bucket_id, context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(pending: &mut PendingAppend, woken: &Arc<Woken>) -> Poll<Answer> {
        let waker = Waker::from(woken.clone());
        Pin::new(pending).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn an_answer_wakes_whoever_polled_last_and_comes_once() {
        let (waiter, mut pending) = PendingAppend::waiting(3);
        let (first, second) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        assert!(poll(&mut pending, &first).is_pending());
        assert!(poll(&mut pending, &second).is_pending());
        waiter.answer(Err(AppendError::Closing));
        let wakes = [&first, &second].map(|woken| woken.0.load(Ordering::Relaxed));
        assert_eq!(wakes, [0, 1]);
        assert_eq!(poll(&mut pending, &first), Poll::Ready(Err(AppendError::Closing)));
        assert!(poll(&mut pending, &first).is_pending());
    }

    #[test]
    fn an_append_whose_waiter_is_dropped_has_an_unknown_outcome() {
        let (waiter, mut pending) = PendingAppend::waiting(3);
        let woken = Arc::new(Woken::default());
        assert!(poll(&mut pending, &woken).is_pending());
        drop(waiter);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let answer = poll(&mut pending, &woken);
        let Poll::Ready(Err(AppendError::OutcomeUnknown { bucket_id, .. })) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(bucket_id, 3);
    }

    #[test]
    fn nobody_needs_to_listen() {
        let (waiter, pending) = PendingAppend::waiting(0);
        drop(pending);
        waiter.answer(Err(AppendError::Closing));
        let woken = Arc::new(Woken::default());
        let mut pending = PendingAppend::ready(Err(AppendError::Closing));
        assert_eq!(poll(&mut pending, &woken), Poll::Ready(Err(AppendError::Closing)));
    }
}
