//! What proves that a lost frame was durable, and so is damage and no torn write, outlives starts and closes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sierradb::{AppendError, Database, DatabaseOptions, PartitionId, ReadError};
use sierradb_io::Io;
use sierradb_io::sim::{SimHost, run};
use uuid::Uuid;

use crate::support::one_event;

const DIR: &str = "/data";
const PARTITION: PartitionId = PartitionId::new(0);

async fn open(host: &SimHost) -> (Io, Database) {
    let options = DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: 64 << 10,
        min_free_bytes: 0,
        ..DatabaseOptions::default()
    };
    let io = host.boot();
    let db = Database::open_with(io.clone(), Path::new(DIR), options).await.unwrap();
    (io, db)
}

async fn append(db: &Database, n: u64) -> Result<u64, AppendError> {
    let key = Uuid::from_u128(1);
    let result = db.append_events(one_event(key, n + 1_000, 1000)).await?;
    Ok(result.first_partition_sequence)
}

/// The bucket tells of damage, to writers and readers.
async fn assert_damaged(db: &Database) {
    assert!(matches!(append(db, 999).await, Err(AppendError::ReadOnly { .. })));
    assert!(matches!(db.partition_sequence(PARTITION), Err(ReadError::Damaged { .. })));
    assert_eq!(db.stats().buckets[0].damaged_ranges, 1);
}

fn file(name: &str) -> PathBuf {
    Path::new(DIR).join("buckets/00000").join(name)
}

/// Segment files as they are now.
fn segments(host: &SimHost) -> Vec<(PathBuf, Vec<u8>)> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|it| it == "seg");
    let paths = host.files().into_iter().map(|(path, _)| path).filter(is_segment);
    paths.map(|path| (path.clone(), host.current_image(path).unwrap())).collect()
}

/// The last frame loses a sector, as if it had never been written; only the state slot knows better.
async fn lose_the_last_frame(host: &SimHost) {
    let (_, db) = open(host).await;
    for n in 0..20 {
        assert_eq!(append(&db, n).await, Ok(n));
    }
    db.close().await;
    let bytes = host.current_image(file("0000000001.seg")).unwrap();
    let last = bytes.chunks(8).rposition(|step| step.starts_with(b"SFR1")).unwrap() * 8;
    let sector = u64::try_from(last + 64).unwrap().next_multiple_of(512);
    assert!(host.overwrite(file("0000000001.seg"), sector, &[0; 512]));
    assert!(host.remove_file(file("0000000001.ckp")));
}

#[test]
fn a_close_over_damage_keeps_the_evidence_of_it() {
    run(1, |host| async move {
        lose_the_last_frame(&host).await;
        let before = segments(&host);
        // Each start judges by what the one before left behind.
        for _ in 0..3 {
            let (_, db) = open(&host).await;
            assert_damaged(&db).await;
            db.close().await;
        }
        assert_eq!(host.mark_hits("recovery.torn_tail_zeroed"), 0);
        assert!(segments(&host) == before, "damage is never cut");
    });
}

#[test]
fn nothing_is_prepared_around_damage() {
    run(2, |host| async move {
        let (io, db) = open(&host).await;
        for n in 0..150 {
            assert_eq!(append(&db, n).await, Ok(n));
        }
        io.sleep(Duration::from_secs(5)).await;
        db.close().await;
        // The log now ends in the full first segment: the second one, with its frames, looks like a successor.
        assert!(host.flip_bit(file("0000000002.seg"), 20, 3));
        let before = segments(&host);
        let (io, db) = open(&host).await;
        assert_damaged(&db).await;
        io.sleep(Duration::from_secs(5)).await;
        db.close().await;
        assert!(segments(&host) == before, "what cannot be read may still be rescued");
    });
}

#[test]
fn a_bucket_without_its_segment_files_is_damaged_not_new() {
    run(3, |host| async move {
        let (_, db) = open(&host).await;
        for n in 0..150 {
            assert_eq!(append(&db, n).await, Ok(n));
        }
        db.close().await;
        for (path, _) in segments(&host) {
            assert!(host.remove_file(path));
        }
        for _ in 0..2 {
            let (_, db) = open(&host).await;
            assert_damaged(&db).await;
            db.close().await;
        }
    });
}

#[test]
fn a_witness_proves_that_a_lost_header_was_written() {
    run(4, |host| async move {
        let (io, db) = open(&host).await;
        assert_eq!(append(&db, 0).await, Ok(0));
        io.sleep(Duration::from_millis(100)).await; // the witness is written once nobody waits for the writer
        host.kill();
        drop(db);
        // As after a torn first batch, but that this one was answered; no later frame and no state slot knows of it.
        assert!(host.overwrite(file("0000000001.seg"), 0, &[0; 512]));
        let before = segments(&host);
        let (_, db) = open(&host).await;
        assert_damaged(&db).await;
        assert_eq!(host.mark_hits("recovery.torn_tail_zeroed"), 0);
        db.close().await;
        assert!(segments(&host) == before, "damage is never cut");
    });
}

#[test]
fn a_close_over_damage_keeps_the_checkpoint() {
    run(5, |host| async move {
        let (io, db) = open(&host).await;
        for n in 0..20 {
            assert_eq!(append(&db, n).await, Ok(n));
        }
        io.sleep(Duration::from_secs(6)).await;
        host.kill();
        drop(db);
        let bytes = host.current_image(file("0000000001.seg")).unwrap();
        let last = bytes.chunks(8).rposition(|step| step.starts_with(b"SFR1")).unwrap() * 8;
        assert!(host.flip_bit(file("0000000001.seg"), u64::try_from(last + 200).unwrap(), 1));
        let before = host.current_image(file("0000000001.ckp")).unwrap();
        let (io, db) = open(&host).await;
        assert_damaged(&db).await;
        io.sleep(Duration::from_secs(6)).await;
        db.close().await;
        let after = host.current_image(file("0000000001.ckp")).unwrap();
        assert!(after == before, "a shorter log must not be noted over a longer one");
    });
}
