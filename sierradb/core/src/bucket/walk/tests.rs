use super::*;
use crate::segment::frame::Frame;
use crate::segment::testing::{TestSegment, file, now};

/// Three frames, the position behind the second, and the file with what `change` does to it.
fn log_end_after(change: impl FnOnce(&mut Vec<u8>, &[Frame; 3])) -> (Option<LogEnd>, [Frame; 3]) {
    let mut log = TestSegment::first(1 << 20);
    let frames = [b"one", b"two", b"six"].map(|body| log.push(body, 1));
    let position = LogPosition {
        last_frame_offset: frames[1].offset,
        end_offset: frames[1].end_offset(),
        chain: frames[1].header.header_crc,
    };
    change(&mut log.bytes, &frames);
    let end = now(log_end(file(log.bytes).as_ref(), position));
    (end, frames)
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

#[test]
fn the_end_of_a_checkpoint_is_proven_by_its_last_frame_or_by_the_one_behind_it() {
    let (proven, frames) = log_end_after(|_, _| {});
    let second = &frames[1];
    let expected = LogEnd {
        next_index: second.header.index + 1,
        last_term: second.header.term,
        chain: second.header.header_crc,
        end_offset: second.end_offset(),
    };
    assert_eq!(proven, Some(expected));
    let (by_the_next, _) = log_end_after(|bytes, frames| bytes[at(frames[1].offset) + 65] ^= 1);
    assert_eq!(by_the_next, Some(expected));
    let (unproven, _) = log_end_after(|bytes, frames| {
        bytes[at(frames[1].offset) + 65] ^= 1;
        bytes[at(frames[2].offset) + 65] ^= 1;
    });
    assert_eq!(unproven, None);
}

#[test]
fn a_frame_of_another_log_proves_nothing() {
    let (end, _) = log_end_after(|bytes, frames| {
        bytes[at(frames[1].offset) + 65] ^= 1;
        // A good frame at the right place, left from a log that went another way.
        let mut other = TestSegment::first(1 << 20);
        let others = [b"one", b"TWO", b"six"].map(|body| other.push(body, 1));
        assert_eq!(others[2].offset, frames[2].offset);
        let stale = at(frames[2].offset)..at(frames[2].end_offset());
        bytes[stale.clone()].copy_from_slice(&other.bytes[stale]);
    });
    assert_eq!(end, None);
}
