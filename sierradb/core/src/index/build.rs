//! Makes the pages of an `.idx` file from the frames of its segment, in their order.
//!
//! The sealer and the rebuilder push every frame and its events; [`IndexBuilder::finish`] sorts and lays out. The
//! result is a function of the pushed facts alone: the same segment and seed give the same bytes, so an index can be
//! checked by building it again.
//!
//! A run of entries with equal first 32 hash bits is kept on one page as long as it fits, so that the fences lead any
//! question to exactly one page.
//!
//! Memory for n events: 18 B each while frames come, about 45 B each at the peak inside `finish`. Contradictions
//! between facts (a gap in versions, falling offsets) are kept and returned by `finish`: they mean that the segment is
//! damaged or its reader wrong, and no index may be made of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use sierradb_io::{Map, map};

pub(crate) use super::build_facts::{
    BuildError, BuildOptions, EventFact, FrameFact, LostEventFact, SegmentEnd,
};
use super::footer::Footer;
use super::hash::{event_id_hash, idempotency_hash, stream_hash};
use super::layout::{Lists, StreamTable, pack, prefix, put_filter, put_run};
use super::page::{Extent, PageWriter, Section};

/// Frames between two entries of the R section.
pub(crate) const LOG_EVERY: u64 = 64;
/// Most bits of an offset / 8, so that an entry keeps at least 32 of its hash.
pub(super) const MAX_OFFSET_BITS: u8 = 32;
/// Turns the seed of stream hashes into that of a second, independent one.
const SECOND_HASH: u64 = 0x6a09_e667_f3bc_c908;

/// Collects facts; see the module.
pub(crate) struct IndexBuilder {
    options: BuildOptions,
    offset_bits: u8,
    /// Per event, in order.
    hashes: Vec<u64>,
    offsets: Vec<u32>,
    event_streams: Vec<u32>,
    event_partitions: Vec<u16>,
    /// Hash and offset / 8 of idempotency keys.
    keys: Vec<(u64, u32)>,
    streams: Vec<StreamFacts>,
    by_hash: StreamTable,
    partitions: BTreeMap<u16, PartitionFacts>,
    log: Vec<LogEntry>,
    last: Option<FrameFact>,
    /// Offset / 8 of the last frame.
    last_offset: u32,
    last_has_events: bool,
    /// Of some ids only 32 bits of the hash are known: none has more, and there is no filter.
    is_coarse: bool,
    min_append_ns: u64,
    max_append_ns: u64,
    error: Option<BuildError>,
}

struct StreamFacts {
    hash: u64,
    /// A second hash of the same bytes: streams are told apart by 128 bits.
    second: u64,
    first_version: u64,
    first_offset: u32,
    count: u32,
    partition: u16,
    id_len: u8,
}

struct PartitionFacts {
    first_sequence: u64,
    first_offset: u32,
    count: u32,
}

struct LogEntry {
    index: u64,
    term: u64,
    offset: u64,
}

impl IndexBuilder {
    /// Begins an index.
    pub(crate) fn new(options: BuildOptions) -> Self {
        let units = options.segment_size.div_ceil(8).max(1);
        let bits = units.checked_next_power_of_two().map_or(64, u64::trailing_zeros);
        let expected = options.expected_events;
        Self {
            options,
            offset_bits: u8::try_from(bits).unwrap_or(64),
            hashes: Vec::with_capacity(expected),
            offsets: Vec::with_capacity(expected),
            event_streams: Vec::with_capacity(expected),
            event_partitions: Vec::with_capacity(expected),
            keys: Vec::new(),
            streams: Vec::new(),
            by_hash: StreamTable::default(),
            partitions: BTreeMap::new(),
            log: Vec::new(),
            last: None,
            last_offset: 0,
            last_has_events: false,
            is_coarse: false,
            min_append_ns: u64::MAX,
            max_append_ns: 0,
            error: None,
        }
    }

    /// The next frame, whatever its kind.
    pub(crate) fn frame(&mut self, frame: FrameFact) {
        self.error = self.error.or(self.try_frame(frame).err());
    }

    /// The next event of the last frame.
    pub(crate) fn event(&mut self, event: EventFact<'_>) {
        self.error = self.error.or(self.try_event(event).err());
    }

    /// The next event of the last frame, if that frame is damaged. From then on ids are found by 32 bits of their
    /// hash; each look-up reads and compares the frame anyway.
    pub(crate) fn lost_event(&mut self, event: LostEventFact<'_>) {
        self.error = self.error.or(self.try_lost_event(event).err());
    }

