//! One damage at a time on real files: a flipped bit anywhere, a side file emptied, cut or gone. After it every event
//! is returned byte for byte or its read says "damaged"; nothing is silently missing, changed or numbered twice.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "damages real files, which only the machine's own calls can do; fails by panicking, in helpers too"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sierradb::{
    AppendError, AppendResult, Database, DatabaseOptions, Direction, EventBatch, EventRecord,
    ExpectedVersion, NewEvent, OpenError, PartitionId, ReadError, ReadRange, StreamId, Transaction,
};
use sierradb_io::Prng;
use uuid::Uuid;

/// What one `cargo test` does. 1,000 flips and 200 side files were run by hand when this was written.
const FLIPS: u64 = 150;
const SIDE_FILES: u64 = 60;

const STREAMS: u64 = 10;
const TRANSACTIONS: u64 = 420;

fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    sierradb_io::os::wait(future)
}

fn small() -> DatabaseOptions {
    DatabaseOptions {
        segment_size_bytes: 128 << 10,
        bucket_count: 2,
        partition_count: 4,
        min_free_bytes: 0,
        ..DatabaseOptions::default()
    }
}

/// What the database is known to hold.
#[derive(Clone, Default)]
struct Known {
    streams: BTreeMap<(PartitionId, String), Vec<EventRecord>>,
    partitions: BTreeMap<PartitionId, Vec<EventRecord>>,
    appends: Vec<(Transaction, AppendResult)>,
}

/// Five keys of all four partitions; two streams share each.
const KEYS: [&str; 5] = ["stream-0", "stream-1", "stream-2", "stream-6", "stream-4"];

fn key_of(stream: u64) -> Uuid {
    let name = KEYS[usize::try_from(stream % 5).unwrap()];
    sierradb_protocol::id::default_partition_key(name.as_bytes())
}

fn event_of(prng: &mut Prng, stream: u64, expected: ExpectedVersion) -> NewEvent {
    let mut id = [0; 16];
    prng.fill(&mut id);
    let len = usize::try_from(prng.between(1, 1500)).unwrap();
    let mut payload = vec![0; len];
    prng.fill(&mut payload);
    if prng.chance(1, 6) {
        payload.fill(0); // like an unwritten disk
    }
    NewEvent {
        event_id: uuid::Builder::from_random_bytes(id).into_uuid(),
        stream_id: StreamId::new(format!("stream-{stream}")).unwrap(),
        stream_version: expected,
        event_name: "Happened".into(),
        timestamp: 1_729_247_400_000_000_000,
        payload,
        metadata: b"m".to_vec(),
    }
}

impl Known {
    fn next_version(&self, partition: PartitionId, stream: u64) -> u64 {
        let events = self.streams.get(&(partition, format!("stream-{stream}")));
        events.map_or(0, |events| events.len() as u64)
    }

    fn expected(&self, partition: PartitionId, stream: u64) -> ExpectedVersion {
        match self.next_version(partition, stream).checked_sub(1) {
            Some(last) => ExpectedVersion::Exact(last),
            None => ExpectedVersion::Empty,
        }
    }

    /// A transaction over one stream or, at times, two of the same key.
    fn draw(&self, db: &Database, prng: &mut Prng) -> Transaction {
        let first = prng.below(STREAMS);
        let key = key_of(first);
        let partition = db.partition_of_key(key);
        let mut events = vec![event_of(prng, first, self.expected(partition, first))];
        if prng.chance(1, 4) {
            let second = (first + 5) % STREAMS;
            events.push(event_of(prng, second, self.expected(partition, second)));
        }
        Transaction::new(key, key, events).unwrap()
    }

