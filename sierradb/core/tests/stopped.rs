//! A failed write or sync of any segment file, by whichever task, ends the appends of its bucket until the next start.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sierradb::{AppendError, Database, DatabaseOptions, ReadRange};
use sierradb_io::sim::{Fault, OpFault, SimHost, Target, run};
use sierradb_io::{DiskOp, Io};
use uuid::Uuid;

use crate::support::one_event;

const DIR: &str = "/data";
const SEGMENT_SIZE_BYTES: u64 = 64 << 10;

fn options() -> DatabaseOptions {
    DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: SEGMENT_SIZE_BYTES,
        ..DatabaseOptions::default()
    }
}

async fn open(host: &SimHost) -> Database {
    Database::open_with(host.boot(), Path::new(DIR), options()).await.unwrap()
}

async fn append(db: &Database, number: u64) -> Result<(), AppendError> {
    let key = Uuid::from_u128(1);
    db.append_events(one_event(key, number + 1, 1000)).await.map(|_| ())
}

async fn count(db: &Database) -> u64 {
    let partition = db.partition_of_key(Uuid::from_u128(1));
    let batch = db.read_partition(partition, ReadRange::from(0, 10_000)).await.unwrap();
    u64::try_from(batch.events.len()).unwrap()
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("buckets/00000/{number:010}.seg"))
}

