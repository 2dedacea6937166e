//! Operations of both worlds as data.

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use sierradb_io::{OpenMode, OpenOptions};

/// How many files and locks are held at a time.
pub(crate) const SLOTS: usize = 4;

/// A name: one of two directories, and perhaps one of four names in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) dir: u8,
    pub(crate) name: Option<u8>,
}

impl Place {
    pub(crate) fn path(self, root: &Path) -> PathBuf {
        let dir = root.join(format!("d{}", self.dir));
        match self.name {
            Some(name) => dir.join(format!("n{name}")),
            None => dir,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Open { slot: usize, place: Place, options: OpenOptions },
    Close { slot: usize },
    Read { slot: usize, offset: u64, len: usize },
    TryRead { slot: usize, offset: u64, len: usize },
    Write { slot: usize, offset: u64, sizes: Vec<usize>, fill: u8 },
    Sync { slot: usize },
    DurableWrite { slot: usize, offset: u64, sizes: Vec<usize>, fill: u8 },
    Allocate { slot: usize, len: u64 },
    Zero { slot: usize, offset: u64, len: u64 },
    SetLen { slot: usize, len: u64 },
    Len { slot: usize },
    Rename { from: Place, to: Place },
    Remove { place: Place },
    CreateDir { place: Place },
    SyncDir { place: Place },
    List { place: Place },
    Lock { slot: usize, place: Place },
    Unlock { slot: usize },
    Space { place: Place },
}

fn slot() -> impl Strategy<Value = usize> {
    0..SLOTS
}

fn place() -> impl Strategy<Value = Place> {
    let name = prop_oneof![9 => (0..4_u8).prop_map(Some), 1 => Just(None)];
    (0..2_u8, name).prop_map(|(dir, name)| Place { dir, name })
}

fn dir() -> impl Strategy<Value = Place> {
    let name = prop_oneof![1 => (0..4_u8).prop_map(Some), 5 => Just(None)];
    (0..2_u8, name).prop_map(|(dir, name)| Place { dir, name })
}

/// Byte positions, half of them near the edge of a sector or page.
fn position() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_000_u64,
        (0..40_u64, 0..3_u64).prop_map(|(sector, past)| (sector * 512 + past).saturating_sub(1)),
    ]
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![0..600_usize, 0..9_000_usize, Just(512), Just(4_096)]
}

fn options() -> impl Strategy<Value = OpenOptions> {
    let mode = prop_oneof![
        2 => Just(OpenMode::Existing),
        1 => Just(OpenMode::CreateNew),
        4 => Just(OpenMode::OpenOrCreate),
    ];
    (mode, prop::bool::weighted(0.8), prop::bool::weighted(0.1))
        .prop_map(|(mode, write, direct)| OpenOptions { mode, write, direct })
}

fn zero_len() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..9_000_u64, 1 => Just((1 << 20) + 1)]
}

// Syncs are rare: on a healthy machine nobody sees them, and a real one takes milliseconds.
fn on_a_file() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (slot(), position(), size()).prop_map(|(slot, offset, len)| Op::Read { slot, offset, len }),
        10 => (slot(), position(), size())
            .prop_map(|(slot, offset, len)| Op::TryRead { slot, offset, len }),
        40 => (slot(), position(), vec(size(), 0..4), 1..255_u8)
            .prop_map(|(slot, offset, sizes, fill)| Op::Write { slot, offset, sizes, fill }),
        1 => slot().prop_map(|slot| Op::Sync { slot }),
        1 => (slot(), position(), vec(size(), 0..4), 1..255_u8)
            .prop_map(|(slot, offset, sizes, fill)| Op::DurableWrite { slot, offset, sizes, fill }),
        5 => (slot(), 0..70_000_u64).prop_map(|(slot, len)| Op::Allocate { slot, len }),
        10 => (slot(), position(), zero_len()).prop_map(|(slot, offset, len)| Op::Zero { slot, offset, len }),
        10 => (slot(), position()).prop_map(|(slot, len)| Op::SetLen { slot, len }),
        5 => slot().prop_map(|slot| Op::Len { slot }),
        // Shrink, then grow over the old place.
        5 => (slot(), 0..4_000_u64).prop_map(|(slot, len)| Op::SetLen { slot, len }),
    ]
}

fn on_names() -> impl Strategy<Value = Op> {
    prop_oneof![
        40 => (slot(), place(), options())
            .prop_map(|(slot, place, options)| Op::Open { slot, place, options }),
        5 => slot().prop_map(|slot| Op::Close { slot }),
        15 => (place(), place()).prop_map(|(from, to)| Op::Rename { from, to }),
        10 => place().prop_map(|place| Op::Remove { place }),
        10 => dir().prop_map(|place| Op::CreateDir { place }),
        1 => dir().prop_map(|place| Op::SyncDir { place }),
        10 => dir().prop_map(|place| Op::List { place }),
        10 => (slot(), place()).prop_map(|(slot, place)| Op::Lock { slot, place }),
        5 => slot().prop_map(|slot| Op::Unlock { slot }),
        5 => dir().prop_map(|place| Op::Space { place }),
    ]
}

/// 1 to 200 operations; most lists begin with both directories.
pub(crate) fn op_list() -> impl Strategy<Value = Vec<Op>> {
    let some = vec(prop_oneof![3 => on_a_file(), 2 => on_names()], 1..198);
    (prop::bool::weighted(0.9), some).prop_map(|(with_dirs, mut ops)| {
        if with_dirs {
            for dir in 0..2 {
                ops.insert(0, Op::CreateDir { place: Place { dir, name: None } });
            }
        }
        ops
    })
}
