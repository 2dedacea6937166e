use uuid::Uuid;

use super::super::testing::{Sample, Shape};
use super::*;

const SHAPE: Shape = Shape { frames: 40, partitions: 3, streams: 4, events_per_frame: 3 };

fn refused(change: impl FnOnce(&mut Sample)) -> BuildError {
    let mut sample = Sample::new(5, SHAPE);
    change(&mut sample);
    sample.try_build().unwrap_err()
}

#[test]
fn the_bytes_of_a_file_never_change() {
    let bytes = Sample::new(5, SHAPE).build();
    assert_eq!((bytes.len(), crc32c::crc32c(&bytes)), PINNED, "files of older releases are read");
    assert_eq!(bytes, Sample::new(5, SHAPE).build());
}

#[test]
fn contradictions_between_frames_are_refused() {
    assert!(matches!(refused(|s| s.frames[3].0.offset = 4097), BuildError::FrameOffset { .. }));
    assert!(matches!(refused(|s| s.frames[3].0.offset = 4096), BuildError::FrameOffset { .. }));
    assert!(matches!(refused(|s| s.frames[39].0.offset = 1 << 28), BuildError::FrameOffset { .. }));
    assert!(matches!(refused(|s| s.frames[3].0.index += 1), BuildError::FrameIndex { .. }));
    assert!(matches!(refused(|s| drop(s.frames.remove(0))), BuildError::FrameIndex { .. }));
    let late = |s: &mut Sample| {
        let (frame, _) = s.frames.iter_mut().rfind(|(_, events)| !events.is_empty()).unwrap();
        frame.first_sequence += 1;
    };
    assert!(matches!(refused(late), BuildError::Sequence { .. }));
}

#[test]
fn contradictions_between_events_are_refused() {
    let skip = |s: &mut Sample| {
        let (_, events) = s.frames.iter_mut().rfind(|(_, events)| !events.is_empty()).unwrap();
        events[0].version += 1;
    };
    assert!(matches!(refused(skip), BuildError::Version { .. }));
    let long = |s: &mut Sample| s.frames[2].1[0].stream = vec![b'x'; 256];
    assert!(matches!(refused(long), BuildError::StreamId { len: 256, .. }));
    let mut builder = IndexBuilder::new(Sample::new(5, SHAPE).options);
    let event_id = &Uuid::nil();
    let event = EventFact { event_id, stream_id: b"s", stream_version: 0, idempotency_key: None };
    builder.event(event);
    let end = Sample::new(5, SHAPE).end;
    assert_eq!(builder.finish(end), Err(BuildError::EventWithoutFrame));
}

#[test]
fn an_end_that_does_not_fit_is_refused() {
    let field = |change: fn(&mut SegmentEnd)| match refused(|s| change(&mut s.end)) {
        BuildError::End { field, .. } => field,
        other => panic!("{other}"),
    };
    assert_eq!(field(|end| end.last_index += 1), "last index");
    assert_eq!(field(|end| end.end_chain ^= 1), "chain");
    assert_eq!(field(|end| end.used_len = 4096), "used length");
    let vast = refused(|s| s.options.segment_size = 1 << 36);
    assert_eq!(vast, BuildError::TooMany { what: "bytes per segment" });
}

const PINNED: (usize, u32) = (40960, 1_351_889_225);
