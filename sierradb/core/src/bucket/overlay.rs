//! What entries in flight have decided already: stream heads, sequences and event ids, each with its entry.
//!
//! The overlay belongs to the planner. Nobody else sees it; not even an error may show what it holds, for an entry
//! in flight may still vanish. An entry leaves the overlay only after the index shows it, so that "overlay, then
//! index" never misses.
//!
//! A head leaves by hash and entry: an entry that is applied was planned a sync ago, and its name is far from the
//! processor by then. Two streams of one entry with equal hashes leave with the same entry, whichever goes first.
//!
//! Stream ids are copied: a slice would keep the whole buffer that a connection reads into until the sync, and the
//! connection would have to take another one meanwhile.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use sierradb_io::Map;
use sierradb_protocol::StreamId;
use uuid::Uuid;

pub(crate) use crate::index::heads::StreamHead as Head;
use crate::index::lookup::StreamPlace;

/// Partition and stream id, the identity of a stream, with their hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamName<'a> {
    pub(crate) partition: u16,
    pub(crate) stream_id: &'a StreamId,
    /// As [`stream_hash`](crate::index::hash::stream_hash) makes it.
    pub(crate) hash: u64,
}

/// A head and the entry that set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverlaidHead {
    pub(crate) head: Head,
    /// The last entry in flight that changed the stream.
    pub(crate) index: u64,
    /// Where the unsealed segments had the stream when an entry in flight was planned.
    pub(crate) place: Option<StreamPlace>,
}

/// A stream with entries in flight.
#[derive(Debug)]
struct Overlaid {
    hash: u64,
    partition: u16,
    stream_id: Name,
    head: OverlaidHead,
}

/// A stream id; nearly always with no memory of its own.
#[derive(Debug)]
enum Name {
    /// Its length, then its bytes and zeros.
    Short(u8, [u8; Name::SHORT_LEN]),
    Long(Box<[u8]>),
}

impl Name {
    /// A word and a UUID fit in.
    const SHORT_LEN: usize = 46;

    fn of(stream_id: &StreamId) -> Self {
        let id = stream_id.as_bytes();
        let mut bytes = [0; Self::SHORT_LEN];
        match (u8::try_from(id.len()), bytes.get_mut(..id.len())) {
            (Ok(len), Some(start)) => {
                start.copy_from_slice(id);
                Self::Short(len, bytes)
            }
            _ => Self::Long(id.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Overlaid {
    fn is(&self, name: StreamName<'_>) -> bool {
        self.hash == name.hash
            && self.partition == name.partition
            && self.stream_id.as_bytes() == name.stream_id.as_bytes()
    }
}

/// Heads and ids of entries in flight.
#[derive(Debug)]
pub(crate) struct Overlay {
    streams: HashTable<Overlaid>,
    ids: Map<(u16, Uuid), u64>,
}

impl Overlay {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self { streams: HashTable::new(), ids: sierradb_io::map(hash_seed) }
    }

    /// Head of a stream with entries in flight.
    pub(crate) fn head(&self, name: StreamName<'_>) -> Option<OverlaidHead> {
        self.streams.find(name.hash, |it| it.is(name)).map(|it| it.head)
    }

    /// The entry in flight that holds an event id.
    pub(crate) fn entry_of(&self, partition: u16, event_id: Uuid) -> Option<u64> {
        self.ids.get(&(partition, event_id)).copied()
    }

    /// An entry sets the head of a stream.
    pub(crate) fn set_head(&mut self, name: StreamName<'_>, head: OverlaidHead) {
        match self.streams.entry(name.hash, |it| it.is(name), |it| it.hash) {
            Entry::Occupied(mut overlaid) => overlaid.get_mut().head = head,
            Entry::Vacant(free) => {
                let StreamName { partition, stream_id, hash } = name;
                let stream_id = Name::of(stream_id);
                free.insert(Overlaid { hash, partition, stream_id, head });
            }
        }
    }

    /// Entry `index` holds an event id.
    pub(crate) fn add_id(&mut self, partition: u16, event_id: Uuid, index: u64) {
        self.ids.insert((partition, event_id), index);
    }

    /// Entry `index` is in the index now: forgets the head of the stream with this hash if no later entry set it.
    pub(crate) fn release_head(&mut self, hash: u64, index: u64) {
        let is_last = |it: &Overlaid| it.hash == hash && it.head.index == index;
        if let Ok(overlaid) = self.streams.find_entry(hash, is_last) {
            overlaid.remove();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(overlay: &mut Overlay, stream_id: &StreamId, hash: u64, index: u64) {
        let head = Head { next_version: index, partition_key: Uuid::nil() };
        let head = OverlaidHead { head, index, place: None };
        overlay.set_head(StreamName { partition: 1, stream_id, hash }, head);
    }

    fn index_of(overlay: &Overlay, stream_id: &StreamId, hash: u64) -> Option<u64> {
        overlay.head(StreamName { partition: 1, stream_id, hash }).map(|found| found.index)
    }

    #[test]
    fn only_the_last_entry_of_a_stream_takes_its_head_away() {
        let (mut overlay, stream) = (Overlay::new(1), StreamId::new("a").unwrap());
        set(&mut overlay, &stream, 7, 1);
        set(&mut overlay, &stream, 7, 2);
        overlay.release_head(7, 1);
        assert_eq!(index_of(&overlay, &stream, 7), Some(2));
        overlay.release_head(7, 2);
        assert!(overlay.is_empty());
    }

    #[test]
    fn names_of_any_length_are_told_apart() {
        let mut overlay = Overlay::new(1);
        let lens = [1, Name::SHORT_LEN - 1, Name::SHORT_LEN, Name::SHORT_LEN + 1, 255];
        let streams = lens.map(|len| StreamId::new(&*"x".repeat(len)).unwrap());
        for (index, stream) in (1..).zip(&streams) {
            assert_eq!(index_of(&overlay, stream, 7), None);
            set(&mut overlay, stream, 7, index);
        }
        for (index, stream) in (1..).zip(&streams) {
            assert_eq!(index_of(&overlay, stream, 7), Some(index));
        }
    }

    #[test]
    fn streams_with_equal_hashes_are_kept_apart_and_all_leave() {
        let mut overlay = Overlay::new(1);
        let [a, b, other] = ["a", "b", "c"].map(|name| StreamId::new(name).unwrap());
        set(&mut overlay, &a, 7, 1);
        set(&mut overlay, &b, 7, 1);
        set(&mut overlay, &other, 7, 2);
        assert_eq!(index_of(&overlay, &a, 7), Some(1));
        assert_eq!(index_of(&overlay, &other, 7), Some(2));
        overlay.release_head(7, 1);
        overlay.release_head(7, 1);
        assert_eq!((index_of(&overlay, &a, 7), index_of(&overlay, &b, 7)), (None, None));
        assert_eq!(index_of(&overlay, &other, 7), Some(2), "its entry is in flight");
        overlay.release_head(7, 1);
        overlay.release_head(7, 2);
        assert!(overlay.is_empty());
    }
}
