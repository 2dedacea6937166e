//! What a segment file holds at and behind the first position where its log does not go on.
//!
//! [`inspect`] collects facts, it does not judge. From the bad position it searches to the end of the file in steps
//! of 8 bytes for frames that can belong to this log: a valid header whose index is higher than the missing one,
//! but not by more than would fit in between. A valid frame is stepped over as a whole, and so is the bad one if
//! its header is good: what users store inside events is not looked at unless the frame around it is unreadable.

use std::sync::Arc;

use sierradb_io::{DiskError, File};

use super::file::{LogEnd, SEGMENT_FIELDS_LEN};
use super::frame::{self, FRAME_ALIGN, FRAME_HEADER_LEN, Frame, FrameHeader, SECTOR};
use super::mask;
use super::window::Window;
use crate::limits::MIN_READ_AHEAD_BYTES;

/// The shortest frame: a header and one pad.
const MIN_FRAME_LEN: u64 = frame::frame_len(0);

/// Smallest step of the search, as a length in memory.
const STEP: usize = 8;

/// Zeros looked for at once.
const ZERO_BLOCK: usize = 256;

const _: () = assert!(STEP as u64 == FRAME_ALIGN);
const _: () = assert!(ZERO_BLOCK.is_multiple_of(STEP));

/// What stands at the bad position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Zeros up to the end of the file.
    Zeros,
    /// No valid frame header.
    Header(Slices),
    /// A valid header of the right frame, or of another; the body or pad behind it is bad.
    Body(Slices),
    /// A valid frame that does not continue the log.
    Link,
    /// No valid segment header at offset 0.
    SegmentHeader(Slices),
}

/// Whether something that should be there was never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slices {
    /// At least one slice is all zero, as it was before the write.
    SomeZero,
    /// Every slice was written, or none of the frame's slices can tell (mask 255).
    NoneZero,
}

impl Slices {
    fn some_zero(is_some: impl Into<bool>) -> Self {
        if is_some.into() { Self::SomeZero } else { Self::NoneZero }
    }
}

/// Valid frames that follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Offset of its first frame.
    pub(crate) offset: u64,
    /// Header of its first frame.
    pub(crate) first: FrameHeader,
    /// Where the log stands after its last frame.
    pub(crate) end: LogEnd,
}

impl Run {
    /// Where the log stands before its first frame.
    pub(crate) fn start(&self) -> LogEnd {
        LogEnd {
            next_index: self.first.index,
            last_term: self.first.term,
            chain: self.first.prev_crc,
            end_offset: self.offset,
        }
    }

    fn of(frame: &Frame) -> Self {
        Self { offset: frame.offset, first: frame.header, end: end_of(frame) }
    }

    fn is_continued_by(&self, frame: &Frame) -> bool {
        let (end, header) = (self.end, &frame.header);
        frame.offset == end.end_offset
            && header.index == end.next_index
            && header.prev_crc == end.chain
            && header.term >= end.last_term
    }
}

fn end_of(frame: &Frame) -> LogEnd {
    LogEnd {
        next_index: frame.header.index.saturating_add(1),
        last_term: frame.header.term,
        chain: frame.header.header_crc,
        end_offset: frame.end_offset(),
    }
}

/// Facts about a segment file from its first bad position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aftermath {
    /// Where the log stood before the bad position, and the position itself.
    pub(crate) expected: LogEnd,
    /// What is there.
    pub(crate) nature: Nature,
    /// End of the last bytes that are not zero; the bad position if all are.
    pub(crate) nonzero_end: u64,
    /// Highest commit index that a valid header behind the bad position knew of; 0 if none.
    pub(crate) commit_hint: u64,
    /// Highest log index of a valid header behind the bad position; 0 if none.
    pub(crate) last_index: u64,
    /// The frames that end in the last valid one behind the bad position.
    pub(crate) last_run: Option<Run>,
}

impl Aftermath {
    /// Whether the bad position is where a frame was expected, not a segment header.
    pub(crate) fn is_in_frames(&self) -> bool {
        self.expected.end_offset > 0
    }
}

/// Looks at `file` from `expected.end_offset` to its end; offset 0 asks about the segment header.
///
/// # Errors
/// The disk's.
pub(crate) async fn inspect(file: Arc<dyn File>, expected: LogEnd) -> Result<Aftermath, DiskError> {
    let mut window = Window::open(file).await?;
    let start = expected.end_offset;
    let (nature, bad_len) = look(&mut window, start).await?;
    let mut found = Aftermath {
        expected,
        nature,
        nonzero_end: start,
        commit_hint: 0,
        last_index: 0,
        last_run: None,
    };
    let mut offset = start;
    while offset < window.len() {
        let bytes = window.at_least(offset, MIN_READ_AHEAD_BYTES).await?;
        let zeros = leading_zero_steps(&bytes);
        if zeros > 0 {
            offset += zeros;
            continue;
        }
        offset = if offset < start + bad_len {
            // Inside the bad thing: not searched, only its last byte matters.
            found.nonzero_end = offset + FRAME_ALIGN;
            found.nonzero_end
        } else {
            let frame = valid_frame_at(&mut window, offset, &mut found).await?;
            found.nonzero_end = frame.as_ref().map_or(offset + FRAME_ALIGN, Frame::end_offset);
            if let Some(frame) = frame {
                found.last_run = match found.last_run {
                    Some(run) if run.is_continued_by(&frame) => {
                        Some(Run { end: end_of(&frame), ..run })
                    }
                    Some(_) | None => Some(Run::of(&frame)),
                };
            }
            found.nonzero_end
        };
    }
    if found.nonzero_end == start {
        found.nature = Nature::Zeros;
    }
    Ok(found)
}

