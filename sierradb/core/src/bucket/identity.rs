//! A transaction that comes again gets its first answer again.
//!
//! The ordered event ids are a transaction's identity. If they are stored with the same content, the first result is
//! the answer; any other use of a stored id is refused. Content is what the client chose: key, streams, names,
//! payloads, metadata, extensions, and times where both sides have them from the client.

use sierradb_protocol::PartitionId;
use smallvec::SmallVec;

use crate::event::{AppendResult, AppendedEvent};
use crate::segment::event_codec::{EventError, EventFlags, event_keys};
use crate::segment::frame::{Frame, FrameHeader, LogEntry};
use crate::transaction::{EventDraft, Transaction};

/// What a stored transaction says to one that shares an id with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The same: its first answer.
    Same(AppendResult),
    /// Another.
    Different,
}

/// Compares `transaction` with the stored `frame`.
///
/// # Errors
/// [`EventError`] if the frame cannot be decoded.
pub(crate) fn compare(transaction: &Transaction, frame: &Frame) -> Result<Identity, EventError> {
    let (partition_key, stored) = event_keys(frame)?;
    if partition_key != transaction.partition_key
        || usize::from(frame.header.event_count) != transaction.events.len()
    {
        return Ok(Identity::Different);
    }
    let mut events = SmallVec::with_capacity(transaction.events.len());
    for (event, draft) in stored.zip(&transaction.events) {
        let event = event?;
        let stored_time =
            (!event.flags.contains(EventFlags::TIMESTAMP_ASSIGNED)).then_some(event.timestamp_ns);
        let same = event.event_id == draft.event_id
            && event.stream_id == draft.stream_id.as_bytes()
            && event.name == draft.event_name.as_bytes()
            && event.payload == draft.payload
            && event.metadata == draft.metadata
            && event.extensions == draft.extensions
            && same_time(draft, stored_time);
        if !same {
            return Ok(Identity::Different);
        }
        events.push(AppendedEvent {
            event_id: event.event_id,
            stream_version: event.stream_version,
            timestamp_ns: event.timestamp_ns,
        });
    }
    let first = frame.header.first_sequence;
    Ok(Identity::Same(AppendResult {
        partition_key,
        partition_id: PartitionId::new(frame.header.partition),
        first_partition_sequence: first,
        last_partition_sequence: first + u64::from(frame.header.event_count) - 1,
        events,
        duplicate: true,
    }))
}

/// Compares `transaction` with entry `index`, which is in flight.
///
/// # Errors
/// As [`compare`].
pub(crate) fn compare_entry(
    transaction: &Transaction,
    entry: &LogEntry,
    index: u64,
) -> Result<Identity, EventError> {
    let header = FrameHeader {
        header_crc: 0,
        body_crc: entry.body_crc,
        body_len: entry.body_len(),
        prev_crc: 0,
        partition: entry.partition,
        event_count: entry.event_count,
        first_sequence: entry.first_sequence,
        commit_hint: entry.commit_hint,
        index,
        term: 1,
        mask: 0,
        kind: entry.kind,
    };
    compare(transaction, &Frame { header, offset: 0, body: entry.body.clone() })
}

/// A time that the retry leaves open is not compared. One that it gives must be the one stored, and that must have
/// been given as well.
fn same_time(draft: &EventDraft, stored: Option<u64>) -> bool {
    draft.timestamp_ns.is_none() || draft.timestamp_ns == stored
}
