//! Where a bucket's appends are judged: planner, entries in flight, and those who wait, behind one lock.
//!
//! Whoever brings an append plans it there and then; the writer takes what was planned; who commits takes it out and
//! answers. So an append that needs no cold read changes threads twice only: to the writer and back.
//!
//! Lock order: the desk, then (inside) the segments' lock for reading, then for a moment that of remembered heads or of
//! a part of the block cache. Never the other way, never over an await.
//!
//! Waiting is in order of arrival per partition: behind an append that waits for a read, later ones to the same
//! partition wait too, so pipelined appends of one client get the numbers they would get one after another. A held
//! refusal changes nothing and holds up nobody.

mod ending;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use sierradb_io::Mono;
use sierradb_protocol::PartitionId;
use uuid::Uuid;

use super::commits::{Commits, Ending};
use super::health::Health;
use super::identity::{self, Identity};
use super::planned::Planned;
use super::planner::{ColdNeed, Facts, Planner, Verdict, View};
use super::waiters::{Answer, PendingAppend, Waiter};
use crate::error::AppendError;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_FRAMES, MAX_IN_FLIGHT_BYTES, MAX_WAITING_APPENDS};
use crate::transaction::Transaction;

/// An append on its way in.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) transaction: Transaction,
    pub(crate) partition: PartitionId,
    pub(crate) begun: Mono,
}

/// A job that could not be planned yet.
#[derive(Debug)]
struct Waiting {
    job: Job,
    waiter: Waiter,
    facts: Option<Facts>,
    /// What it waits for; `None`: for room.
    need: Option<ColdNeed>,
    /// Somebody is reading it.
    is_read: bool,
}

/// An answer that waits for an entry.
#[derive(Debug)]
struct Held {
    waiter: Waiter,
    answer: Answer,
    begun: Mono,
}

/// Bounds of a desk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeskLimits {
    /// Entries in flight.
    pub(crate) in_flight: usize,
    /// The longest wait for a place, and for the sync.
    pub(crate) timeout: Duration,
}

/// The state behind the lock.
#[derive(Debug)]
pub(crate) struct Desk {
    bucket_id: u16,
    limits: DeskLimits,
    planner: Planner,
    health: Health,
    /// In index order; a suffix of them is not yet taken by the writer.
    in_flight: VecDeque<Arc<Planned>>,
    in_flight_bytes: u64,
    untaken: usize,
    /// Shared with those who wait for what is in flight.
    commits: Arc<Commits>,
    /// Index of the last entry whose write was begun, by this process.
    begun_index: u64,
    waiting: VecDeque<Waiting>,
    held: BTreeMap<u64, Vec<Held>>,
}

/// Answers to give, and whom to wake for one that is there already, once the lock is gone.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    given: Vec<(Waiter, Answer)>,
    wakers: Vec<Waker>,
}

impl Answers {
    fn push(&mut self, waiter: Waiter, answer: Answer) {
        self.given.push((waiter, answer));
    }

    /// Gives them.
    pub(crate) fn give(mut self) {
        self.wake_all();
        for (waiter, answer) in std::mem::take(&mut self.given) {
            waiter.answer(answer);
        }
    }

    fn wake_all(&mut self) {
        while let Some(waker) = self.wakers.pop() {
            waker.wake();
        }
    }
}

impl Drop for Answers {
    /// Whoever is to be woken is on no list any more: a panic at the desk must not leave him asleep.
    fn drop(&mut self) {
        self.wake_all();
    }
}

/// An entry is being put into the index on another thread, and is still in the overlay: whoever asks for it waits until
/// [`Desk::release`].
struct Applied;

/// Who has something to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wakes {
    /// The writer has something to do.
    pub(crate) writer: bool,
    /// Something must be read.
    pub(crate) reader: bool,
}

impl Desk {
    pub(crate) fn new(
        bucket_id: u16,
        limits: DeskLimits,
        planner: Planner,
        health: Health,
    ) -> Self {
        let commits = Commits::new(bucket_id, limits.timeout, planner.committed_index());
        Self {
            commits: Arc::new(commits),
            bucket_id,
            limits,
            planner,
            health,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            untaken: 0,
            begun_index: 0,
            waiting: VecDeque::new(),
            held: BTreeMap::new(),
        }
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Entries planned and not yet in the index.
    pub(crate) fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// Entries that wait for the writer.
    pub(crate) fn untaken_count(&self) -> usize {
        self.untaken
    }

    /// Appends not yet answered that only wait.
    pub(crate) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is in work.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.waiting.is_empty() && self.held.is_empty()
    }

