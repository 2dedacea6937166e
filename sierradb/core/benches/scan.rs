//! Reads of a store of small segments, from the cache: scans of a partition and a stream, events by id, ids that
//! nobody has. All but the newest of its segments are sealed, so most answers come from index files.
//!
//! Outside a runtime whatever a read needs is done in its first poll, so no thread is woken per read.

use std::cell::Cell;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use sierradb::{Database, DatabaseOptions, Direction, PartitionId, PendingAppend, ReadRange};
use sierradb_io::os::wait;

#[path = "support/transactions.rs"]
mod support;

const EVENTS: u64 = 100_000;
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

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("reads outside a runtime do not wait")
}

fn reads(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let db = filled(&dir);
    let mut group = c.benchmark_group("read");
    let partition = PartitionId::new(0);

    let next = Cell::new(0);
    group.throughput(Throughput::Bytes(256 * 1_000));
    group.bench_function("partition_1000_events", |b| {
        b.iter(|| {
            let start = next.replace((next.get() + 1_000) % (EVENTS - 1_000));
            let batch = now(db.read_partition(partition, range(start, 1_000))).expect("readable");
            assert_eq!(black_box(batch).events.len(), 1_000);
        });
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("stream_10_events", |b| {
        b.iter(|| {
            let nth = next.replace((next.get() + 7_919) % EVENTS);
            let (stream_id, _) = support::stream(support::stream_of(nth));
            let batch = now(db.read_stream(partition, &stream_id, range(0, 10)));
            assert_eq!(black_box(batch.expect("readable")).events.len(), 10);
        });
    });
    group.bench_function("event_by_id", |b| {
        b.iter(|| {
            let nth = next.replace((next.get() + 7_919) % EVENTS);
            let event = now(db.read_event(support::event_id(nth))).expect("readable");
            assert!(black_box(event).is_some());
        });
    });
    group.bench_function("absent_id", |b| {
        b.iter(|| {
            let nth = next.replace(next.get() + 1);
            let event = now(db.read_event(support::event_id(EVENTS + nth))).expect("readable");
            assert!(black_box(event).is_none());
        });
    });
    group.finish();
    wait(db.close());
}

criterion_group!(benches, reads);
criterion_main!(benches);
