//! What entries in flight have decided already: stream heads, sequences and event ids, each with its entry.
//!
//! The overlay belongs to the planner. Nobody else sees it; not even an error may show what it holds, for an entry
//! in flight may still vanish. An entry leaves the overlay only after the index shows it, so that "overlay, then
//! index" never misses.

use sierradb_io::{Equivalent, Map};
use sierradb_protocol::StreamId;
use uuid::Uuid;

pub(crate) use crate::index::heads::StreamHead as Head;

/// Partition number and stream id: the identity of a stream.
pub(crate) type StreamKey = (u16, StreamId);

/// As [`StreamKey`], without a share in the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamName<'a> {
    pub(crate) partition: u16,
    pub(crate) stream_id: &'a StreamId,
}

impl Equivalent<StreamKey> for StreamName<'_> {
    fn equivalent(&self, key: &StreamKey) -> bool {
        self.partition == key.0 && *self.stream_id == key.1
    }
}

/// A head and the entry that set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OverlaidHead {
    head: Head,
    index: u64,
}

/// Heads and ids of entries in flight.
#[derive(Debug)]
pub(crate) struct Overlay {
    streams: Map<StreamKey, OverlaidHead>,
    ids: Map<(u16, Uuid), u64>,
}

impl Overlay {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self { streams: sierradb_io::map(hash_seed), ids: sierradb_io::map(hash_seed) }
    }

    /// Head of a stream with entries in flight, and the last of these entries.
    pub(crate) fn head(&self, name: StreamName<'_>) -> Option<(Head, u64)> {
        self.streams.get(&name).map(|overlaid| (overlaid.head, overlaid.index))
    }

    /// The entry in flight that holds an event id.
    pub(crate) fn entry_of(&self, partition: u16, event_id: Uuid) -> Option<u64> {
        self.ids.get(&(partition, event_id)).copied()
    }

    /// Entry `index` sets the head of a stream.
    pub(crate) fn set_head(&mut self, key: StreamKey, head: Head, index: u64) {
        self.streams.insert(key, OverlaidHead { head, index });
    }

    /// Entry `index` holds an event id.
    pub(crate) fn add_id(&mut self, partition: u16, event_id: Uuid, index: u64) {
        self.ids.insert((partition, event_id), index);
    }

    /// Entry `index` is in the index now: forgets the head if no later entry set it.
    pub(crate) fn release_head(&mut self, name: StreamName<'_>, index: u64) {
        if self.streams.get(&name).is_some_and(|overlaid| overlaid.index == index) {
            self.streams.swap_remove(&name);
        }
    }

    /// Entry `index` is in the index now: forgets the id.
    pub(crate) fn release_id(&mut self, partition: u16, event_id: Uuid) {
        self.ids.swap_remove(&(partition, event_id));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
        self.ids.clear();
    }

    /// Whether nothing is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.ids.is_empty()
    }
}
