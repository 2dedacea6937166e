//! The streams of an unsealed segment: their heads, and the way back through their events.
//!
//! Each stream is a fixed entry (32 B) and its id in an arena, compared exactly. Entries are found by linear
//! hashing: chains whose number grows by one with each new stream, so nothing is ever rehashed at once. Every
//! event knows the ordinal of its stream's event before it; every 64th is also in a skip list, so any version is at
//! most 64 steps away.
//! A partition key takes room only where it is not the stream's default one.

use std::collections::BTreeMap;
use std::ops::Range;

use sierradb_protocol::id::default_partition_key;
use uuid::Uuid;

use super::blocks::Blocks;
use super::hash::stream_hash;
use crate::limits::MAX_STREAM_ID_LEN;

/// Every this many versions of a stream, one ordinal is in its skip list.
const SKIP_EVERY: u32 = 64;

/// Length of a partition key behind an id.
const KEY_LEN: usize = 16;

/// One stream of one unsealed segment, numbered in order of appearance. Meaningless for another segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamRef(pub(crate) u32);

/// What a segment knows about one of its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamSpan {
    /// Names the stream in further questions to the same index.
    pub(crate) stream: StreamRef,
    /// Version of its first event in this segment.
    pub(crate) first_version: u64,
    /// One above the version of its last event in this segment.
    pub(crate) next_version: u64,
    /// The key all its events share, if it is not the stream's default one.
    pub(crate) chosen_key: Option<Uuid>,
}

/// A new stream, as its first event in the segment shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewStream<'a> {
    pub(crate) partition: u16,
    pub(crate) id: &'a [u8],
    pub(crate) first_version: u64,
    pub(crate) partition_key: Uuid,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    first_version: u64,
    /// Events in this segment.
    count: u32,
    last_ordinal: u32,
    hash: u32,
    /// The next entry of the same chain, plus one; 0 at its end.
    next: u32,
    /// Where the id starts in the arena.
    id: u32,
    partition: u16,
    id_len: u8,
    /// Whether a partition key follows the id.
    has_key: bool,
}

const _: () = assert!(size_of::<Entry>() == 32, "the memory target counts on it");

/// The streams of one unsealed segment.
#[derive(Debug)]
pub(crate) struct StreamTable {
    hash_seed: u64,
    entries: Blocks<Entry, 1_024>,
    /// First entry of each chain, plus one; as many as there are entries.
    chains: Blocks<u32, 4_096>,
    ids: Arena,
    /// Ordinals of the versions `first + 64`, `first + 128` …, for streams that have them.
    skips: BTreeMap<u32, Blocks<u32, 64>>,
}

impl StreamTable {
    pub(crate) const fn new(hash_seed: u64) -> Self {
        Self {
            hash_seed,
            entries: Blocks::new(),
            chains: Blocks::new(),
            ids: Arena::new(),
            skips: BTreeMap::new(),
        }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.entries.len()
    }

    pub(crate) const fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    pub(crate) fn find(&self, partition: u16, id: &[u8]) -> Option<StreamRef> {
        self.find_hashed(partition, id, stream_hash(self.hash_seed, partition, id))
    }

    /// As [`Self::find`], with the [`stream_hash`] of the stream.
    pub(crate) fn find_hashed(&self, partition: u16, id: &[u8], hash: u64) -> Option<StreamRef> {
        let hash = upper_half(hash);
        let mut next = self.chains.get(chain_of(hash, self.chains.len())?)?;
        while let Some(number) = next.checked_sub(1) {
            let entry = self.entries.get(number)?;
            if entry.hash == hash && entry.partition == partition && self.id_of(&entry) == id {
                return Some(StreamRef(number));
            }
            next = entry.next;
        }
        None
    }

    /// Adds a stream that `find` did not find. It has no events yet: `note` its first one.
    pub(crate) fn add(&mut self, stream: NewStream<'_>) -> StreamRef {
        assert!(
            (1..=MAX_STREAM_ID_LEN).contains(&stream.id.len()),
            "checked by planner and decoder"
        );
        self.split_a_chain();
        let hash = self.hash(stream.partition, stream.id);
        let number = self.entries.len();
        let chain = chain_of(hash, self.chains.len()).expect("a chain was just added");
        let chain = self.chains.get_mut(chain).expect("a chain number is below their count");
        let has_key = default_partition_key(stream.id) != stream.partition_key;
        let key = has_key.then_some(stream.partition_key);
        self.entries.push(Entry {
            first_version: stream.first_version,
            count: 0,
            last_ordinal: 0,
            hash,
            next: std::mem::replace(chain, number + 1),
            id: self.ids.push(stream.id, key),
            partition: stream.partition,
            id_len: u8::try_from(stream.id.len()).expect("at most 255, checked above"),
            has_key,
        });
        StreamRef(number)
    }