/// Whether anything but zeros is in `file`. Reads no further than to the first other byte.
///
/// # Errors
/// The disk's.
pub(crate) async fn holds_bytes(file: Arc<dyn File>) -> Result<bool, DiskError> {
    let mut window = Window::open(file).await?;
    let mut offset = 0;
    while offset < window.len() {
        let bytes = window.at_least(offset, 1).await?;
        if bytes.is_empty() {
            break;
        }
        let zeros = leading_zero_steps(&bytes);
        if zeros < u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
            return Ok(true);
        }
        offset += zeros;
    }
    Ok(false)
}

/// Bytes at the start of `bytes` that are whole steps of zeros.
pub(crate) fn leading_zero_steps(bytes: &[u8]) -> u64 {
    // Large blocks first: `==` on arrays compares words, and most of what is asked about is all zero.
    let blocks = bytes.chunks_exact(ZERO_BLOCK).take_while(|block| **block == [0; ZERO_BLOCK]);
    let skipped = blocks.count() * ZERO_BLOCK;
    let rest = bytes.get(skipped..).unwrap_or_default();
    let steps = rest.chunks(STEP).position(|step| step.iter().any(|byte| *byte != 0));
    let len = steps.map_or(bytes.len(), |steps| skipped + steps * STEP);
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Records a header at `offset` that can belong to the log; returns the frame if it is whole.
async fn valid_frame_at(
    window: &mut Window,
    offset: u64,
    found: &mut Aftermath,
) -> Result<Option<Frame>, DiskError> {
    let bytes = window.at_least(offset, FRAME_HEADER_LEN).await?;
    let Ok(header) = frame::decode_header(&bytes) else {
        return Ok(None);
    };
    let between = offset.saturating_sub(found.expected.end_offset) / MIN_FRAME_LEN;
    let highest = found.expected.next_index.saturating_add(between);
    let can_belong = header.index > found.expected.next_index
        && header.index <= highest
        && header.term >= found.expected.last_term
        && header.commit_hint < header.index;
    if !can_belong {
        return Ok(None);
    }
    found.commit_hint = found.commit_hint.max(header.commit_hint);
    found.last_index = found.last_index.max(header.index);
    if offset.saturating_add(header.frame_len()) > window.len() {
        return Ok(None);
    }
    let want = usize::try_from(header.frame_len()).unwrap_or(usize::MAX);
    let bytes = window.at_least(offset, want).await?;
    Ok(frame::decode_body(header, bytes, offset).ok())
}

/// Nature of what is at `offset`, and how many bytes of it need no search.
async fn look(window: &mut Window, offset: u64) -> Result<(Nature, u64), DiskError> {
    if offset == 0 {
        let bytes = window.at_least(0, SEGMENT_FIELDS_LEN).await?;
        let fields = bytes.get(..SEGMENT_FIELDS_LEN).unwrap_or(&bytes);
        let is_zero = fields.iter().all(|byte| *byte == 0);
        return Ok((Nature::SegmentHeader(Slices::some_zero(is_zero)), 0));
    }
    let bytes = window.at_least(offset, FRAME_HEADER_LEN).await?;
    let Ok(header) = frame::decode_header(&bytes) else {
        return Ok((Nature::Header(header_slices(&bytes, offset)), FRAME_ALIGN));
    };
    let frame_len = header.frame_len();
    let want = usize::try_from(frame_len).unwrap_or(usize::MAX);
    let bytes = window.at_least(offset, want).await?;
    if frame::decode_body(header, bytes.clone(), offset).is_ok() {
        return Ok((Nature::Link, frame_len));
    }
    let mut rest = bytes.get(FRAME_HEADER_LEN..).unwrap_or_default();
    rest = rest.get(..want.saturating_sub(FRAME_HEADER_LEN)).unwrap_or(rest);
    // What the file is too short for was never written either.
    let is_cut = offset.saturating_add(frame_len).next_multiple_of(SECTOR)
        > window.len().next_multiple_of(SECTOR);
    let is_zero = header.mask != mask::NONE_HELPS && (is_cut || mask::has_zero_slice(rest, offset));
    Ok((Nature::Body(Slices::some_zero(is_zero)), frame_len))
}

/// Whether a sector border leaves a part of the header at `offset` that is all zero. Bytes behind the end of the
/// file count as zeros.
fn header_slices(bytes: &[u8], offset: u64) -> Slices {
    let header = bytes.get(..FRAME_HEADER_LEN).unwrap_or(bytes);
    let in_sector = usize::try_from(SECTOR - offset % SECTOR).unwrap_or(usize::MAX);
    let is_zero = |slice: &[u8]| slice.iter().all(|byte| *byte == 0);
    let (first, second) = header.split_at_checked(in_sector).unwrap_or((header, &[]));
    let has_second = in_sector < FRAME_HEADER_LEN;
    Slices::some_zero(is_zero(first) || (has_second && is_zero(second)))
}

#[cfg(test)]
mod tests;
