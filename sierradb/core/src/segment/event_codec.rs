//! The body of a transaction frame: who it belongs to, then its events.
//!
//! | Off | Size | Transaction field | | Off | Size | Event field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 16 | partition key | | 0 | 16 | event id |
//! | 16 | 8 | append time, ns | | 16 | 8 | stream version |
//! | 24 | … | events | | 24 | 8 | timestamp, ns |
//! | | | | | 32 | 4 | payload length |
//! | | | | | 36 | 4 | metadata length |
//! | | | | | 40 | 2 | extensions length |
//! | | | | | 42 | 1 | stream id length, from 1 |
//! | | | | | 43 | 1 | name length |
//! | | | | | 44 | 2 | flags |
//! | | | | | 46 | … | stream id, name, extensions, metadata, payload |
//!
//! Little endian. Event i has sequence `first_sequence + i` of the frame. Three ways to read: [`TransactionView`]
//! with [`EventView`]s whose parts are slices of the frame's body, [`decode_event`] for one of them, and
//! [`event_keys`], which borrows and is meant for indexes. None of them looks inside the parts; text is checked
//! before it is written, and the checksum vouches for it since.

use bytes::{Buf, BufMut, Bytes};
use uuid::Uuid;

use super::extension::ExtensionError;
use super::frame::{Frame, FrameHeader, FrameKind, LogEntry};
use crate::limits::{
    MAX_EVENT_NAME_LEN, MAX_EVENTS_PER_TRANSACTION, MAX_EXTENSIONS_LEN, MAX_STREAM_ID_LEN,
};

/// Bytes before the first event.
pub(crate) const TRANSACTION_HEADER_LEN: usize = 24;

/// Bytes of an event before its parts.
pub(crate) const EVENT_HEADER_LEN: usize = 46;

const _: () = assert!(MAX_STREAM_ID_LEN == u8::MAX as usize);
const _: () = assert!(MAX_EVENT_NAME_LEN == u8::MAX as usize);
const _: () = assert!(MAX_EXTENSIONS_LEN == u16::MAX as usize);
const _: () = assert!(MAX_EVENTS_PER_TRANSACTION == u16::MAX as usize);

/// What the node filled in for the client. Bits without a meaning yet are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct EventFlags(u16);

impl EventFlags {
    /// Nothing was filled in.
    pub(crate) const NONE: Self = Self(0);
    /// The timestamp is the append time, not the client's.
    pub(crate) const TIMESTAMP_ASSIGNED: Self = Self(1);
    /// The event id was made by the node.
    pub(crate) const ID_ASSIGNED: Self = Self(2);

    /// These and those.
    #[must_use]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// An event to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewEventRef<'a> {
    /// Event id.
    pub(crate) event_id: Uuid,
    /// Number in its stream, from 0.
    pub(crate) stream_version: u64,
    /// Client's time or append time, ns since 1970.
    pub(crate) timestamp_ns: u64,
    /// What was filled in.
    pub(crate) flags: EventFlags,
    /// Stream id, 1..=255 bytes.
    pub(crate) stream_id: &'a [u8],
    /// Event name, 0..=255 bytes.
    pub(crate) name: &'a [u8],
    /// Extensions as [`super::extension`] encodes them, at most 65 535 bytes.
    pub(crate) extensions: &'a [u8],
    /// Metadata.
    pub(crate) metadata: &'a [u8],
    /// Payload.
    pub(crate) payload: &'a [u8],
}

impl NewEventRef<'_> {
    /// Bytes that it takes.
    pub(crate) fn encoded_len(&self) -> usize {
        let parts = [self.stream_id, self.name, self.extensions, self.metadata, self.payload];
        parts.iter().fold(EVENT_HEADER_LEN, |sum, part| sum.saturating_add(part.len()))
    }
}

