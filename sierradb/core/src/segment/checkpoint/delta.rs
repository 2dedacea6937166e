//! What the live index learned from a stretch of log, so that a start need not read that stretch again.
//!
//! Header of 28 B, little endian, then the body:
//!
//! | Off | Size | Field | | Off | Size | Field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 4 | length of the body | | 16 | 4 | offset/8 behind the last frame |
//! | 4 | 4 | CRC32C of the other fields and the body | | 20 | 4 | header checksum of the last frame |
//! | 8 | 4 | first ordinal | | 24 | 4 | offset/8 of the last frame |
//! | 12 | 4 | events | | 28 | … | body |
//!
//! Body, numbers as LEB128 unless fixed:
//! * per transaction frame `distance · 2 + more`: distance to the transaction frame before it in this delta, to 0 for
//!   the first, in units of 8 B. With `more` = 0 it is one event without idempotency key in a partition seen before;
//!   else `events · 4 + new partition · 2 + has idempotency key` follows, then the first sequence if the partition is
//!   new in the segment, then the key hash (4 B) if the first event has one;
//! * per event: id hash (4 B), stream number + 1; or 0 for a stream new in the segment, with partition, id length
//!   (1 B), id, `first version · 2 + has chosen key`, the chosen partition key (16 B) if it has one.
//!
//! Streams are numbered through the whole segment, so deltas are read in order. The partition of a frame is that of
//! its streams; sequences and versions follow from gaplessness.
//!
//! About 8 B per event and 25 B per new stream.

use bytes::{Buf, BufMut, Bytes};
use sierradb_protocol::id::default_partition_key;
use uuid::Uuid;

use super::PAGE_LEN;
use super::witness::RING_OFFSET;
use crate::index::live::{LastFrame, LiveFrame, LiveIndex, RecalledEvent, RecalledStream};
use crate::index::streams::{NewStream, StreamRef};

/// Where the first delta starts in the file: behind header and witness ring.
pub(crate) const FIRST_OFFSET: u64 = 8_192;

const _: () = assert!(FIRST_OFFSET == RING_OFFSET + PAGE_LEN as u64, "the ring is one page");

/// Bytes before the body.
pub(crate) const HEADER_LEN: usize = 28;

/// Bytes of length and checksum: the rest of the header is checked like the body.
const CHECKED_FROM: usize = 8;

/// Offsets of frames are counted in units of this.
const FRAME_ALIGN: u64 = 8;

/// Sequences and versions of a segment start below this: then adding the events of a segment cannot overflow.
const MAX_FIRST: u64 = u64::MAX >> 2;

/// Where the log stands behind a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// Where the last frame starts. It need not be a transaction.
    pub(crate) last_frame_offset: u64,
    /// Where it ends.
    pub(crate) end_offset: u64,
    /// Its header checksum.
    pub(crate) chain: u32,
}

/// Collects a delta, frame by frame, as the live index grows.
#[derive(Debug)]
pub(crate) struct DeltaBuilder {
    first_ordinal: u32,
    events: u32,
    known_streams: u32,
    last_frame: u32,
    body: Vec<u8>,
}

impl DeltaBuilder {
    /// A builder for whatever `index` learns from now on.
    pub(crate) fn new(index: &LiveIndex) -> Self {
        Self {
            first_ordinal: index.len(),
            events: 0,
            known_streams: index.stream_count(),
            last_frame: 0,
            body: Vec::new(),
        }
    }

