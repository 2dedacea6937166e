//! What clients asked for and what they were told: plain data, apart from the product's types.

use std::ops::Range;

use bytes::Bytes;

/// A stream: its partition and its id.
pub type StreamKey = (u16, String);

/// What an append demands of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Any,
    /// At least one event.
    Exists,
    /// No event.
    Empty,
    /// This last version.
    Exact(u64),
}

impl Expected {
    /// Whether a stream whose next version is `next` meets it.
    pub fn is_met_by(self, next: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Exists => next > 0,
            Self::Empty => next == 0,
            Self::Exact(last) => next == last + 1,
        }
    }
}

/// One event of a submitted transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Event id.
    pub id: u128,
    /// Stream id.
    pub stream: String,
    /// What the stream must be at.
    pub expected: Expected,
    /// Event name.
    pub name: String,
    /// Nanoseconds since 1970; the server's choice if `None`.
    pub timestamp_ns: Option<u64>,
    /// Payload.
    pub payload: Bytes,
    /// Metadata.
    pub metadata: Bytes,
}

/// A transaction as a client submits it. Retries submit it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Partition of the key.
    pub partition: u16,
    /// Partition key.
    pub partition_key: u128,
    /// Its events, in order.
    pub events: Vec<Draft>,
}

/// An event as a reader of any kind saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Event id.
    pub id: u128,
    /// Partition.
    pub partition: u16,
    /// Sequence in the partition.
    pub sequence: u64,
    /// Version in the stream.
    pub version: u64,
    /// Partition key.
    pub partition_key: u128,
    /// Transaction id, where the reader tells one.
    pub transaction_id: Option<u128>,
    /// Nanoseconds since 1970.
    pub timestamp_ns: u64,
    /// Stream id.
    pub stream: Bytes,
    /// Event name.
    pub name: Bytes,
    /// Metadata.
    pub metadata: Bytes,
    /// Payload.
    pub payload: Bytes,
}

/// The answer to a successful append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Sequences of its events, in order.
    pub sequences: Range<u64>,
    /// Per event, in order: id, version, timestamp.
    pub events: Vec<(u128, u64, u64)>,
    /// Whether the store says that these events were there before.
    pub is_duplicate: bool,
}

/// How an append ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A stream was not at the expected version; its next version by that answer.
    WrongVersion {
        /// Which stream.
        stream: String,
        /// One above the last version told; 0 for an empty stream.
        next: u64,
    },
    /// An event id is used by another event.
    Duplicate,
    /// The stream has another partition key.
    KeyMismatch,
    /// Refused for want of space, room or a healthy disk, or while closing: nothing was written.
    Unavailable,
    /// Refused as too large.
    TooLarge,
    /// What the decision needs could not be read: nothing was written.
    Unreadable,
    /// Stored or not, nobody knows.
    Unknown,
}
