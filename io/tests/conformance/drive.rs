//! Runs operations on one disk and writes down every answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sierradb_io::{
    DirLock, Disk, DiskError, DiskErrorKind, DiskOp, Entry, EntryKind, File, OpenOptions,
};

use crate::ops::{Op, SLOTS};

/// What one operation answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The slot is empty.
    Skipped,
    Done,
    Len(u64),
    Bytes(Vec<u8>),
    Entries(Vec<Entry>),
    Failed(Failure),
    /// At the end: every directory with its entries, every file with its bytes.
    Tree(Vec<(PathBuf, Option<Vec<u8>>)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    op: DiskOp,
    path: PathBuf,
    offset: Option<u64>,
    kind: DiskErrorKind,
    errno: Option<i32>,
}

struct Driver<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    files: Vec<Option<Arc<dyn File>>>,
    locks: Vec<Option<DirLock>>,
}

/// Runs all of `ops` below `root` and looks at everything at the end.
pub(crate) async fn drive(disk: &dyn Disk, root: &Path, ops: &[Op]) -> Vec<Outcome> {
    let empty = || (0..SLOTS).map(|_| None).collect();
    let locks = (0..SLOTS).map(|_| None).collect();
    let mut driver = Driver { disk, root, files: empty(), locks };
    let mut outcomes = Vec::new();
    for op in ops {
        let outcome = driver.step(op).await;
        outcomes.push(outcome.unwrap_or_else(|error| Outcome::Failed(driver.failure(error))));
    }
    outcomes.push(Outcome::Tree(tree(disk, root).await));
    outcomes
}

impl Driver<'_> {
    fn failure(&self, error: DiskError) -> Failure {
        let path = error.path.strip_prefix(self.root).unwrap().to_owned();
        let DiskError { op, offset, kind, errno, .. } = error;
        Failure { op, path, offset, kind, errno }
    }

    async fn step(&mut self, op: &Op) -> Result<Outcome, DiskError> {
        match op {
            Op::Open { slot, place, options } => {
                let path = place.path(self.root);
                self.files[*slot] = Some(self.disk.open(&path, *options).await?);
            }
            Op::Close { slot } => self.files[*slot] = None,
            Op::Rename { from, to } => {
                let (from, to) = (from.path(self.root), to.path(self.root));
                self.disk.rename(&from, &to).await?;
            }
            Op::Remove { place } => self.disk.remove(&place.path(self.root)).await?,
            Op::CreateDir { place } => self.disk.create_dir(&place.path(self.root)).await?,
            Op::SyncDir { place } => self.disk.sync_dir(&place.path(self.root)).await?,
            Op::List { place } => {
                return self.disk.list(&place.path(self.root)).await.map(Outcome::Entries);
            }
            Op::Lock { slot, place } => {
                let lock = self.disk.lock(&place.path(self.root)).await?;
                self.locks[*slot] = Some(lock);
            }
            Op::Unlock { slot } => self.locks[*slot] = None,
            Op::Space { place } => {
                let space = self.disk.space(&place.path(self.root)).await?;
                assert!(space.free_bytes <= space.total_bytes);
            }
            Op::Read { slot, .. }
            | Op::TryRead { slot, .. }
            | Op::Write { slot, .. }
            | Op::Sync { slot }
            | Op::DurableWrite { slot, .. }
            | Op::Allocate { slot, .. }
            | Op::Zero { slot, .. }
            | Op::SetLen { slot, .. }
            | Op::Len { slot } => {
                let Some(file) = &self.files[*slot] else { return Ok(Outcome::Skipped) };
                return on_file(file.as_ref(), op).await;
            }
        }
        Ok(Outcome::Done)
    }
}

async fn on_file(file: &dyn File, op: &Op) -> Result<Outcome, DiskError> {
    match op {
        Op::Read { offset, len, .. } => return read(file, *offset, *len).await,
        Op::TryRead { offset, len, .. } => {
            let mut buf = vec![0; *len];
            return match file.try_read_at(&mut buf, *offset)? {
                None => read(file, *offset, *len).await, // how often it waits is its own affair
                Some(count) => Ok(Outcome::Bytes(buf[..count].to_vec())),
            };
        }
        Op::Write { offset, sizes, fill, .. } => {
            file.write_all_at(pieces(sizes, *fill), *offset).await?;
        }
        Op::Sync { .. } => file.sync_data().await?,
        Op::DurableWrite { offset, sizes, fill, .. } => {
            let bufs = pieces(sizes, *fill);
            file.begin_durable_write(Box::new(|| bufs), *offset).await?;
        }
        Op::Allocate { len, .. } => file.allocate(*len).await?,
        Op::Zero { offset, len, .. } => file.zero_range(*offset, *len).await?,
        Op::SetLen { len, .. } => file.set_len(*len).await?,
        Op::Len { .. } => return file.len().await.map(Outcome::Len),
        other => unreachable!("{other:?} is not about an open file"),
    }
    Ok(Outcome::Done)
}

/// Buffers that differ in every byte from their neighbours.
pub(crate) fn pieces(sizes: &[usize], fill: u8) -> Vec<Bytes> {
    let mut next = fill;
    let mut piece = |size: usize| {
        let bytes: Vec<u8> = (0..size)
            .map(|_| {
                next = next.wrapping_mul(5).wrapping_add(3);
                next
            })
            .collect();
        Bytes::from(bytes)
    };
    sizes.iter().map(|size| piece(*size)).collect()
}

async fn read(file: &dyn File, offset: u64, len: usize) -> Result<Outcome, DiskError> {
    let (bytes, count) = file.read_at(BytesMut::zeroed(len), offset).await;
    assert_eq!(count?, bytes.len());
    Ok(Outcome::Bytes(bytes.to_vec()))
}

/// Everything below `root`, directories without content.
pub(crate) async fn tree(disk: &dyn Disk, root: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(dir) = open.pop() {
        for entry in disk.list(&root.join(&dir)).await.unwrap() {
            let path = dir.join(&entry.name);
            if entry.kind == EntryKind::Dir {
                open.push(path.clone());
                found.push((path, None));
                continue;
            }
            let file = disk.open(&root.join(&path), OpenOptions::READ).await.unwrap();
            let len = usize::try_from(entry.len).unwrap();
            let (bytes, count) = file.read_at(BytesMut::zeroed(len + 1), 0).await;
            assert_eq!(count.unwrap(), len, "{}", path.display());
            found.push((path, Some(bytes.to_vec())));
        }
    }
    found.sort();
    found
}
