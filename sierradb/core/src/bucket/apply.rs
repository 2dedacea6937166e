//! Commit: durable entries go into the index, the watermark rises, answers go out. One fact, one place.
//!
//! Order matters: index and watermark change under one lock, so a reader sees both or neither; the planner forgets
//! what was in flight only afterwards, so that overlay and index together never miss anything; answers and wake-ups
//! come last, so whoever is woken finds everything in place.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sierradb_io::mutant;
use sierradb_protocol::PartitionId;

use super::desk::{Answers, Wakes};
use super::health::Health;
use super::planned::Planned;
use super::planner::PlanStart;
use super::solo::SoloBucket;
use crate::index::hash::{event_id_hash, idempotency_hash};
use crate::index::live::{LiveEvent, LiveFrame, LiveIndex, LiveStream};
use crate::index::lookup::{DataFile, LiveSegment, live_hash};
use crate::segment::checkpoint::delta::{DeltaBuilder, LogPosition};
use crate::segment::extension::idempotency_key;
use crate::segment::file::LogEnd;

/// Frames that were written and synced, one behind the other.
#[derive(Debug)]
pub(crate) struct Written {
    /// Index of the first one.
    pub(crate) first_index: u64,
    /// Where each begins.
    pub(crate) offsets: Vec<u64>,
    /// Where the last one ends.
    pub(crate) end_offset: u64,
    /// Header checksum of the last one.
    pub(crate) chain: u32,
    /// What of them lies in one piece of memory, and where that begins in the file.
    pub(crate) stretches: Vec<(u64, Bytes)>,
}

impl Written {
    /// Nothing yet, behind `end`, with room for so many frames.
    pub(crate) fn behind(end: LogEnd, frames: usize) -> Self {
        Self {
            first_index: end.next_index,
            offsets: Vec::with_capacity(frames),
            end_offset: end.end_offset,
            chain: end.chain,
            stretches: Vec::new(),
        }
    }

    /// Index after that of the last one.
    pub(crate) fn next_index(&self) -> u64 {
        self.first_index + u64::try_from(self.offsets.len()).unwrap_or(u64::MAX)
    }
}

/// Entries that are visible and not yet answered for.
pub(crate) struct Applied {
    entries: Vec<Arc<Planned>>,
    touched: Vec<PartitionId>,
}

impl SoloBucket {
    /// All of `written` is durable, in the active segment and in order: makes it visible and answers for it. Does
    /// neither once the bucket is poisoned: another task met an error, and told those who waited.
    ///
    /// # Panics
    /// If an entry is not the next one in flight.
    pub(crate) fn commit(&self, written: &Written) {
        if let Some(applied) = self.apply(written) {
            self.answer(applied);
        }
    }

    /// The first half of [`Self::commit`]: makes entries visible.
    pub(crate) fn apply(&self, written: &Written) -> Option<Applied> {
        let last_frame_offset = *written.offsets.last()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let mut applied: Vec<Arc<Planned>> = Vec::with_capacity(written.offsets.len());
        {
            let mut desk = self.lock_desk();
            if desk.health().is_poisoned() {
                return None;
            }
            desk.take_committed(written.next_index() - 1, &mut applied);
        }
        let frames = written.offsets.len();
        assert_eq!(applied.len(), frames, "entries written and in flight differ");
        let end =
            LogPosition { last_frame_offset, end_offset: written.end_offset, chain: written.chain };
        let touched = self.publish(&applied, written, end);
        Some(Applied { entries: applied, touched })
    }

    /// The second half: answers for what is visible.
    pub(crate) fn answer(&self, Applied { entries, touched }: Applied) {
        let now_ns = self.io.clock().wall_ns();
        self.at_desk(|desk, view, answers| {
            desk.release(&entries, answers);
            desk.resume(view, now_ns, answers)
        });
        for partition in touched {
            self.feed.wake(partition);
        }
        self.feed.wake_any();
        self.maintain_if_due();
    }

    /// Puts entries into the index and raises the watermarks, under one lock.
    fn publish(
        &self,
        applied: &[Arc<Planned>],
        written: &Written,
        end: LogPosition,
    ) -> Vec<PartitionId> {
        let mut segments = self.shelf.write();
        let crate::index::lookup::Segments { live, recent, .. } = &mut *segments;
        let active = live.last_mut().expect("a bucket has an active segment");
        let events = || applied.iter().flat_map(|planned| &planned.events);
        let places = events().filter_map(|event| event.place);
        let here = places.filter(|place| place.segment == active.file.number);
        active.index.touch(events().map(|event| event.id_hash), here.map(|place| place.stream));
        let mut ends = Vec::new();
        let places = (written.first_index..).zip(&written.offsets);
        for (planned, (index, offset)) in applied.iter().zip(places) {
            assert_eq!(planned.index, index, "entries are committed in order");
            let entry = &planned.entry;
            let at = LiveFrame {
                offset: *offset,
                partition: entry.partition,
                first_sequence: entry.first_sequence,
                partition_key: planned.partition_key,
            };
            let events = planned.streams_in(active.file.number).zip(&planned.events);
            let events = events.map(|(stream, event)| LiveEvent {
                id_hash: event.id_hash,
                stream,
                version: event.version,
                key_hash: None,
            });
            active.push(at, events);
            let is_half = mutant!(self.io, half_transaction) && entry.event_count > 1;
            let next_sequence = entry.first_sequence + u64::from(entry.event_count);
            let partition = PartitionId::new(entry.partition);
            note_end(&mut ends, partition, next_sequence - u64::from(is_half));
        }
        active.end_frame(end);
        // Once per partition: a number that others read is slow to change.
        for (partition, next_sequence) in &ends {
            self.feed.raise(*partition, *next_sequence);
        }
        for (offset, bytes) in &written.stretches {
            recent.push(active.file.number, *offset, bytes.clone());
        }
        active.file.data.raise_stable_end(active.used_len);
        ends.into_iter().map(|(partition, _)| partition).collect()
    }

