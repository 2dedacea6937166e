//! Requests as a person types them: words on a line, with quotes.
//!
//! Words are split at white space. `"…"` knows `\n \r \t \b \a \xHH`, and takes any other character behind a
//! backslash as it is; `'…'` knows `\'`. Quotes may begin inside a word, but must end it.

use bytes::Bytes;
use sierradb_protocol::Span;

use crate::resp::ProtocolError;

/// The words of `line`, which comes without its end, without anything in between; none if it is blank. `spans` takes
/// where they lie.
///
/// # Errors
/// [`ProtocolError::Quotes`] if quotes are not closed or do not end their word, [`ProtocolError::Http`] if the line
/// looks like one of a browser's requests.
pub(super) fn split(line: &[u8], spans: &mut Vec<Span>) -> Result<Bytes, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        // `trim_ascii` leaves the vertical tab, which C's isspace takes.
        while let Some((0x0B, tail)) = rest.split_first() {
            rest = tail.trim_ascii_start();
        }
        if rest.is_empty() {
            break;
        }
        let start = words.len();
        rest = take_word(rest, &mut words)?;
        spans.push(Span { start, end: words.len() });
        if spans.len() == 1 && is_http(&words) {
            return Err(ProtocolError::Http);
        }
    }
    Ok(words.into())
}

/// A page in somebody's browser can make it send a form anywhere, so we hang up at the first line of it.
fn is_http(first_word: &[u8]) -> bool {
    first_word.eq_ignore_ascii_case(b"post") || first_word.eq_ignore_ascii_case(b"host:")
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0B
}

/// Moves one word from `rest` to the end of `word`; returns what follows it.
fn take_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    while let Some((byte, tail)) = rest.split_first() {
        match byte {
            b'"' => return end_of_word(take_double_quoted(tail, word)?),
            b'\'' => return end_of_word(take_single_quoted(tail, word)?),
            space if is_space(*space) => break,
            other => word.push(*other),
        }
        rest = tail;
    }
    Ok(rest)
}

fn end_of_word(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(ProtocolError::Quotes),
        _ => Ok(rest),
    }
}

fn take_double_quoted<'a>(
    mut rest: &'a [u8],
    word: &mut Vec<u8>,
) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if let (Some(high), Some(low)) = (hex(*high), hex(*low)) =>
            {
                word.push(high << 4 | low);
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(unescape(*escaped));
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
            [] => return Err(ProtocolError::Quotes),
        };
    }
}

fn take_single_quoted<'a>(
    mut rest: &'a [u8],
    word: &mut Vec<u8>,
) -> Result<&'a [u8], ProtocolError> {
    loop {
        rest = match rest {
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
            [] => return Err(ProtocolError::Quotes),
        };
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
        split_apart(line.as_bytes()).unwrap().iter().map(text).collect()
    }

    fn split_apart(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
        let mut spans = Vec::new();
        let words = split(line, &mut spans)?;
        Ok(spans.iter().map(|span| words[span.start..span.end].to_vec()).collect())
    }

    #[test]
    fn words_are_split_at_any_white_space() {
        assert_eq!(words("  PING\t a\x0B b\x0Cc  "), ["PING", "a", "b", "c"]);
        assert_eq!(words(" \t\x0B "), Vec::<String>::new());
    }

    #[test]
    fn quotes_keep_blanks_and_know_their_escapes() {
        assert_eq!(words(r#"a "b c" d"#), ["a", "b c", "d"]);
        assert_eq!(words(r#""\n\r\t\b\a\\\"\x41\xzz\q""#), ["\n\r\t\x08\x07\\\"Axzzq"]);
        assert_eq!(words(r#"'it\'s \n "raw"'"#), [r#"it's \n "raw""#]);
        assert_eq!(words(r#""" ''"#), ["", ""]);
        assert_eq!(words(r#"pre"fix ed""#), ["prefix ed"]);
        assert_eq!(split_apart(br#""\xff\x00""#).unwrap(), [&b"\xff\x00"[..]]);
    }

    #[test]
    fn open_quotes_and_glued_words_are_refused() {
        for line in [r#""a"#, "'a", r#""a"b"#, "'a'b", r#""a\"#, r#""a\""#, r#"a "b""c""#] {
            assert_eq!(split_apart(line.as_bytes()), Err(ProtocolError::Quotes), "{line}");
        }
    }

    #[test]
    fn browsers_are_hung_up_on() {
        for line in ["POST / HTTP/1.1", "post", "Host: example.org", "HOST: x"] {
            assert_eq!(split_apart(line.as_bytes()), Err(ProtocolError::Http), "{line}");
        }
        assert_eq!(words("ECHO POST"), ["ECHO", "POST"]);
        assert_eq!(words("Host x"), ["Host", "x"]);
    }
}
