//! The entries of an index file.

use std::ops::Range;

use super::page::take;

/// A stream's part in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamEntry {
    /// Version of its first event here.
    pub(crate) first_version: u64,
    /// Events here.
    pub(crate) count: u32,
    /// Where its list begins in the section of lists.
    pub(crate) postings: u32,
    /// Offset of the frame of its first event, in bytes; that frame tells the stream's id.
    pub(crate) first_offset: u64,
    /// Its partition.
    pub(crate) partition: u16,
    /// Length of its id in bytes.
    pub(crate) id_len: u8,
}

impl StreamEntry {
    /// Its versions here.
    pub(crate) fn versions(&self) -> Range<u64> {
        self.first_version..self.first_version.saturating_add(u64::from(self.count))
    }
}

impl PartitionEntry {
    /// Its sequences here.
    pub(crate) fn sequences(&self) -> Range<u64> {
        self.first_sequence..self.first_sequence.saturating_add(u64::from(self.count))
    }
}

/// A partition's part in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionEntry {
    /// The partition.
    pub(crate) partition: u16,
    /// Events here.
    pub(crate) count: u32,
    /// Sequence of its first event here.
    pub(crate) first_sequence: u64,
    /// Where its list begins in the section of lists.
    pub(crate) postings: u32,
    /// Offset of the frame of its first event, in bytes.
    pub(crate) first_offset: u64,
}

/// A frame whose place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// Its log index.
    pub(crate) index: u64,
    /// Its term, which is also that of every frame up to the index asked for.
    pub(crate) term: u64,
    /// Where it begins in the segment, in bytes.
    pub(crate) offset: u64,
}

/// The hash of a stream, and the rest of its entry.
pub(super) fn stream_entry(bytes: &[u8; 32]) -> (u64, StreamEntry) {
    let mut rest = bytes.as_slice();
    let hash = take(&mut rest).map_or(0, u64::from_le_bytes);
    let entry = StreamEntry {
        first_version: take(&mut rest).map_or(0, u64::from_le_bytes),
        count: take(&mut rest).map_or(0, u32::from_le_bytes),
        postings: take(&mut rest).map_or(0, u32::from_le_bytes),
        first_offset: u64::from(take(&mut rest).map_or(0, u32::from_le_bytes)) * 8,
        partition: take(&mut rest).map_or(0, u16::from_le_bytes),
        id_len: take(&mut rest).map_or(0, u8::from_le_bytes),
    };
    (hash, entry)
}

pub(super) fn partition_entry(bytes: &[u8; 24]) -> PartitionEntry {
    let mut rest = bytes.as_slice();
    let partition = take(&mut rest).map_or(0, u16::from_le_bytes);
    let _zero: Option<[u8; 2]> = take(&mut rest);
    PartitionEntry {
        partition,
        count: take(&mut rest).map_or(0, u32::from_le_bytes),
        first_sequence: take(&mut rest).map_or(0, u64::from_le_bytes),
        postings: take(&mut rest).map_or(0, u32::from_le_bytes),
        first_offset: u64::from(take(&mut rest).map_or(0, u32::from_le_bytes)) * 8,
    }
}

pub(super) fn log_position(bytes: &[u8; 24]) -> LogPosition {
    let mut rest = bytes.as_slice();
    LogPosition {
        index: take(&mut rest).map_or(0, u64::from_le_bytes),
        term: take(&mut rest).map_or(0, u64::from_le_bytes),
        offset: take(&mut rest).map_or(0, u64::from_le_bytes),
    }
}
