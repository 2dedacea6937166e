//! A sealed segment's `.idx` file, open for questions.
//!
//! Pinned in memory: footer, fences (the first hash bits of every page) and partitions, about 0.015 B per event.
//! Everything else is read page by page through the block cache. A question costs: filter (one or two blocks,
//! usually cached), then exactly one page, found by the fences.
//!
//! Answers are candidates: hashes are compared, ids are not. The caller reads the frame and compares. A page that
//! fails its check is an error that names it, never an answer. Nothing is retried here.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sierradb_io::{Disk, Io, MutantFlag, OpenOptions, mutant_flag};

pub(crate) use super::entries::{LogPosition, PartitionEntry, StreamEntry};
use super::entries::{log_position, partition_entry, stream_entry};
use super::filter::FilterShape;
use super::footer::{Footer, FooterFault};
use super::layout::prefix;
use super::page::{PageFault, Section, take};
use super::pages::{IndexError, Pages};
use super::postings::{Decoder, SKIP_EVERY, SKIP_LEN, skip_entries};
use super::tail::Tail;
use crate::read::block_cache::BlockCache;

/// Offsets returned at once; a caller who wants more asks again.
pub(crate) const MAX_OFFSETS: u32 = 65_536;

/// What the segment says, for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expect {
    /// Number of the segment.
    pub(crate) segment_number: u64,
    /// Seed of the database's hashes: an index of another seed would deny events that exist.
    pub(crate) hash_seed: u64,
    /// Its length in bytes.
    pub(crate) used_len: u64,
    /// Log index of its last frame.
    pub(crate) last_index: u64,
    /// Header checksum of its last frame.
    pub(crate) end_chain: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SealedIndex {
    pub(super) pages: Pages,
    pub(super) footer: Footer,
    pub(super) event_fences: Box<[u32]>,
    pub(super) stream_fences: Box<[u32]>,
    pub(super) log_fences: Box<[u32]>,
    pub(super) partitions: Box<[PartitionEntry]>,
    /// Deliberate bug: some keys are not in the filters.
    misses: MutantFlag,
}

/// A list of frame offsets in one of the two sections of lists.
#[derive(Clone, Copy)]
pub(super) struct List {
    pub(super) section: Section,
    pub(super) start: u32,
    pub(super) count: u32,
    pub(super) first_offset: u64,
}

impl SealedIndex {
    /// Opens and verifies what is pinned: one read for segments of usual size, else two.
    ///
    /// # Errors
    /// The disk failed, footer or pinned pages are damaged, or the file does not fit `expect`. In all but the first
    /// case: build it again.
    pub(crate) async fn open(
        io: &Io,
        path: &Path,
        expect: Option<Expect>,
        cache: Arc<BlockCache>,
    ) -> Result<Self, IndexError> {
        let mut index = Self::open_on(io.disk(), path, expect, cache).await?;
        index.pages.trusts = mutant_flag!(io, no_index_crc);
        index.misses = mutant_flag!(io, filter_miss);
        Ok(index)
    }

    pub(super) async fn open_on(
        disk: &dyn Disk,
        path: &Path,
        expect: Option<Expect>,
        cache: Arc<BlockCache>,
    ) -> Result<Self, IndexError> {
        let file = disk.open(path, OpenOptions::READ).await?;
        let tail = Tail::read(file.as_ref()).await?;
        let footer = Footer::decode(tail.last_page(), tail.pages).map_err(IndexError::Footer)?;
        if let Some(expect) = expect {
            compare(&footer, expect)?;
        }
        let tail = tail.cover(file.as_ref(), footer.extent(Section::Partitions).first_page).await?;
        let partitions = tail.section(&footer, Section::Partitions)?;
        let partitions = partitions.as_chunks::<24>().0.iter().map(partition_entry).collect();
        let fences = tail.section(&footer, Section::Fences)?;
        let mut fences = fences.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
        let mut take = |section: Section| -> Result<Box<[u32]>, IndexError> {
            let pages = usize::try_from(footer.extent(section).pages).unwrap_or(usize::MAX);
            let taken: Box<[u32]> = fences.by_ref().take(pages).collect();
            if taken.len() == pages {
                return Ok(taken);
            }
            Err(IndexError::Footer(FooterFault::Content { what: "fewer fences than pages" }))
        };
        let event_fences = take(Section::Events)?;
        let stream_fences = take(Section::Streams)?;
        let log_fences = take(Section::Log)?;
        let pages = Pages::new(file, cache, &footer);
        let misses = MutantFlag::default();
        Ok(Self { pages, footer, event_fences, stream_fences, log_fences, partitions, misses })
    }

