//! Open files: positioned reads and writes that never transfer in part, syncs that are never repeated.

use std::fs;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
#[cfg(target_os = "linux")]
use rustix::fs::FallocateFlags;
use rustix::io::{Errno, retry_on_intr};

use super::errno::{disk_error, refused};
use super::helpers::Helpers;
use super::poison::{FileId, PoisonSet};
use super::task;
use crate::{DiskError, DiskErrorKind, DiskFut, DiskOp, File, Fut, MakeBufs};

/// Slices handed to one `pwritev`; a longer list takes several calls. Kept on the stack.
const SLICES_PER_CALL: usize = 64;

/// Bytes handed to one call at most. Linux caches what one call wrote as one piece of up to some megabytes, and every
/// later small write and sync in it walks over the whole piece: on space prepared by calls of 1 MiB they took twice
/// the processor time.
const BYTES_PER_CALL: usize = 64 << 10;

/// Ranges longer than this are zeroed by the file system, which then need not transfer them. Shorter ones are
/// written: that costs no change of the extent tree.
const ZERO_BY_WRITING: u64 = 1 << 20;

static ZEROS: [u8; BYTES_PER_CALL] = [0; BYTES_PER_CALL];

/// A file of the machine.
pub(super) struct OsFile {
    inner: Arc<Inner>,
    helpers: Arc<Helpers>,
}

/// What readers need, shared with the reader threads.
struct Inner {
    file: fs::File,
    path: PathBuf,
    id: FileId,
    can_write: bool,
    is_direct: bool,
    /// The file system knows no reads that refuse to wait.
    always_waits: AtomicBool,
    poison: Arc<PoisonSet>,
}

/// An opened file and what is known about it.
pub(super) struct Opened {
    pub(super) file: fs::File,
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) can_write: bool,
    pub(super) is_direct: bool,
}

impl OsFile {
    pub(super) fn new(opened: Opened, poison: Arc<PoisonSet>, helpers: Arc<Helpers>) -> Self {
        let Opened { file, path, id, can_write, is_direct } = opened;
        let always_waits = AtomicBool::new(!cfg!(target_os = "linux"));
        Self {
            inner: Arc::new(Inner { file, path, id, can_write, is_direct, always_waits, poison }),
            helpers,
        }
    }
}

impl File for OsFile {
    fn read_at(
        &self,
        mut buf: BytesMut,
        offset: u64,
    ) -> Fut<'_, (BytesMut, Result<usize, DiskError>)> {
        Box::pin(async move {
            if task::is_dedicated() {
                let read = self.inner.read_into(&mut buf, offset);
                return (buf, read);
            }
            let inner = Arc::clone(&self.inner);
            self.helpers
                .readers
                .run(move || {
                    let read = inner.read_into(&mut buf, offset);
                    (buf, read)
                })
                .await
        })
    }

    fn try_read_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>, DiskError> {
        self.inner.read_cached(buf, offset)
    }

    fn write_all_at(&self, bufs: Vec<Bytes>, offset: u64) -> DiskFut<'_, ()> {
        Box::pin(async move {
            self.inner
                .change(DiskOp::Write, offset, || write_slices(&self.inner.file, &bufs, offset))
        })
    }

    fn sync_data(&self) -> DiskFut<'_, ()> {
        Box::pin(async move { self.inner.sync() })
    }

    fn begin_durable_write(&self, make: MakeBufs, offset: u64) -> DiskFut<'_, ()> {
        let under_way = self.helpers.writes.begin();
        let Some(place) = self.helpers.syncers.try_place() else {
            return Box::pin(async move {
                let outcome = self.inner.write_durably(make, offset);
                drop(under_way);
                outcome
            });
        };
        let inner = Arc::clone(&self.inner);
        let answer = self.helpers.syncers.begin(place, move || {
            let outcome = inner.write_durably(make, offset);
            drop(under_way);
            outcome
        });
        Box::pin(async move { answer.await.expect("a helper answers unless its work panics") })
    }

    fn allocate(&self, len: u64) -> DiskFut<'_, ()> {
        Box::pin(async move {
            self.inner.change(DiskOp::Allocate, 0, || allocate(&self.inner.file, len))
        })
    }

    fn zero_range(&self, offset: u64, len: u64) -> DiskFut<'_, ()> {
        Box::pin(async move {
            self.inner.change(DiskOp::Zero, offset, || zero(&self.inner.file, offset, len))
        })
    }

    fn len(&self) -> DiskFut<'_, u64> {
        // Answered from the inode in memory: needs no thread that may wait.
        Box::pin(async move {
            let metadata = self.inner.file.metadata();
            metadata.map(|found| found.len()).map_err(|e| self.inner.error(DiskOp::Len, None, &e))
        })
    }

    fn set_len(&self, len: u64) -> DiskFut<'_, ()> {
        Box::pin(
            async move { self.inner.change(DiskOp::SetLen, len, || self.inner.file.set_len(len)) },
        )
    }
}

