//! Gives up the part of a log that cannot be read, and what lies behind it.

use std::path::{Path, PathBuf};

use sierradb_io::{DiskErrorKind, Io, OpenOptions};

use super::error::{RepairError, lock};
use super::keep;
use super::survey::Survey;
use crate::bucket::recovery::{self, Diagnosis, RecoverySettings};
use crate::bucket::slots::Slots;
use crate::manifest::Manifest;
use crate::segment::file::{FIRST_FRAME_OFFSET, SegmentFile};
use crate::store::bucket_dir;

/// What accepting the loss of a log's tail means. Whatever is named here was acknowledged, or may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailLoss {
    /// The bucket.
    pub bucket_id: u16,
    /// The segment that the log will end in or before.
    pub segment: u64,
    /// Where in it the damage begins; 0 if the whole segment is given up.
    pub offset: u64,
    /// What is wrong there.
    pub cause: String,
    /// Log index of the last frame that is kept; 1 if none is.
    pub last_index: u64,
    /// Frames given up that can be named, in log order, at most
    /// [`MAX_LOST_FRAMES_LISTED`](crate::limits::MAX_LOST_FRAMES_LISTED).
    pub frames: Vec<LostFrame>,
    /// All frames given up that can be named, listed or not.
    pub frame_count: u64,
    /// The same by partition, by number.
    pub partitions: Vec<LostPartition>,
    /// Bytes given up that belong to no frame that can be named. What they held is not known.
    pub unnamed_bytes: u64,
    /// Segments behind the damaged one that are given up as a whole.
    pub later_segments: Vec<u64>,
}

/// A frame that is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostFrame {
    /// Its segment.
    pub segment: u64,
    /// Where it begins there, in bytes.
    pub offset: u64,
    /// Its log index.
    pub index: u64,
    /// The partition of its events.
    pub partition_id: u16,
    /// Sequence of its first event.
    pub first_sequence: u64,
    /// Its events; 0 for a frame without.
    pub events: u16,
    /// Whether it is whole: given up only for what lies before it.
    pub is_readable: bool,
}

/// What a partition loses, as far as it can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostPartition {
    /// The partition.
    pub partition_id: u16,
    /// Lowest sequence lost.
    pub first_sequence: u64,
    /// Highest sequence lost.
    pub last_sequence: u64,
    /// Events named.
    pub events: u64,
    /// Those of them that are whole.
    pub readable_events: u64,
}

/// A bucket with damage, as found.
struct Case {
    loss: TailLoss,
    dir: PathBuf,
    diagnosis: Diagnosis,
    /// Where the last byte of the damaged segment that is not zero ends; `None` if the file is missing.
    nonzero_end: Option<u64>,
}

/// Finds what accepting the loss of the tail of bucket `bucket_id` would give up. Changes nothing.
///
/// # Errors
/// [`RepairError::LogSound`] if there is no damage; others if the bucket cannot be looked at.
pub async fn find_tail_loss(io: &Io, dir: &Path, bucket_id: u16) -> Result<TailLoss, RepairError> {
    let _lock = lock(io, dir).await?;
    Ok(find(io, dir, bucket_id).await?.loss)
}

/// Gives up what `accepted` names: copies it to `damaged/`, then ends the log before it. On return the next start
/// serves the bucket and takes appends, which get the numbers that follow the last kept ones.
///
/// # Errors
/// [`RepairError::Changed`] if the bucket is not as it was found; others if the disk fails.
pub async fn accept_tail_loss(io: &Io, dir: &Path, accepted: &TailLoss) -> Result<(), RepairError> {
    let _lock = lock(io, dir).await?;
    let case = find(io, dir, accepted.bucket_id).await?;
    if case.loss != *accepted {
        return Err(RepairError::Changed);
    }
    cut(io, &case).await
}

/// Looks at a bucket as a start would.
pub(super) async fn diagnose(
    io: &Io,
    dir: &Path,
    bucket_id: u16,
) -> Result<Diagnosis, RepairError> {
    let Some(manifest) = Manifest::load(io, dir).await? else {
        return Err(RepairError::NoDatabase { dir: dir.to_owned() });
    };
    let last = manifest.bucket_count.saturating_sub(1);
    if bucket_id > last {
        return Err(RepairError::NoSuchBucket { bucket_id, last });
    }
    let settings = RecoverySettings::to_look(dir, manifest);
    Ok(recovery::diagnose(io, bucket_id, &settings).await?)
}

