//! Between the history's plain data and the types of the embedded store.

use bytes::Bytes;
use sierradb::{
    AppendError, AppendResult, CurrentVersion, Direction, EventDraft, EventName, EventRecord,
    ExpectedVersion, IdOrigin, PartitionId, ReadRange, StreamId, Transaction,
};
use uuid::Uuid;

use crate::history::{Acked, Draft, Expected, Failure, Seen, Submission};
use crate::violation::Violation;

pub(super) fn ascending(events: &[EventRecord], is_backward: bool) -> Vec<Seen> {
    let mut events: Vec<Seen> = events.iter().map(seen).collect();
    if is_backward {
        events.reverse();
    }
    events
}

pub(super) fn range(start: u64, count: usize, is_backward: bool) -> ReadRange {
    let direction = if is_backward { Direction::Backward } else { Direction::Forward };
    ReadRange { direction, ..ReadRange::from(start, count) }
}

pub(super) fn stream_id(name: &str) -> Result<StreamId, Violation> {
    StreamId::new(name).map_err(|error| Violation::new("workload", "stream-id", error.to_string()))
}

pub(super) fn transaction(submission: &Submission) -> Result<Transaction, Violation> {
    let drafts = submission.events.iter().map(draft).collect::<Result<Vec<_>, _>>()?;
    let key = Uuid::from_u128(submission.partition_key);
    Transaction::from_drafts(key, PartitionId(submission.partition), drafts)
        .map_err(|error| Violation::new("workload", "transaction", error.to_string()))
}

pub(super) fn draft(draft: &Draft) -> Result<EventDraft, Violation> {
    let event_name = EventName::new(draft.name.as_str())
        .map_err(|error| Violation::new("workload", "event-name", error.to_string()))?;
    Ok(EventDraft {
        event_id: Uuid::from_u128(draft.id),
        id_origin: IdOrigin::Given,
        stream_id: stream_id(&draft.stream)?,
        expected: match draft.expected {
            Expected::Any => ExpectedVersion::Any,
            Expected::Exists => ExpectedVersion::Exists,
            Expected::Empty => ExpectedVersion::Empty,
            Expected::Exact(version) => ExpectedVersion::Exact(version),
        },
        event_name,
        timestamp_ns: draft.timestamp_ns,
        payload: draft.payload.clone(),
        metadata: draft.metadata.clone(),
        extensions: Bytes::new(),
    })
}

pub(super) fn answer(result: &AppendResult) -> Acked {
    Acked {
        sequences: result.first_partition_sequence..result.last_partition_sequence + 1,
        events: result
            .events
            .iter()
            .map(|event| (event.event_id.as_u128(), event.stream_version, event.timestamp_ns))
            .collect(),
        is_duplicate: result.duplicate,
    }
}

pub(super) fn failure(error: &AppendError) -> Failure {
    match error {
        AppendError::WrongVersion { current, stream_id, .. } => Failure::WrongVersion {
            stream: stream_id.as_str().to_owned(),
            next: match current {
                CurrentVersion::Empty => 0,
                CurrentVersion::Current(last) => last + 1,
            },
        },
        AppendError::Duplicate { .. } => Failure::Duplicate,
        AppendError::KeyMismatch { .. } => Failure::KeyMismatch,
        AppendError::TooLarge { .. } => Failure::TooLarge,
        AppendError::Busy { .. }
        | AppendError::Closing
        | AppendError::DiskFull { .. }
        | AppendError::ReadOnly { .. } => Failure::Unavailable,
        AppendError::Read(_) => Failure::Unreadable,
        // Also what later versions may add, and an invalid transaction, which the workload does not make.
        _ => Failure::Unknown,
    }
}

/// A number for the trace.
pub(super) fn kind(failure: &Failure) -> u64 {
    match failure {
        Failure::WrongVersion { .. } => 1,
        Failure::Duplicate => 2,
        Failure::KeyMismatch => 3,
        Failure::Unavailable => 4,
        Failure::TooLarge => 5,
        Failure::Unreadable => 6,
        Failure::Unknown => 7,
    }
}

pub(super) fn seen(record: &EventRecord) -> Seen {
    Seen {
        id: record.event_id.as_u128(),
        partition: record.partition_id.get(),
        sequence: record.partition_sequence,
        version: record.stream_version,
        partition_key: record.partition_key.as_u128(),
        transaction_id: Some(record.transaction_id.as_u128()),
        timestamp_ns: record.timestamp_ns,
        stream: record.stream_id.clone(),
        name: record.event_name.clone(),
        metadata: record.metadata.clone(),
        payload: record.payload.clone(),
    }
}
