use super::*;
use crate::segment::file::{FIRST_FRAME_OFFSET, SegmentHeader};
use crate::segment::frame::{FrameKind, decode};

/// A batch of control entries with bodies of these lengths, at the start of a segment; `has_header`: not of its file.
fn made(lens: &[u64], has_header: bool) -> Made {
    let before = ActiveSegment::new(SegmentHeader::first(1, 1 << 20, 32));
    let place = BatchPlace { before, has_header, term: 1 };
    let mut making = Making::behind(place, &[]);
    for ((len, byte), index) in lens.iter().zip(1..).zip(before.end().next_index..) {
        let body = Bytes::from(vec![byte; usize::try_from(*len).unwrap()]);
        let entry = LogEntry::without_events(FrameKind::Control, 0, body);
        making.push(&entry, (index, 1));
    }
    making.end()
}

#[test]
fn what_is_kept_of_a_batch_lies_where_it_is_written() {
    let long = COPIED_FRAME_BYTES + 1;
    for lens in [&[10, long, 20, 30][..], &[long, 10], &[10, long], &[long, long], &[10, 20]] {
        for has_header in [true, false] {
            let batch = made(lens, has_header);
            let active = batch.after;
            let start = if has_header { FIRST_FRAME_OFFSET } else { 0 };
            let bytes = Bytes::from(batch.buffers.concat());
            let at = |offset: u64| usize::try_from(offset - start).unwrap();
            assert_eq!(at(active.end().end_offset), bytes.len(), "{lens:?}");
            for (offset, kept) in &batch.written.stretches {
                assert_eq!(bytes[at(*offset)..][..kept.len()], kept[..], "{lens:?}");
            }
            assert_eq!(batch.written.offsets.len(), lens.len());
            assert_eq!(batch.written.next_index(), active.end().next_index);
            assert_eq!(batch.written.chain, active.end().chain);
            for ((offset, len), byte) in batch.written.offsets.iter().zip(lens).zip(1..) {
                let frame = decode(bytes.slice(at(*offset)..), *offset).unwrap();
                assert_eq!(frame.body, vec![byte; usize::try_from(*len).unwrap()], "{lens:?}");
                let is_kept = batch
                    .written
                    .stretches
                    .iter()
                    .any(|(start, kept)| (*start..*start + kept.len() as u64).contains(offset));
                assert_eq!(is_kept, *len < long, "{lens:?}");
            }
        }
    }
}

fn planned(index: u64, body_len: usize) -> Arc<Planned> {
    let body = Bytes::from(vec![7; body_len]);
    let entry = LogEntry::without_events(FrameKind::Control, 0, body);
    Arc::new(Planned {
        index,
        entry,
        partition_key: uuid::Uuid::nil(),
        events: smallvec::SmallVec::new(),
    })
}

#[test]
fn a_batch_takes_what_fits_and_announces_what_it_makes() {
    let segment_size = FIRST_FRAME_OFFSET + 4096;
    let before = ActiveSegment::new(SegmentHeader::first(1, segment_size, 32));
    let first = before.end().next_index;
    for has_header in [true, false] {
        let mut entries: Vec<_> = (first..first + 40).map(|index| planned(index, 100)).collect();
        let frame_len = entries[0].entry.frame_len();
        let batch = Batch::take(&mut entries, BatchPlace { before, has_header, term: 1 });
        let fitting = usize::try_from((segment_size - FIRST_FRAME_OFFSET) / frame_len).unwrap();
        assert!((2..40).contains(&fitting));
        assert_eq!((batch.len(), entries.len()), (fitting, 40 - fitting));
        assert_eq!(entries[0].index, batch.last_index() + 1);
        assert_eq!(batch.offset(), if has_header { FIRST_FRAME_OFFSET } else { 0 });
        let (bytes, end, last) = (batch.bytes(), batch.end_offset(), batch.last_index());
        let made = batch.make();
        let written: usize = made.buffers.iter().map(Bytes::len).sum();
        assert_eq!(u64::try_from(written).unwrap(), bytes);
        assert_eq!((made.after.end().end_offset, made.after.end().next_index), (end, last + 1));
        assert_eq!(made.written.next_index(), last + 1);
    }
}
