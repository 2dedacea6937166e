//! Transactions of which only id, key and size matter.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use sierradb::{ExpectedVersion, NewEvent, StreamId, Transaction};
use uuid::Uuid;

/// One event of `payload_len` bytes in the stream called `stream` of this partition key.
pub(crate) fn one_event(key: Uuid, event_id: u64, payload_len: usize) -> Transaction {
    let event = NewEvent {
        event_id: Uuid::from_u128(u128::from(event_id)),
        stream_id: StreamId::new("stream").unwrap(),
        stream_version: ExpectedVersion::Any,
        event_name: "Happened".into(),
        timestamp: 1,
        payload: vec![7; payload_len],
        metadata: vec![],
    };
    Transaction::new(key, key, vec![event]).unwrap()
}
