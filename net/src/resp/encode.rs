//! From replies to bytes, in RESP2 or RESP3.
//!
//! The one place where text becomes part of a line: bytes below 0x20 and 0x7F become blanks there, and what is not
//! UTF-8 becomes U+FFFD, so nobody's data can end a reply and begin another.

use bytes::{BufMut, BytesMut};
use sierradb_protocol::{ErrorCode, Sink};
use uuid::Uuid;

use crate::resp::decimal;

/// How replies are written on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// RESP2 on a connection that never sent `HELLO`: pushes keep the header `>`, so that a client that does not
    /// know them fails instead of taking an event for a reply.
    Resp2Unasked,
    /// RESP2 as asked for by `HELLO 2`: pushes are plain arrays.
    Resp2,
    /// RESP3.
    Resp3,
}

impl Dialect {
    /// 2 or 3.
    pub const fn version(self) -> u64 {
        match self {
            Self::Resp2Unasked | Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Appends replies to a buffer; what was written last arrives there when the encoder is dropped.
///
/// A reply is made of many small pieces. They are put together on the stack, since each visit to a buffer that may
/// have to grow costs more than the piece itself. One encoder is best used for many replies: its stage is cleared
/// when it is made.
#[derive(Debug)]
pub struct Encoder<'a> {
    out: &'a mut BytesMut,
    dialect: Dialect,
    staged: [u8; STAGE_BYTES],
    staged_len: usize,
}

/// Some replies to appends, or most of an event without its payload.
const STAGE_BYTES: usize = 1024;

/// Hyphens and hex digits of a UUID.
const UUID_CHARS: usize = 36;

impl<'a> Encoder<'a> {
    /// Writes behind what `out` holds.
    #[inline]
    pub fn new(out: &'a mut BytesMut, dialect: Dialect) -> Self {
        Self { out, dialect, staged: [0; STAGE_BYTES], staged_len: 0 }
    }

    /// Adds a value encoded elsewhere, in the same dialect.
    pub fn encoded(&mut self, value: &[u8]) {
        self.put(value);
    }

    /// How it writes.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Writes in another dialect from here on.
    pub fn set_dialect(&mut self, dialect: Dialect) {
        self.dialect = dialect;
    }

    /// Bytes of the buffer, with those that arrive there in the end.
    pub fn total_len(&self) -> usize {
        self.out.len() + self.staged_len
    }

    /// Adds bytes.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.staged_len + bytes.len();
        if let Some(place) = self.staged.get_mut(self.staged_len..end) {
            place.copy_from_slice(bytes);
            self.staged_len = end;
        } else {
            self.put_past_stage(bytes);
        }
    }

    fn put_past_stage(&mut self, bytes: &[u8]) {
        self.flush();
        if let Some(place) = self.staged.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
            self.staged_len = bytes.len();
        } else {
            self.out.put_slice(bytes);
        }
    }

    fn flush(&mut self) {
        self.out.put_slice(self.staged.get(..self.staged_len).unwrap_or_default());
        self.staged_len = 0;
    }

    fn is_resp3(&self) -> bool {
        self.dialect == Dialect::Resp3
    }

    /// `kind`, `text`, CR, LF: in one piece where there is room for it.
    #[inline(always)]
    fn line(&mut self, kind: u8, text: &[u8]) {
        let end = self.staged_len + text.len() + 3;
        if let Some([first, middle @ .., cr, lf]) = self.staged.get_mut(self.staged_len..end) {
            (*first, *cr, *lf) = (kind, b'\r', b'\n');
            middle.copy_from_slice(text);
            self.staged_len = end;
        } else {
            self.line_past_stage(kind, text);
        }
    }

    #[cold]
    fn line_past_stage(&mut self, kind: u8, text: &[u8]) {
        self.put(&[kind]);
        self.put(text);
        self.line_end();
    }

    /// `kind`, digits, CR, LF. Many numbers have one digit or two, and lengths are often known when this is compiled.
    #[inline]
    fn number_line(&mut self, kind: u8, value: u64) {
        match u8::try_from(value) {
            Ok(one) if one < 10 => self.line(kind, &[b'0' + one]),
            Ok(two) if two < 100 => self.line(kind, &[b'0' + two / 10, b'0' + two % 10]),
            _ => self.long_number_line(kind, value),
        }
    }