/// Bytes that [`encode_transaction`] makes of `events`.
pub(crate) fn encoded_len(events: &[NewEventRef<'_>]) -> usize {
    let events = events.iter().map(NewEventRef::encoded_len);
    events.fold(TRANSACTION_HEADER_LEN, usize::saturating_add)
}

/// Encodes a transaction event by event; the planner has checked all limits.
#[derive(Debug)]
pub(crate) struct TransactionEncoder {
    body: Vec<u8>,
    event_count: usize,
}

impl TransactionEncoder {
    /// A transaction without events yet, with room for `len` bytes: best as many as there will be.
    pub(crate) fn new(partition_key: Uuid, append_time_ns: u64, len: usize) -> Self {
        let mut body = Vec::with_capacity(len);
        body.extend_from_slice(partition_key.as_bytes());
        body.extend_from_slice(&append_time_ns.to_le_bytes());
        Self { body, event_count: 0 }
    }

    /// Adds the next event.
    ///
    /// # Panics
    /// If a part is longer than the format allows, or the stream id is empty.
    pub(crate) fn push(&mut self, event: &NewEventRef<'_>) {
        encode_event(event, &mut self.body);
        self.event_count += 1;
    }

    /// The body of its frame.
    ///
    /// # Panics
    /// If there is no event, or too many.
    pub(crate) fn finish(self) -> Bytes {
        assert!(self.event_count > 0, "a transaction has at least one event");
        assert!(self.event_count <= MAX_EVENTS_PER_TRANSACTION, "{} events", self.event_count);
        Bytes::from(self.body)
    }
}

/// Encodes a transaction at once.
///
/// # Panics
/// If there is no event, or a part is longer than the format allows.
pub(crate) fn encode_transaction(
    partition_key: Uuid,
    append_time_ns: u64,
    events: &[NewEventRef<'_>],
) -> Bytes {
    let len = encoded_len(events);
    let mut body = TransactionEncoder::new(partition_key, append_time_ns, len);
    events.iter().for_each(|event| body.push(event));
    body.finish()
}

fn encode_event(event: &NewEventRef<'_>, body: &mut Vec<u8>) {
    assert!(!event.stream_id.is_empty(), "event {} has an empty stream id", event.event_id);
    let limit = "the planner checks lengths before anything is encoded";
    let mut header = [0; EVENT_HEADER_LEN];
    let mut fields = header.as_mut_slice();
    fields.put_slice(event.event_id.as_bytes());
    fields.put_u64_le(event.stream_version);
    fields.put_u64_le(event.timestamp_ns);
    fields.put_u32_le(u32::try_from(event.payload.len()).expect(limit));
    fields.put_u32_le(u32::try_from(event.metadata.len()).expect(limit));
    fields.put_u16_le(u16::try_from(event.extensions.len()).expect(limit));
    fields.put_u8(u8::try_from(event.stream_id.len()).expect(limit));
    fields.put_u8(u8::try_from(event.name.len()).expect(limit));
    fields.put_u16_le(event.flags.0);
    body.extend_from_slice(&header);
    for part in [event.stream_id, event.name, event.extensions, event.metadata, event.payload] {
        body.extend_from_slice(part);
    }
}

/// An event as borrowed bytes: what indexes and recovery need, without a reference count touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventKeys<'a> {
    /// Place among the frame's events, from 0.
    pub(crate) position: u16,
    /// Event id.
    pub(crate) event_id: Uuid,
    /// Number in its stream.
    pub(crate) stream_version: u64,
    /// Client's time or append time, ns since 1970.
    pub(crate) timestamp_ns: u64,
    /// What was filled in.
    pub(crate) flags: EventFlags,
    /// Stream id.
    pub(crate) stream_id: &'a [u8],
    /// Event name.
    pub(crate) name: &'a [u8],
    /// Extensions, still encoded.
    pub(crate) extensions: &'a [u8],
    /// Metadata.
    pub(crate) metadata: &'a [u8],
    /// Payload.
    pub(crate) payload: &'a [u8],
}

/// Walks over the encoded events behind a transaction's header.
#[derive(Debug, Clone)]
struct Events<'a> {
    rest: &'a [u8],
    next_position: u16,
    event_count: u16,
}

