//! How collected facts become entries on pages: runs that stay together, filters, lists.

use super::build::BuildError;
use super::filter::{self, FilterShape};
use super::page::{Extent, PageWriter, Section};
use super::postings;

/// Writes entries with one prefix: on the open page if all fit, else from a fresh one on.
pub(super) fn put_run<const N: usize>(
    writer: &mut PageWriter,
    fences: &mut Vec<u32>,
    run: impl ExactSizeIterator<Item = (u32, [u8; N])>,
) {
    if run.len() > writer.room() {
        writer.close_page();
    }
    for (prefix, entry) in run {
        if writer.at_page_start() {
            fences.push(prefix);
        }
        writer.entry(&entry);
    }
}

/// An entry of the E section: the top bits of the hash above those of the offset.
pub(super) fn pack(hash: u64, offset_units: u32, offset_bits: u8) -> u64 {
    hash >> offset_bits << offset_bits | u64::from(offset_units)
}

/// The first 32 bits of a hash or entry.
pub(super) fn prefix(hash: u64) -> u32 {
    let [.., a, b, c, d] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Writes a filter over `hashes`, or nothing.
pub(super) fn put_filter(
    writer: &mut PageWriter,
    section: Section,
    mut hashes: Vec<u64>,
) -> (Option<FilterShape>, Extent) {
    let built = filter::build(&mut hashes);
    drop(hashes);
    writer.begin(section);
    let shape = built.map(|(shape, fingerprints)| {
        writer.bytes(&fingerprints);
        shape
    });
    (shape, writer.end())
}

/// Offsets sorted by group (stream or partition), each group in the order of its events.
pub(super) struct Lists {
    offsets: Vec<u32>,
    /// End of each group in `offsets`.
    ends: Vec<u32>,
}

impl Lists {
    pub(super) fn new(counts: &[u32], groups: impl Iterator<Item = u32>, offsets: &[u32]) -> Self {
        let mut next: Vec<u32> = Vec::with_capacity(counts.len());
        let mut sum = 0_u32;
        for count in counts {
            next.push(sum);
            sum = sum.saturating_add(*count);
        }
        let mut sorted = vec![0; offsets.len()];
        for (group, offset) in groups.zip(offsets) {
            let place = usize::try_from(group).ok().and_then(|group| next.get_mut(group));
            let Some(place) = place else { continue };
            if let Some(slot) = usize::try_from(*place).ok().and_then(|at| sorted.get_mut(at)) {
                *slot = *offset;
            }
            *place = place.saturating_add(1);
        }
        Self { offsets: sorted, ends: next }
    }

    /// Writes the groups in the given order; returns where each begins in the section.
    pub(super) fn put(
        &self,
        writer: &mut PageWriter,
        order: impl Iterator<Item = u32>,
    ) -> Result<Vec<u32>, BuildError> {
        let too_many = BuildError::TooMany { what: "postings" };
        let mut starts = Vec::with_capacity(self.ends.len());
        let (mut start, mut list) = (0_u32, Vec::new());
        for group in order {
            list.clear();
            let offsets = self.group(group).ok_or(too_many)?;
            postings::encode(offsets, &mut list).ok_or(too_many)?;
            writer.bytes(&list);
            starts.push(start);
            let len = u32::try_from(list.len()).map_err(|_| too_many)?;
            start = start.checked_add(len).ok_or(too_many)?;
        }
        Ok(starts)
    }

    fn group(&self, group: u32) -> Option<&[u32]> {
        let group = usize::try_from(group).ok()?;
        let end = usize::try_from(*self.ends.get(group)?).ok()?;
        let start = group.checked_sub(1).and_then(|before| self.ends.get(before)).copied();
        self.offsets.get(usize::try_from(start.unwrap_or(0)).ok()?..end)
    }
}

/// Finds streams by hash: open addressing over stream numbers, 8 to 16 bytes per stream. It keeps 32 bits of each
/// hash; the caller compares the rest.
#[derive(Default)]
pub(super) struct StreamTable {
    /// Low hash bits and number + 1; 0 = free. A power of two of slots, at most half of them taken.
    slots: Vec<(u32, u32)>,
    taken: usize,
}

impl StreamTable {
    /// The number of a stream of this hash that `is_it`.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = low_bits(hash);
        let mut at = self.home(tag);
        loop {
            let &(found, number) = self.slots.get(at)?;
            let number = number.checked_sub(1)?;
            if found == tag && is_it(number) {
                return Some(number);
            }
            at = self.after(at);
        }
    }

    /// Adds a stream that [`StreamTable::find`] did not find. Numbers are below `u32::MAX`.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if (self.taken + 1) * 2 > self.slots.len() {
            let larger = vec![(0, 0); (self.slots.len() * 2).max(64)];
            for (tag, number) in std::mem::replace(&mut self.slots, larger) {
                if number != 0 {
                    self.place(tag, number);
                }
            }
        }
        self.place(low_bits(hash), number.saturating_add(1));
        self.taken += 1;
    }

    fn place(&mut self, tag: u32, entry: u32) {
        let mut at = self.home(tag);
        while self.slots.get(at).is_some_and(|(_, entry)| *entry != 0) {
            at = self.after(at);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = (tag, entry);
        }
    }

    fn home(&self, tag: u32) -> usize {
        usize::try_from(tag).unwrap_or(0) & self.slots.len().wrapping_sub(1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & self.slots.len().wrapping_sub(1)
    }
}

fn low_bits(hash: u64) -> u32 {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
