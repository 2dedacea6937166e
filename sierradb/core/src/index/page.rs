//! The page: the unit of which `.idx` files are made and in which they are verified.
//!
//! | Off | Size | Field |
//! |--:|--:|---|
//! | 0 | 4 | CRC32C of segment number (u64), page number (u32) and bytes 4..4096 |
//! | 4 | 1 | section |
//! | 5 | 1 | page version, 1 |
//! | 6 | 2 | entries in the page; for sections of bytes: bytes used |
//! | 8 | 4088 | entries, then zeros |
//!
//! The numbers in the checksum are not stored: they make a page that was written to, or read from, another place as
//! bad as one with a flipped bit.

use bytes::{Bytes, BytesMut};

/// Length of a page.
pub(crate) const PAGE_LEN: usize = 4096;
/// Bytes before the entries.
pub(super) const HEADER_LEN: usize = 8;
/// Bytes for entries.
pub(crate) const BODY_LEN: usize = PAGE_LEN - HEADER_LEN;
/// Version of the page header and of all entry layouts.
const PAGE_VERSION: u8 = 1;
/// Pages that are handed on together while a file is made.
const CHUNK_PAGES: usize = 256;

const _: () = assert!(BODY_LEN.is_multiple_of(8));
const _: () = assert!(BODY_LEN <= 65_535);

/// What a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// Hashes of event ids and idempotency keys → frame.
    Events,
    /// Hashes of streams → first version, count, postings.
    Streams,
    /// Frame offsets per stream.
    StreamPostings,
    /// Frame offsets per partition.
    PartitionPostings,
    /// Log index → term and offset.
    Log,
    /// Fingerprints over the hashes of [`Section::Events`].
    EventFilter,
    /// Fingerprints over the hashes of [`Section::Streams`].
    StreamFilter,
    /// Partitions: first sequence, count, postings.
    Partitions,
    /// First hash bits of pages.
    Fences,
    /// What the file is and where its sections lie.
    Footer,
}

impl Section {
    /// All sections but the footer, in the order of their tags.
    pub(crate) const TABLED: [Self; 9] = [
        Self::Events,
        Self::Streams,
        Self::StreamPostings,
        Self::PartitionPostings,
        Self::Log,
        Self::EventFilter,
        Self::StreamFilter,
        Self::Partitions,
        Self::Fences,
    ];

    /// The byte in the page header.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Events => 1,
            Self::Streams => 2,
            Self::StreamPostings => 3,
            Self::PartitionPostings => 4,
            Self::Log => 5,
            Self::EventFilter => 6,
            Self::StreamFilter => 7,
            Self::Partitions => 8,
            Self::Fences => 9,
            Self::Footer => 10,
        }
    }

    /// Length of an entry in bytes.
    pub(crate) const fn entry_len(self) -> usize {
        match self {
            Self::Events => 8,
            Self::Streams => 32,
            Self::Log | Self::Partitions => 24,
            Self::Fences => 4,
            Self::StreamPostings
            | Self::PartitionPostings
            | Self::EventFilter
            | Self::StreamFilter
            | Self::Footer => 1,
        }
    }

    /// Most entries in a page.
    pub(crate) const fn capacity(self) -> usize {
        BODY_LEN / self.entry_len()
    }
}

impl std::fmt::Display for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Events => "events",
            Self::Streams => "streams",
            Self::StreamPostings => "stream postings",
            Self::PartitionPostings => "partition postings",
            Self::Log => "log",
            Self::EventFilter => "event filter",
            Self::StreamFilter => "stream filter",
            Self::Partitions => "partitions",
            Self::Fences => "fences",
            Self::Footer => "footer",
        })
    }
}

/// Why a page is not what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PageFault {
    #[error("only {available} of {PAGE_LEN} bytes")]
    Short { available: usize },
    #[error("checksum {stored:#010x}, computed {computed:#010x}")]
    Checksum { stored: u32, computed: u32 },
    #[error("page version {found}, this program knows {PAGE_VERSION}")]
    Version { found: u8 },
    #[error("section {found}, expected {expected}")]
    OtherSection { expected: u8, found: u8 },
    #[error("{found} entries where {capacity} fit")]
    Entries { found: usize, capacity: usize },
    #[error("{what}")]
    Content { what: &'static str },
}

/// Splits `N` bytes off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

/// Where a page belongs; part of its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PagePlace {
    /// The segment the file belongs to.
    pub(crate) segment_number: u64,
    /// Number of the page in the file, from 0.
    pub(crate) page: u32,
}

impl PagePlace {
    /// Checksum of a page's bytes after the checksum field.
    fn checksum(self, rest: &[u8]) -> u32 {
        let mut place = [0; 12];
        if let Some((segment, page)) = place.split_first_chunk_mut::<8>() {
            *segment = self.segment_number.to_le_bytes();
            page.copy_from_slice(&self.page.to_le_bytes());
        }
        crc32c::crc32c_append(crc32c::crc32c(&place), rest)
    }