    /// Adds the frame that was just pushed to `index`.
    ///
    /// # Panics
    /// If `index` has learned anything else since, or an event other than the first has an idempotency key.
    pub(crate) fn push_frame(&mut self, index: &LiveIndex, frame: LiveFrame) {
        let LastFrame { events, is_first_of_partition } = index.last_frame();
        let count = u32::try_from(events.len()).expect("a frame has at most 65535 events");
        assert_eq!(self.first_ordinal + self.events + count, index.len(), "every frame, in order");
        self.events += count;
        let row_frame = u32::try_from(frame.offset / FRAME_ALIGN).expect("checked by the index");
        let distance = u64::from(row_frame - self.last_frame);
        self.last_frame = row_frame;
        let key_hash = events.first().and_then(|first| first.key_hash);
        let is_new_partition = *is_first_of_partition;
        let more = count > 1 || key_hash.is_some() || is_new_partition;
        put_flagged(&mut self.body, distance, more);
        if more {
            let shape = u64::from(count) * 2 + u64::from(is_new_partition);
            put_flagged(&mut self.body, shape, key_hash.is_some());
        }
        if is_new_partition {
            put_varint(&mut self.body, frame.first_sequence);
        }
        if let Some(key_hash) = key_hash {
            self.body.put_u32_le(key_hash);
        }
        for (nth, event) in events.iter().enumerate() {
            assert!(nth == 0 || event.key_hash.is_none(), "only first events have keys");
            self.body.extend_from_slice(&event.id_hash.to_le_bytes());
            if event.stream.0 < self.known_streams {
                put_varint(&mut self.body, u64::from(event.stream.0) + 1);
            } else {
                self.put_new_stream(index, event.stream);
            }
        }
    }

    /// Events collected.
    pub(crate) const fn len(&self) -> u32 {
        self.events
    }

    /// Bytes of the delta as it stands.
    pub(crate) const fn encoded_len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// The delta of everything up to `end`. The builder goes on with what follows.
    pub(crate) fn finish(&mut self, end: LogPosition) -> Bytes {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        bytes.put_u32_le(u32::try_from(self.body.len()).expect("a delta is far below 4 GiB"));
        let aligned = |offset: u64| {
            u32::try_from(offset / FRAME_ALIGN).expect("a segment has at most 10 GiB")
        };
        let mut checked = Vec::with_capacity(HEADER_LEN - CHECKED_FROM);
        checked.put_u32_le(self.first_ordinal);
        checked.put_u32_le(self.events);
        checked.put_u32_le(aligned(end.end_offset));
        checked.put_u32_le(end.chain);
        checked.put_u32_le(aligned(end.last_frame_offset));
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes), &checked);
        bytes.put_u32_le(crc32c::crc32c_append(crc, &self.body));
        bytes.extend_from_slice(&checked);
        bytes.append(&mut self.body);
        self.first_ordinal += self.events;
        self.events = 0;
        self.last_frame = 0;
        Bytes::from(bytes)
    }

    fn put_new_stream(&mut self, index: &LiveIndex, stream: StreamRef) {
        assert_eq!(stream.0, self.known_streams, "new streams are numbered in order");
        self.known_streams += 1;
        let (partition, id) = index.stream_name(stream).expect("the frame was pushed");
        put_varint(&mut self.body, 0);
        put_varint(&mut self.body, u64::from(partition));
        self.body.put_u8(u8::try_from(id.len()).expect("checked by the index"));
        self.body.extend_from_slice(id);
        let key = index.chosen_key(stream);
        let first_version = index.first_version(stream).expect("the frame was pushed");
        put_flagged(&mut self.body, first_version, key.is_some());
        if let Some(key) = key {
            self.body.extend_from_slice(key.as_bytes());
        }
    }
}

/// A delta whose bytes are as they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delta<'a> {
    pub(crate) first_ordinal: u32,
    pub(crate) events: u32,
    pub(crate) end: LogPosition,
    body: &'a [u8],
}

/// Why bytes are not the next delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeltaError {
    #[error("delta needs {needed} bytes, {available} are there")]
    Short { needed: usize, available: usize },
    #[error("delta: checksum {actual:#010x}, stored {stored:#010x}")]
    Checksum { stored: u32, actual: u32 },
    #[error("delta starts at event {found} of the segment, expected {expected}")]
    Order { found: u32, expected: u32 },
    #[error("delta contradicts itself or those before it: {what}, {left} bytes before its end")]
    Content { what: &'static str, left: usize },
}

