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
