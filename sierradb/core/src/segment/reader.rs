//! Frames in order from some point on, or one frame at an offset. Everything handed out is verified.
//!
//! [`FrameReader`] serves recovery, index building and verification: it starts where an [`ActiveSegment`] ends,
//! checks that each frame continues the log, and stops at the first position where that fails, saying why. In an
//! unsealed segment that is the usual end: zeros. What a bad position means is not judged here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sierradb_io::{DiskError, File};

use super::file::{
    ActiveSegment, LinkError, SEGMENT_HEADER_LEN, SegmentHeader, SegmentHeaderError,
};
use super::frame::{self, FRAME_HEADER_LEN, Frame, FrameError};
use super::window::Window;

/// First read for a single frame; most frames end within it.
const SINGLE_READ_LEN: usize = 4096;

/// Walks over the frames of one segment file.
#[derive(Debug)]
pub(crate) struct FrameReader {
    window: Window,
    segment: ActiveSegment,
    bugs: frame::Bugs,
}

impl FrameReader {
    /// Starts at the end of `segment`: behind its header, or further on where a checkpoint or an index vouches for
    /// what lies before. The length of the file is taken now.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn open(
        file: Arc<dyn File>,
        segment: ActiveSegment,
    ) -> Result<Self, DiskError> {
        Ok(Self { window: Window::open(file).await?, segment, bugs: frame::Bugs::default() })
    }

    /// The same with deliberate bugs.
    #[must_use]
    pub(crate) fn with(self, bugs: frame::Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// The next frame; `None` if the file ends exactly where it would begin. After an error the position stays.
    ///
    /// # Errors
    /// [`ScanError::Bad`] if there is no valid frame that continues the log.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ScanError> {
        let offset = self.segment.end().end_offset;
        if offset == self.window.len() {
            return Ok(None);
        }
        let bytes = self.window.at_least(offset, FRAME_HEADER_LEN).await?;
        let header = self.bugs.decode_header(&bytes);
        let header = header.map_err(|cause| self.bad(cause.into()))?;
        let frame_len = header.frame_len();
        if offset.saturating_add(frame_len) > self.window.len() {
            let available = self.window.len().saturating_sub(offset);
            let available = usize::try_from(available).unwrap_or(usize::MAX);
            return Err(self.bad(FrameError::Short { needed: frame_len, available }.into()));
        }
        let want = usize::try_from(frame_len).unwrap_or(usize::MAX);
        let bytes =
            if bytes.len() < want { self.window.at_least(offset, want).await? } else { bytes };
        let frame = self.bugs.decode_body(header, bytes, offset);
        let frame = frame.map_err(|cause| self.bad(cause.into()))?;
        self.segment.follow(&frame).map_err(|cause| self.bad(cause.into()))?;
        Ok(Some(frame))
    }

    /// The segment up to the last frame returned; after [`ScanError::Bad`] its end is the bad position.
    pub(crate) fn segment(&self) -> &ActiveSegment {
        &self.segment
    }

    fn bad(&self, cause: BadCause) -> ScanError {
        let end = self.segment.end();
        ScanError::Bad(BadFrame { offset: end.end_offset, index: end.next_index, cause })
    }
}

/// Reads and verifies the frame at `offset`.
///
/// # Errors
/// [`ReadFrameError`]
pub(crate) async fn read_frame(file: &dyn File, offset: u64) -> Result<Frame, ReadFrameError> {
    let bytes = read_up_to(file, offset, SINGLE_READ_LEN).await?;
    let cause = match frame::decode(bytes, offset) {
        Ok(frame) => return Ok(frame),
        Err(FrameError::Short { needed, available }) if available == SINGLE_READ_LEN => needed,
        Err(cause) => return Err(ReadFrameError::Frame { offset, cause }),
    };
    // The header is good, so the length is what was written; the end of the file bounds the read anyway.
    let left = file.len().await?.saturating_sub(offset);
    let bytes = read_up_to(file, offset, usize::try_from(cause.min(left)).unwrap_or(0)).await?;
    frame::decode(bytes, offset).map_err(|cause| ReadFrameError::Frame { offset, cause })
}

/// Reads and verifies the header of a segment file.
///
/// # Errors
/// [`ReadHeaderError`]
pub(crate) async fn read_segment_header(file: &dyn File) -> Result<SegmentHeader, ReadHeaderError> {
    let bytes = read_up_to(file, 0, SEGMENT_HEADER_LEN).await?;
    Ok(SegmentHeader::decode(&bytes)?)
}

async fn read_up_to(file: &dyn File, offset: u64, len: usize) -> Result<Bytes, DiskError> {
    let (mut buffer, result) = file.read_at(BytesMut::zeroed(len), offset).await;
    buffer.truncate(result?);
    Ok(buffer.freeze())
}

/// Why a walk over frames stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No valid frame that continues the log.
    #[error(transparent)]
    Bad(#[from] BadFrame),
}

/// The first position of a segment at which the log does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no frame of index {index} at offset {offset}")]
pub(crate) struct BadFrame {
    /// File offset.
    pub(crate) offset: u64,
    /// Log index of the frame that was expected.
    pub(crate) index: u64,
    /// What was found.
    #[source]
    pub(crate) cause: BadCause,
}

/// What stands in the place of a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCause {
    /// Bytes that are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame of another log.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Why a single frame could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadFrameError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No valid frame there.
    #[error("no frame at offset {offset}")]
    Frame {
        offset: u64,
        #[source]
        cause: FrameError,
    },
}

/// Why a segment header could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadHeaderError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No valid header.
    #[error(transparent)]
    Header(#[from] SegmentHeaderError),
}

#[cfg(test)]
mod tests;
