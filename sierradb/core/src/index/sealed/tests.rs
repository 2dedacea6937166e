use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;
use sierradb_io::Prng;

use super::super::hash::{event_id_hash, stream_hash};
use super::super::page::PAGE_LEN;
use super::super::testing::{SEED, Sample, Shape, now, open};
use super::*;

const SMALL: Shape = Shape { frames: 150, partitions: 3, streams: 20, events_per_frame: 4 };
/// Several pages in every section that grows.
const LARGE: Shape = Shape { frames: 12_000, partitions: 5, streams: 900, events_per_frame: 3 };

fn shapes() -> impl Strategy<Value = Shape> {
    (0_u64..400, 1_u64..6, 1_u64..200, 1_u64..12).prop_map(
        |(frames, partitions, streams, events_per_frame)| Shape {
            frames,
            partitions,
            streams,
            events_per_frame,
        },
    )
}

fn ids_agree(index: &SealedIndex, sample: &Sample) -> Result<(), IndexError> {
    for (hash, offsets) in sample.hashes() {
        let found = now(index.event_offsets(hash))?;
        assert_eq!(found, offsets.into_iter().collect::<Vec<_>>(), "hash {hash:x}");
    }
    Ok(())
}

/// Every list from its beginning, and pieces of it from elsewhere.
fn streams_agree(index: &SealedIndex, sample: &Sample, prng: &mut Prng) -> Result<(), IndexError> {
    for ((partition, id), (first_version, offsets)) in sample.streams() {
        let hash = stream_hash(SEED, partition, &id);
        let found = now(index.stream(hash, partition, u8::try_from(id.len()).unwrap()))?;
        let [entry] = found[..] else { panic!("one entry for {id:?}, not {found:?}") };
        let count = u32::try_from(offsets.len()).unwrap();
        assert_eq!((entry.first_version, entry.count), (first_version, count));
        assert_eq!((entry.first_offset, entry.partition), (offsets[0], partition));
        assert_eq!(now(index.stream_offsets(&entry, 0, u32::MAX))?, offsets);
        let (from, want) = (prng.below(u64::from(count) + 2), prng.below(300));
        let from = u32::try_from(from).unwrap();
        let found = now(index.stream_offsets(&entry, from, u32::try_from(want).unwrap()))?;
        let expected = offsets.iter().skip(usize::try_from(from).unwrap());
        let expected: Vec<u64> = expected.take(usize::try_from(want).unwrap()).copied().collect();
        assert_eq!(found, expected);
        assert!(now(index.stream(hash, partition + 1, entry.id_len))?.is_empty());
    }
    Ok(())
}

fn partitions_agree(
    index: &SealedIndex,
    sample: &Sample,
    prng: &mut Prng,
) -> Result<(), IndexError> {
    let partitions = sample.partitions();
    for number in 0..20 {
        let Some((first_sequence, offsets)) = partitions.get(&number) else {
            assert_eq!(index.partition(number), None);
            continue;
        };
        let entry = index.partition(number).unwrap();
        let count = u32::try_from(offsets.len()).unwrap();
        assert_eq!((entry.first_sequence, entry.count), (*first_sequence, count));
        assert_eq!(entry.first_offset, offsets[0]);
        let mut found = Vec::new();
        while found.len() < offsets.len() {
            let from = u32::try_from(found.len()).unwrap();
            let want = u32::try_from(prng.between(1, 700)).unwrap();
            found.extend(now(index.partition_offsets(&entry, from, want))?);
        }
        assert_eq!(&found, offsets);
        assert!(now(index.partition_offsets(&entry, count, 9))?.is_empty());
    }
    Ok(())
}

fn log_agrees(index: &SealedIndex, sample: &Sample) -> Result<(), IndexError> {
    for (frame, _) in &sample.frames {
        let found = now(index.log_position(frame.index))?.expect("the segment has the index");
        assert!(found.index <= frame.index && frame.index - found.index < 64);
        assert_eq!(found.term, frame.term);
        let nth = usize::try_from(found.index - sample.options.first_index).unwrap();
        assert_eq!(found.offset, sample.frames[nth].0.offset);
    }
    assert_eq!(now(index.log_position(sample.options.first_index - 1))?, None);
    assert_eq!(now(index.log_position(sample.end.last_index + 1))?, None);
    Ok(())
}

