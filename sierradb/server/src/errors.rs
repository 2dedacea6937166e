//! Any error of the store as what a client is told. The texts and codes are those of [`Refusal`]; nothing else in
//! this crate chooses one.

use sierradb::limits::MAX_EVENTS_PER_TRANSACTION;
use sierradb::{AppendError, InvalidTransaction, ReadError};
use sierradb_protocol::{PartitionId, Refusal};

/// What a refused or failed append is answered with.
pub(crate) fn of_append(error: AppendError) -> Refusal {
    match error {
        AppendError::WrongVersion { current, expected, partition_key, stream_id } => {
            Refusal::WrongVersion { current, expected, partition_key, stream_id }
        }
        AppendError::Duplicate { event_id, partition_id } => {
            Refusal::DuplicateEvent { event_id, partition: PartitionId::new(partition_id) }
        }
        AppendError::KeyMismatch { expected, got, .. } => {
            Refusal::OtherPartitionKey { expected, got }
        }
        AppendError::Invalid(invalid) => of_transaction(invalid),
        AppendError::TooLarge { size_bytes, limit_bytes } => {
            Refusal::TransactionTooLarge { size_bytes, limit_bytes }
        }
        AppendError::Busy { partition_id } => {
            Refusal::TooManyAppends { partition: PartitionId::new(partition_id) }
        }
        AppendError::Closing => Refusal::ShuttingDown,
        AppendError::DiskFull { free_bytes, needed_bytes } => {
            Refusal::DiskNearlyFull { free_bytes, needed_bytes }
        }
        AppendError::ReadOnly { bucket_id, cause } => {
            Refusal::BucketReadOnly { bucket: bucket_id, cause }
        }
        AppendError::Read(read) => of_read(read),
        AppendError::OutcomeUnknown { .. } => Refusal::OutcomeUnknown,
        other => internal(&other),
    }
}

/// What a transaction that cannot be made is answered with.
pub(crate) fn of_transaction(error: InvalidTransaction) -> Refusal {
    match error {
        InvalidTransaction::RepeatedId { event_id } => Refusal::RepeatedEvent { event_id },
        InvalidTransaction::TooManyEvents { count } => {
            Refusal::TooManyEvents { count, limit: MAX_EVENTS_PER_TRANSACTION }
        }
        InvalidTransaction::EventName { source } => Refusal::Invalid { rule: source.to_string() },
        other => Refusal::Invalid { rule: other.to_string() },
    }
}

/// What a failed read is answered with.
pub(crate) fn of_read(error: ReadError) -> Refusal {
    match error {
        ReadError::NoSuchPartition { .. } => Refusal::Invalid { rule: error.to_string() },
        ReadError::Disk { ref source, .. } => Refusal::Read { cause: format!("{error}: {source}") },
        ReadError::Damaged { .. } => Refusal::Read { cause: error.to_string() },
        other => internal(&other),
    }
}

/// An error this version does not know how to name: a bug, told apart in the log by its id.
fn internal(error: &dyn std::error::Error) -> Refusal {
    let text = error.to_string();
    // FNV-1a: the same bug has the same id everywhere.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let id = format!("{hash:016x}");
    tracing::error!(target: "sierradb", "internal error {id}: {text}");
    Refusal::Internal { id }
}
