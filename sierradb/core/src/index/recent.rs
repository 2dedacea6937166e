//! The frames committed last, kept in memory: followers of the tail need no read.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits::RECENT_FRAMES_BYTES;

/// Frames committed last, newest at the back, bounded in bytes.
#[derive(Debug, Default)]
pub(crate) struct RecentFrames {
    frames: VecDeque<RecentFrame>,
    bytes: usize,
}

#[derive(Debug)]
struct RecentFrame {
    segment: u64,
    offset: u64,
    bytes: Bytes,
}

impl RecentFrames {
    /// Keeps a frame; older ones make room.
    pub(crate) fn push(&mut self, segment: u64, offset: u64, bytes: Bytes) {
        self.bytes += bytes.len();
        self.frames.push_back(RecentFrame { segment, offset, bytes });
        while self.bytes > RECENT_FRAMES_BYTES
            && let Some(oldest) = self.frames.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
    }

    /// The frame at a place, if it is still kept.
    pub(crate) fn get(&self, segment: u64, offset: u64) -> Option<Bytes> {
        let key = (segment, offset);
        let oldest = self.frames.front()?;
        if (oldest.segment, oldest.offset) > key {
            return None;
        }
        let found = self.frames.binary_search_by(|it| (it.segment, it.offset).cmp(&key)).ok()?;
        self.frames.get(found).map(|frame| frame.bytes.clone())
    }
}
