//! The embedded database on real files, as a program uses it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use sierradb::limits::MAX_TIMESTAMP_NS;
use sierradb::{
    AppendError, Arrival, CurrentVersion, Database, DatabaseOptions, DefaultKey, Direction,
    EventDraft, EventName, ExpectedVersion, IdOrigin, NewEvent, ReadRange, StreamId, Transaction,
};
use uuid::Uuid;

fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    sierradb_io::os::wait(future)
}

fn key_of(stream: &str) -> Uuid {
    sierradb_protocol::id::default_partition_key(stream.as_bytes())
}

fn event(stream: &str, expected: ExpectedVersion, payload: &[u8]) -> NewEvent {
    NewEvent {
        event_id: sierradb::id::uuid_v7_with_partition_hash(7),
        stream_id: StreamId::new(stream).unwrap(),
        stream_version: expected,
        event_name: "Happened".into(),
        timestamp: 1_729_247_400_000_000_000,
        payload: payload.to_vec(),
        metadata: vec![],
    }
}

fn one(stream: &str, expected: ExpectedVersion, payload: &[u8]) -> Transaction {
    let key = key_of(stream);
    Transaction::new(key, key, vec![event(stream, expected, payload)]).unwrap()
}

fn small() -> DatabaseOptions {
    DatabaseOptions { segment_size_bytes: 128 << 10, ..DatabaseOptions::default() }
}

#[test]
fn what_was_appended_is_read_back_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let stream = StreamId::new("user-123").unwrap();
    let id = {
        let db = Database::open(dir.path()).unwrap();
        let result = wait(db.append_events(one("user-123", ExpectedVersion::Empty, b"a"))).unwrap();
        assert_eq!((result.first_partition_sequence, result.partition_id.get()), (0, 21));
        assert!(!result.duplicate);
        wait(db.close());
        result.events[0].event_id
    };
    let db = Database::open(dir.path()).unwrap();
    let partition = db.partition_of_key(key_of("user-123"));
    let found = wait(db.read_event(id)).unwrap().unwrap();
    assert_eq!((found.payload.as_ref(), found.stream_version), (b"a".as_ref(), 0));
    assert_eq!(wait(db.stream_version(partition, &stream)).unwrap(), Some(0));
    assert_eq!(db.partition_sequence(partition).unwrap(), Some(0));
    let refused = wait(db.append_events(one("user-123", ExpectedVersion::Empty, b"b")));
    assert!(matches!(
        refused,
        Err(AppendError::WrongVersion { current: CurrentVersion::Current(0), .. })
    ));
}

#[test]
fn scans_over_many_segments_give_every_event_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let streams = ["s1", "s2", "s3", "orders", "my-stream", "é"];
    let count = 400u64;
    {
        let db = small().open(dir.path()).unwrap();
        for version in 0..count {
            let pending: Vec<_> = streams
                .iter()
                .map(|stream| {
                    let expected = match version.checked_sub(1) {
                        Some(last) => ExpectedVersion::Exact(last),
                        None => ExpectedVersion::Empty,
                    };
                    let payload = format!("{stream}-{version}-{}", "x".repeat(500));
                    db.begin_append(one(stream, expected, payload.as_bytes()))
                })
                .collect();
            for answer in pending {
                let result = wait(answer).unwrap();
                assert_eq!(result.events[0].stream_version, version);
            }
        }
        check(&db, &streams, count);
        assert!(db.stats().buckets.iter().any(|bucket| bucket.sealed > 0));
    } // dropped without close, like a crash
    let db = small().open(dir.path()).unwrap();
    check(&db, &streams, count);
    wait(db.close());
    drop(db);
    let db = small().open(dir.path()).unwrap();
    check(&db, &streams, count);
}

fn check(db: &Database, streams: &[&str], count: u64) {
    for name in streams {
        let partition = db.partition_of_key(key_of(name));
        let stream = StreamId::new(*name).unwrap();
        let all = wait(db.read_stream(partition, &stream, ReadRange::from(0, 10_000))).unwrap();
        assert!(!all.has_more);
        let versions: Vec<u64> = all.events.iter().map(|event| event.stream_version).collect();
        assert_eq!(versions, (0..count).collect::<Vec<_>>(), "{name}");
        for event in &all.events {
            let start = format!("{name}-{}-x", event.stream_version);
            assert!(event.payload.starts_with(start.as_bytes()));
        }
        let back = ReadRange { direction: Direction::Backward, ..ReadRange::from(0, 10_000) };
        let mut reversed = wait(db.read_stream(partition, &stream, back)).unwrap().events;
        reversed.reverse();
        assert_eq!(reversed, all.events);
        let page = ReadRange { start: 17, end: 20, ..ReadRange::from(0, 3) };
        let page = wait(db.read_stream(partition, &stream, page)).unwrap();
        assert_eq!((page.events.len(), page.has_more), (3, true));
        let last = all.events.last().unwrap();
        assert_eq!(wait(db.read_event(last.event_id)).unwrap().as_ref(), Some(last));
        let first = all.events.first().unwrap();
        assert_eq!(wait(db.read_event(first.event_id)).unwrap().as_ref(), Some(first));
        let sequence = db.partition_sequence(partition).unwrap().unwrap();
        let scanned =
            wait(db.read_partition(partition, ReadRange::from(0, 100_000))).unwrap().events;
        let sequences: Vec<u64> = scanned.iter().map(|event| event.partition_sequence).collect();
        assert_eq!(sequences, (0..=sequence).collect::<Vec<_>>());
    }
}

