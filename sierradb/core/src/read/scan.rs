//! Reading a stream or a partition, both ways, in bounded batches.
//!
//! The end of a range is fixed once, at the start: nothing above it is returned however long the scan takes, and
//! everything below it exists for ever. Versions and sequences are gapless, so whether more follows is known without
//! reading it.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use sierradb_protocol::{PartitionId, StreamId};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::ReadError;
use crate::event::{Direction, EventBatch, EventRecord, ReadRange};
use crate::index::lookup::{Damage, Place, SealedSegment, Shelf, overlap};
use crate::limits::SCAN_CHUNK_EVENTS;
use crate::read::ahead::fetch_ahead;
use crate::segment::event_codec::{
    EventError, EventView, decode_event, decode_transaction, event_keys,
};
use crate::segment::extension;
use crate::segment::frame::Frame;

/// What is scanned.
#[derive(Clone, Copy)]
enum Source<'a> {
    Stream { partition: u16, id: &'a StreamId },
    Partition { partition: u16 },
}

/// A non-empty range, both ends included.
#[derive(Clone, Copy)]
struct Window {
    first: u64,
    last: u64,
}

/// What was read so far, and when to stop.
struct Collector {
    range: ReadRange,
    events: Vec<EventRecord>,
    bytes: usize,
    /// Set once a limit is reached.
    is_full: bool,
}

/// Events of a stream by version.
pub(crate) async fn read_stream(
    shelf: &Shelf,
    partition: PartitionId,
    stream_id: &StreamId,
    range: ReadRange,
) -> Result<EventBatch, ReadError> {
    let (live, damage, sealed) = {
        let segments = shelf.read();
        let live = segments.live_head(partition.get(), stream_id);
        (live, segments.damage.clone(), segments.sealed.clone())
    };
    let head = match live {
        Some(head) => Some(head),
        None => shelf.sealed_head(&sealed, partition.get(), stream_id).await?.head,
    };
    let next = head.map_or(0, |head| head.next_version);
    let source = Source::Stream { partition: partition.get(), id: stream_id };
    scan(shelf, source, range, next, damage).await
}

/// Events of a partition by sequence.
pub(crate) async fn read_partition(
    shelf: &Shelf,
    partition: PartitionId,
    range: ReadRange,
) -> Result<EventBatch, ReadError> {
    let (next, damage) = shelf.end_of_partition(partition);
    scan(shelf, Source::Partition { partition: partition.get() }, range, next, damage).await
}

async fn scan(
    shelf: &Shelf,
    source: Source<'_>,
    range: ReadRange,
    next: u64,
    damage: Option<Damage>,
) -> Result<EventBatch, ReadError> {
    // Behind damage there may be more of this range: a scan that would end there must not look complete.
    let hides_more = damage.filter(|_| range.end >= next && range.start <= range.end);
    let window = match (window_of(range, next), &hides_more) {
        // A backward scan begins behind the damage: what lies before it is not the newest.
        (Some(_), Some(damage)) if range.direction == Direction::Backward => {
            return Err(shelf.damaged(damage));
        }
        (Some(window), _) => window,
        (None, Some(damage)) => return Err(shelf.damaged(damage)),
        (None, None) => return Ok(EventBatch { events: Vec::new(), has_more: false }),
    };
    let expected = usize::try_from(window.last - window.first).unwrap_or(usize::MAX);
    let expected = expected.saturating_add(1).min(range.max_events).min(SCAN_CHUNK_EVENTS);
    let events = Vec::with_capacity(expected);
    let mut out = Collector { range, events, bytes: 0, is_full: range.max_events == 0 };
    let mut left = Some(window);
    while let Some(window) = left.filter(|_| !out.is_full) {
        let (chunk, rest) = split(window, out.room(), range.direction);
        match read_chunk(shelf, source, chunk, &mut out).await {
            Ok(read) => left = after(chunk, rest, read, range.direction),
            Err(error) if out.events.is_empty() => return Err(error),
            Err(_) => return Ok(EventBatch { events: out.events, has_more: true }),
        }
    }
    let has_more = hides_more.is_some() || out.has_more(source, window);
    Ok(EventBatch { events: out.events, has_more })
}

