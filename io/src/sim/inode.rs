//! One file: what processes see, what the device holds, and the changes between the two.
//!
//! `current` is the page cache's view; `durable` is what the device holds; `pending` are the changes that no sync
//! has settled, in order. Invariant: `durable` with all of `pending` applied is `current`, except on the pages in
//! `lost`, where the cache shows what the device never got.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::image::{Image, PAGE, PAGE_BYTES};
use super::num::{to_u64, to_usize};
use crate::limits::SIM_PENDING_CHANGES;

/// A file.
#[derive(Debug, Default)]
pub(crate) struct Inode {
    /// Names this file in draws: a hash of the path it was created at and how often that path was.
    pub(crate) key: u64,
    /// Operations so far.
    pub(crate) ordinal: u64,
    /// Open handles of the running boot.
    pub(crate) handles: u32,
    /// A write or sync of the running boot failed.
    pub(crate) poisoned: bool,
    current: Image,
    durable: Image,
    pending: VecDeque<Change>,
    lost: BTreeSet<u64>,
    bad: BTreeSet<u64>,
    reserved_bytes: u64,
    allocated: Vec<Range<u64>>,
}

/// One change that is not durable yet.
#[derive(Debug)]
struct Change {
    seq: u64,
    what: What,
    /// The length after it, if it changed the length.
    len: Option<u64>,
    reach: Reach,
}

#[derive(Debug)]
enum What {
    Write { offset: u64, data: Bytes },
    Zero { offset: u64, len: u64 },
    Length,
}

/// How far a write gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To the device, with the next sync.
    Device,
    /// To the cache only; the device acknowledges it and forgets it.
    Cache,
}

/// What becomes of one sector that has unsynced versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectorFate {
    /// The first n of its changes are there; 0 is the old content.
    Version(usize),
    /// Bytes nobody wrote, from this seed.
    Garbage(u64),
}

/// Decides what survives.
pub(crate) trait Survivors {
    /// The fate of sector `number` of the file, which has `versions` unsynced versions.
    fn sector(&mut self, number: u64, versions: usize) -> SectorFate;
    /// Whether the change of length number `seq` survives.
    fn length(&mut self, seq: u64) -> bool;
}

impl Change {
    fn range(&self) -> Range<u64> {
        match &self.what {
            What::Write { offset, data } => *offset..*offset + to_u64(data.len()),
            What::Zero { offset, len } => *offset..offset.saturating_add(*len),
            What::Length => 0..0,
        }
    }

    fn touches(&self, part: &Range<u64>) -> bool {
        let own = self.range();
        self.reach == Reach::Device && own.start < part.end && part.start < own.end
    }

    /// Writes this change's bytes of `start..start + out.len()` over `out`.
    fn overlay(&self, start: u64, out: &mut [u8]) {
        let own = self.range();
        let end = start + to_u64(out.len());
        let (from, to) = (own.start.max(start), own.end.min(end));
        if from >= to {
            return;
        }
        let Some(out) = out.get_mut(to_usize(from - start)..to_usize(to - start)) else { return };
        match &self.what {
            What::Write { offset, data } => {
                if let Some(data) = data.get(to_usize(from - offset)..to_usize(to - offset)) {
                    out.copy_from_slice(data);
                }
            }
            What::Zero { .. } => out.fill(0),
            What::Length => {}
        }
    }
}

/// What the page cache does.
impl Inode {
    /// An empty file.
    pub(crate) fn new(key: u64) -> Self {
        Self { key, ..Self::default() }
    }

    /// Length as processes see it.
    pub(crate) fn len(&self) -> u64 {
        self.current.len()
    }

