//! Segment files: their names, their header, and where the log stands in them.
//!
//! # Header: 4096 bytes at offset 0, the first 64 used, the rest zero
//! | Off | Size | Field | | Off | Size | Field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 8 | `SIERRSEG` | | 32 | 8 | term of entry `first_index` − 1 |
//! | 8 | 2+2 | major 1, minor 0 | | 40 | 4 | header CRC of the frame before; 0 in segment 1 |
//! | 12 | 2 | group: 0 meta, bucket b = b + 1 | | 44 | 4 | header length 4096 |
//! | 14 | 2 | 0 | | 48 | 8 | size limit of a segment |
//! | 16 | 8 | segment number, from 1 | | 56 | 4 | partition count |
//! | 24 | 8 | first index | | 60 | 4 | CRC-32C of 0..60 |
//!
//! Nothing in it belongs to one node, so sealed files are equal on all replicas. A log begins behind index 1 of
//! term 1, which is not stored: the first frame has index 2.
//!
//! A segment is *active* (frames are appended), *rolled* (full, its successor is written) or *sealed* (committed,
//! cut to its length, with an index file). When to roll is a pure function of the log, see [`ActiveSegment::fits`],
//! so that all replicas agree on file borders.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::frame::{Frame, FramePlace};
use crate::limits::MAX_SEGMENT_NUMBER;

/// Bytes of a segment header; the first frame follows.
pub(crate) const SEGMENT_HEADER_LEN: usize = 4096;

/// File offset of the first frame.
pub(crate) const FIRST_FRAME_OFFSET: u64 = 4096;

/// Header bytes that carry fields.
pub(crate) const SEGMENT_FIELDS_LEN: usize = 64;

/// First bytes of every segment file.
const SEGMENT_MAGIC: [u8; 8] = *b"SIERRSEG";

const MAJOR: u16 = 1;
const MINOR: u16 = 0;

/// Index of the first frame of a log; the entry before it is implied.
pub(crate) const FIRST_LOG_INDEX: u64 = 2;

/// Term of the entry before the first frame of a log.
pub(crate) const BASE_TERM: u64 = 1;

/// Digits of a segment number in a file name.
const NUMBER_DIGITS: usize = 10;

const _: () = assert!(SEGMENT_HEADER_LEN as u64 == FIRST_FRAME_OFFSET);

/// The files of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SegmentFile {
    /// `.seg`: the frames.
    Log,
    /// `.idx`: look-up tables of a sealed segment.
    Index,
    /// `.ckp`: checkpoint of an unsealed segment.
    Checkpoint,
}

impl SegmentFile {
    fn extension(self) -> &'static str {
        match self {
            Self::Log => "seg",
            Self::Index => "idx",
            Self::Checkpoint => "ckp",
        }
    }

    /// Name of this file of segment `number`, as `0000000007.seg`.
    ///
    /// # Panics
    /// If `number` is 0 or has more than ten digits.
    pub(crate) fn name(self, number: u64) -> String {
        assert!((1..=MAX_SEGMENT_NUMBER).contains(&number), "segment number {number}");
        format!("{number:0NUMBER_DIGITS$}.{}", self.extension())
    }

    /// Which file of which segment has this name; `None` for every other name.
    pub(crate) fn parse(name: &str) -> Option<(Self, u64)> {
        let (number, extension) = name.split_once('.')?;
        let kind = [Self::Log, Self::Index, Self::Checkpoint]
            .into_iter()
            .find(|kind| kind.extension() == extension)?;
        let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            if is_digits && number.len() == NUMBER_DIGITS { number.parse().ok()? } else { 0 };
        (number > 0).then_some((kind, number))
    }
}

/// Header of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// 0 for the meta group, bucket + 1 otherwise.
    pub(crate) group: u16,
    /// Segment number, from 1.
    pub(crate) number: u64,
    /// Log index of the first frame.
    pub(crate) first_index: u64,
    /// Term of the entry before it.
    pub(crate) prev_term: u64,
    /// Header CRC of the frame before; 0 in segment 1.
    pub(crate) chain: u32,
    /// Size limit that decides when to roll.
    pub(crate) segment_size_bytes: u64,
    /// Partitions of the database.
    pub(crate) partition_count: u32,
}

impl SegmentHeader {
    /// Header of the first segment of a log.
    pub(crate) fn first(group: u16, segment_size_bytes: u64, partition_count: u32) -> Self {
        Self {
            group,
            number: 1,
            first_index: FIRST_LOG_INDEX,
            prev_term: BASE_TERM,
            chain: 0,
            segment_size_bytes,
            partition_count,
        }
    }