    /// Adds the event with `version` and `ordinal` to `stream` and tells the ordinal of the event before it
    /// (any number for the first one).
    ///
    /// # Panics
    /// If `version` is not the stream's next one: a gap must never get into an index.
    pub(crate) fn note(&mut self, stream: StreamRef, version: u64, ordinal: u32) -> u32 {
        let entry = self.entries.get_mut(stream.0).expect("a stream reference of this table");
        let next_version = entry.first_version + u64::from(entry.count);
        assert_eq!(version, next_version, "versions are gapless; stream {stream:?}");
        if entry.count >= SKIP_EVERY && entry.count.is_multiple_of(SKIP_EVERY) {
            self.skips.entry(stream.0).or_insert_with(Blocks::new).push(ordinal);
        }
        entry.count += 1;
        std::mem::replace(&mut entry.last_ordinal, ordinal)
    }

    /// Looks at a stream, so that it is at hand when its next event is noted.
    pub(crate) fn touch(&self, stream: StreamRef) -> u32 {
        self.entries.get(stream.0).map_or(0, |entry| entry.last_ordinal)
    }

    pub(crate) fn span(&self, stream: StreamRef) -> Option<StreamSpan> {
        let entry = self.entries.get(stream.0)?;
        Some(StreamSpan {
            stream,
            first_version: entry.first_version,
            next_version: entry.first_version + u64::from(entry.count),
            chosen_key: self.key_of(&entry),
        })
    }

    /// Partition and id.
    pub(crate) fn name(&self, stream: StreamRef) -> Option<(u16, &[u8])> {
        let entry = self.entries.get(stream.0)?;
        let id = self.ids.get(entry.id, usize::from(entry.id_len));
        Some((entry.partition, id))
    }

    /// The partition key, if it is not the stream's default one.
    pub(crate) fn chosen_key(&self, stream: StreamRef) -> Option<Uuid> {
        self.key_of(&self.entries.get(stream.0)?)
    }

    fn key_of(&self, entry: &Entry) -> Option<Uuid> {
        if !entry.has_key {
            return None;
        }
        let id_and_key = self.ids.get(entry.id, usize::from(entry.id_len) + KEY_LEN);
        Uuid::from_slice(id_and_key.get(usize::from(entry.id_len)..)?).ok()
    }

    /// Versions in this segment.
    pub(crate) fn versions(&self, stream: StreamRef) -> Option<Range<u64>> {
        let entry = self.entries.get(stream.0)?;
        Some(entry.first_version..entry.first_version + u64::from(entry.count))
    }

    /// The nearest known ordinal at or above the `nth` event of `stream` in this segment, and how many steps
    /// back from it that event is (at most 64). `None` if the stream has no such event.
    pub(crate) fn anchor(&self, stream: StreamRef, nth: u32) -> Option<(u32, u32)> {
        let entry = self.entries.get(stream.0)?;
        let last = entry.count.checked_sub(1)?;
        let back_from_last = last.checked_sub(nth)?;
        if back_from_last < SKIP_EVERY {
            return Some((entry.last_ordinal, back_from_last));
        }
        // The next multiple of 64, which is at least 64 and not above `last`.
        let skip = nth.div_ceil(SKIP_EVERY).max(1);
        Some((self.skips.get(&stream.0)?.get(skip - 1)?, skip * SKIP_EVERY - nth))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let skips: usize = self.skips.values().map(|skip| skip.memory_bytes() + 64).sum();
        self.entries.memory_bytes() + self.chains.memory_bytes() + self.ids.memory_bytes() + skips
    }

    fn hash(&self, partition: u16, id: &[u8]) -> u32 {
        upper_half(stream_hash(self.hash_seed, partition, id))
    }

    fn id_of(&self, entry: &Entry) -> &[u8] {
        self.ids.get(entry.id, usize::from(entry.id_len))
    }

    /// One more chain, with the entries that belong into it from the one chain that had them.
    fn split_a_chain(&mut self) {
        let added = self.chains.len();
        self.chains.push(0);
        let Some(source) = source_of(added) else { return };
        let (mut kept, mut moved) = (0, 0);
        let mut next = self.chains.get(source).unwrap_or(0);
        while let Some(number) = next.checked_sub(1) {
            let entry = self.entries.get_mut(number).expect("chains hold numbers of entries");
            let goes_to = chain_of(entry.hash, added + 1);
            let list = if goes_to == Some(added) { &mut moved } else { &mut kept };
            next = std::mem::replace(&mut entry.next, std::mem::replace(list, number + 1));
        }
        for (chain, first) in [(source, kept), (added, moved)] {
            *self.chains.get_mut(chain).expect("both exist") = first;
        }
    }
}

/// The part of a hash that an entry keeps.
fn upper_half(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("32 bits are left")
}

/// The chain of `hash` among `chains`: its low bits, one bit fewer if that chain does not exist yet.
const fn chain_of(hash: u32, chains: u32) -> Option<u32> {
    let Some(last) = chains.checked_sub(1) else { return None };
    let mask = if last == 0 { 0 } else { u32::MAX >> last.leading_zeros() };
    let chain = hash & mask;
    Some(if chain <= last { chain } else { chain & (mask >> 1) })
}

