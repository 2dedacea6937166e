//! Bounded memory of stream heads that only sealed segments know.
//!
//! An entry says what holds *up to and including* a segment: the head there, or that the stream does not occur.
//! Later segments may add to it, so whoever finds an entry looks at newer segments first and need not look at that
//! one or older ones. Hence nothing has to be invalidated when a segment is sealed, and an absent stream costs no
//! more than a known one.
//!
//! Streams are told apart by 128 bits of a keyed hash: an error needs 2^64 streams. Entries live in 64 shards of two
//! generations: new and used ones are in the young one; when that is half the shard's room, it becomes the old one
//! and what was still old is forgotten. So entries used again stay, in the order of their use and nothing else.

use sierradb_io::{Map, map};
use sierradb_protocol::StreamId;
use sierradb_protocol::id::default_partition_key;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::limits::MAX_STREAM_ID_LEN;

/// Small shards: a shard's map grows without a noticeable pause.
const SHARDS: usize = 64;

/// The newest event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamHead {
    /// One above the version of its last event.
    pub(crate) next_version: u64,
    /// The key all its events share.
    pub(crate) partition_key: Uuid,
}

/// The key that all events of a stream share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamKey {
    /// The one that follows from the stream's id; made only where somebody needs it.
    Default,
    /// This one, whether or not it is the default one.
    Chosen(Uuid),
}

impl StreamKey {
    /// The key, for the stream of this id.
    pub(crate) fn of(self, stream_id: &StreamId) -> Uuid {
        match self {
            Self::Default => default_partition_key(stream_id.as_bytes()),
            Self::Chosen(key) => key,
        }
    }
}

/// What is known of a stream up to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownHead {
    /// The newest segment this covers; it covers all before.
    pub(crate) through_segment: u64,
    /// `None`: provably no event of the stream up to there.
    pub(crate) head: Option<StreamHead>,
}

#[derive(Debug)]
struct Shard {
    young: Map<u128, KnownHead>,
    old: Map<u128, KnownHead>,
}

/// Heads of streams outside the live index.
#[derive(Debug)]
pub(crate) struct HeadCache {
    shards: Vec<Shard>,
    hash_seed: u64,
    /// Entries of one generation of one shard.
    generation_len: usize,
}

impl HeadCache {
    /// A cache of at most `max_entries`, rounded up to 128. `hash_seed` is the manifest's.
    pub(crate) fn new(hash_seed: u64, max_entries: usize) -> Self {
        let shard = |_| Shard { young: map(hash_seed), old: map(hash_seed) };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            hash_seed,
            generation_len: max_entries.div_ceil(2 * SHARDS).max(1),
        }
    }

    /// What is known of the stream, if anything.
    pub(crate) fn get(&mut self, partition: u16, stream_id: &[u8]) -> Option<KnownHead> {
        let key = self.key(partition, stream_id);
        let shard = self.shard(key);
        if let Some(known) = shard.young.get(&key) {
            return Some(*known);
        }
        let known = shard.old.swap_remove(&key)?;
        self.put(key, known);
        Some(known)
    }

    /// Remembers what the caller has proven. Older knowledge than what is here already is ignored.
    ///
    /// # Panics
    /// If it contradicts what is here: streams neither shrink nor change their key.
    pub(crate) fn insert(&mut self, partition: u16, stream_id: &[u8], known: KnownHead) {
        let key = self.key(partition, stream_id);
        let shard = self.shard(key);
        let before = shard.young.get(&key).copied().or_else(|| shard.old.swap_remove(&key));
        let newest = before.map_or(known, |before| before.joined(known));
        self.put(key, newest);
    }

    /// Entries held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    fn put(&mut self, key: u128, known: KnownHead) {
        let generation_len = self.generation_len;
        let shard = self.shard(key);
        if shard.young.len() == generation_len && !shard.young.contains_key(&key) {
            std::mem::swap(&mut shard.young, &mut shard.old);
            shard.young.clear();
        }
        shard.young.insert(key, known);
    }

    fn key(&self, partition: u16, stream_id: &[u8]) -> u128 {
        let mut joined = [0; size_of::<u16>() + MAX_STREAM_ID_LEN];
        let (head, tail) = joined.split_at_mut(size_of::<u16>());
        head.copy_from_slice(&partition.to_le_bytes());
        let name = tail.get_mut(..stream_id.len()).expect("stream ids have at most 255 bytes");
        name.copy_from_slice(stream_id);
        let used = joined.get(..size_of::<u16>() + stream_id.len()).unwrap_or_default();
        xxh3_128_with_seed(used, self.hash_seed)
    }

    fn shard(&mut self, key: u128) -> &mut Shard {
        let upper = usize::try_from(key >> 122).unwrap_or(0);
        self.shards.get_mut(upper % SHARDS).expect("a remainder of their number")
    }
}

