//! The embedded database against plain maps: appends, retries, refusals, scans and look-ups over many small
//! segments, through seals, kills, power cuts and reopens, with a cache too small for the data.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::path::Path;

use sierradb::{
    AppendError, Database, DatabaseOptions, Direction, EventRecord, ExpectedVersion, NewEvent,
    ReadRange, StreamId, Transaction,
};
use sierradb_io::Prng;
use sierradb_io::sim::{SimConfig, SimHost, run_with};
use sierradb_protocol::PartitionId;
use sierradb_protocol::id::{default_partition_key, uuid_to_partition_hash};
use uuid::Uuid;

const PARTITIONS: u16 = 4;
const DIR: &str = "/data";
const STEPS: usize = 1500;
const SEEDS: std::ops::Range<u64> = 0..8;

/// What was stored of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    id: Uuid,
    stream: StreamId,
    version: u64,
    sequence: u64,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Model {
    partitions: BTreeMap<u16, Vec<Stored>>,
    /// Key of a stream and the sequences of its events.
    streams: BTreeMap<(u16, StreamId), (Uuid, Vec<u64>)>,
    ids: BTreeMap<Uuid, BTreeMap<u16, u64>>,
    /// Every transaction with its first sequence.
    transactions: Vec<(Transaction, u64)>,
}

impl Model {
    fn event(&self, partition: u16, sequence: u64) -> &Stored {
        &self.partitions[&partition][usize::try_from(sequence).unwrap()]
    }

    fn apply(&mut self, partition: u16, key: Uuid, events: &[NewEvent]) {
        let log = self.partitions.entry(partition).or_default();
        for event in events {
            let sequence = u64::try_from(log.len()).unwrap();
            let stream = self.streams.entry((partition, event.stream_id.clone()));
            let stream = stream.or_insert((key, Vec::new()));
            let version = u64::try_from(stream.1.len()).unwrap();
            stream.1.push(sequence);
            self.ids.entry(event.event_id).or_default().insert(partition, sequence);
            log.push(Stored {
                id: event.event_id,
                stream: event.stream_id.clone(),
                version,
                sequence,
                payload: event.payload.clone(),
            });
        }
    }
}

fn assert_same(found: &EventRecord, partition: u16, stored: &Stored) {
    let seen = Stored {
        id: found.event_id,
        stream: StreamId::new(std::str::from_utf8(&found.stream_id).unwrap()).unwrap(),
        version: found.stream_version,
        sequence: found.partition_sequence,
        payload: found.payload.to_vec(),
    };
    let place = |stored: &Stored| (stored.id, stored.stream.clone(), stored.version);
    assert_eq!((found.partition_id.get(), place(&seen)), (partition, place(stored)));
    assert!(seen == *stored, "{seen:?}\n{stored:?}");
}

struct World {
    host: SimHost,
    db: Database,
    model: Model,
    prng: Prng,
    keys: Vec<Uuid>,
    options: DatabaseOptions,
}

