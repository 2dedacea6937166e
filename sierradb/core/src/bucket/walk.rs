//! Recovery on its way through the segments of one bucket, oldest first; see [`recovery`](super::recovery).

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use sierradb_io::{DiskError, File, Io, mutant, site};

use super::apply::live_event;
use super::checkpoint::{self, Recalled};
use super::damaged;
use super::recovery::RecoverySettings;
use super::seal;
use super::slots::State;
use super::verdict::{Later, Scene, Verdict, judge, max_frame_len};
use crate::error::OpenError;
use crate::index::live::LiveIndex;
use crate::index::lookup::{Damage, DataFile, LiveSegment, SealedSegment};
use crate::index::sealed::{Expect, SealedIndex};
use crate::limits::MAX_ROLLED_SEGMENTS;
use crate::read::fetch::CachedFile;
use crate::segment::aftermath::{Nature, holds_bytes, inspect};
use crate::segment::checkpoint::delta::{DeltaBuilder, LogPosition};
use crate::segment::event_codec::event_keys;
use crate::segment::file::{ActiveSegment, FIRST_FRAME_OFFSET, LogEnd, SegmentFile, SegmentHeader};
use crate::segment::frame::{Bugs, Frame, FrameKind};
use crate::segment::reader::{FrameReader, ReadHeaderError, ScanError, read_frame};
use crate::store::bucket_dir;

/// A segment file as found.
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    pub(super) header: Result<SegmentHeader, ReadHeaderError>,
    pub(super) has_index: bool,
}

/// Recovery on its way through the segments of one bucket.
pub(super) struct Walk<'a> {
    pub(super) io: &'a Io,
    pub(super) settings: &'a RecoverySettings,
    pub(super) bucket_id: u16,
    pub(super) dir: PathBuf,
    /// Highest index known to have been durable.
    pub(super) durable_index: u64,
    pub(super) sealed: Vec<Arc<SealedSegment>>,
    pub(super) live: Vec<LiveSegment>,
    /// The segment that the log ends in.
    pub(super) active: Option<(ActiveSegment, Arc<dyn File>)>,
    /// Whether the active segment's header is on disk.
    pub(super) has_header: bool,
    pub(super) damage: Option<Damage>,
    pub(super) last_append_time_ns: u64,
    /// Index of the last good frame.
    pub(super) last_index: u64,
    pub(super) mode: Mode,
}

