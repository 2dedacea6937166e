//! What a caller wants to append: valid, or not made.

use bytes::Bytes;
use sierradb_io::{Io, Mono};
use sierradb_protocol::id::default_partition_key;
use sierradb_protocol::{EventName, ExpectedVersion, PartitionId, PartitionSelector, StreamId};
use uuid::Uuid;

use crate::error::InvalidTransaction;
use crate::limits::{EVENT_SIZE_OVERHEAD, MAX_EVENTS_PER_TRANSACTION, MAX_TIMESTAMP_NS};
use crate::segment::extension::{self, Extension};

/// One event as an embedding program writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Any UUID, unique within the partition for ever. Appending the same ids again returns the first result.
    pub event_id: Uuid,
    /// The stream it belongs to.
    pub stream_id: StreamId,
    /// What version the stream must have, counting the earlier events of the same transaction.
    pub stream_version: ExpectedVersion,
    /// Type of the event, 1 to 255 bytes of UTF-8.
    pub event_name: String,
    /// Nanoseconds since 1970; kept as given, need not rise.
    pub timestamp: u64,
    /// Any bytes.
    pub payload: Vec<u8>,
    /// Any bytes.
    pub metadata: Vec<u8>,
}

/// Where an event id comes from: only given ids can be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOrigin {
    /// By the caller: a retry with the same id finds the first result.
    Given,
    /// Drawn for this very attempt: unused by construction, so no look-up is made.
    Assigned,
}

/// One event as the server writes it: shared bytes instead of owned ones, and a timestamp that may be left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventDraft {
    /// Unique within the partition for ever.
    pub event_id: Uuid,
    /// Whether `event_id` may be known already.
    pub id_origin: IdOrigin,
    /// The stream it belongs to.
    pub stream_id: StreamId,
    /// What version the stream must have.
    pub expected: ExpectedVersion,
    /// Type of the event.
    pub event_name: EventName,
    /// Nanoseconds since 1970; `None` takes the time of the append.
    pub timestamp_ns: Option<u64>,
    /// Any bytes.
    pub payload: Bytes,
    /// Any bytes.
    pub metadata: Bytes,
    /// Encoded extensions (empty for none); see [`Extension`].
    pub extensions: Bytes,
}

/// When an append came, by the clocks of the database's world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its longest wait is counted from here.
    pub now: Mono,
    /// Nanoseconds since 1970.
    pub wall_ns: u64,
}

impl Arrival {
    pub(crate) fn now(io: &Io) -> Self {
        Self { now: io.clock().now(), wall_ns: io.clock().wall_ns() }
    }

    /// The same with a wall time that an event can have.
    pub(crate) fn within_limits(self) -> Self {
        Self { wall_ns: self.wall_ns.min(MAX_TIMESTAMP_NS), ..self }
    }
}

/// The partition key of a stream for which none is chosen, and the stream it was made from: to make it takes as long as
/// much else of an append, so it is made once. Only this module makes one, hence nobody can claim a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultKey {
    stream_id: StreamId,
    partition_key: Uuid,
}

impl DefaultKey {
    /// The default key of `stream_id`.
    pub fn of(stream_id: &StreamId) -> Self {
        let partition_key = default_partition_key(stream_id.as_bytes());
        Self { stream_id: stream_id.clone(), partition_key }
    }

    /// The key.
    pub fn partition_key(&self) -> Uuid {
        self.partition_key
    }
}

/// Events appended together, in order, to one partition: all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) partition_key: Uuid,
    pub(crate) partition: PartitionSelector,
    pub(crate) events: Vec<EventDraft>,
    pub(crate) size_bytes: u64,
    /// Whether the key was made from the stream id of the first event.
    has_default_key: bool,
}

impl Transaction {
    /// A transaction on the partition that `partition_key` hashes to. `partition` repeats the choice, as an id, a
    /// number or a UUID with the same hash; a number is checked when the partition count is known.
    ///
    /// # Errors
    /// [`InvalidTransaction`]: no events or too many, an empty or overlong name, a time out of range, two equal
    /// ids, or a selector that contradicts the key.
    pub fn new(
        partition_key: Uuid,
        partition: impl Into<PartitionSelector>,
        events: impl IntoIterator<Item = NewEvent>,
    ) -> Result<Self, InvalidTransaction> {
        let drafts = events.into_iter().map(EventDraft::try_from).collect::<Result<Vec<_>, _>>()?;
        Self::from_drafts(partition_key, partition, drafts)
    }

    /// The same, from shared bytes.
    ///
    /// # Errors
    /// As [`Transaction::new`].
    pub fn from_drafts(
        partition_key: Uuid,
        partition: impl Into<PartitionSelector>,
        events: Vec<EventDraft>,
    ) -> Result<Self, InvalidTransaction> {
        let partition = partition.into();
        if let PartitionSelector::Key(other) = partition {
            let (key, selector) = (
                sierradb_protocol::id::uuid_to_partition_hash(partition_key),
                sierradb_protocol::id::uuid_to_partition_hash(other),
            );
            if key != selector {
                return Err(InvalidTransaction::SelectorMismatch {
                    partition_key,
                    selector: other,
                });
            }
        }
        if events.is_empty() {
            return Err(InvalidTransaction::Empty);
        }
        if events.len() > MAX_EVENTS_PER_TRANSACTION {
            return Err(InvalidTransaction::TooManyEvents { count: events.len() });
        }
        let mut size_bytes = 0u64;
        for (position, event) in events.iter().enumerate() {
            if !event.extensions.is_empty() {
                check_extensions(&event.extensions, position)?;
            }
            if let Some(at) = event.timestamp_ns.filter(|at| *at > MAX_TIMESTAMP_NS) {
                return Err(InvalidTransaction::Timestamp { timestamp_ns: at });
            }
            if let Some((field, len)) = event.field_too_large() {
                return Err(InvalidTransaction::FieldTooLarge { field, len });
            }
            size_bytes = size_bytes.saturating_add(event.size_bytes());
        }
        if events.len() > 1
            && let Some(event_id) = first_repeated_id(&events)
        {
            return Err(InvalidTransaction::RepeatedId { event_id });
        }
        Ok(Self { partition_key, partition, events, size_bytes, has_default_key: false })
    }

