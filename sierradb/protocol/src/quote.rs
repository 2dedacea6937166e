//! Words of a client as an error quotes them: cut to 128 bytes at a character, invalid UTF-8 replaced.

use std::fmt;

use crate::limits::QUOTED_MAX_BYTES;

/// A word somebody sent, short enough to be sent back.
///
/// Control characters stay; the RESP encoder replaces them wherever a text becomes a line.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoted(Box<str>);

impl Quoted {
    /// Quotes `word`.
    pub fn new(word: &[u8]) -> Self {
        Self(String::from_utf8_lossy(cut(word, QUOTED_MAX_BYTES)).into())
    }

    /// The text without quotation marks.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}'", self.0)
    }
}

impl fmt::Debug for Quoted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "'{}'", self.0.escape_debug())
    }
}

/// The longest beginning of `word` of at most `max` bytes that does not end within a character.
pub(crate) fn cut(word: &[u8], max: usize) -> &[u8] {
    let Some((head, tail)) = word.split_at_checked(max) else { return word };
    if !tail.first().is_some_and(|byte| is_continuation(*byte)) {
        return head;
    }
    // The character that reaches over the edge starts within the last three bytes, or this is not UTF-8 anyway.
    let back = head.iter().rev().take(3).position(|byte| !is_continuation(*byte));
    back.and_then(|at| head.get(..head.len() - at - 1)).unwrap_or(head)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_word_is_quoted_whole() {
        assert_eq!(Quoted::new(b"FOO").to_string(), "'FOO'");
        assert_eq!(Quoted::new(&[b'x'; 128]).as_str().len(), 128);
    }

    #[test]
    fn a_long_word_is_cut_at_a_character() {
        let word = format!("{}é€", "x".repeat(126));
        assert_eq!(Quoted::new(word.as_bytes()).as_str(), format!("{}é", "x".repeat(126)));
        let word = format!("{}€", "x".repeat(127));
        assert_eq!(Quoted::new(word.as_bytes()).as_str(), "x".repeat(127));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(Quoted::new(b"a\xffb").as_str(), "a\u{fffd}b");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn text_stays_text(word in "\\PC{0,80}") {
            let quoted = Quoted::new(word.as_bytes());
            prop_assert!(word.starts_with(quoted.as_str()));
            prop_assert!(quoted.as_str().len() <= QUOTED_MAX_BYTES);
            prop_assert!(quoted.as_str().len() + 4 > QUOTED_MAX_BYTES.min(word.len()));
        }

        #[test]
        fn any_bytes_can_be_quoted(word: Vec<u8>) {
            prop_assert!(cut(&word, 5).len() <= 5);
        }
    }
}
