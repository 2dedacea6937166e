//! The last page of an `.idx` file: what it indexes, and where its sections lie.
//!
//! | Off | Size | Field | | Off | Size | Field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 8 | `SIERRIDX` | | 80 | 8 | events |
//! | 8 | 2+2 | major 1, minor 0 | | 88 | 8 | frames |
//! | 12 | 1+3 | offset bits; 0 | | 96 | 4 | end chain: header checksum of the last frame |
//! | 16 | 8 | segment number | | 100 | 4 | pages of the file, this one included |
//! | 24 | 8 | hash seed | | 104 | 16 | xxh3-128 of the `.seg` file |
//! | 32 | 8 | first index | | 120 | 20 | event filter: seed u64, segment length, segments' length, fingerprints u32 |
//! | 40 | 8 | last index | | 140 | 20 | stream filter, likewise; no fingerprints = no filter |
//! | 48 | 8 | last term | | 160 | 9 × 16 | sections by tag: first page u32, pages u32, entries u64 |
//! | 56 | 8 | smallest append time, ns | | 304 | | end |
//! | 64 | 8 | largest append time, ns | | | | |
//! | 72 | 8 | used length of the segment | | | | |

use super::build::MAX_OFFSET_BITS;
use super::filter::FilterShape;
use super::page::{Extent, PAGE_LEN, PageFault, PagePlace, Section, entries, take};

/// First bytes of the footer.
const MAGIC: [u8; 8] = *b"SIERRIDX";
/// Layout that older programs cannot read.
const MAJOR: u16 = 1;
/// Additions that they can.
const MINOR: u16 = 0;

/// What an `.idx` file says about its segment and itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Low bits of an entry of the E section that hold the offset / 8.
    pub(crate) offset_bits: u8,
    /// Number of the segment.
    pub(crate) segment_number: u64,
    /// Seed of all hashes in the file.
    pub(crate) hash_seed: u64,
    /// Log index of the first frame.
    pub(crate) first_index: u64,
    /// Log index of the last frame; `first_index - 1` if there is none.
    pub(crate) last_index: u64,
    /// Term of the last frame; 0 if there is none.
    pub(crate) last_term: u64,
    /// Smallest append time of an event in nanoseconds; 0 if there is none.
    pub(crate) min_append_ns: u64,
    /// Largest append time of an event in nanoseconds; 0 if there is none.
    pub(crate) max_append_ns: u64,
    /// Length of the sealed segment in bytes.
    pub(crate) used_len: u64,
    /// Events in the segment.
    pub(crate) events: u64,
    /// Frames in the segment.
    pub(crate) frames: u64,
    /// Header checksum of the last frame.
    pub(crate) end_chain: u32,
    /// Pages of this file.
    pub(crate) pages: u32,
    /// xxh3-128 of the segment file.
    pub(crate) segment_digest: u128,
    /// Filter over the hashes of the E section; `None` = ask the section itself.
    pub(crate) event_filter: Option<FilterShape>,
    /// Filter over the hashes of the S section; `None` = ask the section itself.
    pub(crate) stream_filter: Option<FilterShape>,
    /// Extents of [`Section::TABLED`], in that order.
    pub(crate) sections: [Extent; 9],
}

impl Footer {
    /// Where a section lies; nowhere for the footer itself.
    pub(crate) fn extent(&self, section: Section) -> Extent {
        let at = usize::from(section.tag()).wrapping_sub(1);
        self.sections.get(at).copied().unwrap_or_default()
    }