impl Inner {
    /// Fills `buf` and truncates it to what there was.
    fn read_into(&self, buf: &mut BytesMut, offset: u64) -> Result<usize, DiskError> {
        let read = self.read(buf, offset);
        buf.truncate(*read.as_ref().unwrap_or(&0));
        read
    }

    /// Fills `buf`; less only at the end of the file.
    fn read(&self, buf: &mut [u8], offset: u64) -> Result<usize, DiskError> {
        if self.is_direct {
            self.forget_cached(offset, wide(buf.len()));
        }
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(wide(done));
            match retry_on_intr(|| rustix::io::pread(&self.file, &mut *rest, at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(errno) => return Err(self.error(DiskOp::Read, Some(at), &errno.into())),
            }
        }
        Ok(done)
    }

    /// Asks the kernel to drop clean pages, so that the next read sees the device. After a failed sync it may have
    /// marked pages clean that never arrived there. Best effort: the advice has no effect on pages in use.
    fn forget_cached(&self, offset: u64, len: u64) {
        #[cfg(target_os = "linux")]
        if let Some(len) = std::num::NonZeroU64::new(len) {
            let advice = rustix::fs::Advice::DontNeed;
            rustix::fs::fadvise(&self.file, offset, Some(len), advice).unwrap_or(());
        }
        #[cfg(not(target_os = "linux"))]
        let (_, _) = (offset, len);
    }

    /// Reads from the page cache alone: `None` if any byte would have to come from the device.
    fn read_cached(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>, DiskError> {
        if self.is_direct || self.always_waits.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(wide(done));
            match read_nowait(&self.file, rest, at) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.always_waits.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(errno) => return Err(self.error(DiskOp::Read, Some(at), &errno.into())),
            }
        }
        Ok(Some(done))
    }

    /// Runs a change of the file, unless it is poisoned; a failure of the device poisons it.
    fn change(
        &self,
        op: DiskOp,
        offset: u64,
        work: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), DiskError> {
        self.refuse_unless_writable(op)?;
        work().map_err(|cause| {
            let error = self.error(op, Some(offset), &cause);
            if error.kind == DiskErrorKind::Io {
                self.poison.insert(self.id);
            }
            error
        })
    }

    fn write_durably(&self, make: MakeBufs, offset: u64) -> Result<(), DiskError> {
        self.refuse_unless_writable(DiskOp::Write)?;
        let bufs = make();
        self.change(DiskOp::Write, offset, || write_slices(&self.file, &bufs, offset))?;
        self.sync()
    }

    /// One attempt. Whatever goes wrong, an interruption too, leaves open what the device holds.
    fn sync(&self) -> Result<(), DiskError> {
        self.refuse_unless_writable(DiskOp::Sync)?;
        sync_file(&self.file).map_err(|errno| {
            self.poison.insert(self.id);
            self.error(DiskOp::Sync, None, &errno.into())
        })
    }

    fn refuse_unless_writable(&self, op: DiskOp) -> Result<(), DiskError> {
        assert!(
            task::may_block(),
            "{op} {} would stall a shared runtime thread: run it in a dedicated task or inside os::wait",
            self.path.display()
        );
        if self.poison.contains(self.id) {
            return Err(refused(op, &self.path, DiskErrorKind::Poisoned, Errno::IO));
        }
        if !self.can_write && op != DiskOp::Sync {
            return Err(refused(op, &self.path, DiskErrorKind::ReadOnly, Errno::BADF));
        }
        Ok(())
    }

    fn error(&self, op: DiskOp, offset: Option<u64>, cause: &io::Error) -> DiskError {
        disk_error(op, &self.path, offset, cause)
    }
}

