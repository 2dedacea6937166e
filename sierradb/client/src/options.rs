//! Builders of events to append.

use bytes::Bytes;
use sierradb_protocol::command::AppendEvent;
use sierradb_protocol::{EventName, ExpectedVersion, StreamId};
use uuid::Uuid;

use crate::error::ClientError;

/// What may be said about an event besides its stream and name.
#[derive(Debug, Clone, Default)]
struct EventParts {
    event_id: Option<Uuid>,
    expected_version: ExpectedVersion,
    timestamp_ms: Option<u64>,
    payload: Bytes,
    metadata: Bytes,
}

impl EventParts {
    fn into_event(self, stream_id: &str, event_name: &str) -> Result<AppendEvent, ClientError> {
        Ok(AppendEvent {
            event_id: self.event_id,
            expected_version: self.expected_version,
            timestamp_ms: self.timestamp_ms,
            payload: self.payload,
            metadata: self.metadata,
            ..AppendEvent::new(StreamId::new(stream_id)?, EventName::new(event_name)?)
        })
    }
}

/// Options of `eappend`.
#[derive(Debug, Clone, Default)]
pub struct EAppendOptions {
    partition_key: Option<Uuid>,
    parts: EventParts,
}

/// One event of `emappend`.
#[derive(Debug, Clone)]
pub struct EMAppendEvent {
    stream_id: String,
    event_name: String,
    parts: EventParts,
}

impl EAppendOptions {
    /// Nothing but defaults: an id and the time from the server, any version, no data.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key that decides the partition; by default it is derived from the stream id.
    #[must_use]
    pub fn partition_key(mut self, key: Uuid) -> Self {
        self.partition_key = Some(key);
        self
    }

    pub(crate) fn into_command(
        self,
        stream_id: &str,
        event_name: &str,
    ) -> Result<sierradb_protocol::Command, ClientError> {
        let event = self.parts.into_event(stream_id, event_name)?;
        let append =
            sierradb_protocol::command::EAppend { partition_key: self.partition_key, event };
        Ok(sierradb_protocol::Command::EAppend(append))
    }
}

impl EMAppendEvent {
    /// An event of this type for this stream. The names are checked when it is sent.
    pub fn new(stream_id: impl Into<String>, event_name: impl Into<String>) -> Self {
        let parts = EventParts::default();
        Self { stream_id: stream_id.into(), event_name: event_name.into(), parts }
    }

    pub(crate) fn into_event(self) -> Result<AppendEvent, ClientError> {
        self.parts.into_event(&self.stream_id, &self.event_name)
    }
}

macro_rules! event_options {
    ($name:ident) => {
        impl $name {
            /// An id of the caller's: only with one can the append be repeated safely.
            #[must_use]
            pub fn event_id(mut self, id: Uuid) -> Self {
                self.parts.event_id = Some(id);
                self
            }

            /// What the stream must look like.
            #[must_use]
            pub fn expected_version(mut self, expected: ExpectedVersion) -> Self {
                self.parts.expected_version = expected;
                self
            }

            /// Milliseconds since 1970, at most 9223372036854.
            #[must_use]
            pub fn timestamp_ms(mut self, timestamp_ms: u64) -> Self {
                self.parts.timestamp_ms = Some(timestamp_ms);
                self
            }

            /// The data.
            #[must_use]
            pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
                self.parts.payload = payload.into().into();
                self
            }

            /// Data about the data.
            #[must_use]
            pub fn metadata(mut self, metadata: impl Into<Vec<u8>>) -> Self {
                self.parts.metadata = metadata.into().into();
                self
            }
        }
    };
}

event_options!(EAppendOptions);
event_options!(EMAppendEvent);