    /// Takes an answered append in: it must continue what is known.
    fn take(&mut self, db: &Database, sent: Transaction, result: AppendResult) -> Check {
        let partition = result.partition_id;
        let next = self.partitions.get(&partition).map_or(0, |events| events.len() as u64);
        if result.first_partition_sequence != next || result.duplicate {
            return Err(format!("sequence {next} expected: {result:?}"));
        }
        for event in &result.events {
            let stored = wait(db.read_event(event.event_id)).map_err(|error| error.to_string())?;
            let stored = stored.ok_or("an event just appended is not there")?;
            let stream = String::from_utf8(stored.stream_id.to_vec()).unwrap();
            let versions = self.streams.entry((partition, stream)).or_default();
            if event.stream_version != versions.len() as u64 {
                return Err(format!("version {} expected: {result:?}", versions.len()));
            }
            versions.push(stored.clone());
            self.partitions.entry(partition).or_default().push(stored);
        }
        self.appends.push((sent, result));
        Ok(())
    }
}

type Check = Result<(), String>;

/// Two directories with the same kind of content: one closed, one as a crash would leave it.
struct Origin {
    _dir: tempfile::TempDir,
    closed: PathBuf,
    crashed: PathBuf,
    known: Known,
}

/// In memory where the machine offers that: nothing here is about syncs, and they would take most of the time.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn build() -> Origin {
    let dir = scratch();
    let (closed, crashed) = (dir.path().join("closed"), dir.path().join("crashed"));
    let db = small().open(&closed).unwrap();
    let mut prng = Prng::new(1);
    let mut known = Known::default();
    for _ in 0..TRANSACTIONS {
        let transaction = known.draw(&db, &mut prng);
        let result = wait(db.append_events(transaction.clone())).unwrap();
        known.take(&db, transaction, result).unwrap();
    }
    // Every rolled segment is sealed soon; a copy taken half-way through would be no crash image.
    let is_settled = |bucket: &sierradb::BucketStats| bucket.sealed + 1 == bucket.segments;
    while !db.stats().buckets.iter().all(is_settled) {
        std::thread::yield_now();
    }
    assert!(db.stats().buckets.iter().all(|bucket| bucket.sealed > 0));
    copy(&closed, &crashed);
    wait(db.close());
    drop(db);
    Origin { _dir: dir, closed, crashed, known }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Files of a kind, sorted.
fn files(dir: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if std::fs::metadata(&path).unwrap().is_dir() {
                open.push(path);
            } else if is_wanted(path.file_name().unwrap().to_str().unwrap()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_side_file(name: &str) -> bool {
    name == "state" || name.ends_with(".idx") || name.ends_with(".ckp")
}

/// Flips one bit: in any file of the log or beside it; at times in the manifest.
fn flip(dir: &Path, prng: &mut Prng) -> String {
    let wanted: &dyn Fn(&str) -> bool = match prng.below(10) {
        0..=4 => &|name| name.ends_with(".seg"),
        5..=6 => &|name| name.ends_with(".idx"),
        7 => &|name| name.ends_with(".ckp"),
        8 => &|name| name == "state",
        _ => &|name| name == "manifest",
    };
    let files: Vec<_> = files(dir, wanted)
        .into_iter()
        .filter(|path| std::fs::metadata(path).unwrap().len() > 0)
        .collect();
    let path = prng.pick(&files).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    // Headers and the last used bytes decide most: they get a third of the hits.
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last as u64 + 1);
    let at = match prng.below(6) {
        0 => prng.below(64.min(bytes.len() as u64)),
        1 => used.saturating_sub(1 + prng.below(80)),
        2 => prng.below(bytes.len() as u64),
        _ => prng.below(used),
    };
    let bit = prng.below(8);
    bytes[usize::try_from(at).unwrap()] ^= 1 << bit;
    std::fs::write(path, bytes).unwrap();
    format!("bit {bit} of byte {at} of {used} used in {}", path.display())
}

/// Empties, cuts or removes a side file.
fn lose(dir: &Path, prng: &mut Prng) -> String {
    let files = files(dir, &is_side_file);
    let path = prng.pick(&files).unwrap();
    let bytes = std::fs::read(path).unwrap();
    match prng.below(3) {
        0 => {
            std::fs::write(path, b"").unwrap();
            format!("emptied {}", path.display())
        }
        1 => {
            let len = prng.below(bytes.len() as u64 + 1);
            std::fs::write(path, &bytes[..usize::try_from(len).unwrap()]).unwrap();
            format!("cut {} from {} to {len} bytes", path.display(), bytes.len())
        }
        _ => {
            std::fs::remove_file(path).unwrap();
            format!("removed {}", path.display())
        }
    }
}

/// What happened over a campaign.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    refused_manifest: u64,
    read_only: u64,
    damaged_reads: u64,
    rounds_with_damage: u64,
    appended: u64,
}

