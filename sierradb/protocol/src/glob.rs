//! Globs as Redis has them: `*`, `?`, `[abc]`, `[^a-z]`, `\` for the next character; ASCII case is ignored.

/// True if all of `text` matches `pattern`. Takes at most about `pattern · text` steps, whatever the pattern.
pub fn glob_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on if what follows the last star does not match: one more byte for the star.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            retry = Some((rest, text));
            pattern = rest;
            continue;
        }
        let step = match (pattern.is_empty(), text.split_first()) {
            (true, None) => return true,
            (false, Some((byte, rest))) => match_one(pattern, *byte).map(|after| (after, rest)),
            (true, Some(_)) | (false, None) => None,
        };
        if let Some((after, rest)) = step {
            (pattern, text) = (after, rest);
            continue;
        }
        let Some((after_star, skipped)) = retry else { return false };
        let Some((_, rest)) = skipped.split_first() else { return false };
        retry = Some((after_star, rest));
        (pattern, text) = (after_star, rest);
    }
}

/// The pattern behind its first element, if that matches `byte`.
fn match_one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let same = |expected: u8| expected.eq_ignore_ascii_case(&byte);
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => match_class(rest, byte),
        [b'\\', expected, rest @ ..] | [expected, rest @ ..] => same(*expected).then_some(rest),
        [] => None,
    }
}

/// `rest` begins behind the `[`; a class that is never closed reaches to the end.
fn match_class(rest: &[u8], byte: u8) -> Option<&[u8]> {
    let (mut rest, negated) = match rest {
        [b'^', rest @ ..] => (rest, true),
        rest => (rest, false),
    };
    let byte = byte.to_ascii_lowercase();
    let mut found = false;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', one, after @ ..] => {
                found |= one.to_ascii_lowercase() == byte;
                after
            }
            [low, b'-', high, after @ ..] => {
                let (low, high) = (low.to_ascii_lowercase(), high.to_ascii_lowercase());
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                after
            }
            [one, after @ ..] => {
                found |= one.to_ascii_lowercase() == byte;
                after
            }
        };
    }
    (found != negated).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let rows = [
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("max*", "MaxClients", true),
            ("*port", "tcp.port", true),
            ("n*rk.*s", "network.max_clients", true),
            ("n*rk.*x", "network.max_clients", false),
            ("h?llo", "hallo", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hello", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hBllo", true),
            ("h[ae", "ha", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("a\\", "a\\", true),
            ("**a**", "bab", true),
        ];
        for (pattern, text, expected) in rows {
            let matched = glob_matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(matched, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(200);
        assert!(!glob_matches(format!("{pattern}b").as_bytes(), "a".repeat(2000).as_bytes()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_pattern_ends(pattern in "[ab*?\\[\\]\\\\^-]{0,12}", text in "[ab]{0,12}") {
            let star = format!("{pattern}*");
            // What matches goes on matching with a star behind it, unless the star becomes part of something else.
            let open = pattern.contains('[') || pattern.ends_with('\\');
            if glob_matches(pattern.as_bytes(), text.as_bytes()) && !open {
                prop_assert!(glob_matches(star.as_bytes(), text.as_bytes()));
            }
        }

        #[test]
        fn plain_text_matches_itself_alone(a in "[a-c]{0,4}", b in "[a-c]{0,4}") {
            prop_assert_eq!(glob_matches(a.as_bytes(), b.as_bytes()), a == b);
        }
    }
}
