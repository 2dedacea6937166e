use proptest::prelude::*;

use super::*;

fn place(offset: u64) -> FramePlace {
    FramePlace { index: 7, term: 3, prev_crc: 0xdead_beef, offset }
}

fn entry(body: &[u8]) -> LogEntry {
    LogEntry::transaction(5, 2, 41, 6, Bytes::copy_from_slice(body))
}

fn bytes_of(frame: &EncodedFrame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.copy_to(&mut out);
    out
}

#[test]
fn a_frame_has_these_bytes() {
    let entry = entry(b"sixteen+bytes+xx");
    let encoded = encode(&entry, place(4096));
    let hex: String = bytes_of(&encoded).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
}

const GOLDEN: &str = "53465231dd80a9481ff214bf10000000efbeadde0500020029000000000000000600000000000000\
    0700000000000000030000000000000000000000000002017369787465656e2b62797465732b78780808080808080808";

#[test]
fn a_log_entry_has_these_bytes() {
    let hex: String = entry(b"body").to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN_ENTRY);
}

const GOLDEN_ENTRY: &str =
    "48bf428b50c93f26040000000500020029000000000000000600000000000000000000000002626f6479";

#[test]
fn frames_are_aligned_and_end_in_their_pad_length() {
    for len in 0..40_usize {
        let entry = entry(&vec![1; len]);
        let encoded = encode(&entry, place(8));
        let bytes = bytes_of(&encoded);
        assert_eq!(encoded.len, bytes.len() as u64);
        assert_eq!(bytes.len() % 8, 0);
        assert_eq!(usize::from(bytes[bytes.len() - 1]), bytes.len() - 64 - len);
        assert_eq!(encoded.chunks().concat(), bytes);
    }
}

#[test]
fn a_frame_appended_is_the_frame_encoded() {
    let zeros = entry(&[0; 2000]);
    for entry in [entry(b"body"), entry(&[7; 64]), entry(&[]), zeros] {
        let encoded = encode(&entry, place(4096));
        let mut out = b"before".to_vec();
        assert_eq!(append(&entry, place(4096), &mut out), encoded.header_crc);
        assert_eq!(out.strip_prefix(b"before"), Some(bytes_of(&encoded).as_slice()));
    }
}

#[test]
#[should_panic(expected = "changed in memory")]
fn a_body_that_changed_in_memory_is_not_appended() {
    let mut entry = entry(b"before");
    entry.body = Bytes::from_static(b"behind");
    append(&entry, place(8), &mut Vec::new());
}

#[test]
fn kinds_without_events_have_no_partition() {
    let entry = LogEntry::without_events(FrameKind::NoOp, 9, Bytes::new());
    let decoded = decode(bytes_of(&encode(&entry, place(16))).into(), 16).unwrap();
    assert_eq!(decoded.entry(), entry);
    assert_eq!(decoded.end_offset(), 16 + 72);
}

#[test]
#[should_panic(expected = "changed in memory")]
fn a_body_that_changed_in_memory_is_not_written() {
    let mut entry = entry(b"before");
    entry.body = Bytes::from_static(b"behind");
    encode(&entry, place(8));
}

#[test]
#[should_panic(expected = "breaks a rule")]
fn a_transaction_without_events_is_not_made() {
    LogEntry::transaction(1, 0, 0, 0, Bytes::new());
}

