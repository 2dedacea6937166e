#![deny(clippy::wildcard_enum_match_arm)]
//! What can stand against a request that was understood. The texts are part of the wire contract.
//!
//! What is wrong with the words themselves is a [`ParseError`](crate::ParseError); errors of the RESP framing belong
//! to the decoder. Together the three are all error replies there are.

use uuid::Uuid;

use crate::error_code::ErrorCode;
use crate::partition::{NoSuchPartition, PartitionId};
use crate::stream_id::StreamId;
use crate::value::Sink;
use crate::version::{CurrentVersion, ExpectedVersion};

/// Why a request was refused or failed. `Display` gives the text behind the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum Refusal {
    // ---- in the form of Redis ----
    #[error(
        "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"
    )]
    NoPasswordConfigured,
    #[error("invalid username-password pair or user is disabled.")]
    WrongLogin,
    #[error("Authentication required.")]
    NotLoggedIn,
    #[error(
        "HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
    )]
    HelloNotLoggedIn,
    #[error(
        "Can't execute '{}': only ESUB / EPSUB / EACK / EUNSUB / (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        .command.to_ascii_lowercase()
    )]
    SubscriberMode { command: &'static str },
    #[error("This instance has cluster support disabled")]
    NoClusterSupport,
    #[error("No such client")]
    NoSuchClient,
    #[error("max number of clients reached")]
    TooManyClients,
    /// A bug of ours; the log has the same id.
    #[error("internal error {id}")]
    Internal { id: String },
    // ---- of SierraDB ----
    #[error(
        "current stream version is {current} but expected {expected} for partition key {partition_key} and stream id {stream_id}"
    )]
    WrongVersion {
        current: CurrentVersion,
        expected: ExpectedVersion,
        partition_key: Uuid,
        stream_id: StreamId,
    },
    #[error("event id {event_id} is already used in partition {partition} by a different event")]
    DuplicateEvent { event_id: Uuid, partition: PartitionId },
    #[error("event id {event_id} appears twice in this transaction")]
    RepeatedEvent { event_id: Uuid },
    #[error(transparent)]
    NoSuchPartition(#[from] NoSuchPartition),
    #[error("transaction of {size_bytes} bytes exceeds the limit of {limit_bytes} bytes")]
    TransactionTooLarge { size_bytes: u64, limit_bytes: u64 },
    #[error("{count} events exceed the limit of {limit} per transaction")]
    TooManyEvents { count: usize, limit: usize },
    #[error("strict versioning mode rejects EXPECTED_VERSION {expected}")]
    StrictVersioning { expected: ExpectedVersion },
    #[error(
        "partition key must be the same for all events in a stream: expected {expected}, got {got}"
    )]
    OtherPartitionKey { expected: Uuid, got: Uuid },
    /// Any other rule the request breaks, in words.
    #[error("{rule}")]
    Invalid { rule: String },
    #[error("too many subscriptions on this connection: the limit is {limit}")]
    TooManySubscriptions { limit: usize },
    #[error("cursor {cursor} is behind the acknowledged cursor {acknowledged}")]
    CursorBehind { cursor: u64, acknowledged: u64 },
    #[error("cursor {cursor} was not sent yet: {}", describe_last(*.last_sent))]
    CursorNotSent { cursor: u64, last_sent: Option<u64> },
    #[error("subscription not found")]
    NoSuchSubscription,
    #[error("too many appends in flight for partition {partition}")]
    TooManyAppends { partition: PartitionId },
    #[error("leadership of partition {partition} changed")]
    LeadershipChanged { partition: PartitionId },
    #[error("server is shutting down")]
    ShuttingDown,
    #[error("partition unavailable")]
    PartitionUnavailable,
    #[error("write operation timed out, its outcome is unknown")]
    OutcomeUnknown,
    #[error(
        "disk is nearly full: {free_bytes} bytes free, {needed_bytes} needed; appends are refused"
    )]
    DiskNearlyFull { free_bytes: u64, needed_bytes: u64 },
    #[error("read error: {cause}")]
    Read { cause: String },
    #[error("bucket {bucket} is read-only after a disk error: {cause}")]
    BucketReadOnly { bucket: u16, cause: String },
}

impl Refusal {
    /// The code that goes before the text.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NoPasswordConfigured
            | Self::SubscriberMode { .. }
            | Self::NoClusterSupport
            | Self::NoSuchClient
            | Self::TooManyClients
            | Self::Internal { .. } => ErrorCode::Err,
            Self::WrongLogin => ErrorCode::WrongPass,
            Self::NotLoggedIn | Self::HelloNotLoggedIn => ErrorCode::NoAuth,
            Self::WrongVersion { .. } => ErrorCode::WrongVer,
            Self::DuplicateEvent { .. } | Self::RepeatedEvent { .. } => ErrorCode::DupEvent,
            Self::NoSuchPartition(_)
            | Self::TransactionTooLarge { .. }
            | Self::TooManyEvents { .. }
            | Self::StrictVersioning { .. }
            | Self::OtherPartitionKey { .. }
            | Self::Invalid { .. }
            | Self::TooManySubscriptions { .. }
            | Self::CursorBehind { .. }
            | Self::CursorNotSent { .. } => ErrorCode::InvalidArg,
            Self::NoSuchSubscription => ErrorCode::NotFound,
            Self::TooManyAppends { .. } | Self::LeadershipChanged { .. } | Self::ShuttingDown => {
                ErrorCode::TryAgain
            }
            Self::PartitionUnavailable => ErrorCode::ClusterDown,
            Self::OutcomeUnknown => ErrorCode::Timeout,
            Self::DiskNearlyFull { .. } => ErrorCode::MisConf,
            Self::Read { .. } => ErrorCode::ReadErr,
            Self::BucketReadOnly { .. } => ErrorCode::WriteErr,
        }
    }

    /// Writes the error reply.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.error(self.code(), &self.to_string());
    }
}

fn describe_last(cursor: Option<u64>) -> String {
    match cursor {
        Some(cursor) => format!("the last cursor sent is {cursor}"),
        None => "none was sent yet".to_owned(),
    }
}

#[cfg(test)]
mod tests;
