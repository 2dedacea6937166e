//! One log entry on disk: a header of 64 bytes, a body, 1 to 8 pad bytes.
//!
//! A [`LogEntry`] is what a leader chooses; [`encode`] adds what every node derives for itself from the place of
//! the frame (index, term, the checksum of the frame before, file position), hence the same bytes everywhere.
//! The header carries two checksums, so that with a good header and a bad body a node still knows which entry it
//! had. `prev_crc` chains the headers: a stale frame left behind by an earlier log never fits in.
//!
//! | Off | Size | Field | | Off | Size | Field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 4 | magic `SFR1` | | 32 | 8 | commit hint |
//! | 4 | 4 | CRC-32C of bytes 8..64 | | 40 | 8 | log index |
//! | 8 | 4 | CRC-32C of the body before masking | | 48 | 8 | term, from 1 |
//! | 12 | 4 | body length without pad | | 56 | 4 | 0, or body length before compression |
//! | 16 | 4 | header CRC of the frame before | | 60 | 1 | codec, 0 |
//! | 20 | 2 | partition | | 61 | 1 | mask: 0, 1..=7 or 255 |
//! | 22 | 2 | event count | | 62 | 1 | kind |
//! | 24 | 8 | first sequence | | 63 | 1 | frame version 1 |
//!
//! Little endian. Frames start at multiples of 8; every byte of the pad is its length, so
//! that a pad alone in a sector is still far from zero. A log entry between
//! nodes is a CRC-32C of its fields, the fields that the leader chose in table order, its kind, then the body.
//!
//! Invariant: no slice that a sector border cuts out of a written frame is all zero, unless its mask is 255.

mod entry;
mod error;
mod kind;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sierradb_io::{Io, MutantFlag, mutant_flag};

pub(crate) use self::entry::LogEntry;
pub(crate) use self::error::FrameError;
pub(crate) use self::kind::FrameKind;
use super::mask;

/// Bytes of a frame header.
pub(crate) const FRAME_HEADER_LEN: usize = 64;

/// Bytes of magic and checksum: the header's checksum is that of the rest.
const CHECKED_FROM: usize = 8;

/// Frames start at multiples of this.
pub(crate) const FRAME_ALIGN: u64 = 8;

/// What a device writes whole or not at all, by file offset.
pub(crate) const SECTOR: u64 = 512;

/// First bytes of every frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"SFR1";

/// The only frame version so far.
const FRAME_VERSION: u8 = 1;

/// The only codec written so far: the body is not compressed.
const CODEC_NONE: u8 = 0;

/// Pads by their length less one.
const PADS: [&[u8]; 8] = [&[1], &[2; 2], &[3; 3], &[4; 4], &[5; 5], &[6; 6], &[7; 7], &[8; 8]];

const _: () = assert!((FRAME_HEADER_LEN as u64).is_multiple_of(FRAME_ALIGN));
const _: () = assert!(SECTOR.is_multiple_of(FRAME_ALIGN));
const _: () = assert!(PADS.len() as u64 == FRAME_ALIGN);
const _: () = assert!(FRAME_HEADER_LEN - CHECKED_FROM == 7 * size_of::<u64>());

/// Bytes that a body of `body_len` occupies as a frame.
pub(crate) const fn frame_len(body_len: u32) -> u64 {
    // Always at least one pad byte, so that the last byte of a frame is never zero. Widening, `const` has no `from`.
    ((FRAME_HEADER_LEN as u64 + body_len as u64) / FRAME_ALIGN + 1) * FRAME_ALIGN
}

/// Pad behind a body of `body_len` bytes.
pub(super) fn pad_for(body_len: usize) -> &'static [u8] {
    // The header is a multiple of 8, so only the body decides.
    PADS.get(7 - body_len % 8).copied().unwrap_or_default()
}

fn check_body(body: &[u8], stored: u32) -> Result<(), FrameError> {
    let actual = crc32c::crc32c(body);
    if stored == actual { Ok(()) } else { Err(FrameError::BodyChecksum { stored, actual }) }
}

/// Where in the log an entry is put: all that a node derives for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramePlace {
    /// Log index.
    pub(crate) index: u64,
    /// Term, from 1.
    pub(crate) term: u64,
    /// Header CRC of the frame before, across segments; 0 for the first of a log.
    pub(crate) prev_crc: u32,
    /// File offset, a multiple of [`FRAME_ALIGN`].
    pub(crate) offset: u64,
}

