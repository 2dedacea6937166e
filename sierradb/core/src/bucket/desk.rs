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
use std::time::Duration;

use sierradb_io::Mono;
use sierradb_protocol::PartitionId;
use smallvec::SmallVec;

use super::health::Health;
use super::identity::{self, Identity};
use super::planned::Planned;
use super::planner::{ColdNeed, Facts, Planner, Verdict, View};
use super::waiters::{Answer, Waiter};
use crate::error::AppendError;
use crate::event::AppendResult;
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_FRAMES, MAX_IN_FLIGHT_BYTES, MAX_WAITING_APPENDS};
use crate::transaction::Transaction;

/// An append on its way in.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) transaction: Transaction,
    pub(crate) partition: PartitionId,
    pub(crate) waiter: Waiter,
    pub(crate) begun: Mono,
}

/// A job that could not be planned yet.
#[derive(Debug)]
struct Waiting {
    job: Job,
    facts: Option<Facts>,
    /// What it waits for; `None`: for room.
    need: Option<ColdNeed>,
    /// Somebody is reading it.
    is_read: bool,
}

/// A planned entry and who waits for it.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) planned: Arc<Planned>,
    pub(crate) begun: Mono,
    pub(crate) waiters: SmallVec<[Waiter; 1]>,
    /// Whether the writer has it.
    is_taken: bool,
}

/// A refusal that waits for an entry.
#[derive(Debug)]
struct Held {
    waiter: Waiter,
    error: AppendError,
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
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: u64,
    untaken: usize,
    /// Index of the last entry whose write was begun, by this process.
    begun_index: u64,
    waiting: VecDeque<Waiting>,
    held: BTreeMap<u64, Vec<Held>>,
}