    /// Takes a job in.
    pub(crate) fn submit(
        &mut self,
        job: Job,
        view: &dyn View,
        now_ns: u64,
    ) -> (PendingAppend, Wakes) {
        if let Some(refusal) = self.health.refusal(self.bucket_id) {
            return (PendingAppend::ready(Err(refusal)), Wakes::default());
        }
        if self.is_behind(job.partition) || !self.has_room() {
            return (self.wait(job, None), Wakes::default());
        }
        let verdict = self.planner.plan((&job.transaction, job.partition), None, view, now_ns);
        match verdict {
            Verdict::Planned(planned, result) => {
                let place = (planned.index, job.begun);
                let pending = PendingAppend::planned(Arc::clone(&self.commits), place, result);
                (pending, self.launch(planned))
            }
            Verdict::Answered(answer) => (PendingAppend::ready(answer), Wakes::default()),
            Verdict::Cold(need) => self.read_first(job, need),
            Verdict::Attached { index } => match self.retry(&job.transaction, index) {
                Ok(answer) => (self.hold_new(index, answer, job.begun), Wakes::default()),
                Err(Applied) => (self.wait(job, None), Wakes::default()),
            },
            Verdict::Held { index, error } => {
                (self.hold_new(index, Err(error), job.begun), Wakes::default())
            }
        }
    }

    fn read_first(&mut self, job: Job, need: ColdNeed) -> (PendingAppend, Wakes) {
        (self.wait(job, Some(need)), Wakes { reader: true, writer: false })
    }

    fn hold_new(&mut self, index: u64, answer: Answer, begun: Mono) -> PendingAppend {
        let (waiter, pending) = PendingAppend::waiting(self.bucket_id);
        self.hold(index, Held { waiter, answer, begun });
        pending
    }

