//! Finds where a request ends, and where its arguments lie, before anything is decoded.
//!
//! Works on whatever has arrived and remembers its position, so a request that comes in pieces is walked once in all.
//! Lengths are believed only after they were compared with the limits, and nothing is reserved for them: memory
//! follows the bytes received. Requests never nest, so there is no recursion.
//!
//! Invariants: `at <= next frame's start`; everything before `at` is checked; `spans` lie before `at`, in order.

use sierradb_protocol::Span;

use crate::limits;
use crate::resp::ProtocolError;

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_request_bytes: usize,
    pub(super) is_before_auth: bool,
}

/// What the bytes so far are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The beginning of a request, at best.
    Incomplete,
    /// An array of `len` bytes, whose arguments are the guard's spans.
    Array { len: usize },
    /// A line of `len` bytes, with the text before its end at `..text_end`.
    Inline { len: usize, text_end: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first byte of a request.
    Start,
    /// An inline request.
    Inline,
    /// The rest of the line behind `*`.
    Count,
    /// The type byte of an argument.
    Type,
    /// The rest of the line behind `+`, `:` or `(`.
    Simple,
    /// The rest of the line behind `$` or `=`; `skip` bytes of the content are no argument.
    Length { skip: usize },
    /// Content of `len` bytes and its line end.
    Content { len: usize, skip: usize },
}

/// The walk through one request.
#[derive(Debug)]
pub(super) struct Guard {
    stage: Stage,
    /// Start of what is looked at now: a line, a type, a content.
    at: usize,
    /// Bytes of the line at `at` known to hold no line end.
    searched: usize,
    args_left: usize,
    spans: Vec<Span>,
}

impl Guard {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Start, at: 0, searched: 0, args_left: 0, spans: Vec::new() }
    }

    /// Where the arguments of a complete array lie, until the next look at bytes.
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Keeps the words of a line where those of arrays are.
    pub(super) fn spans_mut(&mut self) -> &mut Vec<Span> {
        &mut self.spans
    }

    /// Bytes that are certainly missing to complete the request; 0 if unknown.
    pub(super) fn missing(&self, received: usize) -> usize {
        match self.stage {
            Stage::Content { len, .. } => (self.at + len + 2).saturating_sub(received),
            _ => 0,
        }
    }

    /// Begins the next request; the spans of this one stay until then.
    pub(super) fn rewind(&mut self) {
        self.begin(Stage::Start, 0);
    }

    /// Goes on with `bytes`, which begin where the request begins and only grow from call to call.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        bounds: &Bounds,
    ) -> Result<Found, ProtocolError> {
        loop {
            let went_on = match self.stage {
                Stage::Start => self.start(bytes, bounds),
                Stage::Inline => {
                    return self.inline(bytes);
                }
                Stage::Count => self.count(bytes, bounds)?,
                Stage::Type => {
                    self.short_arguments(bytes, bounds);
                    self.args_left == 0 || self.argument_type(bytes)?
                }
                Stage::Simple => self.simple(bytes, bounds)?,
                Stage::Length { skip } => self.length(bytes, skip, bounds)?,
                Stage::Content { len, skip } => self.content(bytes, len, skip)?,
            };
            if !went_on {
                return Ok(Found::Incomplete);
            }
            if self.stage == Stage::Type && self.args_left == 0 {
                return Ok(Found::Array { len: self.at });
            }
        }
    }

    fn start(&mut self, bytes: &[u8], bounds: &Bounds) -> bool {
        self.spans.clear();
        if self.spans.capacity() > limits::KEPT_SPANS {
            self.spans = Vec::new();
        }
        match bytes {
            [] => return false,
            // Nearly all requests: few arguments, their number complete. No bound but that before login can object.
            [b'*', count @ b'1'..=b'9', b'\r', b'\n', ..] if !bounds.is_before_auth => {
                self.args_left = usize::from(count - b'0');
                self.begin(Stage::Type, 4);
            }
            [b'*', ..] => self.begin(Stage::Count, 1),
            _ => self.stage = Stage::Inline,
        }
        true
    }

    fn inline(&mut self, bytes: &[u8]) -> Result<Found, ProtocolError> {
        let Some(end) = self.line_feed(bytes, ProtocolError::InlineTooLong)? else {
            return Ok(Found::Incomplete);
        };
        let text_end = end - usize::from(has_carriage_return(bytes, 0, end));
        Ok(Found::Inline { len: end + 1, text_end })
    }

    fn count(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<bool, ProtocolError> {
        let Some(end) = self.line_feed(bytes, ProtocolError::CountTooLong)? else {
            return Ok(false);
        };
        let count = number(bytes, self.at, end).ok_or(ProtocolError::Count)?;
        // Nothing is asked by *0 and below.
        self.args_left = usize::try_from(count).unwrap_or(0);
        if self.args_left > limits::REQUEST_MAX_ARGS {
            return Err(ProtocolError::Count);
        }
        if bounds.is_before_auth && self.args_left > limits::BEFORE_AUTH_MAX_ARGS {
            return Err(ProtocolError::CountBeforeAuth);
        }
        self.begin(Stage::Type, end + 1);
        Ok(true)
    }

    /// Takes the arguments that nearly all are: short, and complete. Whatever looks different, or would go beyond a
    /// bound, is left to the careful stages.
    fn short_arguments(&mut self, bytes: &[u8], bounds: &Bounds) {
        let end_of_bounds = bytes.len().min(bounds.max_request_bytes);
        let Some(mut rest) = bytes.get(self.at..end_of_bounds) else { return };
        // Kept at hand: behind `self` each would be loaded and stored for every argument.
        let (mut at, mut args_left) = (self.at, self.args_left);
        while args_left > 0
            && let Some((header, len)) = short_length(rest)
            && let Some((argument, behind)) = rest.split_at_checked(header + len + 2)
            && argument.ends_with(b"\r\n")
        {
            let start = at + header;
            self.spans.push(Span { start, end: start + len });
            at += argument.len();
            args_left -= 1;
            rest = behind;
        }
        (self.at, self.args_left) = (at, args_left);
    }

    fn argument_type(&mut self, bytes: &[u8]) -> Result<bool, ProtocolError> {
        let Some(kind) = bytes.get(self.at) else { return Ok(false) };
        let stage = match kind {
            b'$' => Stage::Length { skip: 0 },
            b'=' => Stage::Length { skip: 4 }, // "txt:"
            b'+' | b':' | b'(' => Stage::Simple,
            got => return Err(ProtocolError::ArgumentType { got: *got }),
        };
        self.begin(stage, self.at + 1);
        Ok(true)
    }

    fn simple(&mut self, bytes: &[u8], bounds: &Bounds) -> Result<bool, ProtocolError> {
        let Some(end) = self.line_feed(bytes, ProtocolError::LengthTooLong)? else {
            return Ok(false);
        };
        if !has_carriage_return(bytes, self.at, end) {
            return Err(ProtocolError::Terminator);
        }
        check_length(end - 1 - self.at, bounds)?;
        if end >= bounds.max_request_bytes {
            return Err(ProtocolError::RequestTooLarge);
        }
        self.argument(Span { start: self.at, end: end - 1 }, end + 1);
        Ok(true)
    }

    fn length(
        &mut self,
        bytes: &[u8],
        skip: usize,
        bounds: &Bounds,
    ) -> Result<bool, ProtocolError> {
        let Some(end) = self.line_feed(bytes, ProtocolError::LengthTooLong)? else {
            return Ok(false);
        };
        let len = number(bytes, self.at, end).and_then(|len| usize::try_from(len).ok());
        let len = len.filter(|len| *len >= skip).ok_or(ProtocolError::Length)?;
        check_length(len, bounds)?;
        if end + 1 + len + 2 > bounds.max_request_bytes {
            return Err(ProtocolError::RequestTooLarge);
        }
        self.begin(Stage::Content { len, skip }, end + 1);
        Ok(true)
    }

    fn content(&mut self, bytes: &[u8], len: usize, skip: usize) -> Result<bool, ProtocolError> {
        let end = self.at + len;
        // The terminator is judged byte by byte, so that the verdict does not hang on how the bytes arrive.
        match (bytes.get(end), bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => {}
            (None, _) | (Some(b'\r'), None) => return Ok(false),
            _ => return Err(ProtocolError::Terminator),
        }
        self.argument(Span { start: self.at + skip, end }, end + 2);
        Ok(true)
    }

    fn argument(&mut self, span: Span, next: usize) {
        self.spans.push(span);
        self.args_left -= 1;
        self.begin(Stage::Type, next);
    }

    fn begin(&mut self, stage: Stage, at: usize) {
        self.stage = stage;
        self.at = at;
        self.searched = 0;
    }

    /// Position of the line feed that ends the line at `at`; `None` if it has not arrived.
    fn line_feed(
        &mut self,
        bytes: &[u8],
        too_long: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let from = self.at + self.searched;
        let to = bytes.len().min(self.at + limits::LINE_MAX_BYTES);
        let fresh = bytes.get(from..to).unwrap_or_default();
        if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
            return Ok(Some(from + found));
        }
        self.searched += fresh.len();
        if self.searched >= limits::LINE_MAX_BYTES { Err(too_long) } else { Ok(None) }
    }
}