    /// The entries of the footer page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(MAGIC);
        out.extend(MAJOR.to_le_bytes());
        out.extend(MINOR.to_le_bytes());
        out.extend([self.offset_bits, 0, 0, 0]);
        let numbers = [
            self.segment_number,
            self.hash_seed,
            self.first_index,
            self.last_index,
            self.last_term,
            self.min_append_ns,
            self.max_append_ns,
            self.used_len,
            self.events,
            self.frames,
        ];
        out.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        out.extend(self.end_chain.to_le_bytes());
        out.extend(self.pages.to_le_bytes());
        out.extend(self.segment_digest.to_le_bytes());
        for filter in [self.event_filter, self.stream_filter] {
            let shape = filter.unwrap_or(FilterShape {
                seed: 0,
                segment_length: 0,
                segment_count_length: 0,
                len: 0,
            });
            out.extend(shape.seed.to_le_bytes());
            let lengths = [shape.segment_length, shape.segment_count_length, shape.len];
            out.extend(lengths.into_iter().flat_map(u32::to_le_bytes));
        }
        for extent in self.sections {
            out.extend(extent.first_page.to_le_bytes());
            out.extend(extent.pages.to_le_bytes());
            out.extend(extent.entries.to_le_bytes());
        }
        out
    }

    /// Reads and verifies the last page of a file of `pages` pages.
    ///
    /// # Errors
    /// The page is damaged, of a newer format, or contradicts itself.
    pub(crate) fn decode(page: &[u8], pages: u32) -> Result<Self, FooterFault> {
        let mut body = entries(page, Section::Footer)?;
        let segment_number = body.get(16..24).and_then(|bytes| bytes.first_chunk::<8>());
        let segment_number = segment_number.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let last = pages.checked_sub(1).ok_or(PageFault::Short { available: 0 })?;
        PagePlace { segment_number, page: last }.verify(page)?;
        let magic: [u8; 8] = take(&mut body).unwrap_or_default();
        if magic != MAGIC {
            return Err(FooterFault::Magic { found: magic });
        }
        let versions = take::<2>(&mut body).zip(take::<2>(&mut body));
        let Some((major, minor)) = versions else {
            return Err(PageFault::Short { available: page.len() }.into());
        };
        let (major, minor) = (u16::from_le_bytes(major), u16::from_le_bytes(minor));
        if major != MAJOR {
            return Err(FooterFault::Version { major, minor });
        }
        let footer = Self::fields(&mut body);
        let footer = footer.ok_or(PageFault::Short { available: page.len() })?;
        footer.check(pages)?;
        Ok(footer)
    }

    fn fields(body: &mut &[u8]) -> Option<Self> {
        let [offset_bits, ..] = take::<4>(body)?;
        Some(Self {
            offset_bits,
            segment_number: take(body).map(u64::from_le_bytes)?,
            hash_seed: take(body).map(u64::from_le_bytes)?,
            first_index: take(body).map(u64::from_le_bytes)?,
            last_index: take(body).map(u64::from_le_bytes)?,
            last_term: take(body).map(u64::from_le_bytes)?,
            min_append_ns: take(body).map(u64::from_le_bytes)?,
            max_append_ns: take(body).map(u64::from_le_bytes)?,
            used_len: take(body).map(u64::from_le_bytes)?,
            events: take(body).map(u64::from_le_bytes)?,
            frames: take(body).map(u64::from_le_bytes)?,
            end_chain: take(body).map(u32::from_le_bytes)?,
            pages: take(body).map(u32::from_le_bytes)?,
            segment_digest: take(body).map(u128::from_le_bytes)?,
            event_filter: shape(body)?,
            stream_filter: shape(body)?,
            sections: {
                let mut sections = [Extent::default(); 9];
                for extent in &mut sections {
                    *extent = Extent {
                        first_page: take(body).map(u32::from_le_bytes)?,
                        pages: take(body).map(u32::from_le_bytes)?,
                        entries: take(body).map(u64::from_le_bytes)?,
                    };
                }
                sections
            },
        })
    }

    /// What every file that a builder made fulfils, and every reader relies on.
    fn check(&self, pages: u32) -> Result<(), FooterFault> {
        if self.pages != pages {
            return Err(FooterFault::Length { expected: self.pages, found: pages });
        }
        if self.offset_bits > MAX_OFFSET_BITS {
            return Err(FooterFault::Content { what: "more than 32 offset bits" });
        }
        for (section, extent) in Section::TABLED.iter().zip(self.sections) {
            let end = u64::from(extent.first_page) + u64::from(extent.pages);
            let most = u64::from(extent.pages) * u64::try_from(section.capacity()).unwrap_or(0);
            if end >= u64::from(pages) && extent.pages > 0 || extent.entries > most {
                return Err(FooterFault::Content { what: "a section larger than the file" });
            }
        }
        let filters = [
            (self.event_filter, Section::EventFilter),
            (self.stream_filter, Section::StreamFilter),
        ];
        for (filter, section) in filters {
            let stored = self.extent(section).entries;
            let sound =
                filter.is_none_or(|shape| shape.is_sound() && u64::from(shape.len) == stored);
            if !sound {
                return Err(FooterFault::Content { what: "a filter of impossible shape" });
            }
        }
        Ok(())
    }
}

/// A filter's shape; inner `None` if the file has none. Outer `None`: bytes are missing.
fn shape(body: &mut &[u8]) -> Option<Option<FilterShape>> {
    let shape = FilterShape {
        seed: take(body).map(u64::from_le_bytes)?,
        segment_length: take(body).map(u32::from_le_bytes)?,
        segment_count_length: take(body).map(u32::from_le_bytes)?,
        len: take(body).map(u32::from_le_bytes)?,
    };
    Some((shape.len > 0).then_some(shape))
}