const _: () = assert!(SHARDS == 1 << (128 - 122), "the upper bits of a key choose its shard");

impl KnownHead {
    fn joined(self, other: Self) -> Self {
        let (older, newer) = if self.through_segment <= other.through_segment {
            (self, other)
        } else {
            (other, self)
        };
        if let Some(head) = older.head {
            let grown = newer.head.is_some_and(|newer| {
                newer.next_version >= head.next_version && newer.partition_key == head.partition_key
            });
            assert!(grown, "streams only grow: {older:?}, then {newer:?}");
        }
        newer
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sierradb_io::Prng;

    use super::*;

    fn head(through_segment: u64, next_version: u64) -> KnownHead {
        let head = StreamHead { next_version, partition_key: Uuid::nil() };
        KnownHead { through_segment, head: (next_version > 0).then_some(head) }
    }

    #[test]
    fn what_it_answers_was_told_and_it_never_exceeds_its_bound() {
        let mut cache = HeadCache::new(3, 1_280);
        let mut told = BTreeMap::new();
        let mut prng = Prng::new(5);
        let mut hits = 0;
        for step in 0..20_000 {
            let partition = u16::try_from(prng.below(2)).unwrap();
            let id = prng.below(3_000).to_string();
            if prng.chance(1, 2) {
                let known = head(
                    step,
                    told.get(&(partition, id.clone()))
                        .map_or(0, |k: &KnownHead| k.head.map_or(1, |head| head.next_version + 2)),
                );
                cache.insert(partition, id.as_bytes(), known);
                told.insert((partition, id), known);
            } else if let Some(known) = cache.get(partition, id.as_bytes()) {
                assert_eq!(told.get(&(partition, id)), Some(&known));
                hits += 1;
            }
            assert!(cache.len() <= 1_280);
        }
        assert!(hits > 1_000, "{hits}");
    }

    #[test]
    fn entries_in_use_outlive_those_that_are_not() {
        let mut cache = HeadCache::new(3, 128);
        cache.insert(0, b"used", head(1, 5));
        cache.insert(0, b"unused", head(1, 5));
        for other in 0..10_000_u64 {
            cache.insert(1, &other.to_le_bytes(), head(1, 1));
            assert_eq!(cache.get(0, b"used"), Some(head(1, 5)));
        }
        assert_eq!(cache.get(0, b"unused"), None);
    }

    #[test]
    fn older_knowledge_does_not_replace_newer() {
        let mut cache = HeadCache::new(3, 128);
        cache.insert(0, b"s", head(7, 5));
        cache.insert(0, b"s", head(4, 0));
        assert_eq!(cache.get(0, b"s"), Some(head(7, 5)));
    }

    #[test]
    #[should_panic(expected = "streams only grow")]
    fn a_stream_that_shrinks_is_a_bug() {
        let mut cache = HeadCache::new(3, 128);
        cache.insert(0, b"s", head(7, 5));
        cache.insert(0, b"s", head(8, 4));
    }
}
