//! A host's disk: everything on it, free space, and the faults and crashes that wait for their moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::config::{SimConfig, Yields};
use super::crash::{self, ArmedCrash, CrashKind, CrashPoint};
use super::fault::{ArmedFault, Fault, OpFault};
use super::inode::Inode;
use super::names::{NodeId, Tree};
use super::num::{below, mix};
use super::op::{Pace, Plan, Subject, pace};
use crate::{DiskError, DiskErrorKind, DiskOp, Entry, EntryKind, OpenMode, OpenOptions};

/// Everything on a disk, and what waits to happen to it.
#[derive(Debug)]
pub(crate) struct DiskState {
    pub(crate) config: Arc<SimConfig>,
    pub(crate) tree: Tree,
    /// The running boot.
    boot: Option<u64>,
    key: u64,
    seq: u64,
    crashes: u64,
    completions: u64,
    name_ordinals: BTreeMap<u64, u64>,
    locks: BTreeSet<NodeId>,
    armed_crashes: Vec<ArmedCrash>,
    faults: Vec<ArmedFault>,
    struck: BTreeMap<&'static str, u64>,
    yield_one_in: u32,
    filled_bytes: u64,
    full: bool,
    stalled_until_ns: u64,
    slow_until_ns: u64,
    slow_factor: u32,
}

impl DiskState {
    /// An empty disk; `key` is the root of all its draws.
    pub(crate) fn new(config: Arc<SimConfig>, key: u64) -> Self {
        let yields: Yields = config.yields;
        Self {
            tree: Tree::new(),
            boot: None,
            key,
            seq: 0,
            crashes: 0,
            completions: 0,
            name_ordinals: BTreeMap::new(),
            locks: BTreeSet::new(),
            armed_crashes: Vec::new(),
            faults: Vec::new(),
            struck: BTreeMap::new(),
            yield_one_in: yields.one_in(key),
            filled_bytes: 0,
            full: false,
            stalled_until_ns: 0,
            slow_until_ns: 0,
            slow_factor: 1,
            config,
        }
    }

    pub(crate) fn is_running(&self, boot: u64) -> bool {
        self.boot == Some(boot)
    }

    pub(crate) fn running(&self) -> Option<u64> {
        self.boot
    }

    pub(crate) fn start(&mut self, boot: u64) {
        self.boot = Some(boot);
    }

    /// Disk operations completed in all boots.
    pub(crate) fn completions(&self) -> u64 {
        self.completions
    }

