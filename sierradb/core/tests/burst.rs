//! Space in front of the log: as much as the log is long, made in quiet times.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::path::Path;
use std::time::Duration;

use sierradb::{Database, DatabaseOptions};
use sierradb_io::Io;
use sierradb_io::sim::run;
use uuid::Uuid;

use crate::support::one_event;

const DIR: &str = "/data";
const MIB: u64 = 1 << 20;

fn options() -> DatabaseOptions {
    DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: 64 * MIB,
        ..DatabaseOptions::default()
    }
}

async fn append(db: &Database, versions: std::ops::Range<u64>, payload_bytes: usize) {
    for version in versions {
        let event = one_event(Uuid::from_u128(1), version + 1, payload_bytes);
        db.append_events(event).await.unwrap();
    }
}

async fn log_file_bytes(io: &Io) -> u64 {
    let listed = io.disk().list(&Path::new(DIR).join("buckets/00000")).await.unwrap();
    let logs =
        listed.iter().filter(|entry| Path::new(&entry.name).extension() == Some("seg".as_ref()));
    logs.map(|entry| entry.len).sum()
}

#[test]
fn a_log_that_rests_finds_as_much_space_as_it_is_long() {
    run(1, |host| async move {
        let io = host.boot();
        let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
        append(&db, 0..20, 1_000_000).await;
        io.sleep(Duration::from_millis(500)).await;
        assert_eq!(log_file_bytes(&io).await, 32 * MIB, "as far as a log at work needs");
        io.sleep(Duration::from_secs(4)).await;
        assert_eq!(log_file_bytes(&io).await, 48 * MIB, "and as long again behind its end");
        db.close().await;
    });
}

#[test]
fn a_log_at_work_gets_no_more_than_it_needs() {
    run(2, |host| async move {
        let io = host.boot();
        let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
        append(&db, 0..20, 1_000_000).await;
        for version in 20..30 {
            append(&db, version..version + 1, 300_000).await;
            io.sleep(Duration::from_millis(900)).await;
        }
        assert_eq!(log_file_bytes(&io).await, 32 * MIB);
        db.close().await;
    });
}
