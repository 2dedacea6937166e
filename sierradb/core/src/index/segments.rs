//! The segments of a bucket: the unsealed ones with their indexes in memory, the sealed ones with their index files.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use bytes::Bytes;
use sierradb_protocol::StreamId;

use super::data_file::DataFile;
use super::hash::stream_hash;
use super::heads::{StreamHead, StreamKey};
use super::live::{EventAt, LiveIndex};
use super::recent::RecentFrames;
use super::sealed::SealedIndex;
use super::streams::StreamRef;
use crate::segment::checkpoint::delta::{DeltaBuilder, LogPosition};

/// A segment without an index file: the active one, or a rolled one.
#[derive(Debug)]
pub(crate) struct LiveSegment {
    pub(crate) file: Arc<DataFile>,
    pub(crate) index: LiveIndex,
    /// What the index learned since the last checkpoint.
    pub(crate) delta: DeltaBuilder,
    /// End of the last committed frame.
    pub(crate) used_len: u64,
    /// Up to where checkpoints cover it.
    pub(crate) checkpointed_len: u64,
    /// Where the next delta belongs in the checkpoint file.
    pub(crate) next_delta_offset: u64,
    /// The last committed frame; `None` if there is none.
    pub(crate) end: Option<LogPosition>,
    /// Whether a later segment has begun.
    pub(crate) is_rolled: bool,
}

/// A segment that never changes again.
#[derive(Debug)]
pub(crate) struct SealedSegment {
    pub(crate) file: Arc<DataFile>,
    pub(crate) index: SealedIndex,
}

/// Sealed segments, oldest first.
pub(crate) type SealedList = Arc<Vec<Arc<SealedSegment>>>;

/// All segments of a bucket.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Oldest first; the last one is active.
    pub(crate) live: Vec<LiveSegment>,
    pub(crate) sealed: SealedList,
    /// Frames committed last, so that followers of the tail need no read.
    pub(crate) recent: RecentFrames,
    /// The log is damaged from here on: what lies behind is not known.
    pub(crate) damage: Option<Damage>,
}

/// Where the readable log ends before its real end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) cause: String,
}

/// Where an unsealed segment has a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamPlace {
    /// Number of the segment.
    pub(crate) segment: u64,
    /// The stream in that segment's index.
    pub(crate) stream: StreamRef,
}

/// A stream that an unsealed segment has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundStream {
    /// One above the version of its last event.
    pub(crate) next_version: u64,
    pub(crate) key: StreamKey,
    pub(crate) place: StreamPlace,
}

/// A frame to be read, and which event of it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) file: Arc<DataFile>,
    /// Where the frame starts.
    pub(crate) offset: u64,
    /// The version or sequence wanted.
    pub(crate) position: u64,
    /// The frame's bytes, if they are at hand: perhaps not all of them.
    pub(crate) bytes: Option<Bytes>,
}

impl Segments {
    /// Head of a stream in unsealed segments, newest first.
    pub(crate) fn live_head(&self, partition: u16, stream_id: &StreamId) -> Option<StreamHead> {
        let hash =
            stream_hash(self.live.last()?.index.hash_seed(), partition, stream_id.as_bytes());
        let found = self.live_stream(partition, stream_id.as_bytes(), hash)?;
        let partition_key = found.key.of(stream_id);
        Some(StreamHead { next_version: found.next_version, partition_key })
    }

    /// The same, and where it is; `hash` is that of the stream.
    pub(crate) fn live_stream(
        &self,
        partition: u16,
        stream_id: &[u8],
        hash: u64,
    ) -> Option<FoundStream> {
        self.live.iter().rev().find_map(|segment| {
            let span = segment.index.hashed_stream(partition, stream_id, hash)?;
            let key = span.chosen_key.map_or(StreamKey::Default, StreamKey::Chosen);
            let place = StreamPlace { segment: segment.file.number, stream: span.stream };
            Some(FoundStream { next_version: span.next_version, key, place })
        })
    }

    /// Frames in unsealed segments that may hold an event id, newest first.
    pub(crate) fn candidates(&self, id_hash: u32) -> Vec<Place> {
        let mut places = Vec::new();
        for segment in self.live.iter().rev() {
            for offset in segment.index.event_offsets(id_hash) {
                places.push(self.place(segment, EventAt { position: 0, offset }));
            }
        }
        places
    }

    /// Number of the newest sealed segment; 0 if there is none.
    pub(crate) fn last_sealed(&self) -> u64 {
        self.sealed.last().map_or(0, |segment| segment.file.number)
    }

    /// Places of the versions `wanted` of a stream, as far as the unsealed segment that holds version `anchor` has
    /// them; `None` if no unsealed segment holds it.
    pub(crate) fn live_stream_places(
        &self,
        partition: u16,
        stream_id: &StreamId,
        anchor: u64,
        wanted: RangeInclusive<u64>,
    ) -> Option<Vec<Place>> {
        self.live.iter().find_map(|segment| {
            let span = segment.index.stream(partition, stream_id.as_bytes())?;
            let (from, count) = overlap(span.first_version..span.next_version, anchor, &wanted)?;
            let mut found = Vec::new();
            segment.index.stream_offsets(span.stream, from, count, &mut found);
            Some(found.into_iter().map(|at| self.place(segment, at)).collect())
        })
    }

    /// The same by partition and sequence.
    pub(crate) fn live_partition_places(
        &self,
        partition: u16,
        anchor: u64,
        wanted: RangeInclusive<u64>,
    ) -> Option<Vec<Place>> {
        self.live.iter().find_map(|segment| {
            let span = segment.index.partition_span(partition)?;
            let (from, count) = overlap(span.first_sequence..span.next_sequence, anchor, &wanted)?;
            let mut found = Vec::new();
            segment.index.partition_offsets(partition, from, count, &mut found);
            Some(found.into_iter().map(|at| self.place(segment, at)).collect())
        })
    }

    fn place(&self, segment: &LiveSegment, at: EventAt) -> Place {
        Place {
            file: segment.file.clone(),
            offset: at.offset,
            position: at.position,
            // Only the last, still growing block cannot be cached; for all others the cache is the shorter way.
            bytes: (!segment.file.data.is_cacheable(at.offset))
                .then(|| self.recent.get(segment.file.number, at.offset))
                .flatten(),
        }
    }
}

/// If a run of positions holds `anchor`: the first of `wanted` inside the run, and how many.
pub(crate) fn overlap(
    run: Range<u64>,
    anchor: u64,
    wanted: &RangeInclusive<u64>,
) -> Option<(u64, usize)> {
    if !run.contains(&anchor) {
        return None;
    }
    let first = run.start.max(*wanted.start());
    let end = run.end.min(wanted.end().saturating_add(1));
    Some((first, usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX)))
}
