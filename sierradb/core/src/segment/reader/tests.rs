use proptest::prelude::*;

use super::super::file::FIRST_FRAME_OFFSET;
use super::super::testing::{TestSegment, file, now};
use super::*;
use crate::limits::MAX_READ_AHEAD_BYTES;
use crate::read::testing::MemFile;

fn reader(bytes: Vec<u8>, segment: ActiveSegment) -> FrameReader {
    now(FrameReader::open(file(bytes), segment)).unwrap()
}

fn read_all(reader: &mut FrameReader) -> (Vec<Frame>, Option<BadFrame>) {
    let mut frames = Vec::new();
    loop {
        match now(reader.next()) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(ScanError::Bad(bad)) => return (frames, Some(bad)),
            Err(ScanError::Disk(error)) => panic!("{error}"),
        }
    }
}

fn some_frames(log: &mut TestSegment, count: usize) -> Vec<Frame> {
    (0..count).map(|n| log.push(&vec![1; n * 37 % 900], 0)).collect()
}

#[test]
fn a_cut_file_ends_behind_its_last_frame() {
    let mut log = TestSegment::first(1 << 20);
    let start = log.segment;
    let written = some_frames(&mut log, 100);
    let mut reader = reader(log.bytes.clone(), start);
    assert_eq!(read_all(&mut reader), (written, None));
    assert_eq!(*reader.segment(), log.segment);
}

#[test]
fn zeros_behind_the_log_are_no_frame() {
    let mut log = TestSegment::first(1 << 20);
    let start = log.segment;
    some_frames(&mut log, 3);
    let (frames, bad) = read_all(&mut reader(log.image(16_384), start));
    assert_eq!(frames.len(), 3);
    let bad = bad.unwrap();
    assert_eq!((bad.offset, bad.index), (log.segment.end().end_offset, 5));
    assert_eq!(bad.cause, BadCause::Frame(FrameError::Magic { found: [0; 4] }));
}

#[test]
fn reading_can_start_in_the_middle() {
    let mut log = TestSegment::first(1 << 20);
    some_frames(&mut log, 3);
    let known = ActiveSegment::resume(*log.segment.header(), log.segment.end());
    let written = some_frames(&mut log, 4);
    assert_eq!(read_all(&mut reader(log.bytes, known)), (written, None));
}

#[test]
fn frames_larger_than_a_read_come_back() {
    let mut log = TestSegment::first(64 << 20);
    let start = log.segment;
    let len = MAX_READ_AHEAD_BYTES * 2;
    let written = vec![log.push(b"small", 0), log.push(&vec![7; len], 0), log.push(b"more", 0)];
    assert_eq!(read_all(&mut reader(log.bytes.clone(), start)), (written.clone(), None));
    let single = now(read_frame(file(log.bytes).as_ref(), written[1].offset)).unwrap();
    assert_eq!(single, written[1]);
}

#[test]
fn reads_are_few() {
    let mut log = TestSegment::first(64 << 20);
    let start = log.segment;
    for _ in 0..40 {
        log.push(&vec![7; 100_000], 0);
    }
    let memory = Arc::new(MemFile::new(log.bytes));
    let counted: Arc<dyn File> = Arc::clone(&memory) as Arc<dyn File>;
    let mut reader = now(FrameReader::open(counted, start)).unwrap();
    assert_eq!(read_all(&mut reader).0.len(), 40);
    assert!(memory.reads() <= 7, "{} reads of 4 MB", memory.reads());
}

#[test]
fn a_frame_that_the_file_cuts_is_too_short() {
    let mut log = TestSegment::first(1 << 20);
    let start = log.segment;
    log.push(&[1; 100], 0);
    let cut = log.bytes.len() - 8;
    let (_, bad) = read_all(&mut reader(log.bytes[..cut].to_vec(), start));
    let short = FrameError::Short { needed: 168, available: 160 };
    assert_eq!(bad.unwrap().cause, BadCause::Frame(short));
}

#[test]
fn a_frame_of_another_log_is_no_continuation() {
    let mut log = TestSegment::first(1 << 20);
    let start = log.segment;
    log.push(b"one", 0);
    let mut other = TestSegment::first(1 << 20);
    other.push(b"two", 0);
    let second = other.push(b"three", 0);
    let at = usize::try_from(second.offset).unwrap();
    log.bytes.extend_from_slice(&other.bytes[at..]);
    let (frames, bad) = read_all(&mut reader(log.bytes, start));
    assert_eq!(frames.len(), 1);
    assert!(matches!(bad.unwrap().cause, BadCause::Link(LinkError::Chain { .. })));
}

#[test]
fn a_failing_disk_is_not_a_bad_frame() {
    let memory = MemFile::new(TestSegment::first(1 << 20).image(8192));
    memory.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let broken: Arc<dyn File> = Arc::new(memory);
    let segment = TestSegment::first(1 << 20).segment;
    let mut reader = now(FrameReader::open(Arc::clone(&broken), segment)).unwrap();
    assert!(matches!(now(reader.next()), Err(ScanError::Disk(_))));
    assert!(matches!(now(read_frame(broken.as_ref(), 4096)), Err(ReadFrameError::Disk(_))));
    assert!(matches!(now(read_segment_header(broken.as_ref())), Err(ReadHeaderError::Disk(_))));
}

#[test]
fn single_frames_are_read_at_their_offsets() {
    let mut log = TestSegment::first(1 << 20);
    let written = some_frames(&mut log, 20);
    let bytes = file(log.image(100_000));
    assert_eq!(now(read_segment_header(bytes.as_ref())).as_ref(), Ok(log.segment.header()));
    for frame in &written {
        assert_eq!(now(read_frame(bytes.as_ref(), frame.offset)).as_ref(), Ok(frame));
    }
    let wrong = now(read_frame(bytes.as_ref(), FIRST_FRAME_OFFSET + 8)).unwrap_err();
    assert!(matches!(
        wrong,
        ReadFrameError::Frame { offset: 4104, cause: FrameError::Magic { .. } }
    ));
}

proptest! {
    #[test]
    fn any_flipped_bit_stops_the_reader_at_its_frame(bit: prop::sample::Index) {
        let mut log = TestSegment::first(1 << 20);
        let start = log.segment;
        let written = some_frames(&mut log, 12);
        let first = usize::try_from(FIRST_FRAME_OFFSET).unwrap();
        let bit = first * 8 + bit.index((log.bytes.len() - first) * 8);
        log.bytes[bit / 8] ^= 1 << (bit % 8);
        let hit = written.iter().filter(|frame| frame.end_offset() <= bit as u64 / 8).count();
        let (frames, bad) = read_all(&mut reader(log.bytes, start));
        prop_assert_eq!(&frames[..], &written[..hit]);
        let bad = bad.unwrap();
        prop_assert_eq!((bad.offset, bad.index), (written[hit].offset, written[hit].header.index));
    }
}