fn everything_agrees(index: &SealedIndex, sample: &Sample, seed: u64) -> Result<(), IndexError> {
    let mut prng = Prng::new(seed);
    ids_agree(index, sample)?;
    streams_agree(index, sample, &mut prng)?;
    partitions_agree(index, sample, &mut prng)?;
    log_agrees(index, sample)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn answers_equal_a_map(seed: u64, shape in shapes()) {
        let sample = Sample::new(seed, shape);
        let (_, index) = open(sample.build(), Some(sample.expect()));
        let index = index.unwrap();
        everything_agrees(&index, &sample, seed).unwrap();
        prop_assert_eq!(now(index.check()), Ok(()));
        let footer = index.footer();
        prop_assert_eq!(footer.frames, shape.frames);
        prop_assert_eq!(footer.events, sample.event_count());
        let times = sample.frames.iter().filter(|(_, events)| !events.is_empty());
        let times: Vec<u64> = times.map(|(frame, _)| frame.append_time_ns).collect();
        prop_assert_eq!(footer.min_append_ns, times.first().copied().unwrap_or(0));
        prop_assert_eq!(footer.max_append_ns, times.last().copied().unwrap_or(0));
    }

    #[test]
    fn any_flipped_bit_gives_an_error_or_the_right_answer(
        seed in 0_u64..4, at in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let sample = Sample::new(seed, SMALL);
        let mut bytes = sample.build();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let (_, index) = open(bytes, Some(sample.expect()));
        let Ok(index) = index else { return Ok(()) };
        prop_assert!(now(index.check()).is_err(), "byte {} is in no page that is checked", at);
        // Asserts inside: whatever is answered is right.
        let mut prng = Prng::new(seed);
        let page = u32::try_from(at / PAGE_LEN).unwrap();
        let answers = [
            ids_agree(&index, &sample),
            streams_agree(&index, &sample, &mut prng),
            partitions_agree(&index, &sample, &mut prng),
            log_agrees(&index, &sample),
        ];
        for error in answers.into_iter().filter_map(Result::err) {
            let IndexError::Damaged { page: named, section, .. } = error else {
                panic!("{error}: not a damaged page");
            };
            prop_assert_eq!(named, page, "section {}", section);
        }
    }

    #[test]
    fn nothing_panics_on_pages_with_sound_checksums_and_any_content(
        seed in 0_u64..4,
        page in any::<prop::sample::Index>(),
        edits in prop::collection::vec((8_usize..200, any::<u8>()), 1..40),
    ) {
        let sample = Sample::new(seed, SMALL);
        let mut bytes = sample.build();
        let page = page.index(bytes.len() / PAGE_LEN - 1);
        let body = &mut bytes[page * PAGE_LEN..][..PAGE_LEN];
        edits.iter().for_each(|(at, byte)| body[*at] = *byte);
        let place = [&7_u64.to_le_bytes()[..], &u32::try_from(page).unwrap().to_le_bytes()].concat();
        let crc = crc32c::crc32c_append(crc32c::crc32c(&place), &body[4..]);
        body[..4].copy_from_slice(&crc.to_le_bytes());
        let (_, index) = open(bytes, None);
        let Ok(index) = index else { return Ok(()) };
        // Answers may be wrong, since somebody forged them; they only have to come.
        drop(now(index.check()));
        for hash in sample.hashes().into_keys() {
            drop(now(index.event_offsets(hash)));
        }
        for (partition, id) in sample.streams().into_keys() {
            let hash = stream_hash(SEED, partition, &id);
            let id_len = u8::try_from(id.len()).unwrap();
            for entry in now(index.stream(hash, partition, id_len)).unwrap_or_default() {
                drop(now(index.stream_offsets(&entry, 3, 1000)));
            }
            if let Some(entry) = index.partition(partition) {
                drop(now(index.partition_offsets(&entry, 200, 1000)));
            }
        }
        drop(now(index.log_position(sample.end.last_index)));
    }
}

#[test]
fn a_large_segment_answers_like_a_map() {
    let sample = Sample::new(1, LARGE);
    let bytes = sample.build();
    let (_, index) = open(bytes, Some(sample.expect()));
    let index = index.unwrap();
    for section in [Section::Events, Section::Streams, Section::StreamPostings, Section::Log] {
        assert!(index.footer().extent(section).pages > 1, "{section} has one page only");
    }
    everything_agrees(&index, &sample, 1).unwrap();
    assert_eq!(now(index.check()), Ok(()));
}

