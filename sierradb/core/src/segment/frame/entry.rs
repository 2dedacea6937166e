//! What a leader chooses: the same bytes on all nodes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{CODEC_NONE, FrameError, FrameKind, check_body, frame_len};

/// Bytes before the body of a log entry between nodes.
const ENTRY_FIELDS_LEN: usize = 38;

/// A log entry as its leader made it: equal on all nodes, without a place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogEntry {
    /// What it is.
    pub(crate) kind: FrameKind,
    /// How the whole body is compressed; always 0.
    pub(crate) codec: u8,
    /// Body length before compression; 0 without compression.
    pub(crate) raw_len: u32,
    /// Partition of a transaction, else 0.
    pub(crate) partition: u16,
    /// Events of a transaction, from 1; else 0.
    pub(crate) event_count: u16,
    /// Sequence of a transaction's first event, else 0.
    pub(crate) first_sequence: u64,
    /// Commit index its leader knew when it was made.
    pub(crate) commit_hint: u64,
    /// CRC-32C of `body`.
    pub(crate) body_crc: u32,
    /// Content, by kind.
    pub(crate) body: Bytes,
}

impl LogEntry {
    /// An entry with events; `body` as [`super::event_codec::encode_transaction`] makes it.
    ///
    /// # Panics
    /// If `event_count` is 0 or the body has 4 GiB or more.
    pub(crate) fn transaction(
        partition: u16,
        event_count: u16,
        first_sequence: u64,
        commit_hint: u64,
        body: Bytes,
    ) -> Self {
        let mut entry = Self::bare(FrameKind::Transaction, commit_hint, body);
        entry.partition = partition;
        entry.event_count = event_count;
        entry.first_sequence = first_sequence;
        entry.assert_invariants();
        entry
    }

    /// An entry without events.
    ///
    /// # Panics
    /// If `kind` is a transaction or the body has 4 GiB or more.
    #[cfg_attr(not(test), expect(dead_code, reason = "entries travel once there are replicas"))]
    pub(crate) fn without_events(kind: FrameKind, commit_hint: u64, body: Bytes) -> Self {
        let entry = Self::bare(kind, commit_hint, body);
        entry.assert_invariants();
        entry
    }

    fn bare(kind: FrameKind, commit_hint: u64, body: Bytes) -> Self {
        Self {
            kind,
            codec: CODEC_NONE,
            raw_len: 0,
            partition: 0,
            event_count: 0,
            first_sequence: 0,
            commit_hint,
            body_crc: crc32c::crc32c(&body),
            body,
        }
    }

    fn assert_invariants(&self) {
        assert!(u32::try_from(self.body.len()).is_ok(), "body of {} bytes", self.body.len());
        let fields = self.check_fields();
        assert!(fields.is_ok(), "log entry breaks a rule: {fields:?}");
    }

    fn check_fields(&self) -> Result<(), FrameError> {
        if self.codec != CODEC_NONE || self.raw_len != 0 {
            return Err(FrameError::Codec { codec: self.codec, raw_len: self.raw_len });
        }
        let has_events = self.event_count > 0;
        let has_place = self.partition > 0 || self.first_sequence > 0;
        if has_events == (self.kind == FrameKind::Transaction) && (has_events || !has_place) {
            return Ok(());
        }
        Err(FrameError::Events {
            kind: self.kind,
            partition: self.partition,
            event_count: self.event_count,
            first_sequence: self.first_sequence,
        })
    }

    /// Length of the body in bytes.
    pub(crate) fn body_len(&self) -> u32 {
        u32::try_from(self.body.len()).expect("constructors refuse bodies of 4 GiB")
    }

    /// Bytes it occupies in a segment.
    pub(crate) fn frame_len(&self) -> u64 {
        frame_len(self.body_len())
    }

    /// For the way to other nodes.
    #[cfg_attr(not(test), expect(dead_code, reason = "entries travel once there are replicas"))]
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut fields = BytesMut::with_capacity(ENTRY_FIELDS_LEN + self.body.len());
        fields.put_u32_le(0);
        fields.put_u32_le(self.body_crc);
        fields.put_u32_le(self.body_len());
        fields.put_u16_le(self.partition);
        fields.put_u16_le(self.event_count);
        fields.put_u64_le(self.first_sequence);
        fields.put_u64_le(self.commit_hint);
        fields.put_u32_le(self.raw_len);
        fields.put_u8(self.codec);
        fields.put_u8(self.kind.code());
        let crc = crc32c::crc32c(fields.get(4..).unwrap_or_default());
        fields.as_mut().put_u32_le(crc);
        fields.put_slice(&self.body);
        fields.freeze()
    }

    /// Reads what [`Self::to_bytes`] made; the body is a slice of `bytes`, not a copy.
    ///
    /// # Errors
    /// [`FrameError`] if a checksum, a length or a rule does not hold.
    pub(crate) fn from_bytes(mut bytes: Bytes) -> Result<Self, FrameError> {
        if bytes.len() < ENTRY_FIELDS_LEN {
            return Err(FrameError::short(ENTRY_FIELDS_LEN, bytes.len()));
        }
        let mut fields = bytes.split_to(ENTRY_FIELDS_LEN);
        let (stored, actual) = (fields.get_u32_le(), crc32c::crc32c(&fields));
        if stored != actual {
            return Err(FrameError::HeaderChecksum { stored, actual });
        }
        let (body_crc, body_len) = (fields.get_u32_le(), fields.get_u32_le());
        let (partition, event_count) = (fields.get_u16_le(), fields.get_u16_le());
        let (first_sequence, commit_hint) = (fields.get_u64_le(), fields.get_u64_le());
        let (raw_len, codec) = (fields.get_u32_le(), fields.get_u8());
        let kind = FrameKind::from_code(fields.get_u8())?;
        if usize::try_from(body_len).ok() != Some(bytes.len()) {
            return Err(FrameError::Length { expected: body_len, available: bytes.len() });
        }
        let entry = Self {
            kind,
            codec,
            raw_len,
            partition,
            event_count,
            first_sequence,
            commit_hint,
            body_crc,
            body: bytes,
        };
        entry.check_fields()?;
        check_body(&entry.body, body_crc)?;
        Ok(entry)
    }
}
