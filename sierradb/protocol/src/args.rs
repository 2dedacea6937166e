//! A cursor over the words of a request, and the small readers all commands share.
//!
//! Words are looked at in place, and never copied: a payload is the slice of the socket's buffer it arrived in.

use uuid::Uuid;

use crate::id::parse_uuid;
use crate::keyword::upper_key;
use crate::limits::KEYWORD_MAX_BYTES;
use crate::parse_error::ParseError;
use crate::quote::Quoted;
use crate::request::{RequestWords, Word};
use crate::stream_id::{EventName, StreamId};

/// The words of a request behind the command name, taken from the front.
#[derive(Debug)]
pub struct Args<'a> {
    command: &'static str,
    subcommand: Option<&'static str>,
    words: RequestWords<'a>,
}

/// A word in upper case on the stack; empty if the word is too long for a keyword.
#[derive(Debug, Clone, Copy)]
pub struct Upper {
    bytes: [u8; KEYWORD_MAX_BYTES],
    len: usize,
}

impl<'a> Args<'a> {
    /// A cursor before the first of `words`; errors speak of `command`.
    pub fn new(command: &'static str, words: RequestWords<'a>) -> Self {
        Self { command, subcommand: None, words }
    }

    /// From here on, errors speak of this subcommand.
    pub fn enter(&mut self, subcommand: &'static str) {
        self.subcommand = Some(subcommand);
    }

    /// The command these are the words of, in upper case.
    pub fn command(&self) -> &'static str {
        self.command
    }

    /// How many words are left.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True if none is left.
    pub fn is_empty(&self) -> bool {
        self.words.len() == 0
    }

    /// The next word, left in place.
    pub fn peek(&self) -> Option<Word<'a>> {
        self.words.peek()
    }

    /// Takes the next word.
    pub fn next_word(&mut self) -> Option<Word<'a>> {
        self.words.next()
    }

    /// Takes the next word, which the command cannot do without.
    ///
    /// # Errors
    ///
    /// [`ParseError::WrongArity`] if none is left.
    pub fn word(&mut self) -> Result<Word<'a>, ParseError> {
        self.words.next().ok_or_else(|| self.wrong_arity())
    }

    /// Takes the next word as the value of `option`.
    ///
    /// # Errors
    ///
    /// [`ParseError::MissingValue`] if none is left.
    pub fn value(&mut self, option: &'static str) -> Result<Word<'a>, ParseError> {
        match self.words.next() {
            Some(word) => Ok(word),
            None => Err(ParseError::MissingValue { option }),
        }
    }

    /// Takes the value of `option` through `read`; `fault` names what was wrong with the word.
    ///
    /// # Errors
    ///
    /// If there is no word, or `read` finds none in it.
    pub fn read<T>(
        &mut self,
        option: &'static str,
        read: impl FnOnce(&[u8]) -> Option<T>,
        fault: impl FnOnce(Quoted) -> ParseError,
    ) -> Result<T, ParseError> {
        let word = self.value(option)?;
        read(&word).ok_or_else(|| fault(Quoted::new(&word)))
    }

    /// Takes the value of `option` as a UUID; errors call it `what`.
    ///
    /// # Errors
    ///
    /// If there is no word, or it is no UUID.
    pub fn uuid(&mut self, option: &'static str, what: &'static str) -> Result<Uuid, ParseError> {
        self.read(option, parse_uuid, |word| ParseError::InvalidUuid { what, word })
    }

    /// Takes the next word as a stream id.
    ///
    /// # Errors
    ///
    /// If there is no word, or it is no stream id.
    pub fn stream_id(&mut self) -> Result<StreamId, ParseError> {
        let word = self.word()?;
        StreamId::from_bytes(word.to_bytes()).map_err(ParseError::StreamId)
    }

    /// Takes the next word as an event name.
    ///
    /// # Errors
    ///
    /// If there is no word, or it is no event name.
    pub fn event_name(&mut self) -> Result<EventName, ParseError> {
        let word = self.word()?;
        EventName::from_bytes(word.to_bytes()).map_err(ParseError::EventName)
    }

    /// Verifies that no word is left.
    ///
    /// # Errors
    ///
    /// [`ParseError::WrongArity`] if one is.
    pub fn finish(&self) -> Result<(), ParseError> {
        if self.is_empty() { Ok(()) } else { Err(self.wrong_arity()) }
    }

    /// The refusal for too few or too many words.
    pub fn wrong_arity(&self) -> ParseError {
        ParseError::WrongArity { command: self.command, subcommand: self.subcommand }
    }
}

impl Upper {
    /// `word` in upper case.
    pub fn of(word: &[u8]) -> Self {
        match upper_key(word) {
            Some(key) => Self { bytes: key.to_be_bytes(), len: word.len() },
            None => Self { bytes: [0; KEYWORD_MAX_BYTES], len: 0 },
        }
    }

    /// The letters.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Keeps the value of an option that may be given once.
///
/// # Errors
///
/// [`ParseError::AlreadySpecified`] if it was given before, even with the same or an empty value.
pub fn set_once<T>(slot: &mut Option<T>, option: &'static str, value: T) -> Result<(), ParseError> {
    if slot.is_some() {
        return Err(ParseError::AlreadySpecified { option });
    }
    *slot = Some(value);
    Ok(())
}

/// A number as the wire writes it: decimal, leading zeros and one leading `+` allowed, at most 2^64−1.
pub fn parse_number(word: &[u8]) -> Option<u64> {
    let digits = word.strip_prefix(b"+").unwrap_or(word);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(value)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::request::{Request, Span};

    #[test]
    fn numbers_are_decimal_and_unsigned() {
        let rows: [(&[u8], Option<u64>); 10] = [
            (b"0", Some(0)),
            (b"+0", Some(0)),
            (b"00", Some(0)),
            (b"0042", Some(42)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"", None),
            (b"+", None),
            (b"-1", None),
            (b"1 ", None),
        ];
        for (word, number) in rows {
            assert_eq!(parse_number(word), number, "{}", String::from_utf8_lossy(word));
        }
    }

    #[test]
    fn a_value_given_twice_is_refused_even_if_empty() {
        let mut slot = None;
        assert_eq!(set_once(&mut slot, "PAYLOAD", ""), Ok(()));
        let refused = set_once(&mut slot, "PAYLOAD", "x").unwrap_err();
        assert_eq!(refused.to_string(), "payload already specified");
    }

    #[test]
    fn words_too_long_for_a_keyword_match_none() {
        assert_eq!(Upper::of(b"expected_Version").as_bytes(), b"EXPECTED_VERSION");
        assert_eq!(Upper::of(&[b'x'; KEYWORD_MAX_BYTES + 1]).as_bytes(), b"");
    }

    #[test]
    fn words_are_taken_in_order_and_missed_by_name() {
        let spans = [Span { start: 0, end: 1 }, Span { start: 1, end: 2 }];
        let frame = Bytes::from_static(b"ab");
        let request = Request::new(&frame, &spans);
        let mut args = Args::new("CLIENT", request.words());
        assert_eq!(args.peek().unwrap().as_bytes(), b"a");
        assert_eq!((args.len(), args.word().unwrap().as_bytes()), (2, &b"a"[..]));
        args.enter("ID");
        let refused = args.finish().unwrap_err();
        assert_eq!(refused.to_string(), "wrong number of arguments for 'client|id' command");
        assert_eq!(args.value("COUNT").unwrap().as_bytes(), b"b");
        assert_eq!(args.value("COUNT").unwrap_err().to_string(), "missing value for COUNT");
        assert_eq!(args.finish(), Ok(()));
    }
}
