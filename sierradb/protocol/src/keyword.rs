//! Names and keywords as numbers: compared at once, in any case, and sorted as the words are.

use crate::limits::KEYWORD_MAX_BYTES;

const _: () = assert!(KEYWORD_MAX_BYTES == size_of::<u128>());

/// The upper-case letters of `word` as digits of a number, filled up with zeros at the end; `None` if the word is
/// longer than any keyword. A NUL at the end looks like none.
///
/// Every request has some: the letters are read eight or four at once, those in the middle twice if need be.
pub(crate) const fn upper_key(word: &[u8]) -> Option<u128> {
    // Widening casts: `From` is not const.
    if word.len() > KEYWORD_MAX_BYTES {
        return None;
    }
    let room = (KEYWORD_MAX_BYTES - word.len()) * 8;
    let key = if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
        (u64::from_be_bytes(*first) as u128) << 64 | (u64::from_be_bytes(*last) as u128) << room
    } else if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
        (u32::from_be_bytes(*first) as u128) << 96 | (u32::from_be_bytes(*last) as u128) << room
    } else {
        match *word {
            [a, b, c] => u128::from_be_bytes([a, b, c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            [a, b] => u128::from_be_bytes([a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            [a] => (a as u128) << 120,
            _ => 0,
        }
    };
    Some(upper(key))
}

/// As [`upper_key`], but `None` for a word with a NUL at the end too: words with the same key are the same keyword.
pub(crate) const fn exact_key(word: &[u8]) -> Option<u128> {
    match word {
        [.., 0] => None,
        _ => upper_key(word),
    }
}

/// The key of a keyword, which is in upper case and not too long.
pub(crate) const fn keyword_key(keyword: &'static str) -> u128 {
    exact_key(keyword.as_bytes()).expect("keywords have at most 16 bytes")
}

/// `letters` with those from `a` to `z` in upper case, all at once: in each byte the sums set the high bit if the
/// letter is at least `a`, and if it is beyond `z`; neither carries into the next byte.
const fn upper(letters: u128) -> u128 {
    const HIGH_BITS: u128 = u128::from_ne_bytes([0x80; 16]);
    const TO_A: u128 = u128::from_ne_bytes([0x80 - b'a'; 16]);
    const BEYOND_Z: u128 = u128::from_ne_bytes([0x80 - b'z' - 1; 16]);
    let low_bits = letters & !HIGH_BITS;
    let differ = low_bits.wrapping_add(TO_A) ^ low_bits.wrapping_add(BEYOND_Z);
    letters ^ (differ & !letters & HIGH_BITS) >> 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_letters_are_the_digits(word in proptest::collection::vec(any::<u8>(), 0..=KEYWORD_MAX_BYTES)) {
            let mut letters = [0; KEYWORD_MAX_BYTES];
            letters[..word.len()].copy_from_slice(&word.to_ascii_uppercase());
            prop_assert_eq!(upper_key(&word), Some(u128::from_be_bytes(letters)));
        }
    }

    #[test]
    fn a_word_too_long_for_a_keyword_has_no_key() {
        assert_eq!(upper_key(&[b'x'; KEYWORD_MAX_BYTES + 1]), None);
        assert_eq!(exact_key(&[b'x'; KEYWORD_MAX_BYTES + 1]), None);
    }

    #[test]
    fn a_word_with_a_nul_at_the_end_is_no_keyword() {
        assert_eq!(exact_key(b"payload"), Some(keyword_key("PAYLOAD")));
        assert_eq!(exact_key(b"payload\0"), None);
        assert_eq!(exact_key(b"\0"), None);
        assert_ne!(exact_key(b"\0payload"), Some(keyword_key("PAYLOAD")));
    }
}
