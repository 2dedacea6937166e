//! Rot in frames that were good when they were written: what it hides, who is told, and that appends stay right.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use sierradb::repair::{Holes, RepairError, accept_tail_loss, find_holes, find_tail_loss};
use sierradb::{
    AppendError, BucketReport, Database, DatabaseOptions, Direction, ExpectedVersion, LogEnding,
    NewEvent, PartitionId, Problem, ReadError, ReadRange, Soundness, StreamId, Transaction,
    VerifyOptions, verify,
};
use sierradb_io::sim::{Fault, OpFault, SimHost, Target, run};
use sierradb_io::{DiskOp, Io};
use uuid::Uuid;

const DIR: &str = "/data";
const KEY: Uuid = Uuid::from_u128(1);
const PARTITION: PartitionId = PartitionId::new(0);

fn options() -> DatabaseOptions {
    DatabaseOptions {
        partition_count: 1,
        bucket_count: 1,
        segment_size_bytes: 64 << 10,
        min_free_bytes: 0,
        ..DatabaseOptions::default()
    }
}

async fn open(host: &SimHost) -> (Io, Database) {
    let io = host.boot();
    let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
    (io, db)
}

/// The event of sequence `n`: of stream `a` if `n` is even, else of `b`.
fn transaction(n: u64) -> Transaction {
    let event = NewEvent {
        event_id: Uuid::from_u128(u128::from(n) + 1_000),
        stream_id: stream(n % 2),
        stream_version: ExpectedVersion::Any,
        event_name: "Happened".into(),
        timestamp: 1,
        payload: vec![7; 1000],
        metadata: vec![],
    };
    Transaction::new(KEY, KEY, vec![event]).unwrap()
}

fn stream(n: u64) -> StreamId {
    StreamId::new(["a", "b"][usize::try_from(n).unwrap()]).unwrap()
}

async fn append(db: &Database, sequences: std::ops::Range<u64>) {
    for n in sequences {
        let result = db.append_events(transaction(n)).await.unwrap();
        assert_eq!((result.first_partition_sequence, result.duplicate), (n, false));
        assert_eq!(result.events[0].stream_version, n / 2);
    }
}

/// Appends from sequence `next` on until the bucket takes no more; the sequence refused, and why.
async fn append_until_read_only(db: &Database, mut next: u64) -> (u64, String) {
    loop {
        match db.append_events(transaction(next)).await {
            Ok(_) => next += 1,
            Err(AppendError::ReadOnly { cause, .. }) => return (next, cause),
            Err(error) => unreachable!("{error}"),
        }
    }
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("buckets/00000/{number:010}.seg"))
}

/// Offsets of the frames in a segment file.
fn frames(host: &SimHost, number: u64) -> Vec<u64> {
    let bytes = host.current_image(segment(number)).unwrap();
    let found = bytes.chunks(8).zip((0..).step_by(8));
    found.filter(|(step, _)| step.starts_with(b"SFR1")).map(|(_, offset)| offset).collect()
}

/// Flips a bit in the body of a frame.
fn rot(host: &SimHost, number: u64, offset: u64) {
    assert!(host.flip_bit(segment(number), offset + 200, 3));
}

/// Sequences that a forward scan finds, reading on behind what is damaged; and those that are damaged.
async fn scan(db: &Database, end: u64) -> (Vec<u64>, Vec<u64>) {
    let (mut found, mut damaged) = (Vec::new(), Vec::new());
    let mut next = 0;
    while next < end {
        match db.read_partition(PARTITION, ReadRange::from(next, 1000)).await {
            Ok(batch) => {
                assert!(!batch.events.is_empty(), "nothing at {next}");
                found.extend(batch.events.iter().map(|event| event.partition_sequence));
                next = found.last().unwrap() + 1;
                assert_eq!(batch.has_more, next < end, "at {next}");
            }
            Err(ReadError::Damaged { cause, .. }) => {
                let wanted = format!("position {next} of partition 0: ");
                assert!(cause.starts_with(&wanted), "{cause}");
                damaged.push(next);
                next += 1;
            }
            Err(error) => unreachable!("{error}"),
        }
    }
    (found, damaged)
}

