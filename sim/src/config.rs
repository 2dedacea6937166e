//! One seed, expanded: sizes, machine, faults. Everything else is drawn from keyed streams while the run goes on.

use std::collections::BTreeSet;

use sierradb_io::Prng;
use sierradb_io::sim::{SectorWrites, SimConfig, Survival};

/// Which persistent trouble a run of lane 1 has beside crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// None: crashes, kills, slow disks and odd schedules alone.
    Crashes,
    /// Index and checkpoint files are damaged, cut or removed while the host is down.
    Derived,
    /// Reads, writes and syncs fail.
    Errors,
    /// The disk runs full.
    Full,
    /// Bits of segments rot while the host is down: with one copy, refusals are allowed, wrong answers are not.
    Rot,
    /// A sector that is being written when the power goes may hold garbage, also where it held synced bytes: as after
    /// rot, refusals are allowed.
    Garbage,
    /// Some syncs lie: only inventions count.
    Lying,
}

impl Trouble {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crashes => "crashes",
            Self::Derived => "derived",
            Self::Errors => "errors",
            Self::Full => "full",
            Self::Rot => "rot",
            Self::Garbage => "garbage",
            Self::Lying => "lying",
        }
    }
}

/// A run of lane 1.
#[derive(Debug, Clone)]
pub struct DiskSpec {
    /// The seed it was drawn from.
    pub seed: u64,
    /// What goes wrong beside crashes.
    pub trouble: Trouble,
    /// Boots that end in a crash or a close.
    pub cycles: u32,
    /// Partitions of the database.
    pub partitions: u16,
    /// Buckets; divide the partitions.
    pub buckets: u16,
    /// Size limit of a segment.
    pub segment_size_bytes: u64,
    /// Appends in work per bucket.
    pub append_buffer_count: usize,
    /// Whether space is made ready as zeros rather than reserved.
    pub is_zeroed: bool,
    /// Bytes of the block cache.
    pub cache_capacity_bytes: u64,
    /// Bytes of a block of it.
    pub cache_block_bytes: usize,
    /// Writer threads.
    pub write_threads: usize,
    /// Clients at once.
    pub clients: u32,
    /// Most operations of a client per boot.
    pub operations: u32,
    /// Partition keys in use.
    pub keys: u32,
    /// Most streams of a key.
    pub streams: u32,
    /// Largest usual payload.
    pub payload_bytes: u64,
    /// Most events of a usual transaction.
    pub events: u64,
    /// The machine.
    pub machine: SimConfig,
}

/// Largest usual payload, and most events of a usual transaction. Some fill segments with many small events, some with
/// few large ones.
const LOADS: [(u64, u64); 8] =
    [(16, 3), (40, 40), (200, 1), (200, 10), (600, 3), (1_500, 2), (4_200, 1), (4_200, 3)];

impl DiskSpec {
    /// The run of `seed`, with these deliberate bugs switched on.
    pub fn new(seed: u64, mutants: &BTreeSet<String>) -> Self {
        let mut draw = Prng::new(seed ^ 0x6c61_6e65_0000_0001);
        let trouble = match draw.below(100) {
            0..37 => Trouble::Crashes,
            37..40 | 93.. => Trouble::Lying,
            40..53 => Trouble::Derived,
            53..71 => Trouble::Errors,
            71..79 => Trouble::Full,
            79..91 => Trouble::Rot,
            91..93 => Trouble::Garbage,
        };
        let buckets = pick(&mut draw, &[1, 1, 2, 4]);
        let partitions = buckets * pick(&mut draw, &[1, 2, 3]);
        let mut machine = SimConfig::swarm(seed);
        machine.mutants = mutants.clone();
        machine.capacity_bytes = 1 << 30;
        machine.survival = pick(
            &mut draw,
            &[
                Survival::Drawn,
                Survival::Permille(300),
                Survival::Permille(600),
                Survival::Permille(900),
            ],
        );
        if trouble == Trouble::Lying && draw.chance(7, 8) {
            machine.survival = Survival::Permille(0);
        }
        machine.sectors = match trouble {
            Trouble::Garbage => SectorWrites::Torn,
            _ => SectorWrites::Atomic,
        };
        let (payload_bytes, events) = pick(&mut draw, &LOADS);
        Self {
            seed,
            trouble,
            cycles: pick(&mut draw, &[8, 16, 32]),
            partitions,
            buckets,
            segment_size_bytes: pick(&mut draw, segment_sizes(trouble)),
            append_buffer_count: pick(&mut draw, &[2, 16, 1_000]),
            is_zeroed: draw.chance(1, 2),
            cache_capacity_bytes: pick(&mut draw, &[1 << 16, 1 << 20, 256 << 20]),
            cache_block_bytes: pick(&mut draw, &[4 << 10, 4 << 10, 16 << 10, 64 << 10]),
            write_threads: pick(&mut draw, &[1, 2]),
            clients: pick(&mut draw, &[1, 3, 5, 10]),
            operations: pick(&mut draw, &[2, 4, 9]),
            keys: pick(&mut draw, &[1, 3, 8]),
            streams: pick(&mut draw, &[1, 3]),
            payload_bytes,
            events,
            machine,
        }
    }
}

/// Size limits of segments. What a start claims beyond its log shows only while nothing is sealed: runs with lying
/// disks, which look for that, mostly have large ones.
fn segment_sizes(trouble: Trouble) -> &'static [u64] {
    match trouble {
        Trouble::Lying => &[64 << 10, 256 << 10, 256 << 10, 256 << 10],
        Trouble::Crashes
        | Trouble::Derived
        | Trouble::Errors
        | Trouble::Full
        | Trouble::Rot
        | Trouble::Garbage => &[64 << 10, 64 << 10, 64 << 10, 128 << 10, 256 << 10],
    }
}

fn pick<T: Copy>(draw: &mut Prng, items: &[T]) -> T {
    *draw.pick(items).expect("a choice has items")
}
