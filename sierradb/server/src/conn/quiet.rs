//! A signal that costs nothing until it comes.
//!
//! A connection's task wakes for every request, and its signals come once in its life, if at all. Polling them each
//! time would take locks for nothing. So a signal has a waker of its own: it is polled again only when that was woken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A future polled only when there is reason to.
pub(crate) struct Quiet {
    signal: Pin<Box<dyn Future<Output = ()> + Send>>,
    bell: Option<Arc<Bell>>,
}

/// Rings the task and remembers why.
struct Bell {
    has_rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl Quiet {
    pub(crate) fn new(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { signal: Box::pin(signal), bell: None }
    }

    /// Ready once the signal has come; not to be polled after that.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let bell = match &self.bell {
            Some(bell) if bell.task.will_wake(context.waker()) => {
                if !bell.has_rung.swap(false, Ordering::Acquire) {
                    return Poll::Pending;
                }
                Arc::clone(bell)
            }
            _ => {
                let task = context.waker().clone();
                let bell = Arc::new(Bell { has_rung: AtomicBool::new(false), task });
                self.bell = Some(Arc::clone(&bell));
                bell
            }
        };
        self.signal.as_mut().poll(&mut Context::from_waker(&Waker::from(bell)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use sierradb_io::Shutdown;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_signal_wakes_its_task_and_is_then_seen_by_whichever_task_polls_it() {
        let [first, second] = [0, 1].map(|_| Arc::new(Count(AtomicUsize::new(0))));
        let stop = Shutdown::new();
        let mut quiet = Quiet::new(stop.clone().cancelled_owned());
        for task in [&first, &first, &second] {
            let waker = Waker::from(Arc::clone(task));
            assert!(quiet.poll(&Context::from_waker(&waker)).is_pending());
        }
        stop.cancel();
        let woken = [&first, &second].map(|task| task.0.load(Ordering::Relaxed));
        assert_eq!(woken, [0, 1], "the task that polled it last");
        assert!(quiet.poll(&Context::from_waker(&Waker::from(second))).is_ready());
    }
}