/// Waits until every rolled segment is sealed.
async fn settle(io: &Io, db: &Database) {
    for _ in 0..100 {
        let stats = db.stats();
        if stats.buckets[0].sealed + 1 == stats.buckets[0].segments {
            return;
        }
        io.sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_damaged_first_frame_hides_no_later_event_of_its_stream() {
    run(1, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..100).await;
        settle(&io, &db).await;
        db.close().await;
        let places = frames(&host, 1);
        // The first frame of stream a and, of stream b, the first and the last one.
        let back = if places.len().is_multiple_of(2) { 1 } else { 2 };
        let last_of_b = places.len() - back;
        for nth in [0, 1, last_of_b] {
            rot(&host, 1, places[nth]);
        }
        let (_, db) = open(&host).await;
        let read = async |name: u64, range| db.read_stream(PARTITION, &stream(name), range).await;
        for name in [0, 1] {
            let Err(error) = read(name, ReadRange::from(0, 10)).await else {
                unreachable!("the first event of the stream is damaged");
            };
            let text = error.to_string();
            let offset = places[usize::try_from(name).unwrap()];
            let place = format!("in bucket 0 segment 1 at offset {offset}");
            assert!(text.contains("position 0 of stream") && text.contains(&place), "{text}");
            let batch = read(name, ReadRange::from(1, 10)).await.unwrap();
            let versions: Vec<u64> = batch.events.iter().map(|it| it.stream_version).collect();
            assert_eq!(versions, (1..11).collect::<Vec<u64>>());
            let newest = ReadRange { direction: Direction::Backward, ..ReadRange::from(0, 100) };
            let batch = read(name, newest).await.unwrap();
            assert_eq!((batch.events[0].stream_version, batch.has_more), (49, true));
            assert_eq!(db.stream_version(PARTITION, &stream(name)).await, Ok(Some(49)));
        }
        let damaged = db.stats().buckets[0].damaged.clone();
        let expected = [0, 1, last_of_b].map(|nth| (1, places[nth]));
        let found: Vec<_> = damaged.iter().map(|it| (it.segment, it.offset)).collect();
        assert_eq!(found, expected, "each place is noted once");
        append(&db, 100..110).await;
        db.close().await;
    });
}

#[test]
fn rot_in_a_rolled_segment_stops_neither_sealing_nor_appends() {
    run(2, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        // In one go until the segment rolls: it is sealed later than its frames rot.
        let places = frames(&host, 1);
        for nth in [0, 7, 8, 20] {
            rot(&host, 1, places[nth]);
        }
        append(&db, 30..400).await;
        settle(&io, &db).await;
        assert_eq!(host.mark_hits("segment.sealed_around_damage"), 1);
        let stats = db.stats();
        assert_eq!(stats.buckets[0].sealed + 1, stats.buckets[0].segments);
        assert_eq!(stats.buckets[0].refusing, None);
        assert!(stats.buckets[0].damaged.iter().any(|it| it.offset == places[7]));
        check_around_damage(&db, &[0, 7, 8, 20], 400).await;
        db.close().await;
        // The index file was made from memory: a start relies on it, and serves all that is healthy.
        let (_, db) = open(&host).await;
        check_around_damage(&db, &[0, 7, 8, 20], 400).await;
        append(&db, 400..450).await;
        db.close().await;
    });
}

/// Everything but `lost` is readable, by sequence and by id; nothing is stored twice.
async fn check_around_damage(db: &Database, lost: &[u64], end: u64) {
    let (found, damaged) = scan(db, end).await;
    assert_eq!(damaged, lost);
    assert_eq!(found.len() + damaged.len(), usize::try_from(end).unwrap());
    for n in 0..end {
        let read = db.read_event(Uuid::from_u128(u128::from(n) + 1_000)).await;
        let again = db.append_events(transaction(n)).await;
        if lost.contains(&n) {
            assert!(matches!(read, Err(ReadError::Damaged { .. })), "{n}: {read:?}");
            assert!(matches!(again, Err(AppendError::Read(_))), "{n}: {again:?}");
        } else {
            assert_eq!(read.unwrap().unwrap().partition_sequence, n);
            assert!(again.unwrap().duplicate);
        }
    }
    assert_eq!(db.read_event(Uuid::from_u128(77)).await, Ok(None));
    assert_eq!(db.stream_version(PARTITION, &stream(0)).await, Ok(Some((end - 1) / 2)));
}

