//! How one simulated host behaves. Plain data, fixed before the run; integers only, so that every machine decides
//! alike.

use std::collections::BTreeSet;

use super::fault::FaultRates;
use super::num::mix;
use crate::Prng;

/// Everything that is not drawn while the host runs.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Number of this host in its world; part of every key, so that hosts of one seed differ.
    pub host: u64,
    /// Unit of survival in bytes: 512 or 4096.
    pub sector_bytes: u32,
    /// What a power loss may do to a sector that was being written.
    pub sectors: SectorWrites,
    /// What allocated but never written space holds after a power loss.
    pub unwritten: UnwrittenSpace,
    /// How names and lengths reach the disk.
    pub metadata: Metadata,
    /// How much of the unsynced rest survives a power loss.
    pub survival: Survival,
    /// Size of the disk in bytes.
    pub capacity_bytes: u64,
    /// Free bytes that a full disk needs before it accepts again (hysteresis).
    pub full_until_free_bytes: u64,
    /// Time an operation takes; `None` completes without timers.
    pub latency: Option<Latency>,
    /// How often operations and polls of tasks step back for others.
    pub yields: Yields,
    /// How many of 1,000 `try_read_at` find a page evicted.
    pub cache_miss_permille: u32,
    /// Faults by chance.
    pub rates: FaultRates,
    /// What becomes of the tasks of a dead boot.
    pub dead_tasks: DeadTasks,
    /// One poll in this many of a dedicated task stalls for 1 to 50 ms; 0 never.
    pub dedicated_stall_one_in: u32,
    /// Whether tasks that sync share a thread, as on a machine with few cores.
    pub syncs_share_thread: bool,
    /// Yields and delays at chaos sites.
    pub chaos: Seeded,
    /// Odd values at knob sites.
    pub knobs: Seeded,
    /// Deliberate bugs switched on, without their `mutant/` prefix.
    pub mutants: BTreeSet<String>,
    /// What goes into the trace hash.
    pub trace: TraceLevel,
    /// How many of the last trace lines are kept as text; 0 keeps none.
    pub trace_lines: usize,
    /// The host's clocks.
    pub clock: ClockConfig,
    /// Largest piece a stream of the in-memory network moves at once; 0 means whatever fits.
    pub net_chunk_bytes: u32,
}

impl Default for SimConfig {
    /// A healthy machine: no latency, no faults, seeded yields, survival drawn at each power loss.
    fn default() -> Self {
        Self {
            host: 0,
            sector_bytes: 512,
            sectors: SectorWrites::Atomic,
            unwritten: UnwrittenSpace::Zeros,
            metadata: Metadata::Journal,
            survival: Survival::Drawn,
            capacity_bytes: 1 << 40,
            full_until_free_bytes: 0,
            latency: None,
            yields: Yields::Drawn,
            cache_miss_permille: 100,
            rates: FaultRates::default(),
            dead_tasks: DeadTasks::Abort,
            dedicated_stall_one_in: 0,
            syncs_share_thread: true,
            chaos: Seeded::Off,
            knobs: Seeded::Off,
            mutants: BTreeSet::new(),
            trace: TraceLevel::Events,
            trace_lines: 0,
            clock: ClockConfig::default(),
            net_chunk_bytes: 0,
        }
    }
}

impl SimConfig {
    /// A machine of some kind, drawn from `seed`: sector size, metadata mode, latency, yields, chaos, clock. Healthy;
    /// [`FaultRates::drawn`] adds faults.
    pub fn swarm(seed: u64) -> Self {
        let mut draw = Prng::new(mix(seed, 0x5157));
        Self {
            sector_bytes: if draw.chance(1, 2) { 512 } else { 4096 },
            sectors: if draw.chance(1, 4) { SectorWrites::Torn } else { SectorWrites::Atomic },
            metadata: if draw.chance(1, 2) { Metadata::Journal } else { Metadata::Loose },
            latency: draw.chance(1, 2).then(|| Latency {
                base_us: draw.between(20, 2_000),
                per_mib_us: draw.between(200, 10_000),
                tail_us: draw.between(0, 20_000),
            }),
            cache_miss_permille: u32::try_from(draw.pick(&[0, 50, 300, 1_000]).map_or(50, |p| *p))
                .unwrap_or(50),
            dedicated_stall_one_in: if draw.chance(1, 4) { 64 } else { 0 },
            chaos: if draw.chance(1, 2) { Seeded::On } else { Seeded::Off },
            knobs: if draw.chance(1, 2) { Seeded::On } else { Seeded::Off },
            clock: ClockConfig {
                drift_ppm: i32::try_from(draw.below(1_001)).unwrap_or(0) - 500,
                offset_ms: i64::try_from(draw.below(60_001)).unwrap_or(0) - 30_000,
                ..ClockConfig::default()
            },
            net_chunk_bytes: if draw.chance(1, 2) { 7 } else { 0 },
            syncs_share_thread: draw.chance(1, 2),
            ..Self::default()
        }
    }
}

/// What a power loss may do to a sector that was being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectorWrites {
    /// It holds one of its versions, whole.
    Atomic,
    /// One in eight holds garbage.
    Torn,
}

/// What allocated but never written space holds after a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnwrittenSpace {
    /// Zeros, as ext4 and xfs promise.
    Zeros,
    /// Some sectors hold garbage.
    Garbage,
}

/// How names and lengths reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// A prefix of all pending changes survives a power loss.
    Journal,
    /// Each change survives by its own draw.
    Loose,
}

/// How much of the unsynced rest survives a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Per power loss one of 0, 300, 700, 950 and 1,000 permille.
    Drawn,
    /// Always this many of 1,000 sectors.
    Permille(u32),
}

/// Time an operation takes. Simulated timers tick in milliseconds; what is below is drawn up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Each operation.
    pub base_us: u64,
    /// In addition for each MiB moved.
    pub per_mib_us: u64,
    /// In addition this much times the cube of an even number in 0..1: mostly little, rarely all.
    pub tail_us: u64,
}

/// How often operations and polls step back for others. The runtime's queue alone shows one interleaving per seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yields {
    /// Per seed one of never, 2, 4 and 16.
    Drawn,
    /// Never.
    Never,
    /// One in this many.
    OneIn(u32),
}

impl Yields {
    /// One in how many; 0 never.
    pub(crate) fn one_in(self, seed: u64) -> u32 {
        match self {
            Self::Never => 0,
            Self::OneIn(count) => count,
            Self::Drawn => {
                Prng::new(mix(seed, 0x7969)).pick(&[0, 2, 4, 16]).copied().unwrap_or_default()
            }
        }
    }
}

/// What becomes of the tasks of a dead boot. Either way they are never polled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadTasks {
    /// Dropped at once (lane 1).
    Abort,
    /// Kept until their runtime goes: dropping them early would close sockets, which a power loss does not.
    Hold,
}

/// Whether a source of disorder is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seeded {
    /// Production behaviour.
    Off,
    /// A seeded quarter of the sites is active.
    On,
}

/// What goes into the trace hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceLevel {
    /// Events, crashes and boots.
    Events,
    /// The same and every disk operation.
    Disk,
}

/// Clocks of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockConfig {
    /// How much faster than the world its clocks run, in millionths; within ±500.
    pub drift_ppm: i32,
    /// How far its wall clock is off, in milliseconds.
    pub offset_ms: i64,
    /// Wall time at the start of the world, in milliseconds since 1970.
    pub epoch_ms: u64,
}

impl Default for ClockConfig {
    /// Exact, 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self { drift_ppm: 0, offset_ms: 0, epoch_ms: 1_767_225_600_000 }
    }
}