fn campaign(origin: &Origin, flips: u64, side_files: u64) -> Tally {
    let mut tally = Tally::default();
    for round in 0..flips + side_files {
        let mut prng = Prng::new(0xda3a_0000 + round);
        let work = scratch();
        let dir = work.path().join("db");
        copy(if prng.chance(1, 2) { &origin.closed } else { &origin.crashed }, &dir);
        let what = if round < flips { flip(&dir, &mut prng) } else { lose(&dir, &mut prng) };
        if let Err(error) = one_round(&dir, &what, origin.known.clone(), &mut prng, &mut tally) {
            let kept = work.keep();
            panic!("round {round}, {what}: {error}\nfiles kept in {}", kept.display());
        }
        tally.rounds += 1;
    }
    tally
}

fn one_round(
    dir: &Path,
    what: &str,
    mut known: Known,
    prng: &mut Prng,
    tally: &mut Tally,
) -> Check {
    let db = match small().open(dir) {
        Ok(db) => db,
        Err(error @ OpenError::Manifest { .. }) if what.ends_with("manifest") => {
            tally.refused_manifest += 1;
            let text = error.to_string();
            let is_clear = text.contains("is damaged") && text.contains("sierradb repair");
            return if is_clear { Ok(()) } else { Err(text) };
        }
        Err(error) => return Err(format!("open: {error}")),
    };
    if what.ends_with("manifest") {
        return Err("a damaged manifest was accepted".to_owned());
    }
    let before = tally.damaged_reads;
    check(&db, &known, prng, tally).map_err(|error| format!("first open: {error}"))?;
    append(&db, &mut known, prng, tally).map_err(|error| format!("append: {error}"))?;
    let is_damaged = tally.damaged_reads > before;
    wait(db.close());
    drop(db);
    if is_damaged || prng.chance(1, 3) {
        let db = small().open(dir).map_err(|error| format!("second open: {error}"))?;
        check(&db, &known, prng, tally).map_err(|error| format!("second open: {error}"))?;
        append(&db, &mut known, prng, tally)
            .map_err(|error| format!("append at second open: {error}"))?;
        wait(db.close());
    }
    tally.rounds_with_damage += u64::from(is_damaged);
    Ok(())
}

/// Compares all that can be read with what is known.
fn check(db: &Database, known: &Known, prng: &mut Prng, tally: &mut Tally) -> Check {
    for ((partition, stream), events) in &known.streams {
        let id = StreamId::new(stream.as_str()).unwrap();
        let read = |range| wait(db.read_stream(*partition, &id, range));
        let at = |error: String| format!("{stream} of partition {}: {error}", partition.get());
        forward(events, &read, tally).map_err(at)?;
        let head = wait(db.stream_version(*partition, &id));
        check_head(events, head, tally).map_err(at)?;
    }
    for (partition, events) in &known.partitions {
        let read = |range| wait(db.read_partition(*partition, range));
        let at = |error: String| format!("partition {}: {error}", partition.get());
        forward(events, &read, tally).map_err(at)?;
        backward(events, &read, tally).map_err(at)?;
        check_head(events, db.partition_sequence(*partition), tally).map_err(at)?;
        for event in events {
            if !prng.chance(1, 8) {
                continue;
            }
            match wait(db.read_event(event.event_id)) {
                Ok(Some(found)) if found == *event => {}
                Ok(other) => return Err(format!("event {}: {other:?}", event.event_id)),
                Err(error) => damaged(error, tally)?,
            }
        }
    }
    Ok(())
}

fn damaged(error: ReadError, tally: &mut Tally) -> Check {
    match error {
        ReadError::Damaged { .. } => {
            tally.damaged_reads += 1;
            Ok(())
        }
        other => Err(other.to_string()),
    }
}

