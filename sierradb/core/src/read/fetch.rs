//! Byte ranges of one file, through the block cache where that is safe.
//!
//! A range comes from the first place that has it: a cached block, the page cache (`File::try_read_at`, without
//! waiting), the disk (`File::read_at`). Only blocks wholly below [`CachedFile::stable_end`] are cached: bytes above
//! it may still be written, so they are read anew each time. Nothing is verified here.
//!
//! [`CachedFile::try_get`] is the hot path: it never waits and makes no future. A range inside one block is a slice
//! of that block; one that spans blocks is copied together. Ranges beyond [`MAX_CACHED_RANGE`] pass the cache by, so
//! that a few huge frames do not push out everything else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use sierradb_io::{DiskError, File};

use super::block_cache::{BlockCache, BlockKey, Entered, FileId};
use crate::limits::{MAX_CACHED_RANGE, UNSTABLE_READ_BYTES};

/// A file whose stable part is read through a [`BlockCache`].
pub(crate) struct CachedFile {
    file: Arc<dyn File>,
    cache: Arc<BlockCache>,
    id: FileId,
    stable_end: AtomicU64,
}

impl CachedFile {
    /// A file of which the first `stable_end` bytes never change again; `u64::MAX` for a whole sealed file.
    pub(crate) fn new(file: Arc<dyn File>, cache: Arc<BlockCache>, stable_end: u64) -> Self {
        let id = cache.next_file_id();
        Self { file, cache, id, stable_end: AtomicU64::new(stable_end) }
    }

    /// End of the bytes that never change again.
    pub(crate) fn stable_end(&self) -> u64 {
        self.stable_end.load(Ordering::Acquire)
    }

    /// Whether the byte at `offset` lies in a block that is final, and so may be cached.
    pub(crate) fn is_cacheable(&self, offset: u64) -> bool {
        let len = u64::try_from(self.cache.block_len()).unwrap_or(u64::MAX).max(1);
        self.is_stable(offset / len)
    }

    /// More bytes are final. Never lowers the end.
    pub(crate) fn raise_stable_end(&self, end: u64) {
        self.stable_end.fetch_max(end, Ordering::AcqRel);
    }

    /// Forgets cached blocks, after a repair rewrote bytes of the file.
    #[cfg_attr(not(test), expect(dead_code, reason = "repair rewrites ranges of a file"))]
    pub(crate) fn invalidate(&self) {
        self.cache.invalidate(self.id);
    }

    /// `len` bytes at `offset` if that needs no waiting; shorter only at the end of the file. An error counts as "not
    /// without waiting": [`CachedFile::get`] meets it again and reports it.
    pub(crate) fn try_get(&self, offset: u64, len: usize) -> Option<Bytes> {
        if len > MAX_CACHED_RANGE {
            return self.try_read(offset, len);
        }
        let span = Span::new(offset, len, self.cache.block_len())?;
        if !self.is_stable(span.last) {
            return self.try_read(offset, len);
        }
        if span.first == span.last {
            return Some(slice(&self.try_block(span.first)?, span.skip, len));
        }
        let mut joined = BytesMut::with_capacity(len);
        for block in span.first..=span.last {
            if !span.push(&mut joined, block, &self.try_block(block)?, len) {
                break;
            }
        }
        Some(joined.freeze())
    }

    /// What is at hand from `offset` on, if that needs no waiting: the rest of its block, or a little more than most
    /// frames have. One look-up where the length of what begins there is not known yet.
    pub(crate) fn try_from(&self, offset: u64) -> Option<Bytes> {
        let span = Span::new(offset, 1, self.cache.block_len())?;
        if !self.is_stable(span.last) {
            return self.try_read(offset, UNSTABLE_READ_BYTES);
        }
        let block = self.try_block(span.first)?;
        Some(slice(&block, span.skip, block.len().saturating_sub(span.skip)))
    }

    /// The rest of the block at `offset`, if it is cached.
    pub(crate) fn cached_from(&self, offset: u64) -> Option<Bytes> {
        let span = Span::new(offset, 1, self.cache.block_len())?;
        let block = self.cache.get(BlockKey { file: self.id, block: span.first })?;
        Some(slice(&block, span.skip, block.len().saturating_sub(span.skip)))
    }

    /// `len` bytes at `offset`; shorter only at the end of the file.
    ///
    /// # Errors
    /// What the disk said.
    pub(crate) async fn get(&self, offset: u64, len: usize) -> Result<Bytes, DiskError> {
        let span = Span::new(offset, len, self.cache.block_len())
            .filter(|span| len <= MAX_CACHED_RANGE && self.is_stable(span.last));
        let Some(span) = span else {
            return read(self.file.as_ref(), offset, len).await;
        };
        if span.first == span.last {
            return Ok(slice(&self.block(span.first).await?, span.skip, len));
        }
        let mut joined = BytesMut::with_capacity(len);
        for block in span.first..=span.last {
            if !span.push(&mut joined, block, &self.block(block).await?, len) {
                break;
            }
        }
        Ok(joined.freeze())
    }