    /// Nearly all numbers are written into room for the longest, of which the next piece takes what is not needed: that
    /// takes neither a call nor a loop.
    fn long_number_line(&mut self, kind: u8, value: u64) {
        if let Some(rest) = self.staged.get_mut(self.staged_len..)
            && let Some((first, rest)) = rest.split_first_mut()
            && let Some(place) = rest.first_chunk_mut()
            && let Some(len) = decimal::write_line(value, place)
        {
            *first = kind;
            self.staged_len += 1 + len;
        } else {
            self.line(kind, itoa::Buffer::new().format(value).as_bytes());
        }
    }

    #[inline]
    fn line_end(&mut self) {
        self.put(b"\r\n");
    }

    /// Text that must stay on its line.
    fn cleaned(&mut self, text: &str) {
        if !text.bytes().any(is_control) {
            self.put(text.as_bytes());
            return;
        }
        text.bytes().for_each(|byte| self.put(&[if is_control(byte) { b' ' } else { byte }]));
    }
}

/// Bytes of UTF-8's longer sequences lie above these, so they are left alone.
fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7F
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// `id` in lower case with hyphens.
#[inline]
fn hyphenated(id: Uuid) -> [u8; UUID_CHARS] {
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let mut text = [b'-'; UUID_CHARS];
    for (byte, at) in id.as_bytes().iter().zip(PLACES) {
        let digits = HEX.get(usize::from(*byte)).copied().unwrap_or_default();
        if let Some(place) = text.get_mut(at..at + 2) {
            place.copy_from_slice(&digits);
        }
    }
    text
}

/// The two digits of each byte.
static HEX: [[u8; 2]; 256] = hex();

const fn hex() -> [[u8; 2]; 256] {
    let mut pairs = [[0; 2]; 256];
    let mut rest = pairs.as_mut_slice();
    let mut byte = 0_u8;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = [hex_digit(byte >> 4), hex_digit(byte & 0x0F)];
        rest = others;
        byte = byte.wrapping_add(1);
    }
    pairs
}

const fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Sink for Encoder<'_> {
    fn expect(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    #[inline]
    fn map(&mut self, entries: usize) {
        if self.is_resp3() {
            self.number_line(b'%', count(entries));
        } else {
            self.number_line(b'*', count(entries).saturating_mul(2));
        }
    }

    fn array(&mut self, len: usize) {
        self.number_line(b'*', count(len));
    }

    fn push(&mut self, len: usize) {
        let kind = if self.dialect == Dialect::Resp2 { b'*' } else { b'>' };
        self.number_line(kind, count(len));
    }

    fn simple(&mut self, text: &str) {
        self.put(b"+");
        self.cleaned(text);
        self.line_end();
    }

    #[inline]
    fn word(&mut self, word: &str) {
        debug_assert!(!word.bytes().any(is_control), "{word:?} is no word");
        self.line(b'+', word.as_bytes());
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.number_line(b'$', count(bytes.len()));
        self.put(bytes);
        self.line_end();
    }

    #[inline]
    fn integer(&mut self, value: u64) {
        assert!(i64::try_from(value).is_ok(), "{value} is beyond what a reply can carry");
        self.number_line(b':', value);
    }

    fn integer_i64(&mut self, value: i64) {
        self.line(b':', itoa::Buffer::new().format(value).as_bytes());
    }

    fn boolean(&mut self, value: bool) {
        self.put(match (self.is_resp3(), value) {
            (true, true) => b"#t\r\n",
            (true, false) => b"#f\r\n",
            (false, true) => b":1\r\n",
            (false, false) => b":0\r\n",
        });
    }

    fn null(&mut self) {
        self.put(if self.is_resp3() { b"_\r\n" } else { b"$-1\r\n" });
    }

    #[inline]
    fn uuid(&mut self, id: Uuid) {
        self.line(b'+', &hyphenated(id));
    }

    fn error(&mut self, code: ErrorCode, text: &str) {
        let code = code.as_str();
        self.put(b"-");
        self.put(code.as_bytes());
        self.put(b" ");
        self.cleaned(text);
        self.line_end();
    }
}

#[cfg(test)]
mod tests;
