//! Threads that wait for the disk on behalf of tasks that may not, or have better things to do.
//!
//! A bounded queue and up to `max_threads` helpers, started one by one as work piles up. A full queue makes the asking
//! task wait, never its thread.

use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::task;
use crate::limits;

type Job = Box<dyn FnOnce() + Send>;

/// The helpers of one disk; they end when it is dropped.
pub(super) struct Helpers {
    /// For reads that the page cache could not answer.
    pub(super) readers: Pool,
    /// For durable writes begun by threads that go on meanwhile.
    pub(super) syncers: Pool,
    /// Those of them that are not over.
    pub(super) writes: Arc<WritesUnderWay>,
}

/// Counts writes that nobody may be waiting for any more.
#[derive(Debug, Default)]
pub(super) struct WritesUnderWay {
    now: Mutex<UnderWay>,
    none: Condvar,
}

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    /// Released when there is none.
    locks: Vec<File>,
}

/// One of them; over when dropped.
pub(super) struct WriteUnderWay(Arc<WritesUnderWay>);

impl WritesUnderWay {
    pub(super) fn begin(self: &Arc<Self>) -> WriteUnderWay {
        self.now().count += 1;
        WriteUnderWay(Arc::clone(self))
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.now().count
    }

    /// Releases `lock` when there is none. Waits for that, but not for long: a disk may hang for ever.
    pub(super) fn release_behind(&self, lock: File) {
        let is_any = |now: &mut UnderWay| now.count > 0;
        let waited = self.none.wait_timeout_while(self.now(), limits::LOCK_RELEASE_WAIT, is_any);
        let (mut now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if now.count > 0 {
            now.locks.push(lock);
        }
    }

    fn now(&self) -> MutexGuard<'_, UnderWay> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WriteUnderWay {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.count -= 1;
        if now.count == 0 {
            now.locks.clear();
            self.0.none.notify_all();
        }
    }
}

impl Helpers {
    pub(super) fn new(read_threads: usize) -> Self {
        Self {
            readers: Pool::new("reader", read_threads, limits::READ_QUEUE),
            syncers: Pool::new("sync", limits::SYNC_THREADS, limits::SYNC_QUEUE),
            writes: Arc::default(),
        }
    }
}

/// Helpers for one kind of work.
pub(super) struct Pool {
    shared: Arc<Shared>,
    name: &'static str,
    max_threads: usize,
}

struct Shared {
    /// Free places in the queue.
    room: Semaphore,
    queue: Mutex<Queue>,
    wake: Condvar,
}

