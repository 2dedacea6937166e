//! A reply that waits for its turn: kept as what it says, written when it is due.

use bytes::{Bytes, BytesMut};
use sierradb::{AppendResult, EventBatch, EventRecord};
use sierradb_net::{Dialect, Encoder};
use sierradb_protocol::command::{CommandQuery, PushKind};
use sierradb_protocol::reply::{
    Appended, AppendedEvent, EventFields, HelloReply, MultiAppended, write_command_reply,
    write_event, write_help, write_position, write_scan,
};
use sierradb_protocol::{ErrorCode, Sink, StreamId, Value};
use uuid::Uuid;

use crate::metrics::Ended;
use crate::subscription::state::Sources;
use crate::subscription::window::Window;

/// Event times are kept in nanoseconds and shown in milliseconds.
const NANOS_PER_MILLI: u64 = 1_000_000;

/// What a request is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A word such as `OK`.
    Word(&'static str),
    /// Anything small.
    Tree(Value),
    /// A command that ran and failed.
    Failed(ErrorCode, String),
    /// A request that was not run.
    Rejected(ErrorCode, String),
    /// EAPPEND was stored.
    Appended(AppendResult),
    /// EMAPPEND was stored; the stream ids as the client wrote them, in order.
    AppendedMany(AppendResult, Box<[StreamId]>),
    /// EGET.
    Event(Option<Box<EventRecord>>),
    /// ESCAN, EPSCAN.
    Events(EventBatch),
    /// One value in the dialect of its request.
    Encoded(Bytes),
    /// ESVER, EPSEQ.
    Position(Option<u64>),
    /// ESUB, EPSUB: the session answers with the id once the subscription is entered.
    Subscribed(Box<Prepared>),
    /// HELLO.
    Hello(Box<HelloReply>),
    /// COMMAND.
    Commands(CommandQuery),
    /// Help of this command.
    Help(&'static str),
}

/// A subscription that is about to begin.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: Uuid,
    pub(crate) sources: Sources,
    pub(crate) window: Window,
    pub(crate) kind: PushKind,
}

impl Reply {
    /// `+OK`.
    pub(crate) const OK: Self = Self::Word("OK");

    /// A bulk string.
    pub(crate) fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Tree(Value::Bulk(bytes.into()))
    }

    /// A number.
    pub(crate) fn integer(number: u64) -> Self {
        Self::Tree(Value::Integer(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    /// How the request ended, for counters.
    pub(crate) fn ended(&self) -> Ended {
        match self {
            Self::Failed(code, _) => Ended::Failed(*code),
            Self::Rejected(code, _) => Ended::Rejected(*code),
            _ => Ended::Well,
        }
    }

    /// Bytes of event data it holds in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Events(batch) => batch.events.iter().map(EventRecord::data_len).sum(),
            Self::Event(Some(event)) => event.data_len(),
            Self::Encoded(bytes) => bytes.len(),
            _ => 0,
        }
    }

    /// Events as the bytes that a client of `dialect` gets; other replies are left as they are.
    pub(crate) fn encoded(self, dialect: Dialect) -> Self {
        if !matches!(self, Self::Events(_)) {
            return self;
        }
        let mut bytes = BytesMut::new();
        self.write(&mut Encoder::new(&mut bytes, dialect));
        Self::Encoded(bytes.freeze())
    }

    /// Writes it: one value.
    pub(crate) fn write(&self, sink: &mut Encoder<'_>) {
        match self {
            Self::Encoded(bytes) => sink.encoded(bytes),
            Self::Word(word) => sink.word(word),
            Self::Tree(value) => value.write_to(sink),
            Self::Failed(code, text) | Self::Rejected(code, text) => sink.error(*code, text),
            Self::Appended(result) => write_appended(sink, result),
            Self::AppendedMany(result, streams) => write_many(sink, result, streams),
            Self::Event(event) => write_event(sink, event.as_deref().map(fields).as_ref()),
            Self::Events(batch) => {
                let events = batch.events.iter().map(fields);
                sink.expect(events.map(|event| event.encoded_len()).sum());
                write_scan(sink, batch.has_more, batch.events.iter().map(fields));
            }
            Self::Position(position) => write_position(sink, *position),
            Self::Subscribed(prepared) => sink.uuid(prepared.id),
            Self::Hello(hello) => hello.write_to(sink),
            Self::Commands(query) => write_command_reply(sink, query),
            Self::Help(command) => write_help(sink, command),
        }
    }
}

impl From<sierradb_protocol::Refusal> for Reply {
    fn from(refusal: sierradb_protocol::Refusal) -> Self {
        Self::Failed(refusal.code(), refusal.to_string())
    }
}

/// An event as the wire shows it.
pub(crate) fn fields(event: &EventRecord) -> EventFields<'_> {
    EventFields {
        event_id: event.event_id,
        partition_key: event.partition_key,
        partition_id: event.partition_id,
        transaction_id: event.transaction_id,
        partition_sequence: event.partition_sequence,
        stream_version: event.stream_version,
        timestamp_ms: event.timestamp_ns / NANOS_PER_MILLI,
        stream_id: &event.stream_id,
        event_name: &event.event_name,
        metadata: &event.metadata,
        payload: &event.payload,
    }
}

fn write_appended<S: Sink>(sink: &mut S, result: &AppendResult) {
    // An answered append has an event: a transaction without any is never made.
    let Some(event) = result.events.first() else { return sink.null() };
    let appended = Appended {
        event_id: event.event_id,
        partition_key: result.partition_key,
        partition_id: result.partition_id,
        partition_sequence: result.first_partition_sequence,
        stream_version: event.stream_version,
        timestamp_ms: event.timestamp_ns / NANOS_PER_MILLI,
    };
    appended.write_to(sink);
}

fn write_many<S: Sink>(sink: &mut S, result: &AppendResult, streams: &[StreamId]) {
    let events = result.events.iter().zip(streams).map(|(event, stream_id)| AppendedEvent {
        event_id: event.event_id,
        stream_id: stream_id.clone(),
        stream_version: event.stream_version,
        timestamp_ms: event.timestamp_ns / NANOS_PER_MILLI,
    });
    let appended = MultiAppended {
        partition_key: result.partition_key,
        partition_id: result.partition_id,
        first_partition_sequence: result.first_partition_sequence,
        last_partition_sequence: result.last_partition_sequence,
        events: events.collect(),
    };
    appended.write_to(sink);
}
