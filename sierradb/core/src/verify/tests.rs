use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sierradb_io::Io;
use sierradb_io::sim::{SimHost, run};
use uuid::Uuid;

use super::continuity::Continuity;
use super::dump::{DumpItem, dump_segment};
use super::report::*;
use super::run::{verify, verify_with_budget};
use crate::manifest::Manifest;
use crate::segment::checkpoint::{delta, witness};
use crate::segment::event_codec::{EventFlags, NewEventRef, encode_transaction};
use crate::segment::file::{ActiveSegment, SegmentFile, SegmentHeader};
use crate::segment::frame::{self, Frame, LogEntry};
use crate::segment::reader::FrameReader;
use crate::segment::testing::TestSegment;
use crate::{Database, DatabaseOptions, ExpectedVersion, NewEvent, StreamId, Transaction};

const DIR: &str = "/data";

fn options() -> DatabaseOptions {
    DatabaseOptions {
        partition_count: 4,
        bucket_count: 1,
        segment_size_bytes: 128 << 10,
        ..DatabaseOptions::default()
    }
}

fn file_of(kind: SegmentFile, number: u64) -> PathBuf {
    Path::new(DIR).join("buckets/00000").join(kind.name(number))
}

/// A closed directory with 600 events in about five segments.
async fn filled(host: &SimHost) -> Io {
    let io = host.boot();
    let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
    let mut pending = Vec::new();
    for n in 0..600_u128 {
        let stream = format!("stream-{}", n % 7);
        let key = sierradb_protocol::id::default_partition_key(stream.as_bytes());
        let event = NewEvent {
            event_id: Uuid::from_u128(n + 1),
            stream_id: StreamId::new(stream.as_str()).unwrap(),
            stream_version: ExpectedVersion::Any,
            event_name: "Happened".into(),
            timestamp: 1,
            payload: vec![7; 800],
            metadata: vec![],
        };
        pending.push(db.begin_append(Transaction::new(key, key, vec![event]).unwrap()));
    }
    for answer in pending {
        answer.await.unwrap();
    }
    db.close().await;
    host.boot()
}

async fn check(io: &Io, depth: VerifyDepth) -> VerifyReport {
    let options = VerifyOptions { bucket_id: None, depth };
    verify(io, Path::new(DIR), options, &mut |_| {}).await.unwrap()
}

fn problems(report: &VerifyReport) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_sound_directory_is_sound_and_counted() {
    run(1, |host| async move {
        let io = filled(&host).await;
        let before = host.files();
        let mut told = Vec::new();
        let all = VerifyOptions::default();
        let report = verify(&io, Path::new(DIR), all, &mut |at| told.push(at)).await.unwrap();
        assert_eq!(problems(&report), Vec::<String>::new());
        assert_eq!(report.soundness, Soundness::Sound);
        let bucket = &report.buckets[0];
        assert_eq!((bucket.events, bucket.frames, bucket.ending), (600, 600, LogEnding::Clean));
        assert_eq!(bucket.last_index, 601);
        assert!(bucket.segments >= 4, "{} segments", bucket.segments);
        let events: u64 = report.partitions.iter().map(|partition| partition.events).sum();
        assert_eq!(events, 600);
        for partition in &report.partitions {
            assert_eq!(partition.last_sequence + 1, partition.events);
        }
        assert!(told.len() >= 4);
        assert_eq!(host.files(), before);
        // Index files alone give the same numbers.
        let quick = check(&io, VerifyDepth::Quick).await;
        assert_eq!(quick, report);
    });
}

#[test]
fn rot_in_a_sealed_segment_is_damage_of_that_frame_alone() {
    run(2, |host| async move {
        let io = filled(&host).await;
        assert!(host.flip_bit(file_of(SegmentFile::Log, 2), 50_000, 3));
        let report = check(&io, VerifyDepth::Full).await;
        assert_eq!(report.soundness, Soundness::Damaged);
        let Problem::LostFrames { first_index, last_index, .. } = report.findings[0].problem else {
            panic!("{:?}", problems(&report));
        };
        assert_eq!(first_index, last_index);
        assert_eq!(report.findings[0].segment, Some(2));
        assert_eq!((report.buckets[0].events, report.buckets[0].ending), (599, LogEnding::Holed));
        // Quick trusts the index file, as a start does.
        assert_eq!(check(&io, VerifyDepth::Quick).await.soundness, Soundness::Sound);
    });
}

