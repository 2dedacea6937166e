//! First page of a checkpoint file. All numbers little endian.
//!
//! | Off | Size | Field |
//! |--:|--:|---|
//! | 0 | 8 | `SIERRCKP` |
//! | 8 | 2+2 | major 1, minor 0 |
//! | 12 | 2+2 | group (0 meta, bucket b = b+1), 0 |
//! | 16 | 8 | segment number |
//! | 24 | 8 | first log index of the segment |
//! | 32 | 8 | hash seed: the deltas hold hashes made with it |
//! | 40 | 20 | 0 |
//! | 60 | 4 | CRC32C of 0..60 |
//! | 64 | 4032 | 0 |

use bytes::{Buf, BufMut};

/// Pages of this file have as many bytes as those of `.idx` files and as a segment's header.
pub(crate) const PAGE_LEN: usize = 4_096;

const MAGIC: u64 = u64::from_le_bytes(*b"SIERRCKP");
const MAJOR: u16 = 1;
const MINOR: u16 = 0;

/// Bytes before the checksum.
const CHECKED_LEN: usize = 60;

/// Which segment, of which database, a checkpoint belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointHeader {
    /// 0 for the meta group, `b + 1` for bucket `b`.
    pub(crate) group: u16,
    pub(crate) segment: u64,
    /// Log index of the segment's first frame.
    pub(crate) first_index: u64,
    /// The manifest's; a rebuilt manifest may have another one.
    pub(crate) hash_seed: u64,
}

/// Why a page is not the header of a checkpoint that this version can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CheckpointHeaderError {
    #[error("checkpoint header has {available} bytes instead of 4096")]
    Short { available: usize },
    #[error("checkpoint header: checksum {actual:#010x}, stored {stored:#010x}")]
    Checksum { stored: u32, actual: u32 },
    #[error("not a checkpoint file: it begins with {found:#018x}")]
    Magic { found: u64 },
    #[error("checkpoint format {major}.x is newer than this version, which knows 1.x")]
    Version { major: u16 },
    #[error("checkpoint header: a reserved byte is not zero")]
    Reserved,
}

impl CheckpointHeader {
    /// The page, 4096 bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE_LEN);
        page.put_u64_le(MAGIC);
        page.put_u16_le(MAJOR);
        page.put_u16_le(MINOR);
        page.put_u16_le(self.group);
        page.put_u16_le(0);
        page.put_u64_le(self.segment);
        page.put_u64_le(self.first_index);
        page.put_u64_le(self.hash_seed);
        page.resize(CHECKED_LEN, 0);
        page.put_u32_le(crc32c::crc32c(&page));
        page.resize(PAGE_LEN, 0);
        page
    }

    /// Reads the first page of a file.
    ///
    /// # Errors
    /// If any bit of it is not as `encode` wrote it, or a newer major version wrote it.
    pub(crate) fn decode(page: &[u8]) -> Result<Self, CheckpointHeaderError> {
        let short = CheckpointHeaderError::Short { available: page.len() };
        let (page, _) = page.split_at_checked(PAGE_LEN).ok_or(short)?;
        let (mut fields, mut rest) = page.split_at_checked(CHECKED_LEN).ok_or(short)?;
        let (stored, actual) = (rest.get_u32_le(), crc32c::crc32c(fields));
        if stored != actual {
            return Err(CheckpointHeaderError::Checksum { stored, actual });
        }
        let found = fields.get_u64_le();
        if found != MAGIC {
            return Err(CheckpointHeaderError::Magic { found });
        }
        let (major, _minor) = (fields.get_u16_le(), fields.get_u16_le());
        if major != MAJOR {
            return Err(CheckpointHeaderError::Version { major });
        }
        let group = fields.get_u16_le();
        let reserved = fields.get_u16_le();
        let header = Self {
            group,
            segment: fields.get_u64_le(),
            first_index: fields.get_u64_le(),
            hash_seed: fields.get_u64_le(),
        };
        if reserved != 0 || fields.iter().chain(rest).any(|byte| *byte != 0) {
            return Err(CheckpointHeaderError::Reserved);
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: CheckpointHeader = CheckpointHeader {
        group: 0x0102,
        segment: 7,
        first_index: 0x1122_3344,
        hash_seed: 0x8877_6655_4433_2211,
    };

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written(group: u16, segment: u64, first_index: u64, hash_seed: u64) {
            let header = CheckpointHeader { group, segment, first_index, hash_seed };
            prop_assert_eq!(CheckpointHeader::decode(&header.encode()), Ok(header));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, at in 0..PAGE_LEN) {
            let mut page = EXAMPLE.encode();
            page.splice(at.., bytes);
            prop_assert!(CheckpointHeader::decode(&page).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let mut page = EXAMPLE.encode();
        for bit in 0..PAGE_LEN * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(CheckpointHeader::decode(&page).is_err(), "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn its_bytes_never_change() {
        let page = EXAMPLE.encode();
        let mut expected = b"SIERRCKP\x01\0\0\0\x02\x01\0\0\x07\0\0\0\0\0\0\0".to_vec();
        expected.extend(b"\x44\x33\x22\x11\0\0\0\0\x11\x22\x33\x44\x55\x66\x77\x88");
        expected.resize(60, 0);
        expected.extend(PINNED_CRC);
        assert_eq!(&page[..64], expected);
        assert_eq!(page.len(), PAGE_LEN);
    }

    const PINNED_CRC: [u8; 4] = [174, 37, 95, 69];
}