    /// Whether an append to `partition` that comes now must wait behind others.
    fn is_behind(&self, partition: PartitionId) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| waiting.need.is_none() || waiting.job.partition == partition)
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < self.limits.in_flight && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES
    }

    /// Lets a job wait for its turn: for a read, or for room.
    fn wait(&mut self, job: Job, need: Option<ColdNeed>) -> PendingAppend {
        if self.waiting.len() >= MAX_WAITING_APPENDS {
            let partition_id = job.partition.get();
            return PendingAppend::ready(Err(AppendError::Busy { partition_id }));
        }
        let (waiter, pending) = PendingAppend::waiting(self.bucket_id);
        self.waiting.push_back(Waiting { job, waiter, facts: None, need, is_read: false });
        pending
    }

    /// Judges again a job that has waited. An error: it must wait for a read.
    fn judge(
        &mut self,
        waiting: Waiting,
        view: &dyn View,
        now_ns: u64,
        answers: &mut Answers,
    ) -> Result<Wakes, Box<Waiting>> {
        let Waiting { job, waiter, facts, need: before, .. } = waiting;
        let (begun, asked) = (job.begun, (&job.transaction, job.partition));
        let need = match self.planner.plan(asked, facts.as_ref(), view, now_ns) {
            Verdict::Planned(planned, result) => {
                self.hold(planned.index, Held { waiter, answer: Ok(result), begun });
                return Ok(self.launch(planned));
            }
            Verdict::Answered(answer) => {
                answers.push(waiter, answer);
                return Ok(Wakes::default());
            }
            Verdict::Held { index, error } => {
                self.hold(index, Held { waiter, answer: Err(error), begun });
                return Ok(Wakes::default());
            }
            Verdict::Attached { index } => match self.retry(&job.transaction, index) {
                Ok(answer) => {
                    self.hold(index, Held { waiter, answer, begun });
                    return Ok(Wakes::default());
                }
                Err(Applied) => {
                    return Err(Box::new(Waiting {
                        job,
                        waiter,
                        facts: None,
                        need: None,
                        is_read: false,
                    }));
                }
            },
            Verdict::Cold(need) => need,
        };
        // What was read before is read again with it: two things asked for in turns would never both be known.
        let need = before.into_iter().fold(need, ColdNeed::with);
        Err(Box::new(Waiting { job, waiter, facts: None, need: Some(need), is_read: false }))
    }

    /// A planned entry is in flight, for the writer.
    fn launch(&mut self, planned: Arc<Planned>) -> Wakes {
        self.in_flight_bytes += planned.entry.frame_len();
        self.in_flight.push_back(planned);
        self.untaken += 1;
        // Behind others the writer has been woken already, and it does not sleep while there are any.
        Wakes { writer: self.untaken == 1, reader: false }
    }

    fn hold(&mut self, index: u64, held: Held) {
        self.held.entry(index).or_default().push(held);
    }

    /// What is answered, once entry `index` is committed, to a transaction that uses an id of it: to a retry the same,
    /// to another a refusal.
    fn retry(&self, transaction: &Transaction, index: u64) -> Result<Answer, Applied> {
        let Some(planned) = self.entry(index) else { return Err(Applied) };
        let same = identity::compare_entry(transaction, &planned.entry, index);
        if let Ok(Identity::Same(result)) = same {
            return Ok(Ok(result));
        }
        let is_shared = |id: &Uuid| planned.events.iter().any(|event| event.given_id == Some(*id));
        let shared = transaction.events.iter().map(|draft| draft.event_id);
        let event_id = shared.filter(is_shared).min().unwrap_or_default();
        Ok(Err(AppendError::Duplicate { event_id, partition_id: planned.entry.partition }))
    }

    fn entry(&self, index: u64) -> Option<&Planned> {
        let first = self.in_flight.front()?.index;
        let position = usize::try_from(index.checked_sub(first)?).ok()?;
        self.in_flight.get(position).map(Arc::as_ref)
    }

    /// Judges again, in order of arrival, what waits.
    pub(crate) fn resume(&mut self, view: &dyn View, now_ns: u64, answers: &mut Answers) -> Wakes {
        let mut wakes = Wakes::default();
        if self.waiting.is_empty() {
            return wakes;
        }
        let mut blocked: Vec<PartitionId> = Vec::new();
        let mut kept = VecDeque::new();
        while let Some(waiting) = self.waiting.pop_front() {
            if !self.has_room() {
                kept.push_back(waiting);
                break;
            }
            let unread = waiting.need.is_some() && waiting.facts.is_none();
            if unread || blocked.contains(&waiting.job.partition) {
                blocked.push(waiting.job.partition);
                wakes.reader |= unread && !waiting.is_read;
                kept.push_back(waiting);
                continue;
            }
            match self.judge(waiting, view, now_ns, answers) {
                Ok(more) => wakes.writer |= more.writer,
                Err(again) => {
                    blocked.push(again.job.partition);
                    wakes.reader |= again.need.is_some();
                    kept.push_back(*again);
                }
            }
        }
        kept.append(&mut self.waiting);
        self.waiting = kept;
        wakes
    }

    /// The next things to read, oldest first, at most `count`; each is handed out once.
    pub(crate) fn take_needs(&mut self, count: usize) -> Vec<(Mono, PartitionId, ColdNeed)> {
        let mut needs = Vec::new();
        for waiting in &mut self.waiting {
            if needs.len() >= count {
                break;
            }
            if let (Some(need), false) = (&waiting.need, waiting.is_read) {
                needs.push((waiting.job.begun, waiting.job.partition, need.clone()));
                waiting.is_read = true;
            }
        }
        needs
    }

    /// What was read for the job that began at `begun`; an error answers it.
    pub(crate) fn provide(
        &mut self,
        (begun, partition, need): (Mono, PartitionId, ColdNeed),
        facts: Result<Facts, AppendError>,
        answers: &mut Answers,
    ) {
        let found = self.waiting.iter().position(|waiting| {
            waiting.is_read
                && waiting.facts.is_none()
                && waiting.job.begun == begun
                && waiting.job.partition == partition
                && waiting.need.as_ref() == Some(&need)
        });
        let Some(position) = found else { return };
        match facts {
            Ok(facts) => {
                if let Some(waiting) = self.waiting.get_mut(position) {
                    waiting.facts = Some(facts);
                }
            }
            Err(error) => {
                if let Some(waiting) = self.waiting.remove(position) {
                    answers.push(waiting.waiter, Err(error));
                }
            }
        }
    }

    /// Entries for the writer: one batch.
    pub(crate) fn take_batch(&mut self, batch: &mut Vec<Arc<Planned>>) {
        let first = self.in_flight.len() - self.untaken;
        let mut bytes = 0u64;
        for planned in self.in_flight.range(first..) {
            let len = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            if bytes >= MAX_BATCH_BYTES || len >= MAX_BATCH_FRAMES {
                break;
            }
            bytes += planned.entry.frame_len();
            self.untaken -= 1;
            batch.push(Arc::clone(planned));
        }
    }

    /// Entries up to `index` are about to be written; `false` if none may be any more. Poisoning comes before or after
    /// this, never between: so it knows what may be on the disk.
    pub(crate) fn begin_write(&mut self, index: u64) -> bool {
        if self.health.is_poisoned() {
            return false;
        }
        self.begun_index = index;
        true
    }

    /// Entries up to `index` are durable: takes them out for the index. They stay in the planner's overlay until
    /// [`Desk::release`].
    pub(crate) fn take_committed(&mut self, index: u64, out: &mut Vec<Arc<Planned>>) {
        while let Some(planned) = self.in_flight.pop_front_if(|first| first.index <= index) {
            let is_taken = self.in_flight.len() >= self.untaken;
            assert!(is_taken, "entry {} was committed before it was written", planned.index);
            self.in_flight_bytes -= planned.entry.frame_len();
            out.push(planned);
        }
    }

    /// The index shows `applied`: answers what waited for them.
    pub(crate) fn release(&mut self, applied: &[Arc<Planned>], answers: &mut Answers) {
        for planned in applied {
            self.planner.release(planned);
            if self.held.is_empty() {
                continue; // nearly always
            }
            for held in self.held.remove(&planned.index).unwrap_or_default() {
                answers.push(held.waiter, held.answer);
            }
        }
        self.commits.commit(self.planner.committed_index(), &mut answers.wakers);
        if self.in_flight.is_empty() && !self.health.is_poisoned() {
            self.planner.assert_idle();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let mut answers = Answers::default();
        self.commits.end(0, Ending::Abandoned, &mut answers.wakers);
        answers.give();
    }
}

#[cfg(test)]
mod tests;
