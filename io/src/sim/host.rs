//! One simulated machine: a disk that stays, and one boot after the other.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::clock::{SimClock, WorldClock, world_sleep};
use super::config::{DeadTasks, SimConfig};
use super::crash::{ArmedCrash, CrashKind, CrashPoint};
use super::disk::SimDisk;
use super::entropy::{SimEntropy, stream_seed};
use super::fault::Fault;
use super::net::{MemNet, Sockets};
use super::num::mix;
use super::op::Door;
use super::probe::{HostProbe, SimProbe, TraceLine};
use super::state::DiskState;
use super::task::{Gate, SimSpawner, TaskCount, TaskTable};
use crate::{Io, Net, Prng, Site, TaskName};

/// What all boots of a host share. At most one of the locks is held at a time.
pub(crate) struct HostShared {
    pub(crate) seed: u64,
    pub(crate) root: u64,
    pub(crate) config: Arc<SimConfig>,
    pub(crate) clock: WorldClock,
    pub(crate) probe: HostProbe,
    disk: Mutex<DiskState>,
    tasks: Mutex<TaskTable>,
    power: Mutex<Power>,
    sockets: Arc<Sockets>,
    died: Notify,
}

/// How often the host booted, and what holds its running tasks.
#[derive(Debug, Default)]
struct Power {
    boots: u64,
    gate: Option<Arc<Gate>>,
    panics: Vec<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HostShared {
    pub(crate) fn disk(&self) -> MutexGuard<'_, DiskState> {
        lock(&self.disk)
    }

    pub(crate) fn tasks(&self) -> MutexGuard<'_, TaskTable> {
        lock(&self.tasks)
    }

    pub(crate) fn is_running(&self, boot: u64) -> bool {
        self.disk().is_running(boot)
    }

    /// Crashes if the moment of an armed crash has come.
    pub(crate) fn crash_if_time(&self) {
        let Some((at, kind)) = self.disk().crash_time() else { return };
        if Duration::from_nanos(self.clock.world_ns()) >= at {
            self.crash(kind);
        }
    }

    /// Crashes if an armed crash waited for this hit of the mark.
    pub(crate) fn crash_if_marked(&self, name: &str) {
        let due = self.disk().crash_due_at_mark(name);
        if let Some(kind) = due {
            self.crash(kind);
        }
    }

    /// Freezes the disk and ends the boot.
    fn crash(&self, kind: CrashKind) {
        let was_running = {
            let mut disk = self.disk();
            let was_running = disk.running().is_some();
            if was_running || kind == CrashKind::Power {
                disk.crash(kind);
            }
            was_running
        };
        if was_running {
            self.boot_ended(kind);
        }
    }

    /// Ends everything of a boot whose disk is frozen already.
    pub(crate) fn boot_ended(&self, kind: CrashKind) {
        let name = match kind {
            CrashKind::Kill => "host.kill",
            CrashKind::Power => "host.power_loss",
        };
        self.probe.record(self.clock.world_ns() / 1_000, name, &[("host", self.config.host)]);
        let gate = lock(&self.power).gate.take();
        if let Some(gate) = gate {
            gate.close();
        }
        if self.config.dead_tasks == DeadTasks::Abort {
            let dead = self.tasks().handles();
            for task in dead {
                task.abort();
            }
        }
        self.sockets.close();
        self.died.notify_waiters();
    }

    /// Remembers that a task panicked: a violation.
    pub(crate) fn note_panic(&self, name: TaskName, payload: &(dyn Any + Send)) {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without words".to_owned());
        lock(&self.power).panics.push(format!("task {name}: {text}"));
        self.died.notify_waiters();
    }
}

/// A machine whose disk outlives its boots. Cheap to clone; all clones are the same machine.
#[derive(Clone)]
pub struct SimHost {
    shared: Arc<HostShared>,
}

impl std::fmt::Debug for SimHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimHost").field("seed", &self.shared.seed).finish_non_exhaustive()
    }
}

