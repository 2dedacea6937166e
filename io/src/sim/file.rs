//! An open file of the simulated disk.

use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;

use super::crash::HalfLands;
use super::fault::OpFault;
use super::inode::Reach;
use super::names::NodeId;
use super::num::{below, bytes_of, mix, to_u64, to_usize};
use super::op::{Door, Early, Plan, Subject};
use super::state::{DiskState, disk_error, rot_sector};
use crate::{DiskError, DiskErrorKind, DiskFut, DiskOp, File, Fut, OpenMode, OpenOptions};

/// A handle. It points at the file, whatever its name becomes, and dies with its boot.
pub(crate) struct SimFile {
    door: Door,
    node: NodeId,
    path: PathBuf,
    options: OpenOptions,
}

impl SimFile {
    pub(crate) fn new(door: Door, node: NodeId, path: PathBuf, options: OpenOptions) -> Self {
        Self { door, node, path, options }
    }

    fn subject(&self, op: DiskOp, bytes: u64) -> Subject<'_> {
        Subject { op, node: Some(self.node), path: &self.path, bytes }
    }

    fn error(&self, op: DiskOp, offset: Option<u64>, errno: Errno) -> DiskError {
        disk_error(op, &self.path, offset, errno)
    }

    /// Refuses changes of a file whose write or sync failed, and through a handle that may not.
    fn may_change(&self, state: &mut DiskState, op: DiskOp) -> Result<(), DiskError> {
        self.not_poisoned(state, op)?;
        let writable = self.options.write || self.options.mode != OpenMode::Existing;
        if writable { Ok(()) } else { Err(self.error(op, None, Errno::BADF)) }
    }

    fn not_poisoned(&self, state: &mut DiskState, op: DiskOp) -> Result<(), DiskError> {
        if state.file_mut(self.node, |errno| self.error(op, None, errno))?.poisoned {
            let error = self.error(op, None, Errno::IO);
            return Err(DiskError { kind: DiskErrorKind::Poisoned, ..error });
        }
        Ok(())
    }

    /// Fails a change with EIO (which poisons) or another error.
    fn fail(
        &self,
        state: &mut DiskState,
        op: DiskOp,
        offset: Option<u64>,
        errno: Errno,
    ) -> DiskError {
        if errno == Errno::IO
            && let Some(file) = state.tree.file_mut(self.node)
        {
            file.poisoned = true;
        }
        self.error(op, offset, errno)
    }

    /// One change of the file other than a write of bytes.
    async fn change(
        &self,
        op: DiskOp,
        (offset, end): (u64, u64),
        apply: impl FnOnce(&mut super::inode::Inode, u64),
    ) -> Result<(), DiskError> {
        let at = Some(offset);
        let work = |state: &mut DiskState, plan: &Plan| {
            self.may_change(state, op)?;
            if let Some(errno) = plan.fault.as_ref().and_then(OpFault::errno) {
                return Err(self.fail(state, op, at, errno));
            }
            self.grow(state, end).map_err(|errno| self.error(op, at, errno))?;
            let seq = state.next_seq();
            apply(state.file_mut(self.node, |errno| self.error(op, None, errno))?, seq);
            Ok(())
        };
        self.door.perform(self.subject(op, 0), work).await
    }

    /// Whether the disk has room for the file to reach `end`.
    fn grow(&self, state: &mut DiskState, end: u64) -> Result<(), Errno> {
        let reserved = state.tree.file(self.node).map_or(0, super::inode::Inode::reserved_bytes);
        if end > reserved { state.room(end - reserved) } else { Ok(()) }
    }

    fn read(
        &self,
        state: &mut DiskState,
        plan: &Plan,
        mut buf: BytesMut,
        offset: u64,
    ) -> (BytesMut, Result<usize, DiskError>) {
        let sector_len = u64::from(state.config.sector_bytes);
        let len = bytes_of(&buf);
        let Some(file) = state.tree.file_mut(self.node) else {
            buf.clear();
            return (buf, Err(self.error(DiskOp::Read, Some(offset), Errno::BADF)));
        };
        match &plan.fault {
            Some(OpFault::LatentSector) => file.spoil(offset),
            Some(OpFault::BitRot) => {
                let at = (offset + below(plan.key, len)) / sector_len * sector_len;
                let bits = u32::try_from(1 + below(mix(plan.key, 1), 8)).unwrap_or(1);
                rot_sector(file, at, sector_len, (plan.key, bits));
            }
            _ => {}
        }
        if self.options.direct || plan.fault.is_some() {
            file.evict(offset, len);
        }
        let there = file.len().saturating_sub(offset).min(len);
        let failed = plan.fault.as_ref().and_then(OpFault::errno).map(|errno| (offset, errno));
        let bad = file.first_bad(offset, there).map(|at| (at, Errno::IO));
        if let Some((at, errno)) = failed.or(bad) {
            buf.clear();
            return (buf, Err(self.error(DiskOp::Read, Some(at), errno)));
        }
        let read = file.read(offset, &mut buf);
        buf.truncate(read);
        (buf, Ok(read))
    }

    fn write(
        &self,
        state: &mut DiskState,
        plan: &Plan,
        data: &Bytes,
        offset: u64,
    ) -> Result<(), DiskError> {
        let op = DiskOp::Write;
        self.may_change(state, op)?;
        let end = offset + bytes_of(data);
        let full = self.grow(state, end).err();
        if let Some(errno) = plan.fault.as_ref().and_then(OpFault::errno).or(full) {
            let part = below(mix(plan.key, 0x7061), bytes_of(data));
            let kept = end.min(state.tree.file(self.node).map_or(0, |file| file.reserved_bytes()));
            let part = if full.is_some() { kept.saturating_sub(offset).min(part) } else { part };
            let part = whole_sectors(offset, part, state.config.sector_bytes);
            self.put(state, data.slice(..to_usize(part)), offset, Reach::Device);
            return Err(self.fail(state, op, Some(offset), errno));
        }
        match &plan.fault {
            Some(OpFault::Phantom) => self.put(state, data.clone(), offset, Reach::Cache),
            Some(OpFault::Misdirected { path, offset: elsewhere }) => {
                self.put(state, data.clone(), offset, Reach::Cache);
                let struck = match path {
                    Some(path) => state.durable_file(path),
                    None => state.tree.file_mut(self.node),
                };
                if let Some(file) = struck {
                    file.strike(*elsewhere, data);
                }
            }
            _ => self.put(state, data.clone(), offset, Reach::Device),
        }
        Ok(())
    }

    fn put(&self, state: &mut DiskState, data: Bytes, offset: u64, reach: Reach) {
        let seq = state.next_seq();
        if let Some(file) = state.tree.file_mut(self.node) {
            file.write(seq, offset, data, reach);
        }
    }

    fn sync(&self, state: &mut DiskState, plan: &Plan) -> Result<(), DiskError> {
        self.not_poisoned(state, DiskOp::Sync)?;
        let sector_bytes = state.config.sector_bytes;
        let failed = plan.fault.as_ref().and_then(OpFault::errno);
        let file = state.file_mut(self.node, |errno| self.error(DiskOp::Sync, None, errno))?;
        if let Some(errno) = failed {
            file.poisoned = true;
            file.fail_sync(plan.seq, sector_bytes, &mut HalfLands { key: plan.key });
            return Err(self.error(DiskOp::Sync, None, errno));
        }
        if plan.fault != Some(OpFault::LyingFlush) {
            file.settle(plan.seq);
        }
        Ok(())
    }
}

