//! The event map: the one home of its keys and their order.
//!
//! New entries may only be added behind the eleven, and readers skip entries they do not know.

use bytes::Bytes;
use uuid::Uuid;

use crate::partition::PartitionId;
use crate::reply::fields::{Fields, ReplyError};
use crate::value::{Sink, Value};

/// One event on its way out, borrowed from wherever it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFields<'a> {
    /// Its id.
    pub event_id: Uuid,
    /// Key shared by all events of its stream.
    pub partition_key: Uuid,
    /// The partition the key belongs to.
    pub partition_id: PartitionId,
    /// Equal for the events of one append and for no others.
    pub transaction_id: Uuid,
    /// Position in the partition, from 0.
    pub partition_sequence: u64,
    /// Position in the stream, from 0.
    pub stream_version: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The stream; UTF-8.
    pub stream_id: &'a [u8],
    /// Its type; UTF-8.
    pub event_name: &'a [u8],
    /// Data about the data.
    pub metadata: &'a [u8],
    /// The data.
    pub payload: &'a [u8],
}

/// One event as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub event_id: Uuid,
    /// Key shared by all events of its stream.
    pub partition_key: Uuid,
    /// The partition the key belongs to.
    pub partition_id: PartitionId,
    /// Equal for the events of one append and for no others.
    pub transaction_id: Uuid,
    /// Position in the partition, from 0.
    pub partition_sequence: u64,
    /// Position in the stream, from 0.
    pub stream_version: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: u64,
    /// The stream.
    pub stream_id: Bytes,
    /// Its type.
    pub event_name: Bytes,
    /// Data about the data.
    pub metadata: Bytes,
    /// The data.
    pub payload: Bytes,
}

/// Bytes of an event map beside the four fields of any length, in either protocol version; a little more than most.
const MAP_OVERHEAD: usize = 432;

impl EventFields<'_> {
    /// About as many bytes as the event takes in a reply.
    pub fn encoded_len(&self) -> usize {
        let fields = [self.stream_id, self.event_name, self.metadata, self.payload];
        fields.iter().fold(MAP_OVERHEAD, |sum, field| sum.saturating_add(field.len()))
    }

    /// Writes the event map. Nothing is allocated here.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.map(11);
        sink.word("event_id");
        sink.uuid(self.event_id);
        sink.word("partition_key");
        sink.uuid(self.partition_key);
        sink.word("partition_id");
        sink.integer(u64::from(self.partition_id.get()));
        sink.word("transaction_id");
        sink.uuid(self.transaction_id);
        sink.word("partition_sequence");
        sink.integer(self.partition_sequence);
        sink.word("stream_version");
        sink.integer(self.stream_version);
        sink.word("timestamp");
        sink.integer(self.timestamp_ms);
        sink.word("stream_id");
        sink.bulk(self.stream_id);
        sink.word("event_name");
        sink.bulk(self.event_name);
        sink.word("metadata");
        sink.bulk(self.metadata);
        sink.word("payload");
        sink.bulk(self.payload);
    }
}

impl Event {
    /// The same, borrowed.
    pub fn fields(&self) -> EventFields<'_> {
        EventFields {
            event_id: self.event_id,
            partition_key: self.partition_key,
            partition_id: self.partition_id,
            transaction_id: self.transaction_id,
            partition_sequence: self.partition_sequence,
            stream_version: self.stream_version,
            timestamp_ms: self.timestamp_ms,
            stream_id: &self.stream_id,
            event_name: &self.event_name,
            metadata: &self.metadata,
            payload: &self.payload,
        }
    }

    /// Reads an event map.
    ///
    /// # Errors
    ///
    /// If it is none, or a field is missing or of the wrong kind.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            event_id: fields.get("event_id")?.uuid()?,
            partition_key: fields.get("partition_key")?.uuid()?,
            partition_id: PartitionId::new(fields.get("partition_id")?.number()?),
            transaction_id: fields.get("transaction_id")?.uuid()?,
            partition_sequence: fields.get("partition_sequence")?.number()?,
            stream_version: fields.get("stream_version")?.number()?,
            timestamp_ms: fields.get("timestamp")?.number()?,
            stream_id: fields.get("stream_id")?.bytes()?,
            event_name: fields.get("event_name")?.bytes()?,
            metadata: fields.get("metadata")?.bytes()?,
            payload: fields.get("payload")?.bytes()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::command::test_support::{any_bytes, any_uuid};
    use crate::reply::fields::resp2;

    pub(crate) fn any_event() -> impl Strategy<Value = Event> {
        let number = || 0..=u64::MAX >> 1;
        let ids = (any_uuid(), any_uuid(), any_uuid(), any::<u16>());
        let numbers = (number(), number(), number());
        let bytes = (any_bytes(), any_bytes(), any_bytes(), any_bytes());
        (ids, numbers, bytes).prop_map(|(ids, numbers, bytes)| Event {
            event_id: ids.0,
            partition_key: ids.1,
            partition_id: PartitionId::new(ids.3),
            transaction_id: ids.2,
            partition_sequence: numbers.0,
            stream_version: numbers.1,
            timestamp_ms: numbers.2,
            stream_id: bytes.0,
            event_name: bytes.1,
            metadata: bytes.2,
            payload: bytes.3,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_event_is_read_as_it_was_written(event in any_event()) {
            let value = Value::collect(|sink| event.fields().write_to(sink));
            prop_assert_eq!(Event::read(&value), Ok(event.clone()));
            prop_assert_eq!(Event::read(&resp2(value)), Ok(event));
        }
    }

    #[test]
    fn keys_come_in_the_order_of_the_contract() {
        let event = Event {
            event_id: Uuid::nil(),
            partition_key: Uuid::nil(),
            partition_id: PartitionId::new(21),
            transaction_id: Uuid::nil(),
            partition_sequence: 1,
            stream_version: 2,
            timestamp_ms: 3,
            stream_id: "s".into(),
            event_name: "E".into(),
            metadata: Bytes::new(),
            payload: "p".into(),
        };
        let mut value = Value::collect(|sink| event.fields().write_to(sink));
        let keys: Vec<_> = Fields::of(&value).unwrap().keys().collect();
        let expected = [
            "event_id",
            "partition_key",
            "partition_id",
            "transaction_id",
            "partition_sequence",
            "stream_version",
            "timestamp",
            "stream_id",
            "event_name",
            "metadata",
            "payload",
        ];
        assert_eq!(keys, expected);
        let Value::Map(entries) = &mut value else { panic!("a map") };
        entries.push((Value::Simple("new".into()), Value::Null));
        assert_eq!(Event::read(&value).as_ref(), Ok(&event), "what is new is skipped");
        let Value::Map(entries) = &mut value else { panic!("a map") };
        entries.remove(0);
        assert_eq!(Event::read(&value), Err(ReplyError::Missing { name: "event_id" }));
    }
}