#[test]
fn a_segment_that_cannot_be_sealed_refuses_appends_and_stays_readable() {
    run(3, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        assert!(host.flip_bit(segment(1), 20, 1), "a header, which memory cannot replace");
        let (n, cause) = append_until_read_only(&db, 30).await;
        assert!(cause.starts_with("segment 1 cannot be sealed: the segment header"), "{cause}");
        let stats = db.stats();
        assert!(stats.buckets[0].refusing.is_some());
        assert_eq!(
            (stats.buckets[0].damaged[0].segment, stats.buckets[0].damaged[0].offset),
            (1, 0)
        );
        io.sleep(Duration::from_secs(100)).await;
        assert_eq!(host.mark_hits("segment.seal_hopeless"), 1, "not tried for ever");
        assert_eq!(scan(&db, n).await, ((0..n).collect(), vec![]));
        db.close().await;
    });
}

#[test]
fn a_sound_frame_behind_damage_that_is_not_the_next_one_is_not_sealed_over() {
    run(7, |host| async move {
        let (_, db) = open(&host).await;
        append(&db, 0..30).await;
        let places = frames(&host, 1);
        rot(&host, 1, places[8]);
        let [from, to] = [places[11], places[12]].map(|at| usize::try_from(at).unwrap());
        let other = host.current_image(segment(1)).unwrap()[from..to].to_vec();
        assert!(host.overwrite(segment(1), places[9], &other));
        let (_, cause) = append_until_read_only(&db, 30).await;
        assert!(cause.starts_with("segment 1 cannot be sealed: "), "{cause}");
        assert_eq!(host.mark_hits("segment.sealed_around_damage"), 0);
        db.close().await;
    });
}

#[test]
fn unreadable_sectors_are_sealed_around() {
    run(4, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        let places = frames(&host, 1);
        host.inject(Fault::LatentSector { path: segment(1), offset: places[9] + 600 });
        append(&db, 30..400).await;
        settle(&io, &db).await;
        let stats = db.stats();
        assert_eq!(stats.buckets[0].sealed + 1, stats.buckets[0].segments);
        assert!(stats.buckets[0].damaged_ranges > 0);
        db.close().await;
        let (_, db) = open(&host).await;
        append(&db, 400..450).await;
        // The sector takes its frame with it, not the block that readers share.
        for n in 0..57 {
            let read = db.read_partition(PARTITION, ReadRange::from(n, 1)).await;
            assert_eq!(read.is_ok(), n != 9, "{n}: {read:?}");
        }
        db.close().await;
    });
}

#[test]
fn a_checkpoint_left_behind_puts_nothing_in_memory_before_a_sealed_segment() {
    run(5, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        io.sleep(Duration::from_secs(6)).await;
        let checkpoint = host.current_image(segment(1).with_extension("ckp")).unwrap();
        append(&db, 30..150).await;
        settle(&io, &db).await;
        db.close().await;
        // Rot, a lost index file, and a checkpoint that the seal did not get rid of.
        rot(&host, 1, frames(&host, 1)[5]);
        assert!(host.remove_file(segment(1).with_extension("idx")));
        host.put_file(segment(1).with_extension("ckp"), &checkpoint);
        let (_, db) = open(&host).await;
        let refused = db.append_events(transaction(150)).await;
        assert!(matches!(refused, Err(AppendError::ReadOnly { .. })), "{refused:?}");
        assert!(db.stream_version(PARTITION, &stream(0)).await.is_err(), "no version is known");
        db.close().await;
    });
}

/// What an offline check and an offline repair say of holes that a start passes.
async fn check_offline(io: &Io) -> (BucketReport, Holes) {
    let report = verify(io, Path::new(DIR), VerifyOptions::default(), &mut |_| {}).await.unwrap();
    assert_eq!(report.soundness, Soundness::Damaged);
    let is_named = |problem: &Problem| matches!(problem, Problem::LostFrames { .. });
    assert!(report.findings.iter().any(|it| it.offset.is_some() && is_named(&it.problem)));
    let tail = find_tail_loss(io, Path::new(DIR), 0).await;
    assert!(matches!(tail, Err(RepairError::LogSound { .. })), "nothing is to be cut: {tail:?}");
    let holes = find_holes(io, Path::new(DIR), 0).await.unwrap();
    (report.buckets[0].clone(), holes)
}

