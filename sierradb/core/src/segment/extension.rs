//! Optional fields of an event: `type u16, length u16, value`, little endian, ascending by type.
//!
//! | Type | Value | | Type | Value |
//! |---|---|---|---|---|
//! | 0x01 | tag, UTF-8; at most 64, sorted, unique | | 0x11 | idempotency key, first event only |
//! | 0x02 | correlation id | | 0x12 | transaction id, 16 bytes, first event only |
//! | 0x03 | causation id | | 0x4006 | encryption: algorithm u8, key version u32, nonce |
//! | 0x04 | subject id | | | |
//! | 0x05 | record hash: algorithm u8, bytes | | | |
//!
//! Texts, ids, keys, hashes and nonces have 1 to 255 bytes. Only tags may repeat. A reader keeps a type it does
//! not know and goes on, unless [`MUST_KNOW`] is set in it: then the event cannot be read, the log still can.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::limits::{MAX_EXTENSION_VALUE_LEN, MAX_EXTENSIONS_LEN, MAX_TAGS};

/// Set in types without which an event must not be shown.
const MUST_KNOW: u16 = 0x4000;

const TAG: u16 = 0x01;
const CORRELATION_ID: u16 = 0x02;
const CAUSATION_ID: u16 = 0x03;
const SUBJECT_ID: u16 = 0x04;
const RECORD_HASH: u16 = 0x05;
const IDEMPOTENCY_KEY: u16 = 0x11;
const TRANSACTION_ID: u16 = 0x12;
const ENCRYPTION: u16 = 0x4006;

/// Bytes before a value.
const HEADER_LEN: usize = 4;

/// One optional field of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// A label, 1 to 255 bytes; an event has at most 64 different ones.
    Tag(String),
    /// What the event belongs to, 1 to 255 bytes.
    CorrelationId(Bytes),
    /// What caused the event, 1 to 255 bytes.
    CausationId(Bytes),
    /// Whom the event is about, 1 to 255 bytes.
    SubjectId(Bytes),
    /// A hash of the event that its writer vouches for.
    RecordHash {
        /// Which algorithm, by the writer's numbering.
        algorithm: u8,
        /// The hash, 1 to 254 bytes.
        hash: Bytes,
    },
    /// Makes the transaction unique in its partition, 1 to 255 bytes. First event only.
    IdempotencyKey(Bytes),
    /// The transaction's own id. First event only.
    TransactionId(Uuid),
    /// How the payload is encrypted.
    Encryption {
        /// Which algorithm, by the writer's numbering.
        algorithm: u8,
        /// Which version of the key.
        key_version: u32,
        /// The nonce, 1 to 250 bytes.
        nonce: Bytes,
    },
    /// Written by a later release; kept as it is. Can be read, not written.
    Unknown {
        /// Its type.
        kind: u16,
        /// Its value.
        value: Bytes,
    },
}

impl Extension {
    /// Number of its type on disk.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Tag(_) => TAG,
            Self::CorrelationId(_) => CORRELATION_ID,
            Self::CausationId(_) => CAUSATION_ID,
            Self::SubjectId(_) => SUBJECT_ID,
            Self::RecordHash { .. } => RECORD_HASH,
            Self::IdempotencyKey(_) => IDEMPOTENCY_KEY,
            Self::TransactionId(_) => TRANSACTION_ID,
            Self::Encryption { .. } => ENCRYPTION,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Whether it belongs to the first event of a transaction only.
    pub fn is_first_event_only(&self) -> bool {
        is_first_event_only(self.kind())
    }

    fn value(&self) -> Bytes {
        match self {
            Self::Tag(tag) => Bytes::copy_from_slice(tag.as_bytes()),
            Self::CorrelationId(value)
            | Self::CausationId(value)
            | Self::SubjectId(value)
            | Self::IdempotencyKey(value)
            | Self::Unknown { value, .. } => value.clone(),
            Self::TransactionId(id) => Bytes::copy_from_slice(id.as_bytes()),
            Self::RecordHash { algorithm, hash } => {
                let mut value = BytesMut::with_capacity(1 + hash.len());
                value.put_u8(*algorithm);
                value.put_slice(hash);
                value.freeze()
            }
            Self::Encryption { algorithm, key_version, nonce } => {
                let mut value = BytesMut::with_capacity(5 + nonce.len());
                value.put_u8(*algorithm);
                value.put_u32_le(*key_version);
                value.put_slice(nonce);
                value.freeze()
            }
        }
    }

