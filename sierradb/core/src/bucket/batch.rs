//! What one write brings to the log.
//!
//! Where every frame will lie is known from its length alone. Making the frames means to read each body once more, for
//! its checksum, and to copy most of them into one piece: [`Batch::make`] can do that on the thread that writes.

use std::sync::Arc;

use bytes::Bytes;

use super::apply::Written;
use super::planned::Planned;
use crate::limits::COPIED_FRAME_BYTES;
use crate::segment::file::ActiveSegment;
use crate::segment::frame::{self, FramePlace, LogEntry};

/// Where a batch begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchPlace {
    /// The segment before it.
    pub(super) before: ActiveSegment,
    /// That segment has its header already; else the batch begins with it.
    pub(super) has_header: bool,
    /// The term of its frames.
    pub(super) term: u64,
}

/// Entries for one write; at least one.
pub(super) struct Batch {
    entries: Vec<Arc<Planned>>,
    place: BatchPlace,
    end_offset: u64,
}

/// A batch as it is written.
pub(super) struct Made {
    /// What is written, in order.
    pub(super) buffers: Vec<Bytes>,
    /// What became of its entries.
    pub(super) written: Written,
    /// The segment behind it.
    pub(super) after: ActiveSegment,
}

/// Frames while they are made.
struct Making {
    made: Made,
    /// Frames behind `made.buffers` that are copied together, and where in the file they begin.
    joined: Vec<u8>,
    joined_offset: u64,
}

impl Batch {
    /// Takes as many of `entries` as the segment has room for.
    pub(super) fn take(entries: &mut Vec<Arc<Planned>>, place: BatchPlace) -> Self {
        let start = place.before.end().end_offset;
        let (mut count, mut len) = (0, 0);
        for planned in entries.iter() {
            let with_it = len + planned.entry.frame_len();
            if !place.before.fits(with_it) {
                break;
            }
            (count, len) = (count + 1, with_it);
        }
        let behind = entries.split_off(count);
        let entries = std::mem::replace(entries, behind);
        Self { entries, place, end_offset: start + len }
    }

    /// Where in the file it is written.
    pub(super) fn offset(&self) -> u64 {
        if self.place.has_header { self.place.before.end().end_offset } else { 0 }
    }

    /// Where it ends.
    pub(super) fn end_offset(&self) -> u64 {
        self.end_offset
    }

    /// How much is written.
    pub(super) fn bytes(&self) -> u64 {
        self.end_offset - self.offset()
    }

    /// Number of its entries.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Index of its last entry.
    pub(super) fn last_index(&self) -> u64 {
        let count = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        self.place.before.end().next_index + count - 1
    }

    /// Makes its frames. Its hold on the entries ends here: whoever answers takes them apart.
    ///
    /// # Panics
    /// If the entries are not the next ones of the segment.
    pub(super) fn make(self) -> Made {
        let mut making = Making::behind(self.place, &self.entries);
        for planned in &self.entries {
            making.push(&planned.entry, (planned.index, self.place.term));
        }
        let made = making.end();
        assert_eq!(made.after.end().end_offset, self.end_offset, "frames longer than announced");
        made
    }
}

impl Making {
    /// Nothing yet, with room for the frames of `entries`.
    fn behind(place: BatchPlace, entries: &[Arc<Planned>]) -> Self {
        let lens = entries.iter().map(|planned| planned.entry.frame_len());
        let copied = lens.filter(|len| *len <= COPIED_FRAME_BYTES).sum::<u64>();
        let end = place.before.end();
        let written = Written::behind(end, entries.len());
        let mut making = Self {
            made: Made { buffers: Vec::new(), written, after: place.before },
            joined: Vec::with_capacity(usize::try_from(copied).unwrap_or(0)),
            joined_offset: end.end_offset,
        };
        if !place.has_header {
            making.joined_offset = 0;
            making.joined.extend_from_slice(&place.before.header().encode());
        }
        making
    }

    /// Adds the frame of `entry`, which has `index` and `term`.
    fn push(&mut self, entry: &LogEntry, (index, term): (u64, u64)) {
        let place = self.made.after.place(term);
        assert_eq!(place.index, index, "entries are written in the order of their indexes");
        let len = entry.frame_len();
        self.made.written.offsets.push(place.offset);
        let header_crc = self.add(entry, len, place);
        self.made.after.push(header_crc, len, term);
    }

    fn add(&mut self, entry: &LogEntry, len: u64, place: FramePlace) -> u32 {
        if len <= COPIED_FRAME_BYTES {
            return frame::append(entry, place, &mut self.joined);
        }
        self.flush();
        self.joined_offset = place.offset + len;
        let frame = frame::encode(entry, place);
        let header_crc = frame.header_crc;
        self.made.buffers.extend(frame.chunks());
        header_crc
    }

    fn end(mut self) -> Made {
        self.flush();
        let end = self.made.after.end();
        self.made.written.end_offset = end.end_offset;
        self.made.written.chain = end.chain;
        self.made
    }

    fn flush(&mut self) {
        if !self.joined.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.joined));
            self.made.written.stretches.push((self.joined_offset, bytes.clone()));
            self.made.buffers.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
