//! What frames promise together: sequences and versions without gaps, one key per stream, ids that are used once.
//!
//! Sequences are checked in the first pass. Streams and ids may be too many for memory, so they are split by their
//! hash: a pass takes the share that is its residue modulo a power of two, and that power doubles whenever a pass
//! would hold more than its budget.

use std::collections::BTreeMap;

use sierradb_io::{Map, map};
use uuid::Uuid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::report::{Findings, PartitionReport, Place, Problem};
use crate::manifest::Manifest;
use crate::segment::event_codec::{EventKeys, append_time_ns, event_keys};
use crate::segment::extension::{self, ExtensionError};
use crate::segment::frame::{Frame, FrameKind};

/// A partition and an event id, exactly, in 18 bytes.
type PartitionAndId = (u16, [u8; 16]);

/// Where a stream stands.
#[derive(Debug, Clone, Copy)]
struct StreamEnd {
    next_version: u64,
    partition_key: Uuid,
}

/// See the module. One per bucket.
#[derive(Debug)]
pub(super) struct Continuity {
    bucket_id: u16,
    bucket_count: u16,
    budget: usize,
    pass: u64,
    passes: u64,
    /// Streams and ids can be judged only if no event was passed over.
    has_all_events: bool,
    last_append_ns: u64,
    partitions: BTreeMap<u16, PartitionReport>,
    streams: Map<u128, StreamEnd>,
    ids: Vec<PartitionAndId>,
    keys: Vec<(u16, u128)>,
}

impl Continuity {
    pub(super) fn new(bucket_id: u16, manifest: &Manifest, budget: usize) -> Self {
        Self {
            bucket_id,
            bucket_count: manifest.bucket_count,
            budget,
            pass: 0,
            passes: 1,
            has_all_events: true,
            last_append_ns: 0,
            partitions: BTreeMap::new(),
            streams: map(0),
            ids: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Which pass it is, from 0.
    pub(super) fn pass(&self) -> u64 {
        self.pass
    }

    /// The partitions seen.
    pub(super) fn into_partitions(self) -> impl Iterator<Item = PartitionReport> {
        self.partitions.into_values()
    }

    /// Counts what an index file says of a partition, in place of reading its events.
    pub(super) fn count_partition(
        &mut self,
        part: PartitionReport,
        place: Place,
        findings: &mut Findings,
    ) {
        let (partition, next) = (part.partition_id, part.last_sequence + 1);
        self.check_sequences((partition, part.first_sequence, part.events), next, place, findings);
        self.has_all_events = false;
    }

    /// Takes the next frame of the log in. Returns how many events it holds.
    pub(super) fn take(&mut self, frame: &Frame, place: Place, findings: &mut Findings) -> u64 {
        if frame.header.kind != FrameKind::Transaction {
            return 0;
        }
        let unreadable = |cause: String| Problem::Transaction { index: frame.header.index, cause };
        let (partition_key, events) = match event_keys(frame) {
            Ok(found) => found,
            Err(error) => {
                findings.damage(place, unreadable(error.to_string()));
                return 0;
            }
        };
        if self.pass == 0 {
            self.check_frame(frame, place, findings);
        }
        let mut count = 0;
        for event in events {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    findings.damage(place, unreadable(error.to_string()));
                    break;
                }
            };
            count += 1;
            if self.pass == 0
                && let Some(cause) = content_problem(&event)
            {
                findings.damage(place, unreadable(cause));
            }
            if self.has_all_events {
                self.take_event(frame.header.partition, partition_key, &event, (place, findings));
            }
        }
        count
    }

    fn check_frame(&mut self, frame: &Frame, place: Place, findings: &mut Findings) {
        let (partition, first) = (frame.header.partition, frame.header.first_sequence);
        if partition.checked_rem(self.bucket_count) != Some(self.bucket_id) {
            findings.damage(place, Problem::ForeignPartition { partition_id: partition });
        }
        let time = append_time_ns(frame).unwrap_or(0);
        if time < self.last_append_ns {
            let last = self.last_append_ns;
            findings.damage(place, Problem::AppendTime { last, found: time });
        }
        self.last_append_ns = self.last_append_ns.max(time);
        let count = u64::from(frame.header.event_count);
        let next = frame.header.next_sequence();
        self.check_sequences((partition, first, count), next, place, findings);
    }

    fn check_sequences(
        &mut self,
        (partition, first, count): (u16, u64, u64),
        next: u64,
        place: Place,
        findings: &mut Findings,
    ) {
        let entry = self.partitions.entry(partition);
        let report = entry.or_insert(PartitionReport {
            partition_id: partition,
            events: 0,
            first_sequence: first,
            last_sequence: 0,
        });
        let expected = if report.events == 0 { 0 } else { report.last_sequence + 1 };
        if first != expected {
            let problem = Problem::Sequence { partition_id: partition, expected, found: first };
            findings.damage(place, problem);
        }
        report.events += count;
        report.last_sequence = next.saturating_sub(1);
    }