    /// Bytes of disk it holds.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.reserved_bytes
    }

    /// Content as processes see it.
    pub(crate) fn current(&self) -> &Image {
        &self.current
    }

    /// Content of the device, synced or not lost.
    pub(crate) fn durable(&self) -> &Image {
        &self.durable
    }

    /// Whether every change is durable and the cache shows what the device holds.
    pub(crate) fn is_clean(&self) -> bool {
        self.pending.is_empty() && self.lost.is_empty()
    }

    /// Copies what is there from `offset`; returns how much.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let there = to_usize(self.current.len().saturating_sub(offset)).min(buf.len());
        if let Some(buf) = buf.get_mut(..there) {
            self.current.read(offset, buf);
        }
        there
    }

    pub(crate) fn write(&mut self, seq: u64, offset: u64, data: Bytes, reach: Reach) {
        if data.is_empty() {
            return;
        }
        let end = offset + to_u64(data.len());
        self.current.write(offset, &data);
        let len = self.grow(end);
        self.heal(offset..end);
        self.push(Change { seq, what: What::Write { offset, data }, len, reach });
    }

    pub(crate) fn zero(&mut self, seq: u64, offset: u64, len: u64) {
        if len == 0 {
            return;
        }
        let end = offset.saturating_add(len);
        self.current.zero(offset, len);
        let grown = self.grow(end);
        self.heal(offset..end);
        let what = What::Zero { offset, len };
        self.push(Change { seq, what, len: grown, reach: Reach::Device });
    }

    pub(crate) fn allocate(&mut self, seq: u64, len: u64) {
        let old = self.current.len();
        if let Some(len) = self.grow(len) {
            self.allocated.push(old..len);
            self.push(Change { seq, what: What::Length, len: Some(len), reach: Reach::Device });
        }
    }

    pub(crate) fn set_len(&mut self, seq: u64, len: u64) {
        let old = self.current.len();
        if len == old {
            return;
        }
        let what = match old.checked_sub(len) {
            Some(cut) if cut > 0 => What::Zero { offset: len, len: cut },
            _ => What::Length,
        };
        self.current.set_len(len);
        self.reserved_bytes = self.reserved_bytes.min(len);
        self.allocated.retain(|range| range.start < len);
        self.push(Change { seq, what, len: Some(len), reach: Reach::Device });
    }

    fn grow(&mut self, end: u64) -> Option<u64> {
        self.reserved_bytes = self.reserved_bytes.max(end);
        let grows = end > self.current.len();
        self.current.extend_to(end);
        grows.then_some(end)
    }

    fn push(&mut self, change: Change) {
        self.pending.push_back(change);
        if self.pending.len() > SIM_PENDING_CHANGES {
            // A kernel writes old pages back by itself; nobody may rely on it, and memory stays bounded.
            let middle = self.pending.get(SIM_PENDING_CHANGES / 2).map_or(0, |change| change.seq);
            self.settle(middle);
        }
    }

    /// Shows what the device holds, with what is still on its way to it, on the pages of a range that lost changes.
    pub(crate) fn evict(&mut self, offset: u64, len: u64) {
        if self.lost.is_empty() {
            return;
        }
        let pages = offset / PAGE_BYTES..offset.saturating_add(len).div_ceil(PAGE_BYTES);
        let gone: Vec<u64> = self.lost.range(pages).copied().collect();
        for number in gone {
            self.lost.remove(&number);
            let start = number * PAGE_BYTES;
            let mut bytes = [0; PAGE];
            self.durable.read(start, &mut bytes);
            for change in &self.pending {
                if change.touches(&(start..start + PAGE_BYTES)) {
                    change.overlay(start, &mut bytes);
                }
            }
            if let Some(beyond) =
                bytes.get_mut(to_usize(self.current.len().saturating_sub(start)).min(PAGE)..)
            {
                beyond.fill(0);
            }
            self.current.put_page(number, Some(Arc::new(bytes)));
        }
    }
}

/// What the device does.
impl Inode {
    /// Makes all changes before `seq` durable.
    pub(crate) fn settle(&mut self, seq: u64) {
        while self.pending.front().is_some_and(|change| change.seq < seq) {
            let Some(change) = self.pending.pop_front() else { return };
            match (&change.what, change.reach) {
                (_, Reach::Cache) => self.lose(change.range()),
                (What::Write { offset, data }, Reach::Device) => self.durable.write(*offset, data),
                (What::Zero { offset, len }, Reach::Device) => self.durable.zero(*offset, *len),
                (What::Length, Reach::Device) => {}
            }
            if let Some(len) = change.len {
                self.durable.set_len(len);
            }
        }
    }