impl<'a> Events<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], EventError> {
        let Some((part, rest)) = self.rest.split_at_checked(len) else {
            let (position, available) = (self.next_position, self.rest.len());
            return Err(EventError::Short { position, needed: len, available });
        };
        self.rest = rest;
        Ok(part)
    }

    fn read_event(&mut self) -> Result<EventKeys<'a>, EventError> {
        let mut fields = self.take(EVENT_HEADER_LEN)?;
        let event_id = Uuid::from_u128(fields.get_u128());
        let (stream_version, timestamp_ns) = (fields.get_u64_le(), fields.get_u64_le());
        let (payload_len, metadata_len) = (fields.get_u32_le(), fields.get_u32_le());
        let extensions_len = usize::from(fields.get_u16_le());
        let stream_id_len = usize::from(fields.get_u8());
        let name_len = usize::from(fields.get_u8());
        let flags = EventFlags(fields.get_u16_le());
        if stream_id_len == 0 {
            return Err(EventError::StreamId { position: self.next_position });
        }
        // A length that memory cannot hold cannot be available either.
        let metadata_len = usize::try_from(metadata_len).unwrap_or(usize::MAX);
        let payload_len = usize::try_from(payload_len).unwrap_or(usize::MAX);
        let event = EventKeys {
            position: self.next_position,
            event_id,
            stream_version,
            timestamp_ns,
            flags,
            stream_id: self.take(stream_id_len)?,
            name: self.take(name_len)?,
            extensions: self.take(extensions_len)?,
            metadata: self.take(metadata_len)?,
            payload: self.take(payload_len)?,
        };
        self.next_position += 1;
        Ok(event)
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<EventKeys<'a>, EventError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_position < self.event_count {
            let event = self.read_event();
            if event.is_err() {
                (self.rest, self.event_count) = (&[], 0); // what follows a bad event cannot be found
            }
            return Some(event);
        }
        let trailing = std::mem::take(&mut self.rest).len();
        (trailing > 0).then_some(Err(EventError::Trailing { trailing }))
    }
}

fn split_header<'a>(
    header: &FrameHeader,
    body: &'a [u8],
) -> Result<(Uuid, u64, Events<'a>), EventError> {
    if header.kind != FrameKind::Transaction {
        return Err(EventError::Kind { kind: header.kind });
    }
    let Some((mut fields, rest)) = body.split_at_checked(TRANSACTION_HEADER_LEN) else {
        return Err(EventError::Header { available: body.len() });
    };
    let (partition_key, append_time_ns) = (Uuid::from_u128(fields.get_u128()), fields.get_u64_le());
    let events = Events { rest, next_position: 0, event_count: header.event_count };
    Ok((partition_key, append_time_ns, events))
}

/// The events of `frame` as borrowed bytes, with the frame's partition key. Ends after the first error.
///
/// # Errors
/// [`EventError`] if the frame holds no transaction; per event if its lengths lead out of the body.
pub(crate) fn event_keys(
    frame: &Frame,
) -> Result<(Uuid, impl Iterator<Item = Result<EventKeys<'_>, EventError>>), EventError> {
    let (partition_key, _, events) = split_header(&frame.header, &frame.body)?;
    Ok((partition_key, events))
}

/// Stream ids of the events in a transaction's `entry`, in order. Ends where its body is none.
pub(crate) fn stream_ids(entry: &LogEntry) -> impl Iterator<Item = &[u8]> {
    let rest = entry.body.get(TRANSACTION_HEADER_LEN..).unwrap_or_default();
    let events = Events { rest, next_position: 0, event_count: entry.event_count };
    events.map_while(|event| event.ok().map(|event| event.stream_id))
}

/// When the transaction in `frame` was appended, ns since 1970 by its leader's clock; `None` for other frames.
pub(crate) fn append_time_ns(frame: &Frame) -> Option<u64> {
    split_header(&frame.header, &frame.body).ok().map(|(_, append_time_ns, _)| append_time_ns)
}

