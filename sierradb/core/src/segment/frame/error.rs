//! Why bytes are not a frame.

use bytes::Bytes;

use super::{FRAME_MAGIC, FRAME_VERSION, FrameKind};

/// Why bytes are not a frame or a log entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The bytes end too early.
    #[error("{needed} bytes needed, {available} available")]
    Short { needed: u64, available: usize },
    /// Not the start of a frame; zeros if nothing was ever written here.
    #[error("magic {found:02x?}, expected {FRAME_MAGIC:02x?}")]
    Magic { found: [u8; 4] },
    /// The header changed since it was written.
    #[error("header checksum {stored:08x}, bytes give {actual:08x}")]
    HeaderChecksum { stored: u32, actual: u32 },
    /// Written by a later release.
    #[error("frame version {found}, expected {FRAME_VERSION}")]
    Version { found: u8 },
    /// Written by a later release.
    #[error("unknown frame kind {found}")]
    Kind { found: u8 },
    /// Written by a later release.
    #[error("unknown codec {codec} with {raw_len} bytes before compression")]
    Codec { codec: u8, raw_len: u32 },
    /// Not a mask.
    #[error("mask {found}, expected 0..=7 or 255")]
    Mask { found: u8 },
    /// Terms begin at 1.
    #[error("index {index} in term 0")]
    Term { index: u64 },
    /// Only transactions have events, a partition and a sequence, and each has at least one event.
    #[error("{kind:?} with {event_count} events, partition {partition}, sequence {first_sequence}")]
    Events { kind: FrameKind, partition: u16, event_count: u16, first_sequence: u64 },
    /// A log entry does not have the length it names.
    #[error("body of {expected} bytes announced, {available} available")]
    Length { expected: u32, available: usize },
    /// The body changed since it was made.
    #[error("body checksum {stored:08x}, bytes give {actual:08x}")]
    BodyChecksum { stored: u32, actual: u32 },
    /// The pad changed since it was written.
    #[error("pad {found:02x?}, expected {expected:02x?}")]
    Pad { expected: &'static [u8], found: Bytes },
}

impl FrameError {
    pub(super) fn short(needed: usize, available: usize) -> Self {
        Self::Short { needed: u64::try_from(needed).unwrap_or(u64::MAX), available }
    }
}