    /// A sync failed: what `survivors` choose of the changes before `seq` is durable, the rest is marked clean and
    /// stays visible until evicted. The next sync would find nothing to do.
    pub(crate) fn fail_sync(&mut self, seq: u64, sector_bytes: u32, survivors: &mut dyn Survivors) {
        let touched = self.touched(seq);
        self.tear(seq, sector_bytes, survivors);
        self.lost.extend(touched);
        let mut length = None;
        while self.pending.front().is_some_and(|change| change.seq < seq) {
            let Some(change) = self.pending.pop_front() else { break };
            if let Some(len) = change.len {
                length = Some((change.seq, len));
            }
        }
        // The length belongs to the journal, which tries again; only data pages are forgotten.
        if let Some((seq, len)) = length.filter(|(_, len)| *len != self.durable.len()) {
            let what = match self.durable.len().checked_sub(len) {
                Some(cut) => What::Zero { offset: len, len: cut },
                None => What::Length,
            };
            self.pending.push_front(Change { seq, what, len: Some(len), reach: Reach::Device });
        }
    }

    /// Power is gone: `survivors` choose what the device got of the pending changes; the cache is empty.
    pub(crate) fn lose_power(&mut self, sector_bytes: u32, survivors: &mut dyn Survivors) {
        self.end_process();
        if self.is_clean() && self.current.len() == self.durable.len() {
            return;
        }
        let mut touched = self.touched(u64::MAX);
        self.tear(u64::MAX, sector_bytes, survivors);
        self.pending.clear();
        touched.append(&mut self.lost);
        for number in touched {
            self.current.put_page(number, self.durable.page(number).cloned());
        }
        self.current.set_len(self.durable.len());
        self.reserved_bytes = self.durable.len();
    }

    /// The process is gone, with its handles; the cache stays.
    pub(crate) fn end_process(&mut self) {
        self.handles = 0;
        self.poisoned = false;
    }

    /// Sequence numbers of the changes of length that are pending.
    pub(crate) fn pending_lengths(&self) -> impl Iterator<Item = u64> + '_ {
        self.pending.iter().filter(|change| change.len.is_some()).map(|change| change.seq)
    }

    /// Whether pending writes bring bytes other than zero to more than one sector: such a file can be torn.
    pub(crate) fn spans_sectors(&self, sector_bytes: u32) -> bool {
        let mut written = self.pending.iter().filter_map(|change| match &change.what {
            What::Write { offset, data } => {
                let ends =
                    [data.iter().position(|b| *b != 0)?, data.iter().rposition(|b| *b != 0)?];
                Some(ends.map(|at| (offset + to_u64(at)) / u64::from(sector_bytes)))
            }
            What::Zero { .. } | What::Length => None,
        });
        let Some([first, last]) = written.next() else { return false };
        first != last || written.any(|ends| ends != [first, last])
    }

    /// Numbers of the pages that changes before `seq` write to.
    fn touched(&self, seq: u64) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        for change in self.pending.iter().take_while(|change| change.seq < seq) {
            let Range { start, end } = change.range();
            match change.what {
                What::Write { .. } => {
                    touched.extend(start / PAGE_BYTES..end.div_ceil(PAGE_BYTES));
                }
                What::Zero { .. } => touched.extend(self.durable.pages_in(start, end - start)),
                What::Length => {}
            }
        }
        touched
    }

    /// Puts into the durable image what `survivors` choose of the changes before `seq`.
    fn tear(&mut self, seq: u64, sector_bytes: u32, survivors: &mut dyn Survivors) {
        let mut len = self.durable.len();
        for change in self.pending.iter().take_while(|change| change.seq < seq) {
            if let Some(after) = change.len
                && survivors.length(change.seq)
            {
                len = after;
            }
        }
        for number in self.touched(seq) {
            let start = number * PAGE_BYTES;
            let part = start..start + PAGE_BYTES;
            let changes: Vec<&Change> = self
                .pending
                .iter()
                .take_while(|change| change.seq < seq)
                .filter(|change| change.touches(&part))
                .collect();
            let mut page = [0; PAGE];
            self.durable.read(start, &mut page);
            tear_page(&mut page, start, sector_bytes, &changes, survivors);
            self.durable.put_page(number, Some(Arc::new(page)));
            self.durable.extend_to(part.end);
        }
        self.durable.extend_to(len);
        self.durable.set_len(len);
    }

    /// The cache shows what the device does not hold.
    fn lose(&mut self, range: Range<u64>) {
        self.lost.extend(range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES));
    }
}

