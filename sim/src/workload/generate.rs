//! Transactions and the streams they go to.

use sierradb_io::Prng;
use sierradb_protocol::PartitionId;
use sierradb_protocol::id::{
    default_partition_key, uuid_to_partition_hash, uuid_v7_with_partition_hash_from,
};
use uuid::Uuid;

use super::payload::payload;
use crate::config::DiskSpec;
use crate::history::{Draft, Expected, StreamKey, Submission};
use crate::oracle::ledger::Ledger;

/// A partition key and the streams that use it.
#[derive(Debug, Clone)]
pub struct Home {
    /// The key.
    pub key: Uuid,
    /// Its partition.
    pub partition: u16,
    /// Stream ids.
    pub streams: Vec<String>,
}

/// Where the events of a run go.
#[derive(Debug, Clone)]
pub struct Places {
    /// Keys with their streams.
    pub homes: Vec<Home>,
    segment_size_bytes: u64,
    payload_bytes: u64,
    events: u64,
    seed: u64,
}

impl Places {
    /// The keys and streams of a run.
    pub fn new(spec: &DiskSpec) -> Self {
        let mut draw = Prng::new(spec.seed ^ 0x686f_6d65);
        let homes = (0..spec.keys).map(|number| home(&mut draw, spec, number)).collect();
        Self {
            homes,
            segment_size_bytes: spec.segment_size_bytes,
            payload_bytes: spec.payload_bytes,
            events: spec.events,
            seed: spec.seed,
        }
    }

    /// Any stream.
    pub fn stream(&self, draw: &mut Prng) -> StreamKey {
        let home = self.home(draw);
        let stream = draw.pick(&home.streams).cloned().unwrap_or_default();
        (home.partition, stream)
    }

    fn home(&self, draw: &mut Prng) -> &Home {
        draw.pick(&self.homes).expect("a run has at least one key")
    }

    /// A transaction as nobody submitted it before; `op` is the number it will have.
    pub fn submission(&self, draw: &mut Prng, ledger: &Ledger, op: u64) -> Submission {
        let home = self.home(draw).clone();
        let largest = draw.chance(1, 40).then(|| self.segment_size_bytes / 4 - 400);
        let count = match largest {
            Some(_) => 1,
            None if draw.chance(1, 60) => 40,
            None => draw.between(1, self.events),
        };
        let events = (0..count)
            .map(|nth| {
                let stream = draw.pick(&home.streams).cloned().unwrap_or_default();
                let len = match largest {
                    Some(bytes) => bytes,
                    None => self.payload_len(draw),
                };
                let next = ledger.version_floor(&(home.partition, stream.clone()));
                Draft {
                    id: self.event_id(draw, &home, op, nth),
                    expected: expected(draw, next),
                    stream,
                    name: format!("Event{}", draw.below(3)),
                    timestamp_ns: draw.chance(1, 2).then(|| 1_700_000_000_000_000_000 + op),
                    payload: payload(op, nth, usize::try_from(len).unwrap_or(0)),
                    metadata: payload(
                        op,
                        nth + 1_000,
                        usize::try_from(draw.below(40)).unwrap_or(0),
                    ),
                }
            })
            .collect();
        Submission { partition: home.partition, partition_key: home.key.as_u128(), events }
    }

    /// The same event ids with another payload.
    pub fn conflict(&self, draw: &mut Prng, original: &Submission, op: u64) -> Submission {
        let mut other = original.clone();
        let (len, stays) = (other.events.len() as u64, draw.chance(1, 4));
        for (nth, draft) in (0..).zip(&mut other.events) {
            // Every event differs, so that it is known later which submission a stored one came from.
            draft.payload = payload(op, nth, draft.payload.len() + 24 + usize::from(stays));
            draft.expected = Expected::Any;
        }
        if len > 1 && draw.chance(1, 4) {
            other.events.truncate(1);
        }
        other
    }

    fn payload_len(&self, draw: &mut Prng) -> u64 {
        match draw.below(8) {
            0 => 0,
            1 => 1,
            2 => draw.between(370, 380),
            3 if self.payload_bytes > 512 => draw.between(511, 513),
            _ => draw.below(self.payload_bytes + 1),
        }
    }

    /// Half of the ids tell their partition as the server's own do, half are any numbers.
    fn event_id(&self, draw: &mut Prng, home: &Home, op: u64, nth: u64) -> u128 {
        let unique = (op << 16) | nth;
        if draw.chance(1, 2) {
            let hash = uuid_to_partition_hash(home.key);
            let random_a = u16::try_from(draw.below(1 << 12)).unwrap_or(0);
            uuid_v7_with_partition_hash_from(1_767_225_600_000 + op, random_a, unique, hash)
                .as_u128()
        } else {
            (u128::from(draw.next_u64() ^ self.seed) << 64) | u128::from(unique)
        }
    }
}

/// Mostly no expectation or the right one, sometimes a stale or impossible one.
fn expected(draw: &mut Prng, next: u64) -> Expected {
    let right = if next == 0 { Expected::Empty } else { Expected::Exact(next - 1) };
    match draw.below(10) {
        0..6 => Expected::Any,
        6..8 => right,
        8 => Expected::Exact(next + draw.below(3)),
        _ => *draw.pick(&[Expected::Exists, Expected::Empty, Expected::Exact(0)]).unwrap_or(&right),
    }
}

fn home(draw: &mut Prng, spec: &DiskSpec, number: u32) -> Home {
    let count = draw.between(1, u64::from(spec.streams));
    let mut streams: Vec<String> = (0..count).map(|nth| format!("k{number}-s{nth}")).collect();
    let key = if draw.chance(1, 2) {
        default_partition_key(streams.first().map_or(&[], |name| name.as_bytes()))
    } else {
        Uuid::from_u128((u128::from(draw.next_u64()) << 64) | u128::from(draw.next_u64()))
    };
    // One name in many partitions, and sometimes under two keys of one partition, which is refused.
    if draw.chance(1, 4) {
        streams.push("shared".to_owned());
    }
    Home { key, partition: PartitionId::of_key(key, spec.partitions).get(), streams }
}
