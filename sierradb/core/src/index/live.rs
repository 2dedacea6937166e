//! The index of one unsealed segment, in memory only: event id, stream version, partition sequence → frame.
//!
//! Events are numbered by *ordinal*, 0, 1, 2 … in the order of the segment. Per ordinal there are the offset of its
//! frame and the ordinal of the stream's event before it; beside that, one hash table entry per id and one ordinal per
//! event of a partition: about 24 B per event at 10 events per stream. Everything grows in blocks, so a push never
//! pauses to move what is there.
//!
//! It is fed with committed frames alone, in log order, and asserts what the planner promised:
//! * sequences of a partition and versions of a stream have no gap within the segment;
//! * offsets of frames ascend.
//!
//! It finds *frames*. The caller reads and verifies the frame, and there finds its event: by sequence, by stream
//! and version, or by id. It does no reads and knows nothing of other segments.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::blocks::Blocks;
use super::streams::{NewStream, StreamRef, StreamSpan, StreamTable};
use super::table::OrdinalTable;

/// Frames start at multiples of this many bytes.
const FRAME_ALIGN: u64 = 8;

/// What the index needs of a committed frame beside its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveFrame {
    /// Where the frame starts in the segment file.
    pub(crate) offset: u64,
    pub(crate) partition: u16,
    /// Sequence of its first event.
    pub(crate) first_sequence: u64,
    /// The transaction's key; kept for streams that begin with this frame.
    pub(crate) partition_key: Uuid,
}

/// What the index needs of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiveEvent<'a> {
    /// Upper 32 bits of the hash of its id.
    pub(crate) id_hash: u32,
    pub(crate) stream: LiveStream<'a>,
    pub(crate) version: u64,
    /// Upper 32 bits of the hash of its idempotency key.
    pub(crate) key_hash: Option<u32>,
}

/// The stream of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveStream<'a> {
    /// One that was found in this very index before.
    Known(StreamRef),
    /// Its id; the index may have it or not.
    Named(&'a [u8]),
}

/// An event as a checkpoint delta recalls it; versions follow from the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecalledEvent<'a> {
    pub(crate) id_hash: u32,
    pub(crate) stream: RecalledStream<'a>,
    pub(crate) key_hash: Option<u32>,
}

/// The stream of a recalled event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RecalledStream<'a> {
    /// One that the index has.
    Known(StreamRef),
    /// One that the index does not have.
    New(NewStream<'a>),
}

/// The frame that was pushed last: what a checkpoint delta needs of it.
#[derive(Debug)]
pub(crate) struct LastFrame {
    pub(crate) events: Vec<LastEvent>,
    /// Whether it is the first of its partition in the segment.
    pub(crate) is_first_of_partition: bool,
}

/// An event whose stream was looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastEvent {
    pub(crate) stream: StreamRef,
    pub(crate) id_hash: u32,
    pub(crate) key_hash: Option<u32>,
}

/// An event's place: its sequence or version, and the frame that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventAt {
    /// The sequence or version asked for.
    pub(crate) position: u64,
    /// Where its frame starts.
    pub(crate) offset: u64,
}

/// The sequences that a segment holds of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionSpan {
    pub(crate) first_sequence: u64,
    /// One above the last.
    pub(crate) next_sequence: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Offset of the frame, divided by 8.
    frame: u32,
    /// Ordinal of the event before this one in its stream; any number for the first in the segment.
    pub(super) previous: u32,
}

#[derive(Debug)]
pub(super) struct PartitionEvents {
    pub(super) first_sequence: u64,
    pub(super) ordinals: Blocks<u32, 512>,
}

impl PartitionEvents {
    fn next_sequence(&self) -> u64 {
        self.first_sequence + u64::from(self.ordinals.len())
    }
}

/// Where the events of one unsealed segment are.
#[derive(Debug)]
pub(crate) struct LiveIndex {
    rows: Blocks<Row, 4_096>,
    pub(super) ids: OrdinalTable,
    pub(super) partitions: BTreeMap<u16, PartitionEvents>,
    pub(super) streams: StreamTable,
    last: LastFrame,
    /// Offset of the last frame, divided by 8; `None` before the first one.
    last_offset: Option<u32>,
}

impl LiveIndex {
    /// An index of no events. `hash_seed` is the manifest's.
    pub(crate) const fn new(hash_seed: u64) -> Self {
        Self {
            rows: Blocks::new(),
            ids: OrdinalTable::new(),
            partitions: BTreeMap::new(),
            streams: StreamTable::new(hash_seed),
            last: LastFrame { events: Vec::new(), is_first_of_partition: false },
            last_offset: None,
        }
    }