/// Lives of the machine.
impl SimHost {
    /// A machine that is off, with an empty disk. `seed` is the world's; [`SimConfig::host`] tells hosts apart.
    pub fn new(seed: u64, config: SimConfig) -> Self {
        let config = Arc::new(config);
        let root = mix(seed, config.host);
        let shared = HostShared {
            seed,
            root,
            clock: WorldClock::new(&config.clock),
            probe: HostProbe::new(&config),
            disk: Mutex::new(DiskState::new(Arc::clone(&config), stream_seed(root, "disk", 0))),
            tasks: Mutex::new(TaskTable::default()),
            power: Mutex::new(Power::default()),
            sockets: Sockets::new(root, config.net_chunk_bytes),
            died: Notify::new(),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Starts a boot and hands out its world. A boot that still runs is killed first. Handles, locks and tasks of
    /// earlier boots are dead: their operations stay pending for ever.
    pub fn boot(&self) -> Io {
        self.kill();
        let gate = Arc::new(Gate::open());
        let boot = {
            let mut power = lock(&self.shared.power);
            power.boots += 1;
            power.gate = Some(Arc::clone(&gate));
            power.boots
        };
        self.shared.disk().start(boot);
        let time_us = self.shared.clock.world_ns() / 1_000;
        self.shared.probe.record(time_us, "host.boot", &[("boot", boot)]);
        let mut draw = Prng::new(stream_seed(self.shared.root, "boot", boot));
        let base_ns = draw.between(1, 1 << 50);
        let host = || Arc::clone(&self.shared);
        Io::new(
            Arc::new(SimDisk::new(Door { host: host(), boot })),
            Arc::new(self.net()),
            Arc::new(SimClock::new(host(), base_ns)),
            Arc::new(SimEntropy::new(self.shared.seed, self.shared.config.host, boot)),
            Arc::new(SimSpawner::new(host(), gate, boot)),
        )
        .with_probe(Arc::new(SimProbe::new(host(), boot)))
    }

    /// The same, at a given world time and in a runtime whose clock knows nothing of earlier boots.
    pub fn boot_at(&self, world: Duration) -> Io {
        self.shared.clock.set_world(world);
        self.boot()
    }

    /// Cuts the power: the boot ends, and of what was not synced survives what the draws say.
    pub fn power_loss(&self) {
        self.shared.crash(CrashKind::Power);
    }

    /// Kills the process: the boot ends, every completed operation stays.
    pub fn kill(&self) {
        self.shared.crash(CrashKind::Kill);
    }

    /// Arms a crash of the running boot (or of the next, if none runs). Several may be armed; the first ends the
    /// boot and disarms the others.
    pub fn crash_at(&self, point: CrashPoint, kind: CrashKind) {
        self.shared.disk().arm(ArmedCrash { point, kind });
    }

    /// Whether a boot runs.
    pub fn is_up(&self) -> bool {
        self.shared.disk().running().is_some()
    }

    /// Ready once the running boot is over; at once if none runs.
    pub async fn crashed(&self) {
        let boot = self.shared.disk().running();
        loop {
            let died = self.shared.died.notified();
            self.shared.crash_if_time();
            if boot.is_none_or(|boot| !self.shared.is_running(boot)) {
                return;
            }
            let time = self.shared.disk().crash_time();
            match time {
                None => died.await,
                Some((at, _)) => {
                    let now = Duration::from_nanos(self.shared.clock.world_ns());
                    tokio::select! {
                        biased; // a death that is there needs no timer
                        () = died => {}
                        () = world_sleep(at.saturating_sub(now)) => {}
                    }
                }
            }
        }
    }

    /// Runs `body` until it ends or the boot does; `None` if the boot ended first. What the body learnt at the very
    /// moment of the crash is not told: nobody outside heard it.
    pub async fn until_crash<T>(&self, body: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased; // a dead process answers nobody
            () = self.crashed() => None,
            done = body => self.is_up().then_some(done),
        }
    }

    /// Holds all polls of the running boot's tasks.
    pub fn pause(&self) {
        if let Some(gate) = &lock(&self.shared.power).gate {
            gate.pause();
        }
    }

    /// Lets them go on.
    pub fn resume(&self) {
        let gate = lock(&self.shared.power).gate.clone();
        if let Some(gate) = gate {
            gate.resume();
        }
    }

    /// Number of the last boot, from 1; 0 before the first.
    pub fn boots(&self) -> u64 {
        lock(&self.shared.power).boots
    }

    /// Messages of tasks that panicked, in order.
    pub fn panics(&self) -> Vec<String> {
        lock(&self.shared.power).panics.clone()
    }

    /// Ready once a task has panicked.
    pub async fn panicked(&self) {
        loop {
            let told = self.shared.died.notified();
            if !lock(&self.shared.power).panics.is_empty() {
                return;
            }
            told.await;
        }
    }
}

/// What happens to the machine.
impl SimHost {
    /// Takes a fault in: at once, or at the operation it names.
    pub fn inject(&self, fault: Fault) {
        let now_ns = self.shared.clock.world_ns();
        self.shared.disk().inject(fault, now_ns);
    }

