//! Transactions of one event of 256 bytes, ten per stream.

use bytes::Bytes;
use sierradb::{EventDraft, EventName, ExpectedVersion, IdOrigin, StreamId, Transaction};
use uuid::Uuid;

/// Bytes of an event's payload.
pub(crate) const PAYLOAD: [u8; 256] = [0x5a; 256];

/// Number of the stream that the nth event belongs to: a thousand streams are written in turns.
pub(crate) fn stream_of(nth: u64) -> u64 {
    nth / 10_000 * 1_000 + nth % 1_000
}

/// The stream with a number, and its key.
pub(crate) fn stream(number: u64) -> (StreamId, Uuid) {
    let stream_id = StreamId::new(format!("stream-{number}")).expect("short and without NUL");
    let key = sierradb_protocol::id::default_partition_key(stream_id.as_bytes());
    (stream_id, key)
}

/// The nth event; its id is made from its number.
pub(crate) fn transaction(nth: u64) -> Transaction {
    let (stream_id, key) = stream(stream_of(nth));
    let draft = EventDraft {
        event_id: event_id(nth),
        id_origin: IdOrigin::Given,
        stream_id,
        expected: ExpectedVersion::Any,
        event_name: EventName::new("Happened").expect("a name"),
        timestamp_ns: None,
        payload: Bytes::from_static(&PAYLOAD),
        metadata: Bytes::new(),
        extensions: Bytes::new(),
    };
    Transaction::from_drafts(key, key, vec![draft]).expect("valid")
}

/// Id of the nth event. Its bits hint at no partition, as those of foreign ids.
pub(crate) fn event_id(nth: u64) -> Uuid {
    Uuid::from_u128(u128::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}
