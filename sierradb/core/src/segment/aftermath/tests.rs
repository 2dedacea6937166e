use proptest::prelude::*;

use super::super::testing::{TestSegment, file, now};
use super::*;

fn look_at(image: Vec<u8>, expected: LogEnd) -> Aftermath {
    now(inspect(file(image), expected)).unwrap()
}

/// A log with 5 frames of 1000 bytes; where it stood before each, and behind the last.
fn five() -> (TestSegment, Vec<LogEnd>) {
    let mut log = TestSegment::first(1 << 20);
    let mut ends = vec![log.segment.end()];
    for hint in 0..5 {
        log.push(&[9; 1000], hint);
        ends.push(log.segment.end());
    }
    (log, ends)
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

#[test]
fn zeros_to_the_end_are_zeros() {
    let (log, ends) = five();
    for len in [log.bytes.len(), 20_000, 2 << 20] {
        let found = look_at(log.image(len), ends[5]);
        assert_eq!(found.nature, Nature::Zeros, "{len} bytes");
        assert_eq!(found.nonzero_end, ends[5].end_offset);
        assert_eq!((found.last_run, found.commit_hint, found.last_index), (None, 0, 0));
    }
}

#[test]
fn valid_frames_behind_a_bad_one_are_a_run_with_its_hint() {
    let (log, ends) = five();
    let mut image = log.image(20_000);
    image[at(ends[1].end_offset) + 500] ^= 1;
    let found = look_at(image, ends[1]);
    assert_eq!(found.nature, Nature::Body(Slices::NoneZero));
    assert_eq!((found.commit_hint, found.last_index), (4, 6));
    assert_eq!(found.nonzero_end, ends[5].end_offset);
    let run = found.last_run.unwrap();
    assert_eq!((run.offset, run.first.index), (ends[2].end_offset, 4));
    assert_eq!(run.end, ends[5]);
}

#[test]
fn only_frames_up_to_the_last_valid_one_count_as_its_run() {
    let (log, ends) = five();
    let mut image = log.image(20_000);
    image[at(ends[0].end_offset)] ^= 1;
    image[at(ends[2].end_offset) + 100] ^= 1;
    let found = look_at(image, ends[0]);
    assert_eq!(found.nature, Nature::Header(Slices::NoneZero));
    let run = found.last_run.unwrap();
    assert_eq!((run.offset, run.end), (ends[3].end_offset, ends[5]));
}

#[test]
fn a_lost_sector_of_the_header_is_a_zero_slice() {
    let (log, ends) = five();
    let start = at(ends[1].end_offset);
    let mut image = log.image(20_000);
    let sector = start.next_multiple_of(512);
    image[start..sector].fill(0);
    assert_eq!(look_at(image, ends[1]).nature, Nature::Header(Slices::SomeZero));
}

#[test]
fn a_header_across_two_sectors_has_two_slices() {
    let mut log = TestSegment::first(1 << 20);
    log.push(&[9; 512 - 64 - 24 - 8], 0);
    let end = log.segment.end();
    assert_eq!(end.end_offset % 512, 488);
    log.push(&[9; 100], 0);
    let start = at(end.end_offset);
    for range in [start..start + 24, start + 24..start + 512] {
        let mut image = log.image(20_000);
        image[range.clone()].fill(0);
        let found = look_at(image, end);
        assert_eq!(found.nature, Nature::Header(Slices::SomeZero), "{range:?}");
    }
    let mut image = log.image(20_000);
    image[start + 30] ^= 1;
    assert_eq!(look_at(image, end).nature, Nature::Header(Slices::NoneZero));
}

#[test]
fn a_lost_sector_of_the_body_is_a_zero_slice() {
    let (log, ends) = five();
    let start = at(ends[2].end_offset);
    let sector = (start + 64).next_multiple_of(512);
    let mut image = log.image(20_000);
    image[sector..sector + 512].fill(0);
    assert_eq!(look_at(image, ends[2]).nature, Nature::Body(Slices::SomeZero));
    // Zeros that leave a part of each sector are no lost sector.
    let mut image = log.image(20_000);
    image[sector - 8..sector + 500].fill(0);
    assert_eq!(look_at(image, ends[2]).nature, Nature::Body(Slices::NoneZero));
}

#[test]
fn a_file_that_ends_inside_a_frame_lost_the_rest() {
    let (log, ends) = five();
    let start = at(ends[4].end_offset);
    for (len, nature) in [
        (start + 8, Nature::Header(Slices::NoneZero)),
        (start + 64, Nature::Body(Slices::SomeZero)),
        (start + 600, Nature::Body(Slices::SomeZero)),
    ] {
        let found = look_at(log.bytes[..len].to_vec(), ends[4]);
        assert_eq!(found.nature, nature, "{len} bytes");
    }
}

#[test]
fn a_valid_frame_of_another_log_is_a_bad_link() {
    let (log, ends) = five();
    let found = look_at(log.image(20_000), LogEnd { chain: 1, ..ends[1] });
    assert_eq!(found.nature, Nature::Link);
    assert_eq!(found.last_run.unwrap().first.index, 4);
}

#[test]
fn frames_inside_a_payload_are_not_found() {
    let (inner, _) = five();
    let mut log = TestSegment::first(1 << 20);
    let first = log.segment.end();
    log.push(b"first", 0);
    // A good header with a bad body: its content is stepped over.
    log.push(&inner.bytes[4096..], 0);
    let end = log.segment.end();
    log.push(b"behind", 1);
    let mut image = log.image(20_000);
    image[4096] ^= 1;
    let found = look_at(image.clone(), first);
    let run = found.last_run.unwrap();
    assert_eq!((run.first.index, found.last_index), (3, 4));
    image[at(end.end_offset) - 1] ^= 1;
    let second = LogEnd { next_index: 3, end_offset: 4096 + 72, ..first };
    let found = look_at(image, second);
    assert_eq!(found.nature, Nature::Body(Slices::NoneZero));
    assert_eq!(found.last_run.unwrap().offset, end.end_offset);
}

#[test]
fn a_header_that_cannot_belong_here_is_no_evidence() {
    let mut far = TestSegment::first(1 << 20);
    for _ in 0..50 {
        far.push(&[9; 10], 40);
    }
    let (log, ends) = five();
    let mut image = log.image(20_000);
    // The last frame of a longer log, where at most 5 frames fit in between.
    let stale = far.bytes.len() - 80;
    image[at(ends[5].end_offset) + 400..][..80].copy_from_slice(&far.bytes[stale..]);
    let found = look_at(image, ends[5]);
    assert_eq!((found.commit_hint, found.last_index, found.last_run), (0, 0, None));
    assert_eq!(found.nonzero_end, ends[5].end_offset + 480);
}

#[test]
fn a_segment_header_is_looked_at_from_offset_0() {
    let (log, ends) = five();
    let expected = LogEnd { end_offset: 0, ..ends[0] };
    assert_eq!(look_at(vec![0; 20_000], expected).nature, Nature::Zeros);
    let mut image = log.image(20_000);
    image[..512].fill(0);
    let found = look_at(image, expected);
    assert_eq!(found.nature, Nature::SegmentHeader(Slices::SomeZero));
    let mut image = log.image(20_000);
    image[20] ^= 1;
    assert_eq!(look_at(image, expected).nature, Nature::SegmentHeader(Slices::NoneZero));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, offset in 0..20_u64, next_index: u64) {
        let expected = LogEnd { next_index, last_term: 1, chain: 0, end_offset: offset * 8 };
        let found = look_at(bytes, expected);
        prop_assert_eq!(found.last_run, None);
    }
}

#[test]
fn a_file_holds_bytes_unless_all_are_zero() {
    assert!(!now(holds_bytes(file(Vec::new()))).unwrap());
    let mut image = vec![0; 300_001];
    assert!(!now(holds_bytes(file(image.clone()))).unwrap());
    image[300_000] = 1;
    assert!(now(holds_bytes(file(image))).unwrap());
}
