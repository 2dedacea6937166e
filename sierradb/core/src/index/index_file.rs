//! Stores an index file: whole under its name, or not at all.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sierradb_io::{Disk, DiskError, DiskErrorKind, Io, OpenOptions};

/// Name of an index file.
pub(crate) fn file_name(segment_number: u64) -> String {
    format!("{segment_number:010}.idx")
}

/// Stores an index under its name in `dir`. On return it is durable, name included.
///
/// It is written as `<name>.tmp`, synced, renamed, and the directory synced: a crash leaves the whole file or none
/// under the name. What an earlier attempt left as `.tmp` is removed first, since a failed sync poisons its file.
///
/// # Errors
/// What the disk said. The index is not there then, or not surely so; try again with a new call.
pub(crate) async fn write(
    io: &Io,
    dir: &Path,
    number: u64,
    pages: Vec<Bytes>,
) -> Result<(), DiskError> {
    write_on(io.disk(), dir, number, pages).await
}

async fn write_on(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    pages: Vec<Bytes>,
) -> Result<(), DiskError> {
    let name = file_name(number);
    let temporary: PathBuf = dir.join(format!("{name}.tmp"));
    match disk.remove(&temporary).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = disk.open(&temporary, OpenOptions::CREATE_NEW).await?;
    let mut offset = 0;
    for piece in pages {
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        file.write_all_at(vec![piece], offset).await?;
        offset += len;
    }
    file.sync_data().await?;
    disk.rename(&temporary, &dir.join(name)).await?;
    disk.sync_dir(dir).await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::testing::{SEGMENT, Sample, Shape};
    use super::*;
    use crate::read::testing::MemDisk;

    const SHAPE: Shape = Shape { frames: 40, partitions: 3, streams: 4, events_per_frame: 3 };

    #[test]
    fn a_written_index_is_synced_renamed_and_its_name_synced() {
        let disk = MemDisk::default();
        disk.put("/b/0000000007.idx.tmp", b"left by a crash".to_vec());
        let bytes = Sample::new(5, SHAPE).build();
        let pieces = bytes.chunks(5000).map(Bytes::copy_from_slice).collect();
        let dir = Path::new("/b");
        write_on(&disk, dir, SEGMENT, pieces).now_or_never().unwrap().unwrap();
        let files = disk.files.lock().unwrap();
        let names: Vec<_> = files.keys().map(|path| path.display().to_string()).collect();
        assert_eq!(names, ["/b/0000000007.idx"]);
        assert_eq!(files.values().next().unwrap().content(), bytes);
        assert_eq!(
            *disk.journal.lock().unwrap(),
            [
                "remove /b/0000000007.idx.tmp",
                "open /b/0000000007.idx.tmp",
                "sync /b/0000000007.idx.tmp",
                "rename /b/0000000007.idx.tmp /b/0000000007.idx",
                "sync_dir /b",
            ]
        );
    }
}