    /// Moves the wall clock.
    pub fn clock_jump(&self, by_ms: i64) {
        self.shared.clock.jump(by_ms);
    }

    /// Makes both clocks run faster than the world from now on, by millionths; within ±500.
    pub fn clock_drift(&self, ppm: i32) {
        self.shared.clock.set_drift(ppm);
    }

    /// Stops the wall clock for a while; it catches up afterwards.
    pub fn clock_freeze(&self, duration: Duration) {
        self.shared.clock.freeze_wall(duration);
    }

    /// Replaces the disk by an empty one. A running boot is killed.
    pub fn wipe(&self) {
        self.kill();
        let mut disk = self.shared.disk();
        disk.tree = super::names::Tree::new();
    }

    /// Exchanges the disks of two machines. Running boots are killed.
    pub fn swap_disks(&self, other: &Self) {
        self.kill();
        other.kill();
        let own = std::mem::replace(&mut self.shared.disk().tree, super::names::Tree::new());
        let theirs = std::mem::replace(&mut other.shared.disk().tree, own);
        self.shared.disk().tree = theirs;
    }

    /// World time.
    pub fn world_time(&self) -> Duration {
        Duration::from_nanos(self.shared.clock.world_ns())
    }

    /// Sockets of this machine, for clients that outlive its boots.
    pub fn net(&self) -> MemNet {
        MemNet::new(Arc::clone(&self.shared.sockets))
    }

    /// The same as a trait object.
    pub fn shared_net(&self) -> Arc<dyn Net> {
        Arc::new(self.net())
    }
}

/// What is on the disk, for tests and oracles. Damage done here is not drawn.
impl SimHost {
    /// Bytes of a file as the device holds them; `None` if the device knows no such name.
    pub fn durable_image(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let disk = self.shared.disk();
        let node = disk.tree.find_durable(path.as_ref()).ok()?;
        Some(disk.tree.file(node)?.durable().to_vec())
    }

    /// Copies the device's bytes of the range that starts at `offset` into `buf`; zeros beyond the end. Returns the
    /// file's durable length, `None` if the device knows no such name.
    pub fn read_durable(&self, path: impl AsRef<Path>, offset: u64, buf: &mut [u8]) -> Option<u64> {
        let disk = self.shared.disk();
        let node = disk.tree.find_durable(path.as_ref()).ok()?;
        let image = disk.tree.file(node)?.durable();
        image.read(offset, buf);
        Some(image.len())
    }

    /// As [`read_durable`](Self::read_durable), of the bytes and the length that processes see.
    pub fn read_current(&self, path: impl AsRef<Path>, offset: u64, buf: &mut [u8]) -> Option<u64> {
        let disk = self.shared.disk();
        let node = disk.tree.find(path.as_ref()).ok()?;
        let image = disk.tree.file(node)?.current();
        image.read(offset, buf);
        Some(image.len())
    }

    /// Bytes of a file as processes see them.
    pub fn current_image(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let disk = self.shared.disk();
        let node = disk.tree.find(path.as_ref()).ok()?;
        Some(disk.tree.file(node)?.current().to_vec())
    }

    /// All files as processes see them: absolute paths and lengths, sorted.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.shared.disk().files()
    }