/// The largest number of bytes up to `part` that ends at a sector of the file, or 0: what a kernel copies in one go is
/// a page, so no write is cut inside a sector.
fn whole_sectors(offset: u64, part: u64, sector_bytes: u32) -> u64 {
    let end = offset + part;
    (end - end % u64::from(sector_bytes.max(1))).saturating_sub(offset)
}

fn join(bufs: Vec<Bytes>) -> Bytes {
    let mut bufs = bufs;
    if bufs.len() == 1 {
        return bufs.pop().unwrap_or_default();
    }
    let mut data = BytesMut::with_capacity(bufs.iter().map(Bytes::len).sum());
    for buf in &bufs {
        data.extend_from_slice(buf);
    }
    data.freeze()
}

impl File for SimFile {
    fn read_at(&self, buf: BytesMut, offset: u64) -> Fut<'_, (BytesMut, Result<usize, DiskError>)> {
        Box::pin(async move {
            let len = bytes_of(&buf);
            let plan = self.door.begin(self.subject(DiskOp::Read, len)).await;
            plan.wait().await;
            let work = |state: &mut DiskState, plan: &Plan| {
                let (buf, result) = self.read(state, plan, buf, offset);
                Ok((buf, result))
            };
            match self.door.complete(&plan, work).await {
                Ok(done) => done,
                Err(error) => (BytesMut::new(), Err(error)),
            }
        })
    }

    fn try_read_at(&self, buf: &mut [u8], offset: u64) -> Result<Option<usize>, DiskError> {
        let mut state = self.door.host.disk();
        if !state.is_running(self.door.boot) || self.options.direct {
            return Ok(None);
        }
        let misses = u64::from(state.config.cache_miss_permille);
        let len = bytes_of(buf);
        let file =
            state.file_mut(self.node, |errno| self.error(DiskOp::Read, Some(offset), errno))?;
        file.ordinal += 1;
        if misses > 0 && below(mix(mix(file.key, 0x6d69), file.ordinal), 1_000) < misses {
            file.evict(offset, len);
            return Ok(None);
        }
        let there = file.len().saturating_sub(offset).min(len);
        if file.first_bad(offset, there).is_some() {
            return Ok(None); // asking the device will tell
        }
        Ok(Some(file.read(offset, buf)))
    }

    fn write_all_at(&self, bufs: Vec<Bytes>, offset: u64) -> DiskFut<'_, ()> {
        Box::pin(async move {
            let data = join(bufs);
            let plan = self.door.begin(self.subject(DiskOp::Write, bytes_of(&data))).await;
            let part = match plan.early() {
                Early::Nothing => 0,
                Early::Part(permille) => {
                    let part = bytes_of(&data) * permille / 1_000;
                    to_usize(whole_sectors(offset, part, self.door.host.config.sector_bytes))
                }
                Early::All => data.len(),
            };
            if part > 0 {
                // What a crash, or the drop of this future, leaves behind.
                let first = data.slice(..part);
                let work =
                    |state: &mut DiskState, plan: &Plan| self.write(state, plan, &first, offset);
                self.door.apply_early(&plan, work).await?;
            }
            plan.wait().await;
            let rest = data.slice(part..);
            if rest.is_empty() && part > 0 {
                return self.door.complete(&plan, |_, _| Ok(())).await;
            }
            let at = offset + to_u64(part);
            self.door.complete(&plan, |state, plan| self.write(state, plan, &rest, at)).await
        })
    }

    fn sync_data(&self) -> DiskFut<'_, ()> {
        let subject = self.subject(DiskOp::Sync, 0);
        Box::pin(self.door.perform(subject, |state, plan| self.sync(state, plan)))
    }

    fn allocate(&self, len: u64) -> DiskFut<'_, ()> {
        Box::pin(self.change(DiskOp::Allocate, (0, len), move |file, seq| file.allocate(seq, len)))
    }

    fn zero_range(&self, offset: u64, len: u64) -> DiskFut<'_, ()> {
        let end = offset.saturating_add(len);
        Box::pin(
            self.change(DiskOp::Zero, (offset, end), move |file, seq| file.zero(seq, offset, len)),
        )
    }

    fn len(&self) -> DiskFut<'_, u64> {
        Box::pin(self.door.perform(self.subject(DiskOp::Len, 0), |state, _| {
            let file = state.file_mut(self.node, |errno| self.error(DiskOp::Len, None, errno))?;
            Ok(file.len())
        }))
    }

    fn set_len(&self, len: u64) -> DiskFut<'_, ()> {
        Box::pin(self.change(DiskOp::SetLen, (len, 0), move |file, seq| file.set_len(seq, len)))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.door.host.disk();
        if state.is_running(self.door.boot) {
            state.release(self.node);
        }
    }
}
