use std::collections::BTreeMap;

use proptest::prelude::*;
use sierradb_io::Prng;
use sierradb_protocol::id::default_partition_key;

use super::*;

/// One event as a test submits it: stream number and whether it has an idempotency key.
type Drawn = (u16, Vec<(u8, bool)>);

/// Id hash, stream, version, key hash.
type Event = (u32, String, u64, Option<u32>);

/// What a plain map knows after the same frames.
#[derive(Default)]
struct Model {
    frames: Vec<(LiveFrame, Vec<Event>)>,
    sequences: BTreeMap<u16, Vec<u64>>,
    versions: BTreeMap<(u16, String), (Uuid, Vec<u64>)>,
}

fn first_version(partition: u16, stream: u8) -> u64 {
    if stream.is_multiple_of(2) { 0 } else { 1_000 + u64::from(partition) }
}

impl Model {
    fn push(&mut self, index: &mut LiveIndex, drawn: &Drawn, prng: &mut Prng) {
        let (partition, events) = drawn;
        let offset =
            self.frames.last().map_or(4_096, |(last, _)| last.offset) + 8 * (1 + prng.below(100));
        let sequences = self.sequences.entry(*partition).or_default();
        let frame = LiveFrame {
            offset,
            partition: *partition,
            first_sequence: 7 + sequences.len() as u64,
            partition_key: Uuid::from_u128(u128::from(*partition)),
        };
        let mut rows = Vec::new();
        for (stream, has_key) in events {
            let id = format!("stream-{stream}");
            let (_, versions) = self
                .versions
                .entry((*partition, id.clone()))
                .or_insert_with(|| (frame.partition_key, Vec::new()));
            let version = first_version(*partition, *stream) + versions.len() as u64;
            versions.push(offset);
            sequences.push(offset);
            let hash = u32::try_from(prng.below(1 << 32)).unwrap();
            rows.push((hash, id, version, has_key.then_some(!hash)));
        }
        index.push_frame(frame, live_events(&rows));
        assert_eq!(index.last_frame().events.len(), rows.len());
        self.frames.push((frame, rows));
    }

    fn check(&self, index: &LiveIndex) {
        let mut all = Vec::new();
        for (frame, rows) in &self.frames {
            for (id_hash, _, _, key_hash) in rows {
                assert!(index.event_offsets(*id_hash).contains(&frame.offset));
                assert!(
                    key_hash.is_none_or(|key| index.event_offsets(key).contains(&frame.offset))
                );
                all.push(frame.offset);
            }
        }
        let found: Vec<u64> = (0..index.len()).map(|o| index.frame_offset(o).unwrap()).collect();
        assert_eq!(found, all);
        assert_eq!(
            index.partitions().collect::<Vec<_>>(),
            self.sequences.keys().copied().collect::<Vec<_>>()
        );
        for (partition, offsets) in &self.sequences {
            let span = index.partition_span(*partition).unwrap();
            assert_eq!((span.first_sequence, span.next_sequence), (7, 7 + offsets.len() as u64));
            let read = |from, count, out: &mut Vec<EventAt>| {
                index.partition_offsets(*partition, from, count, out);
            };
            check_windows(7, offsets, read);
        }
        assert_eq!(index.stream_count() as usize, self.versions.len());
        for ((partition, id), (key, offsets)) in &self.versions {
            let span = index.stream(*partition, id.as_bytes()).unwrap();
            let first =
                first_version(*partition, id.strip_prefix("stream-").unwrap().parse().unwrap());
            assert_eq!(
                (span.first_version, span.next_version),
                (first, first + offsets.len() as u64)
            );
            let chosen = Some(*key).filter(|key| *key != default_partition_key(id.as_bytes()));
            assert_eq!((span.chosen_key, index.stream_span(span.stream)), (chosen, Some(span)));
            assert_eq!(index.stream_name(span.stream), Some((*partition, id.as_bytes())));
            check_windows(first, offsets, |from, count, out| {
                index.stream_offsets(span.stream, from, count, out)
            });
        }
        assert_eq!(index.partition_span(999), None);
        assert_eq!(index.stream(999, b"stream-0"), None);
    }
}

fn live_events(rows: &[Event]) -> impl Iterator<Item = LiveEvent<'_>> {
    rows.iter().map(|(id_hash, stream, version, key_hash)| LiveEvent {
        id_hash: *id_hash,
        stream: LiveStream::Named(stream.as_bytes()),
        version: *version,
        key_hash: *key_hash,
    })
}

