//! Damage and failure as data: what may be injected, when it strikes, and how likely it is by chance.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::num::mix;
use crate::{DiskOp, Prng};

/// Something that goes wrong on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An operation to come fails or misbehaves.
    On {
        /// Which kind of operation.
        op: DiskOp,
        /// On which files.
        target: Target,
        /// How many such operations pass first; 0 strikes the next.
        after: u64,
        /// What happens to it.
        fault: OpFault,
    },
    /// Bits of one durable sector flip, for good.
    BitRot {
        /// File.
        path: PathBuf,
        /// A byte of the sector.
        offset: u64,
        /// How many bits, 1 to 8.
        bits: u32,
    },
    /// Reads of the 512 bytes around `offset` fail with EIO until they are written again.
    LatentSector {
        /// File.
        path: PathBuf,
        /// A byte of the sector.
        offset: u64,
    },
    /// Something else fills the disk: at most `free_bytes` are left until [`Fault::Free`].
    Fill {
        /// What is left.
        free_bytes: u64,
    },
    /// The filling is gone, and with it the memory of having been full.
    Free,
    /// No operation completes for this long.
    Stall(Duration),
    /// Operations take `factor` times as long (at least that many milliseconds) for a while.
    Slow {
        /// How much slower.
        factor: u32,
        /// For how long.
        duration: Duration,
    },
}

/// Which files a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All.
    Any,
    /// The file opened (or named by the operation) as this path.
    Path(PathBuf),
    /// All whose path ends so, as `.seg`.
    Suffix(String),
}

impl Target {
    /// Whether `path` is meant.
    pub fn matches(&self, path: &Path) -> bool {
        match self {
            Self::Any => true,
            Self::Path(wanted) => wanted == path,
            Self::Suffix(suffix) => {
                path.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
            }
        }
    }
}

/// What happens to one operation. A fault that makes no sense for its operation does nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpFault {
    /// EIO. A write is applied in part and poisons the file; a failed sync marks its pages clean, poisons the file,
    /// and the next sync would say `Ok`.
    Eio,
    /// This error number, as 24 (EMFILE) or 13 (EACCES) of an open; nothing is applied.
    Errno(i32),
    /// No space, though there was some; a write may be applied in part.
    NoSpace,
    /// A write is acknowledged and synced and never reaches the device.
    Phantom,
    /// A write reaches another place of the device; the place meant keeps its old bytes.
    Misdirected {
        /// The file struck; the written one if `None`.
        path: Option<PathBuf>,
        /// Where in it.
        offset: u64,
    },
    /// A sync says `Ok` and does nothing; what it should have written waits for the next one.
    LyingFlush,
    /// A read finds that its first sector is unreadable from now on.
    LatentSector,
    /// One to eight bits of a durable sector in the range rot.
    BitRot,
    /// The operation takes this much longer.
    Stall(Duration),
}

impl OpFault {
    /// Its class, for counters.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Eio => "eio",
            Self::Errno(_) => "errno",
            Self::NoSpace => "no-space",
            Self::Phantom => "phantom",
            Self::Misdirected { .. } => "misdirected",
            Self::LyingFlush => "lying-flush",
            Self::LatentSector => "latent-sector",
            Self::BitRot => "bit-rot",
            Self::Stall(_) => "stall",
        }
    }

    /// The error number it makes an operation fail with, if it does.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Self::Eio => Some(Errno::IO),
            Self::Errno(errno) => Some(Errno::from_raw_os_error(*errno)),
            Self::NoSpace => Some(Errno::NOSPC),
            Self::Phantom
            | Self::Misdirected { .. }
            | Self::LyingFlush
            | Self::LatentSector
            | Self::BitRot
            | Self::Stall(_) => None,
        }
    }
}

/// A fault that waits for its operation.
#[derive(Debug, Clone)]
pub(crate) struct ArmedFault {
    pub(crate) op: DiskOp,
    pub(crate) target: Target,
    pub(crate) after: u64,
    pub(crate) fault: OpFault,
}

