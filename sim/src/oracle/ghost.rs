//! What the device truly holds, as the independent reader finds it in the simulated disk's durable images: not what
//! the store claims. An acknowledged event must be in there at the moment of its acknowledgement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sierradb_io::sim::SimHost;

use super::gapless::Progress;
use super::invention;
use super::ledger::{Ledger, Place};
use crate::history::{Acked, Seen};
use crate::reader::{End, Image, LogReader, StoredFrame, segment_name};
use crate::violation::{Checked, Violation, require};

/// Where a durable frame lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FramePlace {
    /// Bucket.
    pub bucket: u16,
    /// Segment number.
    pub segment: u64,
    /// Offset in the segment.
    pub offset: u64,
    /// Bytes with header and pad.
    pub len: u64,
}

/// A host's durable files of one bucket.
struct Durable<'a> {
    host: &'a SimHost,
    dir: &'a Path,
}

impl Image for Durable<'_> {
    fn read(&self, file: &str, offset: u64, buf: &mut [u8]) -> Option<u64> {
        self.host.read_durable(self.dir.join(file), offset, buf)
    }
}

/// The durable log, read as far as it goes, and on from there each time.
#[derive(Debug)]
pub struct Ghost {
    readers: Vec<(PathBuf, LogReader)>,
    progress: Progress,
    events: BTreeMap<u128, Seen>,
    frames: Vec<FramePlace>,
}

impl Ghost {
    /// Nothing read yet of the database in `dir`.
    pub fn new(dir: &Path, buckets: u16) -> Self {
        let reader = |bucket: u16| {
            (dir.join("buckets").join(format!("{bucket:05}")), LogReader::new(bucket))
        };
        Self {
            readers: (0..buckets).map(reader).collect(),
            progress: Progress::default(),
            events: BTreeMap::new(),
            frames: Vec::new(),
        }
    }

    /// Reads what became durable since.
    ///
    /// # Errors
    /// If the log has an event nobody submitted, a gap, an id twice, or a frame that cannot stand where it does.
    pub fn advance(&mut self, host: &SimHost, ledger: &Ledger) -> Checked {
        for bucket in 0..self.readers.len() {
            while let Some(frame) = self.next_frame(host, bucket)? {
                self.take(ledger, bucket, frame)?;
            }
        }
        Ok(())
    }

    fn next_frame(
        &mut self,
        host: &SimHost,
        bucket: usize,
    ) -> Result<Option<StoredFrame>, Violation> {
        let Some((dir, reader)) = self.readers.get_mut(bucket) else { return Ok(None) };
        match reader.next_frame(&Durable { host, dir }) {
            Ok(frame) => Ok(Some(frame)),
            Err(End::Nothing) => Ok(None),
            Err(End::Wrong(what)) => Err(Violation::new("gapless", "log/frame", what)),
        }
    }

    fn take(&mut self, ledger: &Ledger, bucket: usize, frame: StoredFrame) -> Checked {
        let place = FramePlace {
            bucket: u16::try_from(bucket).unwrap_or(u16::MAX),
            segment: frame.segment,
            offset: frame.offset,
            len: frame.len,
        };
        let mut events = Vec::with_capacity(frame.events.len());
        for seen in frame.events {
            events.push(invention::origin(ledger, &seen)?);
            self.progress.next(&seen)?;
            let id = seen.id;
            let before = self.events.insert(id, seen);
            require(before.is_none(), "idempotent", "log/stored-twice", || {
                format!("event {id:032x} is in the log twice")
            })?;
        }
        if let Some((op, _)) = events.first() {
            let whole = ledger.op(*op).submission.events.len();
            let in_order = events.iter().enumerate().all(|(nth, event)| *event == (*op, nth));
            require(in_order && events.len() == whole, "atomic", "log/frame", || {
                format!(
                    "the frame at {place:?} holds {events:?} of submission {op}, which has {whole} events"
                )
            })?;
            self.frames.push(place);
        }
        Ok(())
    }

    /// Every event of an acknowledgement must be durable, where the answer says it is.
    ///
    /// # Errors
    /// If one is not.
    pub fn holds(&self, partition: u16, acked: &Acked) -> Checked {
        for (sequence, (id, version, _)) in acked.sequences.clone().zip(&acked.events) {
            let found =
                self.events.get(id).map(|seen| (seen.partition, seen.sequence, seen.version));
            require(
                found == Some((partition, sequence, *version)),
                "ghost-local",
                "not-durable",
                || {
                    format!(
                        "event {id:032x} was acknowledged at {partition}/{sequence}; the device has {found:?}"
                    )
                },
            )?;
        }
        Ok(())
    }

    /// An event that is pinned at `place` must be durable.
    ///
    /// # Errors
    /// If it is not.
    pub fn holds_place(&self, id: u128, place: &Place) -> Checked {
        let found = self.events.get(&id).map(|seen| (seen.partition, seen.sequence, seen.version));
        let expected = (place.partition, place.sequence, place.version);
        require(found == Some(expected), "acked", "lost/device", || {
            format!("event {id:032x} was shown at {expected:?}; the device has {found:?}")
        })
    }

    /// Everything durable, by event id.
    pub fn events(&self) -> &BTreeMap<u128, Seen> {
        &self.events
    }

    /// Frames of transactions, in the order they were found.
    pub fn frames(&self) -> &[FramePlace] {
        &self.frames
    }

    /// Per bucket the directory, and the segment and offset at which its durable log ends.
    pub fn ends(&self) -> impl Iterator<Item = (&Path, u64, u64)> {
        self.readers.iter().map(|(dir, reader)| (dir.as_path(), reader.segment(), reader.offset()))
    }

    /// How far partitions and streams go.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Path of a segment file.
    pub fn segment_path(&self, place: &FramePlace) -> Option<PathBuf> {
        let (dir, _) = self.readers.get(usize::from(place.bucket))?;
        Some(dir.join(segment_name(place.segment)))
    }
}