#[test]
fn opening_takes_one_read_and_little_memory() {
    let sample = Sample::new(1, LARGE);
    let (file, index) = open(sample.build(), Some(sample.expect()));
    let index = index.unwrap();
    assert_eq!(file.reads(), 1);
    let events = usize::try_from(index.footer().events).unwrap();
    let growing = index.pinned_bytes() - size_of::<SealedIndex>();
    assert!(growing * 20 < events, "{growing} bytes pinned for {events} events");
}

#[test]
fn a_tail_beyond_the_first_read_is_fetched_by_a_second() {
    let shape = Shape { frames: 7_000, partitions: 5_000, streams: 2, events_per_frame: 1 };
    let sample = Sample::new(2, shape);
    let (file, index) = open(sample.build(), Some(sample.expect()));
    let index = index.unwrap();
    assert_eq!(file.reads(), 2);
    partitions_agree(&index, &sample, &mut Prng::new(2)).unwrap();
    assert_eq!(now(index.check()), Ok(()));
}

#[test]
fn absent_ids_mostly_cost_no_page_of_entries() {
    let sample = Sample::new(1, LARGE);
    let (_, index) = open(sample.build(), None);
    let index = index.unwrap();
    let mut prng = Prng::new(77);
    let denied = |lacks: Option<bool>| usize::from(lacks == Some(true));
    let (mut events, mut streams) = (0, 0);
    for _ in 0..2_000 {
        let hash = prng.next_u64();
        events += denied(index.try_lacks_event(hash));
        streams += denied(index.try_lacks_stream(hash));
        assert_eq!(now(index.event_offsets(hash)), Ok(vec![]));
        assert_eq!(now(index.stream(hash, 0, 8)), Ok(vec![]));
    }
    assert!(events > 1_970, "{events} of 2000 denied by the event filter");
    assert!(streams > 1_970, "{streams} of 2000 denied by the stream filter");
}

#[test]
fn a_cold_hit_reads_one_block_of_the_filter_and_one_page_of_entries() {
    let sample = Sample::new(1, LARGE);
    let bytes = sample.build();
    let mut pages_read = 0;
    let hashes: Vec<u64> = sample.hashes().into_keys().collect();
    // No cache at all: every block is read again, so reads are counted as if all were cold.
    for hash in hashes.iter().step_by(100) {
        let (file, index) = open(bytes.clone(), None);
        let index = index.unwrap();
        let before = file.reads();
        assert_eq!(now(index.event_offsets(*hash)).unwrap().len(), 1);
        pages_read += file.reads() - before;
        assert!(file.reads() - before <= 3, "{} reads", file.reads() - before);
        assert_eq!(candidate_pages(&index.event_fences, prefix(*hash)).len(), 1);
    }
    let asked = u64::try_from(hashes.len().div_ceil(100)).unwrap();
    assert!(pages_read <= asked * 5 / 2, "{pages_read} reads for {asked} hits");
}

#[test]
fn every_hit_needs_exactly_one_page_of_entries() {
    let sample = Sample::new(3, LARGE);
    let (_, index) = open(sample.build(), None);
    let index = index.unwrap();
    for hash in sample.hashes().into_keys() {
        assert_eq!(candidate_pages(&index.event_fences, prefix(hash)).len(), 1, "{hash:x}");
    }
}

#[test]
fn an_id_used_in_a_thousand_partitions_is_found_in_all() {
    let mut sample =
        Sample::new(4, Shape { frames: 1_500, partitions: 3, streams: 5, events_per_frame: 1 });
    let id = sample.frames.iter().find_map(|(_, events)| events.first()).unwrap().id;
    for (_, events) in &mut sample.frames {
        events.iter_mut().for_each(|event| event.id = id);
    }
    let (_, index) = open(sample.build(), None);
    let index = index.unwrap();
    let hash = event_id_hash(SEED, &id);
    assert!(candidate_pages(&index.event_fences, prefix(hash)).len() > 1);
    ids_agree(&index, &sample).unwrap();
    assert_eq!(now(index.check()), Ok(()));
}

