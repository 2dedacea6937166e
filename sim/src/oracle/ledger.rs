//! The model: what was submitted, answered and seen, and what follows from it for every later answer.
//!
//! An event is *pinned* once an answer or a read showed its coordinates: from then on it must stay there, whole and
//! unchanged. A *floor* is a position below which everything must be visible: whatever anybody was told raises it.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::history::{StreamKey, Submission};
use crate::violation::{Checked, require};

/// Number of a submitted transaction.
pub type OpId = usize;

/// What is known of a submission's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// An attempt is under way.
    Pending,
    /// Answered or seen: stored for ever.
    Stored,
    /// Every attempt was refused: never stored.
    Refused,
    /// An attempt ended without an answer.
    Unknown,
}

/// One submission.
#[derive(Debug, Clone)]
pub struct Op {
    /// What was submitted.
    pub submission: Rc<Submission>,
    /// What became of it.
    pub fate: Fate,
    /// Attempts so far.
    pub attempts: u32,
    /// Attempts under way.
    pub in_flight: u32,
    /// In which boot the last attempt ended unknown.
    pub unknown_in_boot: Option<u64>,
    /// Transaction id shown by reads.
    pub transaction_id: Option<u128>,
    /// Timestamps, once known.
    pub timestamps: Vec<Option<u64>>,
}

/// Coordinates of a stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Partition.
    pub partition: u16,
    /// Sequence.
    pub sequence: u64,
    /// Version.
    pub version: u64,
    /// The submission it came from.
    pub op: OpId,
    /// Which of its events it is.
    pub nth: usize,
}

/// Everything the checkers remember.
#[derive(Debug, Default)]
pub struct Ledger {
    ops: Vec<Op>,
    /// Every event id submitted, in order; twice where submitted twice.
    ids: Vec<u128>,
    by_id: BTreeMap<u128, Vec<(OpId, usize)>>,
    places: BTreeMap<u128, Place>,
    sequences: BTreeMap<(u16, u64), u128>,
    versions: BTreeMap<(StreamKey, u64), u128>,
    sequence_floors: BTreeMap<u16, u64>,
    version_floors: BTreeMap<StreamKey, u64>,
    /// Answered appends.
    pub acks: u64,
}

impl Ledger {
    /// Notes a submission before its first attempt.
    pub fn submit(&mut self, submission: Submission) -> OpId {
        let op = self.ops.len();
        for (nth, draft) in submission.events.iter().enumerate() {
            self.ids.push(draft.id);
            self.by_id.entry(draft.id).or_default().push((op, nth));
        }
        let timestamps = submission.events.iter().map(|draft| draft.timestamp_ns).collect();
        self.ops.push(Op {
            submission: Rc::new(submission),
            fate: Fate::Refused,
            attempts: 0,
            in_flight: 0,
            unknown_in_boot: None,
            transaction_id: None,
            timestamps,
        });
        op
    }

    /// Notes that an attempt begins.
    pub fn begin(&mut self, op: OpId) {
        let op = self.op_mut(op);
        op.attempts += 1;
        op.in_flight += 1;
        if op.fate == Fate::Refused {
            op.fate = Fate::Pending;
        }
    }

    /// Notes that an attempt ended without certainty.
    pub fn unknown(&mut self, op: OpId, boot: u64) {
        let op = self.op_mut(op);
        op.in_flight = op.in_flight.saturating_sub(1);
        if op.fate != Fate::Stored {
            op.fate = Fate::Unknown;
            op.unknown_in_boot = Some(boot);
        }
    }

    /// Notes that an attempt was refused. An earlier one of the same boot may still be under way; one of an earlier
    /// boot cannot, if the refusal looked for the event ids first (`is_final`).
    pub fn refused(&mut self, op: OpId, boot: u64, is_final: bool) {
        let op = self.op_mut(op);
        op.in_flight = op.in_flight.saturating_sub(1);
        if op.in_flight > 0 {
            return; // the other attempt decides
        }
        let earlier = op.unknown_in_boot;
        if op.fate == Fate::Pending
            || (op.fate == Fate::Unknown && is_final && earlier < Some(boot))
        {
            op.fate = Fate::Refused;
        }
    }

    /// Notes that an attempt was answered.
    pub fn answered(&mut self, op: OpId) {
        let op = self.op_mut(op);
        op.in_flight = op.in_flight.saturating_sub(1);
    }

    /// Every attempt under way was cut off.
    pub fn crashed(&mut self, boot: u64) {
        for op in 0..self.ops.len() {
            if self.op(op).in_flight > 0 {
                self.unknown(op, boot);
                self.op_mut(op).in_flight = 0;
            }
        }
    }