fn check_head(
    events: &[EventRecord],
    head: Result<Option<u64>, ReadError>,
    tally: &mut Tally,
) -> Check {
    match head {
        Ok(head) if head == (events.len() as u64).checked_sub(1) => Ok(()),
        Ok(head) => Err(format!("head {head:?} with {} events", events.len())),
        Err(error) => damaged(error, tally),
    }
}

type Read<'a> = &'a dyn Fn(ReadRange) -> Result<EventBatch, ReadError>;

/// Reads from each position on that a read before has not shown. Each read shows the right events or is refused.
fn forward(events: &[EventRecord], read: Read<'_>, tally: &mut Tally) -> Check {
    let mut next = 0;
    while next < events.len() {
        let batch = match read(ReadRange::from(next as u64, 300)) {
            Ok(batch) => batch,
            Err(error) => {
                damaged(error, tally)?;
                next += 1;
                continue;
            }
        };
        let end = next + batch.events.len();
        if end == next || events.get(next..end) != Some(batch.events.as_slice()) {
            return Err(format!("from {next}: {} events, not the right ones", batch.events.len()));
        }
        if !batch.has_more && end < events.len() {
            return Err(format!("silently ends at {end} of {}", events.len()));
        }
        next = end;
    }
    match read(ReadRange::from(next as u64, 1)) {
        Ok(batch) if batch.events.is_empty() && !batch.has_more => Ok(()),
        Ok(batch) => Err(format!("more than is known: {batch:?}")),
        Err(error) => damaged(error, tally),
    }
}

fn backward(events: &[EventRecord], read: Read<'_>, tally: &mut Tally) -> Check {
    let mut end = events.len();
    while end > 0 {
        let range = ReadRange {
            end: end as u64 - 1,
            direction: Direction::Backward,
            ..ReadRange::from(0, 300)
        };
        let batch = match read(range) {
            Ok(batch) => batch,
            Err(error) => {
                damaged(error, tally)?;
                end -= 1;
                continue;
            }
        };
        let Some(first) = end.checked_sub(batch.events.len()).filter(|first| *first < end) else {
            return Err(format!("backward from {end}: {} events", batch.events.len()));
        };
        let wanted = events[first..end].iter().rev();
        if !wanted.eq(batch.events.iter()) {
            return Err(format!("backward from {end}: not the right events"));
        }
        if !batch.has_more && first > 0 {
            return Err(format!("backward silently ends at {first}"));
        }
        end = first;
    }
    Ok(())
}

/// Appends to every stream: each is refused for the damage, or gets the next numbers. A retry is never stored twice.
fn append(db: &Database, known: &mut Known, prng: &mut Prng, tally: &mut Tally) -> Check {
    for _ in 0..STREAMS {
        let transaction = known.draw(db, prng);
        match wait(db.append_events(transaction.clone())) {
            Ok(result) => {
                known.take(db, transaction, result)?;
                tally.appended += 1;
            }
            Err(error) => refused(error, tally)?,
        }
        let (again, first) = prng.pick(&known.appends).unwrap();
        match wait(db.append_events(again.clone())) {
            Ok(result) if result == (AppendResult { duplicate: true, ..first.clone() }) => {}
            Ok(result) => return Err(format!("a retry got {result:?}, first {first:?}")),
            Err(error) => refused(error, tally)?,
        }
    }
    Ok(())
}

fn refused(error: AppendError, tally: &mut Tally) -> Check {
    match error {
        AppendError::ReadOnly { .. } => tally.read_only += 1,
        AppendError::Read(ReadError::Damaged { .. }) => {}
        other => return Err(format!("refused with: {other}")),
    }
    Ok(())
}

#[test]
fn no_damage_is_silent() {
    let origin = build();
    let tally = campaign(&origin, FLIPS, SIDE_FILES);
    println!("{tally:?}");
    assert!(tally.refused_manifest > 0 && tally.read_only > 0 && tally.appended > 0, "{tally:?}");
    assert!(tally.rounds_with_damage > 10, "{tally:?}");
}
