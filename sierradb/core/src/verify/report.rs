//! What a check found.

use std::fmt;
use std::path::PathBuf;

use sierradb_io::DiskError;
use uuid::Uuid;

use crate::error::OpenError;

/// What to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// One bucket only; all of them without.
    pub bucket_id: Option<u16>,
    /// How much is read.
    pub depth: VerifyDepth,
}

/// How much a check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyDepth {
    /// Every byte of every segment.
    #[default]
    Full,
    /// What a start reads: headers, index footers, unsealed segments.
    Quick,
}

/// How a directory, or a finding, is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Soundness {
    /// Nothing to do.
    Sound,
    /// A start repairs it, and no answered append is lost.
    Repairable,
    /// Answered appends may be lost or unreadable.
    Damaged,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The buckets checked.
    pub buckets: Vec<BucketReport>,
    /// The partitions of these buckets that hold events, by number.
    pub partitions: Vec<PartitionReport>,
    /// What is not as it should be, in the order found.
    pub findings: Vec<Finding>,
    /// Findings beyond [`MAX_FINDINGS`](crate::limits::MAX_FINDINGS).
    pub unlisted_findings: u64,
    /// The worst of all findings, listed or not.
    pub soundness: Soundness,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketReport {
    /// Which.
    pub bucket_id: u16,
    /// Segment files with frames.
    pub segments: u64,
    /// Frames.
    pub frames: u64,
    /// Events.
    pub events: u64,
    /// Bytes of frames.
    pub frame_bytes: u64,
    /// Log index of the last good frame; 1 if there is none.
    pub last_index: u64,
    /// What a start would make of the end of its log.
    pub ending: LogEnding,
}

/// What a start would make of the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnding {
    /// It ends as it should.
    Clean,
    /// A write that was never answered is cut.
    Torn,
    /// Damage that a start passes, since an index file or a checkpoint covers it: all but the damaged frames is
    /// served, and the bucket takes appends.
    Holed,
    /// Damage: the bucket opens read-only up to the first of it.
    Damaged,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    /// Which.
    pub partition_id: u16,
    /// Events read, or counted by index files.
    pub events: u64,
    /// Sequence of the first of them.
    pub first_sequence: u64,
    /// Sequence of the last.
    pub last_sequence: u64,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub soundness: Soundness,
    /// In which bucket.
    pub bucket_id: u16,
    /// In which segment, if in one.
    pub segment: Option<u64>,
    /// At which byte of its file, if at one.
    pub offset: Option<u64>,
    /// What it is.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bucket {}", self.bucket_id)?;
        if let Some(segment) = self.segment {
            write!(f, " segment {segment}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " offset {offset}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum Problem {
    #[error("state slot {slot} is not readable: {cause}")]
    StateSlot { slot: u8, cause: String },
    #[error("neither state slot is readable")]
    State,
    #[error("the segment file is missing")]
    MissingSegment,
    #[error("the segment header is damaged: {cause}")]
    SegmentHeader { cause: String },
    #[error("the segment header says {field} {found}, expected {expected}")]
    HeaderField { field: &'static str, expected: u64, found: u64 },
    #[error("torn write of up to {bytes} bytes that was never answered")]
    TornEnd { bytes: u64 },
    #[error("frames from index {first_index} to {last_index} are damaged or missing: {cause}")]
    LostFrames { first_index: u64, last_index: u64, cause: String },
    #[error("frames from index {first_index} on are damaged or missing: {cause}")]
    LostTail { first_index: u64, cause: String },
    #[error("bytes behind the last frame are not zero up to offset {end_offset}")]
    Garbage { end_offset: u64 },
    #[error("the transaction of index {index} cannot be read: {cause}")]
    Transaction { index: u64, cause: String },
    #[error("partition {partition_id} does not belong to this bucket")]
    ForeignPartition { partition_id: u16 },
    #[error("partition {partition_id} goes on with sequence {found}, expected {expected}")]
    Sequence { partition_id: u16, expected: u64, found: u64 },
    #[error(
        "stream '{stream_id}' of partition {partition_id} goes on with version {found}, expected {expected}"
    )]
    Version { partition_id: u16, stream_id: String, expected: u64, found: u64 },
    #[error(
        "stream '{stream_id}' of partition {partition_id} has key {found}, began with {expected}"
    )]
    StreamKey { partition_id: u16, stream_id: String, expected: Uuid, found: Uuid },
    #[error("append time {found} ns after {last} ns")]
    AppendTime { last: u64, found: u64 },
    #[error("event id {event_id} is used twice in partition {partition_id}")]
    RepeatedId { partition_id: u16, event_id: Uuid },
    #[error("an idempotency key is used twice in partition {partition_id}")]
    RepeatedKey { partition_id: u16 },
    #[error("the index file is missing")]
    MissingIndex,
    #[error("the index file is not usable: {cause}")]
    Index { cause: String },
    #[error("page {page} of the index file is not what the frames give")]
    IndexContent { page: u64 },
    #[error("the sealed file has {found} bytes, its frames end at {expected}")]
    Length { expected: u64, found: u64 },
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// The bucket being read.
    pub bucket_id: u16,
    /// The segment being read.
    pub segment: u64,
    /// Where in its file.
    pub offset: u64,
    /// Which pass over the bucket, from 1; further passes compare ids that did not fit into memory before.
    pub pass: u64,
}

/// Why a directory could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum VerifyError {
    #[error("{dir} holds no database: it has no manifest", dir = dir.display())]
    NoDatabase { dir: PathBuf },
    #[error("there is no bucket {bucket_id}: this database has buckets 0 to {last}")]
    NoSuchBucket { bucket_id: u16, last: u16 },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Collects findings, a bounded number of them in full.
#[derive(Debug)]
pub(super) struct Findings {
    bucket_id: u16,
    pub(super) listed: Vec<Finding>,
    pub(super) unlisted: u64,
    pub(super) soundness: Soundness,
}

impl Findings {
    pub(super) fn new() -> Self {
        Self { bucket_id: 0, listed: Vec::new(), unlisted: 0, soundness: Soundness::Sound }
    }

    pub(super) fn enter_bucket(&mut self, bucket_id: u16) {
        self.bucket_id = bucket_id;
    }

    /// Something that a start repairs without loss.
    pub(super) fn repairable(&mut self, place: Place, problem: Problem) {
        self.push(Soundness::Repairable, place, problem);
    }

    /// Something that may mean loss.
    pub(super) fn damage(&mut self, place: Place, problem: Problem) {
        self.push(Soundness::Damaged, place, problem);
    }

    fn push(&mut self, soundness: Soundness, place: Place, problem: Problem) {
        self.soundness = self.soundness.max(soundness);
        if self.listed.len() >= crate::limits::MAX_FINDINGS {
            self.unlisted += 1;
            return;
        }
        let (bucket_id, Place { segment, offset }) = (self.bucket_id, place);
        self.listed.push(Finding { soundness, bucket_id, segment, offset, problem });
    }
}

/// Where in a bucket something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    segment: Option<u64>,
    offset: Option<u64>,
}

impl Place {
    pub(super) const BUCKET: Self = Self { segment: None, offset: None };

    pub(super) fn segment(number: u64) -> Self {
        Self { segment: Some(number), offset: None }
    }

    pub(super) fn at(number: u64, offset: u64) -> Self {
        Self { segment: Some(number), offset: Some(offset) }
    }
}