    /// What the file says about its segment.
    pub(crate) fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Bytes this index holds in memory whatever the cache does.
    #[cfg(test)]
    pub(crate) fn pinned_bytes(&self) -> usize {
        let fences = self.event_fences.len() + self.stream_fences.len() + self.log_fences.len();
        size_of::<Self>() + fences * size_of::<u32>() + size_of_val(self.partitions.as_ref())
    }

    /// Whether the event filter says "surely not here", if that needs no waiting; `None` = unknown.
    #[cfg(test)]
    pub(crate) fn try_lacks_event(&self, hash: u64) -> Option<bool> {
        self.try_lacks(Section::EventFilter, self.footer.event_filter?, hash)
    }

    /// Whether the stream filter says "surely not here", if that needs no waiting; `None` = unknown.
    #[cfg(test)]
    pub(crate) fn try_lacks_stream(&self, hash: u64) -> Option<bool> {
        self.try_lacks(Section::StreamFilter, self.footer.stream_filter?, hash)
    }

    /// Whether what is cached of the event filter proves that no event or key has this hash. Reads nothing.
    pub(crate) fn surely_lacks_event(&self, hash: u64) -> bool {
        let sections = (Section::Events, Section::EventFilter);
        self.surely_lacks(sections, self.footer.event_filter, hash)
    }

    /// Whether what is cached of the stream filter proves that no stream has this hash. Reads nothing.
    pub(crate) fn surely_lacks_stream(&self, hash: u64) -> bool {
        let sections = (Section::Streams, Section::StreamFilter);
        self.surely_lacks(sections, self.footer.stream_filter, hash)
    }

    fn surely_lacks(
        &self,
        (section, filter): (Section, Section),
        shape: Option<FilterShape>,
        hash: u64,
    ) -> bool {
        if self.footer.extent(section).entries == 0 {
            return true;
        }
        let Some(shape) = shape else { return false };
        let probe = shape.probe(hash);
        let bytes = self.pages.cached_bytes(self.footer.extent(filter), probe.at);
        bytes.is_some_and(|[first, second, third]| first ^ second ^ third != probe.fingerprint)
    }

    /// Offsets of the frames that may hold the event id, or idempotency key, of this hash; ascending. Read them and
    /// compare.
    ///
    /// # Errors
    /// A page is bad or the disk failed.
    pub(crate) async fn event_offsets(&self, hash: u64) -> Result<Vec<u64>, IndexError> {
        if self.lacks(Section::EventFilter, self.footer.event_filter, hash).await? {
            return Ok(Vec::new());
        }
        let extent = self.footer.extent(Section::Events);
        let bits = self.footer.offset_bits;
        let (low, mask) = (hash >> bits << bits, (1_u64 << bits) - 1);
        let mut found = Vec::new();
        for nth in candidate_pages(&self.event_fences, prefix(hash)) {
            let page = extent.first_page.saturating_add(nth);
            let body = self.pages.entries(Section::Events, page).await?;
            let entries = body.as_chunks::<8>().0;
            let start = entries.partition_point(|entry| u64::from_le_bytes(*entry) < low);
            for entry in entries.iter().skip(start) {
                let entry = u64::from_le_bytes(*entry);
                if entry & !mask != low {
                    break;
                }
                found.push(self.offset(Section::Events, page, entry & mask)?);
            }
        }
        found.dedup();
        Ok(found)
    }

    /// The streams of this hash, partition and length of id; more than one only if hashes collide. Read the frame at
    /// `first_offset` and compare.
    ///
    /// # Errors
    /// A page is bad or the disk failed.
    pub(crate) async fn stream(
        &self,
        hash: u64,
        partition: u16,
        id_len: u8,
    ) -> Result<Vec<StreamEntry>, IndexError> {
        if self.lacks(Section::StreamFilter, self.footer.stream_filter, hash).await? {
            return Ok(Vec::new());
        }
        let extent = self.footer.extent(Section::Streams);
        let mut found = Vec::new();
        for nth in candidate_pages(&self.stream_fences, prefix(hash)) {
            let page = extent.first_page.saturating_add(nth);
            let body = self.pages.entries(Section::Streams, page).await?;
            let entries = body.as_chunks::<32>().0;
            let start = entries.partition_point(|entry| stream_entry(entry).0 < hash);
            for entry in entries.iter().skip(start) {
                let (entry_hash, entry) = stream_entry(entry);
                if entry_hash != hash {
                    break;
                }
                if entry.partition == partition && entry.id_len == id_len {
                    found.push(entry);
                }
            }
        }
        Ok(found)
    }

    /// What the segment has of a partition.
    pub(crate) fn partition(&self, partition: u16) -> Option<PartitionEntry> {
        let at = self.partitions.binary_search_by_key(&partition, |entry| entry.partition).ok()?;
        self.partitions.get(at).copied()
    }

