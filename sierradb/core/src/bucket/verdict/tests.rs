use proptest::prelude::*;

use super::*;
use crate::segment::aftermath::{Run, inspect};
use crate::segment::file::{ActiveSegment, LogEnd};
use crate::segment::frame;
use crate::segment::reader::{FrameReader, ScanError};
use crate::segment::testing::{TestSegment, file, now};

const EXPECTED: LogEnd = LogEnd { next_index: 10, last_term: 1, chain: 77, end_offset: 5000 };

/// Frame 10 is missing and only zeros follow; nothing was durable.
fn scene(nature: Nature) -> Scene {
    let aftermath = Aftermath {
        expected: EXPECTED,
        nature,
        nonzero_end: 5000,
        commit_hint: 0,
        last_index: 0,
        last_run: None,
    };
    Scene { aftermath, durable_index: 9, max_frame_len: 4096, later: Later::Nothing }
}

fn durable(nature: Nature) -> Scene {
    Scene { durable_index: 10, ..scene(nature) }
}

const TORN: [Nature; 3] = [
    Nature::Header(Slices::SomeZero),
    Nature::Body(Slices::SomeZero),
    Nature::SegmentHeader(Slices::SomeZero),
];

const BAD: [Nature; 4] = [
    Nature::Header(Slices::NoneZero),
    Nature::Body(Slices::NoneZero),
    Nature::SegmentHeader(Slices::NoneZero),
    Nature::Link,
];

#[test]
fn zeros_are_the_end_unless_the_frame_was_durable() {
    assert_eq!(judge(&scene(Nature::Zeros)), Verdict::CleanEnd);
    assert_eq!(judge(&durable(Nature::Zeros)), Verdict::CorruptTail);
}

#[test]
fn a_zero_slice_is_torn_unless_the_frame_was_durable() {
    for nature in TORN {
        assert_eq!(judge(&scene(nature)), Verdict::Torn, "{nature:?}");
        assert_eq!(judge(&durable(nature)), Verdict::CorruptTail, "{nature:?}");
    }
}

#[test]
fn without_a_zero_slice_it_is_damage_in_any_case() {
    for nature in BAD {
        assert_eq!(judge(&scene(nature)), Verdict::CorruptTail, "{nature:?}");
        assert_eq!(judge(&durable(nature)), Verdict::CorruptTail, "{nature:?}");
    }
}

#[test]
fn a_later_leader_that_had_committed_the_frame_is_evidence() {
    let mut scene = scene(TORN[0]);
    scene.aftermath.commit_hint = 9;
    assert_eq!(judge(&scene), Verdict::Torn);
    scene.aftermath.commit_hint = 10;
    assert_eq!(judge(&scene), Verdict::CorruptTail);
}

#[test]
fn more_than_one_batch_behind_it_is_evidence() {
    let mut long = scene(TORN[1]);
    long.aftermath.nonzero_end = 5000 + MAX_BATCH_BYTES + 4096;
    assert_eq!(judge(&long), Verdict::Torn);
    long.aftermath.nonzero_end += 1;
    assert_eq!(judge(&long), Verdict::CorruptTail);
    let mut many = scene(TORN[1]);
    many.aftermath.last_index = 10 + MAX_BATCH_FRAMES - 1;
    assert_eq!(judge(&many), Verdict::Torn);
    many.aftermath.last_index += 1;
    assert_eq!(judge(&many), Verdict::CorruptTail);
}

fn header(first_index: u64, chain: u32) -> SegmentHeader {
    SegmentHeader { number: 4, first_index, chain, ..SegmentHeader::first(1, 1 << 20, 32) }
}

#[test]
fn a_later_segment_is_evidence_unless_it_continues_here() {
    for nature in [Nature::Zeros, TORN[0], BAD[0], Nature::Link] {
        let going_on = Scene { later: Later::Segment(header(10, 77)), ..scene(nature) };
        assert_eq!(judge(&going_on), Verdict::CleanEnd, "{nature:?}");
        let gap = Scene { later: Later::Segment(header(12, 77)), ..scene(nature) };
        let next = NextGood::Segment { number: 4, first_index: 12 };
        assert_eq!(judge(&gap), Verdict::CorruptMiddle { next }, "{nature:?}");
    }
}

#[test]
fn an_unreadable_later_segment_spares_only_a_clean_end() {
    let later = Later::Unreadable;
    assert_eq!(judge(&Scene { later, ..scene(Nature::Zeros) }), Verdict::CleanEnd);
    assert_eq!(judge(&Scene { later, ..durable(Nature::Zeros) }), Verdict::CleanEnd);
    for nature in TORN {
        assert_eq!(judge(&Scene { later, ..scene(nature) }), Verdict::CorruptTail);
    }
    // An empty file in front of one with content is no end: first batches come one at a time.
    let mut empty = Scene { later, ..scene(Nature::Zeros) };
    empty.aftermath.expected.end_offset = 0;
    assert_eq!(judge(&empty), Verdict::CorruptTail);
}

#[test]
fn frames_that_lead_to_the_last_valid_one_make_it_a_middle() {
    let mut log = TestSegment::first(1 << 20);
    let first = log.push(b"good", 0).header;
    let end = LogEnd { next_index: 14, last_term: 1, chain: 5, end_offset: 7000 };
    let run = Run { offset: 6000, first, end };
    let mut inside = durable(TORN[0]);
    inside.aftermath.last_run = Some(run);
    let next = NextGood::Frame { offset: 6000, index: first.index };
    assert_eq!(judge(&inside), Verdict::CorruptMiddle { next });
    // The last valid frame of the log is in the next segment: only a run that leads there counts.
    inside.later = Later::Segment(header(14, 5));
    assert_eq!(judge(&inside), Verdict::CorruptMiddle { next });
    inside.later = Later::Segment(header(14, 6));
    let next = NextGood::Segment { number: 4, first_index: 14 };
    assert_eq!(judge(&inside), Verdict::CorruptMiddle { next });
}

