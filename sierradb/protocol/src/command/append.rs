//! EAPPEND and EMAPPEND.

use bytes::Bytes;
use uuid::Uuid;

use crate::args::{Args, parse_number, set_once};
use crate::command::request::Command;
use crate::command::suggest::{Place, unknown_option};
use crate::command::words::Words;
use crate::id::parse_uuid;
use crate::keyword::{exact_key, keyword_key};
use crate::limits::{EVENT_OVERHEAD_BYTES, TIMESTAMP_MAX_MS};
use crate::parse_error::ParseError;
use crate::quote::Quoted;
use crate::stream_id::{EventName, StreamId};
use crate::version::ExpectedVersion;

/// Options of EAPPEND, in grammar order.
const OPTIONS: &[&str] =
    &["EVENT_ID", "PARTITION_KEY", "EXPECTED_VERSION", "TIMESTAMP", "PAYLOAD", "METADATA"];

/// `EAPPEND`: one event to one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EAppend {
    /// The key; without one the default key of the stream.
    pub partition_key: Option<Uuid>,
    /// The event.
    pub event: AppendEvent,
}

/// `EMAPPEND`: events to streams of one partition, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EMAppend {
    /// The key all events share.
    pub partition_key: Uuid,
    /// The events in order, at least one.
    pub events: Vec<AppendEvent>,
}

/// One event to be appended, as the client gave it.
///
/// Its bytes are slices of the request. A stream id that is an option keyword, or an event name that is an upper-case
/// one, cannot be written in every place; the parsers refuse them there, so encoding such an event does not round-trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendEvent {
    /// The stream.
    pub stream_id: StreamId,
    /// Its type.
    pub event_name: EventName,
    /// Its id; without one the server makes one, and the request cannot be retried safely.
    pub event_id: Option<Uuid>,
    /// What the stream must look like, earlier events of the same request counted in.
    pub expected_version: ExpectedVersion,
    /// Milliseconds since 1970, at most 9223372036854; without them the server's clock.
    pub timestamp_ms: Option<u64>,
    /// Data; empty if not given.
    pub payload: Bytes,
    /// Data about the data; empty if not given.
    pub metadata: Bytes,
}

impl AppendEvent {
    /// An event with defaults for everything optional.
    pub fn new(stream_id: StreamId, event_name: EventName) -> Self {
        Self {
            stream_id,
            event_name,
            event_id: None,
            expected_version: ExpectedVersion::Any,
            timestamp_ms: None,
            payload: Bytes::new(),
            metadata: Bytes::new(),
        }
    }

    /// What the event counts towards the size limit of its transaction.
    pub fn size_bytes(&self) -> usize {
        let names = self.stream_id.as_bytes().len() + self.event_name.as_bytes().len();
        names + self.payload.len() + self.metadata.len() + EVENT_OVERHEAD_BYTES
    }

    fn encode(&self, words: &mut Words, partition_key: Option<Uuid>) {
        words.bytes(self.stream_id.to_bytes());
        words.bytes(self.event_name.to_bytes());
        words.option("EVENT_ID", self.event_id);
        words.option("PARTITION_KEY", partition_key);
        let expected = Some(self.expected_version).filter(|e| *e != ExpectedVersion::Any);
        words.option("EXPECTED_VERSION", expected);
        words.option("TIMESTAMP", self.timestamp_ms);
        words.option_bytes("PAYLOAD", Some(&self.payload).filter(|bytes| !bytes.is_empty()));
        words.option_bytes("METADATA", Some(&self.metadata).filter(|bytes| !bytes.is_empty()));
    }
}

