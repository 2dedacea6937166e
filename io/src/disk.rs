//! Files and directories, and what of them survives a crash.
//!
//! # Contract
//! * *Visibility.* A completed operation is seen by every later call on that host.
//! * *Durability.* Bytes and length are durable once a `sync_data` **called after** the write completed returns
//!   `Ok`; a name once `sync_dir` of its parent returns `Ok`; nothing else is. What was not durable survives a
//!   crash whole, in part (per sector, per name) or not at all, in any order. `rename` replaces atomically.
//! * *Cancellation.* A future dropped before its first poll had no effect; later its effect is unknown.
//! * *Poisoning.* `Err` from `sync_data`, or [`DiskErrorKind::Io`] from a write, poisons the file: later writes
//!   and syncs through any handle return [`DiskErrorKind::Poisoned`] until the process restarts; reads go on.
//!   A sync is never retried.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::Fut;

/// Future of a disk operation.
pub type DiskFut<'a, T> = Fut<'a, Result<T, DiskError>>;

/// Makes what is to be written.
pub type MakeBufs = Box<dyn FnOnce() -> Vec<Bytes> + Send>;

/// The directory tree.
pub trait Disk: Send + Sync {
    /// Opens or creates a file. A created name is durable after [`Disk::sync_dir`] of its parent.
    fn open<'a>(&'a self, path: &'a Path, options: OpenOptions) -> DiskFut<'a, Arc<dyn File>>;

    /// Entries of `dir`, sorted by the bytes of their names.
    fn list<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, Vec<Entry>>;

    /// Creates one directory; its parent must exist. `Exists` if the name is taken.
    fn create_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()>;

    /// Makes all names inside `dir` durable.
    fn sync_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()>;

    /// Renames a file or directory, replacing a file at `to` atomically. Durable after `sync_dir` of both parents.
    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> DiskFut<'a, ()>;

    /// Removes a file, or an empty directory. Open handles stay usable.
    fn remove<'a>(&'a self, path: &'a Path) -> DiskFut<'a, ()>;

    /// Free and total bytes of the file system that holds `path`.
    fn space<'a>(&'a self, path: &'a Path) -> DiskFut<'a, Space>;

    /// Takes the exclusive lock file at `path` (created if absent); `Locked` if another holder lives.
    /// The lock ends with the drop of the handle or with its process.
    fn lock<'a>(&'a self, path: &'a Path) -> DiskFut<'a, DirLock>;
}

/// An open file. Handles point at the file, not at its name: they outlive rename and remove.
#[expect(
    clippy::len_without_is_empty,
    reason = "an answer that waits for the disk; nobody asks whether a file is empty"
)]
pub trait File: Send + Sync {
    /// Fills `buf` (its `len()` bytes) from `offset`; returns it truncated to what was read, and that count.
    /// Short only at the end of the file.
    fn read_at(&self, buf: BytesMut, offset: u64) -> Fut<'_, (BytesMut, Result<usize, DiskError>)>;

    /// Reads only what needs no waiting (page cache). `Ok(None)` if the disk would have to be asked;
    /// `Ok(Some(n))` with n < `buf.len()` only at the end of the file.
    ///
    /// # Errors
    /// As a read.
    fn try_read_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>, DiskError>;

    /// Writes all of `bufs`, one after another, from `offset`. After an error the bytes of the range are unknown.
    fn write_all_at(&self, bufs: Vec<Bytes>, offset: u64) -> DiskFut<'_, ()>;

    /// Makes every write completed before the call, and the length, durable (fdatasync).
    fn sync_data(&self) -> DiskFut<'_, ()>;

    /// Begins a [`File::write_all_at`] and a [`File::sync_data`] behind it, so that the caller can do something else
    /// before it waits. What is written comes from `make`, which is called once, on the thread that writes; it must not
    /// wait for anything. Everything may begin at this call or when first polled. Dropped before it is ready, any of
    /// it may be carried out or not; what is carried out is over before a [`DirLock`] of this disk is released.
    fn begin_durable_write(&self, make: MakeBufs, offset: u64) -> DiskFut<'_, ()> {
        Box::pin(async move {
            self.write_all_at(make(), offset).await?;
            self.sync_data().await
        })
    }

    /// Reserves space up to `len` and extends the file with zeros; never shrinks.
    fn allocate(&self, len: u64) -> DiskFut<'_, ()>;

    /// Makes `len` bytes at `offset` read as zeros; extends the file if the range ends beyond it.
    fn zero_range(&self, offset: u64, len: u64) -> DiskFut<'_, ()>;

    /// Length in bytes.
    fn len(&self) -> DiskFut<'_, u64>;

    /// Cuts or extends (with zeros) to `len` bytes.
    fn set_len(&self, len: u64) -> DiskFut<'_, ()>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether the name must exist, must not, or may.
    pub mode: OpenMode,
    /// Whether writes are allowed.
    pub write: bool,
    /// Best effort: reads bypass the page cache, so that they see the device and not what a failed sync left behind.
    pub direct: bool,
}

