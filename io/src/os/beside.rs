//! A second thread for work that only computes, where everything else shares one.
//!
//! What it costs: two changes of threads for each piece of work. So it is for pieces that take several times as long,
//! while others wait for the shared thread. A piece that finds the second thread busy enough stays where it is: then
//! both threads work.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinHandle};

use crate::Fut;

/// Pieces of work the second thread has at a time: one under way, one that follows without a wait.
const WORK_MAX: usize = 2;

/// The second thread, started when first needed.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// `None` if the machine gave no thread.
    runtime: OnceLock<Option<Runtime>>,
    under_way: Arc<AtomicUsize>,
}

impl Beside {
    /// Runs `body` on the second thread, or where it is polled.
    pub(super) fn run(&self, body: Fut<'static, ()>) -> Fut<'static, ()> {
        let Some(place) = Place::take(&self.under_way) else { return body };
        let Some(runtime) = self.runtime.get_or_init(second_thread) else { return body };
        let task = runtime.spawn(async move {
            body.await;
            drop(place);
        });
        Box::pin(Handed(task))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take().flatten() {
            runtime.shutdown_background(); // an ordinary drop would wait, and panic inside a runtime
        }
    }
}

fn second_thread() -> Option<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("scans").enable_time().build().ok()
}

/// One of the places on the second thread.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(under_way: &Arc<AtomicUsize>) -> Option<Self> {
        // Relaxed: the number guards no other memory.
        let before = under_way.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(under_way));
        (before < WORK_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ready when the work handed over has ended; panics as that did. Dropped earlier, it ends the work.
struct Handed(JoinHandle<()>);

impl Future for Handed {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(|ended| {
            if let Some(panic) = ended.err().and_then(|error| JoinError::try_into_panic(error).ok())
            {
                resume_unwind(panic);
            }
        })
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn block_on<T>(body: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(body)
    }

    fn thread_name() -> Option<String> {
        std::thread::current().name().map(str::to_owned)
    }

    /// Runs one piece of work and tells the thread it ran on.
    async fn thread_of_work(beside: &Beside) -> Option<String> {
        let name = Arc::new(Mutex::new(None));
        let told = Arc::clone(&name);
        beside.run(Box::pin(async move { *told.lock().unwrap() = thread_name() })).await;
        name.lock().unwrap().clone()
    }

    #[test]
    fn work_runs_on_the_second_thread_until_that_has_enough() {
        let beside = Beside::default();
        assert_eq!(block_on(thread_of_work(&beside)), Some("scans".to_owned()));
        let (go, wait) = sync_channel::<()>(0);
        let first = beside.run(Box::pin(async move { wait.recv().unwrap() }));
        let second = beside.run(Box::pin(async {}));
        assert_eq!(block_on(thread_of_work(&beside)), thread_name(), "both places are taken");
        go.send(()).unwrap();
        block_on(async {
            first.await;
            second.await;
        });
        assert_eq!(block_on(thread_of_work(&beside)), Some("scans".to_owned()));
    }

    #[test]
    fn a_panic_reaches_whoever_waits_and_frees_its_place() {
        let beside = Beside::default();
        for _ in 0..=WORK_MAX {
            let panics = || block_on(beside.run(Box::pin(async { panic!("no event") })));
            let panic = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"no event"));
        }
        assert_eq!(block_on(thread_of_work(&beside)), Some("scans".to_owned()));
    }

    #[test]
    fn work_nobody_waits_for_any_more_ends() {
        let beside = Beside::default();
        for _ in 0..=WORK_MAX {
            drop(beside.run(Box::pin(std::future::pending())));
        }
        // An abort takes effect on the other thread.
        while beside.under_way.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
    }
}
