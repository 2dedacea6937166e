//! One request as it arrived: its bytes, and where the words lie in them.
//!
//! Most words are only looked at: the command's name, keywords, numbers. So a word is a plain slice, and only what a
//! command keeps becomes a reference to the memory of the request.

use std::ops::Deref;

use bytes::Bytes;

/// Where a word lies, counted from the start of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

/// The words of one request, the command's name first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    frame: &'a Bytes,
    /// Where the request begins there.
    start: usize,
    spans: &'a [Span],
}

/// One word of a request; reads like its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    frame: &'a Bytes,
    start: usize,
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    /// The words that lie at `spans` of `frame`. A span that reaches beyond it is an empty word.
    pub fn new(frame: &'a Bytes, spans: &'a [Span]) -> Self {
        Self::at(frame, 0, spans)
    }

    /// The same, with `spans` counted from `start` on: requests that came together share one frame.
    pub fn at(frame: &'a Bytes, start: usize, spans: &'a [Span]) -> Self {
        Self { frame, start, spans }
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The words in order.
    pub fn words(&self) -> RequestWords<'a> {
        RequestWords { frame: self.frame, start: self.start, spans: self.spans.iter() }
    }
}

/// The words of a request that have not been taken yet.
#[derive(Debug, Clone)]
pub struct RequestWords<'a> {
    frame: &'a Bytes,
    start: usize,
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> RequestWords<'a> {
    /// The next word, left in place.
    pub fn peek(&self) -> Option<Word<'a>> {
        self.spans.as_slice().first().map(|span| Word::at(self.frame, self.start, *span))
    }
}

impl<'a> Iterator for RequestWords<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.spans.next().map(|span| Word::at(self.frame, self.start, *span))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for RequestWords<'_> {}

impl<'a> Word<'a> {
    fn at(frame: &'a Bytes, start: usize, span: Span) -> Self {
        let (start, end) = (start + span.start, start + span.end);
        let (start, bytes) = match frame.get(start..end) {
            Some(bytes) => (start, bytes),
            None => (0, [].as_slice()),
        };
        Self { frame, start, bytes }
    }

    /// The bytes, for as long as the request.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes to be kept: shared with the request, not copied.
    pub fn to_bytes(self) -> Bytes {
        self.frame.slice(self.start..self.start + self.bytes.len())
    }
}

impl Deref for Word<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPANS: [Span; 3] =
        [Span { start: 0, end: 4 }, Span { start: 5, end: 7 }, Span { start: 7, end: 7 }];

    #[test]
    fn words_are_taken_in_order() {
        let frame = Bytes::from_static(b"ECHO hi");
        let request = Request::new(&frame, &SPANS);
        let mut words = request.words();
        assert_eq!((request.len(), words.len(), request.is_empty()), (3, 3, false));
        assert_eq!(words.peek().unwrap().as_bytes(), b"ECHO");
        let taken: Vec<_> = words.by_ref().map(Word::as_bytes).collect();
        assert_eq!(taken, [&b"ECHO"[..], b"hi", b""]);
        assert!(words.peek().is_none());
    }

    #[test]
    fn kept_words_share_the_memory_of_the_request() {
        let frame = Bytes::from(b"ECHO hi".to_vec());
        let request = Request::new(&frame, &SPANS);
        let kept: Vec<_> = request.words().map(Word::to_bytes).collect();
        assert_eq!(kept, [&b"ECHO"[..], b"hi", b""]);
        assert_eq!(kept[1].as_ptr(), frame[5..].as_ptr());
    }

    #[test]
    fn a_request_behind_another_in_its_frame_has_its_own_words() {
        let frame = Bytes::from(b"PINGECHO hi".to_vec());
        let request = Request::at(&frame, 4, &SPANS);
        assert_eq!(request.words().peek().unwrap().as_bytes(), b"ECHO");
        let kept: Vec<_> = request.words().map(Word::to_bytes).collect();
        assert_eq!(kept, [&b"ECHO"[..], b"hi", b""]);
        assert_eq!(kept[1].as_ptr(), frame[9..].as_ptr());
    }

    #[test]
    fn a_span_beyond_the_request_is_an_empty_word() {
        let spans = [Span { start: 6, end: 9 }, Span { start: 3, end: 2 }];
        let frame = Bytes::from_static(b"ECHO hi");
        let request = Request::new(&frame, &spans);
        assert!(request.words().all(|word| word.is_empty()));
    }
}
