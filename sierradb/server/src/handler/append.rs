//! EAPPEND and EMAPPEND: fills in what the client left open, and queues the transaction.

use bytes::Bytes;
use sierradb::{DefaultKey, EventDraft, IdOrigin, InvalidTransaction, Transaction};
use sierradb_protocol::command::{AppendEvent, EAppend, EMAppend};
use sierradb_protocol::{ExpectedVersion, PartitionId, Refusal, StreamId, id};
use uuid::Uuid;

use crate::errors;
use crate::handler::Caller;
use crate::session::Work;

/// Milliseconds to nanoseconds.
const NANOS_PER_MILLI: u64 = 1_000_000;

/// The partition key of an append.
pub(crate) enum AppendKey {
    /// The client's.
    Chosen(Uuid),
    /// None was given: that of its stream.
    Default(DefaultKey),
}

impl AppendKey {
    pub(crate) fn partition_key(&self) -> Uuid {
        match self {
            Self::Chosen(key) => *key,
            Self::Default(key) => key.partition_key(),
        }
    }

    fn transaction(&self, drafts: Vec<EventDraft>) -> Result<Transaction, InvalidTransaction> {
        match self {
            Self::Chosen(key) => Transaction::from_drafts(*key, *key, drafts),
            Self::Default(key) => Transaction::with_default_key(key, drafts),
        }
    }
}

/// Queues an EAPPEND with this key to its partition.
pub(crate) fn one(
    caller: &mut Caller<'_>,
    key: &AppendKey,
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
    let key = AppendKey::Chosen(command.partition_key);
    match transaction(caller, &key, command.events.into_iter()) {
        Ok(transaction) => queue(caller, partition, transaction, Some(streams)),
        Err(refusal) => Work::Done(refusal.into()),
    }
}

fn queue(
    caller: &mut Caller<'_>,
    partition: PartitionId,
    transaction: Transaction,
    streams: Option<Box<[StreamId]>>,
) -> Work {
    let size_bytes = usize::try_from(transaction.size_bytes()).unwrap_or(usize::MAX);
    let arrival = caller.arrival();
    let pending = caller.shared.database.begin_append_at(transaction, arrival);
    Work::Append { pending, partition, size_bytes, streams }
}

fn transaction(
    caller: &mut Caller<'_>,
    key: &AppendKey,
    events: impl ExactSizeIterator<Item = AppendEvent>,
) -> Result<Transaction, Refusal> {
    let hash = id::uuid_to_partition_hash(key.partition_key());
    let now_ms = caller.arrival().wall_ns / NANOS_PER_MILLI;
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
    key.transaction(drafts).map_err(errors::of_transaction)
}

fn refuse_lenient(expected: ExpectedVersion) -> Result<(), Refusal> {
    match expected {
        ExpectedVersion::Any | ExpectedVersion::Exists => {
            Err(Refusal::StrictVersioning { expected })
        }
        ExpectedVersion::Empty | ExpectedVersion::Exact(_) => Ok(()),
    }
}