#[cfg(target_os = "linux")]
fn read_nowait(file: &fs::File, buf: &mut [u8], offset: u64) -> Result<usize, Errno> {
    use rustix::io::{ReadWriteFlags, preadv2};
    retry_on_intr(|| {
        let rest = &mut [io::IoSliceMut::new(&mut *buf)];
        preadv2(file, rest, offset, ReadWriteFlags::NOWAIT)
    })
}

#[cfg(not(target_os = "linux"))]
fn read_nowait(_: &fs::File, _: &mut [u8], _: u64) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

#[cfg(not(target_vendor = "apple"))]
fn sync_file(file: &fs::File) -> Result<(), Errno> {
    rustix::fs::fdatasync(file)
}

/// A plain fsync stops at the drive's own cache there.
#[cfg(target_vendor = "apple")]
fn sync_file(file: &fs::File) -> Result<(), Errno> {
    rustix::fs::fcntl_fullfsync(file)
}

/// Writes all of `bufs` one after another, whatever the kernel takes per call.
fn write_slices(file: &fs::File, bufs: &[Bytes], mut offset: u64) -> io::Result<()> {
    let mut rest = bufs;
    let mut skip = 0; // bytes of the first one already written
    loop {
        while let Some((first, tail)) = rest.split_first()
            && first.len() <= skip
        {
            skip -= first.len();
            rest = tail;
        }
        let mut slices = [IoSlice::new(&[]); SLICES_PER_CALL];
        let (mut used, mut room) = (0, BYTES_PER_CALL);
        for (slice, buf) in slices.iter_mut().zip(rest) {
            let start = if used == 0 { skip } else { 0 };
            let piece = buf.get(start..).unwrap_or_default();
            let piece = piece.get(..room).unwrap_or(piece);
            *slice = IoSlice::new(piece);
            used += 1;
            room -= piece.len();
            if room == 0 {
                break;
            }
        }
        let Some(batch) = slices.get(..used).filter(|batch| !batch.is_empty()) else {
            return Ok(());
        };
        let count = write_some(file, batch, offset)?;
        offset = offset.saturating_add(wide(count));
        skip += count;
    }
}

/// One system call that made progress.
fn write_some(file: &fs::File, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let count = match slices {
        [only] => retry_on_intr(|| rustix::io::pwrite(file, only, offset))?,
        many => retry_on_intr(|| rustix::io::pwritev(file, many, offset))?,
    };
    if count == 0 {
        return Err(Errno::IO.into()); // no progress and no reason: the file cannot be trusted
    }
    Ok(count)
}

fn write_zeros(file: &fs::File, mut offset: u64, len: u64) -> io::Result<()> {
    let end = offset.saturating_add(len);
    while offset < end {
        let part = usize::try_from(end - offset).unwrap_or(usize::MAX).min(ZEROS.len());
        let zeros = [IoSlice::new(ZEROS.get(..part).unwrap_or_default())];
        offset += wide(write_some(file, &zeros, offset)?);
    }
    Ok(())
}

fn zero(file: &fs::File, offset: u64, len: u64) -> io::Result<()> {
    if len > ZERO_BY_WRITING {
        #[cfg(target_os = "linux")]
        match fallocate(file, FallocateFlags::ZERO_RANGE, offset, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            outcome => return Ok(outcome?),
        }
    }
    write_zeros(file, offset, len)
}

/// Reserves blocks for the first `len` bytes, by writing where the file system cannot promise.
fn allocate(file: &fs::File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
        outcome => return Ok(outcome?),
    }
    let current = file.metadata()?.len();
    write_zeros(file, current, len.saturating_sub(current))
}

#[cfg(target_os = "linux")]
fn fallocate(file: &fs::File, mode: FallocateFlags, offset: u64, len: u64) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::fallocate(file, mode, offset, len))
}

/// Memory sizes as file sizes.
fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