/// Reads windows of every kind and compares each with the plain list.
fn check_windows(first: u64, offsets: &[u64], read: impl Fn(u64, usize, &mut Vec<EventAt>)) {
    let len = offsets.len();
    for (from, count) in
        [(0, len), (0, 1), (len / 2, 3), (len - 1, 9), (len, 1), (0, usize::MAX), (len / 3, 0)]
    {
        let mut out = vec![EventAt { position: 0, offset: 0 }];
        read(first + from as u64, count, &mut out);
        let expected = offsets.iter().zip(first..).skip(from).take(count);
        let expected: Vec<_> =
            expected.map(|(&offset, position)| EventAt { position, offset }).collect();
        assert_eq!(&out[1..], expected, "{count} from {from} of {len}");
    }
    let mut out = Vec::new();
    read(first.wrapping_sub(1), 5, &mut out);
    assert!(out.is_empty());
}

fn frames() -> impl Strategy<Value = Vec<Drawn>> {
    let event = (0..6_u8, proptest::bool::weighted(0.1));
    proptest::collection::vec((0..4_u16, proptest::collection::vec(event, 1..8)), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_knows_what_a_plain_map_knows(frames in frames(), seed: u64) {
        let (mut index, mut model, mut prng) = (LiveIndex::new(seed), Model::default(), Prng::new(seed));
        for drawn in &frames {
            model.push(&mut index, drawn, &mut prng);
        }
        model.check(&index);
    }
}

#[test]
fn it_knows_what_a_plain_map_knows_beyond_the_first_blocks() {
    let (mut index, mut model, mut prng) = (LiveIndex::new(1), Model::default(), Prng::new(1));
    for nth in 0..9_000_u16 {
        let stream = u8::try_from(prng.below(200)).unwrap();
        let events = (0..1 + prng.below(2)).map(|_| (stream, nth % 50 == 0)).collect();
        model.push(&mut index, &(nth % 3, events), &mut prng);
    }
    model.check(&index);
}

#[test]
fn a_default_partition_key_is_known_without_being_stored() {
    let event =
        LiveEvent { id_hash: 1, stream: LiveStream::Named(b"s"), version: 3, key_hash: None };
    let frame = LiveFrame {
        offset: 4_096,
        partition: 1,
        first_sequence: 0,
        partition_key: default_partition_key(b"s"),
    };
    let mut index = LiveIndex::new(0);
    index.push_frame(frame, [event]);
    assert_eq!(index.stream(1, b"s").unwrap().chosen_key, None);
}

fn push_at(offset: u64, first_sequence: u64) {
    let event = |version| LiveEvent {
        id_hash: 1,
        stream: LiveStream::Named(b"s"),
        version,
        key_hash: None,
    };
    let frame = |offset, first_sequence| LiveFrame {
        offset,
        partition: 1,
        first_sequence,
        partition_key: Uuid::nil(),
    };
    let mut index = LiveIndex::new(0);
    index.push_frame(frame(4_096, 0), [event(0)]);
    index.push_frame(frame(offset, first_sequence), [event(1)]);
}

#[test]
#[should_panic(expected = "sequences are gapless")]
fn a_gap_in_a_partition_is_a_bug() {
    push_at(4_104, 2);
}

#[test]
#[should_panic(expected = "offsets ascend")]
fn a_frame_pushed_twice_is_a_bug() {
    push_at(4_096, 1);
}

#[test]
fn an_empty_index_answers() {
    let index = LiveIndex::new(0);
    assert_eq!((index.len(), index.stream_count(), index.event_offsets(0)), (0, 0, Vec::new()));
    assert!(index.memory_bytes() < 1_000, "{}", index.memory_bytes());
}

/// 200,000 events of 350 B, ten per stream, in eight partitions: the load of the memory target, a fifth of it.
fn usual_load(has_chosen_keys: bool) -> LiveIndex {
    let mut index = LiveIndex::new(1);
    let mut prng = Prng::new(1);
    let mut versions = vec![0; 20_000];
    let mut sequences = [0; 8];
    for nth in 0..200_000 {
        let stream = prng.below(20_000);
        let id = format!("user-{stream:016}");
        let partition = u16::try_from(stream % 8).unwrap();
        let default = default_partition_key(id.as_bytes());
        let frame = LiveFrame {
            offset: 4_096 + nth * 352,
            partition,
            first_sequence: sequences[usize::from(partition)],
            partition_key: if has_chosen_keys { Uuid::nil() } else { default },
        };
        sequences[usize::from(partition)] += 1;
        let version: &mut u64 = &mut versions[usize::try_from(stream).unwrap()];
        let id_hash = u32::try_from(prng.below(1 << 32)).unwrap();
        let event = LiveEvent {
            id_hash,
            stream: LiveStream::Named(id.as_bytes()),
            version: *version,
            key_hash: None,
        };
        *version += 1;
        index.push_frame(frame, [event]);
    }
    index
}

#[test]
fn an_event_takes_at_most_25_bytes() {
    // In hundredths of a byte. At a million events: 23.6 B, with chosen keys 25.2 B.
    let per_event = usual_load(false).memory_bytes() / 2_000;
    assert!(per_event <= 2_500, "{per_event}");
    let per_event = usual_load(true).memory_bytes() / 2_000;
    assert!(per_event <= 2_700, "{per_event}");
}
