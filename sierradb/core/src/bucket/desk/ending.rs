//! How appends in work end without being stored: a failure, a stop, lack of room, too long a wait.

use sierradb_io::Mono;

use super::{Answers, Desk, Held};
use crate::bucket::health::Health;
use crate::bucket::planner::PlanStart;
use crate::error::AppendError;

impl Desk {
    /// A write or sync failed: no more appends. Nobody knows the outcome of those whose write was begun; the others
    /// in work are refused, for they will not be written.
    pub(crate) fn poison(&mut self, cause: &str, now: Mono, answers: &mut Answers) {
        if self.health.is_poisoned() {
            return;
        }
        self.health = Health::Poisoned { cause: cause.to_owned() };
        let bucket_id = self.bucket_id;
        let refusal = AppendError::ReadOnly { bucket_id, cause: cause.to_owned() };
        let unknown = |begun: Mono| AppendError::OutcomeUnknown {
            bucket_id,
            waited: now.since(begun),
            cause: cause.to_owned(),
        };
        for entry in self.in_flight.drain(..) {
            let is_begun = entry.planned.index <= self.begun_index;
            let error = if is_begun { unknown(entry.begun) } else { refusal.clone() };
            answers.extend(entry.waiters.into_iter().map(|it| (it, Err(error.clone()))));
        }
        for (index, held) in std::mem::take(&mut self.held) {
            let is_begun = index <= self.begun_index;
            let error = |begun| if is_begun { unknown(begun) } else { refusal.clone() };
            answers.extend(held.into_iter().map(|it| (it.waiter, Err(error(it.begun)))));
        }
        (self.in_flight_bytes, self.untaken) = (0, 0);
        self.refuse_waiting(answers);
    }

    fn refuse_waiting(&mut self, answers: &mut Answers) {
        let Some(refusal) = self.health.refusal(self.bucket_id) else { return };
        let waiting = self.waiting.drain(..);
        answers.extend(waiting.map(|it| (it.job.waiter, Err(refusal.clone()))));
    }

    /// No more appends. Those in work are the writer's to finish, or to take back by [`Desk::refuse_unwritten`].
    pub(crate) fn stop(&mut self, cause: &str, answers: &mut Answers) {
        if !self.health.is_read_only() {
            self.health = Health::ReadOnly { cause: cause.to_owned() };
        }
        self.refuse_waiting(answers);
    }

    /// Entries that were planned are not written, for lack of room or because appends were stopped: takes them back
    /// and refuses them, and what comes, until [`Desk::set_space`] tells of room. A state that is worse than `health`
    /// stays.
    pub(crate) fn refuse_unwritten(
        &mut self,
        start: PlanStart,
        health: Health,
        answers: &mut Answers,
    ) {
        if self.health.is_poisoned() {
            return; // another task met an error meanwhile, and all were told
        }
        assert!(self.begun_index <= start.last_index, "what may be on disk is not planned again");
        if self.health.is_about_space() {
            self.health = health;
        }
        let Some(refusal) = self.health.refusal(self.bucket_id) else { return };
        for entry in self.in_flight.drain(..) {
            answers.extend(entry.waiters.into_iter().map(|it| (it, Err(refusal.clone()))));
        }
        for held in std::mem::take(&mut self.held).into_values().flatten() {
            answers.push((held.waiter, Err(refusal.clone())));
        }
        (self.in_flight_bytes, self.untaken) = (0, 0);
        self.planner.reset(start);
        self.refuse_waiting(answers);
    }

    /// Notes that the disk is nearly full, or no longer.
    pub(crate) fn set_space(&mut self, health: Health) {
        if self.health.is_about_space() && health.is_about_space() {
            self.health = health;
        }
    }

    /// Takes no more appends; those in work go on.
    pub(crate) fn close(&mut self, answers: &mut Answers) {
        if !self.health.is_read_only() {
            self.health = Health::Closing;
        }
        self.refuse_waiting(answers);
    }

    /// Answers those who waited too long: for a place "busy", for the sync "unknown".
    pub(crate) fn expire(&mut self, now: Mono, answers: &mut Answers) {
        let (bucket_id, timeout) = (self.bucket_id, self.limits.timeout);
        let is_late = |begun: Mono| now.since(begun) >= timeout;
        let mut position = 0;
        while let Some(waiting) = self.waiting.get(position) {
            if !is_late(waiting.job.begun) {
                position += 1;
                continue;
            }
            if let Some(waiting) = self.waiting.remove(position) {
                let partition_id = waiting.job.partition.get();
                answers.push((waiting.job.waiter, Err(AppendError::Busy { partition_id })));
            }
        }
        let unknown = |begun: Mono| AppendError::OutcomeUnknown {
            bucket_id,
            waited: now.since(begun),
            cause: "the disk has not answered".to_owned(),
        };
        for entry in self.in_flight.iter_mut().filter(|entry| is_late(entry.begun)) {
            let begun = entry.begun;
            let late = std::mem::take(&mut entry.waiters).into_iter();
            answers.extend(late.map(|waiter| (waiter, Err(unknown(begun)))));
        }
        for held in self.held.values_mut() {
            let (late, rest) = std::mem::take(held).into_iter().partition(|it| is_late(it.begun));
            *held = rest;
            let late: Vec<Held> = late;
            answers.extend(late.into_iter().map(|it| (it.waiter, Err(unknown(it.begun)))));
        }
        self.held.retain(|_, held| !held.is_empty());
    }
}