/// Invariants: `idle <= threads <= max_threads`; with the free places, jobs make up the length of the queue.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Pool {
    fn new(name: &'static str, max_threads: usize, queue_len: usize) -> Self {
        let shared = Shared {
            room: Semaphore::new(queue_len),
            queue: Mutex::default(),
            wake: Condvar::new(),
        };
        Self { shared: Arc::new(shared), name, max_threads: max_threads.max(1) }
    }

    /// Runs `work` on a helper. If the caller is dropped first, work not yet begun is not done.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let place = self.shared.room.acquire().await.expect("the semaphore is never closed");
        self.begin(place, work).await.expect("a helper answers unless its work panics")
    }

    /// A place for [`Pool::begin`]; `None` if too much waits already.
    pub(super) fn try_place(&self) -> Option<SemaphorePermit<'_>> {
        self.shared.room.try_acquire().ok()
    }

    /// Has `work` begun on a helper. If the answer is dropped before, work is not done; if `work` panics, none comes.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        place: SemaphorePermit<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        place.forget(); // given back by the helper that takes the job
        let (reply, answer) = oneshot::channel();
        self.push(Box::new(move || {
            // Whoever dropped the question does not want the answer.
            if !reply.is_closed() {
                drop(reply.send(work()));
            }
        }));
        answer
    }

    fn push(&self, job: Job) {
        let mut queue = self.shared.queue();
        queue.jobs.push_back(job);
        if queue.jobs.len() <= queue.idle {
            self.shared.wake.notify_one();
            return;
        }
        if queue.threads == self.max_threads {
            return; // all are busy and look here before they sleep
        }
        let index = queue.threads;
        queue.threads += 1;
        drop(queue);
        self.start_helper(index);
    }

    fn start_helper(&self, index: usize) {
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name(format!("{}-{index}", self.name))
            .spawn(move || help(&shared));
        if started.is_err() {
            let mut queue = self.shared.queue();
            queue.threads -= 1;
            let alone = queue.threads == 0;
            drop(queue);
            if alone {
                // No thread to be had at all: slow for the others of this one, but right.
                while self.shared.run_next() {}
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.queue().is_closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one job; `false` if there was none.
    fn run_next(&self) -> bool {
        let job = self.queue().jobs.pop_front();
        let Some(job) = job else { return false };
        self.room.add_permits(1);
        // Who asked learns of a panic, since no answer comes. The others keep their helper.
        drop(catch_unwind(AssertUnwindSafe(job)));
        true
    }
}

fn help(shared: &Shared) {
    task::mark_dedicated();
    loop {
        while shared.run_next() {}
        let mut queue = shared.queue();
        while queue.jobs.is_empty() {
            if queue.is_closed {
                return;
            }
            queue.idle += 1;
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::JoinSet;

    use super::*;

    const QUEUE_LEN: usize = 256;

    fn pool(max_threads: usize) -> Pool {
        Pool::new("helper", max_threads, QUEUE_LEN)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn more_work_than_places_is_all_done() {
        let pool = Arc::new(pool(3));
        let total = runtime().block_on(async {
            let mut tasks = JoinSet::new();
            for number in 0..QUEUE_LEN * 3 {
                let pool = Arc::clone(&pool);
                tasks.spawn(async move { pool.run(move || number).await });
            }
            tasks.join_all().await.into_iter().sum::<usize>()
        });
        let count = QUEUE_LEN * 3;
        assert_eq!(total, count * (count - 1) / 2);
        assert_eq!(pool.shared.room.available_permits(), QUEUE_LEN);
        assert!(pool.shared.queue().threads <= 3);
    }

    #[test]
    fn a_full_queue_makes_the_task_wait_and_not_its_thread() {
        let pool = Arc::new(pool(1));
        let (release, blocked) = mpsc::sync_channel::<()>(1);
        runtime().block_on(async {
            let mut tasks = JoinSet::new();
            let first = Arc::clone(&pool);
            tasks.spawn(async move { first.run(move || blocked.recv().unwrap()).await });
            for _ in 0..QUEUE_LEN + 10 {
                let pool = Arc::clone(&pool);
                tasks.spawn(async move { pool.run(|| ()).await });
            }
            // This thread still turns: it is the one that ends the jam.
            while pool.shared.room.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            release.send(()).unwrap();
            tasks.join_all().await;
        });
    }

    #[test]
    fn a_panic_ends_its_own_question_alone() {
        let pool = pool(1);
        let place = || pool.try_place().unwrap();
        runtime().block_on(async {
            assert!(pool.begin(place(), || panic!("on purpose")).await.is_err());
            assert_eq!(pool.begin(place(), || 1).await, Ok(1));
        });
        assert_eq!(pool.shared.room.available_permits(), QUEUE_LEN);
    }

    #[test]
    fn dropped_questions_are_not_answered() {
        let pool = pool(1);
        let (release, blocked) = mpsc::sync_channel::<()>(1);
        let (ran, has_run) = mpsc::sync_channel::<&str>(4);
        runtime().block_on(async {
            let mut jam = Box::pin(pool.run(move || blocked.recv().unwrap()));
            let noted = ran.clone();
            let mut unwanted = Box::pin(pool.run(move || noted.send("unwanted").unwrap()));
            tokio::select! {
                biased; // each is polled once, so that both are queued
                () = &mut jam => unreachable!("nobody released it"),
                () = &mut unwanted => unreachable!("the only reader is busy"),
                () = async {} => {}
            }
            drop(unwanted);
            release.send(()).unwrap();
            jam.await;
            pool.run(move || ran.send("wanted").unwrap()).await;
        });
        assert_eq!(has_run.iter().collect::<Vec<_>>(), ["wanted"]);
    }
}