    fn from_value(kind: u16, mut value: Bytes) -> Result<Self, ExtensionError> {
        let len = value.len();
        let allowed = match kind {
            TRANSACTION_ID => 16..=16,
            RECORD_HASH => 2..=MAX_EXTENSION_VALUE_LEN,
            ENCRYPTION => 6..=MAX_EXTENSION_VALUE_LEN,
            TAG | CORRELATION_ID | CAUSATION_ID | SUBJECT_ID | IDEMPOTENCY_KEY => {
                1..=MAX_EXTENSION_VALUE_LEN
            }
            _ if kind & MUST_KNOW != 0 => return Err(ExtensionError::MustKnow { kind }),
            _ => return Ok(Self::Unknown { kind, value }),
        };
        if !allowed.contains(&len) {
            let (min, max) = allowed.into_inner();
            return Err(ExtensionError::Length { kind, len, min, max });
        }
        Ok(match kind {
            TAG => {
                let tag = std::str::from_utf8(&value).map_err(|_| ExtensionError::TagText)?;
                Self::Tag(tag.to_owned())
            }
            CORRELATION_ID => Self::CorrelationId(value),
            CAUSATION_ID => Self::CausationId(value),
            SUBJECT_ID => Self::SubjectId(value),
            IDEMPOTENCY_KEY => Self::IdempotencyKey(value),
            TRANSACTION_ID => Self::TransactionId(Uuid::from_u128(value.get_u128())),
            RECORD_HASH => Self::RecordHash { algorithm: value.get_u8(), hash: value },
            _ => Self::Encryption {
                algorithm: value.get_u8(),
                key_version: value.get_u32_le(),
                nonce: value,
            },
        })
    }
}

fn is_first_event_only(kind: u16) -> bool {
    matches!(kind, IDEMPOTENCY_KEY | TRANSACTION_ID)
}

/// Puts `extension` into its place among the encoded `extensions`.
///
/// # Errors
/// [`ExtensionError`]: out of its limits, already there, a tag too many, a type that cannot be written, or
/// `extensions` are damaged.
pub(crate) fn insert(extensions: &Bytes, extension: &Extension) -> Result<Bytes, ExtensionError> {
    let (kind, value) = (extension.kind(), extension.value());
    if let Extension::Unknown { kind, .. } = extension {
        return Err(ExtensionError::NotWritable { kind: *kind });
    }
    Extension::from_value(kind, value.clone())?;
    let mut list = entries(extensions).collect::<Result<Vec<_>, _>>()?;
    let repeats =
        |entry: &Entry<'_>| entry.kind == kind && (kind != TAG || entry.value == value.as_ref());
    if list.iter().any(repeats) {
        return Err(ExtensionError::Repeated { kind });
    }
    let tags = list.iter().filter(|entry| entry.kind == TAG).count();
    if kind == TAG && tags == MAX_TAGS {
        return Err(ExtensionError::TooManyTags { limit: MAX_TAGS });
    }
    let entry = Entry { kind, value: &value };
    let at = list.partition_point(|other| (other.kind, other.value) < (kind, entry.value));
    list.insert(at, entry);
    encode(&list)
}

