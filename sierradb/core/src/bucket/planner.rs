//! From a transaction to a log entry, or to a refusal: pure, synchronous, one per bucket.
//!
//! The planner decides everything about an entry before a byte of it is written: sequences, versions, times. It sees
//! what is committed through a [`View`] and keeps what is in flight in its overlay. In this order it checks
//! 1. identity: event ids already stored or in flight ([`super::identity`]);
//! 2. the partition key of each stream against that of the stream's first event;
//! 3. the expected version of each event, earlier events of the transaction counted in.
//!
//! Answers that need a disk are asked for ([`Verdict::Cold`]) and come back as [`Facts`]. A "no" that rests on an
//! entry in flight is held until that entry is committed ([`Verdict::Held`]), so no error reveals what may vanish.
//!
//! Invariants: a sequence or version is given out once; entries leave in the order of their indexes.

mod numbering;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sierradb_protocol::{PartitionId, StreamId};
use smallvec::SmallVec;
use uuid::Uuid;

use super::identity::{self, Identity};
use super::overlay::{Head, OverlaidHead, Overlay, StreamName};
use super::planned::Planned;
use super::version_check::{Judgement, Standing, current, judge};
use crate::error::{AppendError, ReadError};
use crate::event::AppendResult;
use crate::index::hash::stream_hash;
use crate::index::heads::StreamKey;
use crate::index::lookup::{FoundStream, StreamPlace};
use crate::segment::frame::Frame;
use crate::transaction::{EventDraft, IdOrigin, Transaction};

/// What is committed, as far as memory knows it.
pub(crate) trait View {
    /// A stream in the unsealed segments, as the newest of them has it; `None` if none does.
    fn live_stream(&self, name: StreamName<'_>) -> Option<FoundStream>;

    /// Frames in unsealed segments that may hold an event id: (segment, offset).
    fn live_candidates(&self, event_id: Uuid) -> Vec<(u64, u64)>;

    /// Number of the newest segment that only its index file knows; 0 if there is none.
    fn last_sealed(&self) -> u64;

    /// Whether memory proves that no sealed segment holds an event id; `false` is no answer.
    fn sealed_lack_event(&self, event_id: Uuid) -> bool;

    /// Head of a stream in the sealed segments, if memory can tell; the outer `None` is no answer.
    fn sealed_head(&self, name: StreamName<'_>) -> Option<Option<Head>>;
}

/// What had to be read for a transaction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// The answers cover all segments up to this one.
    pub(crate) through_segment: u64,
    /// Heads there; `None`: no such stream.
    pub(crate) streams: BTreeMap<StreamId, Option<Head>>,
    /// Frames there or in unsealed segments that do hold the id.
    pub(crate) ids: BTreeMap<Uuid, Option<Arc<Frame>>>,
    /// Candidates in unsealed segments that were looked at: (segment, offset).
    pub(crate) seen: BTreeSet<(u64, u64)>,
}

impl Facts {
    fn stream(&self, stream_id: &StreamId) -> Option<Option<Head>> {
        self.streams.get(stream_id).copied()
    }

    fn id(&self, event_id: Uuid) -> Option<Option<&Arc<Frame>>> {
        self.ids.get(&event_id).map(Option::as_ref)
    }
}

/// What to read before a transaction can be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ColdNeed {
    pub(crate) streams: BTreeSet<StreamId>,
    pub(crate) ids: BTreeSet<Uuid>,
}

impl ColdNeed {
    /// Asks for all that `other` asks for, too.
    pub(crate) fn with(mut self, other: Self) -> Self {
        self.streams.extend(other.streams);
        self.ids.extend(other.ids);
        self
    }
}

/// What becomes of a transaction.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is in flight now, and answers this once it is committed.
    Planned(Arc<Planned>, AppendResult),
    /// It is answered at once; nothing is written.
    Answered(Result<AppendResult, AppendError>),
    /// It is entry `index` already, and gets that entry's answer.
    Attached { index: u64 },
    /// It is refused, once entry `index` is committed.
    Held { index: u64, error: AppendError },
    /// Its answer depends on what only the disk knows.
    Cold(ColdNeed),
}

