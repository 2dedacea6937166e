//! Doors to the codecs for fuzzers and benchmarks. No part of the interface that programs may rely on.

use bytes::Bytes;
use uuid::Uuid;

use crate::segment::event_codec::{
    EventFlags, NewEventRef, decode_transaction, encode_transaction, event_keys,
};
use crate::segment::extension;
use crate::segment::file::{ActiveSegment, SegmentHeader};
use crate::segment::frame::{self, Frame, LogEntry};

/// Frames of one event each, as a segment would hold them, in memory.
#[derive(Debug)]
pub struct FrameRow {
    segment: ActiveSegment,
    bytes: Vec<u8>,
}

impl FrameRow {
    /// No frames yet; there is room for `segment_size_bytes` less the segment header.
    pub fn new(segment_size_bytes: u64) -> Self {
        let segment = ActiveSegment::new(SegmentHeader::first(1, segment_size_bytes, 32));
        Self { segment, bytes: Vec::new() }
    }

    /// Encodes an event with this payload, as the planner and the writer do, and appends its frame; starts anew
    /// when the segment is full.
    pub fn push(&mut self, payload: &[u8]) {
        let sequence = self.segment.end().next_index;
        let event = NewEventRef {
            event_id: Uuid::from_u128(u128::from(sequence)),
            stream_version: sequence,
            timestamp_ns: sequence,
            flags: EventFlags::ID_ASSIGNED,
            stream_id: b"account-12345678",
            name: b"MoneyTransferred",
            extensions: &[],
            metadata: &[],
            payload,
        };
        let body = encode_transaction(Uuid::from_u128(1), sequence, &[event]);
        let entry = LogEntry::transaction(1, 1, sequence, sequence - 1, body);
        if !self.segment.fits(entry.frame_len()) {
            *self = Self::new(self.segment.header().segment_size_bytes);
        }
        let term = self.segment.end().last_term;
        let encoded = frame::encode(&entry, self.segment.place(term));
        encoded.copy_to(&mut self.bytes);
        self.segment.push(encoded.header_crc, encoded.len, term);
    }

    /// The frames so far, without the segment header.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.bytes)
    }
}

/// The frames that `bytes` start with, up to the first bad one.
fn frames(mut bytes: Bytes) -> impl Iterator<Item = Frame> {
    std::iter::from_fn(move || {
        let header = frame::decode_header(&bytes).ok()?;
        let len = usize::try_from(header.frame_len()).ok().filter(|len| *len <= bytes.len())?;
        frame::decode_body(header, bytes.split_to(len), 0).ok()
    })
}

/// Decodes frames and their events, each part a slice; returns how many events and how many bytes of payload.
pub fn scan_events(bytes: Bytes) -> (u64, u64) {
    let (mut count, mut payload_bytes) = (0, 0);
    for frame in frames(bytes) {
        let Ok(transaction) = decode_transaction(&frame) else { continue };
        for event in transaction.events().flatten() {
            count += 1;
            payload_bytes += u64::try_from(event.payload.len()).unwrap_or(u64::MAX);
        }
    }
    (count, payload_bytes)
}

/// Decodes frames and what an index needs of their events; returns how many events and the sum of their versions.
pub fn scan_keys(bytes: Bytes) -> (u64, u64) {
    let (mut count, mut versions) = (0, 0_u64);
    for frame in frames(bytes) {
        let Ok((_, keys)) = event_keys(&frame) else { continue };
        for event in keys.flatten() {
            count += 1;
            versions = versions.wrapping_add(event.stream_version);
        }
    }
    (count, versions)
}

/// Gives arbitrary bytes to every codec of the log; none may panic.
///
/// # Panics
/// If a codec does.
pub fn decode_anything(bytes: &[u8]) -> (u64, u64) {
    let shared = Bytes::copy_from_slice(bytes);
    let mut decoded = 0;
    decoded += u64::from(SegmentHeader::decode(bytes).is_ok());
    decoded += u64::from(LogEntry::from_bytes(shared.clone()).is_ok());
    decoded += u64::from(extension::decode(&shared).is_ok());
    // The same bytes as a frame's body, with checksums that hold, so that the events are looked at.
    if let Some((count, body)) = shared.split_first_chunk::<2>() {
        let event_count = u16::from_le_bytes(*count).max(1);
        let entry = LogEntry::transaction(1, event_count, 0, 0, Bytes::copy_from_slice(body));
        let place = ActiveSegment::new(SegmentHeader::first(1, 1 << 20, 1)).place(1);
        let mut frame = Vec::new();
        frame::encode(&entry, place).copy_to(&mut frame);
        decoded += scan_events(frame.into()).0;
    }
    (decoded, scan_events(shared).0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_gives_back_its_events() {
        let mut row = FrameRow::new(1 << 20);
        for _ in 0..100 {
            row.push(&[7; 256]);
        }
        let bytes = row.into_bytes();
        assert_eq!(scan_events(bytes.clone()), (100, 25_600));
        assert_eq!(scan_keys(bytes), (100, (2..102).sum()));
    }

    #[test]
    fn a_full_row_starts_anew() {
        let mut row = FrameRow::new(64 << 10);
        for _ in 0..1000 {
            row.push(&[7; 256]);
        }
        assert!(row.into_bytes().len() < 60 << 10);
    }

    proptest! {
        #[test]
        fn no_codec_panics(bytes: Vec<u8>) {
            let (_, frames) = decode_anything(&bytes);
            prop_assert_eq!(frames, 0);
        }
    }
}
