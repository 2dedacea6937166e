//! From the bytes of a connection to requests.
//!
//! Arguments are slices of the buffer their bytes were received in: no copy, whatever their size, except for a few
//! kilobytes of a request whose beginning arrived with the end of another. Only words of inline requests are built anew.

use bytes::{Buf, Bytes, BytesMut};
use sierradb_protocol::Request;

use crate::limits;
use crate::resp::guard::{Bounds, Found, Guard};
use crate::resp::{ProtocolError, inline};

/// Whether the client may send requests of full size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It has logged in, or no password is set.
    Granted,
    /// It must log in first: small requests only.
    BeforeAuth,
}

/// Cuts the bytes of one connection into requests.
///
/// Give it what arrives ([`receive`](Self::receive), [`input`](Self::input)), then call [`next`](Self::next) until it
/// returns `None`. The result does not depend on how the bytes were split. Memory: what was received, and per argument
/// about as much again as its position takes.
///
/// Requests that arrived together share one frame: a reference to it for each of them would be made and dropped for
/// nothing. Only what their commands keep counts.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes received behind `frame`.
    buffer: BytesMut,
    /// Bytes with a complete request, taken out of the buffer; empty if there is none.
    frame: Bytes,
    /// How many of them are those of earlier requests.
    taken: usize,
    /// The words of the last inline request.
    line: Bytes,
    guard: Guard,
    bounds: Bounds,
    failed: Option<ProtocolError>,
}

/// A request, or none, as the guard sees it.
enum Cut {
    None,
    /// An array that begins here in the frame.
    Array(usize),
    /// The words of the line.
    Inline,
}