async fn find(io: &Io, dir: &Path, bucket_id: u16) -> Result<Case, RepairError> {
    let diagnosis = diagnose(io, dir, bucket_id).await?;
    let Some(damage) = diagnosis.damage.clone() else {
        return Err(RepairError::LogSound { bucket_id });
    };
    let dir = bucket_dir(dir, bucket_id);
    let mut survey = Survey::behind(diagnosis.last_index);
    let start = damage.offset.max(FIRST_FRAME_OFFSET);
    let nonzero_end = look(io, &dir, damage.segment, start, &mut survey).await?;
    let later_segments = segments_from(io, &dir, damage.segment.saturating_add(1)).await?;
    for segment in &later_segments {
        look(io, &dir, *segment, FIRST_FRAME_OFFSET, &mut survey).await?;
    }
    let loss = TailLoss {
        bucket_id,
        segment: damage.segment,
        offset: damage.offset,
        cause: damage.cause,
        last_index: diagnosis.last_index,
        frames: survey.frames,
        frame_count: survey.frame_count,
        partitions: survey.partitions,
        unnamed_bytes: survey.unnamed_bytes,
        later_segments,
    };
    Ok(Case { loss, dir, diagnosis, nonzero_end })
}

async fn look(
    io: &Io,
    dir: &Path,
    segment: u64,
    start: u64,
    survey: &mut Survey,
) -> Result<Option<u64>, RepairError> {
    let path = dir.join(SegmentFile::Log.name(segment));
    match io.disk().open(&path, OpenOptions::READ).await {
        Ok(file) => Ok(Some(survey.look(segment, file, start).await?)),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Segments from `first` on that have a file, ascending.
pub(super) async fn segments_from(
    io: &Io,
    dir: &Path,
    first: u64,
) -> Result<Vec<u64>, RepairError> {
    let entries = io.disk().list(dir).await?;
    let found = entries.iter().filter_map(|entry| match SegmentFile::parse(&entry.name) {
        Some((SegmentFile::Log, number)) if number >= first => Some(number),
        Some(_) | None => None,
    });
    let mut found: Vec<u64> = found.collect();
    found.sort_unstable();
    Ok(found)
}

/// A crash in between leaves a bucket with the same damage, or less behind it: it stays read-only, or this is done.
async fn cut(io: &Io, case: &Case) -> Result<(), RepairError> {
    let Case { loss, dir, diagnosis, nonzero_end } = case;
    let path = dir.join(SegmentFile::Log.name(loss.segment));
    let file = match nonzero_end {
        Some(_) => Some(io.disk().open(&path, OpenOptions::WRITE).await?),
        None => None,
    };
    if let (Some(file), Some(end)) = (&file, nonzero_end) {
        keep::copy(io, dir, (loss.segment, file), (loss.offset, *end)).await?;
    }
    for segment in loss.later_segments.iter().rev() {
        keep::put_aside(io, dir, &SegmentFile::Log.name(*segment)).await?;
        keep::drop_file(io, &dir.join(SegmentFile::Index.name(*segment))).await?;
    }
    keep::drop_file(io, &dir.join(SegmentFile::Index.name(loss.segment))).await?;
    for entry in io.disk().list(dir).await? {
        if let Some((SegmentFile::Checkpoint, _)) = SegmentFile::parse(&entry.name) {
            keep::drop_file(io, &dir.join(&entry.name)).await?;
        }
    }
    io.disk().sync_dir(dir).await?;
    // Both slots: the older one must not claim more either.
    let mut slots = Slots::open(io, dir, diagnosis.state.clone()).await?;
    for _ in 0..2 {
        slots
            .save(|state| state.durable_commit = state.durable_commit.min(loss.last_index))
            .await?;
    }
    if let Some(file) = file {
        let left = file.len().await?.saturating_sub(loss.offset);
        file.zero_range(loss.offset, left).await?;
        file.sync_data().await?;
    }
    io.disk().sync_dir(dir).await?;
    Ok(())
}
