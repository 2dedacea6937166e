//! Finds what of a log cannot be read although a start serves what lies behind it.
//!
//! A start reads a bounded part of the log: it trusts index files and checkpoints for the rest. So it passes rot
//! below them, which reads then meet. This looks at every byte. Such a hole is nothing to give up: cutting there would
//! lose the healthy events behind it. Its own events are lost unless there is a copy elsewhere.

use std::collections::BTreeMap;
use std::path::Path;

use sierradb_io::{Io, OpenOptions};

use super::error::{RepairError, lock};
use super::tail::{self, LostPartition};
use crate::limits::{MAX_LOST_FRAMES_LISTED, MIN_READ_AHEAD_BYTES};
use crate::segment::aftermath::leading_zero_steps;
use crate::segment::file::{FIRST_FRAME_OFFSET, SegmentFile};
use crate::segment::frame::{self, FRAME_ALIGN, FrameError, FrameHeader, FrameKind};
use crate::segment::reader::read_segment_header;
use crate::segment::window::Window;
use crate::store::bucket_dir;

/// What cannot be read of a bucket's log, up to where a start would end it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holes {
    /// The bucket.
    pub bucket_id: u16,
    /// In log order, at most [`MAX_LOST_FRAMES_LISTED`](crate::limits::MAX_LOST_FRAMES_LISTED).
    pub holes: Vec<Hole>,
    /// All of them, listed or not.
    pub hole_count: u64,
    /// The events in them by partition, by number. None of them is readable.
    pub partitions: Vec<LostPartition>,
}

/// Frames that cannot be read, between such that can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// Segment.
    pub segment: u64,
    /// Where it begins there, in bytes.
    pub offset: u64,
    /// Log index of its first frame.
    pub first_index: u64,
    /// Log index of its last frame.
    pub last_index: u64,
    /// What is wrong where it begins.
    pub cause: String,
}

/// Reads the whole log of bucket `bucket_id` and finds what of it cannot be read. Changes nothing.
///
/// # Errors
/// If the bucket cannot be looked at. A log without holes is no error.
pub async fn find_holes(io: &Io, dir: &Path, bucket_id: u16) -> Result<Holes, RepairError> {
    let _lock = lock(io, dir).await?;
    let diagnosis = tail::diagnose(io, dir, bucket_id).await?;
    let mut search = Search {
        found: Holes { bucket_id, holes: Vec::new(), hole_count: 0, partitions: Vec::new() },
        next_sequences: BTreeMap::new(),
        next_index: 0,
    };
    let dir = bucket_dir(dir, bucket_id);
    let mut segments = Vec::new();
    for number in tail::segments_from(io, &dir, 0).await? {
        let path = dir.join(SegmentFile::Log.name(number));
        let options = OpenOptions { direct: true, ..OpenOptions::READ };
        let file = io.disk().open(&path, options).await?;
        let Ok(header) = read_segment_header(file.as_ref()).await else { break };
        segments.push((number, file, header.first_index));
    }
    for (nth, (number, file, first_index)) in segments.iter().enumerate() {
        if *first_index > diagnosis.last_index {
            break;
        }
        let next = segments.get(nth + 1).map(|(_, _, first_index)| first_index - 1);
        let last_index = next.unwrap_or(diagnosis.last_index).min(diagnosis.last_index);
        search.next_index = *first_index;
        search.look(*number, Window::open(file.clone()).await?, last_index).await?;
    }
    for (partition_id, next) in diagnosis.next_sequences {
        search.passed(partition_id, next, next);
    }
    Ok(search.found)
}

/// What was seen so far.
struct Search {
    found: Holes,
    /// By partition: the sequence that follows those passed.
    next_sequences: BTreeMap<u16, u64>,
    /// Log index that the next frame must have.
    next_index: u64,
}

impl Search {
    /// Looks at a segment up to its frame of `last_index`.
    async fn look(
        &mut self,
        segment: u64,
        mut window: Window,
        last_index: u64,
    ) -> Result<(), RepairError> {
        let mut offset = FIRST_FRAME_OFFSET;
        let mut open: Option<Hole> = None;
        while offset < window.len() && self.next_index <= last_index {
            let bytes = window.at_least(offset, MIN_READ_AHEAD_BYTES).await?;
            let first_index = self.next_index;
            let hole = |cause| Hole { segment, offset, first_index, last_index, cause };
            let header = match frame::decode_header(&bytes) {
                Ok(header) if (first_index..=last_index).contains(&header.index) => header,
                other => {
                    open.get_or_insert_with(|| hole(not_here(other)));
                    offset += leading_zero_steps(&bytes).max(FRAME_ALIGN);
                    continue;
                }
            };
            let want = usize::try_from(header.frame_len()).unwrap_or(usize::MAX);
            let bytes = window.at_least(offset, want).await?;
            match frame::decode_body(header, bytes, offset) {
                Ok(_) => {
                    if header.index > first_index {
                        open.get_or_insert_with(|| hole("frames are missing".to_owned()));
                    }
                    self.close(open.take(), header.index - 1);
                    self.take(&header);
                    offset += header.frame_len();
                }
                Err(error) => {
                    open.get_or_insert_with(|| hole(error.to_string()));
                    // Stepped over as a whole if it is surely the next one: what users store is not searched.
                    let is_next = header.index == first_index;
                    self.next_index += u64::from(is_next);
                    offset += if is_next { header.frame_len() } else { FRAME_ALIGN };
                }
            }
        }
        let is_short = open.is_none() && self.next_index <= last_index;
        let first_index = self.next_index;
        let cause = "the file ends".to_owned();
        let short = is_short.then_some(Hole { segment, offset, first_index, last_index, cause });
        self.close(open.or(short), last_index);
        Ok(())
    }

    fn take(&mut self, header: &FrameHeader) {
        self.next_index = header.index + 1;
        if header.kind == FrameKind::Transaction {
            self.passed(header.partition, header.first_sequence, header.next_sequence());
        }
    }

    /// A hole ends with frame `last_index`.
    fn close(&mut self, hole: Option<Hole>, last_index: u64) {
        let Some(hole) = hole else { return };
        self.found.hole_count += 1;
        if self.found.holes.len() < MAX_LOST_FRAMES_LISTED {
            self.found.holes.push(Hole { last_index, ..hole });
        }
    }

    /// The log goes on with sequence `first` of a partition: those before it that were not seen are lost.
    fn passed(&mut self, partition_id: u16, first: u64, next: u64) {
        let expected = self.next_sequences.insert(partition_id, next).unwrap_or(0);
        let Some(events) = first.checked_sub(expected).filter(|events| *events > 0) else { return };
        let partitions = &mut self.found.partitions;
        let at = partitions.binary_search_by_key(&partition_id, |it| it.partition_id);
        match at.map(|at| partitions.get_mut(at)) {
            Ok(Some(partition)) => {
                partition.last_sequence = first - 1;
                partition.events += events;
            }
            Ok(None) => {}
            Err(at) => partitions.insert(
                at,
                LostPartition {
                    partition_id,
                    first_sequence: expected,
                    last_sequence: first - 1,
                    events,
                    readable_events: 0,
                },
            ),
        }
    }
}

/// Why a header is not that of a frame that belongs here.
fn not_here(header: Result<FrameHeader, FrameError>) -> String {
    match header {
        Ok(header) => format!("a frame of index {}", header.index),
        Err(error) => error.to_string(),
    }
}
