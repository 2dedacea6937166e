//! When a boot ends, and which sectors, names and lengths are there afterwards.

use std::path::Path;
use std::time::Duration;

use super::config::{Metadata, SectorWrites, SimConfig, Survival, UnwrittenSpace};
use super::inode::{Inode, SectorFate, Survivors};
use super::names::Tree;
use super::num::{below, mix};

/// How a boot ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashKind {
    /// The process dies; everything it wrote stays, in the page cache too.
    Kill,
    /// The machine loses power; what was not synced is at the mercy of the draws.
    Power,
}

/// When a boot ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// At the n-th completion of a disk operation from now, 1 being the next. Whether that operation took effect is
    /// drawn; its caller never hears.
    Completion(u64),
    /// The same for the n-th `sync_data` alone.
    Sync(u64),
    /// While the n-th `sync_data` from now is under way, counting those alone that have data for two or more sectors of
    /// a file whose name ends so: what a torn write needs. The sync takes no effect.
    Unsynced(&'static str, u64),
    /// At this world time: noticed by the next disk operation, or by whoever waits in
    /// [`SimHost::crashed`](super::SimHost::crashed) or [`SimHost::until_crash`](super::SimHost::until_crash).
    Time(Duration),
    /// At the n-th hit of this mark from now, 1 being the next.
    Mark(&'static str, u64),
}

impl CrashPoint {
    /// How many torn syncs of the file at `path` it still waits for.
    pub(super) fn syncs_left(&mut self, path: &Path) -> Option<&mut u64> {
        match self {
            Self::Unsynced(suffix, left) => path.to_str()?.ends_with(*suffix).then_some(left),
            Self::Completion(_) | Self::Sync(_) | Self::Time(_) | Self::Mark(..) => None,
        }
    }
}

/// A crash point that waits for its moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArmedCrash {
    pub(crate) point: CrashPoint,
    pub(crate) kind: CrashKind,
}

/// Decides by draws keyed with the crash, the file and the sector.
struct PowerDraws<'a> {
    key: u64,
    permille: u64,
    torn: SectorWrites,
    lengths: &'a Lengths,
}

/// Which changes of names and lengths survive.
#[derive(Debug)]
struct Lengths {
    key: u64,
    permille: u64,
    metadata: Metadata,
    /// In journal mode: the first change that is lost.
    cut: u64,
}

impl Lengths {
    fn survives(&self, seq: u64) -> bool {
        match self.metadata {
            Metadata::Journal => seq < self.cut,
            Metadata::Loose => below(mix(self.key, seq), 1_000) < self.permille,
        }
    }
}

impl Survivors for PowerDraws<'_> {
    fn sector(&mut self, number: u64, versions: usize) -> SectorFate {
        let draw = mix(self.key, number);
        if self.permille < 1_000 && below(draw, 1_000) >= self.permille {
            return SectorFate::Version(0);
        }
        let draw = mix(draw, 1);
        if self.torn == SectorWrites::Torn && self.permille < 1_000 && below(draw, 8) == 0 {
            return SectorFate::Garbage(draw);
        }
        if self.permille == 1_000 {
            return SectorFate::Version(versions);
        }
        SectorFate::Version(pick_version(mix(draw, 2), versions))
    }

    fn length(&mut self, seq: u64) -> bool {
        self.lengths.survives(seq)
    }
}

/// Half the time the newest version, else any but the old content.
fn pick_version(draw: u64, versions: usize) -> usize {
    if draw & 1 == 0 {
        return versions;
    }
    let any = below(mix(draw, 3), super::num::to_u64(versions));
    super::num::to_usize(any) + 1
}

/// Decides for a failed sync: half of its sectors got there.
pub(crate) struct HalfLands {
    /// Key of the operation.
    pub(crate) key: u64,
}

impl Survivors for HalfLands {
    fn sector(&mut self, number: u64, versions: usize) -> SectorFate {
        SectorFate::Version(if mix(self.key, number) & 1 == 0 { 0 } else { versions })
    }

    fn length(&mut self, _seq: u64) -> bool {
        false
    }
}

/// Takes the power away from all files and names.
pub(crate) fn lose_power(tree: &mut Tree, config: &SimConfig, key: u64) {
    let permille = match config.survival {
        Survival::Permille(permille) => u64::from(permille.min(1_000)),
        Survival::Drawn => *[0, 300, 700, 950, 1_000]
            .get(super::num::to_usize(below(mix(key, 1), 5)))
            .unwrap_or(&0),
    };
    let metadata_key = mix(key, 2);
    let lengths = Lengths {
        key: metadata_key,
        permille,
        metadata: config.metadata,
        cut: journal_cut(tree, permille, metadata_key),
    };
    for file in tree.files_mut() {
        let file_key = mix(mix(key, 3), file.key);
        let mut draws =
            PowerDraws { key: file_key, permille, torn: config.sectors, lengths: &lengths };
        file.lose_power(config.sector_bytes, &mut draws);
        if config.unwritten == UnwrittenSpace::Garbage {
            soil_unwritten(file, config.sector_bytes, mix(file_key, 4));
        }
    }
    tree.lose_power(|seq| lengths.survives(seq));
}

fn journal_cut(tree: &Tree, permille: u64, key: u64) -> u64 {
    let mut pending: Vec<u64> = tree.pending().collect();
    pending.extend(tree.files().flat_map(Inode::pending_lengths));
    pending.sort_unstable();
    let count = super::num::to_u64(pending.len());
    let kept = match permille {
        0 => 0,
        1_000 => count,
        _ => below(key, count + 1),
    };
    pending.get(super::num::to_usize(kept)).copied().unwrap_or(u64::MAX)
}

/// Up to four sectors of allocated but unwritten space hold what somebody wrote there before; one of them is the
/// first, where a log would go on.
fn soil_unwritten(file: &mut Inode, sector_bytes: u32, key: u64) {
    let sectors = file.unwritten_sectors(sector_bytes);
    for number in 0..below(key, 5) {
        let draw = mix(key, number + 1);
        let place = if number == 0 { 0 } else { below(draw, super::num::to_u64(sectors.len())) };
        if let Some(sector) = sectors.get(super::num::to_usize(place)) {
            file.soil(*sector, sector_bytes, draw);
        }
    }
}

#[cfg(test)]
mod tests;