    /// A submission.
    ///
    /// # Panics
    /// If `op` does not come from [`Ledger::submit`].
    pub fn op(&self, op: OpId) -> &Op {
        self.ops.get(op).expect("numbers of submissions come from `submit`")
    }

    /// A submission, to note what was learnt of it.
    ///
    /// # Panics
    /// If `op` does not come from [`Ledger::submit`].
    pub fn op_mut(&mut self, op: OpId) -> &mut Op {
        self.ops.get_mut(op).expect("numbers of submissions come from `submit`")
    }

    /// Submissions, in order.
    pub fn ops(&self) -> impl Iterator<Item = (OpId, &Op)> {
        self.ops.iter().enumerate()
    }

    /// How many submissions there are: the number of the next one.
    pub fn op_count(&self) -> usize {
        self.ops.len()
    }

    /// The submission of one of these fates that `start` or, round and round, one behind it has.
    pub fn op_of_fate(&self, fates: &[Fate], start: usize) -> Option<OpId> {
        let count = self.ops.len();
        let (late, early) = self.ops.split_at_checked(start)?;
        let in_turn = early.iter().chain(late);
        let found = in_turn.enumerate().find(|(_, op)| fates.contains(&op.fate))?.0;
        Some((start + found) % count)
    }

    /// Every event id submitted, in order; twice where submitted twice.
    pub fn ids(&self) -> &[u128] {
        &self.ids
    }

    /// Submissions that use this event id.
    pub fn submissions_of(&self, id: u128) -> &[(OpId, usize)] {
        self.by_id.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Where an event was seen or acknowledged.
    pub fn place(&self, id: u128) -> Option<&Place> {
        self.places.get(&id)
    }

    /// All pinned events.
    pub fn places(&self) -> impl Iterator<Item = (u128, &Place)> {
        self.places.iter().map(|(id, place)| (*id, place))
    }

    /// The event pinned at a sequence.
    pub fn at_sequence(&self, partition: u16, sequence: u64) -> Option<u128> {
        self.sequences.get(&(partition, sequence)).copied()
    }

    /// All sequences of `partition` below this must be visible.
    pub fn sequence_floor(&self, partition: u16) -> u64 {
        self.sequence_floors.get(&partition).copied().unwrap_or(0)
    }

    /// All versions of `stream` below this must be visible.
    pub fn version_floor(&self, stream: &StreamKey) -> u64 {
        self.version_floors.get(stream).copied().unwrap_or(0)
    }

    /// Streams with a floor.
    pub fn streams(&self) -> impl Iterator<Item = (&StreamKey, u64)> {
        self.version_floors.iter().map(|(stream, floor)| (stream, *floor))
    }

    /// Partitions with a floor.
    pub fn partitions(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.sequence_floors.iter().map(|(partition, floor)| (*partition, *floor))
    }

    /// Somebody was told that the partition goes up to `next`.
    pub fn raise_sequence(&mut self, partition: u16, next: u64) {
        let floor = self.sequence_floors.entry(partition).or_default();
        *floor = (*floor).max(next);
    }

    /// Somebody was told that the stream goes up to `next`.
    pub fn raise_version(&mut self, stream: &StreamKey, next: u64) {
        let floor = self.version_floors.entry(stream.clone()).or_default();
        *floor = (*floor).max(next);
    }

    /// Pins an event that is visible now: one id, one place, for ever. With it its whole transaction must be visible.
    ///
    /// # Errors
    /// If it was elsewhere before, or another event was there.
    pub fn pin(&mut self, id: u128, place: Place) -> Checked {
        if let Some(before) = self.places.get(&id) {
            return require(*before == place, "acked", "moved", || {
                format!("event {id:032x} was at {before:?}, is at {place:?}")
            });
        }
        let submission = &self.op(place.op).submission;
        let len = submission.events.len();
        let stream = submission.events.get(place.nth).map(|draft| draft.stream.clone());
        let stream = (place.partition, stream.unwrap_or_default());
        let at_sequence = self.sequences.insert((place.partition, place.sequence), id);
        let at_version = self.versions.insert((stream.clone(), place.version), id);
        require(at_sequence.is_none() && at_version.is_none(), "gapless", "reused", || {
            format!(
                "{place:?} of event {id:032x} belongs to {at_sequence:032x?} and {at_version:032x?}"
            )
        })?;
        self.raise_sequence(place.partition, place.sequence + (len - place.nth) as u64);
        self.raise_version(&stream, place.version + 1);
        self.op_mut(place.op).fate = Fate::Stored;
        self.places.insert(id, place);
        Ok(())
    }
}
