//! Replies of EAPPEND and EMAPPEND.

use uuid::Uuid;

use crate::partition::PartitionId;
use crate::reply::fields::{Fields, ReplyError};
use crate::stream_id::StreamId;
use crate::value::{Sink, Value};

/// Reply of EAPPEND: where the event stands, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Id of the event.
    pub event_id: Uuid,
    /// Its key.
    pub partition_key: Uuid,
    /// Its partition.
    pub partition_id: PartitionId,
    /// Its position there.
    pub partition_sequence: u64,
    /// Its position in the stream.
    pub stream_version: u64,
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: u64,
}

/// Reply of EMAPPEND: where the events stand, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiAppended {
    /// Key of all events.
    pub partition_key: Uuid,
    /// Their partition.
    pub partition_id: PartitionId,
    /// Position of the first there; event `i` has this plus `i`.
    pub first_partition_sequence: u64,
    /// Position of the last there.
    pub last_partition_sequence: u64,
    /// Event by event, in the order of the request.
    pub events: Vec<AppendedEvent>,
}

/// One event of a [`MultiAppended`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendedEvent {
    /// Its id.
    pub event_id: Uuid,
    /// Its stream.
    pub stream_id: StreamId,
    /// Its position in the stream.
    pub stream_version: u64,
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: u64,
}

impl Appended {
    /// Writes the reply.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.map(6);
        sink.word("event_id");
        sink.uuid(self.event_id);
        sink.word("partition_key");
        sink.uuid(self.partition_key);
        sink.word("partition_id");
        sink.integer(u64::from(self.partition_id.get()));
        sink.word("partition_sequence");
        sink.integer(self.partition_sequence);
        sink.word("stream_version");
        sink.integer(self.stream_version);
        sink.word("timestamp");
        sink.integer(self.timestamp_ms);
    }

    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// If it is another one, or a refusal.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let fields = Fields::of(value)?;
        Ok(Self {
            event_id: fields.get("event_id")?.uuid()?,
            partition_key: fields.get("partition_key")?.uuid()?,
            partition_id: PartitionId::new(fields.get("partition_id")?.number()?),
            partition_sequence: fields.get("partition_sequence")?.number()?,
            stream_version: fields.get("stream_version")?.number()?,
            timestamp_ms: fields.get("timestamp")?.number()?,
        })
    }
}

impl MultiAppended {
    /// Writes the reply.
    pub fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.map(5);
        sink.word("partition_key");
        sink.uuid(self.partition_key);
        sink.word("partition_id");
        sink.integer(u64::from(self.partition_id.get()));
        sink.word("first_partition_sequence");
        sink.integer(self.first_partition_sequence);
        sink.word("last_partition_sequence");
        sink.integer(self.last_partition_sequence);
        sink.word("events");
        sink.array(self.events.len());
        self.events.iter().for_each(|event| event.write_to(sink));
    }

    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// If it is another one, or a refusal.
    pub fn read(value: &Value) -> Result<Self, ReplyError> {
        let fields = Fields::of(value)?;
        let events = fields.get("events")?.items()?.iter().map(AppendedEvent::read);
        Ok(Self {
            partition_key: fields.get("partition_key")?.uuid()?,
            partition_id: PartitionId::new(fields.get("partition_id")?.number()?),
            first_partition_sequence: fields.get("first_partition_sequence")?.number()?,
            last_partition_sequence: fields.get("last_partition_sequence")?.number()?,
            events: events.collect::<Result<_, _>>()?,
        })
    }
}

impl AppendedEvent {
    fn write_to<S: Sink + ?Sized>(&self, sink: &mut S) {
        sink.map(4);
        sink.word("event_id");
        sink.uuid(self.event_id);
        sink.word("stream_id");
        // A simple string, as ever; but a name that would break its line is sent whole instead of cleaned.
        let name = self.stream_id.as_str();
        if name.chars().any(char::is_control) {
            sink.bulk(name.as_bytes());
        } else {
            sink.simple(name);
        }
        sink.word("stream_version");
        sink.integer(self.stream_version);
        sink.word("timestamp");
        sink.integer(self.timestamp_ms);
    }

    fn read(value: &Value) -> Result<Self, ReplyError> {
        let fields = Fields::of(value)?;
        let stream_id = fields.get("stream_id")?;
        Ok(Self {
            event_id: fields.get("event_id")?.uuid()?,
            stream_id: StreamId::from_bytes(stream_id.bytes()?)
                .map_err(|_invalid| stream_id.unexpected("a stream id"))?,
            stream_version: fields.get("stream_version")?.number()?,
            timestamp_ms: fields.get("timestamp")?.number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_code::ErrorCode;
    use crate::reply::fields::resp2;

    fn multi(names: &[&str]) -> MultiAppended {
        let event = |name: &&str| AppendedEvent {
            event_id: Uuid::from_u128(7),
            stream_id: StreamId::new(*name).unwrap(),
            stream_version: 3,
            timestamp_ms: 1_729_247_400_000,
        };
        MultiAppended {
            partition_key: Uuid::from_u128(5),
            partition_id: PartitionId::new(25),
            first_partition_sequence: 0,
            last_partition_sequence: 1,
            events: names.iter().map(event).collect(),
        }
    }

    fn keys(value: &Value) -> Vec<&str> {
        Fields::of(value).unwrap().keys().collect()
    }

    #[test]
    fn eappend_replies_are_read_as_they_were_written() {
        let appended = Appended {
            event_id: Uuid::from_u128(1),
            partition_key: Uuid::from_u128(2),
            partition_id: PartitionId::new(21),
            partition_sequence: 4,
            stream_version: 5,
            timestamp_ms: 6,
        };
        let value = Value::collect(|sink| appended.write_to(sink));
        let expected = [
            "event_id",
            "partition_key",
            "partition_id",
            "partition_sequence",
            "stream_version",
            "timestamp",
        ];
        assert_eq!(keys(&value), expected);
        assert_eq!(Appended::read(&value), Ok(appended));
        assert_eq!(Appended::read(&resp2(value)), Ok(appended));
        let refused = Value::Error { code: ErrorCode::WrongVer, text: "no".into() };
        assert!(matches!(Appended::read(&refused), Err(ReplyError::Refused { .. })));
    }

    #[test]
    fn emappend_replies_are_read_as_they_were_written() {
        let appended = multi(&["stream1", "é", "cr\r\nlf"]);
        let value = Value::collect(|sink| appended.write_to(sink));
        let expected = [
            "partition_key",
            "partition_id",
            "first_partition_sequence",
            "last_partition_sequence",
            "events",
        ];
        assert_eq!(keys(&value), expected);
        let events = Fields::of(&value).unwrap().get("events").unwrap();
        let first = events.items().unwrap().first().unwrap();
        assert_eq!(keys(first), ["event_id", "stream_id", "stream_version", "timestamp"]);
        assert_eq!(MultiAppended::read(&value).as_ref(), Ok(&appended));
        assert_eq!(MultiAppended::read(&resp2(value)), Ok(appended));
    }

    #[test]
    fn a_stream_id_that_is_no_line_becomes_a_bulk_string() {
        for (name, is_bulk) in [("a b", false), ("é", false), ("a\nb", true), ("\u{85}", true)] {
            let value = Value::collect(|sink| multi(&[name]).write_to(sink));
            let events = Fields::of(&value).unwrap().get("events").unwrap().items().unwrap();
            let id = Fields::of(&events[0]).unwrap().get("stream_id").unwrap();
            assert_eq!(matches!(id, Value::Bulk(_)), is_bulk, "{name:?}");
        }
    }
}
