//! A segment file built in memory. For tests of this crate only.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use sierradb_io::File;

use super::file::{ActiveSegment, SegmentHeader};
use super::frame::{self, Frame, FrameKind, LogEntry};
use crate::read::testing::MemFile;

/// A segment under construction and its bytes.
#[derive(Debug, Clone)]
pub(crate) struct TestSegment {
    pub(crate) segment: ActiveSegment,
    pub(crate) bytes: Vec<u8>,
    pub(crate) term: u64,
}

impl TestSegment {
    /// The first segment of bucket 0, without frames.
    pub(crate) fn first(segment_size_bytes: u64) -> Self {
        Self::from_header(SegmentHeader::first(1, segment_size_bytes, 32))
    }

    pub(crate) fn from_header(header: SegmentHeader) -> Self {
        let segment = ActiveSegment::new(header);
        Self { segment, bytes: header.encode().to_vec(), term: header.prev_term }
    }

    /// Appends an entry with `body` and returns its frame.
    pub(crate) fn push(&mut self, body: &[u8], commit_hint: u64) -> Frame {
        let body = Bytes::copy_from_slice(body);
        self.push_entry(&LogEntry::without_events(FrameKind::Control, commit_hint, body))
    }

    pub(crate) fn push_entry(&mut self, entry: &LogEntry) -> Frame {
        let place = self.segment.place(self.term);
        let encoded = frame::encode(entry, place);
        self.segment.push(encoded.header_crc, encoded.len, self.term);
        let mut bytes = Vec::new();
        encoded.copy_to(&mut bytes);
        self.bytes.extend_from_slice(&bytes);
        frame::decode(bytes.into(), place.offset).unwrap()
    }

    /// Its bytes, zeros up to `len`.
    pub(crate) fn image(&self, len: usize) -> Vec<u8> {
        let mut image = self.bytes.clone();
        image.resize(len.max(image.len()), 0);
        image
    }
}

/// A file with these bytes.
pub(crate) fn file(bytes: Vec<u8>) -> Arc<dyn File> {
    Arc::new(MemFile::new(bytes))
}

/// Result of a future that has nothing to wait for.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("memory answers at once")
}
