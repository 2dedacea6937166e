//! The check of one bucket: its files in order, past damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sierradb_io::{DiskError, File, Io, OpenOptions};

use super::continuity::Continuity;
use super::indexes;
use super::report::{
    BucketReport, Findings, LogEnding, PartitionReport, Place, Problem, VerifyDepth, VerifyProgress,
};
use super::run::OnProgress;
use super::slots;
use crate::bucket::checkpoint;
use crate::bucket::verdict::{Later, NextGood, Scene, Verdict, judge, max_frame_len};
use crate::limits::MAX_ROLLED_SEGMENTS;
use crate::manifest::Manifest;
use crate::segment::aftermath::{Aftermath, inspect};
use crate::segment::file::{ActiveSegment, LogEnd, SegmentFile, SegmentHeader};
use crate::segment::reader::{FrameReader, ReadHeaderError, ScanError, read_segment_header};
use crate::store::bucket_dir;

/// Progress is told every this many bytes.
const PROGRESS_STEP: u64 = 16 << 20;

/// A segment file as found.
pub(super) struct Found {
    pub(super) number: u64,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    header: Result<SegmentHeader, ReadHeaderError>,
    has_index: bool,
}

/// Good frames that follow each other, to be read again by later passes.
struct Run {
    number: u64,
    file: Arc<dyn File>,
    from: ActiveSegment,
    end_offset: u64,
}

/// How a segment ended.
enum Step {
    /// Its frames are all there; the log goes on at this place, or ends.
    Next(LogEnd),
    /// Damage reaches to its end; the next segment says itself where it begins.
    Damaged,
    /// The log ends here.
    Last(LogEnding),
}