    /// The whole header, zeros included.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(SEGMENT_HEADER_LEN);
        out.put_slice(&SEGMENT_MAGIC);
        out.put_u16_le(MAJOR);
        out.put_u16_le(MINOR);
        out.put_u16_le(self.group);
        out.put_u16_le(0);
        out.put_u64_le(self.number);
        out.put_u64_le(self.first_index);
        out.put_u64_le(self.prev_term);
        out.put_u32_le(self.chain);
        out.put_u32_le(u32::try_from(SEGMENT_HEADER_LEN).unwrap_or(u32::MAX));
        out.put_u64_le(self.segment_size_bytes);
        out.put_u32_le(self.partition_count);
        let crc = crc32c::crc32c(&out);
        out.put_u32_le(crc);
        out.resize(SEGMENT_HEADER_LEN, 0);
        out.freeze()
    }

    /// Reads the header at the start of a segment file.
    ///
    /// # Errors
    /// [`SegmentHeaderError`], in this order: too short, magic, checksum, version, header length, non-zero rest.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SegmentHeaderError> {
        let Some(header) = bytes.first_chunk::<SEGMENT_HEADER_LEN>() else {
            return Err(SegmentHeaderError::Short { available: bytes.len() });
        };
        let (mut fields, rest) = header.split_at(SEGMENT_FIELDS_LEN);
        let actual = crc32c::crc32c(fields.get(..SEGMENT_FIELDS_LEN - 4).unwrap_or_default());
        let magic = fields.get_u64_le().to_le_bytes();
        if magic != SEGMENT_MAGIC {
            return Err(SegmentHeaderError::Magic { found: magic });
        }
        let (major, minor) = (fields.get_u16_le(), fields.get_u16_le());
        let (group, reserved) = (fields.get_u16_le(), fields.get_u16_le());
        let (number, first_index) = (fields.get_u64_le(), fields.get_u64_le());
        let (prev_term, chain) = (fields.get_u64_le(), fields.get_u32_le());
        let (header_len, segment_size_bytes) = (fields.get_u32_le(), fields.get_u64_le());
        let (partition_count, stored) = (fields.get_u32_le(), fields.get_u32_le());
        if stored != actual {
            return Err(SegmentHeaderError::Checksum { stored, actual });
        }
        if (major, minor, reserved) != (MAJOR, MINOR, 0) {
            return Err(SegmentHeaderError::Version { major, minor, reserved });
        }
        if usize::try_from(header_len).ok() != Some(SEGMENT_HEADER_LEN) {
            return Err(SegmentHeaderError::Length { found: header_len });
        }
        if let Some(offset) = rest.iter().position(|byte| *byte != 0) {
            return Err(SegmentHeaderError::Rest { offset: SEGMENT_FIELDS_LEN + offset });
        }
        Ok(Self {
            group,
            number,
            first_index,
            prev_term,
            chain,
            segment_size_bytes,
            partition_count,
        })
    }
}

/// Why bytes are not a segment header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SegmentHeaderError {
    /// The file ends inside the header.
    #[error("segment header needs {SEGMENT_HEADER_LEN} bytes, {available} available")]
    Short { available: usize },
    /// Not a segment; zeros if the header was never written.
    #[error("segment magic {found:02x?}, expected {SEGMENT_MAGIC:02x?}")]
    Magic { found: [u8; 8] },
    /// The header changed since it was written.
    #[error("segment header checksum {stored:08x}, bytes give {actual:08x}")]
    Checksum { stored: u32, actual: u32 },
    /// Written by a later release.
    #[error(
        "segment format {major}.{minor} (reserved field {reserved}), this release reads {MAJOR}.{MINOR}"
    )]
    Version { major: u16, minor: u16, reserved: u16 },
    /// Written by a later release.
    #[error("segment header of {found} bytes, expected {SEGMENT_HEADER_LEN}")]
    Length { found: u32 },
    /// The zeros behind the fields are part of the header.
    #[error("byte {offset} of the segment header is not zero")]
    Rest { offset: usize },
}

/// Where a log stands: everything the next frame depends on except its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// Index of the next entry.
    pub(crate) next_index: u64,
    /// Term of the last entry.
    pub(crate) last_term: u64,
    /// Header CRC of the last frame.
    pub(crate) chain: u32,
    /// File offset after the last frame.
    pub(crate) end_offset: u64,
}

