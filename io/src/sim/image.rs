//! Bytes of a file as sparse copy-on-write pages: a zero page costs nothing, a snapshot shares all pages.
//!
//! Invariant: bytes at and beyond `len` are zero.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::num::{to_u64, to_usize};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;
/// The same, for file positions.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// One page; shared until somebody writes to it.
pub(crate) type Page = Arc<[u8; PAGE]>;

/// Content and length of a file at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pages: BTreeMap<u64, Page>,
    len: u64,
}

impl Image {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Cuts, or extends with zeros.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero(len, self.len - len);
        }
        self.len = len;
    }

    /// Makes the file at least `len` bytes long.
    pub(crate) fn extend_to(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Copies from `offset`; absent pages and everything beyond the end read as zeros.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) {
        let mut rest = buf;
        let mut at = offset;
        while !rest.is_empty() {
            let (page_no, within) = (at / PAGE_BYTES, to_usize(at % PAGE_BYTES));
            let take = rest.len().min(PAGE - within);
            let (now, later) = rest.split_at_mut(take);
            match self.pages.get(&page_no).and_then(|page| page.get(within..within + take)) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            at += to_u64(take);
            rest = later;
        }
    }

    /// Stores `data` at `offset`. Does not change the length: lengths are journaled apart from data.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        let mut rest = data;
        let mut at = offset;
        while !rest.is_empty() {
            let (page_no, within) = (at / PAGE_BYTES, to_usize(at % PAGE_BYTES));
            let (now, later) = rest.split_at(rest.len().min(PAGE - within));
            self.write_page(page_no, within, now);
            at += to_u64(now.len());
            rest = later;
        }
    }

    fn write_page(&mut self, page_no: u64, within: usize, data: &[u8]) {
        match self.pages.get_mut(&page_no) {
            Some(page) => {
                if let Some(to) = Arc::make_mut(page).get_mut(within..within + data.len()) {
                    to.copy_from_slice(data);
                }
            }
            None if data.iter().all(|byte| *byte == 0) => {}
            None => {
                let mut page = [0; PAGE];
                if let Some(to) = page.get_mut(within..within + data.len()) {
                    to.copy_from_slice(data);
                }
                self.pages.insert(page_no, Arc::new(page));
            }
        }
    }

    /// Makes a range read as zeros. Costs by the pages there are, not by the length of the range.
    pub(crate) fn zero(&mut self, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        let whole = offset.div_ceil(PAGE_BYTES)..end / PAGE_BYTES;
        if whole.start < whole.end {
            let gone: Vec<u64> = self.pages.range(whole).map(|(number, _)| *number).collect();
            for number in gone {
                self.pages.remove(&number);
            }
        }
        for number in [offset / PAGE_BYTES, end / PAGE_BYTES] {
            let start = number * PAGE_BYTES;
            let from = to_usize(offset.max(start) - start);
            let to = to_usize(end.min(start + PAGE_BYTES) - start);
            if let Some(page) = self.pages.get_mut(&number)
                && from < to
                && let Some(bytes) = Arc::make_mut(page).get_mut(from..to)
            {
                bytes.fill(0);
            }
        }
    }

    /// Numbers of the pages with content in a byte range.
    pub(crate) fn pages_in(&self, offset: u64, len: u64) -> impl Iterator<Item = u64> + '_ {
        let end = offset.saturating_add(len);
        let last = if len == 0 { offset / PAGE_BYTES } else { end.div_ceil(PAGE_BYTES) };
        self.pages.range(offset / PAGE_BYTES..last).map(|(number, _)| *number)
    }

    /// A page, unless it is all zero and never written.
    pub(crate) fn page(&self, number: u64) -> Option<&Page> {
        self.pages.get(&number)
    }

    /// Puts a page in place; `None` makes it zero.
    pub(crate) fn put_page(&mut self, number: u64, page: Option<Page>) {
        match page {
            Some(page) => self.pages.insert(number, page),
            None => self.pages.remove(&number),
        };
    }

    /// The whole content.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; to_usize(self.len)];
        self.read(0, &mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_mebibytes_of_zeros_cost_no_page() {
        let mut image = Image::default();
        image.set_len(16 << 20);
        image.zero(0, 16 << 20);
        image.write(4096, &[0; 65_536]);
        assert!(image.pages.is_empty());
        assert_eq!(image.len(), 16 << 20);
    }

    #[test]
    fn a_snapshot_keeps_its_bytes() {
        let mut image = Image::default();
        image.set_len(10_000);
        image.write(4_000, &[7; 200]);
        let before = image.clone();
        image.write(4_050, &[8; 100]);
        assert_eq!(before.to_vec()[4_000..4_200], [7; 200]);
        assert_eq!(image.to_vec()[4_049..4_051], [7, 8]);
    }

    #[test]
    fn bytes_beyond_a_shrink_are_gone_when_it_grows_again() {
        let mut image = Image::default();
        image.set_len(9_000);
        image.write(0, &[1; 9_000]);
        image.set_len(100);
        image.set_len(9_000);
        let bytes = image.to_vec();
        assert!(bytes[..100].iter().all(|byte| *byte == 1));
        assert!(bytes[100..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn zeroing_inside_one_page_leaves_its_neighbours() {
        let mut image = Image::default();
        image.set_len(4_096);
        image.write(0, &[1; 4_096]);
        image.zero(10, 5);
        let bytes = image.to_vec();
        assert_eq!(bytes[9..16], [1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes.iter().filter(|byte| **byte == 0).count(), 5);
    }
}
