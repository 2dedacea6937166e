//! What the tests of all commands share: requests as text, and arbitrary requests.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use crate::command::Command;
use crate::stream_id::StreamId;
use crate::version::ExpectedVersion;

/// A key with 32 partitions: hash 40025, partition 25.
pub(crate) const KEY: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Words split at blanks; `'…'` keeps blanks together.
pub(crate) fn words(line: &str) -> Vec<Bytes> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(Bytes::copy_from_slice(part.as_bytes()));
        } else {
            words.extend(part.split_whitespace().map(|w| Bytes::copy_from_slice(w.as_bytes())));
        }
    }
    words
}

pub(crate) fn parsed(line: &str) -> Command {
    Command::from_args(&words(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// Code and text of the refusal.
pub(crate) fn refused(line: &str) -> String {
    let error = Command::from_args(&words(line)).expect_err(line);
    format!("{} {error}", error.code())
}

/// Encodes and parses back.
pub(crate) fn assert_round_trip(command: &Command) {
    assert_eq!(
        Command::from_args(&command.to_args()).as_ref(),
        Ok(command),
        "{:?}",
        command.to_args()
    );
}

pub(crate) fn any_uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

pub(crate) fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

/// Stream ids that may stand anywhere: at most nine letters in lower case that are no keyword.
pub(crate) fn any_stream_id() -> impl Strategy<Value = StreamId> {
    "[a-z é=:.{}-]{1,9}".prop_filter_map("keyword", |text| {
        let keywords = ["from", "window", "push", "timestamp", "payload", "metadata"];
        if keywords.contains(&text.as_str()) { None } else { StreamId::new(text).ok() }
    })
}

pub(crate) fn any_expected() -> impl Strategy<Value = ExpectedVersion> {
    prop_oneof![
        Just(ExpectedVersion::Any),
        Just(ExpectedVersion::Exists),
        Just(ExpectedVersion::Empty),
        any::<u64>().prop_map(ExpectedVersion::Exact),
    ]
}