#[test]
fn the_same_ids_get_the_first_answer_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = small().open(dir.path()).unwrap();
    let transaction = one("orders", ExpectedVersion::Empty, b"paid");
    let first = wait(db.append_events(transaction.clone())).unwrap();
    let again = wait(db.append_events(transaction.clone())).unwrap();
    assert!(again.duplicate);
    assert_eq!(sierradb::AppendResult { duplicate: false, ..again }, first);
    let other = {
        let mut event = event("orders", ExpectedVersion::Any, b"other");
        event.event_id = first.events[0].event_id;
        let key = key_of("orders");
        Transaction::new(key, key, vec![event]).unwrap()
    };
    let refused = wait(db.append_events(other));
    assert!(matches!(refused, Err(AppendError::Duplicate { .. })), "{refused:?}");
}

#[test]
fn an_append_in_flight_answers_its_retry_and_holds_back_refusals() {
    let dir = tempfile::tempdir().unwrap();
    let db = small().open(dir.path()).unwrap();
    let transaction = one("orders", ExpectedVersion::Empty, b"paid");
    let first = db.begin_append(transaction.clone());
    let retry = db.begin_append(transaction);
    let late = db.begin_append(one("orders", ExpectedVersion::Empty, b"late"));
    let (first, retry, late) = (wait(first).unwrap(), wait(retry).unwrap(), wait(late));
    assert_eq!(first.first_partition_sequence, retry.first_partition_sequence);
    assert!(matches!(
        late,
        Err(AppendError::WrongVersion { current: CurrentVersion::Current(0), .. })
    ));
}

#[test]
fn a_watch_sees_the_append() {
    let dir = tempfile::tempdir().unwrap();
    let db = small().open(dir.path()).unwrap();
    let partition = db.partition_of_key(key_of("orders"));
    let watch = db.watch(partition).unwrap();
    let pending = db.begin_append(one("orders", ExpectedVersion::Any, b"x"));
    assert_eq!(wait(watch.past(0)), 1);
    wait(pending).unwrap();
}

#[test]
fn another_partition_count_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    drop(small().open(dir.path()).unwrap());
    let other = DatabaseOptions { partition_count: 64, ..small() };
    // The first database's tasks may hold the lock for a moment longer than its handle lives.
    let error = loop {
        match other.clone().open(dir.path()) {
            Err(sierradb::OpenError::Locked { .. }) => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(
        error.to_string(),
        "partition.count is 64 but the data directory was created with 32; it cannot be changed"
    );
}

#[test]
fn a_second_opener_is_told_who_is_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let _db = small().open(dir.path()).unwrap();
    let error = small().open(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("is in use by another process"), "{error}");
}

#[test]
fn a_transaction_over_several_streams_is_numbered_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let db = small().open(dir.path()).unwrap();
    let key = Uuid::from_u128(0x550e_8400_e29b_41d4_a716_4466_5544_0000);
    let draft = |stream: &str, expected| EventDraft {
        event_id: sierradb::id::uuid_v7_with_partition_hash(1),
        id_origin: IdOrigin::Assigned,
        stream_id: StreamId::new(stream).unwrap(),
        expected,
        event_name: EventName::new("E").unwrap(),
        timestamp_ns: None,
        payload: bytes::Bytes::from_static(b"p"),
        metadata: bytes::Bytes::new(),
        extensions: bytes::Bytes::new(),
    };
    let events = vec![
        draft("a", ExpectedVersion::Empty),
        draft("b", ExpectedVersion::Empty),
        draft("a", ExpectedVersion::Exact(0)),
    ];
    let result =
        wait(db.append_events(Transaction::from_drafts(key, key, events).unwrap())).unwrap();
    assert_eq!(result.stream_versions().collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!((result.first_partition_sequence, result.last_partition_sequence), (0, 2));
    let events = vec![draft("a", ExpectedVersion::Exact(1)), draft("b", ExpectedVersion::Empty)];
    let refused = wait(db.append_events(Transaction::from_drafts(key, key, events).unwrap()));
    assert!(matches!(refused, Err(AppendError::WrongVersion { .. })));
    let partition = db.partition_of_key(key);
    assert_eq!(db.partition_sequence(partition).unwrap(), Some(2));
    let events = wait(db.read_partition(partition, ReadRange::from(0, 10))).unwrap().events;
    assert!(events.iter().all(|event| event.transaction_id == events[0].transaction_id));
}

#[test]
fn an_append_that_claims_to_come_after_all_time_gets_the_latest_timestamp() {
    let dir = tempfile::tempdir().unwrap();
    let io = sierradb_io::Io::os();
    let db = wait(Database::open_with(io.clone(), dir.path(), small())).unwrap();
    let key = DefaultKey::of(&StreamId::new("s").unwrap());
    let draft = EventDraft {
        event_id: sierradb::id::uuid_v7_with_partition_hash(1),
        id_origin: IdOrigin::Assigned,
        stream_id: StreamId::new("s").unwrap(),
        expected: ExpectedVersion::Empty,
        event_name: EventName::new("E").unwrap(),
        timestamp_ns: None,
        payload: bytes::Bytes::new(),
        metadata: bytes::Bytes::new(),
        extensions: bytes::Bytes::new(),
    };
    let transaction = Transaction::with_default_key(&key, vec![draft]).unwrap();
    let arrival = Arrival { now: io.clock().now(), wall_ns: u64::MAX };
    let stored = wait(db.begin_append_at(transaction, arrival)).unwrap();
    assert_eq!(stored.events[0].timestamp_ns, MAX_TIMESTAMP_NS);
    let read = wait(db.read_event(stored.events[0].event_id)).unwrap().unwrap();
    assert_eq!(read.timestamp_ns, MAX_TIMESTAMP_NS);
    wait(db.close());
}
