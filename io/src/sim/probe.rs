//! Ear and hand of the simulation: marks, chaos, knobs, mutants, and the trace hash.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::clock::world_sleep;
use super::config::{Seeded, SimConfig, TraceLevel};
use super::host::HostShared;
use super::num::{below, mix};
use crate::{DiskOp, Fut, Prng, Probe, Site};

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    /// Its number, from 1.
    pub id: u64,
    /// World time in microseconds.
    pub time_us: u64,
    /// What happened, as `disk.sync`.
    pub kind: &'static str,
    /// Its numbers as text, as `p=11 seq=212`.
    pub fields: String,
}

/// What one host tells, over all its boots.
#[derive(Debug)]
pub(crate) struct HostProbe {
    disk_ops: bool,
    state: Mutex<State>,
}

struct State {
    marks: BTreeMap<Site, u64>,
    /// Hits of each chaos and knob site.
    hits: BTreeMap<Site, u64>,
    hash: Xxh3,
    events: u64,
    lines: VecDeque<TraceLine>,
    keep: usize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("events", &self.events).finish_non_exhaustive()
    }
}

impl HostProbe {
    pub(crate) fn new(config: &SimConfig) -> Self {
        let state = State {
            marks: BTreeMap::new(),
            hits: BTreeMap::new(),
            hash: Xxh3::new(),
            events: 0,
            lines: VecDeque::new(),
            keep: config.trace_lines,
        };
        Self { disk_ops: config.trace == TraceLevel::Disk, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn marks(&self) -> BTreeMap<Site, u64> {
        self.state().marks.clone()
    }

    pub(crate) fn trace_hash(&self) -> u128 {
        self.state().hash.digest128()
    }

    pub(crate) fn event_count(&self) -> u64 {
        self.state().events
    }

    pub(crate) fn lines(&self) -> Vec<TraceLine> {
        self.state().lines.iter().cloned().collect()
    }

    /// Adds one event to the hash, and keeps its line if asked to.
    pub(crate) fn record(&self, time_us: u64, kind: &'static str, fields: &[(&'static str, u64)]) {
        let mut state = self.state();
        state.events += 1;
        state.hash.update(&time_us.to_le_bytes());
        state.hash.update(kind.as_bytes());
        for (name, value) in fields {
            state.hash.update(name.as_bytes());
            state.hash.update(&value.to_le_bytes());
        }
        if state.keep == 0 {
            return;
        }
        let mut text = String::new();
        for (number, (name, value)) in fields.iter().enumerate() {
            let gap = if number == 0 { "" } else { " " };
            // Writing to a string cannot fail.
            write!(text, "{gap}{name}={value}").unwrap_or_default();
        }
        let line = TraceLine { id: state.events, time_us, kind, fields: text };
        if state.lines.len() == state.keep {
            state.lines.pop_front();
        }
        state.lines.push_back(line);
    }

    /// Whether disk operations belong into the trace.
    pub(crate) fn wants_disk_ops(&self) -> bool {
        self.disk_ops
    }

    fn count_mark(&self, site: Site) {
        *self.state().marks.entry(site).or_default() += 1;
    }

    /// The draw of this hit of a site.
    fn draw(&self, root: u64, site: Site) -> u64 {
        let mut state = self.state();
        let hits = state.hits.entry(site).or_default();
        *hits += 1;
        mix(mix(root, xxh3_64(site.name().as_bytes())), *hits)
    }
}

/// What a completed operation is called in a trace.
pub(crate) fn trace_kind(op: DiskOp) -> &'static str {
    match op {
        DiskOp::Open => "disk.open",
        DiskOp::List => "disk.list",
        DiskOp::CreateDir => "disk.create_dir",
        DiskOp::SyncDir => "disk.sync_dir",
        DiskOp::Rename => "disk.rename",
        DiskOp::Remove => "disk.remove",
        DiskOp::Space => "disk.space",
        DiskOp::Lock => "disk.lock",
        DiskOp::Read => "disk.read",
        DiskOp::Write => "disk.write",
        DiskOp::Sync => "disk.sync",
        DiskOp::Allocate => "disk.allocate",
        DiskOp::Zero => "disk.zero",
        DiskOp::Len => "disk.len",
        DiskOp::SetLen => "disk.set_len",
    }
}

/// The probe of one boot. A dead boot is not heard.
pub(crate) struct SimProbe {
    host: Arc<HostShared>,
    boot: u64,
}

impl SimProbe {
    pub(crate) fn new(host: Arc<HostShared>, boot: u64) -> Self {
        Self { host, boot }
    }

    /// A seeded quarter of all sites.
    fn is_active(&self, salt: u64, site: Site) -> bool {
        below(mix(mix(self.host.root, salt), xxh3_64(site.name().as_bytes())), 4) == 0
    }
}

impl Probe for SimProbe {
    fn mark(&self, site: Site) {
        if self.host.is_running(self.boot) {
            self.host.probe.count_mark(site);
            self.host.crash_if_marked(site.name());
        }
    }

    fn chaos(&self, site: Site) -> Fut<'_, ()> {
        if self.host.config.chaos == Seeded::Off || !self.is_active(0x63, site) {
            return Box::pin(std::future::ready(()));
        }
        let mut draw = Prng::new(self.host.probe.draw(self.host.root, site));
        let yields = if draw.chance(1, 2) { draw.between(1, 3) } else { 0 };
        let delay_ms = if draw.chance(1, 16) { draw.between(1, 20) } else { 0 };
        Box::pin(async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            if delay_ms > 0 {
                world_sleep(Duration::from_millis(delay_ms)).await;
            }
        })
    }

    fn knob(&self, site: Site, usual: u64, min: u64) -> u64 {
        if self.host.config.knobs == Seeded::Off || !self.is_active(0x6b, site) {
            return usual;
        }
        let mut draw = Prng::new(self.host.probe.draw(self.host.root, site));
        let odd = [min, min.saturating_add(1), draw.between(min, usual.max(min)), usual];
        draw.pick(&odd).copied().unwrap_or(usual).max(min)
    }

    fn mutant(&self, name: &'static str) -> bool {
        let name = name.strip_prefix("mutant/").unwrap_or(name);
        self.host.config.mutants.contains(name)
    }

    fn event(&self, kind: &'static str, fields: &[(&'static str, u64)]) {
        if self.host.is_running(self.boot) {
            self.host.probe.record(self.host.clock.world_ns() / 1_000, kind, fields);
        }
    }
}
