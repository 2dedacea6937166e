//! Segments made from a number, and what a plain map says about them. For tests of this crate only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use sierradb_io::Prng;
use uuid::Uuid;

use super::build::{BuildError, BuildOptions, EventFact, FrameFact, IndexBuilder, SegmentEnd};
use super::hash::{event_id_hash, idempotency_hash};
use super::pages::IndexError;
use super::sealed::{Expect, SealedIndex};
use crate::read::block_cache::{BlockCache, CacheOptions};
use crate::read::testing::{MemDisk, MemFile};

pub(super) const SEED: u64 = 0x5eed;
pub(super) const SEGMENT: u64 = 7;
pub(super) const PATH: &str = "/b/0000000007.idx";

/// Sizes of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) frames: u64,
    pub(super) partitions: u64,
    pub(super) streams: u64,
    pub(super) events_per_frame: u64,
}

#[derive(Debug, Clone)]
pub(super) struct SampleEvent {
    pub(super) id: Uuid,
    pub(super) stream: Vec<u8>,
    pub(super) version: u64,
    pub(super) key: Option<Vec<u8>>,
}

/// A segment as facts.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) options: BuildOptions,
    pub(super) frames: Vec<(FrameFact, Vec<SampleEvent>)>,
    pub(super) end: SegmentEnd,
}

/// What a stream has: first version, and the offset of each event's frame.
pub(super) type Versions = (u64, Vec<u64>);

impl Sample {
    pub(super) fn new(seed: u64, shape: Shape) -> Self {
        let mut prng = Prng::new(seed);
        let first_index = prng.between(2, 1 << 40);
        let mut sequences: BTreeMap<u16, u64> = BTreeMap::new();
        let mut versions: BTreeMap<(u16, Vec<u8>), u64> = BTreeMap::new();
        let (mut offset, mut term, mut frames) = (4096, 1, Vec::new());
        for index in first_index..first_index + shape.frames {
            term += u64::from(prng.chance(1, 50));
            let partition = u16::try_from(prng.below(shape.partitions) * 3).unwrap();
            let count =
                if prng.chance(1, 20) { 0 } else { prng.between(1, shape.events_per_frame) };
            let start = prng.below(1 << 30);
            let sequence = sequences.entry(partition).or_insert(start);
            let fact = FrameFact {
                offset,
                index,
                term,
                partition,
                first_sequence: *sequence,
                append_time_ns: 1_000 + index,
                header_crc: u32::try_from(index % 1_000_003).unwrap(),
            };
            *sequence += count;
            let events = (0..count).map(|nth| {
                let stream = format!("stream-{}", prng.below(shape.streams)).into_bytes();
                let start = prng.below(1 << 50);
                let version = versions.entry((partition, stream.clone())).or_insert(start);
                *version += 1;
                let key =
                    (nth == 0 && prng.chance(1, 5)).then(|| format!("key-{index}").into_bytes());
                let id = u128::from(prng.next_u64()) << 64 | u128::from(prng.next_u64());
                SampleEvent { id: Uuid::from_u128(id), stream, version: *version, key }
            });
            frames.push((fact, events.collect()));
            offset += 8 * prng.between(12, 60);
        }
        let options = BuildOptions {
            hash_seed: SEED,
            segment_number: SEGMENT,
            first_index,
            segment_size: 256 << 20,
            expected_events: 0,
        };
        let last = frames.last().map(|(fact, _)| *fact);
        let end = SegmentEnd {
            used_len: offset,
            last_index: first_index + shape.frames - 1,
            end_chain: last.map_or(0, |last| last.header_crc),
            segment_digest: u128::from(seed),
        };
        Self { options, frames, end }
    }

    pub(super) fn try_build(&self) -> Result<Vec<u8>, BuildError> {
        let mut builder = IndexBuilder::new(self.options);
        for (frame, events) in &self.frames {
            builder.frame(*frame);
            for event in events {
                builder.event(EventFact {
                    event_id: &event.id,
                    stream_id: &event.stream,
                    stream_version: event.version,
                    idempotency_key: event.key.as_deref(),
                });
            }
        }
        builder.finish(self.end).map(|pages| pages.concat())
    }

    pub(super) fn build(&self) -> Vec<u8> {
        self.try_build().unwrap()
    }

    pub(super) fn expect(&self) -> Expect {
        Expect {
            segment_number: SEGMENT,
            hash_seed: SEED,
            used_len: self.end.used_len,
            last_index: self.end.last_index,
            end_chain: self.end.end_chain,
        }
    }

    /// Every hash of the E section with the offsets it must lead to.
    pub(super) fn hashes(&self) -> BTreeMap<u64, BTreeSet<u64>> {
        let mut hashes: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (frame, events) in &self.frames {
            for event in events {
                hashes.entry(event_id_hash(SEED, &event.id)).or_default().insert(frame.offset);
                if let Some(key) = &event.key {
                    let hash = idempotency_hash(SEED, frame.partition, key);
                    hashes.entry(hash).or_default().insert(frame.offset);
                }
            }
        }
        hashes
    }

    pub(super) fn event_count(&self) -> u64 {
        let events: usize = self.frames.iter().map(|(_, events)| events.len()).sum();
        u64::try_from(events).unwrap()
    }

    pub(super) fn streams(&self) -> BTreeMap<(u16, Vec<u8>), Versions> {
        let mut streams: BTreeMap<(u16, Vec<u8>), Versions> = BTreeMap::new();
        for (frame, events) in &self.frames {
            for event in events {
                let key = (frame.partition, event.stream.clone());
                let stream = streams.entry(key).or_insert((event.version, Vec::new()));
                stream.1.push(frame.offset);
            }
        }
        streams
    }

    pub(super) fn partitions(&self) -> BTreeMap<u16, Versions> {
        let mut partitions: BTreeMap<u16, Versions> = BTreeMap::new();
        for (frame, events) in &self.frames {
            for _ in events {
                let entry = (frame.first_sequence, Vec::new());
                partitions.entry(frame.partition).or_insert(entry).1.push(frame.offset);
            }
        }
        partitions
    }
}

/// Runs what has nothing to wait for.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a file in memory never waits")
}

pub(super) fn cache(capacity_bytes: u64) -> Arc<BlockCache> {
    Arc::new(BlockCache::new(CacheOptions { capacity_bytes, ..CacheOptions::default() }))
}

/// Opens an index of these bytes.
pub(super) fn open(
    bytes: Vec<u8>,
    expect: Option<Expect>,
) -> (Arc<MemFile>, Result<SealedIndex, IndexError>) {
    let disk = MemDisk::default();
    let file = disk.put(PATH, bytes);
    let opened = now(SealedIndex::open_on(&disk, Path::new(PATH), expect, cache(64 << 20)));
    (file, opened)
}
