//! Space in front of the log: as much as the log is long, made in quiet times.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::path::Path;
use std::time::Duration;

use sierradb::{Database, DatabaseOptions, PartitionId};
use sierradb_io::Io;
use sierradb_io::sim::run;
use uuid::Uuid;

use crate::support::one_event;

const DIR: &str = "/data";
const MIB: u64 = 1 << 20;

fn options(bucket_count: u16) -> DatabaseOptions {
    DatabaseOptions {
        partition_count: bucket_count,
        bucket_count,
        segment_size_bytes: 128 * MIB,
        ..DatabaseOptions::default()
    }
}

async fn open(io: &Io, bucket_count: u16) -> Database {
    Database::open_with(io.clone(), Path::new(DIR), options(bucket_count)).await.unwrap()
}

/// A key whose partition is in this bucket.
fn key_of(db: &Database, bucket: u16) -> Uuid {
    let mut keys = (1..0xffff).step_by(64).map(|hash| Uuid::from_u128(hash * (u128::MAX / 0xffff)));
    keys.find(|key| db.partition_of_key(*key) == PartitionId(bucket)).unwrap()
}

/// Appends so many events of a size that leaves 16 of them in 16 MiB.
async fn append(db: &Database, bucket: u16, versions: std::ops::Range<u64>) {
    for version in versions {
        let event = one_event(key_of(db, bucket), version + 1, 1_000_000);
        db.append_events(event).await.unwrap();
    }
}

async fn log_file_mib(io: &Io, bucket: u16) -> u64 {
    let dir = Path::new(DIR).join(format!("buckets/{bucket:05}"));
    let listed = io.disk().list(&dir).await.unwrap();
    let logs =
        listed.iter().filter(|entry| Path::new(&entry.name).extension() == Some("seg".as_ref()));
    logs.map(|entry| entry.len).sum::<u64>() / MIB
}

#[test]
fn a_log_that_rests_finds_as_much_space_as_it_is_long() {
    run(1, |host| async move {
        let io = host.boot();
        let db = open(&io, 1).await;
        append(&db, 0, 0..40).await;
        io.sleep(Duration::from_millis(500)).await;
        assert_eq!(log_file_mib(&io, 0).await, 48, "as far as a log at work needs");
        // The second look finds that nothing came since the first, and all steps follow at once.
        io.sleep(Duration::from_millis(2_000)).await;
        assert_eq!(log_file_mib(&io, 0).await, 80, "and as long again behind its end");
        db.close().await;
    });
}

#[test]
fn a_log_at_work_gets_no_more_than_it_needs() {
    run(2, |host| async move {
        let io = host.boot();
        let db = open(&io, 1).await;
        append(&db, 0, 0..20).await;
        for version in 20..24 {
            append(&db, 0, version..version + 1).await;
            io.sleep(Duration::from_millis(900)).await;
        }
        assert_eq!(log_file_mib(&io, 0).await, 32);
        db.close().await;
    });
}

#[test]
fn an_append_ends_the_quiet_time_of_all_logs() {
    run(3, |host| async move {
        let io = host.boot();
        let db = open(&io, 2).await;
        append(&db, 0, 0..20).await;
        append(&db, 1, 0..20).await;
        while log_file_mib(&io, 0).await == 32 {
            io.sleep(Duration::from_millis(1)).await; // its step takes longer: zeros go out with pauses
        }
        append(&db, 1, 20..21).await;
        io.sleep(Duration::from_millis(300)).await;
        assert_eq!((log_file_mib(&io, 0).await, log_file_mib(&io, 1).await), (48, 32));
        db.close().await;
    });
}