    /// Flips one bit on the device and in the cache; false if there is no such byte.
    pub fn flip_bit(&self, path: impl AsRef<Path>, offset: u64, bit: u8) -> bool {
        self.change(path.as_ref(), |file| {
            let flipped = file.flip_bit(offset, bit);
            file.evict(offset, 1);
            flipped
        })
    }

    /// Cuts a file, or extends it with zeros, durably; false if there is none.
    pub fn truncate_file(&self, path: impl AsRef<Path>, len: u64) -> bool {
        self.change(path.as_ref(), |file| {
            file.cut(len);
            true
        })
    }

    /// Writes into a file, durably, below what is still unsynced; false if there is none or the range ends beyond it.
    pub fn overwrite(&self, path: impl AsRef<Path>, offset: u64, bytes: &[u8]) -> bool {
        let len = super::num::bytes_of(bytes);
        self.change(path.as_ref(), |file| {
            if offset.saturating_add(len) > file.durable().len() {
                return false;
            }
            file.strike(offset, bytes);
            file.evict(offset, len);
            true
        })
    }

    fn change(&self, path: &Path, with: impl FnOnce(&mut super::inode::Inode) -> bool) -> bool {
        self.shared.disk().durable_file(path).is_some_and(with)
    }

    /// Removes a file, or an empty directory, durably; false if there is none.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> bool {
        let mut disk = self.shared.disk();
        let seq = disk.next_seq();
        let removed = disk.tree.remove(seq, path.as_ref()).is_ok();
        disk.tree.settle_above(path.as_ref());
        disk.tree.collect();
        removed
    }

    /// Makes a directory and those above it, durably; those that exist stay.
    pub fn make_dir(&self, path: impl AsRef<Path>) {
        let mut disk = self.shared.disk();
        let dirs: Vec<&Path> = path.as_ref().ancestors().collect();
        for dir in dirs.into_iter().rev() {
            let seq = disk.next_seq();
            // Most of them exist already.
            disk.tree.create_dir(seq, dir).unwrap_or_default();
        }
        disk.tree.settle_above(path.as_ref());
    }

    /// Puts a file there, durably, with the directories above it; replaces the content of one that has this name.
    pub fn put_file(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let path = path.as_ref();
        self.make_dir(path.parent().unwrap_or(Path::new("/")));
        let mut disk = self.shared.disk();
        let seq = disk.next_seq();
        disk.tree.create_file(seq, path).ok();
        if let Some(file) = disk.durable_file(path) {
            file.replace(bytes);
        }
        disk.tree.settle_above(path);
    }
}

/// What the machine told.
impl SimHost {
    /// Hits of all marks, over all boots.
    pub fn marks(&self) -> BTreeMap<Site, u64> {
        self.shared.probe.marks()
    }

    /// Hits of one mark.
    pub fn mark_hits(&self, name: &'static str) -> u64 {
        self.marks().get(&Site::new(name)).copied().unwrap_or(0)
    }

    /// xxh3-128 of all events so far. Equal for equal seeds, configurations and bodies.
    pub fn trace_hash(&self) -> u128 {
        self.shared.probe.trace_hash()
    }

    /// Events so far.
    pub fn event_count(&self) -> u64 {
        self.shared.probe.event_count()
    }

    /// The last lines, as many as [`SimConfig::trace_lines`] keeps.
    pub fn trace_lines(&self) -> Vec<TraceLine> {
        self.shared.probe.lines()
    }

    /// Adds an event of the harness to the trace.
    pub fn note(&self, kind: &'static str, fields: &[(&'static str, u64)]) {
        self.shared.probe.record(self.shared.clock.world_ns() / 1_000, kind, fields);
    }

    /// Tasks by role.
    pub fn task_counts(&self) -> BTreeMap<&'static str, TaskCount> {
        self.shared.tasks().counts()
    }

    /// Disk operations completed, over all boots.
    pub fn completions(&self) -> u64 {
        self.shared.disk().completions()
    }

    /// Files open in the running boot.
    pub fn open_handles(&self) -> u64 {
        self.shared.disk().open_handles()
    }

    /// How often each class of fault struck.
    pub fn faults_struck(&self) -> BTreeMap<&'static str, u64> {
        self.shared.disk().struck().clone()
    }
}

#[cfg(test)]
mod tests;