fn check_length(len: usize, bounds: &Bounds) -> Result<(), ProtocolError> {
    if len > bounds.max_request_bytes {
        return Err(ProtocolError::Length);
    }
    if bounds.is_before_auth && len > limits::BEFORE_AUTH_MAX_ARG_BYTES {
        return Err(ProtocolError::LengthBeforeAuth);
    }
    Ok(())
}

/// Bytes of the header, and the length it announces, if that has one to three digits. An argument that is complete has
/// six bytes at least.
#[inline]
fn short_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let [b'$', first, second, third, fourth, fifth] = *bytes.first_chunk()? else { return None };
    let digit = |byte: u8| {
        let value = byte.wrapping_sub(b'0');
        (value <= 9).then_some(usize::from(value))
    };
    let one = digit(first)?;
    if second == b'\r' {
        return (third == b'\n').then_some((4, one));
    }
    let two = one * 10 + digit(second)?;
    if third == b'\r' {
        return (fourth == b'\n').then_some((5, two));
    }
    let three = two * 10 + digit(third)?;
    ([fourth, fifth] == *b"\r\n").then_some((6, three))
}

/// Whether the line from `start` with its line feed at `end` ends in CR LF.
fn has_carriage_return(bytes: &[u8], start: usize, end: usize) -> bool {
    end > start && bytes.get(end - 1) == Some(&b'\r')
}

/// The decimal number on the line from `start` with its line feed at `end`; `None` if there is none, or no CR.
fn number(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let text = bytes.get(start..end)?.strip_suffix(b"\r")?;
    let (is_negative, digits) = match text.split_first()? {
        (b'-', digits) => (true, digits),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None; // beyond any limit, or no number
    }
    let mut value = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if is_negative { -value } else { value })
}
