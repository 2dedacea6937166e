#![deny(clippy::wildcard_enum_match_arm)]
//! What can be wrong with the words of a request. The texts are part of the wire contract.

use std::fmt;

use crate::error_code::ErrorCode;
use crate::limits::TIMESTAMP_MAX_MS;
use crate::quote::Quoted;
use crate::stream_id::{EventNameError, StreamIdError};
use crate::value::Sink;

/// Why a request was not understood. Nothing was done.
///
/// `Display` gives the text behind the code; [`ParseError::code`] the code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ParseError {
    // ---- in the form of Redis ----
    #[error("unknown command {name}, with args beginning with: {arguments}")]
    UnknownCommand { name: Quoted, arguments: Box<str> },
    #[error("unknown subcommand {subcommand}. Try {command} HELP.")]
    UnknownSubcommand { command: &'static str, subcommand: Quoted },
    #[error("wrong number of arguments for '{}' command", FullName(.command, *.subcommand))]
    WrongArity { command: &'static str, subcommand: Option<&'static str> },
    #[error("syntax error")]
    Syntax,
    #[error("Syntax error in HELLO option {word}")]
    HelloOption { word: Quoted },
    #[error("unsupported protocol version")]
    HelloVersion,
    #[error("Protocol version is not an integer or out of range")]
    HelloVersionNumber,
    #[error("{what} cannot contain spaces, newlines or special characters.")]
    ClientName { what: &'static str },
    #[error("Unrecognized option {word}")]
    SetInfoOption { word: Quoted },
    #[error("client-id should be greater than 0")]
    ClientId,
    #[error("Invalid client ID")]
    InvalidClientId,
    #[error("Unknown client type {word}")]
    ClientType { word: Quoted },
    #[error("value is not an integer or out of range")]
    NotInteger,
    #[error("DB index is out of range")]
    DbIndex,
    // ---- of SierraDB ----
    #[error("unknown option {word} for {command}: expected {}{note}", OneOf(.expected))]
    UnknownOption {
        word: Quoted,
        command: &'static str,
        expected: &'static [&'static str],
        note: OptionNote,
    },
    #[error("{word} is not accepted as a stream id here")]
    KeywordAsStreamId { word: Quoted },
    #[error("PARTITION_KEY is not an option of EMAPPEND events")]
    PartitionKeyOfEvent,
    #[error("PARTITION_KEY must follow its stream id")]
    PartitionKeyAfterOptions,
    #[error("missing value for {option}")]
    MissingValue { option: &'static str },
    #[error("{} already specified", Spoken(.option))]
    AlreadySpecified { option: &'static str },
    #[error("missing event name for stream {stream}")]
    MissingEventName { stream: Quoted },
    #[error("invalid {what} {word}: expected a UUID")]
    InvalidUuid { what: &'static str, word: Quoted },
    #[error("invalid partition {word}: expected a number or a UUID")]
    InvalidPartition { word: Quoted },
    #[error(
        "invalid partition selector {word}: expected *, or partition ids, ranges or UUIDs separated by commas"
    )]
    InvalidPartitionSet { word: Quoted },
    #[error("invalid expected version {word}: expected a number, any, exists or empty")]
    InvalidExpectedVersion { word: Quoted },
    #[error("invalid timestamp {word}: expected milliseconds between 0 and {TIMESTAMP_MAX_MS}")]
    InvalidTimestamp { word: Quoted },
    #[error("invalid {what} {word}: expected a number")]
    InvalidNumber { what: &'static str, word: Quoted },
    #[error("invalid window {word}: expected a number between 1 and 4294967295")]
    InvalidWindow { word: Quoted },
    #[error("start {what} cannot be '+'")]
    StartAtLast { what: &'static str },
    #[error("end {what} cannot be '-'")]
    EndAtFirst { what: &'static str },
    #[error("invalid start {what} {word}: expected - or a number")]
    InvalidStart { what: &'static str, word: Quoted },
    #[error("invalid end {what} {word}: expected + or a number")]
    InvalidEnd { what: &'static str, word: Quoted },
    #[error("invalid FROM {word}: expected LATEST, a number or MAP")]
    InvalidFrom { word: Quoted },
    #[error("invalid MAP entry {word}: expected <name>=<number>")]
    InvalidMapEntry { word: Quoted },
    #[error("MAP entry {word} names a stream that is not subscribed")]
    MapEntryNotSubscribed { word: Quoted },
    #[error("invalid PUSH {word}: expected event or message")]
    InvalidPush { word: Quoted },
    #[error(transparent)]
    StreamId(StreamIdError),
    #[error(transparent)]
    EventName(EventNameError),
}

/// What an unknown option may have been meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionNote {
    /// No idea.
    None,
    /// A word that is close.
    DidYouMean(&'static str),
    /// It stands right behind the event name: probably the second word of a name.
    NeedsQuotes,
}

impl ParseError {
    /// The code that goes before the text.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownCommand { .. }
            | Self::UnknownSubcommand { .. }
            | Self::WrongArity { .. }
            | Self::Syntax
            | Self::HelloOption { .. }
            | Self::HelloVersionNumber
            | Self::ClientName { .. }
            | Self::SetInfoOption { .. }
            | Self::ClientId
            | Self::InvalidClientId
            | Self::ClientType { .. }
            | Self::NotInteger
            | Self::DbIndex => ErrorCode::Err,
            Self::HelloVersion => ErrorCode::NoProto,
            Self::UnknownOption { .. }
            | Self::KeywordAsStreamId { .. }
            | Self::PartitionKeyOfEvent
            | Self::PartitionKeyAfterOptions
            | Self::MissingValue { .. }
            | Self::AlreadySpecified { .. }
            | Self::MissingEventName { .. }
            | Self::InvalidUuid { .. }
            | Self::InvalidPartition { .. }
            | Self::InvalidPartitionSet { .. }
            | Self::InvalidExpectedVersion { .. }
            | Self::InvalidTimestamp { .. }
            | Self::InvalidNumber { .. }
            | Self::InvalidWindow { .. }
            | Self::StartAtLast { .. }
            | Self::EndAtFirst { .. }
            | Self::InvalidStart { .. }
            | Self::InvalidEnd { .. }
            | Self::InvalidFrom { .. }
            | Self::InvalidMapEntry { .. }
            | Self::MapEntryNotSubscribed { .. }
            | Self::InvalidPush { .. }
            | Self::StreamId(_)
            | Self::EventName(_) => ErrorCode::InvalidArg,
        }
    }

    /// Writes the error reply.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.error(self.code(), &self.to_string());
    }
}

impl fmt::Display for OptionNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::DidYouMean(option) => write!(formatter, "; did you mean {option}?"),
            Self::NeedsQuotes => formatter.write_str(" (an event name with spaces needs quotes)"),
        }
    }
}

