use proptest::prelude::*;

use super::super::frame::{self, FrameKind, LogEntry};
use super::*;

fn header() -> SegmentHeader {
    SegmentHeader {
        group: 4,
        number: 7,
        first_index: 1000,
        prev_term: 3,
        chain: 0xdead_beef,
        segment_size_bytes: 8192,
        partition_count: 32,
    }
}

#[test]
fn names_have_ten_digits_and_come_back() {
    assert_eq!(SegmentFile::Log.name(7), "0000000007.seg");
    assert_eq!(SegmentFile::Index.name(MAX_SEGMENT_NUMBER), "9999999999.idx");
    for kind in [SegmentFile::Log, SegmentFile::Index, SegmentFile::Checkpoint] {
        assert_eq!(SegmentFile::parse(&kind.name(42)), Some((kind, 42)));
    }
}

#[test]
fn other_names_are_not_segments() {
    for name in [
        "",
        "7.seg",
        "0000000000.seg",
        "0000000007.tmp",
        "0000000007",
        "+000000007.seg",
        "00000000007.seg",
        "0000000007.seg.tmp",
        "000000000a.seg",
        "state",
        ".seg",
    ] {
        assert_eq!(SegmentFile::parse(name), None, "{name}");
    }
}

#[test]
fn a_segment_header_has_these_bytes() {
    let bytes = header().encode();
    let hex: String = bytes[..64].iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = "534945525253454701000000040000000700000000000000e8030000000000000300000000000000\
        efbeadde00100000002000000000000020000000436f0fc9";
    assert_eq!(hex, expected);
    assert_eq!(bytes.len(), 4096);
    assert!(bytes[64..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_later_format_is_named() {
    let mut bytes = header().encode().to_vec();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let refused = SegmentHeaderError::Version { major: 2, minor: 0, reserved: 0 };
    assert_eq!(SegmentHeader::decode(&bytes), Err(refused));
    let mut bytes = header().encode().to_vec();
    bytes[44] = 64;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(SegmentHeader::decode(&bytes), Err(SegmentHeaderError::Length { found: 4160 }));
}

#[test]
fn a_short_or_empty_header_is_named() {
    let short = SegmentHeaderError::Short { available: 4095 };
    assert_eq!(SegmentHeader::decode(&header().encode()[..4095]), Err(short));
    let zeros = SegmentHeaderError::Magic { found: [0; 8] };
    assert_eq!(SegmentHeader::decode(&[0; 4096]), Err(zeros));
}

fn entry(len: usize) -> LogEntry {
    LogEntry::without_events(FrameKind::Control, 0, vec![1; len].into())
}

fn append(segment: &mut ActiveSegment, entry: &LogEntry, term: u64) -> Frame {
    let place = segment.place(term);
    let encoded = frame::encode(entry, place);
    segment.push(encoded.header_crc, encoded.len, term);
    let mut bytes = Vec::new();
    encoded.copy_to(&mut bytes);
    frame::decode(bytes.into(), place.offset).unwrap()
}

#[test]
fn a_frame_that_exactly_fills_a_segment_fits() {
    let mut segment = ActiveSegment::new(header());
    assert!(segment.fits(4096));
    assert!(!segment.fits(4097));
    append(&mut segment, &entry(4096 - 64 - 1), 3);
    assert_eq!(segment.end().end_offset, 8192);
    assert!(!segment.fits(8));
}

#[test]
fn the_next_segment_continues_index_term_and_chain() {
    let mut segment = ActiveSegment::new(header());
    append(&mut segment, &entry(1), 3);
    let last = append(&mut segment, &entry(2), 5);
    let rolled = segment.roll();
    let next = rolled.next_header();
    assert_eq!(
        next,
        SegmentHeader {
            number: 8,
            first_index: 1002,
            prev_term: 5,
            chain: last.header.header_crc,
            ..header()
        }
    );
    assert_eq!(ActiveSegment::resume(*segment.header(), segment.end()), segment);
}

#[test]
fn only_the_next_frame_of_the_chain_follows() {
    let mut writer = ActiveSegment::new(SegmentHeader::first(1, 8192, 32));
    let first = append(&mut writer, &entry(1), 2);
    let second = append(&mut writer, &entry(1), 2);
    let mut reader = ActiveSegment::new(SegmentHeader::first(1, 8192, 32));
    let before = reader;
    assert_eq!(reader.follow(&second), Err(LinkError::Index { expected: 2, found: 3 }));
    reader.follow(&first).unwrap();
    assert!(matches!(reader.follow(&first), Err(LinkError::Index { expected: 3, found: 2 })));
    reader.follow(&second).unwrap();
    assert_eq!(reader, writer);

    let chained = SegmentHeader { chain: 1, ..*before.header() };
    let expected = LinkError::Chain { expected: 1, found: 0 };
    assert_eq!(ActiveSegment::new(chained).follow(&first), Err(expected));
    let later = SegmentHeader { prev_term: 9, ..*before.header() };
    let expected = LinkError::Term { last: 9, found: 2 };
    assert_eq!(ActiveSegment::new(later).follow(&first), Err(expected));
    let small = SegmentHeader { segment_size_bytes: 4100, ..*before.header() };
    assert!(matches!(ActiveSegment::new(small).follow(&first), Err(LinkError::Place { .. })));
}

#[test]
#[should_panic(expected = "term 2 after 3")]
fn terms_never_decrease() {
    ActiveSegment::new(header()).place(2);
}

proptest! {
    #[test]
    fn a_header_comes_back_and_every_flipped_bit_is_noticed(
        group: u16, number: u64, first_index: u64, prev_term: u64, chain: u32,
        segment_size_bytes: u64, partition_count: u32, bit in 0..4096 * 8_usize,
    ) {
        let header = SegmentHeader {
            group, number, first_index, prev_term, chain, segment_size_bytes, partition_count,
        };
        let mut bytes = header.encode().to_vec();
        prop_assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(SegmentHeader::decode(&bytes).is_err());
    }

    #[test]
    fn arbitrary_names_and_bytes_never_panic(name: String, bytes: Vec<u8>) {
        prop_assert!(SegmentHeader::decode(&bytes).is_err());
        let _outcome = SegmentFile::parse(&name);
    }
}