/// The planner of one bucket.
#[derive(Debug)]
pub(crate) struct Planner {
    bucket_id: u16,
    bucket_count: u16,
    next_index: u64,
    /// Next sequence per partition of the bucket, entries in flight counted in.
    next_sequences: Vec<u64>,
    last_append_time_ns: u64,
    /// The last entry known to be committed and durable.
    committed_index: u64,
    hash_seed: u64,
    overlay: Overlay,
}

/// Where the committed log of a bucket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanStart {
    /// Index of the last committed entry.
    pub(crate) last_index: u64,
    /// Next sequence per partition of the bucket, by `partition / bucket_count`.
    pub(crate) next_sequences: Vec<u64>,
    pub(crate) last_append_time_ns: u64,
}

/// A transaction on its way through the checks.
struct Attempt<'a> {
    transaction: &'a Transaction,
    partition: PartitionId,
    facts: Option<&'a Facts>,
    view: &'a dyn View,
    /// `None`: nothing so far.
    need: Option<ColdNeed>,
}

impl Attempt<'_> {
    fn need(&mut self) -> &mut ColdNeed {
        self.need.get_or_insert_default()
    }
}

/// The head of a stream while a transaction is judged.
#[derive(Clone, Copy)]
struct Judged {
    standing: Standing,
    key: Option<StreamKey>,
    hash: u64,
    place: Option<StreamPlace>,
}

/// What an event gets.
#[derive(Clone, Copy)]
struct Numbered {
    version: u64,
    hash: u64,
    place: Option<StreamPlace>,
}

impl Planner {
    pub(crate) fn new(bucket_id: u16, bucket_count: u16, hash_seed: u64, end: PlanStart) -> Self {
        Self {
            bucket_id,
            bucket_count,
            next_index: end.last_index + 1,
            next_sequences: end.next_sequences,
            last_append_time_ns: end.last_append_time_ns,
            committed_index: end.last_index,
            hash_seed,
            overlay: Overlay::new(hash_seed),
        }
    }

    /// Starts again behind `end`: whatever was in flight is forgotten.
    pub(crate) fn reset(&mut self, end: PlanStart) {
        self.overlay.clear();
        self.next_index = end.last_index + 1;
        self.next_sequences = end.next_sequences;
        self.last_append_time_ns = self.last_append_time_ns.max(end.last_append_time_ns);
    }

    /// Judges `transaction`. If it is [`Verdict::Planned`], it is in flight from now on.
    pub(crate) fn plan(
        &mut self,
        (transaction, partition): (&Transaction, PartitionId),
        facts: Option<&Facts>,
        view: &dyn View,
        now_ns: u64,
    ) -> Verdict {
        // Facts are of no use once a segment was sealed that they do not cover.
        let facts = facts.filter(|facts| facts.through_segment >= view.last_sealed());
        let mut attempt = Attempt { transaction, partition, facts, view, need: None };
        if let Err(verdict) = self.check_identity(&mut attempt) {
            return verdict;
        }
        if attempt.need.is_some() {
            // Nothing may be said before it is known whether this is a retry. Ask for all that is cold at once.
            self.add_cold_streams(&mut attempt);
        }
        if let Some(need) = attempt.need {
            return Verdict::Cold(need);
        }
        let numbered = match self.check_streams(&mut attempt) {
            Ok(numbered) => numbered,
            Err(verdict) => return verdict,
        };
        match attempt.need {
            Some(need) => Verdict::Cold(need),
            None => {
                let (planned, result) = self.take(transaction, partition, &numbered, now_ns);
                Verdict::Planned(planned, result)
            }
        }
    }

    fn check_identity(&self, attempt: &mut Attempt<'_>) -> Result<(), Verdict> {
        let partition = attempt.partition.get();
        for draft in &attempt.transaction.events {
            if draft.id_origin == IdOrigin::Assigned {
                continue;
            }
            if let Some(index) = self.overlay.entry_of(partition, draft.event_id) {
                return Err(Verdict::Attached { index }); // the caller compares the contents
            }
            match self.stored(attempt, draft.event_id) {
                None => {
                    attempt.need().ids.insert(draft.event_id);
                }
                Some(None) => {}
                Some(Some(frame)) => {
                    return Err(self.answer_of(attempt.transaction, draft.event_id, &frame));
                }
            }
        }
        Ok(())
    }