fn encode(list: &[Entry<'_>]) -> Result<Bytes, ExtensionError> {
    let len = list.iter().map(|entry| HEADER_LEN + entry.value.len()).sum();
    if len > MAX_EXTENSIONS_LEN {
        return Err(ExtensionError::TooLong { len });
    }
    let mut out = BytesMut::with_capacity(len);
    for entry in list {
        let too_long = ExtensionError::TooLong { len };
        out.put_u16_le(entry.kind);
        out.put_u16_le(u16::try_from(entry.value.len()).map_err(|_| too_long)?);
        out.put_slice(entry.value);
    }
    Ok(out.freeze())
}

/// Reads and checks all extensions of an event.
///
/// # Errors
/// [`ExtensionError`]; [`ExtensionError::MustKnow`] if the event was written by a later release and cannot be
/// shown by this one.
pub(crate) fn decode(extensions: &Bytes) -> Result<Vec<Extension>, ExtensionError> {
    let mut tags = 0;
    let mut list = Vec::new();
    for entry in entries(extensions) {
        let entry = entry?;
        tags += usize::from(entry.kind == TAG);
        if tags > MAX_TAGS {
            return Err(ExtensionError::TooManyTags { limit: MAX_TAGS });
        }
        list.push(Extension::from_value(entry.kind, extensions.slice_ref(entry.value))?);
    }
    Ok(list)
}

/// Whether a writer may store `extensions` with event number `position` of a transaction: known types within
/// their limits, in order, and those of the first event nowhere else.
///
/// # Errors
/// [`ExtensionError`] names the first rule that does not hold.
pub(crate) fn check_writable(extensions: &Bytes, position: usize) -> Result<(), ExtensionError> {
    if extensions.len() > MAX_EXTENSIONS_LEN {
        return Err(ExtensionError::TooLong { len: extensions.len() });
    }
    for extension in decode(extensions)? {
        let kind = extension.kind();
        if let Extension::Unknown { .. } = extension {
            return Err(ExtensionError::NotWritable { kind });
        }
        if position > 0 && extension.is_first_event_only() {
            return Err(ExtensionError::FirstEventOnly { kind });
        }
    }
    Ok(())
}

/// Whether a reader may show an event with these extensions.
///
/// # Errors
/// [`ExtensionError::MustKnow`] if not; others if they are damaged.
pub(crate) fn check_readable(extensions: &[u8]) -> Result<(), ExtensionError> {
    for entry in entries(extensions) {
        let kind = entry?.kind;
        if kind & MUST_KNOW != 0 && kind != ENCRYPTION {
            return Err(ExtensionError::MustKnow { kind });
        }
    }
    Ok(())
}

/// The idempotency key among `extensions`.
///
/// # Errors
/// [`ExtensionError`] if they are damaged.
pub(crate) fn idempotency_key(extensions: &[u8]) -> Result<Option<&[u8]>, ExtensionError> {
    find(extensions, IDEMPOTENCY_KEY)
}

/// The transaction id among `extensions`.
///
/// # Errors
/// [`ExtensionError`] if they are damaged.
pub(crate) fn transaction_id(extensions: &[u8]) -> Result<Option<Uuid>, ExtensionError> {
    let Some(value) = find(extensions, TRANSACTION_ID)? else {
        return Ok(None);
    };
    let (kind, len) = (TRANSACTION_ID, value.len());
    let id = Uuid::from_slice(value);
    id.map(Some).map_err(|_| ExtensionError::Length { kind, len, min: 16, max: 16 })
}

fn find(extensions: &[u8], kind: u16) -> Result<Option<&[u8]>, ExtensionError> {
    for entry in entries(extensions) {
        let entry = entry?;
        if entry.kind >= kind {
            return Ok((entry.kind == kind).then_some(entry.value));
        }
    }
    Ok(None)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry<'a> {
    kind: u16,
    value: &'a [u8],
}

/// Walks over encoded extensions, checking lengths and order; ends after the first error.
struct Entries<'a> {
    rest: &'a [u8],
    previous: Option<Entry<'a>>,
}

fn entries(extensions: &[u8]) -> Entries<'_> {
    Entries { rest: extensions, previous: None }
}

impl<'a> Entries<'a> {
    fn read(&mut self) -> Result<Entry<'a>, ExtensionError> {
        let short = ExtensionError::Short { available: self.rest.len() };
        let Some((mut header, rest)) = self.rest.split_at_checked(HEADER_LEN) else {
            return Err(short);
        };
        let (kind, len) = (header.get_u16_le(), usize::from(header.get_u16_le()));
        let Some((value, rest)) = rest.split_at_checked(len) else {
            return Err(short);
        };
        let entry = Entry { kind, value };
        if let Some(previous) = self.previous {
            let rises = previous.kind < kind
                || (previous.kind == TAG && kind == TAG && previous.value < value);
            if !rises {
                return Err(ExtensionError::Order { previous: previous.kind, kind });
            }
        }
        (self.rest, self.previous) = (rest, Some(entry));
        Ok(entry)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ExtensionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.rest = &[]; // what follows a bad entry cannot be found
        }
        Some(entry)
    }
}

/// Why an extension cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum ExtensionError {
    #[error("extension type {kind:#06x} has {len} bytes, allowed are {min} to {max}")]
    Length { kind: u16, len: usize, min: usize, max: usize },
    #[error("a tag is not UTF-8")]
    TagText,
    #[error("an event has at most {limit} tags")]
    TooManyTags { limit: usize },
    #[error("extension type {kind:#06x} is there already")]
    Repeated { kind: u16 },
    #[error("extension type {kind:#06x} belongs to the first event of a transaction")]
    FirstEventOnly { kind: u16 },
    #[error("extension type {kind:#06x} is not known to this release and cannot be written")]
    NotWritable { kind: u16 },
    #[error(
        "extension type {kind:#06x} is not known to this release; without it the event cannot be shown"
    )]
    MustKnow { kind: u16 },
    #[error("the extensions of an event have {len} bytes, allowed are {MAX_EXTENSIONS_LEN}")]
    TooLong { len: usize },
    #[error("extension type {kind:#06x} behind {previous:#06x}: not in order")]
    Order { previous: u16, kind: u16 },
    #[error("an extension leads out of its area, {available} bytes left")]
    Short { available: usize },
}

#[cfg(test)]
mod tests;
