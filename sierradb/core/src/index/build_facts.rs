//! What an index is built from.

use uuid::Uuid;

/// What is known before the first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BuildOptions {
    /// Seed of the database's hashes, from the manifest.
    pub(crate) hash_seed: u64,
    /// Number of the segment.
    pub(crate) segment_number: u64,
    /// Log index of its first frame.
    pub(crate) first_index: u64,
    /// Its size limit in bytes, which decides how entries are packed.
    pub(crate) segment_size: u64,
    /// How many events will come, if known: saves growing. 0 is fine.
    pub(crate) expected_events: usize,
}

/// A frame of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameFact {
    /// Where it begins in the segment.
    pub(crate) offset: u64,
    /// Its log index.
    pub(crate) index: u64,
    /// Its term.
    pub(crate) term: u64,
    /// Its partition; meaningless without events.
    pub(crate) partition: u16,
    /// Sequence of its first event; meaningless without events.
    pub(crate) first_sequence: u64,
    /// Append time of its events; meaningless without events.
    pub(crate) append_time_ns: u64,
    /// Checksum of its header.
    pub(crate) header_crc: u32,
}

/// An event of the frame pushed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventFact<'a> {
    /// Its id.
    pub(crate) event_id: &'a Uuid,
    /// Its stream.
    pub(crate) stream_id: &'a [u8],
    /// Its version in the stream.
    pub(crate) stream_version: u64,
    /// The transaction's idempotency key, on its first event.
    pub(crate) idempotency_key: Option<&'a [u8]>,
}

/// An event of the frame pushed last, which cannot be read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostEventFact<'a> {
    /// Its stream.
    pub(crate) stream_id: &'a [u8],
    /// Its version in the stream.
    pub(crate) stream_version: u64,
    /// Upper 32 bits of hashes, among them that of its id and, if it has one, of its idempotency key.
    pub(crate) hashes: &'a [u32],
}

/// What is known after the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentEnd {
    /// Length of the segment.
    pub(crate) used_len: u64,
    /// Log index of the last frame.
    pub(crate) last_index: u64,
    /// Header checksum of the last frame.
    pub(crate) end_chain: u32,
    /// xxh3-128 of the whole segment file.
    pub(crate) segment_digest: u128,
}

/// Facts that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("frame at offset {offset} after one at {before}")]
    FrameOffset { before: u64, offset: u64 },
    #[error("frame with index {found} where {expected} was expected")]
    FrameIndex { expected: u64, found: u64 },
    #[error("no hash is known of the id of an event of version {version}")]
    UnknownId { version: u64 },
    #[error("event before the first frame")]
    EventWithoutFrame,
    #[error("partition {partition}: sequence {found} where {expected} was expected")]
    Sequence { partition: u16, expected: u64, found: u64 },
    #[error(
        "stream of partition {partition}: version {found} where {expected} was expected, at offset {offset}"
    )]
    Version { partition: u16, offset: u64, expected: u64, found: u64 },
    #[error("stream id of {len} bytes at offset {offset}")]
    StreamId { offset: u64, len: usize },
    #[error("the segment ends with {field} {found}, its last frame says {expected}")]
    End { field: &'static str, expected: u64, found: u64 },
    #[error("too many {what} for one index")]
    TooMany { what: &'static str },
}