    fn take_event(
        &mut self,
        partition: u16,
        partition_key: Uuid,
        event: &EventKeys<'_>,
        (place, findings): (Place, &mut Findings),
    ) {
        if self.is_mine(xxh3_64(event.event_id.as_bytes())) {
            self.ids.push((partition, *event.event_id.as_bytes()));
        }
        if let Ok(Some(key)) = extension::idempotency_key(event.extensions) {
            let hash = xxh3_128(key);
            if self.is_mine(low_half(hash)) {
                self.keys.push((partition, hash));
            }
        }
        let name = [&partition.to_le_bytes(), event.stream_id].concat();
        let hash = xxh3_128(&name);
        if self.is_mine(low_half(hash)) {
            let found = StreamEnd { next_version: event.stream_version + 1, partition_key };
            let before = self.streams.insert(hash, found);
            check_stream(partition, event, (before, found), (place, findings));
        }
        if self.streams.len() + self.ids.len() + self.keys.len() > self.budget {
            self.split();
        }
    }

    fn is_mine(&self, hash: u64) -> bool {
        hash % self.passes == self.pass
    }

    /// Halves the share of this and all later passes.
    fn split(&mut self) {
        self.passes *= 2;
        let (pass, passes) = (self.pass, self.passes);
        let is_mine = |hash: u64| hash % passes == pass;
        self.ids.retain(|(_, id)| is_mine(xxh3_64(id)));
        self.keys.retain(|(_, hash)| is_mine(low_half(*hash)));
        self.streams.retain(|hash, _| is_mine(low_half(*hash)));
    }

    /// Ends a pass: repeated ids are reported. Whether another one is needed.
    pub(super) fn end_pass(&mut self, findings: &mut Findings) -> bool {
        self.ids.sort_unstable();
        for pair in self.ids.windows(2) {
            if let [(partition_id, id), second] = pair
                && (*partition_id, *id) == *second
            {
                let (partition_id, event_id) = (*partition_id, Uuid::from_bytes(*id));
                findings.damage(Place::BUCKET, Problem::RepeatedId { partition_id, event_id });
            }
        }
        self.keys.sort_unstable();
        for pair in self.keys.windows(2) {
            if let [first, second] = pair
                && first == second
            {
                let problem = Problem::RepeatedKey { partition_id: first.0 };
                findings.damage(Place::BUCKET, problem);
            }
        }
        self.ids.clear();
        self.keys.clear();
        self.streams.clear();
        self.pass += 1;
        self.pass < self.passes
    }
}

fn check_stream(
    partition_id: u16,
    event: &EventKeys<'_>,
    (before, found): (Option<StreamEnd>, StreamEnd),
    (place, findings): (Place, &mut Findings),
) {
    let stream_id = || String::from_utf8_lossy(event.stream_id).into_owned();
    let expected = before.map_or(0, |before| before.next_version);
    if event.stream_version != expected {
        let (stream_id, found) = (stream_id(), event.stream_version);
        findings.damage(place, Problem::Version { partition_id, stream_id, expected, found });
    }
    if let Some(before) = before
        && before.partition_key != found.partition_key
    {
        let (expected, found) = (before.partition_key, found.partition_key);
        let stream_id = stream_id();
        findings.damage(place, Problem::StreamKey { partition_id, stream_id, expected, found });
    }
}

/// What is wrong inside an event, if anything.
fn content_problem(event: &EventKeys<'_>) -> Option<String> {
    let is_text = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok();
    if !is_text(event.stream_id) || event.stream_id.contains(&0) {
        return Some(format!("stream id of event {} is not a text without NUL", event.position));
    }
    if !is_text(event.name) {
        return Some(format!("name of event {} is not UTF-8", event.position));
    }
    match extension::check_readable(event.extensions) {
        // The event is hidden, not damaged: a later release shows it.
        Ok(()) | Err(ExtensionError::MustKnow { .. }) => None,
        Err(error) => Some(format!("extensions of event {}: {error}", event.position)),
    }
}

fn low_half(hash: u128) -> u64 {
    let [low, _] = halves(hash);
    low
}

fn halves(hash: u128) -> [u64; 2] {
    let bytes = hash.to_le_bytes();
    let (low, high) = bytes.split_at(8);
    [low, high].map(|half| half.first_chunk::<8>().map_or(0, |half| u64::from_le_bytes(*half)))
}
