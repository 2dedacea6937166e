//! Reads of a store of small segments, from the cache: scans of a partition and a stream, events by id, ids that
//! nobody has. All but the newest of its segments are sealed, so most answers come from index files.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sierradb::{Database, DatabaseOptions, Direction, PartitionId, PendingAppend, ReadRange};
use sierradb_io::Io;
use sierradb_io::os::wait;

#[path = "support/transactions.rs"]
mod support;

const EVENTS: u64 = 100_000;
/// Events between two reads, so that neighbours do not share a block.
const STRIDE: u64 = 7_919;
const SEGMENT_BYTES: u64 = 2 << 20;

fn filled(dir: &tempfile::TempDir) -> Database {
    let options = DatabaseOptions {
        bucket_count: 1,
        partition_count: 1,
        segment_size_bytes: SEGMENT_BYTES,
        max_transaction_bytes: None,
        ..DatabaseOptions::default()
    };
    let db = options.open(dir.path()).expect("a new directory opens");
    wait(async {
        for first in (0..EVENTS).step_by(500) {
            let begun: Vec<PendingAppend> = (first..first + 500)
                .map(|nth| db.begin_append(support::transaction(nth)))
                .collect();
            for append in begun {
                append.await.expect("appended");
            }
        }
    });
    db
}

fn range(start: u64, max_events: usize) -> ReadRange {
    let (end, direction, max_bytes) = (u64::MAX, Direction::Forward, 64 << 20);
    ReadRange { start, end, direction, max_events, max_bytes }
}

/// Time of `rounds` steps, one after another, on one thread that may block.
fn timed<F: Future<Output = ()> + Send>(
    rounds: u64,
    step: impl Fn(u64) -> F + Send + Sync,
) -> Duration {
    wait(async {
        let io = Io::os();
        let begun = io.clock().now();
        for round in 0..rounds {
            step(round).await;
        }
        io.clock().now().since(begun)
    })
}

async fn scan_partition(db: &Database, round: u64) {
    let start = round * 1_000 % (EVENTS - 1_000);
    let batch = db.read_partition(PartitionId::new(0), range(start, 1_000)).await;
    assert_eq!(black_box(batch).expect("readable").events.len(), 1_000);
}

async fn read_stream(db: &Database, round: u64) {
    let (stream_id, _) = support::stream(support::stream_of(round * STRIDE % EVENTS));
    let batch = db.read_stream(PartitionId::new(0), &stream_id, range(0, 10)).await;
    assert_eq!(black_box(batch).expect("readable").events.len(), 10);
}

async fn read_event(db: &Database, round: u64) {
    let event = db.read_event(support::event_id(round * STRIDE % EVENTS)).await;
    assert!(black_box(event).expect("readable").is_some());
}

async fn miss_event(db: &Database, round: u64) {
    let event = db.read_event(support::event_id(EVENTS + round)).await;
    assert!(black_box(event).expect("readable").is_none());
}

fn reads(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let db = filled(&dir);
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Bytes(256 * 1_000));
    group.bench_function("partition_1000_events", |b| {
        b.iter_custom(|rounds| timed(rounds, |round| scan_partition(&db, round)));
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("stream_10_events", |b| {
        b.iter_custom(|rounds| timed(rounds, |round| read_stream(&db, round)));
    });
    group.bench_function("event_by_id", |b| {
        b.iter_custom(|rounds| timed(rounds, |round| read_event(&db, round)));
    });
    group.bench_function("absent_id", |b| {
        b.iter_custom(|rounds| timed(rounds, |round| miss_event(&db, round)));
    });
    group.finish();
    let buckets = db.stats().buckets;
    assert!(buckets.iter().all(|bucket| bucket.sealed > 10), "most of it is sealed");
    wait(db.close());
}

criterion_group!(benches, reads);
criterion_main!(benches);
