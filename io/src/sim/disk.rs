//! The disk as one boot sees it: operations on names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::fault::OpFault;
use super::file::SimFile;
use super::names::NodeId;
use super::op::{Door, Plan, Subject};
use super::state::{DiskState, disk_error};
use crate::{DirLock, Disk, DiskError, DiskFut, DiskOp, Entry, File, OpenOptions, Space};

/// The disk as one boot sees it.
pub(crate) struct SimDisk {
    door: Door,
}

impl SimDisk {
    pub(crate) fn new(door: Door) -> Self {
        Self { door }
    }

    /// Runs an operation on names; drawn and injected errors are its first answer.
    async fn names<T>(
        &self,
        op: DiskOp,
        path: &Path,
        apply: impl FnOnce(&mut DiskState, &Plan) -> Result<T, Errno>,
    ) -> Result<T, DiskError> {
        let subject = Subject { op, node: None, path, bytes: 0 };
        let errored = |errno| disk_error(op, path, None, errno);
        let work = |state: &mut DiskState, plan: &Plan| {
            match plan.fault.as_ref().and_then(OpFault::errno) {
                // Only a creation needs space.
                Some(Errno::NOSPC) if op == DiskOp::Open && state.tree.find(path).is_ok() => {}
                Some(errno) => return Err(errored(errno)),
                None => {}
            }
            apply(state, plan).map_err(errored)
        };
        self.door.perform(subject, work).await
    }
}

impl Disk for SimDisk {
    fn open<'a>(&'a self, path: &'a Path, options: OpenOptions) -> DiskFut<'a, Arc<dyn File>> {
        Box::pin(async move {
            let work = |state: &mut DiskState, _: &Plan| state.open(path, options);
            let node = self.names(DiskOp::Open, path, work).await?;
            let path: PathBuf = path.to_path_buf();
            Ok(Arc::new(SimFile::new(self.door.clone(), node, path, options)) as Arc<dyn File>)
        })
    }

    fn list<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, Vec<Entry>> {
        Box::pin(self.names(DiskOp::List, dir, |state, _| state.list(dir)))
    }

    fn create_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(self.names(DiskOp::CreateDir, dir, |state, _| {
            state.room(1)?;
            let seq = state.next_seq();
            state.tree.create_dir(seq, dir)
        }))
    }

    fn sync_dir<'a>(&'a self, dir: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(self.names(DiskOp::SyncDir, dir, |state, plan| {
            let node = state.tree.find(dir)?;
            state.tree.dir(node).ok_or(Errno::NOTDIR)?;
            if plan.fault != Some(OpFault::LyingFlush) {
                state.tree.settle(plan.seq, node);
                state.tree.collect();
            }
            Ok(())
        }))
    }

    fn rename<'a>(&'a self, from: &'a Path, to: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(self.names(DiskOp::Rename, from, move |state, _| {
            state.room(1)?;
            let seq = state.next_seq();
            state.tree.rename(seq, from, to)
        }))
    }

    fn remove<'a>(&'a self, path: &'a Path) -> DiskFut<'a, ()> {
        Box::pin(self.names(DiskOp::Remove, path, |state, _| {
            let seq = state.next_seq();
            state.tree.remove(seq, path)
        }))
    }

    fn space<'a>(&'a self, path: &'a Path) -> DiskFut<'a, Space> {
        Box::pin(self.names(DiskOp::Space, path, |state, _| {
            state.tree.find(path)?;
            Ok(Space { free_bytes: state.free_bytes(), total_bytes: state.config.capacity_bytes })
        }))
    }

    fn lock<'a>(&'a self, path: &'a Path) -> DiskFut<'a, DirLock> {
        Box::pin(async move {
            let work = |state: &mut DiskState, _: &Plan| {
                let node = state.open(path, OpenOptions::OPEN_OR_CREATE)?;
                if state.take_lock(node) {
                    return Ok(node);
                }
                state.release(node);
                Err(Errno::AGAIN)
            };
            let node = self.names(DiskOp::Lock, path, work).await?;
            Ok(DirLock::new(Box::new(HeldLock { door: self.door.clone(), node })))
        })
    }
}

/// A lock that ends with its drop.
struct HeldLock {
    door: Door,
    node: NodeId,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let mut state = self.door.host.disk();
        if state.is_running(self.door.boot) {
            state.give_lock(self.node);
            state.release(self.node);
        }
    }
}
