//! What is stored and what an append answers.

use bytes::Bytes;
use sierradb_protocol::PartitionId;
use smallvec::SmallVec;
use uuid::Uuid;

/// One stored event. All byte fields are slices of the frame they were read in: cloning copies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The event's own id.
    pub event_id: Uuid,
    /// Key shared by all events of its stream.
    pub partition_key: Uuid,
    /// The partition that the key hashes to.
    pub partition_id: PartitionId,
    /// Equal for all events of one append and for no others.
    pub transaction_id: Uuid,
    /// Position in the partition: 0, 1, 2 … without gaps.
    pub partition_sequence: u64,
    /// Position in the stream: 0, 1, 2 … without gaps.
    pub stream_version: u64,
    /// Nanoseconds since 1970, by the client's or the server's clock.
    pub timestamp_ns: u64,
    /// The stream; UTF-8.
    pub stream_id: Bytes,
    /// The event's type; UTF-8.
    pub event_name: Bytes,
    /// Any bytes.
    pub metadata: Bytes,
    /// Any bytes.
    pub payload: Bytes,
    /// Encoded extensions.
    pub extensions: Bytes,
}

impl EventRecord {
    /// Bytes of this event that a reply carries, for limits: ids and names included, framing not.
    pub fn data_len(&self) -> usize {
        self.stream_id.len()
            + self.event_name.len()
            + self.metadata.len()
            + self.payload.len()
            + 136
    }
}

/// The answer to an append: where its events stand, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendResult {
    /// The transaction's key.
    pub partition_key: Uuid,
    /// The partition written to.
    pub partition_id: PartitionId,
    /// Sequence of the first event.
    pub first_partition_sequence: u64,
    /// Sequence of the last event.
    pub last_partition_sequence: u64,
    /// Per event, in order; one nearly always.
    pub events: SmallVec<[AppendedEvent; 1]>,
    /// Whether these event ids were stored before, and this is their first answer again.
    pub duplicate: bool,
}

impl AppendResult {
    /// The stream version of each event, in order.
    pub fn stream_versions(&self) -> impl Iterator<Item = u64> + '_ {
        self.events.iter().map(|event| event.stream_version)
    }
}

/// Where one event of an append stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedEvent {
    /// Its id.
    pub event_id: Uuid,
    /// Its position in its stream.
    pub stream_version: u64,
    /// Its time, in nanoseconds since 1970.
    pub timestamp_ns: u64,
}

/// A bounded piece of a stream or partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// In the order asked for.
    pub events: Vec<EventRecord>,
    /// Exactly: does the range asked for hold an event behind the last one returned?
    pub has_more: bool,
}

/// Which way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the oldest.
    Forward,
    /// From the newest.
    Backward,
}

/// Which events of a stream or partition to read, and when to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRange {
    /// First version or sequence, inclusive.
    pub start: u64,
    /// Last version or sequence, inclusive; `u64::MAX` for the end.
    pub end: u64,
    /// From which side.
    pub direction: Direction,
    /// At most this many events.
    pub max_events: usize,
    /// Stop before this many bytes of event data, but after at least one event.
    pub max_bytes: usize,
}

impl ReadRange {
    /// Everything from `start` on, oldest first, up to `max_events`.
    pub fn from(start: u64, max_events: usize) -> Self {
        Self {
            start,
            end: u64::MAX,
            direction: Direction::Forward,
            max_events,
            max_bytes: crate::limits::DEFAULT_REPLY_MAX_BYTES,
        }
    }
}
