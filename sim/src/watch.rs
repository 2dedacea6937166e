//! A disk that listens: passes everything on, counts what a start reads, and knows which files failed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use sierradb_io::{DirLock, Disk, DiskError, DiskFut, Entry, File, Fut, Io, OpenOptions, Space};

use crate::oracle::poison::Poison;
use crate::violation::{Checked, Violation};

/// What was heard during one boot.
#[derive(Debug, Default)]
struct Heard {
    poison: Poison,
    segment_bytes_read: u64,
    violation: Option<Violation>,
}

/// The ear at the disk of one boot. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    heard: Arc<Mutex<Heard>>,
}

impl Watch {
    /// A world whose disk is heard.
    pub fn listen(&self, io: &Io) -> Io {
        let disk = WatchedDisk { world: io.clone(), watch: self.clone() };
        io.clone().with_disk(Arc::new(disk))
    }

    /// Bytes read of segment files so far.
    pub fn segment_bytes_read(&self) -> u64 {
        self.heard().segment_bytes_read
    }

    /// Whether a segment of this bucket failed.
    pub fn is_poisoned(&self, bucket: u16) -> bool {
        self.heard().poison.has_segment_of(bucket)
    }

    /// What was heard and must not be.
    ///
    /// # Errors
    /// The first of it.
    pub fn check(&self) -> Checked {
        self.heard().violation.take().map_or(Ok(()), Err)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn before_change(&self, path: &Path, op: &str) {
        let mut heard = self.heard();
        if let Err(violation) = heard.poison.touched(path, op) {
            heard.violation.get_or_insert(violation);
        }
    }

    fn after_change(&self, path: &Path, result: &Result<(), DiskError>) {
        if let Err(error) = result
            && error.kind != sierradb_io::DiskErrorKind::NoSpace
            && is_promised(path)
        {
            self.heard().poison.failed(path);
        }
    }

    fn read(&self, path: &Path, bytes: usize) {
        if path.extension().is_some_and(|ext| ext == "seg") {
            self.heard().segment_bytes_read += bytes as u64;
        }
    }
}

/// Index and checkpoint files promise nothing that a failed write could break.
fn is_promised(path: &Path) -> bool {
    path.extension().is_none_or(|ext| ext != "idx" && ext != "ckp")
}

struct WatchedDisk {
    world: Io,
    watch: Watch,
}

impl Disk for WatchedDisk {
    fn open<'a>(&'a self, path: &'a Path, options: OpenOptions) -> DiskFut<'a, Arc<dyn File>> {
        Box::pin(async move {
            let file = self.world.disk().open(path, options).await?;
            let watched = WatchedFile { file, path: path.to_owned(), watch: self.watch.clone() };
            Ok(Arc::new(watched) as Arc<dyn File>)
        })
    }

    fn list<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, Vec<Entry>> {
        self.world.disk().list(dir)
    }

    fn create_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        self.world.disk().create_dir(dir)
    }

    fn sync_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        self.world.disk().sync_dir(dir)
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> DiskFut<'a, ()> {
        self.world.disk().rename(from, to)
    }

    fn remove<'a>(&'a self, path: &'a Path) -> DiskFut<'a, ()> {
        self.watch.heard().poison.gone(path);
        self.world.disk().remove(path)
    }

    fn space<'a>(&'a self, path: &'a Path) -> DiskFut<'a, Space> {
        self.world.disk().space(path)
    }

    fn lock<'a>(&'a self, path: &'a Path) -> DiskFut<'a, DirLock> {
        self.world.disk().lock(path)
    }
}

struct WatchedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    watch: Watch,
}

impl WatchedFile {
    fn change<'a>(&'a self, op: &'static str, inner: DiskFut<'a, ()>) -> DiskFut<'a, ()> {
        Box::pin(async move {
            self.watch.before_change(&self.path, op);
            let result = inner.await;
            self.watch.after_change(&self.path, &result);
            result
        })
    }
}

impl File for WatchedFile {
    fn read_at(&self, buf: BytesMut, offset: u64) -> Fut<'_, (BytesMut, Result<usize, DiskError>)> {
        Box::pin(async move {
            let (buf, result) = self.file.read_at(buf, offset).await;
            self.watch.read(&self.path, result.as_ref().copied().unwrap_or(0));
            (buf, result)
        })
    }

    fn try_read_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>, DiskError> {
        let result = self.file.try_read_at(buf, offset);
        self.watch.read(&self.path, result.as_ref().ok().copied().flatten().unwrap_or(0));
        result
    }

    fn write_all_at(&self, bufs: Vec<Bytes>, offset: u64) -> DiskFut<'_, ()> {
        self.change("write", self.file.write_all_at(bufs, offset))
    }

    fn sync_data(&self) -> DiskFut<'_, ()> {
        self.change("sync", self.file.sync_data())
    }

    fn allocate(&self, len: u64) -> DiskFut<'_, ()> {
        self.file.allocate(len)
    }

    fn zero_range(&self, offset: u64, len: u64) -> DiskFut<'_, ()> {
        self.change("zero", self.file.zero_range(offset, len))
    }

    fn len(&self) -> DiskFut<'_, u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> DiskFut<'_, ()> {
        self.file.set_len(len)
    }
}
