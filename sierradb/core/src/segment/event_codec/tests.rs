use proptest::prelude::*;

use super::super::frame::{self, FramePlace, LogEntry};
use super::*;

#[derive(Debug, Clone)]
struct Owned {
    id: u128,
    version: u64,
    time: u64,
    flags: u16,
    parts: [Vec<u8>; 5],
}

impl Owned {
    fn borrow(&self) -> NewEventRef<'_> {
        let [stream_id, name, extensions, metadata, payload] = &self.parts;
        NewEventRef {
            event_id: Uuid::from_u128(self.id),
            stream_version: self.version,
            timestamp_ns: self.time,
            flags: EventFlags(self.flags),
            stream_id,
            name,
            extensions,
            metadata,
            payload,
        }
    }
}

fn event(id: u128, parts: [&[u8]; 5]) -> Owned {
    Owned { id, version: 3, time: 4, flags: 1, parts: parts.map(<[u8]>::to_vec) }
}

fn frame_of(body: Bytes, event_count: u16) -> Frame {
    let entry = LogEntry::transaction(1, event_count, 10, 0, body);
    let place = FramePlace { index: 2, term: 1, prev_crc: 0, offset: 4096 };
    let mut bytes = Vec::new();
    frame::encode(&entry, place).copy_to(&mut bytes);
    frame::decode(bytes.into(), 4096).unwrap()
}

fn written(events: &[Owned]) -> Frame {
    let refs: Vec<_> = events.iter().map(Owned::borrow).collect();
    let body = encode_transaction(Uuid::from_u128(0xaa), 99, &refs);
    assert_eq!(body.len(), encoded_len(&refs));
    frame_of(body, u16::try_from(events.len()).unwrap())
}

fn assert_same(view: &EventView, event: &Owned) {
    let read = Owned {
        id: view.event_id.as_u128(),
        version: view.stream_version,
        time: view.timestamp_ns,
        flags: view.flags.0,
        parts: [&view.stream_id, &view.name, &view.extensions, &view.metadata, &view.payload]
            .map(|part| part.to_vec()),
    };
    assert_eq!(format!("{read:?}"), format!("{event:?}"));
}

#[test]
fn a_transaction_has_these_bytes() {
    let events = [
        event(1, [b"order-1", b"Created", b"", b"{}", b"payload"]),
        event(2, [b"s", b"", &[1, 0, 1, 0, b't'], b"", b""]),
    ];
    let refs: Vec<_> = events.iter().map(Owned::borrow).collect();
    let body = encode_transaction(Uuid::from_u128(0x0102), 0x0304, &refs);
    let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
}

const GOLDEN: &str = "0000000000000000000000000000010204030000000000000000000000000000000000000000000\
    10300000000000000040000000000000007000000020000000000070701006f726465722d31437265617465647b7d706\
    1796c6f61640000000000000000000000000000000203000000000000000400000000000000000000000000000005000\
    1000100730100010074";

#[test]
fn flags_combine() {
    let both = EventFlags::TIMESTAMP_ASSIGNED.with(EventFlags::ID_ASSIGNED);
    assert!(both.contains(EventFlags::ID_ASSIGNED));
    assert!(!EventFlags::NONE.contains(EventFlags::ID_ASSIGNED));
    assert_eq!(both.0, 3);
}

#[test]
fn parts_are_slices_of_the_frame() {
    let frame = written(&[event(1, [b"stream", b"name", b"", b"meta", &[7; 1000]])]);
    let view = decode_event(&frame, 0).unwrap();
    let range = frame.body.as_ptr_range();
    assert!(range.contains(&view.payload.as_ptr()));
    assert!(range.contains(&view.stream_id.as_ptr()));
}

#[test]
fn an_event_that_is_not_there_is_named() {
    let frame = written(&[event(1, [b"s", b"n", b"", b"", b""])]);
    let missing = EventError::Missing { position: 1, event_count: 1 };
    assert_eq!(decode_event(&frame, 1), Err(missing));
}