    /// How often each class of fault struck.
    pub(crate) fn struck(&self) -> &BTreeMap<&'static str, u64> {
        &self.struck
    }

    /// The number of the next change.
    pub(crate) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(crate) fn file_mut(
        &mut self,
        node: NodeId,
        error: impl FnOnce(Errno) -> DiskError,
    ) -> Result<&mut Inode, DiskError> {
        self.tree.file_mut(node).ok_or_else(|| error(Errno::BADF))
    }

    /// Whether operations need to know the time.
    pub(crate) fn looks_at_time(&self) -> bool {
        self.stalled_until_ns > 0 || self.slow_until_ns > 0
    }

    /// Decides what becomes of an operation; `None` if its boot is over.
    pub(crate) fn begin(&mut self, boot: u64, subject: Subject<'_>, now_ns: u64) -> Option<Plan> {
        if !self.is_running(boot) {
            return None;
        }
        let key = self.draw_key(subject);
        let fault = self.fault_for(subject, key);
        let mut stalled = Duration::from_nanos(self.stalled_until_ns.saturating_sub(now_ns));
        if let Some(OpFault::Stall(duration)) = fault {
            stalled = stalled.max(duration);
        }
        let slow_factor = if now_ns < self.slow_until_ns { self.slow_factor } else { 1 };
        let conditions = Pace { yield_one_in: self.yield_one_in, slow_factor, stalled };
        let (wait, yields) = pace(&self.config, key, subject.bytes, &conditions);
        let crash = self.crash_due_in(subject);
        Some(Plan::new(subject.op, key, self.seq + 1, fault).waiting(wait, yields).crashing(crash))
    }

    fn draw_key(&mut self, subject: Subject<'_>) -> u64 {
        let (key, ordinal) = match subject.node.and_then(|node| self.tree.file_mut(node)) {
            Some(file) => (file.key, &mut file.ordinal),
            None => {
                let key = xxhash_rust::xxh3::xxh3_64(subject.path.as_os_str().as_encoded_bytes());
                (key, self.name_ordinals.entry(key).or_default())
            }
        };
        *ordinal += 1;
        mix(mix(self.key, key), *ordinal)
    }

    fn fault_for(&mut self, subject: Subject<'_>, key: u64) -> Option<OpFault> {
        let mut found = None;
        for (place, armed) in self.faults.iter_mut().enumerate() {
            if armed.op == subject.op && armed.target.matches(subject.path) {
                if armed.after == 0 && found.is_none() {
                    found = Some(place);
                }
                armed.after = armed.after.saturating_sub(1);
            }
        }
        let fault = match found {
            Some(place) => Some(self.faults.remove(place).fault),
            None if self.config.rates.is_quiet() => None,
            None => self.config.rates.strike(subject.op, key),
        };
        if let Some(fault) = &fault {
            *self.struck.entry(fault.class()).or_default() += 1;
        }
        fault
    }

    /// Takes `fault` in; those on the disk itself happen now.
    pub(crate) fn inject(&mut self, fault: Fault, now_ns: u64) {
        let until = |duration: Duration| {
            now_ns + u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
        };
        let class = match fault {
            Fault::On { op, target, after, fault } => {
                self.faults.push(ArmedFault { op, target, after, fault });
                return;
            }
            Fault::BitRot { path, offset, bits } => {
                self.rot(&path, offset, bits);
                "bit-rot"
            }
            Fault::LatentSector { path, offset } => {
                if let Some(file) = self.durable_file(&path) {
                    file.spoil(offset);
                }
                "latent-sector"
            }
            Fault::Fill { free_bytes } => {
                let used = self.tree.used_bytes().saturating_add(free_bytes);
                self.filled_bytes = self.config.capacity_bytes.saturating_sub(used);
                "fill"
            }
            Fault::Free => {
                self.filled_bytes = 0;
                self.full = false;
                "free"
            }
            Fault::Stall(duration) => {
                self.stalled_until_ns = self.stalled_until_ns.max(until(duration));
                "stall"
            }
            Fault::Slow { factor, duration } => {
                self.slow_factor = factor;
                self.slow_until_ns = until(duration);
                "slow"
            }
        };
        *self.struck.entry(class).or_default() += 1;
    }

    /// The file that processes, or after a crash the device, know by this path.
    pub(crate) fn durable_file(&mut self, path: &Path) -> Option<&mut Inode> {
        let node = self.tree.find(path).or_else(|_| self.tree.find_durable(path)).ok()?;
        self.tree.file_mut(node)
    }

    fn rot(&mut self, path: &Path, offset: u64, bits: u32) {
        let key = mix(mix(self.key, 0x726f), offset);
        let sector_len = u64::from(self.config.sector_bytes);
        if let Some(file) = self.durable_file(path) {
            rot_sector(file, offset / sector_len * sector_len, sector_len, (key, bits));
        }
    }

    /// Whether there is room for `more` bytes. A disk that was full stays so until enough is free.
    pub(crate) fn room(&mut self, more: u64) -> Result<(), Errno> {
        if self.config.capacity_bytes >= UNLIMITED && self.filled_bytes == 0 && !self.full {
            return Ok(());
        }
        let free = self.free_bytes();
        if self.full && free >= self.config.full_until_free_bytes.max(1) {
            self.full = false;
        }
        if self.full || more > free {
            self.full = true;
            return Err(Errno::NOSPC);
        }
        Ok(())
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        let used = self.tree.used_bytes().saturating_add(self.filled_bytes);
        self.config.capacity_bytes.saturating_sub(used)
    }

    /// Arms a crash point.
    pub(crate) fn arm(&mut self, armed: ArmedCrash) {
        self.armed_crashes.push(armed);
    }

    /// Counts a completion; the crash that is due at it.
    pub(crate) fn crash_due_at(&mut self, op: DiskOp) -> Option<CrashKind> {
        self.completions += 1;
        self.crash_due(|point| match point {
            CrashPoint::Completion(left) => Some(left),
            CrashPoint::Sync(left) if op == DiskOp::Sync => Some(left),
            CrashPoint::Sync(_)
            | CrashPoint::Unsynced(..)
            | CrashPoint::Time(_)
            | CrashPoint::Mark(..) => None,
        })
    }

    /// Counts a sync that begins, if a write can be torn in it; the crash that is due before it completes.
    fn crash_due_in(&mut self, subject: Subject<'_>) -> Option<CrashKind> {
        let mut points = self.armed_crashes.iter_mut().map(|armed| &mut armed.point);
        if subject.op != DiskOp::Sync || !points.any(|it| it.syncs_left(subject.path).is_some()) {
            return None;
        }
        let file = subject.node.and_then(|node| self.tree.file(node))?;
        if !file.spans_sectors(self.config.sector_bytes) {
            return None;
        }
        self.crash_due(|point| point.syncs_left(subject.path))
    }

    /// Counts the hit of a mark; the crash that is due at it.
    pub(crate) fn crash_due_at_mark(&mut self, name: &str) -> Option<CrashKind> {
        self.crash_due(|point| match point {
            CrashPoint::Mark(wanted, left) if *wanted == name => Some(left),
            CrashPoint::Mark(..)
            | CrashPoint::Completion(_)
            | CrashPoint::Sync(_)
            | CrashPoint::Unsynced(..)
            | CrashPoint::Time(_) => None,
        })
    }

    fn crash_due(
        &mut self,
        counter: impl Fn(&mut CrashPoint) -> Option<&mut u64>,
    ) -> Option<CrashKind> {
        let mut due = None;
        for armed in &mut self.armed_crashes {
            if let Some(left) = counter(&mut armed.point) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    due = due.or(Some(armed.kind));
                }
            }
        }
        due
    }

    /// The next crash at a time, if one is armed.
    pub(crate) fn crash_time(&self) -> Option<(Duration, CrashKind)> {
        let times = self.armed_crashes.iter().filter_map(|armed| match armed.point {
            CrashPoint::Time(at) => Some((at, armed.kind)),
            CrashPoint::Completion(_)
            | CrashPoint::Sync(_)
            | CrashPoint::Unsynced(..)
            | CrashPoint::Mark(..) => None,
        });
        times.min_by_key(|(at, _)| *at)
    }

    /// Ends the boot; crash points of it are forgotten.
    pub(crate) fn crash(&mut self, kind: CrashKind) {
        self.boot = None;
        self.locks.clear();
        self.armed_crashes.clear();
        self.crashes += 1;
        match kind {
            CrashKind::Kill => {
                for file in self.tree.files_mut() {
                    file.end_process();
                }
                self.tree.end_process();
            }
            CrashKind::Power => {
                let config = Arc::clone(&self.config);
                let key = mix(mix(self.key, 0x706f_7765), self.crashes);
                crash::lose_power(&mut self.tree, &config, key);
            }
        }
    }

    /// Takes the lock of a file; false if somebody holds it.
    pub(crate) fn take_lock(&mut self, node: NodeId) -> bool {
        self.locks.insert(node)
    }

    /// Gives the lock of a file back.
    pub(crate) fn give_lock(&mut self, node: NodeId) {
        self.locks.remove(&node);
    }

    pub(crate) fn open(&mut self, path: &Path, options: OpenOptions) -> Result<NodeId, Errno> {
        let node = match (self.tree.find(path), options.mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(Errno::EXIST),
            (Ok(node), OpenMode::Existing | OpenMode::OpenOrCreate) => node,
            (Err(Errno::NOENT), OpenMode::CreateNew | OpenMode::OpenOrCreate) => {
                self.tree.parent(path)?;
                self.room(1)?;
                let seq = self.next_seq();
                self.tree.create_file(seq, path)?
            }
            (Err(errno), _) => return Err(errno),
        };
        let file = self.tree.file_mut(node).ok_or(Errno::ISDIR)?;
        file.handles += 1;
        Ok(node)
    }

    pub(crate) fn list(&self, dir: &Path) -> Result<Vec<Entry>, Errno> {
        let node = self.tree.find(dir)?;
        let names = &self.tree.dir(node).ok_or(Errno::NOTDIR)?.current;
        let entry = |(name, node): (&String, &NodeId)| match self.tree.file(*node) {
            Some(file) => Entry { name: name.clone(), kind: EntryKind::File, len: file.len() },
            None => Entry { name: name.clone(), kind: EntryKind::Dir, len: 0 },
        };
        Ok(names.iter().map(entry).collect())
    }
}