impl Decoder {
    /// For requests of at most `max_request_bytes`, counted as they are on the wire.
    pub fn new(max_request_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            frame: Bytes::new(),
            taken: 0,
            line: Bytes::new(),
            guard: Guard::new(),
            bounds: Bounds { max_request_bytes, is_before_auth: false },
            failed: None,
        }
    }

    /// Changes the bounds for what [`next`](Self::next) has not looked at yet. A request that gave access must be
    /// carried out before the next one is taken.
    pub fn set_access(&mut self, access: Access) {
        self.bounds.is_before_auth = access == Access::BeforeAuth;
    }

    /// Takes received bytes, behind those already there.
    pub fn receive(&mut self, bytes: &[u8]) {
        let room = bytes.len().max(limits::READ_CHUNK_MIN_BYTES);
        // What is left of a buffer whose requests are still in work is filled first.
        if self.buffer.capacity() - self.buffer.len() < bytes.len() {
            self.make_room(room);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Where received bytes go, behind those already there. Only append.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// As [`input`](Self::input), with room for `room` more bytes, or between two requests for a quarter of that: what
    /// is left of a buffer whose requests are still in work is worth filling. An empty buffer that is much larger is
    /// given back.
    pub fn input_with_room(&mut self, room: usize) -> &mut BytesMut {
        self.give_back_above(room);
        let least = if self.missing() > 0 { room } else { room / 4 };
        if self.buffer.capacity() - self.buffer.len() < least {
            self.make_room(room);
        }
        &mut self.buffer
    }

    /// Gives back an empty buffer of busier times, if it has much more than `room`. To be called before a wait: nobody
    /// knows how long that will be.
    pub fn give_back_above(&mut self, room: usize) {
        if self.buffer.is_empty() && self.buffer.capacity() / 4 > room {
            self.buffer = BytesMut::new();
        }
    }

    fn make_room(&mut self, room: usize) {
        if self.buffer.is_empty() && room <= limits::SMALL_READ_BYTES {
            // Not `reserve`: it would make as much room as there was for longer requests.
            self.buffer = BytesMut::with_capacity(room);
        } else {
            self.buffer.reserve(room);
        }
    }

    /// Forgets what was received and not taken.
    pub fn clear(&mut self) {
        self.buffer = BytesMut::new();
        self.forget_taken();
        self.guard = Guard::new();
    }

    /// Bytes received and not yet part of a request.
    pub fn buffered(&self) -> usize {
        self.frame.len() - self.taken + self.buffer.len()
    }

    /// Bytes that must still arrive before a request is complete; 0 if that is not known. Checked against the limits.
    pub fn missing(&self) -> usize {
        self.guard.missing(self.buffered())
    }

    /// The next request, never empty; `None` if it has not arrived completely.
    ///
    /// # Errors
    /// If the bytes are no request. Nothing behind them can be understood, so every later call returns the same.
    #[expect(clippy::should_implement_trait, reason = "no iterator: more may come after the end")]
    pub fn next(&mut self) -> Result<Option<Request<'_>>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.cut() {
            Ok(Cut::None) => Ok(None),
            Ok(Cut::Array(start)) => Ok(Some(Request::at(&self.frame, start, self.guard.spans()))),
            Ok(Cut::Inline) => Ok(Some(Request::new(&self.line, self.guard.spans()))),
            Err(error) => {
                self.failed = Some(error);
                self.clear();
                Err(error)
            }
        }
    }

    /// Finds the next request; the guard knows where its words are.
    fn cut(&mut self) -> Result<Cut, ProtocolError> {
        loop {
            let is_framed = self.taken < self.frame.len();
            let bytes = match self.frame.get(self.taken..) {
                Some(rest) if is_framed => rest,
                _ => &self.buffer,
            };
            let found = self.guard.advance(bytes, &self.bounds)?;
            let len = match found {
                Found::Incomplete if is_framed && self.unframe() => continue,
                Found::Incomplete => {
                    self.forget_taken();
                    return Ok(Cut::None);
                }
                Found::Array { len } | Found::Inline { len, .. } => len,
            };
            if !is_framed {
                self.frame = self.take_from_buffer(len);
                self.taken = 0;
            }
            let start = self.taken;
            self.taken += len;
            let cut = match found {
                Found::Inline { text_end, .. } => {
                    self.take_line(start, text_end)?;
                    Cut::Inline
                }
                Found::Array { .. } | Found::Incomplete => Cut::Array(start),
            };
            self.guard.rewind();
            if !self.guard.spans().is_empty() {
                return Ok(cut);
            }
        }
    }

    /// A complete request of `len` bytes with all that was received, unless much lies behind it: the beginning of a
    /// long request stays where it is.
    fn take_from_buffer(&mut self, len: usize) -> Bytes {
        let received = self.buffer.len();
        let is_full = self.buffer.capacity() - received < limits::WORTH_FILLING_BYTES;
        let bytes = if received - len > limits::MOVED_REQUEST_BYTES {
            self.buffer.split_to(len)
        } else if is_full && received <= limits::SMALL_READ_BYTES {
            std::mem::take(&mut self.buffer)
        } else {
            self.buffer.split() // a large buffer is used again, once its requests are carried out
        };
        bytes.freeze()
    }

    /// Moves the beginning of a request back to where its end arrives; true if some of that had arrived.
    fn unframe(&mut self) -> bool {
        let mut beginning = std::mem::take(&mut self.frame);
        beginning.advance(std::mem::take(&mut self.taken));
        let behind = std::mem::take(&mut self.buffer);
        let has_more = !behind.is_empty();
        let room = behind.len().max(limits::READ_CHUNK_MIN_BYTES);
        let mut buffer = BytesMut::with_capacity(beginning.len() + room);
        buffer.extend_from_slice(&beginning);
        buffer.extend_from_slice(&behind);
        self.buffer = buffer;
        has_more
    }

    /// Lets go of requests that were carried out.
    fn forget_taken(&mut self) {
        self.frame = Bytes::new();
        self.taken = 0;
        self.line = Bytes::new();
    }

    fn take_line(&mut self, start: usize, text_end: usize) -> Result<(), ProtocolError> {
        let line = self.frame.get(start..start + text_end).unwrap_or_default();
        self.line = inline::split(line, self.guard.spans_mut())?;
        if self.bounds.is_before_auth {
            let spans = self.guard.spans();
            if spans.len() > limits::BEFORE_AUTH_MAX_ARGS {
                return Err(ProtocolError::CountBeforeAuth);
            }
            let max_bytes = limits::BEFORE_AUTH_MAX_ARG_BYTES;
            if spans.iter().any(|span| span.end - span.start > max_bytes) {
                return Err(ProtocolError::LengthBeforeAuth);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