impl OpenOptions {
    /// An existing file, for reading.
    pub const READ: Self = Self { mode: OpenMode::Existing, write: false, direct: false };
    /// An existing file, for reading and writing.
    pub const WRITE: Self = Self { mode: OpenMode::Existing, write: true, direct: false };
    /// A file that must not exist yet.
    pub const CREATE_NEW: Self = Self { mode: OpenMode::CreateNew, write: true, direct: false };
    /// A file that may exist.
    pub const OPEN_OR_CREATE: Self =
        Self { mode: OpenMode::OpenOrCreate, write: true, direct: false };
}

/// Whether the name must exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// `NotFound` if absent.
    Existing,
    /// `Exists` if present.
    CreateNew,
    /// Created if absent.
    OpenOrCreate,
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// File name without its directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Length in bytes; 0 for directories.
    pub len: u64,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
}

/// Size of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes an unprivileged process may still use.
    pub free_bytes: u64,
    /// All bytes.
    pub total_bytes: u64,
}

/// An exclusive lock, held until dropped.
pub struct DirLock {
    /// Released on drop.
    _held: Box<dyn Send + Sync>,
}

impl DirLock {
    /// Wraps whatever an implementation releases on drop.
    pub fn new(held: Box<dyn Send + Sync>) -> Self {
        Self { _held: held }
    }
}

impl fmt::Debug for DirLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirLock")
    }
}

/// What failed, where, and the errno if the system gave one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{op} {path}{at}: {cause}", path = path.display(), at = display_offset(*offset), cause = display_cause(*kind, *errno))]
pub struct DiskError {
    /// The operation tried.
    pub op: DiskOp,
    /// On which file or directory.
    pub path: PathBuf,
    /// At which byte, where that makes sense.
    pub offset: Option<u64>,
    /// Its class.
    pub kind: DiskErrorKind,
    /// The system's error number.
    pub errno: Option<i32>,
}

fn display_offset(offset: Option<u64>) -> String {
    offset.map(|at| format!(" at offset {at}")).unwrap_or_default()
}

fn display_cause(kind: DiskErrorKind, errno: Option<i32>) -> String {
    match (kind, errno) {
        // "failed" helps nobody who passed a file for a directory; the system has words for it.
        (DiskErrorKind::Other, Some(n)) => std::io::Error::from_raw_os_error(n).to_string(),
        (_, Some(n)) => format!("{kind} (os error {n})"),
        (_, None) => kind.to_string(),
    }
}

/// A disk operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the name of a method of Disk or File")]
pub enum DiskOp {
    Open,
    List,
    CreateDir,
    SyncDir,
    Rename,
    Remove,
    Space,
    Lock,
    Read,
    Write,
    Sync,
    Allocate,
    Zero,
    Len,
    SetLen,
}

impl fmt::Display for DiskOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::List => "list",
            Self::CreateDir => "create directory",
            Self::SyncDir => "sync directory",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Space => "free space of",
            Self::Lock => "lock",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Allocate => "allocate",
            Self::Zero => "zero",
            Self::Len => "length of",
            Self::SetLen => "set length of",
        })
    }
}

/// Class of a disk error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskErrorKind {
    /// No such name.
    NotFound,
    /// The name is taken.
    Exists,
    /// The file system, or the quota, is full.
    NoSpace,
    /// The device failed.
    Io,
    /// Mounted or opened read-only, or not permitted.
    ReadOnly,
    /// Another process holds the lock.
    Locked,
    /// An earlier write or sync of this file failed; restart to read what the device holds.
    Poisoned,
    /// Anything else; see the errno.
    Other,
}

impl fmt::Display for DiskErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Exists => "already exists",
            Self::NoSpace => "no space left",
            Self::Io => "input/output error",
            Self::ReadOnly => "read-only or not permitted",
            Self::Locked => "in use by another process",
            Self::Poisoned => "an earlier write or sync failed",
            Self::Other => "failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_is_wrong_even_if_its_class_has_no_name() {
        let text = |kind, errno| {
            let path = PathBuf::from("d/LOCK");
            DiskError { op: DiskOp::Lock, path, offset: None, kind, errno }.to_string()
        };
        let not_a_directory = text(DiskErrorKind::Other, Some(20));
        assert_eq!(not_a_directory, "lock d/LOCK: Not a directory (os error 20)");
        assert_eq!(
            text(DiskErrorKind::NoSpace, Some(28)),
            "lock d/LOCK: no space left (os error 28)"
        );
        assert_eq!(text(DiskErrorKind::Locked, None), "lock d/LOCK: in use by another process");
    }
}
