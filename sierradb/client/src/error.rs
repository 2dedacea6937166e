#![deny(clippy::wildcard_enum_match_arm)]
//! What can go wrong, and what the caller can do about it.

use redis::RedisError;
use sierradb_protocol::reply::ReplyError;
use sierradb_protocol::{ErrorCode, EventNameError, Quoted, StreamIdError};
use uuid::Uuid;

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ClientError {
    /// The server refused the request.
    #[error("{code} {text}")]
    Refused { code: ErrorCode, text: String },
    /// The server refused the request with a code this version does not know.
    #[error("{code} {text}")]
    UnknownCode { code: String, text: String },
    /// Connection, time-out or protocol, below the level of commands.
    #[error("the connection failed")]
    Connection(#[source] RedisError),
    #[error("the server sent a reply that does not belong to the command")]
    Reply(#[source] ReplyError),
    #[error(transparent)]
    StreamId(#[from] StreamIdError),
    #[error(transparent)]
    EventName(#[from] EventNameError),
    #[error("a scan cannot start at {word}: expected - or a number")]
    ScanStart { word: Quoted },
    /// The server ended the subscription; it can be resumed from the events received.
    #[error("subscription {subscription_id} ended before cursor {next_cursor}: {code} {text}")]
    Ended { subscription_id: Uuid, next_cursor: u64, code: ErrorCode, text: String },
    /// The connection of the subscription is gone; it can be resumed from the events received.
    #[error("the connection of subscription {subscription_id} was lost")]
    Disconnected { subscription_id: Uuid },
}

impl ClientError {
    /// True if the very same call can succeed later: see [`ErrorCode::is_retryable`].
    ///
    /// For an append that is safe only if each event has an id of the caller's; see
    /// [`ClientError::is_outcome_unknown`].
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { code, .. } | Self::Ended { code, .. } => code.is_retryable(),
            Self::Connection(error) => is_transient(error),
            Self::Disconnected { .. } => true,
            Self::UnknownCode { .. }
            | Self::Reply(_)
            | Self::StreamId(_)
            | Self::EventName(_)
            | Self::ScanStart { .. } => false,
        }
    }

    /// True if an append may or may not have been stored.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_outcome_unknown(),
            Self::Connection(error) => !error.is_connection_refusal(),
            // Whatever it was, it was the answer to a request that was carried out.
            Self::Reply(_) => true,
            Self::Ended { .. }
            | Self::Disconnected { .. }
            | Self::UnknownCode { .. }
            | Self::StreamId(_)
            | Self::EventName(_)
            | Self::ScanStart { .. } => false,
        }
    }

    /// The code the server gave.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Ended { code, .. } => Some(*code),
            Self::UnknownCode { .. }
            | Self::Connection(_)
            | Self::Reply(_)
            | Self::StreamId(_)
            | Self::EventName(_)
            | Self::ScanStart { .. }
            | Self::Disconnected { .. } => None,
        }
    }
}

/// Trouble with the connection, not with what was sent over it.
pub(crate) fn is_transient(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

impl From<ReplyError> for ClientError {
    fn from(error: ReplyError) -> Self {
        if let ReplyError::Refused { code, text } = error {
            return Self::Refused { code, text };
        }
        Self::Reply(error)
    }
}

impl From<RedisError> for ClientError {
    fn from(error: RedisError) -> Self {
        match (error.code(), error.detail()) {
            (Some(word), text) => Self::refused(word, text.unwrap_or_default()),
            (None, _) => Self::Connection(error),
        }
    }
}

impl ClientError {
    pub(crate) fn refused(word: &str, text: &str) -> Self {
        let text = text.to_owned();
        match ErrorCode::from_word(word) {
            Some(code) => Self::Refused { code, text },
            None => Self::UnknownCode { code: word.to_owned(), text },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_code_and_text() {
        let error = ClientError::refused("WRONGVER", "current stream version is 0");
        assert_eq!(error.code(), Some(ErrorCode::WrongVer));
        assert_eq!(error.to_string(), "WRONGVER current stream version is 0");
        let error = ClientError::refused("DBOPFAILED", "old server");
        assert_eq!((error.code(), error.to_string()), (None, "DBOPFAILED old server".into()));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_retryable() {
        let retryable = |word| ClientError::refused(word, "").is_retryable();
        assert!(retryable("TRYAGAIN") && retryable("TIMEOUT"));
        assert!(!retryable("WRONGVER") && !retryable("INVALIDARG") && !retryable("OTHER"));
        let lost = ClientError::Disconnected { subscription_id: Uuid::nil() };
        assert!(lost.is_retryable());
    }

    #[test]
    fn a_timeout_leaves_the_outcome_open_and_a_refusal_does_not() {
        assert!(ClientError::refused("TIMEOUT", "").is_outcome_unknown());
        assert!(!ClientError::refused("TRYAGAIN", "").is_outcome_unknown());
    }
}