    /// Whether a block lies wholly below the stable end, and so do all before it.
    fn is_stable(&self, block: u64) -> bool {
        let len = u64::try_from(self.cache.block_len()).unwrap_or(u64::MAX);
        block.saturating_add(1).saturating_mul(len) <= self.stable_end()
    }

    fn try_block(&self, block: u64) -> Option<Bytes> {
        match self.cache.enter(BlockKey { file: self.id, block }) {
            Entered::Hit(bytes) => Some(bytes),
            Entered::Wait(_) => None,
            Entered::Load(flight) => {
                let len = self.cache.block_len();
                let bytes = self.try_read(block.checked_mul(u64::try_from(len).ok()?)?, len)?;
                flight.land(bytes.clone());
                Some(bytes)
            }
        }
    }

    async fn block(&self, block: u64) -> Result<Bytes, DiskError> {
        let len = self.cache.block_len();
        let offset = block.saturating_mul(u64::try_from(len).unwrap_or(u64::MAX));
        let load = || read(self.file.as_ref(), offset, len);
        self.cache.get_or_load(BlockKey { file: self.id, block }, load).await
    }

    fn try_read(&self, offset: u64, len: usize) -> Option<Bytes> {
        try_read(self.file.as_ref(), offset, len).ok().flatten()
    }
}

impl Drop for CachedFile {
    /// Blocks of a file that nobody can ask for again only take room.
    fn drop(&mut self) {
        self.cache.invalidate(self.id);
    }
}

impl fmt::Debug for CachedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedFile").field("id", &self.id).finish_non_exhaustive()
    }
}

/// `len` bytes at `offset`, without waiting where the page cache has them.
///
/// # Errors
/// What the disk said.
pub(crate) async fn read(file: &dyn File, offset: u64, len: usize) -> Result<Bytes, DiskError> {
    let mut buffer = BytesMut::zeroed(len);
    let count = match file.try_read_at(&mut buffer, offset)? {
        Some(count) => count,
        None => {
            let (read, count) = file.read_at(buffer, offset).await;
            buffer = read;
            count?
        }
    };
    buffer.truncate(count);
    Ok(buffer.freeze())
}

/// `len` bytes at `offset` if the page cache has them.
///
/// # Errors
/// What the disk said.
pub(crate) fn try_read(
    file: &dyn File,
    offset: u64,
    len: usize,
) -> Result<Option<Bytes>, DiskError> {
    let mut buffer = BytesMut::zeroed(len);
    let Some(count) = file.try_read_at(&mut buffer, offset)? else {
        return Ok(None);
    };
    buffer.truncate(count);
    Ok(Some(buffer.freeze()))
}

/// The part of `bytes` at `skip`, at most `len` long.
fn slice(bytes: &Bytes, skip: usize, len: usize) -> Bytes {
    let start = skip.min(bytes.len());
    bytes.slice(start..start.saturating_add(len).min(bytes.len()))
}

/// The blocks of a range.
struct Span {
    first: u64,
    last: u64,
    /// Bytes of the first block before the range.
    skip: usize,
    block_len: usize,
}

impl Span {
    /// `None` if the range ends beyond what 64 bits can address. An empty range lies in the block of its offset.
    fn new(offset: u64, len: usize, block_len: usize) -> Option<Self> {
        let block = u64::try_from(block_len).ok()?;
        let last_byte = offset.checked_add(u64::try_from(len.saturating_sub(1)).ok()?)?;
        let skip = usize::try_from(offset % block).ok()?;
        Some(Self { first: offset / block, last: last_byte / block, skip, block_len })
    }

    /// Appends what the range has of a block; `false` once the range or the file is at its end.
    fn push(&self, joined: &mut BytesMut, block: u64, bytes: &Bytes, len: usize) -> bool {
        let skip = if block == self.first { self.skip } else { 0 };
        joined.extend_from_slice(&slice(bytes, skip, len - joined.len()));
        joined.len() < len && bytes.len() == self.block_len
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use futures_util::FutureExt;
    use proptest::prelude::*;
    use tokio::sync::Notify;

    use super::super::block_cache::CacheOptions;
    use super::super::testing::MemFile;
    use super::*;

    const BLOCK: usize = 4096;

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
    }

    fn open(file: MemFile, stable_end: u64) -> (Arc<MemFile>, CachedFile) {
        let file = Arc::new(file);
        let cache =
            Arc::new(BlockCache::new(CacheOptions { capacity_bytes: 1 << 20, block_bytes: BLOCK }));
        (file.clone(), CachedFile::new(file, cache, stable_end))
    }

