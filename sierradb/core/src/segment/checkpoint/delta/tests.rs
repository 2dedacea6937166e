use proptest::prelude::*;

use super::*;
use crate::index::live::{EventAt, LiveEvent, LiveStream};

/// Partition, choice of key, and per event its stream; odd hashes of first events bring an idempotency key.
type Drawn = (u16, bool, Vec<(u32, u8)>);

const SEED: u64 = 11;

/// An index and the deltas it was saved in, one after every `per_delta` frames.
fn saved(frames: &[Drawn], per_delta: usize) -> (LiveIndex, Vec<Bytes>) {
    let mut index = LiveIndex::new(SEED);
    let mut builder = DeltaBuilder::new(&index);
    let mut deltas = Vec::new();
    let mut offset = 4_096;
    for (nth, (partition, chosen, events)) in frames.iter().enumerate() {
        offset += 8 * u64::from(events[0].0 % 300 + 1);
        let names: Vec<Vec<u8>> =
            events.iter().map(|(_, stream)| vec![b'a' + stream; 1 + *stream as usize]).collect();
        let span = index.partition_span(*partition);
        let key = if *chosen { Uuid::from_u128(5) } else { default_partition_key(&names[0]) };
        let frame = LiveFrame {
            offset,
            partition: *partition,
            first_sequence: span.map_or(1 << 40, |span| span.next_sequence),
            partition_key: key,
        };
        let mut versions = std::collections::BTreeMap::new();
        let live: Vec<LiveEvent<'_>> = events
            .iter()
            .zip(&names)
            .enumerate()
            .map(|(nth, ((id_hash, stream), name))| {
                let first = index
                    .stream(*partition, name)
                    .map_or(u64::from(*stream) << 20, |s| s.next_version);
                let version = *versions.entry(name).and_modify(|v| *v += 1).or_insert(first);
                let key_hash = (nth == 0 && id_hash % 2 == 1).then_some(!id_hash);
                LiveEvent { id_hash: *id_hash, stream: LiveStream::Named(name), version, key_hash }
            })
            .collect();
        index.push_frame(frame, live);
        builder.push_frame(&index, frame);
        if (nth + 1).is_multiple_of(per_delta) || nth + 1 == frames.len() {
            let end = LogPosition {
                last_frame_offset: offset,
                end_offset: offset + 8,
                chain: u32::try_from(nth).unwrap(),
            };
            let (events, len) = (builder.len(), builder.encoded_len());
            let delta = builder.finish(end);
            assert_eq!((delta.len(), builder.len()), (len, 0));
            assert_eq!(Delta::decode(&delta).map(|d| (d.events, d.end)), Ok((events, end)));
            deltas.push(delta);
        }
    }
    (index, deltas)
}

fn recalled(file: &[u8]) -> Result<LiveIndex, DeltaError> {
    let mut index = LiveIndex::new(SEED);
    let mut left = file;
    while !left.is_empty() {
        let delta = Delta::decode(left)?;
        delta.apply(&mut index)?;
        left = &left[delta.encoded_len()..];
    }
    Ok(index)
}

/// Everything an index can tell.
fn told(index: &LiveIndex, frames: &[Drawn]) -> impl PartialEq + std::fmt::Debug + use<> {
    let offsets: Vec<_> = (0..index.len()).map(|ordinal| index.frame_offset(ordinal)).collect();
    let partitions: Vec<_> =
        index.partitions().map(|partition| (partition, index.partition_span(partition))).collect();
    let streams: Vec<_> = (0..index.stream_count())
        .map(|number| {
            let stream = StreamRef(number);
            let mut places: Vec<EventAt> = Vec::new();
            let span = index.stream_span(stream).unwrap();
            index.stream_offsets(stream, span.first_version, usize::MAX, &mut places);
            let (partition, id) = index.stream_name(stream).unwrap();
            assert_eq!(index.stream(partition, id), Some(span));
            (span, partition, id.to_vec(), places)
        })
        .collect();
    let ids: Vec<_> = frames
        .iter()
        .flat_map(|frame| &frame.2)
        .map(|(hash, _)| (index.event_offsets(*hash), index.event_offsets(!hash)))
        .collect();
    (offsets, partitions, streams, ids)
}

