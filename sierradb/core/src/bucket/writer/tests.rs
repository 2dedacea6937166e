use super::*;
use crate::segment::file::SegmentHeader;
use crate::segment::frame::{FrameKind, decode};

/// A batch of control entries with bodies of these lengths, at the start of a segment; `has_header`: not of its file.
fn batch(lens: &[u64], has_header: bool) -> (Batch, ActiveSegment) {
    let mut active = ActiveSegment::new(SegmentHeader::first(1, 1 << 20, 32));
    let mut batch = Batch::new(&[], active.end());
    if !has_header {
        batch.joined_offset = 0;
        batch.joined.extend_from_slice(&active.header().encode());
    }
    for (len, byte) in lens.iter().zip(1..) {
        let body = Bytes::from(vec![byte; usize::try_from(*len).unwrap()]);
        let entry = LogEntry::without_events(FrameKind::Control, 0, body);
        let (place, len) = (active.place(1), entry.frame_len());
        let header_crc = batch.push(&entry, len, place);
        active.push(header_crc, len, 1);
    }
    batch.end(active.end());
    (batch, active)
}

#[test]
fn what_is_kept_of_a_batch_lies_where_it_is_written() {
    let long = COPIED_FRAME_BYTES + 1;
    for lens in [&[10, long, 20, 30][..], &[long, 10], &[10, long], &[long, long], &[10, 20]] {
        for has_header in [true, false] {
            let (batch, active) = batch(lens, has_header);
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
