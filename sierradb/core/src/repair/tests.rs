//! Repairs of real directories, with the embedded database before and after.
#![expect(clippy::disallowed_methods, reason = "damages real files")]

use std::path::{Path, PathBuf};

use sierradb_io::{Io, os};
use uuid::Uuid;

use super::*;
use crate::{
    AppendError, Database, DatabaseOptions, EventRecord, ExpectedVersion, NewEvent, PartitionId,
    ReadRange, StreamId, Transaction,
};

fn options() -> DatabaseOptions {
    DatabaseOptions {
        segment_size_bytes: 64 << 10,
        bucket_count: 1,
        partition_count: 2,
        min_free_bytes: 0,
        ..DatabaseOptions::default()
    }
}

const KEY: Uuid = Uuid::from_u128(7);

fn append(db: &Database) -> Result<u64, AppendError> {
    let event = NewEvent {
        event_id: crate::id::uuid_v7_with_partition_hash(0),
        stream_id: StreamId::new("s").unwrap(),
        stream_version: ExpectedVersion::Any,
        event_name: "E".into(),
        timestamp: 1,
        payload: vec![7; 3000],
        metadata: vec![],
    };
    let transaction = Transaction::new(KEY, KEY, vec![event]).unwrap();
    os::wait(db.append_events(transaction)).map(|result| result.first_partition_sequence)
}

fn read(db: &Database) -> Vec<EventRecord> {
    let partition: PartitionId = db.partition_of_key(KEY);
    os::wait(db.read_partition(partition, ReadRange::from(0, 10_000))).unwrap().events
}