    /// The same on the partition of a default key. It is not made again to compare it with that of the first event's
    /// stream.
    ///
    /// # Errors
    /// As [`Transaction::new`].
    pub fn with_default_key(
        key: &DefaultKey,
        events: Vec<EventDraft>,
    ) -> Result<Self, InvalidTransaction> {
        let mut made = Self::from_drafts(key.partition_key, key.partition_key, events)?;
        made.has_default_key =
            made.events.first().is_some_and(|first| first.stream_id == key.stream_id);
        Ok(made)
    }

    /// Whether its key is the default one of this stream.
    pub(crate) fn has_default_key_of(&self, stream_id: &StreamId) -> bool {
        let is_known = self.has_default_key
            && self.events.first().is_some_and(|first| first.stream_id == *stream_id);
        is_known || default_partition_key(stream_id.as_bytes()) == self.partition_key
    }

    /// Adds an optional field to event number `event`.
    ///
    /// # Errors
    /// [`InvalidTransaction::NoSuchEvent`], or the extension is out of its limits.
    pub fn with_extension(
        mut self,
        event: usize,
        extension: &Extension,
    ) -> Result<Self, InvalidTransaction> {
        let count = self.events.len();
        let draft =
            self.events.get_mut(event).ok_or(InvalidTransaction::NoSuchEvent { event, count })?;
        let before = draft.extensions.len();
        draft.extensions = extension::insert(&draft.extensions, extension)
            .map_err(|source| InvalidTransaction::Extension { event, source })?;
        check_extensions(&draft.extensions, event)?;
        let grown = draft.extensions.len().saturating_sub(before);
        self.size_bytes = self.size_bytes.saturating_add(u64::try_from(grown).unwrap_or(u64::MAX));
        Ok(self)
    }

    /// The key all events share.
    pub fn partition_key(&self) -> Uuid {
        self.partition_key
    }

    /// The events in order.
    pub fn events(&self) -> &[EventDraft] {
        &self.events
    }

    /// Size by the rule of the transaction limit: per event stream id, name, payload, metadata and 128 bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The partition, once the count is known.
    pub(crate) fn partition_id(
        &self,
        partition_count: u16,
    ) -> Result<PartitionId, InvalidTransaction> {
        let by_key = PartitionId::of_key(self.partition_key, partition_count);
        match self.partition {
            PartitionSelector::Id(id) if id != by_key => Err(InvalidTransaction::WrongPartition {
                partition_key: self.partition_key,
                expected: by_key.get(),
                found: id.get(),
            }),
            PartitionSelector::Id(_) | PartitionSelector::Key(_) => Ok(by_key),
        }
    }
}

impl EventDraft {
    /// A field that its format has no room for, and its length.
    fn field_too_large(&self) -> Option<(&'static str, usize)> {
        if u32::try_from(self.payload.len()).is_err() {
            Some(("payload", self.payload.len()))
        } else if u32::try_from(self.metadata.len()).is_err() {
            Some(("metadata", self.metadata.len()))
        } else if u16::try_from(self.extensions.len()).is_err() {
            Some(("extensions", self.extensions.len()))
        } else {
            None
        }
    }

    fn size_bytes(&self) -> u64 {
        [
            self.stream_id.as_bytes().len(),
            self.event_name.as_bytes().len(),
            self.payload.len(),
            self.metadata.len(),
            self.extensions.len(),
        ]
        .into_iter()
        .map(|len| u64::try_from(len).unwrap_or(u64::MAX))
        .fold(EVENT_SIZE_OVERHEAD, u64::saturating_add)
    }
}

impl TryFrom<NewEvent> for EventDraft {
    type Error = InvalidTransaction;

    fn try_from(event: NewEvent) -> Result<Self, InvalidTransaction> {
        let event_name = EventName::new(event.event_name.as_str())
            .map_err(|source| InvalidTransaction::EventName { source })?;
        Ok(Self {
            event_id: event.event_id,
            id_origin: IdOrigin::Given,
            stream_id: event.stream_id,
            expected: event.stream_version,
            event_name,
            timestamp_ns: Some(event.timestamp),
            payload: Bytes::from(event.payload),
            metadata: Bytes::from(event.metadata),
            extensions: Bytes::new(),
        })
    }
}

fn check_extensions(extensions: &Bytes, event: usize) -> Result<(), InvalidTransaction> {
    let failed = |source| InvalidTransaction::Extension { event, source };
    extension::check_writable(extensions, event).map_err(failed)?;
    if extension::idempotency_key(extensions).map_err(failed)?.is_some() {
        // The format has room for it; a planner that would not look for it must not store it either.
        return Err(InvalidTransaction::Reserved { event, what: "idempotency key" });
    }
    Ok(())
}

fn first_repeated_id(events: &[EventDraft]) -> Option<Uuid> {
    let mut ids: Vec<Uuid> = events.iter().map(|event| event.event_id).collect();
    ids.sort_unstable();
    ids.windows(2).find_map(|pair| match pair {
        [first, second] if first == second => Some(*first),
        _ => None,
    })
}