#[test]
fn an_index_of_another_segment_state_or_seed_is_refused() {
    let sample = Sample::new(1, SMALL);
    let bytes = sample.build();
    let good = sample.expect();
    let refused = |expect| match open(bytes.clone(), Some(expect)).1 {
        Err(IndexError::Mismatch { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Expect { segment_number: 8, ..good }), "segment number");
    assert_eq!(refused(Expect { hash_seed: 1, ..good }), "hash seed");
    assert_eq!(refused(Expect { used_len: good.used_len + 8, ..good }), "used length");
    assert_eq!(refused(Expect { last_index: good.last_index + 1, ..good }), "last index");
    assert_eq!(refused(Expect { end_chain: good.end_chain ^ 1, ..good }), "end chain");
}

#[test]
fn a_file_cut_or_extended_anywhere_is_refused() {
    let bytes = Sample::new(1, SMALL).build();
    for len in (0..bytes.len()).step_by(1000).chain([bytes.len() - PAGE_LEN]) {
        assert!(open(bytes[..len].to_vec(), None).1.is_err(), "cut to {len}");
    }
    for more in [1, PAGE_LEN, 2 * PAGE_LEN] {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more, 0);
        assert!(open(longer, None).1.is_err(), "{more} more");
    }
}

#[test]
fn swapped_pages_are_refused() {
    let sample = Sample::new(1, LARGE);
    let mut bytes = sample.build();
    let (left, right) = bytes.split_at_mut(PAGE_LEN);
    left.swap_with_slice(&mut right[..PAGE_LEN]);
    let (_, index) = open(bytes, Some(sample.expect()));
    let index = index.unwrap();
    let damaged = now(index.check());
    assert!(matches!(damaged, Err(IndexError::Damaged { section: Section::Events, page: 0, .. })));
    assert!(ids_agree(&index, &sample).is_err());
}

#[test]
fn a_disk_that_fails_or_forgets_while_serving_is_an_error() {
    let sample = Sample::new(1, SMALL);
    let (file, index) = open(sample.build(), None);
    let index = index.unwrap();
    let hash = *sample.hashes().first_key_value().unwrap().0;
    file.broken.store(true, SeqCst);
    assert!(matches!(now(index.event_offsets(hash)), Err(IndexError::Disk(_))));
    assert_eq!(index.try_lacks_event(hash), None);
    file.broken.store(false, SeqCst);
    file.change(|bytes| bytes.truncate(PAGE_LEN));
    assert!(matches!(now(index.event_offsets(hash)), Err(IndexError::Damaged { .. })));
}

#[test]
fn one_bad_page_leaves_its_neighbours_readable() {
    let sample = Sample::new(1, LARGE);
    let mut bytes = sample.build();
    bytes[100] ^= 1;
    let (_, index) = open(bytes, None);
    let index = index.unwrap();
    let (mut good, mut bad) = (0, 0);
    for (hash, offsets) in sample.hashes() {
        match now(index.event_offsets(hash)) {
            Ok(found) => {
                assert_eq!(found, offsets.into_iter().collect::<Vec<_>>());
                good += 1;
            }
            Err(IndexError::Damaged { section: Section::Events, page: 0, .. }) => bad += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((400..=511).contains(&bad), "{bad} on the bad page");
    assert!(good > 10 * bad);
}

#[test]
fn dropping_an_index_frees_its_blocks() {
    let sample = Sample::new(1, SMALL);
    let cache = super::super::testing::cache(1 << 20);
    let disk = crate::read::testing::MemDisk::default();
    disk.put(super::super::testing::PATH, sample.build());
    let path = Path::new(super::super::testing::PATH);
    let index = now(SealedIndex::open_on(&disk, path, None, cache.clone())).unwrap();
    ids_agree(&index, &sample).unwrap();
    assert!(cache.stats().entries > 0);
    drop(index);
    assert_eq!(cache.stats().entries, 0);
}

#[test]
fn an_index_written_to_a_real_directory_opens_again() {
    let sample = Sample::new(6, SMALL);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::super::index_file::file_name(7));
    let index = sierradb_io::os::wait(async {
        let io = Io::os();
        let pages = vec![sample.build().into()];
        super::super::index_file::write(&io, dir.path(), 7, pages).await.unwrap();
        let cache = super::super::testing::cache(1 << 20);
        let index = SealedIndex::open(&io, &path, Some(sample.expect()), cache).await.unwrap();
        index.check().await.unwrap();
        index
    });
    assert_eq!(index.footer().events, sample.event_count());
}