/// A closed directory with 50 events in three segments.
fn filled() -> (tempfile::TempDir, Vec<EventRecord>) {
    let dir = tempfile::tempdir().unwrap();
    let db = options().open(dir.path()).unwrap();
    for sequence in 0..50 {
        assert_eq!(append(&db), Ok(sequence));
    }
    let events = read(&db);
    os::wait(db.close());
    (dir, events)
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join("buckets/00000").join(name)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Damages the first frame of the last segment, and has the next start read that far back.
fn damage_early(dir: &Path) {
    std::fs::remove_file(file(dir, "0000000003.ckp")).unwrap();
    flip(&file(dir, "0000000003.seg"), 4096 + 100);
}

/// Accepts the loss; returns it and how many events are left.
fn accept(dir: &Path, before: &[EventRecord]) -> (TailLoss, usize) {
    let refused = options().open(dir).unwrap();
    assert!(matches!(append(&refused), Err(AppendError::ReadOnly { .. })));
    os::wait(refused.close());
    drop(refused);
    let (io, at) = (Io::os(), dir.to_owned());
    let loss = os::wait(async move {
        let loss = find_tail_loss(&io, &at, 0).await.unwrap();
        accept_tail_loss(&io, &at, &loss).await.unwrap();
        assert!(matches!(
            find_tail_loss(&io, &at, 0).await,
            Err(RepairError::LogSound { bucket_id: 0 })
        ));
        loss
    });
    let mut left = 0;
    for _ in 0..2 {
        let db = options().open(dir).unwrap();
        let events = read(&db);
        left = if left == 0 { events.len() } else { left };
        assert_eq!(events[..left], before[..left]);
        assert_eq!(append(&db), Ok(events.len() as u64));
        os::wait(db.close());
    }
    (loss, left)
}

#[test]
fn a_damaged_last_frame_is_given_up_by_name() {
    let (dir, before) = filled();
    let path = file(dir.path(), "0000000003.seg");
    let bytes = std::fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    flip(&path, used - 100);
    let (loss, left) = accept(dir.path(), &before);
    assert_eq!((loss.segment, loss.frame_count, left), (3, 1, 49));
    assert_eq!((loss.frames[0].first_sequence, loss.frames[0].is_readable), (49, false));
    let partition = loss.partitions[0];
    assert_eq!((partition.first_sequence, partition.last_sequence, partition.events), (49, 49, 1));
    let copy = file(dir.path(), "damaged").join(format!("0000000003-{}.bin", loss.offset));
    let offset = usize::try_from(loss.offset).unwrap();
    let mut damaged = bytes[offset..=used].to_vec();
    damaged[used - 100 - offset] ^= 1;
    assert!(std::fs::read(copy).unwrap().starts_with(&damaged));
}

#[test]
fn good_frames_behind_a_damaged_one_are_listed_and_kept_aside() {
    let (dir, before) = filled();
    damage_early(dir.path());
    let (loss, left) = accept(dir.path(), &before);
    assert_eq!((loss.segment, loss.offset), (3, 4096));
    let lost = 50 - left as u64;
    assert_eq!((loss.frame_count, loss.unnamed_bytes), (lost, 0));
    let partition = loss.partitions[0];
    assert_eq!((partition.first_sequence, partition.last_sequence), (left as u64, 49));
    assert_eq!((partition.events, partition.readable_events), (lost, lost - 1));
}

#[test]
fn a_lost_header_gives_up_the_segment_and_those_behind() {
    let (dir, before) = filled();
    flip(&file(dir.path(), "0000000002.seg"), 20);
    let (loss, left) = accept(dir.path(), &before);
    assert_eq!((loss.segment, loss.offset, loss.later_segments.first()), (2, 0, Some(&3)));
    assert_eq!(loss.frame_count, 50 - left as u64);
    assert!(loss.frames.iter().all(|frame| frame.is_readable));
    assert!(std::fs::exists(file(dir.path(), "damaged/0000000003.seg")).unwrap());
}

#[test]
fn a_missing_segment_gives_up_those_behind() {
    let (dir, before) = filled();
    std::fs::remove_file(file(dir.path(), "0000000002.seg")).unwrap();
    let (loss, left) = accept(dir.path(), &before);
    assert_eq!((loss.segment, loss.cause.as_str()), (1, "the file ends"));
    assert_eq!(loss.later_segments.first(), Some(&3));
    let partition = loss.partitions[0];
    assert!(partition.first_sequence > left as u64, "what the missing file held has no name");
}

#[test]
fn what_has_changed_is_not_given_up() {
    let (dir, _) = filled();
    let path = file(dir.path(), "0000000003.seg");
    damage_early(dir.path());
    let (io, at) = (Io::os(), dir.path().to_owned());
    let bytes = os::wait(async move {
        let loss = find_tail_loss(&io, &at, 0).await.unwrap();
        let other = TailLoss { frame_count: loss.frame_count + 1, ..loss };
        let before = std::fs::read(&path).unwrap();
        let refused = accept_tail_loss(&io, &at, &other).await;
        assert!(matches!(refused, Err(RepairError::Changed)));
        (before, std::fs::read(&path).unwrap())
    });
    assert_eq!(bytes.0, bytes.1);
}

#[test]
fn a_bucket_that_does_not_exist_or_is_in_use_is_refused() {
    let (dir, _) = filled();
    let (io, at) = (Io::os(), dir.path().to_owned());
    os::wait(async move {
        let refused = find_tail_loss(&io, &at, 1).await.unwrap_err();
        assert!(matches!(refused, RepairError::NoSuchBucket { bucket_id: 1, last: 0 }));
        assert!(matches!(find_manifest(&io, &at).await, Err(RepairError::ManifestSound)));
    });
    let _db = options().open(dir.path()).unwrap();
    let (io, at) = (Io::os(), dir.path().to_owned());
    let refused = os::wait(async move { find_tail_loss(&io, &at, 0).await.unwrap_err() });
    assert!(refused.to_string().ends_with("is in use by another process"), "{refused}");
}

#[test]
fn a_lost_manifest_is_rebuilt_from_the_segments() {
    let (dir, before) = filled();
    let path = dir.path().join("manifest");
    for is_removed in [false, true] {
        if is_removed {
            std::fs::remove_file(&path).unwrap();
        } else {
            flip(&path, 60);
        }
        assert!(options().open(dir.path()).is_err());
        let (io, at) = (Io::os(), dir.path().to_owned());
        let plan = os::wait(async move {
            let plan = find_manifest(&io, &at).await.unwrap();
            rebuild_manifest(&io, &at, &plan).await.unwrap();
            plan
        });
        assert_eq!((plan.partition_count, plan.bucket_count), (2, 1));
        assert_eq!(plan.segment_size_bytes, 64 << 10);
        assert!(plan.hash_seed.is_some() && plan.incarnation.is_some());
        let db = options().open(dir.path()).unwrap();
        assert_eq!(read(&db), before);
        os::wait(db.close());
    }
}
