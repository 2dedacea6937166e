//! Rot in frames that were good when they were written: what it hides, who is told, and that appends stay right.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use sierradb::{
    Database, DatabaseOptions, Direction, ExpectedVersion, NewEvent, PartitionId, ReadRange,
    StreamId, Transaction,
};
use sierradb_io::Io;
use sierradb_io::sim::{SimHost, run};
use uuid::Uuid;

const DIR: &str = "/data";
const KEY: Uuid = Uuid::from_u128(1);
const PARTITION: PartitionId = PartitionId::new(0);

fn options() -> DatabaseOptions {
    DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: 64 << 10,
        min_free_bytes: 0,
        ..DatabaseOptions::default()
    }
}

async fn open(host: &SimHost) -> (Io, Database) {
    let io = host.boot();
    let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
    (io, db)
}

/// The event of sequence `n`: of stream `a` if `n` is even, else of `b`.
fn transaction(n: u64) -> Transaction {
    let event = NewEvent {
        event_id: Uuid::from_u128(u128::from(n) + 1_000),
        stream_id: stream(n % 2),
        stream_version: ExpectedVersion::Any,
        event_name: "Happened".into(),
        timestamp: 1,
        payload: vec![7; 1000],
        metadata: vec![],
    };
    Transaction::new(KEY, KEY, vec![event]).unwrap()
}

fn stream(n: u64) -> StreamId {
    StreamId::new(["a", "b"][usize::try_from(n).unwrap()]).unwrap()
}

async fn append(db: &Database, sequences: std::ops::Range<u64>) {
    for n in sequences {
        let result = db.append_events(transaction(n)).await.unwrap();
        assert_eq!((result.first_partition_sequence, result.duplicate), (n, false));
        assert_eq!(result.events[0].stream_version, n / 2);
    }
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("buckets/00000/{number:010}.seg"))
}

/// Offsets of the frames in a segment file.
fn frames(host: &SimHost, number: u64) -> Vec<u64> {
    let bytes = host.current_image(segment(number)).unwrap();
    let found = bytes.chunks(8).zip((0..).step_by(8));
    found.filter(|(step, _)| step.starts_with(b"SFR1")).map(|(_, offset)| offset).collect()
}

/// Flips a bit in the body of a frame.
fn rot(host: &SimHost, number: u64, offset: u64) {
    assert!(host.flip_bit(segment(number), offset + 200, 3));
}

/// Waits until every rolled segment is sealed.
async fn settle(io: &Io, db: &Database) {
    for _ in 0..100 {
        let stats = db.stats();
        if stats.buckets[0].sealed + 1 == stats.buckets[0].segments {
            return;
        }
        io.sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_damaged_first_frame_hides_no_later_event_of_its_stream() {
    run(1, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..100).await;
        settle(&io, &db).await;
        db.close().await;
        let places = frames(&host, 1);
        // The first frame of stream a and, of stream b, the first and the last one.
        let last_of_b = if places.len() % 2 == 0 { places.len() - 1 } else { places.len() - 2 };
        for nth in [0, 1, last_of_b] {
            rot(&host, 1, places[nth]);
        }
        let (_, db) = open(&host).await;
        let read = async |name: u64, range| db.read_stream(PARTITION, &stream(name), range).await;
        for name in [0, 1] {
            let Err(error) = read(name, ReadRange::from(0, 10)).await else {
                unreachable!("the first event of the stream is damaged");
            };
            let text = error.to_string();
            let offset = places[usize::try_from(name).unwrap()];
            let place = format!("in bucket 0 segment 1 at offset {offset}");
            assert!(text.contains("position 0 of stream") && text.contains(&place), "{text}");
            let batch = read(name, ReadRange::from(1, 10)).await.unwrap();
            let versions: Vec<u64> = batch.events.iter().map(|it| it.stream_version).collect();
            assert_eq!(versions, (1..11).collect::<Vec<u64>>());
            let newest = ReadRange { direction: Direction::Backward, ..ReadRange::from(0, 100) };
            let batch = read(name, newest).await.unwrap();
            assert_eq!((batch.events[0].stream_version, batch.has_more), (49, true));
            assert_eq!(db.stream_version(PARTITION, &stream(name)).await, Ok(Some(49)));
        }
        let damaged = db.stats().buckets[0].damaged.clone();
        let expected = [0, 1, last_of_b].map(|nth| (1, places[nth]));
        let found: Vec<_> = damaged.iter().map(|it| (it.segment, it.offset)).collect();
        assert_eq!(found, expected, "each place is noted once");
        append(&db, 100..110).await;
        db.close().await;
    });
}