    /// Checks a page's bytes: length, checksum, version. Says nothing about its section.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn verify(self, bytes: &[u8]) -> Result<(), PageFault> {
        let short = PageFault::Short { available: bytes.len() };
        if bytes.len() != PAGE_LEN {
            return Err(short);
        }
        let mut rest = bytes;
        let stored = u32::from_le_bytes(take(&mut rest).ok_or(short)?);
        let computed = self.checksum(rest);
        if stored != computed {
            return Err(PageFault::Checksum { stored, computed });
        }
        match rest.get(1) {
            Some(&PAGE_VERSION) => Ok(()),
            found => Err(PageFault::Version { found: found.copied().unwrap_or(0) }),
        }
    }
}

/// The entries of a page of `section`, whose checksum has been verified before.
///
/// # Errors
/// The page is short, of another section, or claims more entries than fit.
pub(crate) fn entries(bytes: &[u8], section: Section) -> Result<&[u8], PageFault> {
    let short = PageFault::Short { available: bytes.len() };
    let (head, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(short)?;
    let [_, _, _, _, found, _, low, high] = *head;
    if found != section.tag() {
        return Err(PageFault::OtherSection { expected: section.tag(), found });
    }
    let count = usize::from(u16::from_le_bytes([low, high]));
    let too_many = PageFault::Entries { found: count, capacity: section.capacity() };
    if count > section.capacity() {
        return Err(too_many);
    }
    body.get(..count * section.entry_len()).ok_or(too_many)
}

/// Where a section lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    /// Number of its first page.
    pub(crate) first_page: u32,
    /// How many pages it has.
    pub(crate) pages: u32,
    /// How many entries, or bytes.
    pub(crate) entries: u64,
}

impl Extent {
    /// Whether a page belongs to the section.
    pub(crate) fn has(&self, page: u32) -> bool {
        page.checked_sub(self.first_page).is_some_and(|nth| nth < self.pages)
    }

    /// Page of the file, and byte in its entries, of a position in a section of bytes. The page may lie beyond the
    /// section if the position does.
    pub(crate) fn place(&self, position: u32) -> (u32, usize) {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let page = u32::try_from(position / BODY_LEN).unwrap_or(u32::MAX);
        (self.first_page.saturating_add(page), position % BODY_LEN)
    }
}

/// Makes the pages of one file, section after section.
pub(crate) struct PageWriter {
    segment_number: u64,
    /// Full chunks.
    done: Vec<Bytes>,
    chunk: BytesMut,
    next_page: u32,
    /// The open page's entries.
    body: Vec<u8>,
    section: Section,
    extent: Extent,
}

impl PageWriter {
    /// A file of no pages yet.
    pub(crate) fn new(segment_number: u64) -> Self {
        Self {
            segment_number,
            done: Vec::new(),
            chunk: BytesMut::new(),
            next_page: 0,
            body: Vec::with_capacity(BODY_LEN),
            section: Section::Events,
            extent: Extent::default(),
        }
    }

    /// Begins a section; the one before must be ended.
    pub(crate) fn begin(&mut self, section: Section) {
        assert!(self.body.is_empty(), "section {} has an open page", self.section);
        self.section = section;
        self.extent = Extent { first_page: self.next_page, pages: 0, entries: 0 };
    }

    /// Entries that still fit into the open page.
    pub(crate) fn room(&self) -> usize {
        (BODY_LEN - self.body.len()) / self.section.entry_len()
    }

    /// Whether the next entry is the first of a page.
    pub(crate) fn at_page_start(&self) -> bool {
        self.body.is_empty()
    }

    /// Appends one entry, on a new page if the open one is full.
    pub(crate) fn entry(&mut self, entry: &[u8]) {
        assert_eq!(entry.len(), self.section.entry_len(), "entry of section {}", self.section);
        self.body.extend_from_slice(entry);
        self.extent.entries += 1;
        if self.room() == 0 {
            self.close_page();
        }
    }

