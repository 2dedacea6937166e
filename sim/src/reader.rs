//! Independent reader of a bucket's log, written from the tables of STORAGE.md section 3 alone.
//!
//! It shares no code with the store, so that an error in the store's own decoder cannot hide itself. It reads one
//! frame after the other from an image and stops at the first bytes that are not the next frame; what the end
//! means (clean, torn, damaged) is not its business.

use std::ops::Range;

use bytes::Bytes;

use crate::history::Seen;

/// Files of one bucket as some observer sees them.
pub trait Image {
    /// Copies bytes from `offset` of the file into `buf`, zeros beyond its end. The file's length, `None` if there
    /// is no such file.
    fn read(&self, file: &str, offset: u64, buf: &mut [u8]) -> Option<u64>;
}

/// A frame as its bytes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFrame {
    /// Segment number.
    pub segment: u64,
    /// Where it starts in the segment.
    pub offset: u64,
    /// Bytes with header and pad.
    pub len: u64,
    /// Its events; none unless it is a transaction.
    pub events: Vec<Seen>,
}

/// Why the log does not go on at some place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Bytes that are not the next frame, and no next segment.
    Nothing,
    /// A frame or segment header whose own checksum holds, but which cannot stand here.
    Wrong(String),
}

/// How far a log was read.
#[derive(Debug, Clone)]
pub struct LogReader {
    group: u16,
    segment: u64,
    offset: u64,
    next_index: u64,
    term: u64,
    chain: u32,
}

const HEADER_LEN: u64 = 4_096;
const FRAME_HEADER_LEN: usize = 64;

fn le<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let field = bytes.get(at..at + N).unwrap_or_default();
    field.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::try_from(le::<4>(bytes, at)).unwrap_or_default()
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::try_from(le::<2>(bytes, at)).unwrap_or_default()
}

fn crc(bytes: &[u8], from: usize, to: usize) -> u32 {
    crc32c::crc32c(bytes.get(from..to).unwrap_or_default())
}

impl LogReader {
    /// A reader before the first frame of `bucket`.
    pub fn new(bucket: u16) -> Self {
        Self { group: bucket + 1, segment: 1, offset: 0, next_index: 2, term: 1, chain: 0 }
    }

    /// Segment in which the next frame is expected.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// Where in the segment.
    pub fn offset(&self) -> u64 {
        self.offset.max(HEADER_LEN)
    }

    /// Reads the next frame.
    ///
    /// # Errors
    /// Why there is none; the reader then stands where it stood.
    pub fn next_frame(&mut self, image: &impl Image) -> Result<StoredFrame, End> {
        if self.offset == 0 {
            self.enter(image, self.segment)?;
        }
        match self.frame(image) {
            Err(End::Nothing) if self.offset > HEADER_LEN || self.segment > 1 => {
                let before = self.clone();
                let next = self.segment + 1;
                let entered = self.enter(image, next).and_then(|()| self.frame(image));
                if entered.is_err() {
                    *self = before;
                }
                entered
            }
            other => other,
        }
    }

    /// Checks the header of segment `number` and stands at its first frame.
    fn enter(&mut self, image: &impl Image, number: u64) -> Result<(), End> {
        let mut header = [0; 64];
        let len = image.read(&segment_name(number), 0, &mut header).ok_or(End::Nothing)?;
        if len < HEADER_LEN || le32(&header, 60) != crc(&header, 0, 60) {
            return Err(End::Nothing);
        }
        let wrong = |what: &str| Err(End::Wrong(format!("segment {number}: {what}")));
        if header.get(..8) != Some(b"SIERRSEG") || le16(&header, 8) != 1 {
            return wrong("magic or version");
        }
        if le16(&header, 12) != self.group || le::<8>(&header, 16) != number {
            return wrong("group or number");
        }
        if le::<8>(&header, 24) != self.next_index || le32(&header, 40) != self.chain {
            return wrong("it does not continue the segment before");
        }
        (self.segment, self.offset) = (number, HEADER_LEN);
        Ok(())
    }