impl EAppend {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let stream_id = args.stream_id()?;
        let event_name = event_name(args, &stream_id)?;
        let mut options = EventOptions::default();
        let mut partition_key = None;
        let mut place = Place::BehindEventName;
        while let Some(word) = args.next_word() {
            match Keyword::of(&word) {
                Some(Keyword::PartitionKey) => {
                    let key = args.uuid("PARTITION_KEY", "partition key")?;
                    set_once(&mut partition_key, "PARTITION_KEY", key)?;
                }
                Some(Keyword::OfEvent(option)) => options.take(option, args)?,
                None => return Err(unknown_option(args.command(), OPTIONS, &word, place)),
            }
            place = Place::Elsewhere;
        }
        let event = options.into_event(stream_id, event_name);
        Ok(Command::EAppend(Self { partition_key, event }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        self.event.encode(words, self.partition_key);
    }
}

impl EMAppend {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let key = args.word()?;
        let partition_key = parse_uuid(&key).ok_or_else(|| ParseError::InvalidUuid {
            what: "partition key",
            word: Quoted::new(&key),
        })?;
        let mut events = Vec::new();
        while let Some(word) = args.peek() {
            refuse_keyword(&word)?;
            let stream_id = args.stream_id()?;
            let event_name = event_name(args, &stream_id)?;
            let mut options = EventOptions::default();
            while let Some(Keyword::OfEvent(option)) =
                args.peek().and_then(|word| Keyword::of(&word))
            {
                args.word()?;
                options.take(option, args)?;
            }
            events.push(options.into_event(stream_id, event_name));
        }
        Ok(Command::EMAppend(Self { partition_key, events }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        words.text(self.partition_key);
        self.events.iter().for_each(|event| event.encode(words, None));
    }
}

/// A keyword of EAPPEND.
enum Keyword {
    PartitionKey,
    OfEvent(EventOption),
}

/// An option of one event.
enum EventOption {
    EventId,
    ExpectedVersion,
    Timestamp,
    Payload,
    Metadata,
}

const PARTITION_KEY: u128 = keyword_key("PARTITION_KEY");
const EVENT_ID: u128 = keyword_key("EVENT_ID");
const EXPECTED_VERSION: u128 = keyword_key("EXPECTED_VERSION");
const TIMESTAMP: u128 = keyword_key("TIMESTAMP");
const PAYLOAD: u128 = keyword_key("PAYLOAD");
const METADATA: u128 = keyword_key("METADATA");

/// The options of one event while they are read.
#[derive(Debug, Default)]
struct EventOptions {
    event_id: Option<Uuid>,
    expected_version: Option<ExpectedVersion>,
    timestamp_ms: Option<u64>,
    payload: Option<Bytes>,
    metadata: Option<Bytes>,
}

impl EventOptions {
    /// Takes the value of `option`.
    fn take(&mut self, option: EventOption, args: &mut Args<'_>) -> Result<(), ParseError> {
        match option {
            EventOption::EventId => {
                let id = args.uuid("EVENT_ID", "event id")?;
                set_once(&mut self.event_id, "EVENT_ID", id)
            }
            EventOption::ExpectedVersion => {
                let read = ExpectedVersion::from_word;
                let fault = |word| ParseError::InvalidExpectedVersion { word };
                let expected = args.read("EXPECTED_VERSION", read, fault)?;
                set_once(&mut self.expected_version, "EXPECTED_VERSION", expected)
            }
            EventOption::Timestamp => {
                let read = |word: &[u8]| parse_number(word).filter(|ms| *ms <= TIMESTAMP_MAX_MS);
                let fault = |word| ParseError::InvalidTimestamp { word };
                let timestamp_ms = args.read("TIMESTAMP", read, fault)?;
                set_once(&mut self.timestamp_ms, "TIMESTAMP", timestamp_ms)
            }
            EventOption::Payload => {
                set_once(&mut self.payload, "PAYLOAD", args.value("PAYLOAD")?.to_bytes())
            }
            EventOption::Metadata => {
                set_once(&mut self.metadata, "METADATA", args.value("METADATA")?.to_bytes())
            }
        }
    }

    fn into_event(self, stream_id: StreamId, event_name: EventName) -> AppendEvent {
        AppendEvent {
            stream_id,
            event_name,
            event_id: self.event_id,
            expected_version: self.expected_version.unwrap_or_default(),
            timestamp_ms: self.timestamp_ms,
            payload: self.payload.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
        }
    }
}

impl Keyword {
    /// The keyword a word is, in any case.
    fn of(word: &[u8]) -> Option<Self> {
        Some(match exact_key(word)? {
            PAYLOAD => Self::OfEvent(EventOption::Payload),
            METADATA => Self::OfEvent(EventOption::Metadata),
            EVENT_ID => Self::OfEvent(EventOption::EventId),
            EXPECTED_VERSION => Self::OfEvent(EventOption::ExpectedVersion),
            TIMESTAMP => Self::OfEvent(EventOption::Timestamp),
            PARTITION_KEY => Self::PartitionKey,
            _ => return None,
        })
    }
}

/// An option keyword where a stream id is due: the event before it was ended too early.
fn refuse_keyword(word: &[u8]) -> Result<(), ParseError> {
    match Keyword::of(word) {
        Some(Keyword::PartitionKey) => Err(ParseError::PartitionKeyOfEvent),
        Some(Keyword::OfEvent(_)) => Err(ParseError::KeywordAsStreamId { word: Quoted::new(word) }),
        None => Ok(()),
    }
}

/// The event name; an upper-case option keyword in its place means that it was forgotten.
fn event_name(args: &mut Args<'_>, stream_id: &StreamId) -> Result<EventName, ParseError> {
    // No keyword has a lower-case letter, and nearly every name has one.
    let is_keyword =
        |word: &[u8]| !word.iter().any(u8::is_ascii_lowercase) && Keyword::of(word).is_some();
    if args.peek().is_none_or(|word| is_keyword(&word)) {
        let stream = Quoted::new(stream_id.as_bytes());
        return Err(ParseError::MissingEventName { stream });
    }
    args.event_name()
}

#[cfg(test)]
mod tests;
