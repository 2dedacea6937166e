//! What goes wrong in a run of lane 1: where boots end, which operations fail, which bytes are damaged meanwhile.

use std::path::Path;

use sierradb_io::DiskOp;
use sierradb_io::sim::{CrashKind, CrashPoint, Fault, OpFault, Target};

use super::disk::Run;
use crate::config::Trouble;

/// Marks at which a crash is worth trying.
const CRASH_MARKS: [&str; 6] = [
    "segment.roll",
    "segment.sealed",
    "recovery.torn_tail_zeroed",
    "recovery.index_rebuilt",
    "checkpoint.extended",
    "append.group_commit",
];

/// Bytes of a page of an index file, and of the largest sector.
const PAGE_BYTES: u64 = 4 << 10;

/// Bytes of a frame's header.
const FRAME_HEADER_BYTES: u64 = 64;

/// Syncs of a boot that may lie, one after the other.
const LIES: u64 = 40;

impl Run<'_> {
    /// Chooses how the boot that begins now is to end, and whether its store is closed before.
    pub(super) fn arm_end(&mut self) -> (CrashKind, bool) {
        // A close notes how far the log goes; the power cut behind it shows what the disk had lied about.
        if self.spec.trouble == Trouble::Lying && self.draw.chance(1, 2) {
            return (CrashKind::Power, true);
        }
        let kind = if self.draw.chance(1, 4) { CrashKind::Kill } else { CrashKind::Power };
        self.arm_crash(kind);
        (kind, self.draw.chance(1, 4))
    }

    fn arm_crash(&mut self, kind: CrashKind) {
        let draw = &mut self.draw;
        let far = draw.below(5);
        let point = match draw.below(20) {
            // Anywhere, also inside the start.
            0..2 => CrashPoint::Completion(draw.between(1, 60)),
            2..5 => CrashPoint::Completion(60 + draw.below(60 << far)),
            5..8 => CrashPoint::Sync(draw.between(2, 30)),
            8..10 => {
                let mark = draw.pick(&CRASH_MARKS).copied().unwrap_or("segment.roll");
                CrashPoint::Mark(mark, draw.between(1, 3))
            }
            10..16 => {
                // In the middle of a batch: what a torn end needs.
                let nth = draw.between(1, 4);
                self.world.host.crash_at(CrashPoint::Unsynced(".seg", nth), CrashKind::Power);
                return;
            }
            _ => return,
        };
        self.world.host.crash_at(point, kind);
    }

    /// Faults of operations to come.
    pub(super) fn inject_errors(&mut self, closes: bool) {
        match self.spec.trouble {
            Trouble::Errors => {
                let choice = self.failing_operation();
                self.fail(choice);
                self.fail((DiskOp::Sync, OpFault::Eio, ".seg"));
            }
            // A log that lost more than a checkpoint knows of is damaged for good: mostly it is to know.
            Trouble::Lying if closes || self.draw.chance(1, 4) => self.lie(),
            Trouble::Lying
            | Trouble::Crashes
            | Trouble::Derived
            | Trouble::Full
            | Trouble::Rot
            | Trouble::Garbage => {}
        }
    }

    fn failing_operation(&mut self) -> (DiskOp, OpFault, &'static str) {
        let draw = &mut self.draw;
        let (op, fault) = match draw.below(6) {
            0 => (DiskOp::Sync, OpFault::Eio),
            1 => (DiskOp::Write, OpFault::Eio),
            2 => (DiskOp::Open, OpFault::Errno(24)),
            3 | 4 => (DiskOp::Write, OpFault::NoSpace),
            _ => (DiskOp::Allocate, OpFault::NoSpace),
        };
        let targets = [".seg", ".seg", ".seg", ".ckp", "state", ".idx.tmp"];
        (op, fault, draw.pick(&targets).unwrap_or(&".seg"))
    }

    /// In two boots of three such an operation fails sooner or later.
    fn fail(&mut self, (op, fault, suffix): (DiskOp, OpFault, &str)) {
        let far = self.draw.below(4);
        let after = self.draw.below(4 << far);
        if self.draw.chance(2, 3) {
            self.strike((op, fault), (suffix, after));
        }
    }

    /// From some sync on, all of them are forgotten.
    fn lie(&mut self) {
        let after = self.draw.below(8);
        if self.draw.chance(2, 3) {
            let count = if self.draw.chance(1, 4) { 1 } else { LIES };
            for _ in 0..count {
                self.strike((DiskOp::Sync, OpFault::LyingFlush), (".seg", after));
            }
        }
    }

    fn strike(&self, (op, fault): (DiskOp, OpFault), (suffix, after): (&str, u64)) {
        let target = Target::Suffix(suffix.to_owned());
        self.world.host.inject(Fault::On { op, target, after, fault });
    }

    /// Damage done while the host is down.
    pub(super) fn damage_files(&mut self) {
        match self.spec.trouble {
            Trouble::Derived => self.damage_derived(),
            Trouble::Rot if self.draw.chance(1, 2) => self.rot(),
            Trouble::Crashes
            | Trouble::Errors
            | Trouble::Full
            | Trouble::Rot
            | Trouble::Garbage
            | Trouble::Lying => {}
        }
    }

    /// Index and checkpoint files may be lost or damaged without harm.
    fn damage_derived(&mut self) {
        let is_derived =
            |path: &Path| path.extension().is_some_and(|ext| ext == "idx" || ext == "ckp");
        for (path, len) in self.world.host.files() {
            if !is_derived(&path) || !self.draw.chance(2, 5) || len == 0 {
                continue;
            }
            match self.draw.below(8) {
                0 => {
                    self.world.host.remove_file(&path);
                }
                1 => {
                    let len = self.draw.below(len);
                    self.world.host.truncate_file(&path, len);
                }
                2 => {
                    self.flip(&path, 0..len);
                }
                _ => self.damage_page(&path, len),
            }
        }
    }

    /// A page loses a write, gets that of another page, or rots where it holds something.
    fn damage_page(&mut self, path: &Path, len: u64) {
        let pages = len / PAGE_BYTES;
        let Some(image) = self.world.host.durable_image(path).filter(|_| pages > 0) else { return };
        let mut page_at = || {
            let offset = self.draw.below(pages) * PAGE_BYTES;
            let start = usize::try_from(offset).unwrap_or(0);
            (offset, image.get(start..start + 4_096).unwrap_or_default())
        };
        let ((offset, page), (_, other)) = (page_at(), page_at());
        match self.draw.below(4) {
            0 => {
                self.world.host.overwrite(path, offset, &[0; 512]);
            }
            1 => {
                self.world.host.overwrite(path, offset, other);
            }
            _ => {
                let used = page.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
                self.flip(path, offset..offset + used as u64);
            }
        }
    }

    /// Up to four bits of a range flip.
    fn flip(&mut self, path: &Path, range: std::ops::Range<u64>) -> bool {
        let mut is_done = false;
        let count = if range.end - range.start == 1 { 1 } else { self.draw.between(1, 4) };
        for _ in 0..count {
            let offset = range.start + self.draw.below(range.end - range.start);
            let bit = u8::try_from(self.draw.below(8)).unwrap_or(0);
            is_done |= self.world.host.flip_bit(path, offset, bit);
        }
        is_done
    }

    /// Bits of a durable frame flip, or one of its header: half of the time in one of the last three.
    fn rot(&mut self) {
        let (path, place) = {
            let ghost = self.world.ghost.borrow();
            let frames = ghost.frames();
            let tail = frames.get(frames.len().saturating_sub(3)..).unwrap_or_default();
            let choice = if self.draw.chance(1, 2) { tail } else { frames };
            let Some(place) = self.draw.pick(choice) else { return };
            let Some(path) = ghost.segment_path(place) else { return };
            (path, place.clone())
        };
        let is_done = if self.draw.chance(1, 2) {
            let offset = place.offset + self.draw.below(FRAME_HEADER_BYTES);
            self.flip(&path, offset..offset + 1)
        } else {
            self.flip(&path, place.offset..place.offset + place.len)
        };
        if is_done {
            self.world.damage.borrow_mut().done(place.bucket);
        }
    }
}
