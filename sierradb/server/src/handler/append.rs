//! EAPPEND and EMAPPEND: fills in what the client left open, and queues the transaction.

use bytes::Bytes;
use sierradb::{EventDraft, IdOrigin, Transaction};
use sierradb_protocol::command::{AppendEvent, EAppend, EMAppend};
use sierradb_protocol::{ExpectedVersion, PartitionId, Refusal, StreamId, id};
use uuid::Uuid;

use crate::errors;
use crate::handler::Caller;
use crate::session::Work;

/// Milliseconds to nanoseconds.
const NANOS_PER_MILLI: u64 = 1_000_000;

/// Queues an EAPPEND with this key to its partition.
pub(crate) fn one(
    caller: &mut Caller<'_>,
    key: Uuid,
    partition: PartitionId,
    command: EAppend,
) -> Work {
    match transaction(caller, key, std::iter::once(command.event)) {
        Ok(transaction) => queue(caller, partition, transaction, None),
        Err(refusal) => Work::Done(refusal.into()),
    }
}

/// Queues an EMAPPEND to its partition.
pub(crate) fn many(caller: &mut Caller<'_>, partition: PartitionId, command: EMAppend) -> Work {
    let streams = command.events.iter().map(|event| event.stream_id.clone()).collect();
    match transaction(caller, command.partition_key, command.events.into_iter()) {
        Ok(transaction) => queue(caller, partition, transaction, Some(streams)),
        Err(refusal) => Work::Done(refusal.into()),
    }
}

fn queue(
    caller: &Caller<'_>,
    partition: PartitionId,
    transaction: Transaction,
    streams: Option<Vec<StreamId>>,
) -> Work {
    let size_bytes = usize::try_from(transaction.size_bytes()).unwrap_or(usize::MAX);
    let pending = caller.shared.database.begin_append(transaction);
    Work::Append { pending, partition, size_bytes, streams }
}

fn transaction(
    caller: &mut Caller<'_>,
    key: Uuid,
    events: impl ExactSizeIterator<Item = AppendEvent>,
) -> Result<Transaction, Refusal> {
    let hash = id::uuid_to_partition_hash(key);
    let now_ms = caller.shared.io.clock().wall().0;
    let is_strict = caller.shared.config.strict_versioning;
    // Not collected: that would make room for four events where there is one nearly always.
    let mut drafts = Vec::with_capacity(events.len());
    for event in events {
        if is_strict {
            refuse_lenient(event.expected_version)?;
        }
        let (event_id, id_origin) = match event.event_id {
            Some(given) => (given, IdOrigin::Given),
            None => (caller.ids.event_id(now_ms, hash), IdOrigin::Assigned),
        };
        drafts.push(EventDraft {
            event_id,
            id_origin,
            stream_id: event.stream_id,
            expected: event.expected_version,
            event_name: event.event_name,
            timestamp_ns: event.timestamp_ms.map(|ms| ms.saturating_mul(NANOS_PER_MILLI)),
            payload: event.payload,
            metadata: event.metadata,
            extensions: Bytes::new(),
        });
    }
    Transaction::from_drafts(key, key, drafts).map_err(errors::of_transaction)
}

fn refuse_lenient(expected: ExpectedVersion) -> Result<(), Refusal> {
    match expected {
        ExpectedVersion::Any | ExpectedVersion::Exists => {
            Err(Refusal::StrictVersioning { expected })
        }
        ExpectedVersion::Empty | ExpectedVersion::Exact(_) => Ok(()),
    }
}
