//! What the device truly holds, as the independent reader finds it in the simulated disk's durable images: not what
//! the store claims. An acknowledged event must be in there at the moment of its acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
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

/// Where the durable log of a bucket ends.
#[derive(Debug, Clone, Copy)]
pub struct LogTip {
    /// Segment number.
    pub segment: u64,
    /// End of its last frame.
    pub end: u64,
    /// Bytes of that frame.
    pub last_frame_len: u64,
}

/// A host's files of one bucket as its processes see them.
struct Visible<'a> {
    host: &'a SimHost,
    dir: &'a Path,
}

impl Image for Visible<'_> {
    fn read(&self, file: &str, offset: u64, buf: &mut [u8]) -> Option<u64> {
        self.host.read_current(self.dir.join(file), offset, buf)
    }
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
    /// Per bucket and segment the end of its last frame, and that frame's length.
    tips: BTreeMap<(usize, u64), (u64, u64)>,
    /// Segments that had an index file, and then were the last ones again.
    reopened: BTreeSet<(usize, u64)>,
}

fn readers(dir: &Path, buckets: u16) -> Vec<(PathBuf, LogReader)> {
    let buckets_dir = dir.join("buckets");
    (0..buckets).map(|it| (buckets_dir.join(format!("{it:05}")), LogReader::new(it))).collect()
}

impl Ghost {
    /// Nothing read yet of the database in `dir`.
    pub fn new(dir: &Path, buckets: u16) -> Self {
        Self {
            readers: readers(dir, buckets),
            tips: BTreeMap::new(),
            reopened: BTreeSet::new(),
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
            self.tips.insert((bucket, place.segment), (place.offset + place.len, place.len));
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

    /// An event that a read returned must be durable, where it was said to be.
    ///
    /// # Errors
    /// If it is not.
    pub fn holds_seen(&mut self, host: &SimHost, ledger: &Ledger, seen: &Seen) -> Checked {
        if !self.events.contains_key(&seen.id) {
            self.advance(host, ledger)?;
        }
        require(self.events.contains_key(&seen.id), "ghost-local", "read-not-durable", || {
            format!(
                "event {:032x} was read at {}/{}; the device does not have it",
                seen.id, seen.partition, seen.sequence
            )
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

    /// Where the durable log ends that the segment file at `path` belongs to.
    pub fn log_of(&self, path: &Path) -> Option<LogTip> {
        let bucket = self.readers.iter().position(|(dir, _)| path.starts_with(dir))?;
        let (_, reader) = self.readers.get(bucket)?;
        let tip = self.tips.get(&(bucket, reader.segment()));
        let last_frame_len = tip.map_or(0, |(_, len)| *len);
        Some(LogTip { segment: reader.segment(), end: reader.offset(), last_frame_len })
    }

    /// A segment gets its index file once it is final: on the device it ends with its last frame. Where all frames
    /// behind it were torn and cut, it is written to again, and its index file means nothing any more.
    ///
    /// # Errors
    /// If one does not.
    pub fn sealed_are_final(&mut self, host: &SimHost) -> Checked {
        for (place, (end, _)) in &self.tips {
            let Some((dir, reader)) = self.readers.get(place.0) else { continue };
            let path = dir.join(segment_name(place.1));
            if self.reopened.contains(place)
                || host.read_durable(path.with_extension("idx"), 0, &mut []).is_none()
            {
                continue;
            }
            if place.1 == reader.segment() {
                self.reopened.insert(*place);
                continue;
            }
            let len = host.read_durable(&path, 0, &mut []);
            require(len == Some(*end), "ghost-local", "sealed-not-final", || {
                format!(
                    "{} has an index file; its length is {len:?}, its frames end at {end}",
                    path.display()
                )
            })?;
        }
        Ok(())
    }

    /// Events per partition in the log as processes see it now, read from its start.
    pub fn count_seen(dir: &Path, buckets: u16, host: &SimHost) -> BTreeMap<u16, u64> {
        let mut counts = BTreeMap::new();
        for (dir, mut reader) in readers(dir, buckets) {
            while let Ok(frame) = reader.next_frame(&Visible { host, dir: &dir }) {
                for event in frame.events {
                    *counts.entry(event.partition).or_default() += 1;
                }
            }
        }
        counts
    }

    /// How far partitions and streams go.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where the files of a bucket are.
    pub fn bucket_dir(&self, bucket: u16) -> Option<&Path> {
        self.readers.get(usize::from(bucket)).map(|(dir, _)| dir.as_path())
    }

    /// Path of a segment file.
    pub fn segment_path(&self, place: &FramePlace) -> Option<PathBuf> {
        Some(self.bucket_dir(place.bucket)?.join(segment_name(place.segment)))
    }
}