/// How many of a million operations suffer each fault by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// Syncs that fail.
    pub sync_eio: u32,
    /// Reads that find an unreadable sector.
    pub read_latent: u32,
    /// Writes that fail in part.
    pub write_eio: u32,
    /// Reads before which bits of their range rot.
    pub bit_rot: u32,
    /// Writes that land elsewhere in their file.
    pub misdirected: u32,
    /// Writes that never land.
    pub phantom: u32,
    /// Syncs that lie.
    pub lying_flush: u32,
    /// Writes, allocations, creations and renames that find no space.
    pub no_space: u32,
    /// Opens that fail with EIO, EMFILE or EACCES.
    pub open_error: u32,
    /// Listings that fail with EIO.
    pub list_error: u32,
    /// Renames that fail with EIO.
    pub rename_error: u32,
    /// Operations that stand still for 0.2 to 5 s.
    pub stall: u32,
}

impl FaultRates {
    /// Each class but lying flushes on with probability one half, at a drawn rate of up to 2 %.
    pub fn drawn(seed: u64) -> Self {
        let draw = |class: u64| {
            let mut prng = Prng::new(mix(mix(seed, 0x0066_6c74), class));
            let rate = prng.between(100, 20_000);
            if prng.chance(1, 2) { u32::try_from(rate).unwrap_or(0) } else { 0 }
        };
        Self {
            sync_eio: draw(1),
            read_latent: draw(2),
            write_eio: draw(3),
            bit_rot: draw(4),
            misdirected: draw(5),
            phantom: draw(6),
            lying_flush: 0,
            no_space: draw(7),
            open_error: draw(8),
            list_error: draw(9),
            rename_error: draw(10),
            stall: draw(11),
        }
    }

    /// Whether every rate is zero.
    pub fn is_quiet(&self) -> bool {
        *self == Self::default()
    }

    /// The fault that strikes operation `op`, if one does. Each class has its own draw.
    pub(crate) fn strike(&self, op: DiskOp, key: u64) -> Option<OpFault> {
        let hit = |class: u64, rate: u32| {
            rate > 0 && super::num::below(mix(key, 0x100 + class), 1_000_000) < u64::from(rate)
        };
        if hit(11, self.stall) {
            let ms = 200 + super::num::below(mix(key, 0x200), 4_801);
            return Some(OpFault::Stall(Duration::from_millis(ms)));
        }
        match op {
            DiskOp::Sync if hit(1, self.sync_eio) => Some(OpFault::Eio),
            DiskOp::Sync if hit(12, self.lying_flush) => Some(OpFault::LyingFlush),
            DiskOp::Read if hit(2, self.read_latent) => Some(OpFault::LatentSector),
            DiskOp::Read if hit(4, self.bit_rot) => Some(OpFault::BitRot),
            DiskOp::Write if hit(3, self.write_eio) => Some(OpFault::Eio),
            DiskOp::Write if hit(5, self.misdirected) => {
                let offset = super::num::below(mix(key, 0x201), 1 << 20) / 512 * 512;
                Some(OpFault::Misdirected { path: None, offset })
            }
            DiskOp::Write if hit(6, self.phantom) => Some(OpFault::Phantom),
            DiskOp::Write | DiskOp::Allocate | DiskOp::Open | DiskOp::Rename
                if hit(7, self.no_space) =>
            {
                Some(OpFault::NoSpace)
            }
            DiskOp::Open if hit(8, self.open_error) => {
                let errno = *[5, 24, 13]
                    .get(super::num::to_usize(super::num::below(mix(key, 0x202), 3)))
                    .unwrap_or(&5);
                Some(OpFault::Errno(errno))
            }
            DiskOp::List if hit(9, self.list_error) => Some(OpFault::Eio),
            DiskOp::Rename if hit(10, self.rename_error) => Some(OpFault::Eio),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