fn frames() -> impl Strategy<Value = Vec<Drawn>> {
    let events = proptest::collection::vec((any::<u32>(), 0..5_u8), 1..6);
    proptest::collection::vec((0..3_u16, any::<bool>(), events), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn deltas_bring_the_same_index_back(frames in frames(), per_delta in 1..20_usize) {
        let (index, deltas) = saved(&frames, per_delta);
        let again = recalled(&deltas.concat()).unwrap();
        prop_assert_eq!(told(&again, &frames), told(&index, &frames));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused(frames in frames(), at: prop::sample::Index) {
        let (_, deltas) = saved(&frames, usize::MAX);
        let bit = at.index(deltas[0].len() * 8);
        let mut bytes = deltas[0].to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Delta::decode(&bytes).is_err());
        prop_assert!(Delta::decode(&deltas[0][..at.index(deltas[0].len())]).is_err());
    }

    #[test]
    fn any_body_is_read_without_panic(
        frames in frames(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (_, deltas) = saved(&frames, usize::MAX);
        let mut bytes = deltas[0].to_vec();
        for (at, byte) in &changes {
            let at = 8 + at.index(bytes.len() - 8);
            bytes[at] = *byte;
        }
        let crc = crc32c::crc32c(&[&bytes[..4], &bytes[8..]].concat());
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        let delta = Delta::decode(&bytes).unwrap();
        // Right or not: it must not panic, and may only succeed with as many events as it says.
        let mut index = LiveIndex::new(SEED);
        prop_assert!(delta.apply(&mut index).is_err() || index.len() == delta.events);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        prop_assert!(Delta::decode(&bytes).is_err());
        let end = LogPosition { last_frame_offset: u64::MAX, end_offset: u64::MAX, chain: 0 };
        let delta = Delta { first_ordinal: 0, events: 1, end, body: &bytes };
        let mut index = LiveIndex::new(SEED);
        prop_assert!(delta.apply(&mut index).is_err() || index.len() == 1);
    }
}

#[test]
fn a_delta_fits_only_behind_the_ones_before_it() {
    let frames = vec![(0, false, vec![(2, 0)]), (0, false, vec![(4, 0)])];
    let (_, deltas) = saved(&frames, 1);
    assert_eq!(recalled(&deltas[1]).unwrap_err(), DeltaError::Order { found: 1, expected: 0 });
    assert_eq!(recalled(&deltas.concat()).unwrap().len(), 2);
    let twice = [deltas[0].as_ref(), &deltas[0]].concat();
    assert_eq!(recalled(&twice).unwrap_err(), DeltaError::Order { found: 0, expected: 1 });
}

#[test]
fn the_zeros_behind_the_last_delta_are_not_one() {
    assert!(matches!(Delta::decode(&[0; 4_096]), Err(DeltaError::Checksum { .. })));
    assert!(matches!(Delta::decode(&[]), Err(DeltaError::Short { needed: 28, available: 0 })));
}

#[test]
fn a_usual_event_takes_eight_bytes() {
    let frames: Vec<Drawn> = (0..100).map(|nth| (0, false, vec![(nth * 2, 0)])).collect();
    let (_, deltas) = saved(&frames, usize::MAX);
    let len = deltas[0].len() - HEADER_LEN;
    assert!(len < 100 * 8, "{len} bytes");
}

#[test]
fn its_bytes_never_change() {
    let frames = vec![
        (1, true, vec![(1, 0), (0x0403_0201, 1)]),
        (1, false, vec![(2, 1)]),
        (2, false, vec![(4, 2)]),
    ];
    let (_, deltas) = saved(&frames, usize::MAX);
    assert_eq!(deltas[0].as_ref(), PINNED, "{:?}", deltas[0].as_ref());
}

const PINNED: &[u8] = &[
    95, 0, 0, 0, 30, 18, 154, 145, 0, 0, 0, 0, 4, 0, 0, 0, 11, 2, 0, 0, 2, 0, 0, 0, 10, 2, 0, 0,
    133, 8, 11, 128, 128, 128, 128, 128, 32, 254, 255, 255, 255, 1, 0, 0, 0, 0, 1, 1, 97, 1, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 0, 1, 2, 98, 98, 129, 128, 128, 1, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 6, 2, 0, 0, 0, 2, 11, 6, 128, 128, 128, 128, 128, 32,
    4, 0, 0, 0, 0, 2, 3, 99, 99, 99, 128, 128, 128, 2,
];