/// Capacities from here on are not counted.
const UNLIMITED: u64 = 1 << 40;

/// Flips drawn bits of the sector at `offset`.
pub(crate) fn rot_sector(file: &mut Inode, offset: u64, len: u64, (key, bits): (u64, u32)) {
    let len = len.min(file.durable().len().saturating_sub(offset));
    for number in 0..u64::from(bits.clamp(1, 8)) {
        let draw = mix(key, number);
        let bit = u8::try_from(below(mix(draw, 1), 8)).unwrap_or(0);
        file.flip_bit(offset + below(draw, len), bit);
    }
}

/// An error with the class that belongs to its number.
pub(crate) fn disk_error(op: DiskOp, path: &Path, offset: Option<u64>, errno: Errno) -> DiskError {
    let kind = match errno {
        Errno::NOENT => DiskErrorKind::NotFound,
        Errno::EXIST => DiskErrorKind::Exists,
        Errno::NOSPC | Errno::DQUOT => DiskErrorKind::NoSpace,
        Errno::IO => DiskErrorKind::Io,
        Errno::ROFS | Errno::ACCESS | Errno::PERM | Errno::BADF => DiskErrorKind::ReadOnly,
        Errno::AGAIN if op == DiskOp::Lock => DiskErrorKind::Locked,
        _ => DiskErrorKind::Other,
    };
    let errno = Some(errno.raw_os_error());
    DiskError { op, path: path.to_path_buf(), offset, kind, errno }
}

impl DiskState {
    /// A handle of the running boot is closed.
    pub(crate) fn release(&mut self, node: NodeId) {
        if let Some(file) = self.tree.file_mut(node) {
            file.handles = file.handles.saturating_sub(1);
        }
    }

    /// Bytes in memory that differ between cache and device; for tests of bounds.
    pub(crate) fn open_handles(&self) -> u64 {
        self.tree.files().map(|file| u64::from(file.handles)).fold(0, u64::saturating_add)
    }

    /// All files by their present paths, with lengths.
    pub(crate) fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::from("/"), super::names::ROOT)];
        while let Some((path, node)) = open.pop() {
            for (name, child) in self.tree.dir(node).into_iter().flat_map(|dir| &dir.current) {
                match self.tree.file(*child) {
                    Some(file) => found.push((path.join(name), file.len())),
                    None => open.push((path.join(name), *child)),
                }
            }
        }
        found.sort();
        found
    }
}
