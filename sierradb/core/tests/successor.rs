//! A power cut while the log moves on to its next segment file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod support;

use std::path::{Path, PathBuf};

use sierradb::{Database, DatabaseOptions, ReadRange, Soundness, VerifyOptions, verify};
use sierradb_io::Io;
use sierradb_io::sim::{SimHost, run};
use uuid::Uuid;

use crate::support::one_event;

const DIR: &str = "/data";

fn options() -> DatabaseOptions {
    DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: 128 << 10,
        ..DatabaseOptions::default()
    }
}

async fn open(host: &SimHost) -> (Io, Database) {
    let io = host.boot();
    let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
    (io, db)
}

async fn append(db: &Database, versions: std::ops::Range<u64>) {
    let key = Uuid::from_u128(1);
    for version in versions {
        db.append_events(one_event(key, version + 1, 1000)).await.unwrap();
    }
}

async fn count(db: &Database) -> usize {
    let partition = db.partition_of_key(Uuid::from_u128(1));
    db.read_partition(partition, ReadRange::from(0, 10_000)).await.unwrap().events.len()
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("buckets/00000/{number:010}.seg"))
}

/// A successor file whose first batch lost its first sector, header included.
fn torn_first_batch() -> Vec<u8> {
    let mut bytes = vec![0; 128 << 10];
    bytes[4096..].iter_mut().step_by(3).for_each(|byte| *byte = 0xab);
    bytes
}

#[test]
fn a_torn_first_batch_of_a_successor_is_cut_before_the_file_is_used() {
    run(1, |host| async move {
        let (_, db) = open(&host).await;
        append(&db, 0..50).await;
        db.close().await;
        host.kill();
        host.put_file(segment(2), &torn_first_batch());
        let (io, db) = open(&host).await;
        assert_eq!(host.mark_hits("recovery.torn_tail_zeroed"), 1);
        // On into the second segment and beyond: nothing of the torn batch is left in it.
        append(&db, 50..300).await;
        db.close().await;
        drop(db);
        let all = VerifyOptions::default();
        let report = verify(&io, Path::new(DIR), all, &mut |_| {}).await.unwrap();
        assert_eq!((report.soundness, report.buckets[0].events), (Soundness::Sound, 300));
        let (_, db) = open(&host).await;
        assert_eq!(count(&db).await, 300);
        db.close().await;
    });
}

#[test]
fn a_garbled_successor_is_damage_and_stops_appends() {
    run(2, |host| async move {
        let (_, db) = open(&host).await;
        append(&db, 0..50).await;
        db.close().await;
        host.kill();
        let mut bytes = torn_first_batch();
        bytes[..64].fill(0xcd);
        host.put_file(segment(2), &bytes);
        let (_, db) = open(&host).await;
        assert_eq!(host.mark_hits("recovery.damage"), 1);
        let key = Uuid::from_u128(1);
        let refused = db.append_events(one_event(key, 999, 0)).await;
        assert!(refused.is_err());
        db.close().await;
    });
}