impl World {
    async fn new(seed: u64, host: SimHost) -> Self {
        let mut prng = Prng::new(seed);
        let options = DatabaseOptions {
            partition_count: PARTITIONS,
            bucket_count: 2,
            segment_size_bytes: 128 << 10,
            cache_capacity_bytes: 1 << prng.between(10, 22),
            min_free_bytes: 0,
            ..DatabaseOptions::default()
        };
        let keys = (0..7).map(|n: u64| default_partition_key(&n.to_le_bytes())).collect();
        let db = Database::open_with(host.boot(), Path::new(DIR), options.clone()).await.unwrap();
        Self { host, db, model: Model::default(), prng, keys, options }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.prng.below(u64::try_from(bound).unwrap())).unwrap()
    }

    fn partition_of(key: Uuid) -> u16 {
        uuid_to_partition_hash(key) % PARTITIONS
    }

    fn new_id(&mut self) -> Uuid {
        let known = self.model.ids.len();
        if known > 0 && self.prng.chance(1, 12) {
            let nth = self.below(known);
            return *self.model.ids.keys().nth(nth).unwrap();
        }
        Uuid::from_u128(u128::from(self.prng.next_u64()) << 64 | u128::from(self.prng.next_u64()))
    }

    /// What an event may expect of a stream whose next version is `next`; seldom what cannot be.
    fn expectation(&mut self, next: u64) -> ExpectedVersion {
        match self.prng.below(12) {
            0 => ExpectedVersion::Exact(next),
            1 if next > 0 => ExpectedVersion::Exists,
            2..=6 if next > 0 => ExpectedVersion::Exact(next - 1),
            2..=6 => ExpectedVersion::Empty,
            _ => ExpectedVersion::Any,
        }
    }

    /// One append that may be refused, and what must become of it.
    async fn append(&mut self) {
        let nth = self.below(self.keys.len());
        let key = self.keys[nth];
        let partition = Self::partition_of(key);
        let count = if self.prng.chance(1, 6) { self.prng.between(2, 40) } else { 1 };
        let (mut events, mut refused): (Vec<NewEvent>, bool) = (Vec::new(), false);
        for _ in 0..count {
            let stream = match self.prng.below(10) {
                0 => StreamId::new("common").unwrap(),
                1 => StreamId::new(format!("new-{}", self.prng.next_u64())).unwrap(),
                n => StreamId::new(format!("{nth}-{}", n % 4)).unwrap(),
            };
            let event_id = self.new_id();
            if events.iter().any(|event| event.event_id == event_id) {
                continue;
            }
            let known = self.model.streams.get(&(partition, stream.clone()));
            let here = events.iter().filter(|event| event.stream_id == stream).count();
            let next = u64::try_from(known.map_or(0, |(_, stored)| stored.len()) + here).unwrap();
            refused |= known.is_some_and(|(owner, _)| *owner != key);
            let stream_version = self.expectation(next);
            refused |= stream_version == ExpectedVersion::Exact(next);
            refused |=
                self.model.ids.get(&event_id).is_some_and(|used| used.contains_key(&partition));
            let longest = if self.prng.chance(1, 30) { 20_000 } else { 1_500 };
            let payload = self.below(longest);
            let tag = u8::try_from(self.prng.below(256)).unwrap();
            events.push(NewEvent {
                event_id,
                stream_id: stream,
                stream_version,
                event_name: "Happened".into(),
                timestamp: 1_729_247_400_000_000_000,
                payload: vec![tag; if self.prng.chance(1, 5) { 0 } else { payload }],
                metadata: vec![],
            });
        }
        let transaction = Transaction::new(key, key, events.clone()).unwrap();
        if transaction.size_bytes() > 32 << 10 {
            return; // a quarter of a segment
        }
        let before = self.model.partitions.get(&partition).map_or(0, Vec::len);
        match self.db.append_events(transaction.clone()).await {
            Ok(result) if result.duplicate => {
                // Drawn by chance: the very content that its id has already.
                for (event, sequence) in events.iter().zip(result.first_partition_sequence..) {
                    let stored = self.model.event(partition, sequence);
                    let drawn = (event.event_id, &event.stream_id, &event.payload);
                    assert_eq!((stored.id, &stored.stream, &stored.payload), drawn);
                }
            }
            Ok(result) => {
                assert!(!refused, "accepted {transaction:?}");
                let first = u64::try_from(before).unwrap();
                assert_eq!(result.first_partition_sequence, first);
                self.model.apply(partition, key, &events);
                self.model.transactions.push((transaction, first));
            }
            Err(
                AppendError::WrongVersion { .. }
                | AppendError::KeyMismatch { .. }
                | AppendError::Duplicate { .. },
            ) => {
                assert!(refused, "refused {transaction:?}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn retry(&mut self) {
        if self.model.transactions.is_empty() {
            return;
        }
        let nth = self.below(self.model.transactions.len());
        let (transaction, first) = self.model.transactions[nth].clone();
        let result = self.db.append_events(transaction).await.unwrap();
        assert!(result.duplicate);
        assert_eq!(result.first_partition_sequence, first);
        for (event, sequence) in result.events.iter().zip(first..) {
            let stored = self.model.event(result.partition_id.get(), sequence);
            assert_eq!((event.event_id, event.stream_version), (stored.id, stored.version));
        }
    }

    async fn read_event(&mut self) {
        let nth = self.below(self.model.ids.len() + 1);
        let Some((id, places)) = self.model.ids.iter().nth(nth) else {
            let absent = Uuid::from_u128(u128::from(self.prng.next_u64()));
            assert_eq!(self.db.read_event(absent).await.unwrap(), None);
            return;
        };
        let hinted = uuid_to_partition_hash(*id) % PARTITIONS;
        let found = self.db.read_event(*id).await.unwrap().expect("it was acknowledged");
        let partition =
            if places.contains_key(&hinted) { &hinted } else { places.keys().next().unwrap() };
        assert_same(&found, *partition, self.model.event(*partition, places[partition]));
    }

    fn range(&mut self, len: usize) -> ReadRange {
        let start = u64::try_from(self.below(len + 3)).unwrap();
        let end = match self.prng.below(3) {
            0 => u64::MAX,
            _ => u64::try_from(self.below(len + 3)).unwrap(),
        };
        let direction =
            if self.prng.chance(1, 2) { Direction::Forward } else { Direction::Backward };
        let most = if self.prng.chance(1, 3) { 1_000 } else { 20 };
        let max_events = self.below(most);
        let max_bytes = 1 << self.prng.below(24);
        ReadRange { start, end, direction, max_events, max_bytes }
    }

    async fn read_partition(&mut self) {
        let partition = u16::try_from(self.prng.below(u64::from(PARTITIONS))).unwrap();
        let log = self.model.partitions.get(&partition).cloned().unwrap_or_default();
        let range = self.range(log.len());
        let id = PartitionId::new(partition);
        let batch = self.db.read_partition(id, range).await.unwrap();
        check_batch(&batch.events, batch.has_more, partition, &log, range);
        let last = u64::try_from(log.len()).unwrap().checked_sub(1);
        assert_eq!(self.db.partition_sequence(id).unwrap(), last);
    }

    async fn read_stream(&mut self) {
        let nth = self.below(self.model.streams.len() + 1);
        let (partition, stream, events) = match self.model.streams.iter().nth(nth) {
            Some(((partition, stream), (_, sequences))) => {
                let events = sequences.iter().map(|at| self.model.event(*partition, *at).clone());
                (*partition, stream.clone(), events.collect())
            }
            None => (1, StreamId::new("absent").unwrap(), Vec::new()),
        };
        let range = self.range(events.len());
        let id = PartitionId::new(partition);
        let batch = self.db.read_stream(id, &stream, range).await.unwrap();
        check_batch(&batch.events, batch.has_more, partition, &events, range);
        let last = u64::try_from(events.len()).unwrap().checked_sub(1);
        assert_eq!(self.db.stream_version(id, &stream).await.unwrap(), last);
    }

    async fn reopen(&mut self) {
        match self.prng.below(3) {
            0 => self.db.close().await,
            1 => self.host.kill(),
            _ => self.host.power_loss(),
        }
        let io = self.host.boot();
        self.db = Database::open_with(io, Path::new(DIR), self.options.clone()).await.unwrap();
    }

    async fn step(&mut self) {
        match self.prng.below(100) {
            0 => self.reopen().await,
            1..=60 => self.append().await,
            61..=65 => self.retry().await,
            66..=79 => self.read_event().await,
            80..=89 => self.read_partition().await,
            _ => self.read_stream().await,
        }
    }
}

/// `position` of the nth event of `all` is n.
fn check_batch(
    found: &[EventRecord],
    has_more: bool,
    partition: u16,
    all: &[Stored],
    range: ReadRange,
) {
    let mut expected: Vec<&Stored> = (0_u64..)
        .zip(all)
        .filter(|(position, _)| (range.start..=range.end).contains(position))
        .map(|(_, stored)| stored)
        .collect();
    if range.direction == Direction::Backward {
        expected.reverse();
    }
    assert!(found.len() <= range.max_events);
    assert!(found.len() <= expected.len(), "{range:?} of {}", all.len());
    assert_eq!(has_more, found.len() < expected.len(), "{range:?} of {}", all.len());
    for (found, stored) in found.iter().zip(&expected) {
        assert_same(found, partition, stored);
    }
    let bytes: usize = found.iter().map(EventRecord::data_len).sum();
    assert!(found.len() <= 1 || bytes <= range.max_bytes);
    if has_more && found.len() < range.max_events {
        let next = expected[found.len()];
        let len = next.stream.as_bytes().len() + "Happened".len() + next.payload.len() + 136;
        assert!(!found.is_empty() && bytes + len > range.max_bytes, "stopped early: {range:?}");
    }
}

fn play(seed: u64, steps: usize) -> SimHost {
    let config = SimConfig { cache_miss_permille: 300, ..SimConfig::default() };
    run_with(seed, config, |host| async move {
        let mut world = World::new(seed, host.clone()).await;
        for _ in 0..steps {
            world.step().await;
        }
        for _ in 0..20 {
            world.read_event().await;
            world.read_partition().await;
            world.read_stream().await;
        }
        world.db.close().await;
        host
    })
}

#[test]
fn the_database_answers_like_plain_maps() {
    let (mut sealed, mut cold) = (0, 0);
    for seed in SEEDS {
        let host = play(seed, STEPS);
        sealed += host.mark_hits("segment.sealed");
        cold += host.mark_hits("append.cold_read");
    }
    assert!(sealed > 10, "{sealed} segments sealed: the test is about them");
    assert!(cold > 10, "{cold} appends asked sealed segments");
}

#[test]
fn appends_that_filters_in_memory_can_judge_wait_for_no_read() {
    run_with(3, SimConfig::default(), |host| async move {
        let options = DatabaseOptions {
            partition_count: 1,
            bucket_count: 1,
            segment_size_bytes: 128 << 10,
            min_free_bytes: 0,
            ..DatabaseOptions::default()
        };
        let db = Database::open_with(host.boot(), Path::new(DIR), options).await.unwrap();
        let append = async |nth: u64| {
            let stream_id = StreamId::new(format!("stream-{nth}")).unwrap();
            let key = default_partition_key(b"one");
            let event = NewEvent {
                event_id: Uuid::from_u128(u128::from(nth) << 64 | 7),
                stream_id,
                stream_version: ExpectedVersion::Any,
                event_name: "Happened".into(),
                timestamp: 1_729_247_400_000_000_000,
                payload: vec![7; 200],
                metadata: vec![],
            };
            db.append_events(Transaction::new(key, key, vec![event]).unwrap()).await.unwrap();
        };
        let mut nth = 0;
        while host.mark_hits("segment.sealed") < 5 {
            append(nth).await;
            nth += 1;
        }
        let before = host.mark_hits("append.cold_read");
        for more in nth..nth + 200 {
            append(more).await;
        }
        let cold = host.mark_hits("append.cold_read") - before;
        // Each of some six filters of ids, and of streams, lets one in 256 pass; each is loaded once.
        assert!((1..40).contains(&cold), "{cold} of 200 appends waited");
        db.close().await;
    });
}