/// A frame ready to be written at its offset.
#[derive(Debug, Clone)]
pub(crate) struct EncodedFrame<'a> {
    /// Header bytes.
    pub(crate) header: [u8; FRAME_HEADER_LEN],
    /// CRC of the header: `prev_crc` of the next frame.
    pub(crate) header_crc: u32,
    /// Body as stored.
    pub(crate) body: StoredBody<'a>,
    /// Pad, 1 to 8 bytes.
    pub(crate) pad: &'static [u8],
    /// Bytes of header, body and pad.
    pub(crate) len: u64,
}

/// A body as it lies in the segment.
#[derive(Debug, Clone)]
pub(crate) enum StoredBody<'a> {
    /// The entry's own.
    AsMade(&'a Bytes),
    /// Masked: as made, it could be taken for frames.
    Masked(Bytes),
}

impl StoredBody<'_> {
    fn bytes(&self) -> &Bytes {
        match self {
            Self::AsMade(bytes) => bytes,
            Self::Masked(bytes) => bytes,
        }
    }
}

impl EncodedFrame<'_> {
    /// Appends the whole frame to `out`.
    pub(crate) fn copy_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header);
        out.extend_from_slice(self.body.bytes());
        out.extend_from_slice(self.pad);
    }

    /// The frame as buffers of one vectored write; the body is not copied.
    pub(crate) fn chunks(self) -> [Bytes; 3] {
        let body = self.body.bytes().clone();
        [Bytes::copy_from_slice(&self.header), body, Bytes::from_static(self.pad)]
    }
}

/// Makes the frame of `entry` at `place`; its body stays where it is.
///
/// # Panics
/// If the body no longer has its checksum (memory went bad since the entry was made), or the place is impossible.
pub(crate) fn encode(entry: &LogEntry, place: FramePlace) -> EncodedFrame<'_> {
    assert_intact(&entry.body, entry, place);
    let chosen = mask::choose(&entry.body, place.offset);
    let body = match chosen {
        mask::NO_MASK | mask::NONE_HELPS => StoredBody::AsMade(&entry.body),
        pattern => {
            let mut stored = BytesMut::from(entry.body.as_ref());
            mask::apply(pattern, &mut stored);
            StoredBody::Masked(stored.freeze())
        }
    };
    let mut header = [0; FRAME_HEADER_LEN];
    let header_crc = put_header(&mut header, entry, place, chosen);
    let pad = pad_for(entry.body.len());
    EncodedFrame { header, header_crc, body, pad, len: entry.frame_len() }
}

/// Appends the frame of `entry` at `place` to `out`, and returns the checksum of its header.
///
/// # Panics
/// As [`encode`].
pub(crate) fn append(entry: &LogEntry, place: FramePlace, out: &mut Vec<u8>) -> u32 {
    let chosen = mask::choose(&entry.body, place.offset);
    // Made in place: it need not be copied.
    out.extend_from_slice(&[0; FRAME_HEADER_LEN]);
    let header = out.last_chunk_mut().expect("a header was just added");
    let header_crc = put_header(header, entry, place, chosen);
    let start = out.len();
    out.extend_from_slice(&entry.body);
    // The copy is checked: what is wrong here would be written.
    let body = out.get_mut(start..).unwrap_or_default();
    assert_intact(body, entry, place);
    if !matches!(chosen, mask::NO_MASK | mask::NONE_HELPS) {
        mask::apply(chosen, body);
    }
    out.extend_from_slice(pad_for(entry.body.len()));
    header_crc
}

fn assert_intact(body: &[u8], entry: &LogEntry, place: FramePlace) {
    let intact = check_body(body, entry.body_crc);
    assert!(intact.is_ok(), "body of index {} changed in memory: {intact:?}", place.index);
}

/// Fills the header of a frame, and returns its checksum.
fn put_header(
    header: &mut [u8; FRAME_HEADER_LEN],
    entry: &LogEntry,
    place: FramePlace,
    mask: u8,
) -> u32 {
    assert!(place.offset.is_multiple_of(FRAME_ALIGN), "frame at offset {}", place.offset);
    assert!(place.term > 0, "index {} in term 0", place.index);
    let [partition, event_count] = [entry.partition, entry.event_count].map(u64::from);
    let shape = [entry.codec, mask, entry.kind.code(), FRAME_VERSION];
    // The fields behind the checksum, eight bytes at a time: one after another they cost a look at the room left each.
    let words = [
        u64::from(entry.body_crc) | u64::from(entry.body_len()) << 32,
        u64::from(place.prev_crc) | partition << 32 | event_count << 48,
        entry.first_sequence,
        entry.commit_hint,
        place.index,
        place.term,
        u64::from(entry.raw_len) | u64::from(u32::from_le_bytes(shape)) << 32,
    ];
    let (mut start, checked) = header.split_at_mut(CHECKED_FROM);
    for (bytes, word) in checked.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    let header_crc = crc32c::crc32c(checked);
    start.put_slice(&FRAME_MAGIC);
    start.put_u32_le(header_crc);
    header_crc
}