    fn try_frame(&mut self, frame: FrameFact) -> Result<(), BuildError> {
        let before = self.last.map_or(0, |last| last.offset);
        let misplaced = BuildError::FrameOffset { before, offset: frame.offset };
        let units = u32::try_from(frame.offset / 8).map_err(|_| misplaced)?;
        let fits = self.offset_bits >= 32 || units >> self.offset_bits == 0;
        if !frame.offset.is_multiple_of(8) || frame.offset <= before || !fits {
            return Err(misplaced);
        }
        let expected = self.last.map_or(self.options.first_index, |last| last.index + 1);
        if frame.index != expected {
            return Err(BuildError::FrameIndex { expected, found: frame.index });
        }
        let distance = frame.index - self.options.first_index;
        if distance.is_multiple_of(LOG_EVERY)
            || self.last.is_none_or(|last| last.term != frame.term)
        {
            self.log.push(LogEntry { index: frame.index, term: frame.term, offset: frame.offset });
        }
        self.last = Some(frame);
        self.last_offset = units;
        self.last_has_events = false;
        Ok(())
    }

    fn try_event(&mut self, event: EventFact<'_>) -> Result<(), BuildError> {
        let hash = event_id_hash(self.options.hash_seed, event.event_id);
        let frame = self.count(event.stream_id, event.stream_version, hash)?;
        if let Some(key) = event.idempotency_key {
            let hash = idempotency_hash(self.options.hash_seed, frame.partition, key);
            self.keys.push((hash, self.last_offset));
        }
        Ok(())
    }

    fn try_lost_event(&mut self, event: LostEventFact<'_>) -> Result<(), BuildError> {
        self.is_coarse = true;
        let mut hashes = event.hashes.iter().map(|hash| u64::from(*hash) << 32);
        let first = hashes.next().ok_or(BuildError::UnknownId { version: event.stream_version })?;
        self.count(event.stream_id, event.stream_version, first)?;
        let offset = self.last_offset;
        self.keys.extend(hashes.map(|hash| (hash, offset)));
        Ok(())
    }

    /// An event of the last frame, which is returned.
    fn count(
        &mut self,
        stream_id: &[u8],
        version: u64,
        hash: u64,
    ) -> Result<FrameFact, BuildError> {
        let frame = self.last.ok_or(BuildError::EventWithoutFrame)?;
        self.count_in_partition(frame)?;
        let stream = self.count_in_stream(frame, stream_id, version)?;
        self.hashes.push(hash);
        self.offsets.push(self.last_offset);
        self.event_streams.push(stream);
        self.event_partitions.push(frame.partition);
        self.last_has_events = true;
        self.min_append_ns = self.min_append_ns.min(frame.append_time_ns);
        self.max_append_ns = self.max_append_ns.max(frame.append_time_ns);
        Ok(frame)
    }

    fn count_in_partition(&mut self, frame: FrameFact) -> Result<(), BuildError> {
        let first_offset = self.last_offset;
        let facts = self.partitions.entry(frame.partition).or_insert(PartitionFacts {
            first_sequence: frame.first_sequence,
            first_offset,
            count: 0,
        });
        let expected = facts.first_sequence.saturating_add(u64::from(facts.count));
        if !self.last_has_events && frame.first_sequence != expected {
            let (partition, found) = (frame.partition, frame.first_sequence);
            return Err(BuildError::Sequence { partition, expected, found });
        }
        facts.count = facts.count.checked_add(1).ok_or(BuildError::TooMany { what: "events" })?;
        Ok(())
    }

    /// Adds the event to its stream; returns the stream's number.
    fn count_in_stream(
        &mut self,
        frame: FrameFact,
        stream_id: &[u8],
        found: u64,
    ) -> Result<u32, BuildError> {
        let partition = frame.partition;
        let hash = stream_hash(self.options.hash_seed, partition, stream_id);
        let second = stream_hash(self.options.hash_seed ^ SECOND_HASH, partition, stream_id);
        let known = self.by_hash.find(hash, |number| {
            stream_at(&self.streams, number).is_some_and(|stream| stream.second == second)
        });
        let stream = known.and_then(|number| self.streams.get_mut(usize::try_from(number).ok()?));
        if let (Some(number), Some(stream)) = (known, stream) {
            let expected = stream.first_version.saturating_add(u64::from(stream.count));
            if found != expected {
                let offset = frame.offset;
                return Err(BuildError::Version { partition, offset, expected, found });
            }
            // Cannot overflow: a stream has no more events than its partition, which was counted before.
            stream.count = stream.count.saturating_add(1);
            return Ok(number);
        }
        let id_len = stream_id.len();
        let bad_id = BuildError::StreamId { offset: frame.offset, len: id_len };
        let number = u32::try_from(self.streams.len());
        let number = number.map_err(|_| BuildError::TooMany { what: "streams" })?;
        self.streams.push(StreamFacts {
            hash,
            second,
            first_version: found,
            first_offset: self.last_offset,
            count: 1,
            partition,
            id_len: u8::try_from(id_len).map_err(|_| bad_id)?,
        });
        self.by_hash.insert(hash, number);
        Ok(number)
    }