    /// Offsets of the frames of a stream's events, from the `from_nth` on (0 = its first here), at most `count` and
    /// [`MAX_OFFSETS`]. Events of one transaction share theirs, which is then repeated.
    ///
    /// # Errors
    /// A page is bad or the disk failed.
    pub(crate) async fn stream_offsets(
        &self,
        entry: &StreamEntry,
        from_nth: u32,
        count: u32,
    ) -> Result<Vec<u64>, IndexError> {
        let list = List {
            section: Section::StreamPostings,
            start: entry.postings,
            count: entry.count,
            first_offset: entry.first_offset,
        };
        self.offsets(list, from_nth, count).await
    }

    /// Offsets of the frames of a partition's events; as [`SealedIndex::stream_offsets`].
    ///
    /// # Errors
    /// A page is bad or the disk failed.
    pub(crate) async fn partition_offsets(
        &self,
        entry: &PartitionEntry,
        from_nth: u32,
        count: u32,
    ) -> Result<Vec<u64>, IndexError> {
        let list = List {
            section: Section::PartitionPostings,
            start: entry.postings,
            count: entry.count,
            first_offset: entry.first_offset,
        };
        self.offsets(list, from_nth, count).await
    }

    /// The nearest known frame at or before a log index, at most 63 frames before; `None` if the segment does not
    /// have the index.
    ///
    /// # Errors
    /// A page is bad or the disk failed.
    #[cfg_attr(not(test), expect(dead_code, reason = "replication asks for entries by index"))]
    pub(crate) async fn log_position(&self, index: u64) -> Result<Option<LogPosition>, IndexError> {
        let distance = index.checked_sub(self.footer.first_index);
        let Some(distance) = distance.filter(|_| index <= self.footer.last_index) else {
            return Ok(None);
        };
        let later = self.log_fences.partition_point(|fence| u64::from(*fence) <= distance);
        let Some(nth) = u32::try_from(later).ok().and_then(|later| later.checked_sub(1)) else {
            return Ok(None);
        };
        let page = self.footer.extent(Section::Log).first_page.saturating_add(nth);
        let body = self.pages.entries(Section::Log, page).await?;
        let entries = body.as_chunks::<24>().0;
        let later = entries.partition_point(|entry| log_position(entry).index <= index);
        let entry = later.checked_sub(1).and_then(|at| entries.get(at));
        let Some(position) = entry.map(log_position) else {
            let fault = PageFault::Content { what: "an entry above its fence" };
            return Err(IndexError::Damaged { section: Section::Log, page, fault });
        };
        Ok(Some(position))
    }

    fn try_lacks(&self, section: Section, shape: FilterShape, hash: u64) -> Option<bool> {
        let extent = self.footer.extent(section);
        let probe = shape.probe(hash);
        let [first, second, third] = self.pages.try_bytes(extent, probe.at)?;
        Some(first ^ second ^ third != probe.fingerprint)
    }

    async fn lacks(
        &self,
        section: Section,
        shape: Option<FilterShape>,
        hash: u64,
    ) -> Result<bool, IndexError> {
        if self.misses.is_on() && hash.is_multiple_of(1_000) {
            return Ok(true);
        }
        let Some(shape) = shape else {
            return Ok(false);
        };
        if let Some(answer) = self.try_lacks(section, shape, hash) {
            return Ok(answer);
        }
        let extent = self.footer.extent(section);
        let probe = shape.probe(hash);
        let mut seen = 0;
        for at in probe.at {
            let (page, byte) = extent.place(at);
            let body = self.pages.entries(section, page).await?;
            let fault = PageFault::Content { what: "fewer fingerprints than the footer says" };
            seen ^= body.get(byte).ok_or(IndexError::Damaged { section, page, fault })?;
        }
        Ok(seen != probe.fingerprint)
    }

