//! The facts that make the index of a segment: from its frames, each verified, and where those are damaged from
//! memory.
//!
//! What memory knows of a frame it learned when the frame was good: from the write itself, from a verified read, or
//! from a checkpoint, which has checksums of its own. So an index made of it denies no event and moves none: reading
//! a lost one leads to its damaged frame, and appends go on with the right numbers. Without memory, or if memory and
//! bytes contradict each other, there is no index.

use std::ops::RangeInclusive;
use std::sync::Arc;

use sierradb_io::{DiskErrorKind, File};

use super::seal::{Request, SealError};
use crate::index::build::{BuildOptions, EventFact, FrameFact, IndexBuilder, LostEventFact};
use crate::index::lookup::{LiveSegment, Shelf};
use crate::index::recall::KnownFrame;
use crate::limits::RECALLED_FRAMES;
use crate::segment::checkpoint::delta::LogPosition;
use crate::segment::event_codec::{append_time_ns, event_keys};
use crate::segment::extension::idempotency_key;
use crate::segment::file::{ActiveSegment, LogEnd};
use crate::segment::frame::{Frame, FrameKind};
use crate::segment::reader::{FrameReader, ReadFrameError, ScanError, read_frame};

/// The live index of a rolled segment, which never changes again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory<'a> {
    pub(crate) shelf: &'a Shelf,
    /// Number of the segment.
    pub(crate) segment: u64,
}

impl Memory<'_> {
    fn ask<T>(&self, question: impl FnOnce(&LiveSegment) -> Option<T>) -> Option<T> {
        let segments = self.shelf.read();
        question(segments.live.iter().find(|segment| segment.file.number == self.segment)?)
    }

    fn next_frame(&self, offset: u64) -> Option<u64> {
        self.ask(|segment| segment.index.next_frame(offset))
    }

    fn recall(&self, offsets: RangeInclusive<u64>) -> Vec<KnownFrame> {
        self.ask(|segment| Some(segment.index.recall(offsets))).unwrap_or_default()
    }

    fn end(&self) -> Option<LogPosition> {
        self.ask(|segment| segment.end)
    }
}

/// Frames that cannot be read, and where the log goes on behind them.
struct Hole {
    /// Where they begin; empty if the frame can be read after all, alone.
    lost: Vec<u64>,
    /// The first good frame behind them; `None` if the segment ends with them.
    next: Option<Frame>,
}

