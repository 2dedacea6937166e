//! A process that is killed while it creates a directory, and a power cut in the life after.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use sierradb::{Database, DatabaseOptions, ReadRange};
use sierradb_io::Io;
use sierradb_io::sim::{CrashKind, CrashPoint, SimConfig, SimHost, Survival, run_with};
use uuid::Uuid;

use crate::support::one_event;

const DIR: &str = "/srv/events/data";

/// More than a creation needs.
const MOST_OPERATIONS: u64 = 60;

async fn open(io: Io) -> Database {
    let options = DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: 64 << 10,
        ..DatabaseOptions::default()
    };
    Database::open_with(io, Path::new(DIR), options).await.unwrap()
}

async fn append(db: &Database) {
    let key = Uuid::from_u128(1);
    db.append_events(one_event(key, 2, 10)).await.unwrap();
}

async fn killed_at(host: &SimHost, operation: u64) {
    let io = host.boot();
    host.crash_at(CrashPoint::Completion(operation), CrashKind::Kill);
    host.until_crash(open(io)).await;
    host.kill();
}

#[test]
fn what_a_killed_creation_left_in_the_cache_is_made_durable_before_use() {
    for operation in 1..MOST_OPERATIONS {
        let config = SimConfig { survival: Survival::Permille(0), ..SimConfig::default() };
        run_with(operation, config, |host| async move {
            killed_at(&host, operation).await;
            let db = open(host.boot()).await;
            append(&db).await;
            host.power_loss();
            let db = open(host.boot()).await;
            let partition = db.partition_of_key(Uuid::from_u128(1));
            let found = db.read_partition(partition, ReadRange::from(0, 10)).await.unwrap();
            assert_eq!(found.events.len(), 1, "killed at operation {operation}");
            db.close().await;
        });
    }
}
