//! Names of streams and events.
//!
//! Both are backed by [`Bytes`]: a name cut from a request shares the request's memory. Whoever keeps one for longer
//! than the request takes [`StreamId::detached`], or a name of ten bytes pins a request of megabytes.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::limits::{EVENT_NAME_MAX_BYTES, STREAM_ID_MAX_BYTES};
use crate::quote::Quoted;

/// Name of a stream: UTF-8, 1 to 255 bytes, no NUL. A stream's identity is its partition and this.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Bytes);

/// Name or type of an event: UTF-8.
///
/// Appends accept 1 to 255 bytes ([`EventName::new`], [`EventName::check`]); readers take any length, and
/// conversions from text do not look at it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName(Bytes);

/// Why something is no stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum StreamIdError {
    #[error(
        "stream id must be between 1 and {STREAM_ID_MAX_BYTES} bytes in length, but got {len} for {word}"
    )]
    Length { len: usize, word: Quoted },
    #[error("stream id cannot contain null bytes")]
    NullByte,
    #[error("stream id must be valid UTF-8")]
    NotUtf8,
}

/// Why something is no event name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum EventNameError {
    #[error(
        "event name must be between 1 and {EVENT_NAME_MAX_BYTES} bytes in length, but got {len} for {word}"
    )]
    Length { len: usize, word: Quoted },
    #[error("event name must be valid UTF-8")]
    NotUtf8,
}

impl StreamId {
    /// A stream id of `text`.
    ///
    /// # Errors
    ///
    /// If it is empty, longer than 255 bytes or holds a NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, StreamIdError> {
        Self::from_bytes(Bytes::from(text.into()))
    }

    /// A stream id that shares the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`StreamId::new`], and if the bytes are not UTF-8.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, StreamIdError> {
        if bytes.is_empty() || bytes.len() > STREAM_ID_MAX_BYTES {
            let word = Quoted::new(&bytes);
            return Err(StreamIdError::Length { len: bytes.len(), word });
        }
        if !is_plain(&bytes) {
            if bytes.contains(&0) {
                return Err(StreamIdError::NullByte);
            }
            if std::str::from_utf8(&bytes).is_err() {
                return Err(StreamIdError::NotUtf8);
            }
        }
        Ok(Self(bytes))
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        text(&self.0)
    }

    /// The bytes, shared, not copied.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The same name in memory of its own, for whoever keeps it longer than the request it came with.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl EventName {
    /// An event name that an append accepts.
    ///
    /// # Errors
    ///
    /// If it is empty or longer than 255 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self, EventNameError> {
        let name = Self(Bytes::from(text.into()));
        name.check()?;
        Ok(name)
    }

    /// An event name that an append accepts and that shares the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`EventName::new`], and if the bytes are not UTF-8.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, EventNameError> {
        check_len(&bytes)?;
        if !is_plain(&bytes) && std::str::from_utf8(&bytes).is_err() {
            return Err(EventNameError::NotUtf8);
        }
        Ok(Self(bytes))
    }

    /// Verifies what an append demands of the length.
    ///
    /// # Errors
    ///
    /// If the name is empty or longer than 255 bytes.
    pub fn check(&self) -> Result<(), EventNameError> {
        check_len(&self.0)
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        text(&self.0)
    }

    /// The bytes, shared, not copied.
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }
}

fn check_len(name: &[u8]) -> Result<(), EventNameError> {
    if name.is_empty() || name.len() > EVENT_NAME_MAX_BYTES {
        return Err(EventNameError::Length { len: name.len(), word: Quoted::new(name) });
    }
    Ok(())
}

/// Whether all bytes are ASCII and none is NUL: text without a closer look. Eight bytes at once.
fn is_plain(name: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    // Less one, a NUL gets its high bit; a borrow into another byte needs a NUL as well.
    let is_plain = |eight: [u8; 8]| {
        let eight = u64::from_ne_bytes(eight);
        (eight | eight.wrapping_sub(ONES)) & HIGH_BITS == 0
    };
    let (chunks, rest) = name.as_chunks();
    if !chunks.iter().all(|eight| is_plain(*eight)) {
        return false;
    }
    match name.last_chunk() {
        Some(last) => is_plain(*last),
        None => rest.iter().all(|byte| (1..0x80).contains(byte)),
    }
}

fn text(checked: &[u8]) -> &str {
    std::str::from_utf8(checked).expect("names are made of UTF-8 and never change")
}

impl TryFrom<&str> for StreamId {
    type Error = StreamIdError;

    fn try_from(text: &str) -> Result<Self, StreamIdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for StreamId {
    type Error = StreamIdError;

    fn try_from(text: String) -> Result<Self, StreamIdError> {
        Self::new(text)
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    fn from_str(text: &str) -> Result<Self, StreamIdError> {
        Self::new(text)
    }
}

impl From<&str> for EventName {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for EventName {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

macro_rules! shown_as_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), formatter)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

shown_as_text!(StreamId);
shown_as_text!(EventName);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn plain_is_text_without_nul(mut name in proptest::collection::vec(1..0x80_u8, 0..40), at: usize, byte: u8) {
            prop_assert!(is_plain(&name));
            name.push(1);
            let len = name.len();
            name[at % len] = byte;
            prop_assert_eq!(is_plain(&name), name.is_ascii() && !name.contains(&0));
        }
    }

    #[test]
    fn names_within_the_limits_are_taken_as_they_are() {
        let id = StreamId::new("user-123").unwrap();
        assert_eq!((id.as_str(), id.as_bytes()), ("user-123", b"user-123".as_slice()));
        assert_eq!(StreamId::new("é".repeat(127)).unwrap().as_bytes().len(), 254);
        assert_eq!(EventName::new("A").unwrap().as_str(), "A");
    }

    #[test]
    fn a_name_cut_from_a_request_shares_its_memory_until_detached() {
        let request = Bytes::from(b"....user-123....".to_vec());
        let id = StreamId::from_bytes(request.slice(4..12)).unwrap();
        assert_eq!(id.as_bytes().as_ptr(), request[4..].as_ptr());
        assert_eq!(id.detached(), id);
        assert_ne!(id.detached().as_bytes().as_ptr(), id.as_bytes().as_ptr());
    }

    #[test]
    fn refusals_of_stream_ids_are_those_of_the_contract() {
        let refused = |bytes: &[u8]| {
            StreamId::from_bytes(Bytes::copy_from_slice(bytes)).unwrap_err().to_string()
        };
        let long = "x".repeat(256);
        let expected = format!(
            "stream id must be between 1 and 255 bytes in length, but got 256 for '{}'",
            "x".repeat(128)
        );
        assert_eq!(refused(long.as_bytes()), expected);
        assert_eq!(
            refused(b""),
            "stream id must be between 1 and 255 bytes in length, but got 0 for ''"
        );
        assert_eq!(refused(b"a\0b"), "stream id cannot contain null bytes");
        assert_eq!(refused(b"a\xff"), "stream id must be valid UTF-8");
    }

    #[test]
    fn refusals_of_event_names_are_those_of_the_contract() {
        let long = "x".repeat(256);
        let expected = format!(
            "event name must be between 1 and 255 bytes in length, but got 256 for '{}'",
            "x".repeat(128)
        );
        assert_eq!(EventName::new(long.clone()).unwrap_err().to_string(), expected);
        let not_text = EventName::from_bytes(Bytes::from_static(b"\xff")).unwrap_err();
        assert_eq!(not_text.to_string(), "event name must be valid UTF-8");
        assert!(
            EventName::from(long).check().is_err(),
            "conversions leave the check to the append"
        );
    }
}