#[test]
fn other_kinds_hold_no_events() {
    let entry = LogEntry::without_events(FrameKind::NoOp, 0, Bytes::new());
    let place = FramePlace { index: 2, term: 1, prev_crc: 0, offset: 4096 };
    let mut bytes = Vec::new();
    frame::encode(&entry, place).copy_to(&mut bytes);
    let frame = frame::decode(bytes.into(), 4096).unwrap();
    let refused = EventError::Kind { kind: FrameKind::NoOp };
    assert_eq!(decode_transaction(&frame), Err(refused.clone()));
    assert_eq!(event_keys(&frame).err(), Some(refused.clone()));
    assert_eq!(decode_event(&frame, 0), Err(refused));
}

#[test]
fn bytes_behind_the_last_event_are_an_error() {
    let whole = written(&[event(1, [b"s", b"n", b"", b"", b""])]).body;
    let frame = frame_of([whole.as_ref(), b"x"].concat().into(), 1);
    let read: Vec<_> = decode_transaction(&frame).unwrap().events().collect();
    assert!(read[0].is_ok());
    assert_eq!(read[1..], [Err(EventError::Trailing { trailing: 1 })]);
}

#[test]
fn a_body_cut_short_is_an_error_and_the_end() {
    let whole = written(&[event(1, [b"s", b"n", b"e", b"m", b"p"])]).body;
    for len in 24..whole.len() {
        let frame = frame_of(whole.slice(..len), 2);
        let read: Vec<_> = decode_transaction(&frame).unwrap().events().collect();
        assert_eq!(read.len(), 1, "{len} bytes");
        assert!(matches!(read[0], Err(EventError::Short { position: 0, .. })));
    }
    let frame = frame_of(whole.slice(..23), 1);
    assert_eq!(decode_transaction(&frame), Err(EventError::Header { available: 23 }));
}

fn any_event() -> impl Strategy<Value = Owned> {
    let part = |min, max| prop::collection::vec(any::<u8>(), min..max);
    let parts = (part(1, 256), part(0, 256), part(0, 60), part(0, 60), part(0, 300));
    (any::<u128>(), any::<u64>(), any::<u64>(), any::<u16>(), parts).prop_map(
        |(id, version, time, flags, (stream, name, extensions, metadata, payload))| Owned {
            id,
            version,
            time,
            flags,
            parts: [stream, name, extensions, metadata, payload],
        },
    )
}

proptest! {
    #[test]
    fn a_transaction_comes_back(events in prop::collection::vec(any_event(), 1..6)) {
        let frame = written(&events);
        let view = decode_transaction(&frame).unwrap();
        prop_assert_eq!(view.partition_key, Uuid::from_u128(0xaa));
        prop_assert_eq!(view.append_time_ns, 99);
        let (key, keys) = event_keys(&frame).unwrap();
        prop_assert_eq!(key, view.partition_key);
        let keys: Vec<_> = keys.map(Result::unwrap).collect();
        let views: Vec<_> = view.events().map(Result::unwrap).collect();
        prop_assert_eq!(views.len(), events.len());
        for (position, event) in (0..).zip(&events) {
            let view = &views[usize::from(position)];
            assert_same(view, event);
            prop_assert_eq!(view.position, position);
            prop_assert_eq!(&decode_event(&frame, position).unwrap(), view);
            let keys = &keys[usize::from(position)];
            prop_assert_eq!(&EventView::new(keys, &frame.body), view);
        }
    }

    #[test]
    fn arbitrary_bodies_never_panic(body: Vec<u8>, event_count in 1..4_u16) {
        let frame = frame_of(body.into(), event_count);
        if let Ok(view) = decode_transaction(&frame) {
            prop_assert!(view.events().count() <= usize::from(event_count) + 1);
        }
        let _outcome = decode_event(&frame, event_count - 1);
    }
}