/// Appends until the fault has struck: that may be told "unknown", and everything after it is refused.
async fn stops_when_struck(host: &SimHost, fault: Fault) {
    let db = open(host).await;
    host.inject(fault);
    let mut stored = 0;
    let mut number = 0;
    while !host.faults_struck().contains_key("eio") {
        assert!(number < 1_000, "the fault never strikes");
        match append(&db, number).await {
            Ok(()) => stored += 1,
            Err(AppendError::OutcomeUnknown { .. } | AppendError::ReadOnly { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        number += 1;
    }
    // This one may still have been on its way when the fault was noticed.
    append(&db, 1_999).await.ok();
    let refused = append(&db, 2_000).await;
    assert!(matches!(refused, Err(AppendError::ReadOnly { .. })), "{refused:?}");
    assert!(count(&db).await >= stored, "reads go on");
    db.close().await;
    host.kill();
    let db = open(host).await;
    append(&db, 2_000).await.unwrap();
    assert!(count(&db).await > stored);
    db.close().await;
}

#[test]
fn a_segment_that_could_not_be_cut_for_sealing_stops_its_bucket() {
    run(1, |host| async move {
        let target = Target::Path(segment(1));
        let fault = Fault::On { op: DiskOp::SetLen, target, after: 0, fault: OpFault::Eio };
        stops_when_struck(&host, fault).await;
        assert!(host.mark_hits("segment.seal_sync_failed") > 0);
    });
}

#[test]
fn a_poisoned_bucket_seals_nothing_any_more() {
    run(5, |host| async move {
        let target = Target::Path(segment(1));
        let fault = Fault::On { op: DiskOp::SetLen, target, after: 0, fault: OpFault::Eio };
        host.inject(fault);
        let io = host.boot();
        let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
        let mut number = 0;
        while append(&db, number).await.is_ok() {
            number += 1;
            assert!(number < 1_000, "the fault never strikes");
        }
        // It struck once: another attempt would succeed, and behind a failed cut nobody knows what that means.
        io.sleep(Duration::from_secs(60)).await;
        let tried = host.mark_hits("segment.seal_sync_failed");
        assert_eq!((tried, host.mark_hits("segment.sealed")), (1, 0));
        db.close().await;
        assert_eq!(host.mark_hits("segment.sealed"), 0);
    });
}

#[test]
fn a_failed_sync_of_space_made_ready_stops_its_bucket() {
    run(2, |host| async move {
        let target = Target::Path(segment(2));
        let fault = Fault::On { op: DiskOp::Sync, target, after: 0, fault: OpFault::Eio };
        stops_when_struck(&host, fault).await;
        assert!(host.mark_hits("space.sync_failed") > 0);
    });
}

#[test]
fn a_bucket_that_stops_while_it_waits_for_sealing_closes_at_once() {
    run(3, |host| async move {
        // Nothing is sealed for lack of handles, so that the log waits; then the seal fails for good.
        let index = Target::Suffix(".idx.tmp".to_owned());
        for after in [0, 1, 2] {
            let fault = OpFault::Errno(24);
            host.inject(Fault::On { op: DiskOp::Open, target: index.clone(), after, fault });
        }
        let target = Target::Path(segment(1));
        host.inject(Fault::On { op: DiskOp::SetLen, target, after: 2, fault: OpFault::Eio });
        let db = open(&host).await;
        let mut number = 0;
        while append(&db, number).await.is_ok() {
            number += 1;
            assert!(number < 1_000, "the fault never strikes");
        }
        assert!(host.mark_hits("segment.roll_waits_for_seal") > 0);
        let begun = host.world_time();
        db.close().await;
        assert!(host.world_time() - begun < Duration::from_secs(1));
    });
}

/// Two buckets and a key of each.
async fn open_two(io: &Io, segment_size_bytes: u64) -> (Database, [Uuid; 2]) {
    let two = DatabaseOptions {
        partition_count: 2,
        bucket_count: 2,
        segment_size_bytes,
        ..DatabaseOptions::default()
    };
    let db = Database::open_with(io.clone(), Path::new(DIR), two).await.unwrap();
    let keys = [0, 1 << 46].map(Uuid::from_u128);
    assert_eq!(keys.map(|key| db.partition_of_key(key).get()), [0, 1]);
    (db, keys)
}

/// Appends of a key are answered soon, also in batches of several, one after another.
async fn goes_on(io: &Io, db: &Database, key: Uuid) {
    for batch in 0..4u64 {
        let number = |nth: u64| 5_000 + 10 * batch + nth;
        let append = |nth| db.begin_append(one_event(key, number(nth), 100));
        let appends = futures_util::future::try_join_all((0..8).map(append));
        let answer = io.timeout(Duration::from_millis(500), appends).await;
        assert!(matches!(answer, Some(Ok(_))), "batch {batch}: {answer:?}");
    }
}

#[test]
fn a_bucket_that_waits_for_its_seal_holds_up_no_other() {
    run(4, |host| async move {
        // The first bucket can seal nothing for a while, for lack of handles.
        let index = Target::Path(segment(1).with_extension("idx.tmp"));
        for after in 0..2 {
            let (target, fault) = (index.clone(), OpFault::Errno(24));
            host.inject(Fault::On { op: DiskOp::Open, target, after, fault });
        }
        let io = host.boot();
        let (db, keys) = open_two(&io, SEGMENT_SIZE_BYTES).await;
        let mut number = 0;
        while host.mark_hits("segment.roll_waits_for_seal") == 0 {
            assert!(number < 1_000, "the log never waits");
            number += 1;
            drop(db.begin_append(one_event(keys[0], number, 1000)));
            io.sleep(Duration::from_millis(1)).await;
        }
        goes_on(&io, &db, keys[1]).await;
        let last = db.append_events(one_event(keys[0], 6_000, 1000));
        let begun = host.world_time();
        assert!(last.await.is_ok());
        assert!(host.world_time() - begun > Duration::from_millis(500), "it did wait");
        db.close().await;
    });
}

#[test]
fn a_bucket_that_waits_for_space_holds_up_no_other() {
    run(5, |host| async move {
        let io = host.boot();
        let (db, keys) = open_two(&io, SEGMENT_SIZE_BYTES).await;
        // In the background the next segment finds no handle, so its writer makes the space, and that takes long.
        let stall = OpFault::Stall(Duration::from_secs(3));
        for (op, fault) in [(DiskOp::Open, OpFault::Errno(24)), (DiskOp::Allocate, stall)] {
            let target = Target::Path(segment(2));
            host.inject(Fault::On { op, target, after: 0, fault });
        }
        let mut number = 0;
        while host.mark_hits("append.space_not_ready") == 0 {
            assert!(number < 1_000, "space is always ready");
            number += 1;
            drop(db.begin_append(one_event(keys[0], number, 1000)));
            io.sleep(Duration::from_millis(1)).await;
        }
        let last = db.append_events(one_event(keys[0], 6_000, 1000));
        let begun = host.world_time();
        goes_on(&io, &db, keys[1]).await;
        assert!(last.await.is_ok());
        assert!(host.world_time() - begun > Duration::from_secs(2), "it did wait");
        db.close().await;
    });
}

#[test]
fn a_bucket_that_outruns_its_space_holds_up_no_other() {
    run(6, |host| async move {
        let io = host.boot();
        let (db, keys) = open_two(&io, 256 << 20).await;
        // The next step of the same segment takes long in the background.
        let fault = OpFault::Stall(Duration::from_secs(3));
        host.inject(Fault::On {
            op: DiskOp::Allocate,
            target: Target::Path(segment(1)),
            after: 0,
            fault,
        });
        for number in 1..=24 {
            drop(db.begin_append(one_event(keys[0], number, 1 << 20)));
            io.sleep(Duration::from_millis(10)).await;
        }
        let last = db.append_events(one_event(keys[0], 6_000, 1000));
        let begun = host.world_time();
        goes_on(&io, &db, keys[1]).await;
        assert!(last.await.is_ok());
        assert!(host.world_time() - begun > Duration::from_secs(1), "it did wait");
        db.close().await;
    });
}