    /// Appends bytes to a section of bytes, over as many pages as they take.
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) {
        assert_eq!(self.section.entry_len(), 1, "section {} has entries", self.section);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(self.room().min(bytes.len()));
            self.body.extend_from_slice(now);
            self.extent.entries += u64::try_from(now.len()).unwrap_or(0);
            bytes = later;
            if self.room() == 0 {
                self.close_page();
            }
        }
    }

    /// Closes the open page if it has entries.
    pub(crate) fn close_page(&mut self) {
        if self.body.is_empty() {
            return;
        }
        let count = self.body.len() / self.section.entry_len();
        let count = u16::try_from(count).expect("at most 4088, asserted above");
        let mut page = [0; PAGE_LEN];
        if let Some((head, body)) = page.split_first_chunk_mut::<HEADER_LEN>() {
            let [low, high] = count.to_le_bytes();
            *head = [0, 0, 0, 0, self.section.tag(), PAGE_VERSION, low, high];
            for (to, from) in body.iter_mut().zip(&self.body) {
                *to = *from;
            }
        }
        let place = PagePlace { segment_number: self.segment_number, page: self.next_page };
        if let Some((crc, rest)) = page.split_first_chunk_mut::<4>() {
            *crc = place.checksum(rest).to_le_bytes();
        }
        if self.chunk.capacity() == 0 {
            self.chunk.reserve(CHUNK_PAGES * PAGE_LEN);
        }
        self.chunk.extend_from_slice(&page);
        if self.chunk.len() == CHUNK_PAGES * PAGE_LEN {
            self.done.push(std::mem::take(&mut self.chunk).freeze());
        }
        self.body.clear();
        self.next_page += 1;
        self.extent.pages += 1;
    }

    /// Ends the section; returns where it lies.
    pub(crate) fn end(&mut self) -> Extent {
        self.close_page();
        self.extent
    }

    /// Number of the page that comes next.
    pub(crate) fn next_page(&self) -> u32 {
        self.next_page
    }

    /// All pages, as few long pieces.
    pub(crate) fn finish(mut self) -> Vec<Bytes> {
        assert!(self.body.is_empty(), "section {} has an open page", self.section);
        if !self.chunk.is_empty() {
            self.done.push(self.chunk.freeze());
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: PagePlace = PagePlace { segment_number: 7, page: 0 };

    fn one_page(section: Section, entries: &[u8]) -> Vec<u8> {
        let mut writer = PageWriter::new(7);
        writer.begin(section);
        entries.chunks(section.entry_len()).for_each(|entry| writer.entry(entry));
        writer.end();
        writer.finish().concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn entries_come_back_and_every_flipped_bit_is_noticed(
            hashes in prop::collection::vec(any::<u64>(), 1..511),
            bit in 0..PAGE_LEN * 8,
        ) {
            let body: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            let mut page = one_page(Section::Events, &body);
            prop_assert_eq!(PLACE.verify(&page), Ok(()));
            prop_assert_eq!(entries(&page, Section::Events), Ok(body.as_slice()));
            page[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(PLACE.verify(&page).is_err());
        }

        #[test]
        fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..PAGE_LEN + 9)) {
            prop_assert!(PLACE.verify(&bytes).is_err());
            for section in Section::TABLED {
                if let Ok(found) = entries(&bytes, section) {
                    prop_assert!(found.len() <= BODY_LEN);
                }
            }
        }
    }

    #[test]
    fn a_page_from_another_place_is_refused() {
        let page = one_page(Section::Log, &[1; 24]);
        assert!(PagePlace { page: 1, ..PLACE }.verify(&page).is_err());
        assert!(PagePlace { segment_number: 8, ..PLACE }.verify(&page).is_err());
        assert_eq!(
            entries(&page, Section::Partitions),
            Err(PageFault::OtherSection { expected: 8, found: 5 })
        );
    }

    #[test]
    fn a_newer_page_version_is_refused_by_name() {
        let mut page = one_page(Section::Log, &[1; 24]);
        page[5] = 2;
        let crc = PLACE.checksum(&page[4..]);
        page[..4].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(PLACE.verify(&page), Err(PageFault::Version { found: 2 }));
    }

    #[test]
    fn the_bytes_of_a_page_never_change() {
        let page = one_page(Section::Fences, &[0xa1, 0xa2, 0xa3, 0xa4]);
        assert_eq!(page[4..13], [9, 1, 1, 0, 0xa1, 0xa2, 0xa3, 0xa4, 0]);
        assert_eq!(page[..4], PINNED_CRC);
        assert!(page[13..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn bytes_run_over_pages_and_sections_say_where_they_lie() {
        let mut writer = PageWriter::new(7);
        writer.begin(Section::StreamPostings);
        let bytes: Vec<u8> =
            (0..2 * BODY_LEN + 5).map(|i| u8::try_from(i % 253).unwrap()).collect();
        bytes.chunks(1000).for_each(|part| writer.bytes(part));
        assert_eq!(writer.end(), Extent { first_page: 0, pages: 3, entries: 2 * 4088 + 5 });
        writer.begin(Section::Log);
        assert_eq!(writer.end(), Extent { first_page: 3, pages: 0, entries: 0 });
        let file = writer.finish().concat();
        let mut read = Vec::new();
        for (number, page) in (0..).zip(file.chunks(PAGE_LEN)) {
            PagePlace { page: number, ..PLACE }.verify(page).unwrap();
            read.extend_from_slice(entries(page, Section::StreamPostings).unwrap());
        }
        assert_eq!(read, bytes);
    }

    const PINNED_CRC: [u8; 4] = [160, 89, 20, 27];
}