/// A segment that frames are appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActiveSegment {
    header: SegmentHeader,
    end: LogEnd,
}

impl ActiveSegment {
    /// A segment without frames.
    pub(crate) fn new(header: SegmentHeader) -> Self {
        let end = LogEnd {
            next_index: header.first_index,
            last_term: header.prev_term,
            chain: header.chain,
            end_offset: FIRST_FRAME_OFFSET,
        };
        Self { header, end }
    }

    /// A segment whose frames up to `end` are known.
    pub(crate) fn resume(header: SegmentHeader, end: LogEnd) -> Self {
        Self { header, end }
    }

    /// Its header.
    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Where the next frame goes.
    pub(crate) fn end(&self) -> LogEnd {
        self.end
    }

    /// Whether a frame of `frame_len` bytes still belongs into this segment; if not, it must be rolled first.
    pub(crate) fn fits(&self, frame_len: u64) -> bool {
        self.end.end_offset.saturating_add(frame_len) <= self.header.segment_size_bytes
    }

    /// The place of the next frame.
    ///
    /// # Panics
    /// If `term` is lower than that of the last entry.
    pub(crate) fn place(&self, term: u64) -> FramePlace {
        assert!(term >= self.end.last_term, "term {term} after {}", self.end.last_term);
        FramePlace {
            index: self.end.next_index,
            term,
            prev_crc: self.end.chain,
            offset: self.end.end_offset,
        }
    }

    /// Counts a frame that was made for [`Self::place`] of `term`.
    pub(crate) fn push(&mut self, header_crc: u32, frame_len: u64, term: u64) {
        self.advance(term, header_crc, frame_len);
    }

    /// Counts a frame that was read at its end.
    ///
    /// # Errors
    /// [`LinkError`] if it does not continue this log: another index, a lower term, another chain, or it lies
    /// across the size limit.
    pub(crate) fn follow(&mut self, frame: &Frame) -> Result<(), LinkError> {
        let header = &frame.header;
        if header.index != self.end.next_index {
            return Err(LinkError::Index { expected: self.end.next_index, found: header.index });
        }
        if header.prev_crc != self.end.chain {
            return Err(LinkError::Chain { expected: self.end.chain, found: header.prev_crc });
        }
        if header.term < self.end.last_term {
            return Err(LinkError::Term { last: self.end.last_term, found: header.term });
        }
        if frame.offset != self.end.end_offset || !self.fits(header.frame_len()) {
            let (offset, limit) = (frame.offset, self.header.segment_size_bytes);
            return Err(LinkError::Place { offset, len: header.frame_len(), limit });
        }
        self.advance(header.term, header.header_crc, header.frame_len());
        Ok(())
    }

    fn advance(&mut self, term: u64, header_crc: u32, frame_len: u64) {
        self.end = LogEnd {
            next_index: self.end.next_index + 1,
            last_term: term,
            chain: header_crc,
            end_offset: self.end.end_offset + frame_len,
        };
        self.assert_invariants();
    }

    fn assert_invariants(&self) {
        let (end, limit) = (self.end.end_offset, self.header.segment_size_bytes);
        assert!(end <= limit, "segment {} of {limit} bytes ends at {end}", self.header.number);
    }

    /// Ends it because the next frame does not fit.
    pub(crate) fn roll(self) -> RolledSegment {
        RolledSegment { header: self.header, end: self.end }
    }
}

/// A full segment whose successor is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RolledSegment {
    header: SegmentHeader,
    end: LogEnd,
}

impl RolledSegment {
    /// Header of the segment after it.
    pub(crate) fn next_header(&self) -> SegmentHeader {
        SegmentHeader {
            number: self.header.number + 1,
            first_index: self.end.next_index,
            prev_term: self.end.last_term,
            chain: self.end.chain,
            ..self.header
        }
    }
}

/// Why a valid frame does not continue the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LinkError {
    /// Not the next entry.
    #[error("index {found}, expected {expected}")]
    Index { expected: u64, found: u64 },
    /// Written after another frame.
    #[error("chained to {found:08x}, expected {expected:08x}")]
    Chain { expected: u32, found: u32 },
    /// Terms never decrease.
    #[error("term {found} after {last}")]
    Term { last: u64, found: u64 },
    /// Lies where the roll rule does not allow it.
    #[error("{len} bytes at offset {offset} in a segment limited to {limit}")]
    Place { offset: u64, len: u64, limit: u64 },
}

#[cfg(test)]
mod tests;
