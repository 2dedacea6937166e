//! A segment file of format 1.0, kept as it was first written: later releases must read it, and write the same.

use bytes::Bytes;
use uuid::Uuid;

use super::event_codec::{EventFlags, NewEventRef, decode_transaction, encode_transaction};
use super::extension::{self, Extension};
use super::frame::{Frame, FrameKind, LogEntry};
use super::reader::{FrameReader, read_segment_header};
use super::testing::{TestSegment, file, now};

const FILE: &[u8] = include_bytes!("../../tests/fixtures/v1/0000000001.seg");

fn event<'a>(id: u128, version: u64, extensions: &'a [u8], payload: &'a [u8]) -> NewEventRef<'a> {
    NewEventRef {
        event_id: Uuid::from_u128(id),
        stream_version: version,
        timestamp_ns: 1_700_000_000_000_000_000,
        flags: EventFlags::TIMESTAMP_ASSIGNED,
        stream_id: b"order-42",
        name: b"OrderPlaced",
        extensions,
        metadata: b"{}",
        payload,
    }
}

/// A no-op, two events with an extension, and a payload of zeros that needs a mask.
fn written() -> TestSegment {
    let mut log = TestSegment::first(64 << 10);
    log.push_entry(&LogEntry::without_events(FrameKind::NoOp, 1, Bytes::new()));
    let tag = extension::insert(&Bytes::new(), &Extension::Tag("eu".to_owned())).unwrap();
    let (first, second) = (event(1, 0, &tag, b"first"), event(2, 1, &[], b"second"));
    let key = Uuid::from_u128(0xfeed);
    let body = encode_transaction(key, 1_700_000_000_000_000_001, &[first, second]);
    log.push_entry(&LogEntry::transaction(7, 2, 0, 2, body));
    log.term = 3;
    let zeros = [0; 1000];
    let body = encode_transaction(key, 1_700_000_000_000_000_002, &[event(3, 2, &[], &zeros)]);
    log.push_entry(&LogEntry::transaction(7, 1, 2, 3, body));
    log
}

#[test]
fn segments_are_written_as_in_format_1_0() {
    assert_eq!(written().bytes, FILE);
}

#[test]
fn a_segment_of_format_1_0_is_read() {
    let disk = file(FILE.to_vec());
    assert_eq!(now(read_segment_header(disk.as_ref())).as_ref(), Ok(written().segment.header()));
    let start = TestSegment::first(64 << 10).segment;
    let mut reader = now(FrameReader::open(disk, start)).unwrap();
    let frames: Vec<Frame> = std::iter::from_fn(|| now(reader.next()).unwrap()).collect();
    let kinds: Vec<_> = frames.iter().map(|frame| frame.header.kind).collect();
    assert_eq!(kinds, [FrameKind::NoOp, FrameKind::Transaction, FrameKind::Transaction]);
    assert_eq!((frames[2].header.mask, frames[2].header.term), (1, 3));
    let view = decode_transaction(&frames[1]).unwrap();
    assert_eq!(view.partition_key, Uuid::from_u128(0xfeed));
    let events: Vec<_> = view.events().map(Result::unwrap).collect();
    assert_eq!(events[0].payload, b"first"[..]);
    let tags = extension::decode(&events[0].extensions).unwrap();
    assert_eq!(tags, [Extension::Tag("eu".to_owned())]);
    assert_eq!((events[1].stream_version, &events[1].payload[..]), (1, &b"second"[..]));
    assert_eq!(reader.segment().end(), written().segment.end());
}