/// Deliberate bugs in the decoder; none, and of no size, without feature `mutants`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bugs {
    no_header_crc: MutantFlag,
    no_body_crc: MutantFlag,
}

impl Bugs {
    /// Those that are switched on in this world.
    pub(crate) fn of(io: &Io) -> Self {
        Self {
            no_header_crc: mutant_flag!(io, no_header_crc),
            no_body_crc: mutant_flag!(io, no_body_crc),
        }
    }

    /// As the function of this name.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn decode(self, bytes: Bytes, offset: u64) -> Result<Frame, FrameError> {
        let header = decode_header_with(&bytes, self)?;
        decode_body_with(header, bytes, offset, self)
    }

    /// As the function of this name.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn decode_header(self, bytes: &[u8]) -> Result<FrameHeader, FrameError> {
        decode_header_with(bytes, self)
    }

    /// As the function of this name.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn decode_body(
        self,
        header: FrameHeader,
        bytes: Bytes,
        offset: u64,
    ) -> Result<Frame, FrameError> {
        decode_body_with(header, bytes, offset, self)
    }
}

/// A checked frame header: its checksum holds and every field is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// CRC of the header; `prev_crc` of the next frame.
    pub(crate) header_crc: u32,
    /// CRC of the body before masking.
    pub(crate) body_crc: u32,
    /// Body length without pad.
    pub(crate) body_len: u32,
    /// Header CRC of the frame before.
    pub(crate) prev_crc: u32,
    /// Partition of a transaction, else 0.
    pub(crate) partition: u16,
    /// Events of a transaction, else 0.
    pub(crate) event_count: u16,
    /// Sequence of the first event, else 0.
    pub(crate) first_sequence: u64,
    /// Commit index the leader knew when it made the entry.
    pub(crate) commit_hint: u64,
    /// Log index.
    pub(crate) index: u64,
    /// Term, from 1.
    pub(crate) term: u64,
    /// Which pattern the stored body is masked with: 0, 1..=7, or 255.
    pub(crate) mask: u8,
    /// What it is.
    pub(crate) kind: FrameKind,
}

impl FrameHeader {
    /// Bytes of the whole frame.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.body_len)
    }

    /// Sequence after the last event.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(u64::from(self.event_count))
    }
}

/// Reads the header at the start of `bytes`.
///
/// # Errors
/// [`FrameError`], in this order: too short, magic, checksum, version, kind, fields.
pub(crate) fn decode_header(bytes: &[u8]) -> Result<FrameHeader, FrameError> {
    decode_header_with(bytes, Bugs::default())
}

fn decode_header_with(bytes: &[u8], bugs: Bugs) -> Result<FrameHeader, FrameError> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_LEN>() else {
        return Err(FrameError::short(FRAME_HEADER_LEN, bytes.len()));
    };
    let mut fields = header.as_slice();
    let magic = fields.get_u32_le().to_le_bytes();
    if magic != FRAME_MAGIC {
        return Err(FrameError::Magic { found: magic });
    }
    let (header_crc, actual) = (fields.get_u32_le(), crc32c::crc32c(fields));
    if header_crc != actual && !bugs.no_header_crc.is_on() {
        return Err(FrameError::HeaderChecksum { stored: header_crc, actual });
    }
    let (body_crc, body_len, prev_crc) =
        (fields.get_u32_le(), fields.get_u32_le(), fields.get_u32_le());
    let (partition, event_count) = (fields.get_u16_le(), fields.get_u16_le());
    let (first_sequence, commit_hint) = (fields.get_u64_le(), fields.get_u64_le());
    let (index, term) = (fields.get_u64_le(), fields.get_u64_le());
    let (raw_len, codec, mask) = (fields.get_u32_le(), fields.get_u8(), fields.get_u8());
    let (kind, version) = (fields.get_u8(), fields.get_u8());
    if version != FRAME_VERSION {
        return Err(FrameError::Version { found: version });
    }
    let kind = FrameKind::from_code(kind)?;
    if codec != CODEC_NONE || raw_len != 0 {
        return Err(FrameError::Codec { codec, raw_len });
    }
    if !(mask <= mask::PATTERNS || mask == mask::NONE_HELPS) {
        return Err(FrameError::Mask { found: mask });
    }
    if term == 0 {
        return Err(FrameError::Term { index });
    }
    let has_events = event_count > 0;
    if has_events != (kind == FrameKind::Transaction)
        || (!has_events && (partition > 0 || first_sequence > 0))
    {
        return Err(FrameError::Events { kind, partition, event_count, first_sequence });
    }
    Ok(FrameHeader {
        header_crc,
        body_crc,
        body_len,
        prev_crc,
        partition,
        event_count,
        first_sequence,
        commit_hint,
        index,
        term,
        mask,
        kind,
    })
}

