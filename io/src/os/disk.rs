//! The directory tree: names, renames, locks and free space.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock, statvfs};
use rustix::io::Errno;

use super::errno::{disk_error, refused};
use super::file::{Opened, OsFile};
use super::helpers::{Helpers, WritesUnderWay};
use super::poison::{FileId, PoisonSet};
use super::task;
use crate::{
    DirLock, Disk, DiskError, DiskErrorKind, DiskFut, DiskOp, Entry, EntryKind, File, OpenMode,
    OpenOptions, Space, limits,
};

/// The file systems of the machine.
///
/// Cheap until used: reader threads start with the first read they are needed for.
pub struct OsDisk {
    poison: Arc<PoisonSet>,
    helpers: Arc<Helpers>,
}

impl OsDisk {
    /// With [`limits::READ_THREADS`] reader threads at most.
    pub fn new() -> Self {
        Self::with_read_threads(limits::READ_THREADS)
    }

    /// With at most `threads` (at least 1) threads for reads that have to wait.
    pub fn with_read_threads(threads: usize) -> Self {
        Self { poison: Arc::default(), helpers: Arc::new(Helpers::new(threads)) }
    }

    /// As if a sync of this file had failed.
    #[cfg(test)]
    pub(super) fn poison_for_tests(&self, id: FileId) {
        self.poison.insert(id);
    }

    /// Runs what only looks: here where the thread may wait, else on a reader.
    async fn look<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        if task::may_block() { work() } else { self.helpers.readers.run(work).await }
    }
}

impl Default for OsDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for OsDisk {
    fn open<'a>(&'a self, path: &'a Path, options: OpenOptions) -> DiskFut<'a, Arc<dyn File>> {
        Box::pin(async move {
            let opened = if options.mode == OpenMode::Existing && !options.write {
                let path = path.to_owned();
                self.look(move || open(&path, options)).await?
            } else {
                assert_may_block(DiskOp::Open, path);
                open(path, options)?
            };
            if opened.is_new {
                self.poison.forget(opened.file.id);
            }
            let file: Arc<dyn File> = Arc::new(OsFile::new(
                opened.file,
                Arc::clone(&self.poison),
                Arc::clone(&self.helpers),
            ));
            Ok(file)
        })
    }

    fn list<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, Vec<Entry>> {
        Box::pin(async move {
            let dir = dir.to_owned();
            self.look(move || list(&dir).map_err(|e| disk_error(DiskOp::List, &dir, None, &e)))
                .await
        })
    }

    fn create_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(async move { change(DiskOp::CreateDir, dir, || fs::create_dir(dir)) })
    }

    fn sync_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(async move { change(DiskOp::SyncDir, dir, || sync_dir(dir)) })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(async move { change(DiskOp::Rename, from, || fs::rename(from, to)) })
    }

    fn remove<'a>(&'a self, path: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(async move { change(DiskOp::Remove, path, || remove(path)) })
    }

    fn space<'a>(&'a self, path: &'a Path) -> DiskFut<'a, Space> {
        Box::pin(async move {
            let path = path.to_owned();
            self.look(move || space(&path)).await
        })
    }

    fn lock<'a>(&'a self, path: &'a Path) -> DiskFut<'a, DirLock> {
        Box::pin(async move {
            assert_may_block(DiskOp::Lock, path);
            let held = lock(path).map_err(|e| disk_error(DiskOp::Lock, path, None, &e))?;
            let writes = Arc::clone(&self.helpers.writes);
            Ok(DirLock::new(Box::new(Held { file: Some(held), writes })))
        })
    }
}

/// A locked directory. Whoever locks it next finds no durable write that was begun here still under way.
struct Held {
    /// Taken when dropped.
    file: Option<fs::File>,
    writes: Arc<WritesUnderWay>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.writes.release_behind(file);
        }
    }
}

fn assert_may_block(op: DiskOp, path: &Path) {
    assert!(
        task::may_block(),
        "{op} {} would stall a shared runtime thread: run it in a dedicated task or inside os::wait",
        path.display()
    );
}

fn change(op: DiskOp, path: &Path, work: impl FnOnce() -> io::Result<()>) -> Result<(), DiskError> {
    assert_may_block(op, path);
    work().map_err(|cause| disk_error(op, path, None, &cause))
}

/// An opened file, and whether this call made it.
struct Found {
    file: Opened,
    is_new: bool,
}

fn open(path: &Path, options: OpenOptions) -> Result<Found, DiskError> {
    let (file, is_new) =
        open_file(path, options).map_err(|cause| disk_error(DiskOp::Open, path, None, &cause))?;
    let metadata = file.metadata().map_err(|e| disk_error(DiskOp::Open, path, None, &e))?;
    if metadata.is_dir() {
        return Err(refused(DiskOp::Open, path, DiskErrorKind::Other, Errno::ISDIR));
    }
    let id: FileId = (metadata.dev(), metadata.ino());
    let can_write = options.write || options.mode != OpenMode::Existing;
    let is_direct = options.direct;
    Ok(Found { file: Opened { file, path: path.to_owned(), id, can_write, is_direct }, is_new })
}

/// Opens without `O_CREAT` wherever the file may exist, so that we know whether it is new.
fn open_file(path: &Path, options: OpenOptions) -> io::Result<(fs::File, bool)> {
    let existing = || fs::OpenOptions::new().read(true).write(options.write).open(path);
    let new = || fs::OpenOptions::new().read(true).write(true).create_new(true).open(path);
    match options.mode {
        OpenMode::Existing => existing().map(|file| (file, false)),
        OpenMode::CreateNew => new().map(|file| (file, true)),
        OpenMode::OpenOrCreate => loop {
            let found = fs::OpenOptions::new().read(true).write(true).open(path);
            if !is_kind(&found, io::ErrorKind::NotFound) {
                return found.map(|file| (file, false));
            }
            let made = new();
            if !is_kind(&made, io::ErrorKind::AlreadyExists) {
                return made.map(|file| (file, true));
            }
            // Made by someone else in between: open theirs.
        },
    }
}

fn is_kind<T>(outcome: &io::Result<T>, kind: io::ErrorKind) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == kind)
}

fn list(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // removed meanwhile
            Err(error) => return Err(error),
        };
        // None of our names has other characters; one that does still shows up.
        let name = entry.file_name().to_string_lossy().into_owned();
        let (kind, len) =
            if metadata.is_dir() { (EntryKind::Dir, 0) } else { (EntryKind::File, metadata.len()) };
        entries.push(Entry { name, kind, len });
    }
    entries.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    Ok(entries)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    let opened = fs::File::open(dir)?;
    if !opened.metadata()?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    opened.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }
}

fn space(path: &Path) -> Result<Space, DiskError> {
    let found =
        statvfs(path).map_err(|errno| disk_error(DiskOp::Space, path, None, &errno.into()))?;
    Ok(Space {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The lock belongs to the open file, so it ends with the handle, or with the process however that ends.
fn lock(path: &Path) -> io::Result<fs::File> {
    let file =
        fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    rustix::io::retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