/// A header whose checksum is right again after `change`.
fn resealed(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = bytes_of(&encode(&entry(b"body"), place(8)));
    change(&mut bytes);
    let crc = crc32c::crc32c(&bytes[8..64]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn what_a_later_release_may_write_is_named() {
    let refused = |change: fn(&mut [u8])| decode_header(&resealed(change)).unwrap_err();
    assert_eq!(refused(|b| b[63] = 2), FrameError::Version { found: 2 });
    assert_eq!(refused(|b| b[62] = 9), FrameError::Kind { found: 9 });
    assert_eq!(refused(|b| b[61] = 8), FrameError::Mask { found: 8 });
    assert_eq!(refused(|b| b[60] = 1), FrameError::Codec { codec: 1, raw_len: 0 });
    assert_eq!(refused(|b| b[48] = 0), FrameError::Term { index: 7 });
    assert!(matches!(refused(|b| b[22] = 0), FrameError::Events { event_count: 0, .. }));
    assert!(matches!(refused(|b| b[62] = 1), FrameError::Events { kind: FrameKind::NoOp, .. }));
}

#[test]
fn a_frame_cut_short_says_how_much_is_missing() {
    let bytes = Bytes::from(bytes_of(&encode(&entry(&[7; 100]), place(8))));
    for len in 0..bytes.len() {
        let needed = if len < 64 { 64 } else { 168 };
        assert_eq!(
            decode(bytes.slice(..len), 8),
            Err(FrameError::Short { needed, available: len }),
            "{len} bytes"
        );
    }
}

#[test]
fn a_pad_is_verified() {
    let mut bytes = bytes_of(&encode(&entry(b"body"), place(8)));
    bytes[68] ^= 1;
    assert!(matches!(decode(bytes.into(), 8), Err(FrameError::Pad { .. })));
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    prop_oneof![
        prop::collection::vec(byte, 0..1500),
        prop::collection::vec(any::<u8>(), 0..100),
        (0..2000_usize).prop_map(|len| vec![0; len]),
    ]
}

proptest! {
    #[test]
    fn a_frame_comes_back(
        body in any_body(), slot in 0..256_u64, index: u64, term in 1_u64.., more in 0..9_usize,
    ) {
        let entry = entry(&body);
        let place = FramePlace { index, term, prev_crc: 1, offset: slot * 8 };
        let encoded = encode(&entry, place);
        let mut bytes = bytes_of(&encoded);
        bytes.extend(vec![0; more]);
        let frame = decode(bytes.into(), place.offset).unwrap();
        prop_assert_eq!(frame.entry(), entry.clone());
        prop_assert_eq!(frame.header.index, index);
        prop_assert_eq!(frame.header.term, term);
        prop_assert_eq!(frame.header.header_crc, encoded.header_crc);
        prop_assert_eq!(frame.header.frame_len(), encoded.len);
        prop_assert_eq!(frame.header.next_sequence(), 43);
        prop_assert_eq!(frame.end_offset(), place.offset + encoded.len);
    }

    #[test]
    fn no_slice_of_a_written_frame_is_zero(body in any_body(), slot in 0..64_u64) {
        let offset = 4096 + slot * 8;
        let entry = entry(&body);
        let encoded = encode(&entry, place(offset));
        let bytes = bytes_of(&encoded);
        let first = usize::try_from(SECTOR - offset % SECTOR).unwrap();
        let (head, rest) = bytes.split_at(first.min(bytes.len()));
        for slice in std::iter::once(head).chain(rest.chunks(512)) {
            prop_assert!(slice.iter().filter(|byte| **byte != 0).count() >= 2);
        }
        prop_assert!(encoded.header[61] != mask::NONE_HELPS);
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed(body in any_body(), bit: prop::sample::Index) {
        let mut bytes = bytes_of(&encode(&entry(&body), place(4096)));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode(bytes.into(), 4096).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_log_entry_is_noticed(body in any_body(), bit: prop::sample::Index) {
        let entry = entry(&body);
        let mut bytes = entry.to_bytes().to_vec();
        prop_assert_eq!(LogEntry::from_bytes(bytes.clone().into()).unwrap(), entry);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(LogEntry::from_bytes(bytes.into()).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, fields: [u8; 56]) {
        prop_assert!(decode(bytes.clone().into(), 0).is_err());
        prop_assert!(LogEntry::from_bytes(bytes.into()).is_err());
        // The same with a right checksum, so that the fields are looked at.
        let mut sealed = b"SFR1".to_vec();
        sealed.extend(crc32c::crc32c(&fields).to_le_bytes());
        sealed.extend(fields);
        let _outcome = decode(sealed.into(), 0);
    }
}
