//! Which option an unknown word may have been meant to be.

use crate::limits::SUGGEST_MAX_BYTES;
use crate::parse_error::{OptionNote, ParseError};
use crate::quote::Quoted;

/// Where the unknown word stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Right behind an event name, where a name with a forgotten quote continues.
    BehindEventName,
    /// Anywhere else.
    Elsewhere,
}

/// The refusal of `word` as an option of `command`.
pub(crate) fn unknown_option(
    command: &'static str,
    expected: &'static [&'static str],
    word: &[u8],
    place: Place,
) -> ParseError {
    let note = match (nearest(word, expected), place) {
        (Some(option), _) => OptionNote::DidYouMean(option),
        (None, Place::BehindEventName) => OptionNote::NeedsQuotes,
        (None, Place::Elsewhere) => OptionNote::None,
    };
    ParseError::UnknownOption { word: Quoted::new(word), command, expected, note }
}

/// The option at most a third of its letters away, transpositions counted once.
fn nearest(word: &[u8], expected: &[&'static str]) -> Option<&'static str> {
    if word.len() > SUGGEST_MAX_BYTES {
        return None;
    }
    let word = std::str::from_utf8(word).ok()?.to_ascii_uppercase().replace('-', "_");
    let distance = |option: &str| strsim::damerau_levenshtein(&word, option);
    let near = expected.iter().copied().min_by_key(|option| distance(option))?;
    (distance(near) <= near.len() / 3).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[&str] = &["EVENT_ID", "PARTITION_KEY", "PAYLOAD", "COUNT"];

    #[test]
    fn slips_of_the_finger_are_recognised() {
        for (word, option) in [
            ("PAYLAOD", "PAYLOAD"),
            ("paylod", "PAYLOAD"),
            ("EVENTID", "EVENT_ID"),
            ("partition-key", "PARTITION_KEY"),
            ("COUTN", "COUNT"),
        ] {
            assert_eq!(nearest(word.as_bytes(), OPTIONS), Some(option), "{word}");
        }
    }

    #[test]
    fn other_words_are_not_bent_into_options() {
        for word in ["", "Created", "OrderCreated", "x", "\u{fffd}", "KEY"] {
            assert_eq!(nearest(word.as_bytes(), OPTIONS), None, "{word}");
        }
        assert_eq!(nearest(&[b'x'; 1000], OPTIONS), None);
        assert_eq!(nearest(b"PAYLOA\xff", OPTIONS), None);
    }
}