    fn add_cold_streams(&self, attempt: &mut Attempt<'_>) {
        for draft in &attempt.transaction.events {
            if self.head(attempt, draft).is_none() {
                attempt.need().streams.insert(draft.stream_id.clone());
            }
        }
    }

    /// `None`: only the disk knows.
    fn stored(&self, attempt: &Attempt<'_>, event_id: Uuid) -> Option<Option<Arc<Frame>>> {
        let candidates = attempt.view.live_candidates(event_id);
        let Some(known) = attempt.facts.and_then(|facts| Some((facts, facts.id(event_id)?))) else {
            let is_absent = candidates.is_empty()
                && (attempt.view.last_sealed() == 0 || attempt.view.sealed_lack_event(event_id));
            return is_absent.then_some(None);
        };
        let (facts, found) = known;
        if let Some(frame) = found {
            return Some(Some(frame.clone()));
        }
        candidates.iter().all(|place| facts.seen.contains(place)).then_some(None)
    }

    fn answer_of(&self, transaction: &Transaction, event_id: Uuid, frame: &Frame) -> Verdict {
        Verdict::Answered(match identity::compare(transaction, frame) {
            Ok(Identity::Same(result)) => Ok(result),
            Ok(Identity::Different) => {
                Err(AppendError::Duplicate { event_id, partition_id: frame.header.partition })
            }
            Err(cause) => Err(AppendError::Read(ReadError::Damaged {
                bucket_id: self.bucket_id,
                segment: 0,
                offset: frame.offset,
                cause: cause.to_string(),
            })),
        })
    }

    /// Judges every event in order. On success, and if nothing is cold, each entry of the result belongs to one event.
    fn check_streams(&self, attempt: &mut Attempt<'_>) -> Result<SmallVec<[Numbered; 1]>, Verdict> {
        let Attempt { transaction, .. } = *attempt;
        if let [draft] = transaction.events.as_slice() {
            // Nearly always; one event has none before it.
            let Some(stream) = self.head(attempt, draft) else {
                attempt.need().streams.insert(draft.stream_id.clone());
                return Ok(SmallVec::new());
            };
            return Ok(SmallVec::from_buf([number(transaction, draft, &stream)?]));
        }
        let mut judged = BTreeMap::<&StreamId, Judged>::new();
        let mut numbered = SmallVec::with_capacity(transaction.events.len());
        for draft in &transaction.events {
            let before = judged.get(&draft.stream_id).copied();
            let Some(stream) = before.or_else(|| self.head(attempt, draft)) else {
                attempt.need().streams.insert(draft.stream_id.clone());
                continue;
            };
            numbered.push(number(transaction, draft, &stream)?);
            let standing = Standing { next: stream.standing.next + 1, ..stream.standing };
            let key = Some(StreamKey::Chosen(transaction.partition_key));
            judged.insert(&draft.stream_id, Judged { standing, key, ..stream });
        }
        Ok(numbered)
    }

    /// How the stream of `draft` stands. `None`: only the disk knows.
    fn head(&self, attempt: &Attempt<'_>, draft: &EventDraft) -> Option<Judged> {
        let stream_id = &draft.stream_id;
        let partition = attempt.partition.get();
        let hash = stream_hash(self.hash_seed, partition, stream_id.as_bytes());
        let name = StreamName { partition, stream_id, hash };
        let overlaid = self.overlay.head(name);
        if let Some(overlaid) = overlaid.filter(|overlaid| is_welcome(attempt, draft, overlaid)) {
            return Some(Judged::in_flight(overlaid, 0, hash));
        }
        let live = attempt.view.live_stream(name);
        let sealed = match live {
            Some(_) => None,
            None if attempt.view.last_sealed() == 0 => None,
            // The committed version matters only for a refusal; a head in flight is enough otherwise.
            None => match (attempt.facts.and_then(|facts| facts.stream(stream_id)), overlaid) {
                (Some(known), _) => known,
                (None, Some(overlaid)) => Some(Head { next_version: 0, ..overlaid.head }),
                (None, None) => attempt.view.sealed_head(name)?,
            },
        };
        let committed_next = match (live, sealed) {
            (Some(found), _) => found.next_version,
            (None, sealed) => sealed.map_or(0, |head| head.next_version),
        };
        Some(match overlaid {
            Some(overlaid) => Judged::in_flight(overlaid, committed_next, hash),
            None => Judged {
                standing: Standing { committed_next, next: committed_next, in_flight: None },
                key: match live {
                    Some(found) => Some(found.key),
                    None => sealed.map(|head| StreamKey::Chosen(head.partition_key)),
                },
                hash,
                place: live.map(|found| found.place),
            },
        })
    }

