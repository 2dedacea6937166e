//! The part of a file that a walk over it has read last.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sierradb_io::{DiskError, File};

use crate::limits::{MAX_READ_AHEAD_BYTES, MIN_READ_AHEAD_BYTES};

/// Reads a file forwards in large pieces and hands out slices of them.
pub(crate) struct Window {
    file: Arc<dyn File>,
    len: u64,
    start: u64,
    bytes: Bytes,
    next_read: usize,
}

impl Window {
    /// Nothing read yet. The length of the file is taken now and kept.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn open(file: Arc<dyn File>) -> Result<Self, DiskError> {
        let len = file.len().await?;
        let next_read = MIN_READ_AHEAD_BYTES;
        Ok(Self { file, len, start: 0, bytes: Bytes::new(), next_read })
    }

    /// Length of the file.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// At least `want` bytes from `offset`, fewer only at the end of the file, more if they have been read already.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn at_least(&mut self, offset: u64, want: usize) -> Result<Bytes, DiskError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let want = want.min(left);
        if let Some(bytes) = self.loaded(offset).filter(|bytes| bytes.len() >= want) {
            return Ok(bytes);
        }
        let buffer = BytesMut::zeroed(want.max(self.next_read).min(left));
        let (mut buffer, result) = self.file.read_at(buffer, offset).await;
        buffer.truncate(result?);
        (self.start, self.bytes) = (offset, buffer.freeze());
        self.next_read = (self.next_read * 2).min(MAX_READ_AHEAD_BYTES);
        Ok(self.bytes.clone())
    }

    fn loaded(&self, offset: u64) -> Option<Bytes> {
        let skip = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        (skip <= self.bytes.len()).then(|| self.bytes.slice(skip..))
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loaded = (self.start, self.bytes.len());
        f.debug_struct("Window").field("len", &self.len).field("loaded", &loaded).finish()
    }
}