fn tear_page(
    page: &mut [u8; PAGE],
    start: u64,
    sector_bytes: u32,
    changes: &[&Change],
    survivors: &mut dyn Survivors,
) {
    let sector_len = u64::from(sector_bytes);
    for (place, sector) in page.chunks_mut(to_usize(sector_len)).enumerate() {
        let at = start + to_u64(place) * sector_len;
        let part = at..at + sector_len;
        let versions = changes.iter().filter(|change| change.touches(&part)).count();
        if versions == 0 {
            continue;
        }
        match survivors.sector(at / sector_len, versions) {
            SectorFate::Garbage(seed) => crate::Prng::new(seed).fill(sector),
            SectorFate::Version(count) => {
                let first = changes.iter().filter(|change| change.touches(&part)).take(count);
                for change in first {
                    change.overlay(at, sector);
                }
            }
        }
    }
}

/// Damage.
impl Inode {
    /// Flips one bit of the device's copy; seen once the cache drops the page.
    pub(crate) fn flip_bit(&mut self, offset: u64, bit: u8) -> bool {
        if offset >= self.durable.len() {
            return false;
        }
        let mut byte = [0];
        self.durable.read(offset, &mut byte);
        self.durable.write(offset, &[byte.first().map_or(0, |b| b ^ (1 << (bit & 7)))]);
        self.lose(offset..offset + 1);
        true
    }

    /// Writes to the device behind the cache's back, as a misdirected write of another place does.
    pub(crate) fn strike(&mut self, offset: u64, data: &[u8]) {
        let there = to_usize(self.durable.len().saturating_sub(offset)).min(data.len());
        if let Some(data) = data.get(..there) {
            self.durable.write(offset, data);
            self.lose(offset..offset + to_u64(there));
        }
    }

    /// Makes the 512 bytes around `offset` unreadable until all of them are written again.
    pub(crate) fn spoil(&mut self, offset: u64) {
        self.bad.insert(offset / BAD_BYTES);
    }

    /// Where the first unreadable byte of a range is.
    pub(crate) fn first_bad(&self, offset: u64, len: u64) -> Option<u64> {
        if self.bad.is_empty() || len == 0 {
            return None;
        }
        let first = self.bad.range(offset / BAD_BYTES..(offset + len).div_ceil(BAD_BYTES)).next();
        first.map(|place| offset.max(place * BAD_BYTES))
    }

    /// Rewriting all of a bad place makes the device give it another one.
    fn heal(&mut self, range: Range<u64>) {
        if !self.bad.is_empty() {
            self.bad.retain(|place| {
                let start = place * BAD_BYTES;
                start < range.start || start + BAD_BYTES > range.end
            });
        }
    }

    /// Ranges that were allocated and hold no written page on the device.
    pub(crate) fn unwritten_sectors(&self, sector_bytes: u32) -> Vec<u64> {
        let size = u64::from(sector_bytes);
        let mut found = Vec::new();
        for range in &self.allocated {
            let end = range.end.min(self.durable.len());
            let mut page = range.start.div_ceil(PAGE_BYTES);
            while (page + 1) * PAGE_BYTES <= end && found.len() < MAX_UNWRITTEN {
                if self.durable.page(page).is_none() {
                    found.extend(page * PAGE_BYTES / size..(page + 1) * PAGE_BYTES / size);
                }
                page += 1;
            }
        }
        found
    }

    /// Puts garbage into a sector of the device and drops it from the cache.
    pub(crate) fn soil(&mut self, sector: u64, sector_bytes: u32, seed: u64) {
        let offset = sector * u64::from(sector_bytes);
        let mut garbage = vec![0; to_usize(u64::from(sector_bytes))];
        crate::Prng::new(seed).fill(&mut garbage);
        self.strike(offset, &garbage);
        self.evict(offset, u64::from(sector_bytes));
    }

    /// A file that holds `bytes`, durable and visible; for images brought from elsewhere.
    pub(crate) fn replace(&mut self, bytes: &[u8]) {
        let mut image = Image::default();
        image.set_len(to_u64(bytes.len()));
        image.write(0, bytes);
        self.durable = image.clone();
        self.current = image;
        self.reserved_bytes = self.durable.len();
        self.pending.clear();
        self.lost.clear();
    }

    /// Cuts or extends the file on the device and in the cache, as a hand with another tool would.
    pub(crate) fn cut(&mut self, len: u64) {
        let mut bytes = self.durable.to_vec();
        bytes.resize(to_usize(len), 0);
        self.replace(&bytes);
    }
}

/// Unit of unreadable places; divides both sizes of a sector.
const BAD_BYTES: u64 = 512;
/// How many unwritten sectors are looked at for garbage, per file.
const MAX_UNWRITTEN: usize = 256;

#[cfg(test)]
mod tests;
