//! The frames committed last, kept in memory: followers of the tail need no read.
//!
//! They are kept as they were written, a stretch of frames in one piece.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits::RECENT_FRAMES_BYTES;

/// Frames committed last, newest at the back, bounded in bytes.
#[derive(Debug, Default)]
pub(crate) struct RecentFrames {
    stretches: VecDeque<Stretch>,
    bytes: usize,
}

/// A part of a segment, cut between frames.
#[derive(Debug)]
struct Stretch {
    segment: u64,
    offset: u64,
    bytes: Bytes,
}

impl RecentFrames {
    /// Keeps a stretch of whole frames, with the header of the segment if it begins at 0; older ones make room.
    pub(crate) fn push(&mut self, segment: u64, offset: u64, bytes: Bytes) {
        self.bytes += bytes.len();
        self.stretches.push_back(Stretch { segment, offset, bytes });
        while self.bytes > RECENT_FRAMES_BYTES
            && let Some(oldest) = self.stretches.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
    }

    /// The frame at a place, if it is still kept, and what was written behind it.
    pub(crate) fn get(&self, segment: u64, offset: u64) -> Option<Bytes> {
        let key = (segment, offset);
        let behind = self.stretches.partition_point(|it| (it.segment, it.offset) <= key);
        let stretch = self.stretches.get(behind.checked_sub(1)?)?;
        if stretch.segment != segment {
            return None;
        }
        let skip = usize::try_from(offset.checked_sub(stretch.offset)?).ok()?;
        (skip < stretch.bytes.len()).then(|| stretch.bytes.slice(skip..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_found_within_its_stretch_alone() {
        let mut recent = RecentFrames::default();
        recent.push(1, 4_096, Bytes::from_static(b"frame-01frame-02"));
        recent.push(1, 8_192, Bytes::from_static(b"frame-03"));
        recent.push(2, 4_096, Bytes::from_static(b"frame-04"));
        let found = |segment, offset| recent.get(segment, offset);
        assert_eq!(found(1, 4_096).unwrap(), b"frame-01frame-02"[..]);
        assert_eq!(found(1, 4_104).unwrap(), b"frame-02"[..]);
        assert_eq!(found(1, 8_192).unwrap(), b"frame-03"[..]);
        assert_eq!(found(2, 4_096).unwrap(), b"frame-04"[..]);
        for (segment, offset) in
            [(0, 4_096), (1, 0), (1, 4_112), (1, 8_200), (2, 0), (2, 8_192), (3, 4_096)]
        {
            assert_eq!(found(segment, offset), None, "segment {segment}, offset {offset}");
        }
    }

    #[test]
    fn the_oldest_stretches_make_room() {
        let mut recent = RecentFrames::default();
        let third = RECENT_FRAMES_BYTES / 3;
        for nth in 0..4 {
            recent.push(1, nth * RECENT_FRAMES_BYTES as u64, vec![1; third].into());
        }
        assert_eq!(recent.get(1, 0), None);
        assert_eq!(recent.get(1, RECENT_FRAMES_BYTES as u64).map(|bytes| bytes.len()), Some(third));
    }
}