/// `client|id`: as Redis names commands in this one text.
struct FullName<'a>(&'a str, Option<&'a str>);

impl fmt::Display for FullName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_ascii_lowercase())?;
        match self.1 {
            Some(subcommand) => write!(formatter, "|{}", subcommand.to_ascii_lowercase()),
            None => Ok(()),
        }
    }
}

/// `A, B or C`.
struct OneOf<'a>(&'a [&'a str]);

impl fmt::Display for OneOf<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.0.len().saturating_sub(1);
        for (index, word) in self.0.iter().enumerate() {
            match index {
                0 => {}
                _ if index == last => formatter.write_str(" or ")?,
                _ => formatter.write_str(", ")?,
            }
            formatter.write_str(word)?;
        }
        Ok(())
    }
}

/// `EVENT_ID` as one says it: `event id`.
struct Spoken<'a>(&'a str);

impl fmt::Display for Spoken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_ascii_lowercase().replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_like_a_sentence() {
        assert_eq!(OneOf(&["A", "B", "C"]).to_string(), "A, B or C");
        assert_eq!(OneOf(&["A", "B"]).to_string(), "A or B");
        assert_eq!(OneOf(&["A"]).to_string(), "A");
        assert_eq!(OneOf(&[]).to_string(), "");
    }

    #[test]
    fn an_error_writes_its_code_and_text() {
        use crate::value::Value;
        let written = Value::collect(|sink| ParseError::HelloVersion.write_to(sink));
        let text = "unsupported protocol version".to_owned();
        assert_eq!(written, Value::Error { code: ErrorCode::NoProto, text });
    }
}