#[test]
fn rot_in_an_index_is_repairable() {
    run(3, |host| async move {
        let io = filled(&host).await;
        assert!(host.flip_bit(file_of(SegmentFile::Index, 1), 5000, 0));
        let report = check(&io, VerifyDepth::Full).await;
        assert_eq!(report.soundness, Soundness::Repairable);
        assert!(
            matches!(report.findings[0].problem, Problem::Index { .. }),
            "{:?}",
            problems(&report)
        );
        assert_eq!(report.buckets[0].ending, LogEnding::Clean);
    });
}

#[test]
fn a_missing_index_is_repairable() {
    run(4, |host| async move {
        let io = filled(&host).await;
        assert!(host.remove_file(file_of(SegmentFile::Index, 1)));
        let report = check(&io, VerifyDepth::Full).await;
        assert_eq!(report.soundness, Soundness::Repairable);
        assert_eq!(report.findings[0].problem, Problem::MissingIndex);
    });
}

#[test]
fn the_index_of_another_segment_is_not_usable() {
    run(5, |host| async move {
        let io = filled(&host).await;
        let other = host.durable_image(file_of(SegmentFile::Index, 2)).unwrap();
        host.put_file(file_of(SegmentFile::Index, 1), &other);
        for depth in [VerifyDepth::Full, VerifyDepth::Quick] {
            let report = check(&io, depth).await;
            assert_eq!(report.soundness, Soundness::Repairable);
            assert!(matches!(report.findings[0].problem, Problem::Index { .. }));
            assert_eq!(report.buckets[0].events, 600);
        }
    });
}

#[test]
fn a_missing_segment_is_damage_and_the_others_are_read() {
    run(6, |host| async move {
        let io = filled(&host).await;
        assert!(host.remove_file(file_of(SegmentFile::Log, 2)));
        let report = check(&io, VerifyDepth::Full).await;
        assert_eq!(report.soundness, Soundness::Damaged);
        let missing = |finding: &&Finding| finding.problem == Problem::MissingSegment;
        assert_eq!(report.findings.iter().find(missing).unwrap().segment, Some(2));
        let gaps = |problem: &Problem| matches!(problem, Problem::Sequence { .. });
        assert!(report.findings.iter().any(|finding| gaps(&finding.problem)));
        assert!(report.buckets[0].events > 300);
    });
}

#[test]
fn a_damaged_segment_header_does_not_hide_the_frames() {
    run(7, |host| async move {
        let io = filled(&host).await;
        assert!(host.flip_bit(file_of(SegmentFile::Log, 3), 30, 3));
        let report = check(&io, VerifyDepth::Full).await;
        assert!(matches!(report.findings[0].problem, Problem::SegmentHeader { .. }));
        assert_eq!((report.buckets[0].events, report.soundness), (600, Soundness::Damaged));
    });
}

/// Number and end of the last segment.
async fn last_segment(io: &Io) -> (u64, ActiveSegment) {
    let dir = Path::new(DIR).join("buckets/00000");
    let listed = io.disk().list(&dir).await.unwrap();
    let mut best = None;
    for (kind, number) in listed.iter().filter_map(|entry| SegmentFile::parse(&entry.name)) {
        let path = dir.join(kind.name(number));
        let file = io.disk().open(&path, sierradb_io::OpenOptions::READ).await.unwrap();
        let header = crate::segment::reader::read_segment_header(file.as_ref()).await;
        let (SegmentFile::Log, Ok(header)) = (kind, header) else { continue };
        let mut reader = FrameReader::open(file, ActiveSegment::new(header)).await.unwrap();
        while let Ok(Some(_)) = reader.next().await {}
        best = Some((number, *reader.segment()));
    }
    best.unwrap()
}

#[test]
fn a_torn_write_is_repairable_and_a_garbled_one_is_not() {
    run(8, |host| async move {
        let io = filled(&host).await;
        let (number, segment) = last_segment(&io).await;
        let entry = LogEntry::without_events(
            frame::FrameKind::NoOp,
            segment.end().next_index - 1,
            Bytes::from(vec![1; 3000]),
        );
        let mut whole = Vec::new();
        frame::encode(&entry, segment.place(segment.end().last_term)).copy_to(&mut whole);
        let path = file_of(SegmentFile::Log, number);
        let at = segment.end().end_offset;
        assert!(host.overwrite(&path, at, &whole[..64]));
        let report = check(&io, VerifyDepth::Full).await;
        assert!(
            matches!(report.findings[0].problem, Problem::TornEnd { .. }),
            "{:?}",
            problems(&report)
        );
        assert_eq!(report.findings[0].offset, Some(at));
        assert_eq!(report.soundness, Soundness::Repairable);
        assert_eq!(report.buckets[0].ending, LogEnding::Torn);
        // Every sector is there, but one bit is wrong: that was not torn.
        whole[1000] ^= 1;
        assert!(host.overwrite(&path, at, &whole));
        let report = check(&io, VerifyDepth::Quick).await;
        assert!(matches!(report.findings[0].problem, Problem::LostTail { .. }));
        assert_eq!(report.buckets[0].ending, LogEnding::Damaged);
    });
}