#[test]
fn rot_below_a_checkpoint_is_met_by_reads_and_found_offline() {
    run(6, |host| async move {
        let (_, db) = open(&host).await;
        append(&db, 0..40).await;
        db.close().await;
        let places = frames(&host, 1);
        rot(&host, 1, places[10]);
        rot(&host, 1, places[20]);
        assert!(host.flip_bit(segment(1), places[21] + 30, 0), "a header");
        let lost = [10, 20, 21];
        let mut end = 40;
        for _ in 0..3 {
            let (io, db) = open(&host).await;
            assert_eq!(db.stats().buckets[0].damaged, [], "a start reads less than that");
            check_around_damage(&db, &lost, end).await;
            let known: Vec<u64> =
                db.stats().buckets[0].damaged.iter().map(|it| it.offset).collect();
            assert_eq!(known, lost.map(|n| places[usize::try_from(n).unwrap()]));
            // On behind the damage, and at last into the next segment.
            append(&db, end..end + 10).await;
            end += 10;
            db.close().await;
            drop(db);
            let (bucket, found) = check_offline(&io).await;
            assert_eq!((bucket.ending, found.hole_count), (LogEnding::Holed, 2));
            let holes: Vec<_> = found.holes.iter().map(|it| (it.offset, it.last_index)).collect();
            assert_eq!(holes, [(places[10], 12), (places[20], 23)]);
            let partition = found.partitions[0];
            assert_eq!((partition.first_sequence, partition.last_sequence), (10, 21));
            assert_eq!((found.partitions.len(), partition.events), (1, 3));
        }
    });
}

#[test]
fn rot_at_the_checkpointed_end_stops_the_start_and_can_be_given_up() {
    run(7, |host| async move {
        let (_, db) = open(&host).await;
        append(&db, 0..40).await;
        db.close().await;
        let last = *frames(&host, 1).last().unwrap();
        rot(&host, 1, last);
        let (io, db) = open(&host).await;
        let refused = db.append_events(transaction(40)).await;
        assert!(matches!(refused, Err(AppendError::ReadOnly { .. })), "39 could be used twice");
        assert_eq!(db.stats().buckets[0].damaged[0].offset, last);
        db.close().await;
        drop(db);
        let loss = find_tail_loss(&io, Path::new(DIR), 0).await.unwrap();
        assert_eq!((loss.offset, loss.frame_count), (last, 1));
        assert_eq!(loss.partitions[0].first_sequence, 39);
        let holes = find_holes(&io, Path::new(DIR), 0).await.unwrap();
        assert_eq!((holes.hole_count, holes.partitions), (0, vec![]), "it is no hole");
        accept_tail_loss(&io, Path::new(DIR), &loss).await.unwrap();
        let (_, db) = open(&host).await;
        append(&db, 39..60).await;
        db.close().await;
    });
}

#[test]
fn rot_in_sealed_segments_is_found_offline() {
    run(8, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..200).await;
        settle(&io, &db).await;
        db.close().await;
        drop(db);
        rot(&host, 1, frames(&host, 1)[0]);
        rot(&host, 2, *frames(&host, 2).last().unwrap());
        let io = host.boot();
        let (bucket, found) = check_offline(&io).await;
        assert_eq!((bucket.ending, found.hole_count), (LogEnding::Holed, 2));
        assert_eq!((found.holes[0].segment, found.holes[0].first_index), (1, 2));
        assert_eq!((found.holes[1].segment, found.partitions[0].events), (2, 2));
        let (_, db) = open(&host).await;
        append(&db, 200..250).await;
        db.close().await;
    });
}

#[test]
fn rot_in_the_last_checkpointed_frame_is_passed_if_the_log_goes_on() {
    run(9, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        io.sleep(Duration::from_secs(6)).await;
        append(&db, 30..40).await;
        host.kill();
        drop(db);
        rot(&host, 1, frames(&host, 1)[29]);
        let (_, db) = open(&host).await;
        check_around_damage(&db, &[29], 40).await;
        append(&db, 40..200).await;
        check_around_damage(&db, &[29], 200).await;
        db.close().await;
    });
}

