//! Appends to a real directory: one after another (each waits for its own sync), and many at a time (they share one).
//!
//! `bare` writes and syncs frames of the same size without a store: the device's part of the first number.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sierradb::{DatabaseOptions, PendingAppend};
use sierradb_io::os::wait;
use sierradb_io::{DiskError, Io, OpenOptions};

#[path = "support/transactions.rs"]
mod support;

const FRAME_BYTES: usize = 400;
/// A power of two of sectors.
const ROOM: u64 = 16 << 20;
const ROOM_LEN: usize = 16 << 20;

fn bare(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("bare");
    let io = Io::os();
    let frame = Bytes::from(vec![0x5a; FRAME_BYTES]);
    c.bench_function("append/bare_write_and_sync", |b| {
        b.iter_custom(|rounds| {
            wait(async {
                let file = io.disk().open(&path, OpenOptions::OPEN_OR_CREATE).await?;
                // Written zeros, as the store makes its space ready: unwritten extents cost each sync a conversion.
                file.write_all_at(vec![Bytes::from(vec![0; ROOM_LEN])], 0).await?;
                file.sync_data().await?;
                let begun = io.clock().now();
                for round in 0..rounds {
                    file.write_all_at(vec![frame.clone()], round * 512 % ROOM).await?;
                    file.sync_data().await?;
                }
                Ok::<_, DiskError>(io.clock().now().since(begun))
            })
            .expect("the disk works")
        });
    });
}

fn store(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = DatabaseOptions { bucket_count: 1, ..DatabaseOptions::default() };
    let db = options.open(dir.path()).expect("a new directory opens");
    let next = AtomicU64::new(0);
    let clock = Io::os();
    let mut group = c.benchmark_group("append");
    for together in [1, 64] {
        group.throughput(Throughput::Elements(together));
        group.bench_function(format!("{together}_together"), |b| {
            b.iter_custom(|rounds| {
                wait(async {
                    let begun = clock.clock().now();
                    for _ in 0..rounds {
                        let first = next.fetch_add(together, Ordering::Relaxed);
                        let events = first..first + together;
                        let events = events.map(|nth| db.begin_append(support::transaction(nth)));
                        for append in events.collect::<Vec<PendingAppend>>() {
                            black_box(append.await.expect("appended"));
                        }
                    }
                    clock.clock().now().since(begun)
                })
            });
        });
    }
    group.finish();
    wait(db.close());
}

criterion_group!(benches, bare, store);
criterion_main!(benches);