impl<'a> Delta<'a> {
    /// Checks the delta at the start of `bytes`.
    ///
    /// # Errors
    /// If it is cut short or any bit of it differs from what was written: then it and all behind it are of no use.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, DeltaError> {
        let short = |needed| DeltaError::Short { needed, available: bytes.len() };
        let (mut header, rest) =
            bytes.split_at_checked(HEADER_LEN).ok_or_else(|| short(HEADER_LEN))?;
        let (len, checked) = header.split_at(size_of::<u32>());
        let body_len = header.get_u32_le() as usize;
        let stored = header.get_u32_le();
        let body =
            rest.get(..body_len).ok_or_else(|| short(HEADER_LEN.saturating_add(body_len)))?;
        let checked = checked.split_at(CHECKED_FROM - size_of::<u32>()).1;
        let actual = crc32c::crc32c_append(crc32c::crc32c(len), checked);
        let actual = crc32c::crc32c_append(actual, body);
        if stored != actual {
            return Err(DeltaError::Checksum { stored, actual });
        }
        let (first_ordinal, events) = (header.get_u32_le(), header.get_u32_le());
        let end_offset = u64::from(header.get_u32_le()) * FRAME_ALIGN;
        let chain = header.get_u32_le();
        let last_frame_offset = u64::from(header.get_u32_le()) * FRAME_ALIGN;
        let end = LogPosition { last_frame_offset, end_offset, chain };
        Ok(Self { first_ordinal, events, end, body })
    }

    /// Bytes from the start of this delta to the next one.
    pub(crate) const fn encoded_len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Feeds `index`, which must hold exactly what the deltas before this one taught it.
    ///
    /// # Errors
    /// If the content does not fit `index`. The index may have learned a part of it: throw it away and scan the segment.
    pub(crate) fn apply(&self, index: &mut LiveIndex) -> Result<(), DeltaError> {
        if self.first_ordinal != index.len() {
            let (found, expected) = (self.first_ordinal, index.len());
            return Err(DeltaError::Order { found, expected });
        }
        let mut reader = Reader { left: self.body, index, last_frame: 0 };
        let mut events = Vec::new();
        while !reader.left.is_empty() {
            let frame = reader.frame(&mut events)?;
            reader
                .require(frame.offset <= self.end.last_frame_offset, "a frame behind the last")?;
            reader.index.push_recalled(frame, &events);
        }
        let read = reader.index.len() - self.first_ordinal;
        reader.require(read == self.events, "another number of events than it says")?;
        reader.require(
            self.end.last_frame_offset < self.end.end_offset,
            "an end before its last frame",
        )
    }
}

/// Reads the frames of a delta. Whatever the index would assert is an error here.
struct Reader<'a, 'i> {
    left: &'a [u8],
    index: &'i mut LiveIndex,
    last_frame: u64,
}