/// A small generator, so that one number makes a whole crash image.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 33) % limit as u64).unwrap()
    }

    fn body(&mut self) -> Vec<u8> {
        let len = [8, 100, 450, 512, 1024, 3000][self.below(6)];
        let mut body = vec![0; self.below(len)];
        let written = match self.below(4) {
            0 => 0,
            1 => 1,
            2 => body.len() / 20,
            _ => body.len() * 4,
        };
        for _ in 0..written.min(body.len() * 4) {
            let at = self.below(body.len());
            body[at] = u8::try_from(self.below(256)).unwrap();
        }
        body
    }
}

/// What a device may hold after a power cut.
struct Crash {
    image: Vec<u8>,
    start: ActiveSegment,
    /// End of the log before the unsynced batch.
    synced: LogEnd,
    /// Offsets of the synced frames.
    frames: Vec<u64>,
}

const IMAGE_LEN: usize = 96 << 10;

fn crash(draw: &mut Draw) -> Crash {
    let mut log = TestSegment::first(1 << 20);
    let (start, mut frames) = (log.segment, Vec::new());
    let mut batch = |log: &mut TestSegment, draw: &mut Draw| {
        let hint = log.segment.end().next_index - 1;
        for _ in 0..=draw.below(6) {
            frames.push(log.push(&draw.body(), hint).offset);
        }
    };
    for _ in 0..=draw.below(4) {
        batch(&mut log, draw);
    }
    let (synced, mut image) = (log.segment.end(), log.image(IMAGE_LEN));
    batch(&mut log, draw);
    frames.retain(|offset| *offset < synced.end_offset);
    let written = log.image(IMAGE_LEN);
    let sector = [512, 4096][draw.below(2)];
    for (old, new) in image.chunks_mut(sector).zip(written.chunks(sector)) {
        if draw.below(2) == 0 {
            old.copy_from_slice(new);
        }
    }
    Crash { image, start, synced, frames }
}

/// Changes a byte of a synced frame; returns its offset.
fn rot(crash: &mut Crash, draw: &mut Draw) -> Option<u64> {
    let first = 4096;
    let at = first + draw.below(usize::try_from(crash.synced.end_offset).unwrap() - first);
    let before = crash.image[at];
    crash.image[at] = match draw.below(3) {
        0 => 0,
        1 => before ^ (1 << draw.below(8)),
        _ => u8::try_from(draw.below(256)).unwrap(),
    };
    (crash.image[at] != before).then_some(at as u64)
}

/// Where a start would stop, and its verdict, given what is known to be durable.
fn start_up(crash: &Crash, durable_index: u64) -> (LogEnd, Verdict) {
    let disk = file(crash.image.clone());
    let mut reader = now(FrameReader::open(disk.clone(), crash.start)).unwrap();
    loop {
        match now(reader.next()) {
            Ok(Some(_)) => {}
            Err(ScanError::Bad(_)) => break,
            other => panic!("image is larger than the log: {other:?}"),
        }
    }
    let end = reader.segment().end();
    let aftermath = now(inspect(disk, end)).unwrap();
    let max_frame_len = frame::frame_len(3000);
    (end, judge(&Scene { aftermath, durable_index, max_frame_len, later: Later::Nothing }))
}

// Nightly runs 20 000 images of each by PROPTEST_CASES.
proptest! {
    #[test]
    fn an_unsynced_batch_is_never_damage_and_no_synced_frame_is_cut(seed: u64) {
        let mut draw = Draw(seed);
        let crash = crash(&mut draw);
        let known = [0, 2, crash.synced.next_index - 1][draw.below(3)];
        let (end, verdict) = start_up(&crash, known.min(crash.synced.next_index - 1));
        prop_assert!(end.end_offset >= crash.synced.end_offset, "cut at {:?}", end);
        prop_assert!(matches!(verdict, Verdict::CleanEnd | Verdict::Torn), "{:?}", verdict);
    }

    #[test]
    fn rot_is_never_torn(seed: u64) {
        let mut draw = Draw(seed);
        let mut crash = crash(&mut draw);
        if let Some(at) = rot(&mut crash, &mut draw) {
            let (end, verdict) = start_up(&crash, 0);
            let hit = crash.frames.iter().rfind(|offset| **offset <= at).unwrap();
            prop_assert_eq!(end.end_offset, *hit);
            match verdict {
                Verdict::CorruptMiddle { next: NextGood::Frame { offset, index } } => {
                    prop_assert!(offset > *hit && index > end.next_index);
                }
                Verdict::CorruptTail => {}
                other => prop_assert!(false, "rot at {} is {:?}", at, other),
            }
        }
    }

    #[test]
    fn garbage_in_space_that_should_be_zero_is_never_cut(seed: u64) {
        let mut draw = Draw(seed);
        let mut crash = crash(&mut draw);
        let end = usize::try_from(crash.synced.end_offset).unwrap();
        for byte in &mut crash.image[end..] {
            *byte = u8::try_from(1 + draw.below(255)).unwrap();
        }
        let (stopped, verdict) = start_up(&crash, 0);
        prop_assert_eq!(stopped, crash.synced);
        prop_assert_eq!(verdict, Verdict::CorruptTail);
    }
}