    fn frame(&mut self, image: &impl Image) -> Result<StoredFrame, End> {
        let mut header = [0; FRAME_HEADER_LEN];
        let file = segment_name(self.segment);
        let file_len = image.read(&file, self.offset, &mut header).ok_or(End::Nothing)?;
        if header.get(..4) != Some(b"SFR1") || le32(&header, 4) != crc(&header, 8, 64) {
            return Err(End::Nothing);
        }
        let body_len = le::<4>(&header, 12);
        let padded = (body_len + 1).next_multiple_of(8);
        let len = 64 + padded;
        if self.offset + len > file_len {
            return Err(End::Nothing);
        }
        let mut body = vec![0; usize::try_from(padded).unwrap_or_default()];
        image.read(&file, self.offset + 64, &mut body);
        let pad = body.split_off(usize::try_from(body_len).unwrap_or_default());
        unmask(&mut body, header[61]);
        if crc(&body, 0, body.len()) != le32(&header, 8) || !is_pad(&pad) {
            return Err(End::Nothing);
        }
        let body = Bytes::from(body);
        let (index, term) = (le::<8>(&header, 40), le::<8>(&header, 48));
        if le32(&header, 16) != self.chain || index != self.next_index || term < self.term {
            let detail =
                format!("frame {index} of term {term} cannot follow {}", self.next_index - 1);
            return Err(End::Wrong(detail));
        }
        let events = if header[62] == 2 { events(&header, &body)? } else { Vec::new() };
        let frame = StoredFrame { segment: self.segment, offset: self.offset, len, events };
        (self.offset, self.next_index, self.term) = (self.offset + len, index + 1, term);
        self.chain = le32(&header, 4);
        Ok(frame)
    }
}

/// File name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:010}.seg")
}

/// Every byte of the pad is its length.
fn is_pad(pad: &[u8]) -> bool {
    pad.iter().all(|byte| usize::from(*byte) == pad.len())
}

fn unmask(body: &mut [u8], mask: u8) {
    if !(1..=7).contains(&mask) {
        return;
    }
    for (at, byte) in body.iter_mut().enumerate() {
        let phase = u32::try_from(at % 8).unwrap_or_default();
        let pattern = (0x9d * u32::from(mask) + 0x35 * phase + 1) & 0xff;
        *byte ^= u8::try_from(pattern).unwrap_or_default() | 1;
    }
}

/// The bytes of `range`, if all are there.
fn part(bytes: &Bytes, range: Range<usize>) -> Option<Bytes> {
    (range.start <= range.end && range.end <= bytes.len()).then(|| bytes.slice(range))
}

/// Takes the first `len` bytes off.
fn take(left: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= left.len()).then(|| left.split_to(len))
}

fn events(header: &[u8], body: &Bytes) -> Result<Vec<Seen>, End> {
    let broken = || End::Wrong("a transaction whose events do not fill its body".to_owned());
    let mut left = part(body, 24..body.len()).ok_or_else(broken)?;
    let key =
        u128::from_be_bytes(body.get(..16).and_then(|k| k.try_into().ok()).ok_or_else(broken)?);
    let mut events = Vec::new();
    for nth in 0..le::<2>(header, 22) {
        let fixed = take(&mut left, 46).ok_or_else(broken)?;
        let lens = [
            le::<1>(&fixed, 42),
            le::<1>(&fixed, 43),
            le::<2>(&fixed, 40),
            le::<4>(&fixed, 36),
            le::<4>(&fixed, 32),
        ];
        let [stream, name, extensions, metadata, payload] =
            lens.map(|len| take(&mut left, usize::try_from(len).unwrap_or(usize::MAX)));
        extensions.ok_or_else(broken)?;
        events.push(Seen {
            id: u128::from_be_bytes(
                fixed.get(..16).and_then(|id| id.try_into().ok()).ok_or_else(broken)?,
            ),
            partition: le16(header, 20),
            sequence: le::<8>(header, 24) + nth,
            version: le::<8>(&fixed, 16),
            partition_key: key,
            transaction_id: None,
            timestamp_ns: le::<8>(&fixed, 24),
            stream: stream.ok_or_else(broken)?,
            name: name.ok_or_else(broken)?,
            metadata: metadata.ok_or_else(broken)?,
            payload: payload.ok_or_else(broken)?,
        });
    }
    if left.is_empty() { Ok(events) } else { Err(broken()) }
}
