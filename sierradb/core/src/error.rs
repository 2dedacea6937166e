//! What can go wrong, per operation, and what the caller can do about it.
#![deny(clippy::wildcard_enum_match_arm)]

use std::path::PathBuf;
use std::time::Duration;

use sierradb_io::DiskError;
use sierradb_protocol::{CurrentVersion, EventNameError, ExpectedVersion, StreamId};
use uuid::Uuid;

use crate::segment::extension::ExtensionError;

/// A transaction that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum InvalidTransaction {
    #[error("a transaction needs at least one event")]
    Empty,
    #[error("{count} events exceed the limit of 65535 per transaction")]
    TooManyEvents { count: usize },
    #[error("the event name is not valid")]
    EventName {
        #[source]
        source: EventNameError,
    },
    #[error("timestamp {timestamp_ns} ns lies beyond the year 2262")]
    Timestamp { timestamp_ns: u64 },
    #[error("{field} of {len} bytes is too large to encode")]
    FieldTooLarge { field: &'static str, len: usize },
    #[error("event id {event_id} appears twice in this transaction")]
    RepeatedId { event_id: Uuid },
    #[error("partition key {partition_key} and selector {selector} hash to different partitions")]
    SelectorMismatch { partition_key: Uuid, selector: Uuid },
    #[error("partition key {partition_key} belongs to partition {expected}, not to {found}")]
    WrongPartition { partition_key: Uuid, expected: u16, found: u16 },
    #[error("there is no event {event} among {count}")]
    NoSuchEvent { event: usize, count: usize },
    #[error("event {event} has an {what}, which this version cannot honour yet; use event ids")]
    Reserved { event: usize, what: &'static str },
    #[error("the extension of event {event} is not valid")]
    Extension {
        event: usize,
        #[source]
        source: ExtensionError,
    },
}

/// Why an append did not succeed. Only [`AppendError::OutcomeUnknown`] leaves open whether it was stored; all
/// others mean that nothing was written and nothing will be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum AppendError {
    #[error(
        "current stream version is {current} but expected {expected} for partition key {partition_key} and stream id {stream_id}"
    )]
    WrongVersion {
        current: CurrentVersion,
        expected: ExpectedVersion,
        partition_key: Uuid,
        stream_id: StreamId,
    },
    #[error("event id {event_id} is already used in partition {partition_id} by a different event")]
    Duplicate { event_id: Uuid, partition_id: u16 },
    #[error(
        "partition key must be the same for all events in a stream: expected {expected}, got {got}"
    )]
    KeyMismatch { stream_id: StreamId, expected: Uuid, got: Uuid },
    #[error(transparent)]
    Invalid(#[from] InvalidTransaction),
    #[error("transaction of {size_bytes} bytes exceeds the limit of {limit_bytes} bytes")]
    TooLarge { size_bytes: u64, limit_bytes: u64 },
    #[error("too many appends in flight for partition {partition_id}")]
    Busy { partition_id: u16 },
    #[error("the database is shutting down")]
    Closing,
    #[error(
        "disk is nearly full: {free_bytes} bytes free, {needed_bytes} needed; appends are refused"
    )]
    DiskFull { free_bytes: u64, needed_bytes: u64 },
    #[error("bucket {bucket_id} is read-only after a disk error: {cause}")]
    ReadOnly { bucket_id: u16, cause: String },
    #[error("what this append depends on could not be read")]
    Read(#[source] ReadError),
    /// Stored or not, nobody knows yet; a retry with the same event ids tells.
    #[error("no certainty from bucket {bucket_id} within {waited:?}: {cause}")]
    OutcomeUnknown { bucket_id: u16, waited: Duration, cause: String },
}

impl AppendError {
    /// Whether the same append may succeed later without any change. A retry after
    /// [`AppendError::OutcomeUnknown`] is safe too, but only with given event ids, hence `false`.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Closing | Self::DiskFull { .. } => true,
            Self::WrongVersion { .. }
            | Self::Duplicate { .. }
            | Self::KeyMismatch { .. }
            | Self::Invalid(_)
            | Self::TooLarge { .. }
            | Self::ReadOnly { .. }
            | Self::Read(_)
            | Self::OutcomeUnknown { .. } => false,
        }
    }
}

/// Why a read did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ReadError {
    #[error("{cause} in bucket {bucket_id} segment {segment} at offset {offset}")]
    Damaged { bucket_id: u16, segment: u64, offset: u64, cause: String },
    #[error("bucket {bucket_id} could not be read")]
    Disk {
        bucket_id: u16,
        #[source]
        source: DiskError,
    },
    #[error("partition {partition_id} does not exist: this database has partitions 0 to {last}")]
    NoSuchPartition { partition_id: u16, last: u16 },
}

/// Why a directory was not opened. Nothing in it was changed, except where a torn end was cut before the error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum OpenError {
    #[error("{rule}")]
    Options { rule: String },
    #[error("data directory {dir} is in use by another process", dir = dir.display())]
    Locked { dir: PathBuf },
    #[error(
        "{name} is {configured} but the data directory was created with {stored}; it cannot be changed"
    )]
    Fixed { name: &'static str, configured: u64, stored: u64 },
    #[error("data directory {dir} needs format {needs}, this version reads 1.x", dir = dir.display())]
    Format { dir: PathBuf, needs: String },
    #[error("manifest of {dir} is damaged: {cause}; `sierradb repair --manifest` rebuilds it", dir = dir.display())]
    Manifest { dir: PathBuf, cause: String },
    #[error(
        "data directory {dir} belongs to a cluster: bucket {bucket_id} has {voters} voters", dir = dir.display()
    )]
    Clustered { dir: PathBuf, bucket_id: u16, voters: usize },
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("a task of the start ended early")]
    Interrupted,
}
