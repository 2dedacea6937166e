//! Copies of what recovery or repair takes out of the log: nothing is destroyed without one.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use sierradb_io::{DiskError, DiskErrorKind, File, Io, OpenOptions, site};

use crate::limits::{MAX_DAMAGED_BYTES, MAX_DAMAGED_COPY_BYTES};

/// Name of the directory inside a bucket's directory.
pub(crate) const DAMAGED_NAME: &str = "damaged";

/// Copies what `file` holds in `range`, whose last byte that is not zero is about its end, to
/// `damaged/<segment>-<offset>.bin`. Best effort: without room for it the copy is left out and that is logged.
///
/// # Errors
/// If the range cannot be read.
pub(crate) async fn keep_copy(
    io: &Io,
    dir: &Path,
    (segment, file): (u64, &Arc<dyn File>),
    range: Range<u64>,
) -> Result<(), DiskError> {
    let offset = range.start;
    let left = range.end.saturating_sub(offset).min(MAX_DAMAGED_COPY_BYTES);
    let len = usize::try_from(left).unwrap_or(usize::MAX);
    let (mut bytes, read) = file.read_at(BytesMut::zeroed(len), offset).await;
    read?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(used);
    if used == 0 {
        return Ok(());
    }
    if let Err(error) = store(io, dir, &format!("{segment:010}-{offset}.bin"), bytes).await {
        io.mark(site!("recovery.copy_left_out"));
        tracing::warn!(segment, offset, %error, "no copy of the torn range was kept");
    }
    Ok(())
}

async fn store(io: &Io, dir: &Path, name: &str, bytes: BytesMut) -> Result<(), DiskError> {
    let kept = dir.join(DAMAGED_NAME);
    match io.disk().create_dir(&kept).await {
        Ok(()) => io.disk().sync_dir(dir).await?,
        Err(error) if error.kind == DiskErrorKind::Exists => {}
        Err(error) => return Err(error),
    }
    let total: u64 = io.disk().list(&kept).await?.iter().map(|entry| entry.len).sum();
    if total.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)) > MAX_DAMAGED_BYTES {
        tracing::warn!(%name, total, "damaged/ is full: no copy was kept");
        return Ok(());
    }
    let file = io.disk().open(&kept.join(name), OpenOptions::OPEN_OR_CREATE).await?;
    file.set_len(0).await?;
    file.write_all_at(vec![bytes.freeze()], 0).await?;
    file.sync_data().await?;
    io.disk().sync_dir(&kept).await
}