    /// Lays the file out; returns its bytes in pieces, for [`write`].
    ///
    /// # Errors
    /// The first contradiction between the facts, or one with `end`.
    pub(crate) fn finish(mut self, end: SegmentEnd) -> Result<Vec<Bytes>, BuildError> {
        self.check_end(end)?;
        if self.is_coarse {
            self.offset_bits = MAX_OFFSET_BITS;
        }
        drop(std::mem::take(&mut self.by_hash));
        let mut writer = PageWriter::new(self.options.segment_number);
        let mut fences = Vec::new();
        let mut sections = [Extent::default(); 9];
        let mut note = |section: Section, extent| {
            if let Some(at) = sections.get_mut(usize::from(section.tag()) - 1) {
                *at = extent;
            }
        };
        note(Section::Events, self.put_events(&mut writer, &mut fences));
        let (lists, stream_lists) = self.put_stream_postings(&mut writer)?;
        note(Section::StreamPostings, lists);
        let mut stream_hashes = Vec::with_capacity(self.streams.len());
        let streams = self.put_streams(&mut writer, &stream_lists, &mut fences, &mut stream_hashes);
        note(Section::Streams, streams);
        drop((stream_lists, std::mem::take(&mut self.streams)));
        let (lists, partition_lists) = self.put_partition_postings(&mut writer)?;
        note(Section::PartitionPostings, lists);
        note(Section::Log, self.put_log(&mut writer, &mut fences));
        let events = self.hashes.len();
        (self.offsets, self.event_partitions) = (Vec::new(), Vec::new());
        let mut event_hashes = std::mem::take(&mut self.hashes);
        event_hashes.extend(self.keys.iter().map(|(hash, _)| *hash));
        if self.is_coarse {
            event_hashes.clear(); // it would deny ids of which only a part is known
        }
        let (event_filter, extent) = put_filter(&mut writer, Section::EventFilter, event_hashes);
        note(Section::EventFilter, extent);
        let (stream_filter, extent) = put_filter(&mut writer, Section::StreamFilter, stream_hashes);
        note(Section::StreamFilter, extent);
        note(Section::Partitions, self.put_partitions(&mut writer, &partition_lists));
        writer.begin(Section::Fences);
        fences.iter().for_each(|fence: &u32| writer.entry(&fence.to_le_bytes()));
        note(Section::Fences, writer.end());
        let footer = Footer {
            offset_bits: self.offset_bits,
            segment_number: self.options.segment_number,
            hash_seed: self.options.hash_seed,
            first_index: self.options.first_index,
            last_index: end.last_index,
            last_term: self.last.map_or(0, |last| last.term),
            min_append_ns: if events == 0 { 0 } else { self.min_append_ns },
            max_append_ns: self.max_append_ns,
            used_len: end.used_len,
            events: u64::try_from(events).unwrap_or(u64::MAX),
            frames: end.last_index + 1 - self.options.first_index,
            end_chain: end.end_chain,
            pages: writer.next_page() + 1,
            segment_digest: end.segment_digest,
            event_filter,
            stream_filter,
            sections,
        };
        writer.begin(Section::Footer);
        writer.bytes(&footer.encode());
        writer.end();
        Ok(writer.finish())
    }

