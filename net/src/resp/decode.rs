//! From the bytes of a connection to requests.
//!
//! Arguments are slices of the buffer their bytes were received in: no copy, whatever their size. Only words of
//! inline requests are built anew.

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
/// Put what arrives into [`input`](Self::input), then call [`next`](Self::next) until it returns `None`. The result
/// does not depend on how the bytes were split. Memory: what was received, and per argument about as much again as
/// its position takes.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    guard: Guard,
    bounds: Bounds,
    failed: Option<ProtocolError>,
}

impl Decoder {
    /// For requests of at most `max_request_bytes`, counted as they are on the wire.
    pub fn new(max_request_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
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

    /// Where received bytes go, behind those already there. Only append.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// As [`input`](Self::input), with room for `room` more bytes, or between two requests for a quarter of that: what
    /// is left of a buffer whose requests are still in work is worth filling. An empty buffer that is much larger is
    /// given back.
    pub fn input_with_room(&mut self, room: usize) -> &mut BytesMut {
        if self.buffer.is_empty() && self.buffer.capacity() / 4 > room {
            self.buffer = BytesMut::new();
        }
        let least = if self.missing() > 0 { room } else { room / 4 };
        if self.buffer.capacity() - self.buffer.len() < least {
            self.buffer.reserve(room);
        }
        &mut self.buffer
    }

    /// Bytes received and not yet part of a request.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes that must still arrive before a request is complete; 0 if that is not known. Checked against the limits.
    pub fn missing(&self) -> usize {
        self.guard.missing(self.buffer.len())
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
        match self.take_frame() {
            Ok(frame) => Ok(frame.map(|frame| Request::new(frame, self.guard.spans()))),
            Err(error) => {
                self.failed = Some(error);
                self.buffer = BytesMut::new();
                self.guard = Guard::new();
                Err(error)
            }
        }
    }

    /// The bytes that hold the words of the next request; the guard knows where.
    fn take_frame(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        loop {
            let frame = match self.guard.advance(&self.buffer, &self.bounds)? {
                Found::Incomplete => return Ok(None),
                Found::Array { len } => self.buffer.split_to(len).freeze(),
                Found::Inline { len, text_end } => self.take_line(len, text_end)?,
            };
            self.guard.rewind();
            if !self.guard.spans().is_empty() {
                return Ok(Some(frame));
            }
        }
    }

    fn take_line(&mut self, len: usize, text_end: usize) -> Result<Bytes, ProtocolError> {
        let line = self.buffer.get(..text_end).unwrap_or_default();
        let words = inline::split(line, self.guard.spans_mut())?;
        self.buffer.advance(len);
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
        Ok(words)
    }
}

#[cfg(test)]
mod tests;