impl<'a> Reader<'a, '_> {
    fn frame(&mut self, events: &mut Vec<RecalledEvent<'a>>) -> Result<LiveFrame, DeltaError> {
        events.clear();
        let (distance, more) = self.flagged()?;
        let offset = self.offset(distance)?;
        let (shape, has_key) = if more { self.flagged()? } else { (2, false) };
        let (count, is_new_partition) = (shape / 2, shape % 2 == 1);
        self.require((1..=u64::from(u16::MAX)).contains(&count), "a frame without events")?;
        let given_sequence = if is_new_partition { Some(self.varint()?) } else { None };
        let mut key_hash = if has_key { Some(self.u32()?) } else { None };
        let mut partition = None;
        let mut partition_key = Uuid::nil();
        let mut next_stream = self.index.stream_count();
        for _ in 0..count {
            let id_hash = self.u32()?;
            let stream = self.stream(&mut partition, next_stream, events)?;
            if let RecalledStream::New(new) = stream {
                next_stream += 1;
                partition_key = new.partition_key;
            }
            events.push(RecalledEvent { id_hash, stream, key_hash: key_hash.take() });
        }
        let partition = partition.ok_or_else(|| self.error("no partition"))?;
        let span = self.index.partition_span(partition);
        let expected_sequence = span.map(|span| span.next_sequence);
        self.require(span.is_none() == is_new_partition, "a partition both new and known")?;
        let first_sequence =
            given_sequence.or(expected_sequence).ok_or_else(|| self.error("no sequence"))?;
        self.require(first_sequence <= MAX_FIRST || !is_new_partition, "a sequence out of range")?;
        Ok(LiveFrame { offset, partition, first_sequence, partition_key })
    }

    fn offset(&mut self, distance: u64) -> Result<u64, DeltaError> {
        self.last_frame = self.last_frame.saturating_add(distance);
        let offset = self.last_frame.saturating_mul(FRAME_ALIGN);
        let before = self.index.len().checked_sub(1).and_then(|last| self.index.frame_offset(last));
        let is_next = before < Some(offset) && u32::try_from(self.last_frame).is_ok();
        self.require(is_next, "offsets that do not ascend")?;
        Ok(offset)
    }

    /// The stream of the next event. `next_stream` is the number that a new one gets.
    fn stream(
        &mut self,
        partition: &mut Option<u16>,
        next_stream: u32,
        before: &[RecalledEvent<'a>],
    ) -> Result<RecalledStream<'a>, DeltaError> {
        let (stream, in_partition) = match self.varint()?.checked_sub(1) {
            Some(number) => {
                let stream = u32::try_from(number).ok().filter(|number| *number < next_stream);
                let stream = StreamRef(stream.ok_or_else(|| self.error("an unknown stream"))?);
                // One that is new in this frame was checked when it came.
                let known = self.index.stream_name(stream).map(|(partition, _)| partition);
                (RecalledStream::Known(stream), known.or(*partition))
            }
            None => {
                let new = self.new_stream()?;
                let is_known = self.index.stream(new.partition, new.id).is_some()
                    || before.iter().any(|event| event.stream.is_new_named(new.id));
                self.require(!is_known, "a new stream that is known")?;
                (RecalledStream::New(new), Some(new.partition))
            }
        };
        self.require(
            partition.is_none_or(|_| *partition == in_partition),
            "a frame in two partitions",
        )?;
        *partition = in_partition;
        Ok(stream)
    }

    fn new_stream(&mut self) -> Result<NewStream<'a>, DeltaError> {
        let partition = self.varint()?;
        let partition =
            u16::try_from(partition).map_err(|_| self.error("a partition above 65535"))?;
        let [id_len] = self.array()?;
        let id = self.bytes(usize::from(id_len))?;
        self.require(!id.is_empty(), "an empty stream id")?;
        let (first_version, has_key) = self.flagged()?;
        self.require(first_version <= MAX_FIRST, "a version out of range")?;
        let partition_key =
            if has_key { Uuid::from_bytes(self.array()?) } else { default_partition_key(id) };
        Ok(NewStream { partition, id, first_version, partition_key })
    }

    fn flagged(&mut self) -> Result<(u64, bool), DeltaError> {
        let value = self.varint()?;
        Ok((value >> 1, value & 1 == 1))
    }

    fn varint(&mut self) -> Result<u64, DeltaError> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            self.require(bits << shift >> shift == bits, "a number above 64 bits")?;
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("a number without end"))
    }

    fn u32(&mut self) -> Result<u32, DeltaError> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DeltaError> {
        let (array, left) = self.left.split_first_chunk().ok_or_else(|| self.error("cut short"))?;
        self.left = left;
        Ok(*array)
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], DeltaError> {
        let (bytes, left) =
            self.left.split_at_checked(len).ok_or_else(|| self.error("cut short"))?;
        self.left = left;
        Ok(bytes)
    }

    fn require(&self, holds: bool, what: &'static str) -> Result<(), DeltaError> {
        if holds { Ok(()) } else { Err(self.error(what)) }
    }

    fn error(&self, what: &'static str) -> DeltaError {
        DeltaError::Content { what, left: self.left.len() }
    }
}

impl RecalledStream<'_> {
    fn is_new_named(&self, id: &[u8]) -> bool {
        match self {
            Self::Known(_) => false,
            Self::New(new) => new.id == id,
        }
    }
}

/// LEB128: seven bits a byte, lowest first, the highest bit of all but the last set.
#[inline]
fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut left = value;
    while left >= 0x80 {
        out.push(u8::try_from(left & 0x7f).unwrap_or(0) | 0x80);
        left >>= 7;
    }
    out.push(u8::try_from(left).unwrap_or(0));
}

fn put_flagged(out: &mut Vec<u8>, value: u64, flag: bool) {
    assert!(value <= u64::MAX >> 1, "a value below 2^63 leaves room for a flag: {value}");
    put_varint(out, (value << 1) | u64::from(flag));
}

#[cfg(test)]
mod tests;