fn window_of(range: ReadRange, next: u64) -> Option<Window> {
    let last = range.end.min(next.checked_sub(1)?);
    (range.start <= last).then_some(Window { first: range.start, last })
}

/// The next chunk on the reader's side of the window, and what remains behind it.
fn split(window: Window, room: usize, direction: Direction) -> (Window, Option<Window>) {
    let size = u64::try_from(room.min(SCAN_CHUNK_EVENTS)).unwrap_or(1).max(1);
    match direction {
        Direction::Forward => {
            let last = window.last.min(window.first.saturating_add(size - 1));
            let rest = (last < window.last).then(|| Window { first: last + 1, ..window });
            (Window { last, ..window }, rest)
        }
        Direction::Backward => {
            let first = window.first.max(window.last.saturating_sub(size - 1));
            let rest = (first > window.first).then(|| Window { last: first - 1, ..window });
            (Window { first, ..window }, rest)
        }
    }
}

/// What remains after `read` events of `chunk`: a segment may have ended inside it.
fn after(chunk: Window, rest: Option<Window>, read: u64, direction: Direction) -> Option<Window> {
    let len = chunk.last - chunk.first + 1;
    if read >= len {
        return rest;
    }
    Some(match direction {
        Direction::Forward => {
            Window { first: chunk.first + read, last: rest.map_or(chunk.last, |rest| rest.last) }
        }
        Direction::Backward => {
            Window { first: rest.map_or(chunk.first, |rest| rest.first), last: chunk.last - read }
        }
    })
}

/// Reads a chunk, or that part of it on the reader's side that one segment holds. Returns how many of its events.
async fn read_chunk(
    shelf: &Shelf,
    source: Source<'_>,
    chunk: Window,
    out: &mut Collector,
) -> Result<u64, ReadError> {
    let mut places = places_of(shelf, source, chunk, out.range.direction).await?;
    if out.range.direction == Direction::Backward {
        places.reverse();
    }
    fetch_ahead(&mut places);
    let read = u64::try_from(places.len()).unwrap_or(u64::MAX);
    let mut frame: Option<Decoded> = None;
    for place in &places {
        if out.is_full {
            break;
        }
        let mut decoded = match frame.take() {
            Some(decoded) if decoded.is_at(place) => decoded,
            _ => decode(shelf, source, place).await.map_err(|error| at(error, source, place))?,
        };
        match decoded.take(place.position) {
            Some(record) => out.push(record),
            None => return Err(misplaced(shelf, source, place)),
        }
        frame = Some(decoded);
    }
    Ok(read)
}

/// Places of the chunk, ascending, as far as the segment on the reader's side has them; at least one.
async fn places_of(
    shelf: &Shelf,
    source: Source<'_>,
    chunk: Window,
    direction: Direction,
) -> Result<Vec<Place>, ReadError> {
    let anchor = match direction {
        Direction::Forward => chunk.first,
        Direction::Backward => chunk.last,
    };
    let wanted = chunk.first..=chunk.last;
    let sealed = {
        let segments = shelf.read();
        let live = match source {
            Source::Stream { partition, id } => {
                segments.live_stream_places(partition, id, anchor, wanted.clone())
            }
            Source::Partition { partition } => {
                segments.live_partition_places(partition, anchor, wanted.clone())
            }
        };
        if let Some(places) = live {
            return Ok(places);
        }
        segments.sealed.clone()
    };
    for segment in sealed.iter().rev() {
        if let Some(places) = sealed_places(shelf, segment, source, anchor, &wanted).await? {
            return Ok(places);
        }
    }
    Err(ReadError::Damaged {
        bucket_id: shelf.bucket_id(),
        segment: sealed.last().map_or(0, |segment| segment.file.number),
        offset: 0,
        cause: format!("no index knows position {anchor} of {}", describe(source)),
    })
}