#[test]
fn a_seal_that_the_disk_keeps_refusing_ends_in_a_clear_refusal() {
    run(10, |host| async move {
        let (io, db) = open(&host).await;
        for after in 0..8 {
            let (op, target, fault) = (DiskOp::Rename, Target::Any, OpFault::Eio);
            host.inject(Fault::On { op, target, after, fault });
        }
        let (mut n, begun) = (0, io.clock().now());
        let cause = loop {
            match db.append_events(transaction(n)).await {
                Ok(_) => n += 1,
                Err(AppendError::ReadOnly { cause, .. }) => break cause,
                Err(AppendError::Busy { .. } | AppendError::OutcomeUnknown { .. }) => {}
                Err(error) => unreachable!("{error}"),
            }
        };
        assert!(cause.starts_with("segment 1 cannot be sealed: "), "{cause}");
        let waited = io.clock().now().since(begun);
        assert!((60..80).contains(&waited.as_secs()), "1 + 2 + 4 + 8 + 16 + 16 + 16: {waited:?}");
        assert_eq!(scan(&db, n).await, ((0..n).collect(), vec![]));
        db.close().await;
        // What was not answered was not written, and the next start tries again.
        let (io, db) = open(&host).await;
        append(&db, n..n + 100).await;
        settle(&io, &db).await;
        assert_eq!(db.stats().buckets[0].sealed + 1, db.stats().buckets[0].segments);
        db.close().await;
    });
}

#[test]
fn a_seal_that_finds_no_space_is_waited_for() {
    run(11, |host| async move {
        let (_, db) = open(&host).await;
        for after in 0..12 {
            let (op, target, fault) = (DiskOp::Rename, Target::Any, OpFault::NoSpace);
            host.inject(Fault::On { op, target, after, fault });
        }
        let mut n = 0;
        while host.mark_hits("segment.sealed") < 3 {
            match db.append_events(transaction(n)).await {
                Ok(_) => n += 1,
                Err(AppendError::Busy { .. } | AppendError::OutcomeUnknown { .. }) => {}
                Err(error) => unreachable!("{error}"),
            }
        }
        assert_eq!(host.mark_hits("segment.seal_hopeless"), 0);
        db.close().await;
    });
}

#[test]
fn what_is_written_when_appends_stop_is_answered_and_kept() {
    run(12, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        assert!(host.flip_bit(segment(1), 20, 1), "a header, which memory cannot replace");
        // Many at once, so that some are being written and some are planned when the seal fails.
        let pending: Vec<_> = (30..400).map(|n| db.begin_append(transaction(n))).collect();
        let (mut stored, mut refused) = (30, 0);
        for answer in pending {
            match io.timeout(Duration::from_secs(5), answer).await {
                Some(Ok(result)) => {
                    assert_eq!((result.first_partition_sequence, refused), (stored, 0));
                    stored += 1;
                }
                Some(Err(AppendError::ReadOnly { .. })) => refused += 1,
                other => unreachable!("neither stored nor refused: {other:?}"),
            }
        }
        assert!(refused > 0);
        assert_eq!(scan(&db, stored).await, ((0..stored).collect(), vec![]));
        db.close().await;
        assert!(host.flip_bit(segment(1), 20, 1), "the header is good again");
        let (_, db) = open(&host).await;
        append(&db, stored..stored + 10).await; // what was refused is not there
        db.close().await;
    });
}

#[test]
fn what_is_being_synced_when_appends_stop_is_answered() {
    run(13, |host| async move {
        let (io, db) = open(&host).await;
        append(&db, 0..30).await;
        assert!(host.flip_bit(segment(1), 20, 1), "a header, which memory cannot replace");
        // The first sync is that of the space; the next one, of the first batch, is under way when the seal fails.
        let fault = OpFault::Stall(Duration::from_secs(1));
        host.inject(Fault::On {
            op: DiskOp::Sync,
            target: Target::Path(segment(2)),
            after: 1,
            fault,
        });
        let mut stored = 30;
        let refusal = loop {
            match io.timeout(Duration::from_secs(5), db.append_events(transaction(stored))).await {
                Some(Ok(_)) => stored += 1,
                other => break other,
            }
        };
        assert!(matches!(refusal, Some(Err(AppendError::ReadOnly { .. }))), "{refusal:?}");
        assert_eq!(u64::try_from(frames(&host, 1).len()).unwrap() + 1, stored, "one in segment 2");
        assert_eq!(scan(&db, stored).await, ((0..stored).collect(), vec![]));
        db.close().await;
    });
}
