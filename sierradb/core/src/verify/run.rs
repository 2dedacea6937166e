//! The check of a whole directory.

use std::path::Path;

use sierradb_io::{DiskErrorKind, Io};

use super::bucket::Walk;
use super::report::{
    Findings, LogEnding, VerifyError, VerifyOptions, VerifyProgress, VerifyReport,
};
use crate::bucket::recovery::{self, RecoverySettings};
use crate::error::OpenError;
use crate::limits::VERIFY_ENTRIES_PER_PASS;
use crate::manifest::Manifest;
use crate::store::LOCK_NAME;

/// What is told about progress, and to whom.
pub type OnProgress<'a> = &'a mut (dyn FnMut(VerifyProgress) + Send);

/// Checks the directory `dir`, which no process may have open. Changes nothing in it.
///
/// `on_progress` is called once in a while from the thread that reads.
///
/// # Errors
/// [`VerifyError`] if it cannot be checked. What is wrong with it is no error but in the report.
pub async fn verify(
    io: &Io,
    dir: &Path,
    options: VerifyOptions,
    on_progress: OnProgress<'_>,
) -> Result<VerifyReport, VerifyError> {
    // Looked at first, since taking the lock creates its file.
    let Some(_) = Manifest::load(io, dir).await? else {
        return Err(VerifyError::NoDatabase { dir: dir.to_owned() });
    };
    let locked = io.disk().lock(&dir.join(LOCK_NAME)).await;
    let _lock = locked.map_err(|error| match error.kind {
        DiskErrorKind::Locked => OpenError::Locked { dir: dir.to_owned() }.into(),
        _ => VerifyError::Disk(error),
    })?;
    let Some(manifest) = Manifest::load(io, dir).await? else {
        return Err(VerifyError::NoDatabase { dir: dir.to_owned() });
    };
    verify_with_budget(io, (dir, &manifest), options, on_progress, VERIFY_ENTRIES_PER_PASS).await
}

/// The same, once the directory is locked, with another limit of entries in memory.
pub(super) async fn verify_with_budget(
    io: &Io,
    (dir, manifest): (&Path, &Manifest),
    options: VerifyOptions,
    on_progress: OnProgress<'_>,
    budget: usize,
) -> Result<VerifyReport, VerifyError> {
    let last = manifest.bucket_count.saturating_sub(1);
    let bucket_ids = match options.bucket_id {
        Some(bucket_id) if bucket_id > last => {
            return Err(VerifyError::NoSuchBucket { bucket_id, last });
        }
        Some(bucket_id) => bucket_id..=bucket_id,
        None => 0..=last,
    };
    let mut findings = Findings::new();
    let (mut buckets, mut partitions) = (Vec::new(), Vec::new());
    for bucket_id in bucket_ids {
        findings.enter_bucket(bucket_id);
        let walk =
            Walk::new(io, (dir, manifest), (bucket_id, options.depth), &mut findings, budget);
        let (mut report, seen) = walk.run(on_progress).await?;
        if report.ending == LogEnding::Damaged && is_passed(io, (dir, manifest), bucket_id).await? {
            report.ending = LogEnding::Holed;
        }
        buckets.push(report);
        partitions.extend(seen);
    }
    partitions.sort_by_key(|partition| partition.partition_id);
    let (findings, unlisted_findings, soundness) =
        (findings.listed, findings.unlisted, findings.soundness);
    Ok(VerifyReport { buckets, partitions, findings, unlisted_findings, soundness })
}

/// Whether a start passes the damage of a bucket.
async fn is_passed(
    io: &Io,
    (dir, manifest): (&Path, &Manifest),
    bucket_id: u16,
) -> Result<bool, VerifyError> {
    let settings = RecoverySettings::to_look(dir, manifest.clone());
    match recovery::diagnose(io, bucket_id, &settings).await {
        Ok(diagnosis) => Ok(diagnosis.damage.is_none()),
        Err(OpenError::Clustered { .. }) => Ok(false), // another kind of start
        Err(error) => Err(error.into()),
    }
}