    fn check_end(&self, end: SegmentEnd) -> Result<(), BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.offset_bits > MAX_OFFSET_BITS {
            return Err(BuildError::TooMany { what: "bytes per segment" });
        }
        let last_index = self.last.map_or(self.options.first_index - 1, |last| last.index);
        if end.last_index != last_index {
            let (expected, found) = (last_index, end.last_index);
            return Err(BuildError::End { field: "last index", expected, found });
        }
        if let Some(last) = self.last {
            if end.end_chain != last.header_crc {
                let (expected, found) = (last.header_crc.into(), end.end_chain.into());
                return Err(BuildError::End { field: "chain", expected, found });
            }
            if end.used_len <= last.offset {
                let (expected, found) = (last.offset, end.used_len);
                return Err(BuildError::End { field: "used length", expected, found });
            }
        }
        Ok(())
    }

    fn put_events(&self, writer: &mut PageWriter, fences: &mut Vec<u32>) -> Extent {
        let events = self.hashes.iter().copied().zip(self.offsets.iter().copied());
        let packed = events.chain(self.keys.iter().copied());
        let mut packed: Vec<u64> =
            packed.map(|(hash, offset)| pack(hash, offset, self.offset_bits)).collect();
        packed.sort_unstable();
        writer.begin(Section::Events);
        for run in packed.chunk_by(|a, b| prefix(*a) == prefix(*b)) {
            put_run(writer, fences, run.iter().map(|entry| (prefix(*entry), entry.to_le_bytes())));
        }
        writer.end()
    }

    /// Writes the lists of all streams, in the order of their hashes; returns, in that order, the number of each
    /// stream and where its list begins.
    fn put_stream_postings(
        &mut self,
        writer: &mut PageWriter,
    ) -> Result<(Extent, Vec<(u32, u32)>), BuildError> {
        let counts: Vec<u32> = self.streams.iter().map(|stream| stream.count).collect();
        let groups = std::mem::take(&mut self.event_streams);
        let lists = Lists::new(&counts, groups.into_iter(), &self.offsets);
        let mut order: Vec<u32> = (0..).take(self.streams.len()).collect();
        order.sort_unstable_by_key(|number| {
            stream_at(&self.streams, *number)
                .map(|stream| (stream.hash, stream.partition, stream.first_offset, stream.second))
        });
        writer.begin(Section::StreamPostings);
        let starts = lists.put(writer, order.iter().copied())?;
        Ok((writer.end(), order.into_iter().zip(starts).collect()))
    }

    fn put_streams(
        &self,
        writer: &mut PageWriter,
        lists: &[(u32, u32)],
        fences: &mut Vec<u32>,
        hashes: &mut Vec<u64>,
    ) -> Extent {
        let streams: Vec<(&StreamFacts, u32)> = lists
            .iter()
            .filter_map(|(number, start)| Some((stream_at(&self.streams, *number)?, *start)))
            .collect();
        writer.begin(Section::Streams);
        for run in streams.chunk_by(|a, b| prefix(a.0.hash) == prefix(b.0.hash)) {
            hashes.extend(run.iter().map(|(stream, _)| stream.hash));
            let entries =
                run.iter().map(|(stream, start)| (prefix(stream.hash), stream.entry(*start)));
            put_run(writer, fences, entries);
        }
        writer.end()
    }

    /// Likewise for partitions, which are written in the order of their numbers.
    fn put_partition_postings(
        &self,
        writer: &mut PageWriter,
    ) -> Result<(Extent, Vec<u32>), BuildError> {
        let counts: Vec<u32> = self.partitions.values().map(|facts| facts.count).collect();
        let numbers: Map<u16, u32> = {
            let mut numbers = map(0);
            numbers.extend(self.partitions.keys().copied().zip(0..));
            numbers
        };
        let groups = self.event_partitions.iter();
        let groups = groups.map(|partition| numbers.get(partition).copied().unwrap_or(u32::MAX));
        let lists = Lists::new(&counts, groups, &self.offsets);
        writer.begin(Section::PartitionPostings);
        let starts = lists.put(writer, numbers.values().copied())?;
        Ok((writer.end(), starts))
    }

    fn put_partitions(&self, writer: &mut PageWriter, starts: &[u32]) -> Extent {
        writer.begin(Section::Partitions);
        for ((partition, facts), start) in self.partitions.iter().zip(starts) {
            let mut entry = Vec::with_capacity(24);
            entry.extend(partition.to_le_bytes());
            entry.extend([0; 2]);
            entry.extend(facts.count.to_le_bytes());
            entry.extend(facts.first_sequence.to_le_bytes());
            entry.extend(start.to_le_bytes());
            entry.extend(facts.first_offset.to_le_bytes());
            writer.entry(&entry);
        }
        writer.end()
    }

    fn put_log(&self, writer: &mut PageWriter, fences: &mut Vec<u32>) -> Extent {
        writer.begin(Section::Log);
        for entry in &self.log {
            if writer.at_page_start() {
                // A segment has fewer frames than multiples of 8 below 32 bits of them.
                let distance = entry.index - self.options.first_index;
                fences.push(u32::try_from(distance).unwrap_or(u32::MAX));
            }
            let mut bytes = [0; 24];
            let fields = [entry.index, entry.term, entry.offset];
            for (to, from) in bytes.iter_mut().zip(fields.into_iter().flat_map(u64::to_le_bytes)) {
                *to = from;
            }
            writer.entry(&bytes);
        }
        writer.end()
    }
}

impl StreamFacts {
    /// The 32 bytes of the S section.
    fn entry(&self, list_start: u32) -> [u8; 32] {
        let mut bytes = [0; 32];
        let fields = (self.hash.to_le_bytes().into_iter())
            .chain(self.first_version.to_le_bytes())
            .chain(self.count.to_le_bytes())
            .chain(list_start.to_le_bytes())
            .chain(self.first_offset.to_le_bytes())
            .chain(self.partition.to_le_bytes())
            .chain([self.id_len, 0]);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}

fn stream_at(streams: &[StreamFacts], number: u32) -> Option<&StreamFacts> {
    streams.get(usize::try_from(number).ok()?)
}

#[cfg(test)]
mod tests;