/// Why a file has no usable footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FooterFault {
    #[error(transparent)]
    Page(#[from] PageFault),
    #[error("begins with {found:02x?}")]
    Magic { found: [u8; 8] },
    #[error("format {major}.{minor}, this program reads {MAJOR}.x")]
    Version { major: u16, minor: u16 },
    #[error("{found} pages, the footer says {expected}")]
    Length { expected: u32, found: u32 },
    #[error("{what}")]
    Content { what: &'static str },
}

const _: () = assert!(304 <= PAGE_LEN - 8);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page::PageWriter;
    use super::*;

    fn sample() -> Footer {
        let mut sections = [Extent::default(); 9];
        sections[0] = Extent { first_page: 0, pages: 2, entries: 600 };
        sections[5] = Extent { first_page: 2, pages: 1, entries: 12 };
        Footer {
            offset_bits: 25,
            segment_number: 7,
            hash_seed: 0x5eed,
            first_index: 2,
            last_index: 101,
            last_term: 3,
            min_append_ns: 1_000,
            max_append_ns: 2_000,
            used_len: 70_000,
            events: 600,
            frames: 100,
            end_chain: 0xc4a1,
            pages: 4,
            segment_digest: 0xd1_9e57,
            event_filter: Some(FilterShape {
                seed: 9,
                segment_length: 4,
                segment_count_length: 4,
                len: 12,
            }),
            stream_filter: None,
            sections,
        }
    }

    fn page_of(footer: &Footer) -> Vec<u8> {
        let mut writer = PageWriter::new(footer.segment_number);
        for page in 1..footer.pages {
            writer.begin(Section::Log);
            writer.entry(&[0; 24]);
            assert_eq!(writer.end().first_page, page - 1);
        }
        writer.begin(Section::Footer);
        writer.bytes(&footer.encode());
        writer.end();
        writer.finish().concat().split_off(usize::try_from(footer.pages - 1).unwrap() * PAGE_LEN)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_footer_comes_back_and_every_flipped_bit_is_noticed(
            numbers: [u64; 9], digest: u128, bit in 0..PAGE_LEN * 8,
        ) {
            let [segment_number, hash_seed, first_index, last_index, last_term, used_len, events,
                min_append_ns, max_append_ns] = numbers;
            let footer = Footer {
                segment_number, hash_seed, first_index, last_index, last_term, used_len, events,
                min_append_ns, max_append_ns, segment_digest: digest, ..sample()
            };
            let mut page = page_of(&footer);
            prop_assert_eq!(Footer::decode(&page, 4), Ok(footer));
            page[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Footer::decode(&page, 4).is_err());
        }

        #[test]
        fn nothing_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), pages: u32) {
            let mut page = page_of(&sample());
            page[8..8 + bytes.len()].copy_from_slice(&bytes);
            prop_assert!(Footer::decode(&page, pages).is_err());
            prop_assert!(Footer::decode(&bytes, pages).is_err());
        }
    }

    #[test]
    fn the_bytes_of_a_footer_never_change() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), 304);
        assert_eq!(crc32c::crc32c(&bytes), PINNED);
        assert_eq!(bytes[..16], *b"SIERRIDX\x01\0\0\0\x19\0\0\0");
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: fn(&mut Footer)| {
            let mut footer = sample();
            change(&mut footer);
            Footer::decode(&page_of(&footer), footer.pages).unwrap_err()
        };
        let content = |what| FooterFault::Content { what };
        assert_eq!(refused(|f| f.offset_bits = 33), content("more than 32 offset bits"));
        let large = content("a section larger than the file");
        assert_eq!(refused(|f| f.sections[0].pages = 9), large);
        assert_eq!(refused(|f| f.sections[4].entries = 1), large);
        assert_eq!(
            refused(|f| f.sections[5].entries = 11),
            content("a filter of impossible shape")
        );
        let page = page_of(&sample());
        assert!(matches!(Footer::decode(&page, 5), Err(FooterFault::Page(_))));
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let footer = sample();
        let mut body = footer.encode();
        body[8] = 2;
        let mut writer = PageWriter::new(7);
        writer.begin(Section::Footer);
        writer.bytes(&body);
        writer.end();
        let page = writer.finish().concat();
        assert_eq!(Footer::decode(&page, 1), Err(FooterFault::Version { major: 2, minor: 0 }));
    }

    const PINNED: u32 = 3_462_813_994;
}
