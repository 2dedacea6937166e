//! Puts aside what a repair takes out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use sierradb_io::{DiskError, DiskErrorKind, File, Io, OpenOptions};

use crate::bucket::damaged::DAMAGED_NAME;
use crate::limits::REPAIR_COPY_BYTES;

/// A name inside `damaged/` of the bucket directory `dir` that nothing has yet. Creates the directory.
async fn free_place(io: &Io, dir: &Path, name: &str) -> Result<PathBuf, DiskError> {
    let kept = dir.join(DAMAGED_NAME);
    match io.disk().create_dir(&kept).await {
        Ok(()) => io.disk().sync_dir(dir).await?,
        Err(error) if error.kind == DiskErrorKind::Exists => {}
        Err(error) => return Err(error),
    }
    let taken = io.disk().list(&kept).await?;
    let is_taken = |name: &str| taken.iter().any(|entry| entry.name == name);
    let mut free = name.to_owned();
    let mut count = 1u32;
    while is_taken(&free) {
        count = count.saturating_add(1);
        free = format!("{name}.{count}");
    }
    Ok(kept.join(free))
}

/// Copies `file` from `from` to `to` into `damaged/`. Durable on return.
///
/// # Errors
/// The disk's, also for lack of space: nothing is taken out then.
pub(super) async fn copy(
    io: &Io,
    dir: &Path,
    (segment, file): (u64, &Arc<dyn File>),
    (from, to): (u64, u64),
) -> Result<(), DiskError> {
    let place = free_place(io, dir, &format!("{segment:010}-{from}.bin")).await?;
    let copy = io.disk().open(&place, OpenOptions::CREATE_NEW).await?;
    let mut at = from;
    while at < to {
        let len = usize::try_from((to - at).min(REPAIR_COPY_BYTES)).unwrap_or(usize::MAX);
        let (bytes, read) = file.read_at(BytesMut::zeroed(len), at).await;
        let read = u64::try_from(read?).unwrap_or(u64::MAX);
        if read == 0 {
            break;
        }
        copy.write_all_at(vec![bytes.freeze()], at - from).await?;
        at += read;
    }
    copy.sync_data().await?;
    io.disk().sync_dir(&dir.join(DAMAGED_NAME)).await
}

/// Moves a whole file of the bucket into `damaged/`. Durable on return.
///
/// # Errors
/// The disk's.
pub(super) async fn put_aside(io: &Io, dir: &Path, name: &str) -> Result<(), DiskError> {
    let place = free_place(io, dir, name).await?;
    io.disk().rename(&dir.join(name), &place).await?;
    io.disk().sync_dir(&dir.join(DAMAGED_NAME)).await?;
    io.disk().sync_dir(dir).await
}

/// Removes a file that may be missing.
///
/// # Errors
/// The disk's.
pub(super) async fn drop_file(io: &Io, path: &Path) -> Result<(), DiskError> {
    match io.disk().remove(path).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