/// Walks over a segment for its index.
pub(super) struct Facts<'a> {
    request: &'a Request<'a>,
    builder: IndexBuilder,
    position: ActiveSegment,
    append_time_ns: Option<u64>,
    /// Whether frames are lost.
    pub(super) is_damaged: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn new(request: &'a Request<'a>) -> Self {
        let header = request.header;
        let builder = IndexBuilder::new(BuildOptions {
            hash_seed: request.hash_seed,
            segment_number: header.number,
            first_index: header.first_index,
            segment_size: header.segment_size_bytes,
            expected_events: 0,
        });
        let position = ActiveSegment::new(header);
        Self { request, builder, position, append_time_ns: None, is_damaged: false }
    }

    /// The facts of all frames and where they end.
    ///
    /// # Errors
    /// [`SealError`]
    pub(super) async fn collect(mut self) -> Result<(IndexBuilder, LogEnd, bool), SealError> {
        while let Some(error) = self.read_on().await? {
            if !self.pass(&error).await? {
                return Err(match error {
                    ScanError::Disk(error) => error.into(),
                    bad @ ScanError::Bad(_) => SealError::Scan(bad),
                });
            }
        }
        Ok((self.builder, self.position.end(), self.is_damaged))
    }

    /// Takes in frames up to the end of the segment (`None`), or to something that cannot be read.
    async fn read_on(&mut self) -> Result<Option<ScanError>, SealError> {
        let file: &Arc<dyn File> = &self.request.file;
        let mut reader = FrameReader::open(file.clone(), self.position).await?;
        loop {
            self.position = *reader.segment();
            if self.request.used_len == Some(self.position.end().end_offset) {
                return Ok(None);
            }
            match reader.next().await {
                Ok(Some(frame)) => self.take(&frame)?,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            }
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<(), SealError> {
        let time = append_time_ns(frame).unwrap_or(0);
        self.builder.frame(FrameFact {
            offset: frame.offset,
            index: frame.header.index,
            term: frame.header.term,
            partition: frame.header.partition,
            first_sequence: frame.header.first_sequence,
            append_time_ns: time,
            header_crc: frame.header.header_crc,
        });
        if frame.header.kind != FrameKind::Transaction {
            return Ok(());
        }
        self.append_time_ns = Some(time);
        let failed = |cause: String| SealError::Events { offset: frame.offset, cause };
        let (_, events) = event_keys(frame).map_err(|error| failed(error.to_string()))?;
        for event in events {
            let event = event.map_err(|error| failed(error.to_string()))?;
            self.builder.event(EventFact {
                event_id: &event.event_id,
                stream_id: event.stream_id,
                stream_version: event.stream_version,
                idempotency_key: idempotency_key(event.extensions).ok().flatten(),
            });
        }
        Ok(())
    }

    /// Gets past what cannot be read; `false` if memory does not help.
    async fn pass(&mut self, error: &ScanError) -> Result<bool, SealError> {
        let Some(memory) = self.request.memory else { return Ok(false) };
        let is_damage = match error {
            ScanError::Bad(_) => true,
            ScanError::Disk(error) => error.kind == DiskErrorKind::Io,
        };
        let before = self.position.end();
        if !is_damage || memory.next_frame(before.end_offset) != Some(before.end_offset) {
            return Ok(false);
        }
        let Some(hole) = self.measure(memory).await? else { return Ok(false) };
        if hole.lost.is_empty() {
            // A larger read than this frame needs met something unreadable.
            let Some(frame) = hole.next else { return Ok(false) };
            let fits = self.position.follow(&frame).is_ok();
            return if fits { self.take(&frame).map(|()| true) } else { Ok(false) };
        }
        let Some(after) = self.end_of(&hole, memory) else { return Ok(false) };
        if !self.fill(&hole, after.chain, memory) {
            return Ok(false);
        }
        memory.shelf.note_damage(memory.segment, before.end_offset, &error.to_string());
        self.is_damaged = true;
        self.position = ActiveSegment::resume(*self.position.header(), after);
        Ok(true)
    }

    /// The frames from the position on that cannot be read. `None` if a good one behind them is not the one that
    /// memory expects there.
    async fn measure(&self, memory: Memory<'_>) -> Result<Option<Hole>, SealError> {
        let before = self.position.end();
        let mut lost = Vec::new();
        let mut place = Some(before.end_offset);
        while let Some(offset) = place {
            match read_frame(self.request.file.as_ref(), offset).await {
                Ok(frame) => {
                    let count = u64::try_from(lost.len()).unwrap_or(u64::MAX);
                    let is_next = frame.header.index == before.next_index.saturating_add(count)
                        && (lost.is_empty() || frame.header.term == before.last_term);
                    return Ok(is_next.then_some(Hole { lost, next: Some(frame) }));
                }
                Err(ReadFrameError::Disk(error)) if error.kind != DiskErrorKind::Io => {
                    return Err(error.into());
                }
                Err(ReadFrameError::Disk(_) | ReadFrameError::Frame { .. }) => lost.push(offset),
            }
            place = memory.next_frame(offset.saturating_add(1));
        }
        Ok(Some(Hole { lost, next: None }))
    }

    /// Where the log stands behind a hole.
    fn end_of(&self, hole: &Hole, memory: Memory<'_>) -> Option<LogEnd> {
        let before = self.position.end();
        let count = u64::try_from(hole.lost.len()).ok()?;
        let next_index = before.next_index.checked_add(count)?;
        let end = LogEnd { next_index, ..before };
        match &hole.next {
            Some(frame) => {
                Some(LogEnd { chain: frame.header.prev_crc, end_offset: frame.offset, ..end })
            }
            None => {
                let last = memory.end()?;
                let is_last = hole.lost.last() == Some(&last.last_frame_offset);
                is_last.then_some(LogEnd { chain: last.chain, end_offset: last.end_offset, ..end })
            }
        }
    }

    /// Gives the builder what memory knows of a hole that ends with `chain`; `false` if it does not know all.
    fn fill(&mut self, hole: &Hole, chain: u32, memory: Memory<'_>) -> bool {
        let before = self.position.end();
        // Times never decrease along a log, so that of a neighbour keeps the bounds right.
        let next_time = hole.next.as_ref().and_then(append_time_ns);
        let append_time_ns = self.append_time_ns.or(next_time).unwrap_or(0);
        let mut index = before.next_index;
        for lost in hole.lost.chunks(RECALLED_FRAMES) {
            let (Some(first), Some(last)) = (lost.first(), lost.last()) else { continue };
            let known = memory.recall(*first..=*last);
            if !known.iter().map(|frame| frame.offset).eq(lost.iter().copied()) {
                return false;
            }
            for frame in &known {
                self.builder.frame(FrameFact {
                    offset: frame.offset,
                    index,
                    term: before.last_term,
                    partition: frame.partition,
                    first_sequence: frame.first_sequence,
                    append_time_ns,
                    header_crc: chain, // that of the last one; nobody asks for the others
                });
                index += 1;
                for event in &frame.events {
                    self.builder.lost_event(LostEventFact {
                        stream_id: &event.stream_id,
                        stream_version: event.version,
                        hashes: &event.hashes,
                    });
                }
            }
        }
        true
    }
}
