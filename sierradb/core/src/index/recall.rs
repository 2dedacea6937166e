//! What a live index still knows of frames whose bytes cannot be read any more.
//!
//! Everything but their bytes: which events they hold, of which streams, with which versions and sequences. Of event
//! ids and idempotency keys it knows some hashes each, of 32 bits, among them the right one: those under which its own
//! table finds the event. An index file made of them finds no less and no more than the live index does.

use std::ops::RangeInclusive;

use super::live::LiveIndex;
use super::streams::StreamRef;

/// A frame with events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownFrame {
    pub(crate) offset: u64,
    pub(crate) partition: u16,
    /// Sequence of its first event.
    pub(crate) first_sequence: u64,
    pub(crate) events: Vec<KnownEvent>,
}

/// An event of such a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownEvent {
    pub(crate) stream_id: Vec<u8>,
    pub(crate) version: u64,
    /// Upper 32 bits of hashes under which its id, or its transaction's idempotency key, may have been noted.
    pub(crate) hashes: Vec<u32>,
}

/// What is known of one ordinal so far.
#[derive(Clone, Default)]
struct Known {
    place: Option<(u16, u64)>,
    stream: Option<(StreamRef, u64)>,
    hashes: Vec<u32>,
}

impl LiveIndex {
    /// Where the first frame with events at or behind `offset` begins.
    pub(crate) fn next_frame(&self, offset: u64) -> Option<u64> {
        self.frame_offset(self.first_ordinal(offset))
    }

    /// All frames that begin in `offsets`, ascending. Looks at every stream and at every event behind the first
    /// offset: for the rare case alone.
    pub(crate) fn recall(&self, offsets: RangeInclusive<u64>) -> Vec<KnownFrame> {
        let first = self.first_ordinal(*offsets.start());
        let end = self.first_ordinal(offsets.end().saturating_add(1));
        let mut known = vec![Known::default(); end.saturating_sub(first) as usize];
        self.recall_partitions(first, &mut known);
        self.recall_streams(first, &mut known);
        for (ordinal, hash) in self.ids.hashes_of(first..end) {
            if let Some(known) = at(&mut known, first, ordinal) {
                known.hashes.push(hash);
            }
        }
        let mut frames: Vec<KnownFrame> = Vec::new();
        for (ordinal, known) in (first..end).zip(known) {
            let Some((offset, (partition, sequence), event)) = self.complete(ordinal, known) else {
                continue; // every event has a partition and a stream
            };
            match frames.last_mut().filter(|frame| frame.offset == offset) {
                Some(frame) => frame.events.push(event),
                None => frames.push(KnownFrame {
                    offset,
                    partition,
                    first_sequence: sequence,
                    events: vec![event],
                }),
            }
        }
        frames
    }

    fn complete(&self, ordinal: u32, known: Known) -> Option<(u64, (u16, u64), KnownEvent)> {
        let (stream, version) = known.stream?;
        let stream_id = self.stream_name(stream)?.1.to_vec();
        let event = KnownEvent { stream_id, version, hashes: known.hashes };
        Some((self.frame_offset(ordinal)?, known.place?, event))
    }

    fn recall_partitions(&self, first: u32, known: &mut [Known]) {
        for (partition, events) in &self.partitions {
            let ordinals = &events.ordinals;
            let start = partition_point(ordinals.len(), |nth| ordinals.get(nth) < Some(first));
            for nth in start..ordinals.len() {
                let known = ordinals.get(nth).and_then(|ordinal| at(known, first, ordinal));
                let Some(known) = known else { break };
                known.place = Some((*partition, events.first_sequence + u64::from(nth)));
            }
        }
    }

    fn recall_streams(&self, first: u32, known: &mut [Known]) {
        for stream in (0..self.stream_count()).map(StreamRef) {
            let Some(versions) = self.streams.versions(stream) else { continue };
            let last = u32::try_from(versions.end - versions.start).unwrap_or(0).checked_sub(1);
            let Some((mut ordinal, _)) = last.and_then(|last| self.streams.anchor(stream, last))
            else {
                continue;
            };
            for version in versions.rev() {
                if ordinal < first {
                    break;
                }
                if let Some(known) = at(known, first, ordinal) {
                    known.stream = Some((stream, version));
                }
                ordinal = self.row(ordinal).previous;
            }
        }
    }

    /// The first ordinal whose frame begins at or behind `offset`; the number of events if there is none.
    fn first_ordinal(&self, offset: u64) -> u32 {
        partition_point(self.len(), |ordinal| self.frame_offset(ordinal) < Some(offset))
    }
}

fn at(known: &mut [Known], first: u32, ordinal: u32) -> Option<&mut Known> {
    known.get_mut(ordinal.checked_sub(first)? as usize)
}

/// The first of `0..len` for which `is_before` is false; it is true for all before it.
fn partition_point(len: u32, is_before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use sierradb_io::Prng;
    use uuid::Uuid;

    use super::super::live::{LiveEvent, LiveFrame, LiveStream};
    use super::*;

    #[test]
    fn every_frame_is_recalled_as_it_was_pushed() {
        let mut prng = Prng::new(7);
        let (mut index, mut pushed) = (LiveIndex::new(3), Vec::new());
        let (mut sequences, mut versions) = ([100_u64; 3], [0_u64; 30]);
        for nth in 0..3_000_u64 {
            let partition = u16::try_from(prng.below(3)).unwrap();
            let first_sequence = sequences[usize::from(partition)];
            let mut events = Vec::new();
            for _ in 0..prng.between(1, 4) {
                let stream = u64::from(partition) * 10 + prng.below(10);
                let version = &mut versions[usize::try_from(stream).unwrap()];
                let hashes = vec![u32::try_from(prng.below(1 << 32)).unwrap()];
                let stream_id = format!("s{stream}").into_bytes();
                events.push(KnownEvent { stream_id, version: *version, hashes });
                *version += 1;
            }
            sequences[usize::from(partition)] += u64::try_from(events.len()).unwrap();
            let offset = 4096 + nth * 64;
            let frame = LiveFrame { offset, partition, first_sequence, partition_key: Uuid::nil() };
            let live = events.iter().map(|event| LiveEvent {
                id_hash: event.hashes[0],
                stream: LiveStream::Named(&event.stream_id),
                version: event.version,
                key_hash: None,
            });
            index.push_frame(frame, live);
            pushed.push(KnownFrame { offset, partition, first_sequence, events });
        }
        for (first, last) in [(0, 0), (17, 60), (2_999, 2_999), (0, 2_999)] {
            let expected = &pushed[first..=last];
            let found = index.recall(expected[0].offset..=expected[last - first].offset);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                for (found, expected) in found.events.iter().zip(&expected.events) {
                    assert!(found.hashes.contains(&expected.hashes[0]));
                    let all = found.hashes.iter().map(|hash| index.event_offsets(*hash));
                    assert!(all.clone().all(|offsets| !offsets.is_empty()), "no more than live");
                }
                let mut bare = found.clone();
                bare.events.iter_mut().zip(&expected.events).for_each(|(event, expected)| {
                    event.hashes.clone_from(&expected.hashes);
                });
                assert_eq!(&bare, expected);
            }
        }
        assert_eq!(index.next_frame(4096 + 1), Some(4096 + 64));
        assert_eq!(index.next_frame(4096 + 3_000 * 64), None);
    }
}