/// Whether what a start repairs is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Repair,
    /// Nothing is written.
    LookOnly,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        io: &'a Io,
        bucket_id: u16,
        settings: &'a RecoverySettings,
        (state, mode): (&State, Mode),
    ) -> Self {
        Self {
            io,
            settings,
            bucket_id,
            dir: bucket_dir(&settings.dir, bucket_id),
            durable_index: state.durable_commit,
            sealed: Vec::new(),
            live: Vec::new(),
            active: None,
            has_header: true,
            damage: None,
            last_append_time_ns: 0,
            last_index: state.base_index,
            mode,
        }
    }

    pub(super) async fn run(
        &mut self,
        candidates: Vec<Candidate>,
        first_segment: u64,
    ) -> Result<(), OpenError> {
        let mut expected: Option<LogEnd> = None;
        let mut left = candidates.as_slice();
        let mut next_number = first_segment;
        while let Some((candidate, later)) = left.split_first() {
            if candidate.number != next_number {
                self.damaged(next_number, 0, "the segment file is missing");
                break;
            }
            let header = match self.header(candidate, expected, later).await? {
                Some(header) => header,
                None => break,
            };
            let end = match self.sealed(candidate, header, later).await? {
                Some(end) => Some(end),
                None => self.unsealed(candidate, header, later).await?,
            };
            let Some(end) = end else { break };
            expected = Some(end);
            next_number += 1;
            left = later;
        }
        Ok(())
    }

    /// The header of a segment that continues the log; `None` ends the walk.
    async fn header(
        &mut self,
        candidate: &Candidate,
        expected: Option<LogEnd>,
        later: &[Candidate],
    ) -> Result<Option<SegmentHeader>, OpenError> {
        let first = SegmentHeader::first(
            self.bucket_id + 1,
            self.settings.manifest.segment_size_bytes,
            u32::from(self.settings.manifest.partition_count),
        );
        let end = expected.unwrap_or_else(|| ActiveSegment::new(first).end());
        if let Ok(header) = &candidate.header {
            let fits = (header.first_index, header.chain) == (end.next_index, end.chain)
                && header.number == candidate.number
                && header.group == first.group;
            if fits {
                return Ok(Some(*header));
            }
            self.damaged(candidate.number, 0, "the segment does not continue the log");
            return Ok(None);
        }
        // No header: prepared and never used, or its first batch was torn.
        let scene_end = LogEnd { end_offset: 0, ..end };
        let (verdict, nonzero_end) = self.verdict(candidate, scene_end, later).await?;
        match verdict {
            Verdict::CleanEnd => {
                self.io.mark(site!("recovery.prepared_segment_empty"));
            }
            Verdict::Torn => self.cut(candidate, 0..nonzero_end).await?,
            Verdict::CorruptMiddle { .. } | Verdict::CorruptTail => {
                self.damaged(candidate.number, 0, "the segment header is damaged");
                return Ok(None);
            }
        }
        if expected.is_none() {
            self.active = Some((ActiveSegment::new(first), candidate.file.clone()));
            self.live.push(LiveSegment::empty(
                self.data_file(candidate.number, &candidate.file),
                self.settings.manifest.hash_seed,
            ));
            self.has_header = false;
        }
        Ok(None)
    }

    /// Takes a segment over by its index file; `None` if it is not sealed.
    async fn sealed(
        &mut self,
        candidate: &Candidate,
        header: SegmentHeader,
        later: &[Candidate],
    ) -> Result<Option<LogEnd>, OpenError> {
        let next = later.first().and_then(|next| next.header.as_ref().ok());
        let Some(next) = next.filter(|next| next.first_index > header.first_index) else {
            return Ok(None); // never the last one
        };
        let end = LogEnd {
            next_index: next.first_index,
            last_term: next.prev_term,
            chain: next.chain,
            end_offset: candidate.len,
        };
        if candidate.has_index
            && let Some(sealed) = self.open_index(candidate, &end).await
        {
            self.take_sealed(sealed);
            return Ok(Some(end));
        }
        // Rolled and not yet sealed, or its index is gone. A few newest may stay in memory; others get one now.
        // Never one before a sealed one: what is in memory counts as newer than all that is sealed.
        let is_sealed_later = later.iter().any(|later| later.has_index);
        let may_stay = later.len() <= MAX_ROLLED_SEGMENTS && !candidate.has_index;
        if self.mode == Mode::LookOnly || (may_stay && !is_sealed_later) {
            return Ok(None);
        }
        self.io.mark(site!("recovery.index_rebuilt"));
        tracing::info!(bucket = self.bucket_id, segment = candidate.number, "rebuilding the index");
        let request = seal::Request {
            dir: &self.dir,
            file: candidate.file.clone(),
            header,
            hash_seed: self.settings.manifest.hash_seed,
            used_len: None,
            memory: None,
        };
        match seal::build(self.io, request).await {
            Ok(()) => {}
            Err(seal::SealError::Disk(error)) => return Err(error.into()),
            Err(error) => {
                tracing::error!(bucket = self.bucket_id, segment = candidate.number, %error, "no index");
                return Ok(None); // reading it frame by frame will tell where it is damaged
            }
        }
        let sealed = self.open_index(candidate, &end).await;
        Ok(sealed.map(|sealed| {
            self.take_sealed(sealed);
            end
        }))
    }

    async fn open_index(&self, candidate: &Candidate, end: &LogEnd) -> Option<SealedSegment> {
        let expect = Expect {
            segment_number: candidate.number,
            hash_seed: self.settings.manifest.hash_seed,
            used_len: end.end_offset,
            last_index: end.next_index - 1,
            end_chain: end.chain,
        };
        let path = self.dir.join(SegmentFile::Index.name(candidate.number));
        let cache = self.settings.cache.clone();
        match SealedIndex::open(self.io, &path, Some(expect), cache).await {
            Ok(index) => {
                let file = self.data_file(candidate.number, &candidate.file);
                file.data.raise_stable_end(u64::MAX);
                Some(SealedSegment { file, index })
            }
            Err(error) => {
                tracing::warn!(bucket = self.bucket_id, segment = candidate.number, %error, "index not usable");
                None
            }
        }
    }

    fn take_sealed(&mut self, sealed: SealedSegment) {
        let footer = sealed.index.footer();
        self.last_append_time_ns = self.last_append_time_ns.max(footer.max_append_ns);
        self.durable_index = self.durable_index.max(footer.last_index);
        self.last_index = footer.last_index;
        self.sealed.push(Arc::new(sealed));
    }

    /// Reads an unsealed segment. Returns its end if the log goes on in the next one.
    async fn unsealed(
        &mut self,
        candidate: &Candidate,
        header: SegmentHeader,
        later: &[Candidate],
    ) -> Result<Option<LogEnd>, OpenError> {
        let hash_seed = self.settings.manifest.hash_seed;
        let mut recalled = checkpoint::recall(self.io, &self.dir, &header, hash_seed).await;
        if let Some(witness) = &recalled.witness {
            self.durable_index = self.durable_index.max(witness.index);
        }
        if later.iter().any(|later| later.has_index) {
            // Only damage brings it here, and before a sealed segment none may be in memory: the log ends at the
            // damage, which a checkpoint left behind by a seal would pass over.
            recalled.index = LiveIndex::new(hash_seed);
            recalled.end = None;
        }
        let checkpointed = recalled.end.map_or(0, |end| end.end_offset);
        let (mut live, position) = self.resume(candidate, header, recalled).await;
        let scanned = self.scan(candidate, position, &mut live).await?;
        let mut active = scanned.0;
        let end = active.end();
        self.last_index = end.next_index - 1;
        let is_rolled = if self.damage.is_some() {
            false
        } else {
            let cause = scanned.1.map_or_else(|| "the file ends".to_owned(), |bad| bad.to_string());
            if end.end_offset < checkpointed {
                self.durable_index = self.durable_index.max(end.next_index);
            }
            self.is_rolled(candidate, end, later, &cause).await?
        };
        live.used_len = end.end_offset;
        live.is_rolled = is_rolled;
        live.file.data.raise_stable_end(end.end_offset);
        self.live.push(live);
        if is_rolled {
            return Ok(Some(end));
        }
        if end.end_offset == FIRST_FRAME_OFFSET {
            active = ActiveSegment::new(*active.header());
        }
        self.active = Some((active, candidate.file.clone()));
        Ok(None)
    }

    /// Judges where the frames of a segment end. Whether the log goes on in the next one.
    async fn is_rolled(
        &mut self,
        candidate: &Candidate,
        end: LogEnd,
        later: &[Candidate],
        cause: &str,
    ) -> Result<bool, OpenError> {
        let (verdict, nonzero_end) = self.verdict(candidate, end, later).await?;
        match verdict {
            Verdict::CleanEnd if later.first().is_some_and(|next| next.header.is_ok()) => Ok(true),
            Verdict::CleanEnd => {
                self.clear_successors(end, later).await?;
                Ok(false)
            }
            Verdict::Torn => {
                self.cut(candidate, end.end_offset..nonzero_end).await?;
                Ok(false)
            }
            Verdict::CorruptMiddle { .. } | Verdict::CorruptTail => {
                self.damaged(candidate.number, end.end_offset, cause);
                Ok(false)
            }
        }
    }

    /// Files prepared behind the end of the log must be all zero before they are written: what a torn first batch
    /// left in them is cut.
    async fn clear_successors(
        &mut self,
        end: LogEnd,
        later: &[Candidate],
    ) -> Result<(), OpenError> {
        let mut left = later;
        while let Some((candidate, later)) = left.split_first() {
            left = later;
            let start = LogEnd { end_offset: 0, ..end };
            let (verdict, nonzero_end) = self.verdict(candidate, start, later).await?;
            match verdict {
                Verdict::CleanEnd => {}
                Verdict::Torn => self.cut(candidate, 0..nonzero_end).await?,
                Verdict::CorruptMiddle { .. } | Verdict::CorruptTail => {
                    self.damaged(candidate.number, 0, "the segment header is damaged");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A live segment with what its checkpoint taught, and where to read on.
    async fn resume(
        &self,
        candidate: &Candidate,
        header: SegmentHeader,
        recalled: Recalled,
    ) -> (LiveSegment, ActiveSegment) {
        let hash_seed = self.settings.manifest.hash_seed;
        let file = self.data_file(candidate.number, &candidate.file);
        let fresh = ActiveSegment::new(header);
        let Some(end) = recalled.end else {
            return (LiveSegment::empty(file, hash_seed), fresh);
        };
        let mut position = log_end(candidate.file.as_ref(), end).await;
        if mutant!(self.io, stale_checkpoint)
            && let Some(witness) = recalled.witness.filter(|it| it.end_offset == end.end_offset)
        {
            position = position.or(Some(LogEnd {
                next_index: witness.index + 1,
                last_term: fresh.end().last_term,
                chain: end.chain,
                end_offset: end.end_offset,
            }));
        }
        match position {
            Some(position) => {
                self.io.mark(site!("recovery.checkpoint_used"));
                let live = LiveSegment {
                    delta: DeltaBuilder::new(&recalled.index),
                    index: recalled.index,
                    used_len: end.end_offset,
                    checkpointed_len: end.end_offset,
                    next_delta_offset: recalled.next_delta_offset,
                    end: Some(end),
                    is_rolled: false,
                    file,
                };
                (live, ActiveSegment::resume(header, position))
            }
            None => {
                self.io.mark(site!("recovery.checkpoint_beyond_log"));
                (LiveSegment::empty(file, hash_seed), fresh)
            }
        }
    }

    /// Reads frames into the live index up to the end or the first bad position.
    async fn scan(
        &mut self,
        candidate: &Candidate,
        position: ActiveSegment,
        live: &mut LiveSegment,
    ) -> Result<(ActiveSegment, Option<crate::segment::reader::BadFrame>), OpenError> {
        let reader = FrameReader::open(candidate.file.clone(), position).await?;
        let mut reader = reader.with(Bugs::of(self.io));
        loop {
            match reader.next().await {
                Ok(None) => return Ok((*reader.segment(), None)),
                Ok(Some(frame)) => {
                    if let Err(cause) = self.take_frame(&frame, live) {
                        self.damaged(candidate.number, frame.offset, &cause);
                        return Ok((*reader.segment(), None));
                    }
                }
                Err(ScanError::Disk(error)) => return Err(error.into()),
                Err(ScanError::Bad(bad)) => return Ok((*reader.segment(), Some(bad))),
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame, live: &mut LiveSegment) -> Result<(), String> {
        let hash_seed = self.settings.manifest.hash_seed;
        if frame.header.kind == FrameKind::Transaction {
            let (partition_key, events) = event_keys(frame).map_err(|error| error.to_string())?;
            let events =
                events.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            let partition = frame.header.partition;
            let lives = events.iter().map(|event| live_event(hash_seed, partition, event));
            let at = crate::index::live::LiveFrame {
                offset: frame.offset,
                partition,
                first_sequence: frame.header.first_sequence,
                partition_key,
            };
            live.push(at, lives);
            let time = crate::segment::event_codec::append_time_ns(frame).unwrap_or(0);
            self.last_append_time_ns = self.last_append_time_ns.max(time);
        }
        live.end_frame(LogPosition {
            last_frame_offset: frame.offset,
            end_offset: frame.end_offset(),
            chain: frame.header.header_crc,
        });
        Ok(())
    }

    /// What a bad position means, and where the last byte behind it that is not zero ends.
    async fn verdict(
        &mut self,
        candidate: &Candidate,
        expected: LogEnd,
        later: &[Candidate],
    ) -> Result<(Verdict, u64), OpenError> {
        if expected.end_offset == 0 {
            self.recall_witness(candidate.number, expected.next_index).await;
        }
        let aftermath = inspect(candidate.file.clone(), expected).await?;
        let scene = Scene {
            aftermath,
            durable_index: self.durable_index,
            max_frame_len: max_frame_len(&self.settings.manifest),
            later: later_of(later).await?,
        };
        let verdict = judge(&scene);
        tracing::debug!(
            bucket = self.bucket_id, segment = candidate.number, offset = expected.end_offset,
            ?verdict, nature = ?aftermath.nature, "end of the log judged"
        );
        if mutant!(self.io, cut_any_bad_tail)
            && !matches!(aftermath.nature, Nature::Zeros)
            && matches!(verdict, Verdict::CorruptTail | Verdict::CorruptMiddle { .. })
        {
            return Ok((Verdict::Torn, aftermath.nonzero_end));
        }
        Ok((verdict, aftermath.nonzero_end))
    }

    /// What the checkpoint of a segment that lost its header knows to have been durable.
    async fn recall_witness(&mut self, number: u64, first_index: u64) {
        let manifest = &self.settings.manifest;
        let partition_count = u32::from(manifest.partition_count);
        let first =
            SegmentHeader::first(self.bucket_id + 1, manifest.segment_size_bytes, partition_count);
        let lost = SegmentHeader { number, first_index, ..first };
        let recalled = checkpoint::recall(self.io, &self.dir, &lost, manifest.hash_seed).await;
        if let Some(witness) = &recalled.witness {
            self.durable_index = self.durable_index.max(witness.index);
        }
    }

    /// Puts a copy of a torn end aside and writes zeros over it. Durable on return.
    async fn cut(&self, candidate: &Candidate, torn: Range<u64>) -> Result<(), OpenError> {
        if self.mode == Mode::LookOnly {
            return Ok(());
        }
        self.io.mark(site!("recovery.torn_tail_zeroed"));
        let offset = torn.start;
        tracing::info!(bucket = self.bucket_id, segment = candidate.number, offset, "torn end cut");
        damaged::keep_copy(self.io, &self.dir, (candidate.number, &candidate.file), torn).await?;
        let len = candidate.len.saturating_sub(offset);
        candidate.file.zero_range(offset, len).await?;
        candidate.file.sync_data().await?;
        Ok(())
    }

    pub(super) fn damaged(&mut self, segment: u64, offset: u64, cause: &str) {
        tracing::error!(bucket = self.bucket_id, segment, offset, cause, "damage in the log");
        self.io.mark(site!("recovery.damage"));
        let damage = Damage { segment, offset, cause: cause.to_owned() };
        self.damage.get_or_insert(damage);
    }

    pub(super) fn data_file(&self, number: u64, file: &Arc<dyn File>) -> Arc<DataFile> {
        let data = CachedFile::new(file.clone(), self.settings.cache.clone(), 0);
        Arc::new(DataFile { number, data, raw: file.clone() })
    }
}

/// Where the log stands behind what a checkpoint covers, if the log says so: by the last frame of that, or, since
/// that may have rotted, by the one behind, which continues it. If neither does, it is damage at the end of the log,
/// or a checkpoint of another one.
async fn log_end(file: &dyn File, end: LogPosition) -> Option<LogEnd> {
    let last = read_frame(file, end.last_frame_offset).await.ok().filter(|frame| {
        frame.header.header_crc == end.chain && frame.end_offset() == end.end_offset
    });
    let (next_index, last_term) = match last {
        Some(last) => (last.header.index + 1, last.header.term),
        None => {
            let next = read_frame(file, end.end_offset).await.ok();
            let next = next.filter(|next| next.header.prev_crc == end.chain)?;
            (next.header.index, next.header.term)
        }
    };
    Some(LogEnd { next_index, last_term, chain: end.chain, end_offset: end.end_offset })
}

async fn later_of(later: &[Candidate]) -> Result<Later, DiskError> {
    for candidate in later {
        if let Ok(header) = &candidate.header {
            return Ok(Later::Segment(*header));
        }
        if holds_bytes(candidate.file.clone()).await? {
            return Ok(Later::Unreadable);
        }
    }
    Ok(Later::Nothing)
}

#[cfg(test)]
mod tests;