/// The chain that gives some of its entries to the new chain `added`: the same number without its highest bit.
const fn source_of(added: u32) -> Option<u32> {
    if added == 0 { None } else { Some(added & !(1 << added.ilog2())) }
}

/// Ids one after another, each within a chunk, never moved.
#[derive(Debug)]
struct Arena {
    chunks: Vec<Vec<u8>>,
}

impl Arena {
    const CHUNK_LEN: usize = 64 << 10;

    /// Positions are multiples of this, so that 32 bits reach through the ids of a 10 GiB segment.
    const ALIGN: usize = 2;

    const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    /// Where `id`, then `key`, now start.
    fn push(&mut self, id: &[u8], key: Option<Uuid>) -> u32 {
        let needed = id.len() + KEY_LEN + Self::ALIGN;
        match self.chunks.last() {
            None => self.chunks.push(Vec::new()),
            Some(chunk) if chunk.len() + needed > Self::CHUNK_LEN => {
                self.chunks.push(Vec::with_capacity(Self::CHUNK_LEN));
            }
            Some(_) => {}
        }
        let before = (self.chunks.len() - 1) * Self::CHUNK_LEN;
        let chunk = self.chunks.last_mut().expect("one was just ensured");
        let start = before + chunk.len();
        chunk.extend_from_slice(id);
        if let Some(key) = key {
            chunk.extend_from_slice(key.as_bytes());
        }
        if !chunk.len().is_multiple_of(Self::ALIGN) {
            chunk.push(0);
        }
        u32::try_from(start / Self::ALIGN).expect("ids take less than 8 GiB of a 10 GiB segment")
    }

    fn get(&self, start: u32, len: usize) -> &[u8] {
        let start = start as usize * Self::ALIGN;
        let chunk = self.chunks.get(start / Self::CHUNK_LEN);
        let at = start % Self::CHUNK_LEN;
        chunk.and_then(|chunk| chunk.get(at..at + len)).expect("a position that `push` returned")
    }

    fn memory_bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Vec::capacity).sum();
        chunks + self.chunks.capacity() * size_of::<Vec<u8>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_of(streams: u32) -> StreamTable {
        let mut table = StreamTable::new(9);
        for number in 0..streams {
            let id = format!("stream-{}", number / 2);
            let key =
                if number % 3 == 0 { Uuid::nil() } else { default_partition_key(id.as_bytes()) };
            let partition = u16::try_from(number % 2).unwrap();
            assert_eq!(table.find(partition, id.as_bytes()), None);
            let new =
                NewStream { partition, id: id.as_bytes(), first_version: 5, partition_key: key };
            assert_eq!(table.add(new), StreamRef(number));
            table.note(StreamRef(number), 5, number);
        }
        table
    }

    #[test]
    fn a_stream_is_its_partition_and_its_exact_id() {
        let table = table_of(5_000);
        for number in 0..5_000_u32 {
            let id = format!("stream-{}", number / 2);
            let stream = table.find(u16::try_from(number % 2).unwrap(), id.as_bytes()).unwrap();
            assert_eq!(stream, StreamRef(number));
            let span = table.span(stream).unwrap();
            assert_eq!((span.first_version, span.next_version), (5, 6));
            assert_eq!(span.chosen_key, (number % 3 == 0).then_some(Uuid::nil()));
            assert_eq!(table.name(stream).unwrap(), ((number % 2) as u16, id.as_bytes()));
        }
        assert_eq!(table.find(2, b"stream-0"), None);
        assert_eq!(table.find(0, b"stream-00"), None);
        assert_eq!(table.span(StreamRef(5_000)), None);
    }

    #[test]
    fn chains_stay_short() {
        let table = table_of(10_000);
        let longest = (0..table.chains.len())
            .map(|chain| {
                let mut len = 0;
                let mut next = table.chains.get(chain).unwrap();
                while next != 0 {
                    next = table.entries.get(next - 1).unwrap().next;
                    len += 1;
                }
                len
            })
            .max();
        assert!(longest < Some(14), "{longest:?}");
    }

    #[test]
    fn every_version_is_at_most_64_steps_from_an_anchor() {
        let mut table = table_of(1);
        for nth in 1..1_000 {
            table.note(StreamRef(0), 5 + u64::from(nth), nth * 10);
        }
        for nth in 0..1_000 {
            let (ordinal, back) = table.anchor(StreamRef(0), nth).unwrap();
            assert!(back <= SKIP_EVERY, "{back}");
            assert_eq!(ordinal, (nth + back) * 10);
        }
        assert_eq!(table.anchor(StreamRef(0), 1_000), None);
    }

    #[test]
    #[should_panic(expected = "versions are gapless")]
    fn a_gap_in_a_stream_is_a_bug() {
        table_of(1).note(StreamRef(0), 7, 1);
    }
}