    /// Adds one committed frame. It then is [`last_frame`](Self::last_frame).
    ///
    /// # Panics
    /// If a sequence or version is not the next one, if offsets do not ascend, or without events.
    pub(crate) fn push_frame<'a>(
        &mut self,
        frame: LiveFrame,
        events: impl IntoIterator<Item = LiveEvent<'a>>,
    ) {
        self.push_events(frame, events, |streams, event| {
            let stream = match event.stream {
                LiveStream::Known(stream) => stream,
                LiveStream::Named(id) => streams.find(frame.partition, id).unwrap_or_else(|| {
                    streams.add(NewStream {
                        partition: frame.partition,
                        id,
                        first_version: event.version,
                        partition_key: frame.partition_key,
                    })
                }),
            };
            let LiveEvent { version, id_hash, key_hash, .. } = event;
            (LastEvent { stream, id_hash, key_hash }, version)
        });
    }

    /// Adds one frame of a checkpoint delta, which names the streams that are known by their number.
    ///
    /// # Panics
    /// As `push_frame`, and if a stream number is unknown: the decoder has checked all that.
    pub(crate) fn push_recalled(&mut self, frame: LiveFrame, events: &[RecalledEvent<'_>]) {
        self.push_events(frame, events, |streams, event| {
            let stream = match event.stream {
                RecalledStream::Known(stream) => stream,
                RecalledStream::New(new) => streams.add(new),
            };
            let version = streams.versions(stream).expect("checked by the decoder").end;
            let RecalledEvent { id_hash, key_hash, .. } = *event;
            (LastEvent { stream, id_hash, key_hash }, version)
        });
    }

    /// Looks at the places that events of many frames will change. Each is far from the processor; met one by one on
    /// the way through the frames they cost a wait each, met at once they come together.
    pub(crate) fn touch(
        &self,
        id_hashes: impl IntoIterator<Item = u32>,
        streams: impl IntoIterator<Item = StreamRef>,
    ) {
        let ids = id_hashes.into_iter().fold(0, |seen, hash| seen ^ self.ids.touch(hash));
        let streams = streams.into_iter().fold(0, |seen, stream| seen ^ self.streams.touch(stream));
        std::hint::black_box(ids ^ streams); // else the looks are left out as useless
    }

    fn push_events<E>(
        &mut self,
        frame: LiveFrame,
        events: impl IntoIterator<Item = E>,
        mut resolve: impl FnMut(&mut StreamTable, E) -> (LastEvent, u64),
    ) {
        let row_frame = self.check_offset(frame.offset);
        self.last.events.clear();
        let partition = self.partitions.entry(frame.partition).or_insert_with(|| PartitionEvents {
            first_sequence: frame.first_sequence,
            ordinals: Blocks::new(),
        });
        self.last.is_first_of_partition = partition.ordinals.len() == 0;
        let (expected, given) = (partition.next_sequence(), frame.first_sequence);
        assert_eq!(given, expected, "sequences are gapless; partition {}", frame.partition);
        for event in events {
            let ordinal = self.rows.len();
            let (event, version) = resolve(&mut self.streams, event);
            let previous = self.streams.note(event.stream, version, ordinal);
            self.rows.push(Row { frame: row_frame, previous });
            self.ids.insert(event.id_hash, ordinal);
            if let Some(key_hash) = event.key_hash {
                self.ids.insert(key_hash, ordinal);
            }
            partition.ordinals.push(ordinal);
            self.last.events.push(event);
        }
        assert!(!self.last.events.is_empty(), "a transaction has at least one event");
        self.last_offset = Some(row_frame);
    }

    /// The frame that was pushed last.
    pub(crate) const fn last_frame(&self) -> &LastFrame {
        &self.last
    }

    /// Frames that may hold an event with this id hash or idempotency key hash (upper 32 bits), newest first. Nearly
    /// always none, or the right one alone.
    pub(crate) fn event_offsets(&self, hash: u32) -> Vec<u64> {
        let mut ordinals = Vec::new();
        self.ids.candidates(hash, &mut ordinals);
        let mut offsets: Vec<u64> =
            ordinals.into_iter().filter_map(|ordinal| self.frame_offset(ordinal)).collect();
        offsets.dedup();
        offsets
    }

    /// The sequences of `partition` in this segment; `None` if it has none.
    pub(crate) fn partition_span(&self, partition: u16) -> Option<PartitionSpan> {
        self.partitions.get(&partition).map(|events| PartitionSpan {
            first_sequence: events.first_sequence,
            next_sequence: events.next_sequence(),
        })
    }

    /// Every partition with events in this segment, ascending.
    #[cfg(test)]
    pub(crate) fn partitions(&self) -> impl Iterator<Item = u16> + '_ {
        self.partitions.keys().copied()
    }

    /// Appends to `out` the places of at most `count` events from `from_sequence` on, ascending, as far as this segment
    /// has them. To read backwards, ask for the window below and walk it from its end.
    pub(crate) fn partition_offsets(
        &self,
        partition: u16,
        from_sequence: u64,
        count: usize,
        out: &mut Vec<EventAt>,
    ) {
        let Some(events) = self.partitions.get(&partition) else { return };
        let Some(nth) = from_sequence.checked_sub(events.first_sequence) else { return };
        let Ok(nth) = u32::try_from(nth) else { return };
        let places = (nth..events.ordinals.len()).take(count).map_while(|nth| {
            let offset = self.frame_offset(events.ordinals.get(nth)?)?;
            Some(EventAt { position: events.first_sequence + u64::from(nth), offset })
        });
        out.extend(places);
    }

    /// The stream's versions in this segment, its reference and its key; `None` if it has no event here.
    pub(crate) fn stream(&self, partition: u16, stream_id: &[u8]) -> Option<StreamSpan> {
        self.streams.find(partition, stream_id).and_then(|stream| self.streams.span(stream))
    }

    /// The same, where the hash of the stream is known.
    pub(crate) fn hashed_stream(
        &self,
        partition: u16,
        stream_id: &[u8],
        hash: u64,
    ) -> Option<StreamSpan> {
        let found = self.streams.find_hashed(partition, stream_id, hash);
        found.and_then(|stream| self.streams.span(stream))
    }

    /// The seed of the hashes of streams.
    pub(crate) const fn hash_seed(&self) -> u64 {
        self.streams.hash_seed()
    }

    /// The same of a stream known by reference.
    #[cfg(test)]
    pub(crate) fn stream_span(&self, stream: StreamRef) -> Option<StreamSpan> {
        self.streams.span(stream)
    }

    /// Partition and id of a stream. References count from 0 to `stream_count() - 1`.
    pub(crate) fn stream_name(&self, stream: StreamRef) -> Option<(u16, &[u8])> {
        self.streams.name(stream)
    }

    /// Version of a stream's first event in this segment.
    pub(crate) fn first_version(&self, stream: StreamRef) -> Option<u64> {
        self.streams.versions(stream).map(|versions| versions.start)
    }

    /// The partition key of a stream, if it is not the stream's default one.
    pub(crate) fn chosen_key(&self, stream: StreamRef) -> Option<Uuid> {
        self.streams.chosen_key(stream)
    }

    /// Appends to `out` the places of at most `count` events from `from_version` on, ascending, as far as this segment
    /// has them. Takes `count` + 64 steps at most. To read backwards, ask for the window below and walk it from its end.
    pub(crate) fn stream_offsets(
        &self,
        stream: StreamRef,
        from_version: u64,
        count: usize,
        out: &mut Vec<EventAt>,
    ) {
        let Some(span) = self.streams.versions(stream) else { return };
        if from_version < span.start || from_version >= span.end || count == 0 {
            return;
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let last_version = from_version.saturating_add(count - 1).min(span.end - 1);
        let nth = u32::try_from(last_version - span.start).expect("a segment's events fit 32 bits");
        let Some((mut ordinal, back)) = self.streams.anchor(stream, nth) else { return };
        for _ in 0..back {
            ordinal = self.row(ordinal).previous;
        }
        let before = out.len();
        for position in (from_version..=last_version).rev() {
            let row = self.row(ordinal);
            out.push(EventAt { position, offset: u64::from(row.frame) * FRAME_ALIGN });
            ordinal = row.previous;
        }
        out.get_mut(before..).unwrap_or_default().reverse();
    }

    /// Where the frame of the event with this ordinal starts.
    pub(crate) fn frame_offset(&self, ordinal: u32) -> Option<u64> {
        self.rows.get(ordinal).map(|row| u64::from(row.frame) * FRAME_ALIGN)
    }

    /// Events in the segment.
    pub(crate) const fn len(&self) -> u32 {
        self.rows.len()
    }

    /// Streams with an event in the segment.
    pub(crate) const fn stream_count(&self) -> u32 {
        self.streams.len()
    }

    /// Bytes allocated, but for the allocator's own.
    pub(crate) fn memory_bytes(&self) -> usize {
        let per_partition = size_of::<PartitionEvents>() + size_of::<u16>();
        let partitions: usize = self
            .partitions
            .values()
            .map(|events| events.ordinals.memory_bytes() + per_partition)
            .sum();
        let rows = self.rows.memory_bytes() + self.ids.memory_bytes();
        rows + partitions + self.streams.memory_bytes() + size_of::<Self>()
    }

    pub(super) fn row(&self, ordinal: u32) -> Row {
        self.rows.get(ordinal).expect("back-links name ordinals below their own")
    }

    fn check_offset(&self, offset: u64) -> u32 {
        assert!(offset.is_multiple_of(FRAME_ALIGN), "frames are aligned, {offset} is not");
        let last = self.last_offset.map(|last| u64::from(last) * FRAME_ALIGN);
        assert!(last < Some(offset), "offsets ascend: {offset} after {last:?}");
        u32::try_from(offset / FRAME_ALIGN).expect("a segment has at most 10 GiB")
    }
}

#[cfg(test)]
mod tests;