    fn get(cached: &CachedFile, offset: u64, len: usize) -> Bytes {
        cached.get(offset, len).now_or_never().expect("nothing to wait for").unwrap()
    }

    #[test]
    fn a_stable_block_is_read_once_and_sliced() {
        let (file, cached) = open(MemFile::new(content(3 * BLOCK)), u64::MAX);
        let first = cached.try_get(10, 100).unwrap();
        let second = cached.try_get(50, 100).unwrap();
        assert_eq!(first, content(3 * BLOCK)[10..110]);
        assert_eq!(file.reads(), 1);
        assert_eq!(first.as_ptr().wrapping_add(40), second.as_ptr(), "slices of one block");
    }

    #[test]
    fn the_unstable_tail_is_read_anew_each_time() {
        let (file, cached) = open(MemFile::new(content(2 * BLOCK)), 6000);
        assert_eq!(get(&cached, 5000, 4), content(2 * BLOCK)[5000..5004]);
        file.change(|bytes| bytes[5000] ^= 1);
        assert_eq!(cached.try_get(5000, 1).unwrap(), file.content()[5000..5001]);
        assert_eq!(cached.cache.stats().entries, 0);
        cached.raise_stable_end(8192);
        cached.raise_stable_end(10);
        assert_eq!(cached.stable_end(), 8192);
        assert_eq!(get(&cached, 5000, 4), file.content()[5000..5004]);
        assert_eq!(cached.cache.stats().entries, 1);
    }

    #[test]
    fn what_must_wait_is_left_to_the_waiting_path() {
        let mut file = MemFile::new(content(BLOCK));
        file.gate = Some(Notify::new());
        file.cold.store(true, SeqCst);
        let (file, cached) = open(file, u64::MAX);
        assert_eq!(cached.try_get(0, 8), None);
        let mut waiting = Box::pin(cached.get(0, 8));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(cached.try_get(0, 8), None, "another loads it");
        file.gate.as_ref().unwrap().notify_one();
        assert_eq!(waiting.now_or_never().unwrap().unwrap(), content(BLOCK)[..8]);
        assert_eq!(cached.try_get(0, 8).unwrap(), content(BLOCK)[..8]);
    }

    #[test]
    fn errors_are_reported_and_not_kept() {
        let (file, cached) = open(MemFile::new(content(BLOCK)), u64::MAX);
        file.broken.store(true, SeqCst);
        assert_eq!(cached.try_get(0, 8), None);
        assert!(cached.get(0, 8).now_or_never().unwrap().is_err());
        file.broken.store(false, SeqCst);
        assert_eq!(get(&cached, 0, 8), content(BLOCK)[..8]);
    }

    #[test]
    fn a_huge_range_passes_the_cache_by() {
        let (_, cached) = open(MemFile::new(content(MAX_CACHED_RANGE + 9)), u64::MAX);
        assert_eq!(
            get(&cached, 1, MAX_CACHED_RANGE + 1),
            content(MAX_CACHED_RANGE + 9)[1..][..MAX_CACHED_RANGE + 1]
        );
        assert_eq!(cached.cache.stats().entries, 0);
    }

    #[test]
    fn a_dropped_or_repaired_file_leaves_no_blocks() {
        let (file, cached) = open(MemFile::new(content(2 * BLOCK)), u64::MAX);
        get(&cached, 0, 1);
        file.change(|bytes| bytes[0] ^= 1);
        cached.invalidate();
        assert_eq!(get(&cached, 0, 1), file.content()[..1]);
        let cache = cached.cache.clone();
        drop(cached);
        assert_eq!(cache.stats().entries, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_range_reads_as_the_file(
            len in 0_usize..5 * BLOCK,
            stable_end in 0_u64..6 * 4096,
            ranges in prop::collection::vec((0_u64..6 * 4096, 0_usize..3 * BLOCK), 1..20),
        ) {
            // Bytes below the stable end exist, by its definition.
            let stable_end = stable_end.min(u64::try_from(len).unwrap());
            let (_, cached) = open(MemFile::new(content(len)), stable_end);
            for (offset, count) in ranges {
                let start = usize::try_from(offset).unwrap().min(len);
                let expected = &content(len)[start..(start + count).min(len)];
                prop_assert_eq!(&get(&cached, offset, count)[..], expected);
                prop_assert_eq!(&cached.try_get(offset, count).unwrap()[..], expected);
            }
        }
    }

    #[test]
    fn a_range_that_no_file_can_have_is_refused_or_empty() {
        let (_, cached) = open(MemFile::new(content(10)), u64::MAX);
        assert!(cached.try_get(u64::MAX, 2).is_none());
        assert_eq!(cached.try_get(10, 0).unwrap().len(), 0);
    }
}