    fn maintain_if_due(&self) {
        let is_due = {
            let segments = self.shelf.read();
            segments.live.last().is_some_and(LiveSegment::wants_delta)
        };
        if is_due {
            self.maintain_wake.notify_one();
        }
    }

    /// A new segment begins behind the active one.
    pub(crate) fn roll(&self, file: Arc<DataFile>) {
        let mut segments = self.shelf.write();
        if let Some(active) = segments.live.last_mut() {
            active.is_rolled = true;
        }
        let hash_seed = self.shelf.hash_seed();
        segments.live.push(LiveSegment::empty(file, hash_seed));
        drop(segments);
        self.maintain_wake.notify_one();
    }

    /// A write or sync failed, by whichever task: the bucket takes no more appends until the process restarts.
    pub(crate) fn poison(&self, cause: &str) {
        tracing::error!(bucket = self.id, cause, "the bucket is read-only after a disk error");
        let now = self.io.clock().now();
        self.at_desk(|desk, _, answers: &mut Answers| {
            desk.poison(cause, now, answers);
            Wakes::default()
        });
        self.writer_wake.notify_one();
        self.sealed.notify_waiters(); // it will not happen any more
    }

    /// No segment can be sealed any more: the bucket takes no more appends. Those in work are finished.
    pub(crate) fn stop_appends(&self, cause: &str) {
        self.at_desk(|desk, _, answers| {
            desk.stop(cause, answers);
            Wakes::default()
        });
        self.sealed.notify_waiters();
    }

    /// There is no room for what was planned and not written, or it must not be written any more.
    pub(crate) fn refuse_unwritten(&self, start: PlanStart, health: Health) {
        tracing::warn!(bucket = self.id, ?health, "appends are refused");
        self.at_desk(|desk, _, answers| {
            desk.refuse_unwritten(start, health, answers);
            Wakes::default()
        });
    }
}

impl LiveSegment {
    /// A segment without frames.
    pub(crate) fn empty(file: Arc<DataFile>, hash_seed: u64) -> Self {
        let index = LiveIndex::new(hash_seed);
        let delta = DeltaBuilder::new(&index);
        Self {
            file,
            index,
            delta,
            used_len: crate::segment::file::FIRST_FRAME_OFFSET,
            checkpointed_len: crate::segment::file::FIRST_FRAME_OFFSET,
            next_delta_offset: crate::segment::checkpoint::delta::FIRST_OFFSET,
            end: None,
            is_rolled: false,
        }
    }

    /// Adds the events of a committed frame.
    pub(crate) fn push<'a>(
        &mut self,
        frame: LiveFrame,
        events: impl IntoIterator<Item = LiveEvent<'a>>,
    ) {
        self.index.push_frame(frame, events);
        self.delta.push_frame(&self.index, frame);
    }

    /// A committed frame, with events or without, ends here.
    pub(crate) fn end_frame(&mut self, end: LogPosition) {
        self.used_len = end.end_offset;
        self.end = Some(end);
    }

    /// Whether a checkpoint of it is due by size.
    pub(crate) fn wants_delta(&self) -> bool {
        self.used_len - self.checkpointed_len >= crate::limits::DELTA_LOG_BYTES
    }
}

/// Notes up to where a partition goes now.
fn note_end(ends: &mut Vec<(PartitionId, u64)>, partition: PartitionId, next_sequence: u64) {
    match ends.iter_mut().find(|end| end.0 == partition) {
        Some(end) => end.1 = next_sequence,
        None => ends.push((partition, next_sequence)),
    }
}

/// What the live index needs of an event that was read back.
pub(crate) fn live_event<'a>(
    hash_seed: u64,
    partition: u16,
    event: &crate::segment::event_codec::EventKeys<'a>,
) -> LiveEvent<'a> {
    let key = idempotency_key(event.extensions).ok().flatten();
    LiveEvent {
        id_hash: live_hash(event_id_hash(hash_seed, &event.event_id)),
        stream: LiveStream::Named(event.stream_id),
        version: event.stream_version,
        key_hash: key.map(|key| live_hash(idempotency_hash(hash_seed, partition, key))),
    }
}
