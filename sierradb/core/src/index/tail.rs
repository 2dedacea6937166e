//! What is read of an `.idx` file to open it: its last pages.

use bytes::Bytes;
use sierradb_io::{DiskError, File};

use super::footer::{Footer, FooterFault};
use super::page::{PAGE_LEN, PagePlace, Section, entries};
use super::pages::IndexError;
use crate::read::fetch::read;

/// What the first read of an opening file fetches; covers all that is pinned for segments of usual size.
const TAIL_LEN: u64 = 64 << 10;

/// The end of a file, from some page on.
pub(super) struct Tail {
    bytes: Bytes,
    first_page: u32,
    /// Pages of the whole file.
    pub(super) pages: u32,
}

impl Tail {
    /// Reads the last pages, as many as one read brings.
    ///
    /// # Errors
    /// The disk failed, or the file is not made of pages.
    pub(super) async fn read(file: &dyn File) -> Result<Self, IndexError> {
        let len = file.len().await?;
        let page_len = u64::try_from(PAGE_LEN).unwrap_or(1);
        let pages = u32::try_from(len / page_len).ok().filter(|_| len.is_multiple_of(page_len));
        let pages =
            pages.filter(|pages| *pages > 0).ok_or(IndexError::Footer(FooterFault::Content {
                what: "not a whole number of pages, at least one",
            }))?;
        let first = len.saturating_sub(TAIL_LEN);
        let first_page = u32::try_from(first / page_len).unwrap_or(0);
        Ok(Self { bytes: Self::range(file, first_page, pages).await?, first_page, pages })
    }

    /// The same tail, read again if it does not begin at `page` or before.
    pub(super) async fn cover(self, file: &dyn File, page: u32) -> Result<Self, DiskError> {
        if page >= self.first_page {
            return Ok(self);
        }
        Ok(Self {
            bytes: Self::range(file, page, self.pages).await?,
            first_page: page,
            pages: self.pages,
        })
    }

    async fn range(file: &dyn File, first: u32, end: u32) -> Result<Bytes, DiskError> {
        let pages = usize::try_from(end - first).unwrap_or(0);
        let offset = u64::from(first) * u64::try_from(PAGE_LEN).unwrap_or(1);
        read(file, offset, pages.saturating_mul(PAGE_LEN)).await
    }

    fn page(&self, page: u32) -> &[u8] {
        let nth = page.checked_sub(self.first_page).and_then(|nth| usize::try_from(nth).ok());
        nth.and_then(|nth| self.bytes.chunks(PAGE_LEN).nth(nth)).unwrap_or_default()
    }

    /// The page that holds the footer.
    pub(super) fn last_page(&self) -> &[u8] {
        self.page(self.pages - 1)
    }

    /// All entries of a section in the tail, verified.
    pub(super) fn section(&self, footer: &Footer, section: Section) -> Result<Vec<u8>, IndexError> {
        let extent = footer.extent(section);
        let mut joined = Vec::new();
        for page in extent.first_page..extent.first_page.saturating_add(extent.pages) {
            let place = PagePlace { segment_number: footer.segment_number, page };
            let bytes = self.page(page);
            let found = place.verify(bytes).and_then(|()| entries(bytes, section));
            joined.extend(found.map_err(|fault| IndexError::Damaged { section, page, fault })?);
        }
        Ok(joined)
    }
}