/// The check of one bucket.
pub(super) struct Walk<'a> {
    io: &'a Io,
    dir: PathBuf,
    manifest: &'a Manifest,
    depth: VerifyDepth,
    findings: &'a mut Findings,
    continuity: Continuity,
    report: BucketReport,
    durable_index: u64,
    /// Up to where the checkpoint of the segment being read covers it.
    checkpointed: u64,
    runs: Vec<Run>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        io: &'a Io,
        (dir, manifest): (&Path, &'a Manifest),
        (bucket_id, depth): (u16, VerifyDepth),
        findings: &'a mut Findings,
        budget: usize,
    ) -> Self {
        let report = BucketReport {
            bucket_id,
            segments: 0,
            frames: 0,
            events: 0,
            frame_bytes: 0,
            last_index: 1,
            ending: LogEnding::Clean,
        };
        Self {
            io,
            dir: bucket_dir(dir, bucket_id),
            manifest,
            depth,
            findings,
            continuity: Continuity::new(bucket_id, manifest, budget),
            report,
            durable_index: 0,
            checkpointed: 0,
            runs: Vec::new(),
        }
    }

    /// Checks everything.
    pub(super) async fn run(
        mut self,
        on_progress: OnProgress<'_>,
    ) -> Result<(BucketReport, impl Iterator<Item = PartitionReport>), DiskError> {
        let state = slots::check(self.io, &self.dir, self.findings).await?;
        self.durable_index = state.as_ref().map_or(0, |state| state.durable_commit);
        let first_number = state.map_or(1, |state| state.first_segment);
        let found = self.list().await?;
        self.walk(&found, first_number, on_progress).await?;
        while self.continuity.end_pass(self.findings) {
            self.pass_again(on_progress).await?;
        }
        Ok((self.report, self.continuity.into_partitions()))
    }

    async fn list(&self) -> Result<Vec<Found>, DiskError> {
        let entries = self.io.disk().list(&self.dir).await?;
        let mut list = Vec::new();
        for entry in &entries {
            let Some((SegmentFile::Log, number)) = SegmentFile::parse(&entry.name) else {
                continue;
            };
            let index_name = SegmentFile::Index.name(number);
            let has_index = entries.iter().any(|other| other.name == index_name);
            let options = OpenOptions { direct: true, ..OpenOptions::READ };
            let file = self.io.disk().open(&self.dir.join(&entry.name), options).await?;
            let header = read_segment_header(file.as_ref()).await;
            if let Err(ReadHeaderError::Disk(error)) = header {
                return Err(error);
            }
            list.push(Found { number, file, len: entry.len, header, has_index });
        }
        list.sort_by_key(|found| found.number);
        Ok(list)
    }

    async fn walk(
        &mut self,
        found: &[Found],
        first_number: u64,
        on_progress: OnProgress<'_>,
    ) -> Result<(), DiskError> {
        let first = SegmentHeader::first(
            self.report.bucket_id + 1,
            self.manifest.segment_size_bytes,
            u32::from(self.manifest.partition_count),
        );
        let mut expected = (first_number == first.number).then_some(first);
        let mut next_number = first_number;
        let mut left = found;
        while let Some((segment, later)) = left.split_first() {
            for missing in next_number..segment.number {
                self.findings.damage(Place::segment(missing), Problem::MissingSegment);
                self.report.ending = LogEnding::Damaged;
                expected = None;
            }
            (next_number, left) = (segment.number + 1, later);
            let Some(header) = self.header(segment, expected, later).await? else { return Ok(()) };
            let step = self.segment(segment, header, later, on_progress).await?;
            match step {
                Step::Next(end) => {
                    expected = Some(ActiveSegment::resume(header, end).roll().next_header());
                }
                Step::Damaged => {
                    self.report.ending = LogEnding::Damaged;
                    expected = None;
                }
                Step::Last(ending) => {
                    self.end(ending);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The first damage decides.
    fn end(&mut self, ending: LogEnding) {
        if self.report.ending == LogEnding::Clean {
            self.report.ending = ending;
        }
    }

    /// The header to read a segment with; `None` if the log ends before it.
    async fn header(
        &mut self,
        segment: &Found,
        expected: Option<SegmentHeader>,
        later: &[Found],
    ) -> Result<Option<SegmentHeader>, DiskError> {
        let cause = match (&segment.header, expected) {
            (Ok(header), Some(expected)) => {
                self.compare(header, &expected);
                return Ok(Some(*header));
            }
            (Ok(header), None) => return Ok(Some(*header)),
            (Err(error), _) => error.to_string(),
        };
        let before = expected.map(ActiveSegment::new).map(|segment| segment.end());
        let before =
            before.unwrap_or(LogEnd { next_index: 0, last_term: 0, chain: 0, end_offset: 0 });
        let start = LogEnd { end_offset: 0, ..before };
        let aftermath = inspect(segment.file.clone(), start).await?;
        let place = Place::at(segment.number, 0);
        match self.judge(aftermath, later).await? {
            Verdict::CleanEnd => {}
            Verdict::Torn => {
                let bytes = aftermath.nonzero_end;
                self.findings.repairable(place, Problem::TornEnd { bytes });
                self.end(LogEnding::Torn);
            }
            Verdict::CorruptMiddle { .. } | Verdict::CorruptTail => {
                self.findings.damage(place, Problem::SegmentHeader { cause });
                self.report.ending = LogEnding::Damaged;
                // All of it follows from the segment before: its frames can still be checked.
                return Ok(expected);
            }
        }
        Ok(None)
    }

    fn compare(&mut self, found: &SegmentHeader, expected: &SegmentHeader) {
        let fields = [
            ("group", u64::from(found.group), u64::from(expected.group)),
            ("number", found.number, expected.number),
            ("first index", found.first_index, expected.first_index),
            ("term before", found.prev_term, expected.prev_term),
            ("chain", u64::from(found.chain), u64::from(expected.chain)),
            ("size limit", found.segment_size_bytes, expected.segment_size_bytes),
            ("partitions", u64::from(found.partition_count), u64::from(expected.partition_count)),
        ];
        for (field, found, wanted) in fields {
            if found != wanted {
                let problem = Problem::HeaderField { field, expected: wanted, found };
                self.findings.damage(Place::at(expected.number, 0), problem);
                self.report.ending = LogEnding::Damaged;
            }
        }
    }

    async fn segment(
        &mut self,
        segment: &Found,
        header: SegmentHeader,
        later: &[Found],
        on_progress: OnProgress<'_>,
    ) -> Result<Step, DiskError> {
        self.report.segments += 1;
        self.checkpointed = 0;
        let next = later.first().and_then(|next| next.header.as_ref().ok());
        if self.depth == VerifyDepth::Quick
            && segment.has_index
            && let Some(next) = next
            && let Some(end) = self.trust_index(segment, next).await?
        {
            return Ok(Step::Next(end));
        }
        if !segment.has_index || next.is_none() {
            let recalled =
                checkpoint::recall(self.io, &self.dir, &header, self.manifest.hash_seed).await;
            let witnessed = recalled.witness.map_or(0, |witness| witness.index);
            self.checkpointed = recalled.end.map_or(0, |end| end.end_offset);
            self.durable_index = self.durable_index.max(witnessed);
        }
        let (step, is_whole) = self.frames(segment, header, later, on_progress).await?;
        if let (Step::Next(end), true) = (&step, is_whole)
            && next.is_some()
        {
            let is_recent = later.len() <= MAX_ROLLED_SEGMENTS;
            match segment.has_index {
                true => self.check_index(segment, header, *end).await?,
                false if is_recent => {}
                false => {
                    let place = Place::segment(segment.number);
                    self.findings.repairable(place, Problem::MissingIndex);
                }
            }
        }
        Ok(step)
    }

    /// Takes over what the index file says; `None` if it is not usable.
    async fn trust_index(
        &mut self,
        segment: &Found,
        next: &SegmentHeader,
    ) -> Result<Option<LogEnd>, DiskError> {
        let end = LogEnd {
            next_index: next.first_index,
            last_term: next.prev_term,
            chain: next.chain,
            end_offset: segment.len,
        };
        let place = Place::segment(segment.number);
        let opened =
            indexes::open(self.io, &self.dir, (segment.number, self.manifest.hash_seed), end).await;
        let index = match opened {
            Ok(index) => index,
            Err(cause) => {
                self.findings.repairable(place, Problem::Index { cause });
                return Ok(None);
            }
        };
        let footer = index.footer();
        self.report.frames += footer.frames;
        self.report.events += footer.events;
        self.report.frame_bytes += indexes::frame_bytes(footer.used_len);
        self.report.last_index = footer.last_index;
        for partition_id in 0..self.manifest.partition_count {
            if let Some(part) = indexes::partition(&index, partition_id) {
                self.continuity.count_partition(part, place, self.findings);
            }
        }
        Ok(Some(end))
    }

    async fn check_index(
        &mut self,
        segment: &Found,
        header: SegmentHeader,
        end: LogEnd,
    ) -> Result<(), DiskError> {
        let place = Place::segment(segment.number);
        if segment.len != end.end_offset {
            let (expected, found) = (end.end_offset, segment.len);
            self.findings.repairable(place, Problem::Length { expected, found });
        }
        let request = (self.io, self.dir.as_path(), self.manifest.hash_seed);
        let file = segment.file.clone();
        match indexes::compare(request, file, header, end).await {
            Ok(None) => {}
            Ok(Some(page)) => self.findings.repairable(place, Problem::IndexContent { page }),
            Err(cause) => self.findings.repairable(place, Problem::Index { cause }),
        }
        Ok(())
    }

    /// Reads the frames of a segment. The flag says whether they are all good.
    async fn frames(
        &mut self,
        segment: &Found,
        header: SegmentHeader,
        later: &[Found],
        on_progress: OnProgress<'_>,
    ) -> Result<(Step, bool), DiskError> {
        let mut from = ActiveSegment::new(header);
        let mut is_whole = true;
        loop {
            let (end, cause) = self.good_frames(segment, from, on_progress).await?;
            if end.end_offset < self.checkpointed {
                self.durable_index = self.durable_index.max(end.next_index);
            }
            let aftermath = inspect(segment.file.clone(), end).await?;
            let place = Place::at(segment.number, end.end_offset);
            match self.judge(aftermath, later).await? {
                Verdict::CleanEnd => {
                    if aftermath.nonzero_end > end.end_offset {
                        let end_offset = aftermath.nonzero_end;
                        self.findings.repairable(place, Problem::Garbage { end_offset });
                    }
                    return Ok((Step::Next(end), is_whole));
                }
                Verdict::Torn => {
                    let bytes = aftermath.nonzero_end - end.end_offset;
                    self.findings.repairable(place, Problem::TornEnd { bytes });
                    return Ok((Step::Last(LogEnding::Torn), is_whole));
                }
                Verdict::CorruptTail => {
                    let problem = Problem::LostTail { first_index: end.next_index, cause };
                    self.findings.damage(place, problem);
                    return Ok((Step::Last(LogEnding::Damaged), false));
                }
                Verdict::CorruptMiddle { next } => {
                    is_whole = false;
                    self.end(LogEnding::Damaged);
                    let (NextGood::Frame { index: next_index, .. }
                    | NextGood::Segment { first_index: next_index, .. }) = next;
                    let (first_index, last_index) = (end.next_index, next_index.saturating_sub(1));
                    let problem = Problem::LostFrames { first_index, last_index, cause };
                    self.findings.damage(place, problem);
                    match (next, aftermath.last_run) {
                        (NextGood::Frame { .. }, Some(run)) => {
                            from = ActiveSegment::resume(header, run.start());
                        }
                        _ => return Ok((Step::Damaged, false)),
                    }
                }
            }
        }
    }

    /// Takes in the frames from `from` on; returns where they end and why.
    async fn good_frames(
        &mut self,
        segment: &Found,
        from: ActiveSegment,
        on_progress: OnProgress<'_>,
    ) -> Result<(LogEnd, String), DiskError> {
        let mut reader = FrameReader::open(segment.file.clone(), from).await?;
        let mut told = 0;
        let cause = loop {
            let frame = match reader.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => break "the file ends".to_owned(),
                Err(ScanError::Disk(error)) => return Err(error),
                Err(ScanError::Bad(bad)) => break bad.cause.to_string(),
            };
            if frame.offset >= told {
                told = frame.offset + PROGRESS_STEP;
                self.tell(segment.number, frame.offset, on_progress);
            }
            let place = Place::at(segment.number, frame.offset);
            self.report.events += self.continuity.take(&frame, place, self.findings);
            self.report.frames += 1;
            self.report.frame_bytes += frame.header.frame_len();
            self.report.last_index = frame.header.index;
        };
        let end = reader.segment().end();
        let (number, file) = (segment.number, segment.file.clone());
        self.runs.push(Run { number, file, from, end_offset: end.end_offset });
        Ok((end, cause))
    }

    fn tell(&self, segment: u64, offset: u64, on_progress: OnProgress<'_>) {
        let (bucket_id, pass) = (self.report.bucket_id, self.continuity.pass() + 1);
        on_progress(VerifyProgress { bucket_id, segment, offset, pass });
    }

    /// Reads all good frames again, for ids and streams that did not fit before.
    async fn pass_again(&mut self, on_progress: OnProgress<'_>) -> Result<(), DiskError> {
        let runs = std::mem::take(&mut self.runs);
        for run in &runs {
            self.tell(run.number, run.from.end().end_offset, on_progress);
            let mut reader = FrameReader::open(run.file.clone(), run.from).await?;
            while reader.segment().end().end_offset < run.end_offset {
                let frame = match reader.next().await {
                    Ok(Some(frame)) => frame,
                    Err(ScanError::Disk(error)) => return Err(error),
                    // Good before and bad now: the next check will tell.
                    Ok(None) | Err(ScanError::Bad(_)) => break,
                };
                let place = Place::at(run.number, frame.offset);
                self.continuity.take(&frame, place, self.findings);
            }
        }
        self.runs = runs;
        Ok(())
    }

    async fn judge(&self, aftermath: Aftermath, later: &[Found]) -> Result<Verdict, DiskError> {
        let later = later_of(later).await?;
        let max_frame_len = max_frame_len(self.manifest);
        Ok(judge(&Scene { aftermath, durable_index: self.durable_index, max_frame_len, later }))
    }
}

async fn later_of(later: &[Found]) -> Result<Later, DiskError> {
    for segment in later {
        if let Ok(header) = &segment.header {
            return Ok(Later::Segment(*header));
        }
        let start = LogEnd { next_index: 0, last_term: 0, chain: 0, end_offset: 0 };
        if inspect(segment.file.clone(), start).await?.nonzero_end > 0 {
            return Ok(Later::Unreadable);
        }
    }
    Ok(Later::Nothing)
}