/// What proves that the last frame was durable: the file it stands in, and the bytes there.
fn proofs(number: u64) -> [(PathBuf, Range<u64>); 3] {
    let state = Path::new(DIR).join("buckets/00000/state");
    let checkpoint = || file_of(SegmentFile::Checkpoint, number);
    [
        (state, 0..u64::MAX),
        (checkpoint(), witness::RING_OFFSET..delta::FIRST_OFFSET),
        (checkpoint(), delta::FIRST_OFFSET..u64::MAX),
    ]
}

/// Makes zeros of `bytes`, as far as the file has them.
fn wipe(host: &SimHost, path: &Path, bytes: &Range<u64>) {
    let len = host.current_image(path).unwrap().len();
    let end = bytes.end.min(u64::try_from(len).unwrap());
    let zeros = vec![0; usize::try_from(end - bytes.start).unwrap()];
    assert!(host.overwrite(path, bytes.start, &zeros));
}

#[test]
fn each_proof_alone_tells_a_lost_last_frame_from_a_clean_end() {
    for kept in [None, Some(0), Some(1), Some(2)] {
        run(20, move |host| async move {
            let io = filled(&host).await;
            let (number, segment) = last_segment(&io).await;
            let log = file_of(SegmentFile::Log, number);
            let image = host.current_image(&log).unwrap();
            let frames = image.chunks(8).zip((0_u64..).step_by(8));
            let (_, last) = frames.filter(|(step, _)| step.starts_with(b"SFR1")).last().unwrap();
            wipe(&host, &log, &(last..segment.end().end_offset));
            for (nth, (path, bytes)) in proofs(number).iter().enumerate() {
                if kept != Some(nth) {
                    wipe(&host, path, bytes);
                }
            }
            let report = check(&io, VerifyDepth::Full).await;
            let bucket = &report.buckets[0];
            let expected = if kept.is_some() { LogEnding::Damaged } else { LogEnding::Clean };
            assert_eq!((bucket.ending, bucket.frames), (expected, 599), "{kept:?}");
        });
    }
}

#[test]
fn one_bad_state_slot_is_repairable() {
    run(9, |host| async move {
        let io = filled(&host).await;
        let state = Path::new(DIR).join("buckets/00000/state");
        assert!(host.flip_bit(&state, 20, 1));
        let report = check(&io, VerifyDepth::Quick).await;
        assert_eq!(report.soundness, Soundness::Repairable);
        let found = &report.findings[0].problem;
        assert!(matches!(found, Problem::StateSlot { slot: 0, .. } | Problem::State), "{found}");
    });
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    run(10, |host| async move {
        let io = host.boot();
        let all = VerifyOptions::default();
        io.disk().create_dir(Path::new("/empty")).await.unwrap();
        let missing = verify(&io, Path::new("/empty"), all, &mut |_| {}).await;
        assert!(matches!(missing, Err(VerifyError::NoDatabase { .. })));
        assert_eq!(io.disk().list(Path::new("/empty")).await.unwrap(), []);
        let io = filled(&host).await;
        let one = VerifyOptions { bucket_id: Some(1), ..all };
        let missing = verify(&io, Path::new(DIR), one, &mut |_| {}).await;
        assert!(matches!(missing, Err(VerifyError::NoSuchBucket { bucket_id: 1, last: 0 })));
        let db = Database::open_with(io.clone(), Path::new(DIR), options()).await.unwrap();
        let locked = verify(&io, Path::new(DIR), all, &mut |_| {}).await;
        assert!(matches!(locked, Err(VerifyError::Open(crate::OpenError::Locked { .. }))));
        db.close().await;
    });
}

#[test]
fn more_passes_find_the_same() {
    run(11, |host| async move {
        let io = filled(&host).await;
        let manifest = Manifest::load(&io, Path::new(DIR)).await.unwrap().unwrap();
        let all = VerifyOptions::default();
        let mut passes = 0;
        let place = (Path::new(DIR), &manifest);
        let report =
            verify_with_budget(&io, place, all, &mut |at| passes = passes.max(at.pass), 100).await;
        assert_eq!(report.unwrap(), check(&io, VerifyDepth::Full).await);
        assert!(passes >= 6, "{passes} passes");
    });
}