    /// `applied` is committed and in the index now.
    pub(crate) fn release(&mut self, applied: &Planned) {
        assert!(applied.index > self.committed_index, "entry {} applied twice", applied.index);
        self.committed_index = applied.index;
        for event in &applied.events {
            self.overlay.release_head(event.stream_hash, applied.index);
            if let Some(event_id) = event.given_id {
                self.overlay.release_id(applied.entry.partition, event_id);
            }
        }
    }

    /// The last entry known to be committed and durable.
    pub(crate) fn committed_index(&self) -> u64 {
        self.committed_index
    }

    /// Checked whenever nothing is in flight.
    pub(crate) fn assert_idle(&self) {
        assert!(self.overlay.is_empty(), "nothing is in flight, but the overlay remembers some");
    }
}

impl Judged {
    /// A stream with entries in flight.
    fn in_flight(overlaid: OverlaidHead, committed_next: u64, hash: u64) -> Self {
        let OverlaidHead { head, index, place } = overlaid;
        Self {
            standing: Standing { committed_next, next: head.next_version, in_flight: Some(index) },
            key: Some(StreamKey::Chosen(head.partition_key)),
            hash,
            place,
        }
    }
}

/// What `draft` gets in its stream.
fn number(
    transaction: &Transaction,
    draft: &EventDraft,
    stream: &Judged,
) -> Result<Numbered, Verdict> {
    check_key(transaction, draft, stream)?;
    check_version(transaction, draft, stream.standing)?;
    Ok(Numbered { version: stream.standing.next, hash: stream.hash, place: stream.place })
}

fn check_key(
    transaction: &Transaction,
    draft: &EventDraft,
    stream: &Judged,
) -> Result<(), Verdict> {
    let got = transaction.partition_key;
    let is_same = |key: &StreamKey| match key {
        StreamKey::Default => transaction.has_default_key_of(&draft.stream_id),
        StreamKey::Chosen(key) => *key == got,
    };
    let Some(key) = stream.key.filter(|key| !is_same(key)) else { return Ok(()) };
    let (stream_id, expected) = (draft.stream_id.clone(), key.of(&draft.stream_id));
    let error = AppendError::KeyMismatch { stream_id, expected, got };
    let Standing { committed_next, in_flight, .. } = stream.standing;
    Err(match in_flight {
        Some(index) if committed_next == 0 => Verdict::Held { index, error },
        Some(_) | None => Verdict::Answered(Err(error)),
    })
}

fn check_version(
    transaction: &Transaction,
    draft: &EventDraft,
    standing: Standing,
) -> Result<(), Verdict> {
    let error = |current| AppendError::WrongVersion {
        current,
        expected: draft.expected,
        partition_key: transaction.partition_key,
        stream_id: draft.stream_id.clone(),
    };
    match judge(draft.expected, standing) {
        Judgement::Met => Ok(()),
        Judgement::Refused { current } => Err(Verdict::Answered(Err(error(current)))),
        Judgement::Held { current, index } => Err(Verdict::Held { index, error: error(current) }),
    }
}

/// Whether the only event of a transaction fits what is in flight. What is committed matters for a refusal only, and
/// for the events behind this one.
fn is_welcome(attempt: &Attempt<'_>, draft: &EventDraft, overlaid: &OverlaidHead) -> bool {
    let Transaction { partition_key, events, .. } = attempt.transaction;
    events.len() == 1
        && overlaid.head.partition_key == *partition_key
        && draft.expected.is_met_by(current(overlaid.head.next_version))
}

#[cfg(test)]
mod tests;