/// Event number `position` of `frame`, without touching the parts of the others.
///
/// # Errors
/// [`EventError`] if the frame holds no transaction or fewer events, or lengths lead out of the body.
pub(crate) fn decode_event(frame: &Frame, position: u16) -> Result<EventView, EventError> {
    let (_, _, mut events) = split_header(&frame.header, &frame.body)?;
    let missing = EventError::Missing { position, event_count: frame.header.event_count };
    if position >= frame.header.event_count {
        return Err(missing);
    }
    for _ in 0..position {
        events.read_event()?;
    }
    Ok(EventView::new(&events.read_event()?, &frame.body))
}

/// A transaction in a verified frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionView<'a> {
    /// Key all its events share.
    pub(crate) partition_key: Uuid,
    /// Leader's wall clock, ns since 1970; never decreases within a bucket.
    pub(crate) append_time_ns: u64,
    /// Header of its frame.
    pub(crate) header: FrameHeader,
    body: &'a Bytes,
}

impl TransactionView<'_> {
    /// Its events in order. Ends after the first error; bytes left behind the last event are an error too.
    pub(crate) fn events(&self) -> impl Iterator<Item = Result<EventView, EventError>> {
        let rest = self.body.get(TRANSACTION_HEADER_LEN..).unwrap_or_default();
        let events = Events { rest, next_position: 0, event_count: self.header.event_count };
        events.map(|event| event.map(|event| EventView::new(&event, self.body)))
    }
}

/// Opens the transaction in `frame`.
///
/// # Errors
/// [`EventError`] if the frame holds no transaction.
pub(crate) fn decode_transaction(frame: &Frame) -> Result<TransactionView<'_>, EventError> {
    let (partition_key, append_time_ns, _) = split_header(&frame.header, &frame.body)?;
    Ok(TransactionView { partition_key, append_time_ns, header: frame.header, body: &frame.body })
}

/// An event whose parts are slices of its frame's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventView {
    /// Place among the frame's events, from 0.
    pub(crate) position: u16,
    /// Event id.
    pub(crate) event_id: Uuid,
    /// Number in its stream.
    pub(crate) stream_version: u64,
    /// Client's time or append time, ns since 1970.
    pub(crate) timestamp_ns: u64,
    /// What was filled in.
    pub(crate) flags: EventFlags,
    /// Stream id.
    pub(crate) stream_id: Bytes,
    /// Event name.
    pub(crate) name: Bytes,
    /// Extensions, still encoded.
    pub(crate) extensions: Bytes,
    /// Metadata.
    pub(crate) metadata: Bytes,
    /// Payload.
    pub(crate) payload: Bytes,
}

impl EventView {
    fn new(event: &EventKeys<'_>, body: &Bytes) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id,
            stream_version: event.stream_version,
            timestamp_ns: event.timestamp_ns,
            flags: event.flags,
            stream_id: body.slice_ref(event.stream_id),
            name: body.slice_ref(event.name),
            extensions: body.slice_ref(event.extensions),
            metadata: body.slice_ref(event.metadata),
            payload: body.slice_ref(event.payload),
        }
    }
}

/// Why the body of a verified frame is not a transaction. Its checksums hold, so it was written like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    /// Another kind of log entry.
    #[error("frame holds a {kind:?} entry, expected a transaction")]
    Kind { kind: FrameKind },
    /// Not even a transaction header.
    #[error("transaction header needs {TRANSACTION_HEADER_LEN} bytes, {available} available")]
    Header { available: usize },
    /// A part leads out of the body.
    #[error("event {position} needs {needed} more bytes, {available} available")]
    Short { position: u16, needed: usize, available: usize },
    /// Stream ids have at least one byte.
    #[error("event {position} has an empty stream id")]
    StreamId { position: u16 },
    /// Bytes behind the last event.
    #[error("{trailing} bytes behind the last event")]
    Trailing { trailing: usize },
    /// It cannot be shown.
    #[error("extensions of event {position}")]
    Extensions {
        position: u16,
        #[source]
        source: ExtensionError,
    },
    /// The frame has fewer events.
    #[error("event {position} of a frame with {event_count}")]
    Missing { position: u16, event_count: u16 },
}

#[cfg(test)]
mod tests;
