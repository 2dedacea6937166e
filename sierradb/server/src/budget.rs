//! How many bytes of appends are in work on the whole node; beyond the limit no connection is read until some ended.
//!
//! Connections settle what they hold once per wake-up, not once per append, so the limit is passed by at most what
//! their receive buffers held at that moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::limits::MAX_APPEND_BYTES_IN_WORK;

/// Bytes of appends in work.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    used: AtomicUsize,
    freed: Arc<Notify>,
}

impl Budget {
    /// Whether no more requests are to be read.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.used.load(Ordering::Acquire) >= MAX_APPEND_BYTES_IN_WORK
    }

    /// Ready after some bytes were freed; made before [`Budget::is_exhausted`] is asked, it misses none.
    pub(crate) fn freed(&self) -> OwnedNotified {
        Arc::clone(&self.freed).notified_owned()
    }

    /// What was counted as `before` bytes is `now` as many.
    pub(crate) fn settle(&self, before: usize, now: usize) {
        if now > before {
            self.used.fetch_add(now - before, Ordering::AcqRel);
        } else if before > now {
            let used = self.used.fetch_sub(before - now, Ordering::AcqRel);
            if used >= MAX_APPEND_BYTES_IN_WORK {
                self.freed.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn whoever_waits_for_bytes_is_told_when_some_are_freed() {
        let budget = Budget::default();
        budget.settle(0, MAX_APPEND_BYTES_IN_WORK);
        let mut freed = pin!(budget.freed());
        assert!(budget.is_exhausted());
        let mut context = Context::from_waker(Waker::noop());
        assert!(freed.as_mut().poll(&mut context).is_pending());
        budget.settle(MAX_APPEND_BYTES_IN_WORK, 1);
        assert!(!budget.is_exhausted());
        assert!(freed.as_mut().poll(&mut context).is_ready());
        budget.settle(1, 0);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