#[test]
fn a_dump_shows_every_frame_and_what_is_bad() {
    run(12, |host| async move {
        let io = filled(&host).await;
        let path = file_of(SegmentFile::Log, 1);
        let mut items = Vec::new();
        dump_segment(&io, &path, &mut |item| items.push(item)).await.unwrap();
        let frames = items.iter().filter(|item| matches!(item, DumpItem::Frame { .. })).count();
        let events = items.iter().filter(|item| matches!(item, DumpItem::Event { .. })).count();
        assert!(frames > 100 && frames == events, "{frames} frames, {events} events");
        assert!(matches!(items[0], DumpItem::Header { number: 1, first_index: 2, .. }));
        assert!(matches!(items.last(), Some(DumpItem::End { .. })));
        assert!(items[2].to_string().contains("stream-0"), "{}", items[2]);
        assert!(host.flip_bit(&path, 50_000, 3));
        let mut damaged = Vec::new();
        dump_segment(&io, &path, &mut |item| damaged.push(item)).await.unwrap();
        assert_eq!(damaged.len(), items.len() - 1);
        assert!(damaged.iter().any(|item| matches!(item, DumpItem::Bad { .. })));
    });
}

/// Transactions of one event each, given as (partition, key, event id, stream, version).
fn judge_frames(budget: usize, rows: &[(u16, u64, u128, &str, u64)]) -> Vec<String> {
    let manifest = Manifest {
        database_uuid: Uuid::nil(),
        incarnation: Uuid::nil(),
        created_ms: 0,
        partition_count: 4,
        bucket_count: 2,
        segment_size_bytes: 1 << 20,
        hash_seed: 0,
        max_transaction_bytes: 1 << 18,
        writer_version: String::new(),
    };
    let frames = frames_of(rows);
    let mut continuity = Continuity::new(0, &manifest, budget);
    let mut findings = Findings::new();
    loop {
        for frame in &frames {
            assert_eq!(continuity.take(frame, Place::BUCKET, &mut findings), 1);
        }
        if !continuity.end_pass(&mut findings) {
            break;
        }
    }
    findings.listed.iter().map(|finding| finding.problem.to_string()).collect()
}

fn frames_of(rows: &[(u16, u64, u128, &str, u64)]) -> Vec<Frame> {
    let mut log = TestSegment::from_header(SegmentHeader::first(1, 1 << 20, 4));
    let mut next = [0_u64; 8];
    let frame = |(partition, key, id, stream, version): &(u16, u64, u128, &str, u64)| {
        let event = NewEventRef {
            event_id: Uuid::from_u128(*id),
            stream_version: *version,
            timestamp_ns: 0,
            flags: EventFlags::NONE,
            stream_id: stream.as_bytes(),
            name: b"n",
            extensions: &[],
            metadata: &[],
            payload: &[],
        };
        let body = encode_transaction(Uuid::from_u128(u128::from(*key)), 1, &[event]);
        let sequence = &mut next[usize::from(*partition)];
        *sequence += 1;
        log.push_entry(&LogEntry::transaction(*partition, 1, *sequence - 1, 0, body))
    };
    rows.iter().map(frame).collect()
}

#[test]
fn gaps_in_versions_are_found() {
    let problems = judge_frames(100, &[(0, 1, 1, "a", 0), (0, 1, 2, "a", 2), (0, 1, 3, "b", 1)]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("'a' of partition 0 goes on with version 2, expected 1"));
    assert!(problems[1].contains("'b' of partition 0 goes on with version 1, expected 0"));
}

#[test]
fn another_key_of_a_stream_is_found() {
    let problems = judge_frames(100, &[(0, 1, 1, "a", 0), (0, 9, 2, "a", 1), (2, 9, 3, "a", 0)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("began with"));
}

#[test]
fn a_partition_of_another_bucket_is_found() {
    let problems = judge_frames(100, &[(1, 1, 1, "a", 0)]);
    assert_eq!(problems, ["partition 1 does not belong to this bucket"]);
}

#[test]
fn ids_used_twice_are_found_in_one_pass_and_in_many() {
    let names: Vec<String> = (0..60).map(|n| format!("stream {n}")).collect();
    let mut rows: Vec<_> =
        (0_u128..).zip(&names).map(|(n, name)| (0, 1, n, name.as_str(), 0)).collect();
    rows.push((2, 1, 5, "other partition", 0));
    assert_eq!(judge_frames(1000, &rows), Vec::<String>::new());
    rows.push((0, 1, 5, "same partition", 0));
    for budget in [1000, 10] {
        let problems = judge_frames(budget, &rows);
        assert_eq!(problems.len(), 1, "budget {budget}: {problems:?}");
        assert!(problems[0].contains("is used twice in partition 0"));
    }
}