/// A frame read back: header, body and pad are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Checked header.
    pub(crate) header: FrameHeader,
    /// File offset it was read from.
    pub(crate) offset: u64,
    /// Body without mask; a slice of what was read unless it was masked.
    pub(crate) body: Bytes,
}

impl Frame {
    /// File offset after its last byte.
    pub(crate) fn end_offset(&self) -> u64 {
        self.offset + self.header.frame_len()
    }

    /// The log entry in it, as its leader made it.
    #[cfg_attr(not(test), expect(dead_code, reason = "entries travel once there are replicas"))]
    pub(crate) fn entry(&self) -> LogEntry {
        LogEntry {
            kind: self.header.kind,
            codec: CODEC_NONE,
            raw_len: 0,
            partition: self.header.partition,
            event_count: self.header.event_count,
            first_sequence: self.header.first_sequence,
            commit_hint: self.header.commit_hint,
            body_crc: self.header.body_crc,
            body: self.body.clone(),
        }
    }
}

/// Reads and verifies the frame that `bytes` start with; more may follow. `offset` is where it lies in the file.
///
/// # Errors
/// [`FrameError`]; [`FrameError::Short`] if the frame goes on behind `bytes`, with the length needed.
pub(crate) fn decode(bytes: Bytes, offset: u64) -> Result<Frame, FrameError> {
    Bugs::default().decode(bytes, offset)
}

/// The rest of [`decode`] for a caller that has checked the header already.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_body(
    header: FrameHeader,
    bytes: Bytes,
    offset: u64,
) -> Result<Frame, FrameError> {
    decode_body_with(header, bytes, offset, Bugs::default())
}

fn decode_body_with(
    header: FrameHeader,
    mut bytes: Bytes,
    offset: u64,
    bugs: Bugs,
) -> Result<Frame, FrameError> {
    let short = FrameError::Short { needed: header.frame_len(), available: bytes.len() };
    let body_len = usize::try_from(header.body_len).map_err(|_| short.clone())?;
    let pad = pad_for(body_len);
    let body_end = FRAME_HEADER_LEN + body_len;
    let found = bytes.get(body_end..body_end + pad.len()).ok_or(short)?;
    if found != pad && !bugs.no_body_crc.is_on() {
        let found = Bytes::copy_from_slice(found);
        // A bad body is the worse news, and told first.
        check_stored(&header, bytes.get(FRAME_HEADER_LEN..body_end).unwrap_or_default())?;
        return Err(FrameError::Pad { expected: pad, found });
    }
    // Cut in place: no reference is counted for it.
    bytes.truncate(body_end);
    bytes.advance(FRAME_HEADER_LEN);
    let body = unmasked(&header, bytes);
    if !bugs.no_body_crc.is_on() {
        check_body(&body, header.body_crc)?;
    }
    Ok(Frame { header, offset, body })
}

/// Checks a body as it is stored.
fn check_stored(header: &FrameHeader, stored: &[u8]) -> Result<(), FrameError> {
    check_body(&unmasked(header, Bytes::copy_from_slice(stored)), header.body_crc)
}

fn unmasked(header: &FrameHeader, stored: Bytes) -> Bytes {
    match header.mask {
        mask::NO_MASK | mask::NONE_HELPS => stored,
        pattern => {
            let mut plain = BytesMut::from(stored.as_ref());
            mask::apply(pattern, &mut plain);
            plain.freeze()
        }
    }
}

#[cfg(test)]
mod tests;
