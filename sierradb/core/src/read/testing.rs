//! A file in memory that counts its reads, and a disk of such files. For tests of this crate only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use sierradb_io::{
    DirLock, Disk, DiskError, DiskErrorKind, DiskFut, DiskOp, Entry, EntryKind, File, Fut,
    OpenMode, OpenOptions, Space,
};
use tokio::sync::Notify;

/// A file in memory.
#[derive(Default)]
pub(crate) struct MemFile {
    bytes: Mutex<Vec<u8>>,
    /// Reads answered, of either kind.
    pub(crate) reads: AtomicU64,
    /// Makes `try_read_at` say that the disk must be asked.
    pub(crate) cold: AtomicBool,
    /// Makes every read fail.
    pub(crate) broken: AtomicBool,
    /// With `cold`: a read waits for one notification here first.
    pub(crate) gate: Option<Notify>,
    /// Where syncs are noted, and under which name.
    journal: Option<(Journal, PathBuf)>,
}

/// Operations in their order.
type Journal = Arc<Mutex<Vec<String>>>;

impl MemFile {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Mutex::new(bytes), ..Self::default() }
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.bytes.lock().unwrap());
    }

    fn fill(&self, buf: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(error(DiskOp::Read, Path::new("mem"), DiskErrorKind::Io));
        }
        let bytes = self.bytes.lock().unwrap();
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        let end = (start + buf.len()).min(bytes.len());
        buf[..end - start].copy_from_slice(&bytes[start..end]);
        Ok(end - start)
    }
}

fn error(op: DiskOp, path: &Path, kind: DiskErrorKind) -> DiskError {
    DiskError { op, path: path.to_owned(), offset: None, kind, errno: None }
}

impl File for MemFile {
    fn read_at(
        &self,
        mut buf: BytesMut,
        offset: u64,
    ) -> Fut<'_, (BytesMut, Result<usize, DiskError>)> {
        Box::pin(async move {
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            let count = self.fill(&mut buf, offset);
            (buf, count)
        })
    }

    fn try_read_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>, DiskError> {
        if self.cold.load(Ordering::SeqCst) {
            return Ok(None);
        }
        self.fill(buf, offset).map(Some)
    }

    fn write_all_at(&self, bufs: Vec<Bytes>, offset: u64) -> DiskFut<'_, ()> {
        let joined = bufs.concat();
        let start = usize::try_from(offset).unwrap();
        self.change(|bytes| {
            bytes.resize(bytes.len().max(start + joined.len()), 0);
            bytes[start..start + joined.len()].copy_from_slice(&joined);
        });
        Box::pin(async { Ok(()) })
    }

    fn sync_data(&self) -> DiskFut<'_, ()> {
        if let Some((journal, path)) = &self.journal {
            journal.lock().unwrap().push(format!("sync {}", path.display()));
        }
        Box::pin(async { Ok(()) })
    }

    fn allocate(&self, len: u64) -> DiskFut<'_, ()> {
        self.zero_range(len, 0)
    }

    fn zero_range(&self, offset: u64, len: u64) -> DiskFut<'_, ()> {
        self.write_all_at(vec![vec![0; usize::try_from(len).unwrap()].into()], offset)
    }

    fn len(&self) -> DiskFut<'_, u64> {
        let len = self.bytes.lock().unwrap().len();
        Box::pin(async move { Ok(u64::try_from(len).unwrap()) })
    }

    fn set_len(&self, len: u64) -> DiskFut<'_, ()> {
        self.change(|bytes| bytes.resize(usize::try_from(len).unwrap(), 0));
        Box::pin(async { Ok(()) })
    }
}

/// Named files, and the operations in their order as text.
#[derive(Default)]
pub(crate) struct MemDisk {
    pub(crate) files: Mutex<BTreeMap<PathBuf, Arc<MemFile>>>,
    pub(crate) journal: Journal,
}

impl MemDisk {
    fn note(&self, text: String) {
        self.journal.lock().unwrap().push(text);
    }

    pub(crate) fn put(&self, path: impl Into<PathBuf>, bytes: Vec<u8>) -> Arc<MemFile> {
        let file = Arc::new(MemFile::new(bytes));
        self.files.lock().unwrap().insert(path.into(), file.clone());
        file
    }
}

impl Disk for MemDisk {
    fn open<'a>(&'a self, path: &'a Path, options: OpenOptions) -> DiskFut<'a, Arc<dyn File>> {
        let mut files = self.files.lock().unwrap();
        let found = files.get(path).cloned();
        let opened = match (options.mode, found) {
            (OpenMode::CreateNew, Some(_)) => Err(error(DiskOp::Open, path, DiskErrorKind::Exists)),
            (OpenMode::Existing, None) => Err(error(DiskOp::Open, path, DiskErrorKind::NotFound)),
            (_, Some(file)) => Ok(file),
            (_, None) => {
                let journal = Some((self.journal.clone(), path.to_owned()));
                let file = Arc::new(MemFile { journal, ..MemFile::default() });
                files.insert(path.to_owned(), file.clone());
                Ok(file)
            }
        };
        self.note(format!("open {}", path.display()));
        Box::pin(async { opened.map(|file| -> Arc<dyn File> { file }) })
    }

    fn list<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, Vec<Entry>> {
        let files = self.files.lock().unwrap();
        let entries =
            files.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(path, file)| Entry {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                kind: EntryKind::File,
                len: u64::try_from(file.content().len()).unwrap(),
            });
        let entries = entries.collect();
        Box::pin(async { Ok(entries) })
    }

    fn create_dir<'a>(&'a self, _: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn sync_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        self.note(format!("sync_dir {}", dir.display()));
        Box::pin(async { Ok(()) })
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> DiskFut<'a, ()> {
        self.note(format!("rename {} {}", from.display(), to.display()));
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).unwrap();
        files.insert(to.to_owned(), file);
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(&'a self, path: &'a Path) -> DiskFut<'a, ()> {
        self.note(format!("remove {}", path.display()));
        let removed = self.files.lock().unwrap().remove(path);
        Box::pin(async move {
            removed.map(drop).ok_or_else(|| error(DiskOp::Remove, path, DiskErrorKind::NotFound))
        })
    }

    fn space<'a>(&'a self, _: &'a Path) -> DiskFut<'a, Space> {
        Box::pin(async { Ok(Space { free_bytes: u64::MAX, total_bytes: u64::MAX }) })
    }

    fn lock<'a>(&'a self, _: &'a Path) -> DiskFut<'a, DirLock> {
        Box::pin(async { Ok(DirLock::new(Box::new(()))) })
    }
}