async fn sealed_places(
    shelf: &Shelf,
    segment: &Arc<SealedSegment>,
    source: Source<'_>,
    anchor: u64,
    wanted: &RangeInclusive<u64>,
) -> Result<Option<Vec<Place>>, ReadError> {
    let failed = |error| shelf.index_error(&segment.file, &error);
    let (start, offsets) = match source {
        Source::Stream { partition, id } => {
            let found = shelf.sealed_stream(segment, partition, id, Some(anchor)).await?;
            let Some((entry, _)) = found else { return Ok(None) };
            let found = nth_of(entry.versions(), anchor, wanted);
            let Some((start, nth, count)) = found else { return Ok(None) };
            (start, segment.index.stream_offsets(&entry, nth, count).await.map_err(failed)?)
        }
        Source::Partition { partition } => {
            let Some(entry) = segment.index.partition(partition) else { return Ok(None) };
            let found = nth_of(entry.sequences(), anchor, wanted);
            let Some((start, nth, count)) = found else { return Ok(None) };
            (start, segment.index.partition_offsets(&entry, nth, count).await.map_err(failed)?)
        }
    };
    let file = &segment.file;
    let place = |(offset, position)| Place { file: file.clone(), offset, position, bytes: None };
    Ok(Some(offsets.into_iter().zip(start..).map(place).collect()))
}

/// As [`overlap`], counted from the start of the run.
fn nth_of(run: Range<u64>, anchor: u64, wanted: &RangeInclusive<u64>) -> Option<(u64, u32, u32)> {
    let (start, count) = overlap(run.clone(), anchor, wanted)?;
    Some((start, u32::try_from(start - run.start).ok()?, u32::try_from(count).ok()?))
}

fn describe(source: Source<'_>) -> String {
    match source {
        Source::Stream { partition, id } => {
            format!("stream '{}' of partition {partition}", id.as_str())
        }
        Source::Partition { partition } => format!("partition {partition}"),
    }
}

/// Names what was wanted of a frame that cannot be read.
fn at(error: ReadError, source: Source<'_>, place: &Place) -> ReadError {
    match error {
        ReadError::Damaged { bucket_id, segment, offset, cause } => {
            let cause = format!("position {} of {}: {cause}", place.position, describe(source));
            ReadError::Damaged { bucket_id, segment, offset, cause }
        }
        ReadError::Disk { .. } | ReadError::NoSuchPartition { .. } => error,
    }
}

fn misplaced(shelf: &Shelf, source: Source<'_>, place: &Place) -> ReadError {
    let (segment, offset) = (place.file.number, place.offset);
    let cause =
        format!("the frame does not hold position {} of {}", place.position, describe(source));
    shelf.note_damage(segment, offset, &cause);
    ReadError::Damaged { bucket_id: shelf.bucket_id(), segment, offset, cause }
}

/// A frame whose events of one source are decoded, once for all that are wanted of it.
struct Decoded {
    segment: u64,
    frame: Frame,
    partition_key: Uuid,
    transaction_id: Uuid,
    /// Version or sequence of the first of `events`; the others follow without a gap.
    first_position: u64,
    /// Each is taken once.
    events: Vec<Option<EventView>>,
}

async fn decode(shelf: &Shelf, source: Source<'_>, place: &Place) -> Result<Decoded, ReadError> {
    let frame = shelf.frame(place).await?;
    let failed = |error: EventError| shelf.frame_error(&place.file, place.offset, &error);
    let view = decode_transaction(&frame).map_err(failed)?;
    let mut decoded = Decoded {
        segment: place.file.number,
        partition_key: view.partition_key,
        transaction_id: Uuid::nil(),
        first_position: frame.header.first_sequence,
        events: Vec::with_capacity(usize::from(frame.header.event_count)),
        frame: frame.clone(),
    };
    for event in view.events() {
        let event = event.map_err(failed)?;
        if event.position == 0 {
            decoded.transaction_id =
                transaction_id(frame.header.partition, event.event_id, &event.extensions);
        }
        if !event.extensions.is_empty() {
            extension::check_readable(&event.extensions)
                .map_err(|error| shelf.unreadable(&place.file, place.offset, &error))?;
        }
        decoded.keep(source, event);
    }
    Ok(decoded)
}