/// Answers to give once the lock is gone.
pub(crate) type Answers = Vec<(Waiter, Answer)>;

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
        Self {
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
        answers: &mut Answers,
    ) -> Wakes {
        if let Some(refusal) = self.health.refusal(self.bucket_id) {
            answers.push((job.waiter, Err(refusal)));
            return Wakes::default();
        }
        let partition = job.partition;
        let waiting = |job, need| Waiting { job, facts: None, need, is_read: false };
        if self.is_behind(partition) || !self.has_room() {
            return self.wait(waiting(job, None), answers);
        }
        let verdict = self.planner.plan((&job.transaction, partition), None, view, now_ns);
        match self.settle(verdict, job, answers) {
            Ok(wakes) => wakes,
            Err(cold) => {
                let (job, need) = *cold;
                let wakes = self.wait(waiting(job, Some(need)), answers);
                Wakes { reader: true, ..wakes }
            }
        }
    }

    /// Whether an append to `partition` that comes now must wait behind others.
    fn is_behind(&self, partition: PartitionId) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|waiting| waiting.need.is_none() || waiting.job.partition == partition)
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() < self.limits.in_flight && self.in_flight_bytes < MAX_IN_FLIGHT_BYTES
    }

    fn wait(&mut self, waiting: Waiting, answers: &mut Answers) -> Wakes {
        if self.waiting.len() >= MAX_WAITING_APPENDS {
            let partition_id = waiting.job.partition.get();
            answers.push((waiting.job.waiter, Err(AppendError::Busy { partition_id })));
        } else {
            self.waiting.push_back(waiting);
        }
        Wakes::default()
    }

    /// Judges again a job that has waited. An error: it must wait for a read.
    fn judge(
        &mut self,
        waiting: Waiting,
        view: &dyn View,
        now_ns: u64,
        answers: &mut Answers,
    ) -> Result<Wakes, Box<Waiting>> {
        let Waiting { job, facts, need: before, .. } = waiting;
        let asked = (&job.transaction, job.partition);
        let verdict = self.planner.plan(asked, facts.as_ref(), view, now_ns);
        self.settle(verdict, job, answers).map_err(|cold| {
            let (job, mut need) = *cold;
            // What was read before is read again with it: two things asked for in turns would never both be known.
            if let Some(before) = before {
                need.add(before);
            }
            Box::new(Waiting { job, facts: None, need: Some(need), is_read: false })
        })
    }

    /// Does with a job what its verdict says. Given back: something must be read for it.
    fn settle(
        &mut self,
        verdict: Verdict,
        job: Job,
        answers: &mut Answers,
    ) -> Result<Wakes, Box<(Job, ColdNeed)>> {
        match verdict {
            Verdict::Planned(planned) => {
                self.in_flight_bytes += planned.entry.frame_len();
                self.untaken += 1;
                let Job { waiter, begun, .. } = job;
                let waiters = SmallVec::from_buf([waiter]);
                self.in_flight.push_back(InFlight { planned, begun, waiters, is_taken: false });
                return Ok(Wakes { writer: true, reader: false });
            }
            Verdict::Answered(answer) => answers.push((job.waiter, answer)),
            Verdict::Attached { index } => self.attach(job, index),
            Verdict::Held { index, error } => {
                let Job { waiter, begun, .. } = job;
                self.held.entry(index).or_default().push(Held { waiter, error, begun });
            }
            Verdict::Cold(need) => return Err(Box::new((job, need))),
        }
        Ok(Wakes::default())
    }

    /// A retry of what is in flight gets its answer; another use of its id is refused once it is committed.
    fn attach(&mut self, job: Job, index: u64) {
        let Job { transaction, waiter, begun, .. } = job;
        let entry = self.entry_mut(index).expect("the overlay names entries in flight only");
        let same = identity::compare_entry(&transaction, &entry.planned.entry, index);
        if matches!(same, Ok(Identity::Same(_))) {
            entry.waiters.push(waiter);
            return;
        }
        let partition_id = entry.planned.entry.partition;
        let ids = &entry.planned.result.events;
        let shared = transaction.events.iter().map(|draft| draft.event_id);
        let shared = shared.filter(|id| ids.iter().any(|event| event.event_id == *id)).min();
        let event_id = shared.unwrap_or_default();
        let error = AppendError::Duplicate { event_id, partition_id };
        self.held.entry(index).or_default().push(Held { waiter, error, begun });
    }

    fn entry_mut(&mut self, index: u64) -> Option<&mut InFlight> {
        let first = self.in_flight.front()?.planned.index;
        self.in_flight.get_mut(usize::try_from(index.checked_sub(first)?).ok()?)
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
                    wakes.reader = true;
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
                    answers.push((waiting.job.waiter, Err(error)));
                }
            }
        }
    }

    /// Entries for the writer: one batch.
    pub(crate) fn take_batch(&mut self, batch: &mut Vec<Arc<Planned>>) {
        let first = self.in_flight.len() - self.untaken;
        let mut bytes = 0u64;
        for entry in self.in_flight.range_mut(first..) {
            let len = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            if bytes >= MAX_BATCH_BYTES || len >= MAX_BATCH_FRAMES {
                break;
            }
            bytes += entry.planned.entry.frame_len();
            entry.is_taken = true;
            self.untaken -= 1;
            batch.push(Arc::clone(&entry.planned));
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
    pub(crate) fn take_committed(&mut self, index: u64, out: &mut Vec<InFlight>) {
        while let Some(front) = self.in_flight.front() {
            if front.planned.index > index {
                break;
            }
            let Some(entry) = self.in_flight.pop_front() else { break };
            assert!(entry.is_taken, "entry {} was committed before it was written", index);
            self.in_flight_bytes -= entry.planned.entry.frame_len();
            out.push(entry);
        }
    }

    /// The index shows `applied`: answers what waited for them.
    pub(crate) fn release(&mut self, applied: Vec<InFlight>, answers: &mut Answers) {
        answers.reserve(applied.len());
        for entry in applied {
            self.planner.release(&entry.planned);
            let InFlight { planned, waiters, .. } = entry;
            let Planned { index, result, .. } = Arc::unwrap_or_clone(planned);
            let mut waiters = waiters.into_iter();
            let first = waiters.next();
            let again = (waiters.len() > 0).then(|| result.clone());
            if let Some(first) = first {
                answers.push((first, Ok(result)));
            }
            if let Some(again) = again {
                let again = AppendResult { duplicate: true, ..again };
                answers.extend(waiters.map(|waiter| (waiter, Ok(again.clone()))));
            }
            if let Some(held) = self.held.remove(&index) {
                answers.extend(held.into_iter().map(|held| (held.waiter, Err(held.error))));
            }
        }
        if self.in_flight.is_empty() && !self.health.is_poisoned() {
            self.planner.assert_idle();
        }
    }
}

#[cfg(test)]
mod tests;
