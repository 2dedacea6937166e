//! A file in memory that counts its reads. For tests of this crate only.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use sierradb_io::{DiskError, DiskErrorKind, DiskFut, DiskOp, File, Fut};
use tokio::sync::Notify;

/// A file in memory.
#[derive(Default)]
pub(crate) struct MemFile {
    pub(crate) bytes: Mutex<Vec<u8>>,
    /// Reads answered, of either kind.
    pub(crate) reads: AtomicU64,
    /// Makes `try_read_at` say that the disk must be asked.
    pub(crate) cold: AtomicBool,
    /// Makes every read fail.
    pub(crate) broken: AtomicBool,
    /// With `cold`: a read waits for one notification here first.
    pub(crate) gate: Option<Notify>,
}

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