impl Decoded {
    fn is_at(&self, place: &Place) -> bool {
        self.segment == place.file.number && self.frame.offset == place.offset
    }

    fn keep(&mut self, source: Source<'_>, event: EventView) {
        match source {
            Source::Partition { partition } if partition == self.frame.header.partition => {}
            Source::Stream { partition, id }
                if partition == self.frame.header.partition && event.stream_id == id.as_bytes() =>
            {
                if self.events.is_empty() {
                    self.first_position = event.stream_version;
                }
            }
            Source::Partition { .. } | Source::Stream { .. } => return,
        }
        self.events.push(Some(event));
    }

    fn take(&mut self, position: u64) -> Option<EventRecord> {
        let nth = usize::try_from(position.checked_sub(self.first_position)?).ok()?;
        let view = self.events.get_mut(nth)?.take()?;
        Some(record(&self.frame, (self.partition_key, self.transaction_id), view))
    }
}

fn record(
    frame: &Frame,
    (partition_key, transaction_id): (Uuid, Uuid),
    view: EventView,
) -> EventRecord {
    EventRecord {
        event_id: view.event_id,
        partition_key,
        partition_id: PartitionId::new(frame.header.partition),
        transaction_id,
        partition_sequence: frame.header.first_sequence + u64::from(view.position),
        stream_version: view.stream_version,
        timestamp_ns: view.timestamp_ns,
        stream_id: view.stream_id,
        event_name: view.name,
        metadata: view.metadata,
        payload: view.payload,
        extensions: view.extensions,
    }
}

/// The record of `event_id` in a frame that holds it. Only that event and the first one are looked into.
pub(crate) fn record_of(frame: &Frame, event_id: Uuid) -> Result<Option<EventRecord>, EventError> {
    let (partition_key, events) = event_keys(frame)?;
    let mut first = None;
    for event in events {
        let event = event?;
        let first = *first.get_or_insert(event);
        if event.event_id != event_id {
            continue;
        }
        let view = decode_event(frame, event.position)?;
        let refused = |source| EventError::Extensions { position: event.position, source };
        extension::check_readable(&view.extensions).map_err(refused)?;
        let transaction_id =
            transaction_id(frame.header.partition, first.event_id, first.extensions);
        return Ok(Some(record(frame, (partition_key, transaction_id), view)));
    }
    Ok(None)
}

/// The id that a transaction was given, or a hash of its partition and first event id in the shape of a version 8
/// UUID: equal for all its events, and for no others, since an event id is used once per partition.
fn transaction_id(partition: u16, first_event_id: Uuid, first_extensions: &[u8]) -> Uuid {
    if let Ok(Some(given)) = extension::transaction_id(first_extensions) {
        return given;
    }
    let mut key = [0u8; 18];
    let (number, id) = key.split_at_mut(2);
    number.copy_from_slice(&partition.to_le_bytes());
    id.copy_from_slice(first_event_id.as_bytes());
    uuid::Builder::from_custom_bytes(xxh3_128(&key).to_be_bytes()).into_uuid()
}

impl Collector {
    fn room(&self) -> usize {
        self.range.max_events.saturating_sub(self.events.len())
    }

    fn push(&mut self, record: EventRecord) {
        let bytes = record.data_len();
        if !self.events.is_empty() && self.bytes.saturating_add(bytes) > self.range.max_bytes {
            self.is_full = true;
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.events.push(record);
        self.is_full = self.events.len() >= self.range.max_events;
    }

    fn has_more(&self, source: Source<'_>, window: Window) -> bool {
        let Some(last) = self.events.last() else { return true };
        let position = match source {
            Source::Stream { .. } => last.stream_version,
            Source::Partition { .. } => last.partition_sequence,
        };
        match self.range.direction {
            Direction::Forward => position < window.last,
            Direction::Backward => position > window.first,
        }
    }
}