    /// Offsets of a part of a list; see [`super::postings`] for its layout.
    pub(super) async fn offsets(
        &self,
        list: List,
        from_nth: u32,
        count: u32,
    ) -> Result<Vec<u64>, IndexError> {
        let wanted = list.count.saturating_sub(from_nth).min(count).min(MAX_OFFSETS);
        let wanted = usize::try_from(wanted).unwrap_or(0);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let mut found = Vec::with_capacity(wanted);
        let (mut nth, unit, mut position) = self.entry_point(list, from_nth).await?;
        let extent = self.footer.extent(list.section);
        let (page, _) = extent.place(position);
        if nth == from_nth {
            found.push(self.offset(list.section, page, unit.into())?);
        }
        let mut decoder = Decoder::after(unit);
        while found.len() < wanted {
            let (page, skip) = extent.place(position);
            let body = self.list_page(list.section, page).await?;
            let bytes = body.get(skip..).unwrap_or_default();
            let damaged = |what| self.content(list.section, page, what);
            if bytes.is_empty() {
                return Err(damaged("a list beyond the end"));
            }
            for byte in bytes {
                let pushed = decoder.push(*byte);
                let Some(unit) = pushed.map_err(|_| damaged("a delta too large"))? else {
                    continue;
                };
                nth += 1;
                if nth >= from_nth {
                    found.push(self.offset(list.section, page, unit.into())?);
                }
                if found.len() == wanted {
                    break;
                }
            }
            let read = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            position = position.checked_add(read).ok_or_else(|| damaged("a list too long"))?;
        }
        Ok(found)
    }

    /// The last event at or before `nth` whose offset is stored as such: its number, its offset / 8, and the position
    /// of the delta that follows.
    async fn entry_point(&self, list: List, nth: u32) -> Result<(u32, u32, u32), IndexError> {
        let extent = self.footer.extent(list.section);
        let (page, _) = extent.place(list.start);
        let damaged = || self.content(list.section, page, "a list too long");
        let deltas = list.start.checked_add(skip_entries(list.count) * SKIP_LEN);
        let deltas = deltas.ok_or_else(damaged)?;
        let Some(entry) = (nth / SKIP_EVERY).checked_sub(1) else {
            let unit = u32::try_from(list.first_offset / 8).map_err(|_| damaged())?;
            return Ok((0, unit, deltas));
        };
        let start = list.start + entry * SKIP_LEN; // below `deltas`
        let mut bytes = Vec::with_capacity(8);
        while bytes.len() < 8 {
            let done = u32::try_from(bytes.len()).unwrap_or(SKIP_LEN);
            let (page, skip) = extent.place(start + done);
            let body = self.list_page(list.section, page).await?;
            let more = body.get(skip..).unwrap_or_default();
            if more.is_empty() {
                return Err(self.content(list.section, page, "a skip table beyond the end"));
            }
            bytes.extend(more.iter().take(8 - bytes.len()));
        }
        let mut bytes = bytes.as_slice();
        let unit = take(&mut bytes).map_or(0, u32::from_le_bytes);
        let position = take(&mut bytes).map_or(0, u32::from_le_bytes);
        let position = deltas.checked_add(position).ok_or_else(damaged)?;
        Ok(((entry + 1) * SKIP_EVERY, unit, position))
    }

    /// A page of lists; one beyond the section is damage, not somebody else's page.
    async fn list_page(&self, section: Section, page: u32) -> Result<Bytes, IndexError> {
        let extent = self.footer.extent(section);
        if page >= extent.first_page.saturating_add(extent.pages) {
            return Err(self.content(section, page, "a list beyond the end"));
        }
        self.pages.entries(section, page).await
    }

    /// A stored offset in bytes, if the segment reaches beyond it.
    pub(super) fn offset(&self, section: Section, page: u32, unit: u64) -> Result<u64, IndexError> {
        let offset = unit.checked_mul(8).filter(|offset| *offset < self.footer.used_len);
        offset.ok_or_else(|| self.content(section, page, "an offset beyond the segment"))
    }

    pub(super) fn content(&self, section: Section, page: u32, what: &'static str) -> IndexError {
        IndexError::Damaged { section, page, fault: PageFault::Content { what } }
    }
}

fn compare(footer: &Footer, expect: Expect) -> Result<(), IndexError> {
    let fields = [
        ("segment number", expect.segment_number, footer.segment_number),
        ("hash seed", expect.hash_seed, footer.hash_seed),
        ("used length", expect.used_len, footer.used_len),
        ("last index", expect.last_index, footer.last_index),
        ("end chain", expect.end_chain.into(), footer.end_chain.into()),
    ];
    match fields.into_iter().find(|(_, expected, found)| expected != found) {
        None => Ok(()),
        Some((field, expected, found)) => Err(IndexError::Mismatch { field, expected, found }),
    }
}

/// The pages that can hold entries of a prefix, by the first prefix of each page. One, unless a run of equal
/// prefixes fills more: builders keep runs together.
pub(super) fn candidate_pages(fences: &[u32], prefix: u32) -> std::ops::Range<u32> {
    let first = fences.partition_point(|fence| *fence < prefix);
    let end = fences.partition_point(|fence| *fence <= prefix);
    // No page begins with the prefix: it can only lie inside the page before.
    let first = if first == end { first.saturating_sub(1) } else { first };
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    narrow(first)..narrow(end)
}

#[cfg(test)]
mod tests;
