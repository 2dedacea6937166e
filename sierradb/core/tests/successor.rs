//! A power cut while the log moves on to its next segment file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod support;

use std::path::{Path, PathBuf};

use sierradb::{
    AppendError, Database, DatabaseOptions, ReadRange, Soundness, VerifyOptions, verify,
};
use sierradb_io::sim::{Fault, OpFault, SimHost, Target, run};
use sierradb_io::{DiskOp, Io};
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

/// Frames of this payload leave the end of a segment to three small ones.
const ROOM_LEFT_PAYLOAD_BYTES: usize = 1_040;

/// Fills the first segment until it has its index file; then the first batch of the second is torn. How many events
/// are left.
async fn sealed_and_reopened(host: &SimHost) -> u64 {
    let (_, db) = open(host).await;
    let mut stored = 0;
    while host.mark_hits("segment.sealed") == 0 {
        stored += 1;
        db.append_events(one_event(Uuid::from_u128(1), stored, ROOM_LEFT_PAYLOAD_BYTES))
            .await
            .unwrap();
    }
    host.kill();
    host.remove_file(segment(2).with_extension("ckp"));
    host.put_file(segment(2), &torn_first_batch());
    let (_, db) = open(host).await;
    let left = u64::try_from(count(&db).await).unwrap();
    assert!(left < stored, "the first segment is the last one again");
    // The rest of its file is made ready with this one.
    db.append_events(one_event(Uuid::from_u128(1), left + 1, 10)).await.unwrap();
    let (_, len) = host.files().into_iter().find(|(path, _)| *path == segment(1)).unwrap();
    assert_eq!(len, 128 << 10, "it was written to");
    host.kill();
    left + 1
}

#[test]
fn a_start_does_not_believe_the_page_cache_about_a_segment_that_was_sealed_too_early() {
    for seed in 0..8 {
        run(seed, |host| async move {
            let stored = sealed_and_reopened(&host).await;
            let key = Uuid::from_u128(1);
            let (_, db) = open(&host).await;
            let target = Target::Path(segment(1));
            host.inject(Fault::On { op: DiskOp::Sync, target, after: 0, fault: OpFault::Eio });
            let unknown = db.append_events(one_event(key, stored + 1, 11)).await;
            assert!(matches!(unknown, Err(AppendError::OutcomeUnknown { .. })), "{unknown:?}");
            host.kill(); // the machine stays up, and with it the page cache

            let (_, db) = open(&host).await;
            assert!(host.mark_hits("recovery.index_without_successor") > 0);
            db.append_events(one_event(key, 1_000, 12)).await.unwrap();
            let found = count(&db).await;
            host.power_loss();
            let (_, db) = open(&host).await;
            assert_eq!(count(&db).await, found, "seed {seed}: what was answered is lost");
            db.append_events(one_event(key, 1_001, 13)).await.unwrap();
            db.close().await;
        });
    }
}
