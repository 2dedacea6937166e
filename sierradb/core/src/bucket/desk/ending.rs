//! How appends in work end without being stored: a failure, a stop, lack of room, too long a wait.

use std::sync::Arc;

use sierradb_io::Mono;

use super::{Answers, Desk, Held};
use crate::bucket::commits::{Commits, Ending};
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
        // What is before the first one was synced, and is being answered.
        let after = self.in_flight.front().map_or(u64::MAX, |first| first.index - 1);
        if !self.in_flight.is_empty() {
            let begun_index = self.begun_index;
            let ending = Ending::Poisoned { begun_index, cause: cause.to_owned(), at: now };
            self.commits.end(after, ending, &mut answers.wakers);
        }
        self.in_flight.clear();
        for (index, held) in self.held.split_off(&after.saturating_add(1)) {
            let is_begun = index <= self.begun_index;
            let error = |begun| if is_begun { unknown(begun) } else { refusal.clone() };
            for it in held {
                answers.push(it.waiter, Err(error(it.begun)));
            }
        }
        (self.in_flight_bytes, self.untaken) = (0, 0);
        self.refuse_waiting(answers);
    }

    fn refuse_waiting(&mut self, answers: &mut Answers) {
        let Some(refusal) = self.health.refusal(self.bucket_id) else { return };
        for it in self.waiting.drain(..) {
            answers.push(it.waiter, Err(refusal.clone()));
        }
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
        let last_index = start.last_index;
        assert_eq!(self.planner.committed_index(), last_index, "all that is written is answered");
        self.commits.end(last_index, Ending::Refused(refusal.clone()), &mut answers.wakers);
        self.commits = Arc::new(Commits::new(self.bucket_id, self.limits.timeout, last_index));
        self.in_flight.clear();
        for held in std::mem::take(&mut self.held).into_values().flatten() {
            answers.push(held.waiter, Err(refusal.clone()));
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
                answers.push(waiting.waiter, Err(AppendError::Busy { partition_id }));
            }
        }
        let unknown = |begun: Mono| AppendError::OutcomeUnknown {
            bucket_id,
            waited: now.since(begun),
            cause: "the disk has not answered".to_owned(),
        };
        self.commits.expire(now, &mut answers.wakers);
        for held in self.held.values_mut() {
            let (late, rest) = std::mem::take(held).into_iter().partition(|it| is_late(it.begun));
            *held = rest;
            let late: Vec<Held> = late;
            for it in late {
                answers.push(it.waiter, Err(unknown(it.begun)));
            }
        }
        self.held.retain(|_, held| !held.is_empty());
    }
}
