//! The pages of one `.idx` file, read through the block cache.
//!
//! A block is verified page by page when it is loaded, so that a hit costs no checksum. A block with a bad page is
//! not cached; a good page of it is then read alone, which keeps one bad page from taking its neighbours along.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sierradb_io::{DiskError, File, MutantFlag};

use super::footer::{Footer, FooterFault};
use super::page::{Extent, HEADER_LEN, PAGE_LEN, PageFault, PagePlace, Section, entries};
use crate::read::block_cache::{BlockCache, BlockKey, Entered, FileId};
use crate::read::fetch::{read, try_read};

/// Length of a page as a distance in a file.
const PAGE_STEP: u64 = 4096;

const _: () = assert!(PAGE_LEN == 4096);

/// Why an index does not answer. Answer from the segment then, and build the index again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    #[error("reading the index failed")]
    Disk(#[from] DiskError),
    /// The last page: the file cannot be opened.
    #[error("footer of the index")]
    Footer(#[source] FooterFault),
    #[error("page {page} of the index, section {section}")]
    Damaged {
        section: Section,
        page: u32,
        #[source]
        fault: PageFault,
    },
    /// A sound file that belongs to another segment, or to another state of this one.
    #[error("index with {field} {found}, the segment has {expected}")]
    Mismatch { field: &'static str, expected: u64, found: u64 },
}

/// See the module.
pub(crate) struct Pages {
    file: Arc<dyn File>,
    cache: Arc<BlockCache>,
    id: FileId,
    segment_number: u64,
    count: u32,
    /// Where the filters lie, whose pages are told apart when they are loaded.
    filters: [(Section, Extent); 2],
    /// Pages in a block of the cache.
    per_block: u32,
    /// Deliberate bug: pages are not verified.
    pub(super) trusts: MutantFlag,
}

impl Pages {
    /// The pages of a file with this footer.
    pub(crate) fn new(file: Arc<dyn File>, cache: Arc<BlockCache>, footer: &Footer) -> Self {
        let id = cache.next_file_id();
        // Blocks are whole pages, at least one.
        let per_block = u32::try_from(cache.block_len() / PAGE_LEN).unwrap_or(1).max(1);
        let filters = [Section::EventFilter, Section::StreamFilter];
        Self {
            file,
            cache,
            id,
            segment_number: footer.segment_number,
            count: footer.pages,
            filters: filters.map(|section| (section, footer.extent(section))),
            per_block,
            trusts: MutantFlag::default(),
        }
    }

    /// How many pages the file has.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The byte of a section of bytes at each of three positions, if that needs no waiting. Pages of `extent` are
    /// known to be of that section, so their headers are not looked at again. A bad page, or a position beyond the
    /// section, counts as "not without waiting".
    pub(crate) fn try_bytes(&self, extent: Extent, positions: [u32; 3]) -> Option<[u8; 3]> {
        self.bytes_of(extent, positions, |block| self.try_block(block))
    }

    /// The same from cached blocks alone: nothing is read, not even from the page cache.
    pub(crate) fn cached_bytes(&self, extent: Extent, positions: [u32; 3]) -> Option<[u8; 3]> {
        self.bytes_of(extent, positions, |block| self.cache.get(self.key(block)))
    }

    fn bytes_of(
        &self,
        extent: Extent,
        positions: [u32; 3],
        block_of: impl Fn(u32) -> Option<Bytes>,
    ) -> Option<[u8; 3]> {
        let mut found = [0; 3];
        let mut last: Option<(u32, Bytes)> = None;
        for (byte, position) in found.iter_mut().zip(positions) {
            let (page, at) = extent.place(position);
            let block = page / self.per_block;
            let bytes = match last.take() {
                Some((known, bytes)) if known == block => bytes,
                _ => block_of(block)?,
            };
            let start = usize::try_from(page % self.per_block).ok()? * PAGE_LEN;
            *byte = *bytes.get(start + HEADER_LEN + at)?;
            last = Some((block, bytes));
        }
        Some(found)
    }

    /// A verified block if that needs no waiting.
    fn try_block(&self, block: u32) -> Option<Bytes> {
        match self.cache.enter(self.key(block)) {
            Entered::Hit(bytes) => Some(bytes),
            Entered::Wait(_) => None,
            Entered::Load(flight) => {
                let (offset, len) = self.range(block);
                let bytes = try_read(self.file.as_ref(), offset, len).ok().flatten()?;
                self.verify(block * self.per_block, &bytes).ok()?;
                flight.land(bytes.clone());
                Some(bytes)
            }
        }
    }

    /// The entries of a page.
    ///
    /// # Errors
    /// The disk failed, or this page is bad.
    pub(crate) async fn entries(&self, section: Section, page: u32) -> Result<Bytes, IndexError> {
        let damaged = |fault| IndexError::Damaged { section, page, fault };
        let block = page / self.per_block;
        let loaded = self.cache.get_or_load(self.key(block), || self.load(block)).await;
        match loaded {
            Ok(bytes) => slice_of(&bytes, page % self.per_block, section).map_err(damaged),
            Err(Unusable::Disk(error)) => Err(error.into()),
            Err(Unusable::Bad(bad)) if bad.page == page => Err(damaged(bad.fault)),
            Err(Unusable::Bad(_)) => self.entries_uncached(section, page).await,
        }
    }

    /// The entries of a page as the file has them now.
    ///
    /// # Errors
    /// The disk failed, or this page is bad.
    pub(crate) async fn entries_uncached(
        &self,
        section: Section,
        page: u32,
    ) -> Result<Bytes, IndexError> {
        let offset = u64::from(page) * PAGE_STEP;
        let bytes = read(self.file.as_ref(), offset, PAGE_LEN).await?;
        let place = PagePlace { segment_number: self.segment_number, page };
        let verified = if self.trusts.is_on() { Ok(()) } else { place.verify(&bytes) };
        let found = verified.and_then(|()| slice_of(&bytes, 0, section));
        found.map_err(|fault| IndexError::Damaged { section, page, fault })
    }

    async fn load(&self, block: u32) -> Result<Bytes, Unusable> {
        let (offset, len) = self.range(block);
        let bytes = read(self.file.as_ref(), offset, len).await.map_err(Unusable::Disk)?;
        self.verify(block * self.per_block, &bytes).map_err(Unusable::Bad)?;
        Ok(bytes)
    }

    fn key(&self, block: u32) -> BlockKey {
        BlockKey { file: self.id, block: block.into() }
    }

    /// Offset and length of a block in the file; the last one is short.
    fn range(&self, block: u32) -> (u64, usize) {
        let first = block * self.per_block;
        let pages = self.count.saturating_sub(first).min(self.per_block);
        (u64::from(first) * PAGE_STEP, usize::try_from(pages).unwrap_or(0) * PAGE_LEN)
    }

    /// Verifies what was read of a block that begins with page `first`.
    fn verify(&self, first: u32, bytes: &[u8]) -> Result<(), BadPage> {
        if self.trusts.is_on() {
            return Ok(());
        }
        let expected = self.count.saturating_sub(first).min(self.per_block);
        for (page, bytes) in (first..first + expected).zip(padded(bytes.chunks(PAGE_LEN))) {
            let place = PagePlace { segment_number: self.segment_number, page };
            let kind = || match self.filters.iter().find(|(_, extent)| extent.has(page)) {
                Some((section, extent)) => filter_page(bytes, *section, *extent, page),
                None => Ok(()),
            };
            place.verify(bytes).and_then(|()| kind()).map_err(|fault| BadPage { page, fault })?;
        }
        Ok(())
    }
}

impl Drop for Pages {
    /// Blocks of a file that nobody can ask for again only take room.
    fn drop(&mut self) {
        self.cache.invalidate(self.id);
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("count", &self.count).finish_non_exhaustive()
    }
}

/// A page that failed its check.
struct BadPage {
    page: u32,
    fault: PageFault,
}

/// Why a block was not loaded.
enum Unusable {
    Disk(DiskError),
    Bad(BadPage),
}

/// Endless: pages that the file does not have are empty, hence bad.
fn padded<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    chunks.chain(std::iter::repeat([].as_slice()))
}

/// Checks that a page of a filter is one, and as full as its place demands.
fn filter_page(bytes: &[u8], section: Section, extent: Extent, page: u32) -> Result<(), PageFault> {
    let len = u64::try_from(entries(bytes, section)?.len()).unwrap_or(0);
    let before =
        u64::from(page - extent.first_page) * u64::try_from(section.capacity()).unwrap_or(0);
    let full = u64::try_from(section.capacity()).unwrap_or(0);
    if len == extent.entries.saturating_sub(before).min(full) {
        return Ok(());
    }
    Err(PageFault::Content { what: "fewer fingerprints than the footer says" })
}

/// The entries of the `nth` page of a block.
fn slice_of(block: &Bytes, nth: u32, section: Section) -> Result<Bytes, PageFault> {
    let start = usize::try_from(nth).unwrap_or(usize::MAX).saturating_mul(PAGE_LEN);
    let page = block.get(start..).unwrap_or_default();
    let page = page.get(..PAGE_LEN).unwrap_or(page);
    Ok(block.slice_ref(entries(page, section)?))
}
