//! WIRE lists every error text that a client can meet, and none that no longer exists.
//!
//! The texts are the literals of `#[error("…")]` in [`SOURCES`]. A placeholder stands for any words, so the document may
//! show an example or `<v>`. Where a variant is made with `what: "literal"`, the document has to show that very word.

use super::finding::Finding;
use super::tokens::Source;
use super::tree::Tree;
use std::collections::BTreeSet;

const WIRE: &str = "sierradb/docs/WIRE.md";
/// The enums whose `Display` is the text of an error reply.
const SOURCES: [&str; 5] = [
    "net/src/resp/error.rs",
    "sierradb/protocol/src/parse_error.rs",
    "sierradb/protocol/src/partition.rs",
    "sierradb/protocol/src/refusal.rs",
    "sierradb/protocol/src/stream_id.rs",
];
/// Whose literals are the codes before the texts.
const CODES: &str = "sierradb/protocol/src/error_code.rs";
/// Where variants with a word of their own are made.
const MAKERS: &str = "sierradb/protocol/src/";
/// The section whose texts must all exist.
const SECTION: &str = "## 8.";
/// Never sent: the connection closes without a reply.
const SILENT: &str = "HTTP is not spoken here";
const WHAT: &str = "{what}";

/// A text as the code writes it.
struct Text {
    place: String,
    line: usize,
    variant: String,
    /// With placeholders in braces.
    format: String,
}

/// A text as the document shows it, without its code.
struct Shown<'a> {
    line: usize,
    text: &'a str,
    in_section: bool,
}

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    let codes = codes(tree);
    let shown = shown(tree.text(WIRE).unwrap_or_default(), &codes);
    let texts = texts(tree);
    for text in texts.iter().chain(&instances(tree, &texts)) {
        if !shown.iter().any(|shown| fits(&text.format, shown.text)) {
            let found = format!("{WIRE} does not list the error text \"{}\"", text.format);
            findings.push(Finding::new("error-text", &text.place, text.line, found));
        }
    }
    for shown in shown.iter().filter(|shown| shown.in_section) {
        if !texts.iter().any(|text| fits(&text.format, shown.text)) {
            let found = format!("no code sends the error text \"{}\"", shown.text);
            findings.push(Finding::new("error-text", WIRE, shown.line, found));
        }
    }
}

/// The literals of all `#[error("…")]`. One without fixed words hands on the text of another error.
fn texts(tree: &Tree) -> Vec<Text> {
    let mut texts = Vec::new();
    for (place, source) in tree.sources().filter(|(path, _)| SOURCES.contains(path)) {
        for index in 0..source.tokens.len() {
            if !source.reads(index, &["#", "[", "error", "("]) {
                continue;
            }
            let variant = source.at(source.close(index + 1) + 1).to_owned();
            let Some(format) = literal(source, index + 4) else { continue };
            if format == SILENT || pieces(&format).iter().all(|piece| piece.is_empty()) {
                continue;
            }
            let line = source.line(index);
            texts.push(Text { place: place.to_owned(), line, variant, format });
        }
    }
    texts
}

/// `Variant { what: "word", … }` outside tests: the text with that word.
fn instances(tree: &Tree, texts: &[Text]) -> Vec<Text> {
    let mut instances = Vec::new();
    for (place, source) in tree.sources().filter(|(path, _)| path.starts_with(MAKERS)) {
        for index in 0..source.tokens.len() {
            let in_test = source.tokens.get(index).is_some_and(|token| token.in_test);
            if in_test || !source.reads(index + 1, &["{", "what", ":"]) {
                continue;
            }
            let Some(word) = literal(source, index + 4) else { continue };
            let made = texts.iter().filter(|text| text.variant == source.at(index));
            instances.extend(made.filter(|text| text.format.contains(WHAT)).map(|text| Text {
                place: place.to_owned(),
                line: source.line(index),
                variant: text.variant.clone(),
                format: text.format.replace(WHAT, &word),
            }));
        }
    }
    instances
}

/// The string literal at `index`, without its quotes.
fn literal(source: &Source, index: usize) -> Option<String> {
    let inner = source.at(index).strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\\\"", "\""))
}

/// The words of all error codes.
fn codes(tree: &Tree) -> BTreeSet<String> {
    let sources = tree.sources().filter(|(path, _)| *path == CODES);
    let literals = |source: &Source| -> Vec<String> {
        let product = (0..source.tokens.len())
            .filter(|index| source.tokens.get(*index).is_some_and(|token| !token.in_test));
        product.filter_map(|index| literal(source, index)).collect()
    };
    sources.flat_map(|(_, source)| literals(source)).collect()
}

/// Code spans outside fences that begin like an error reply, `CODE text`.
fn shown<'a>(document: &'a str, codes: &BTreeSet<String>) -> Vec<Shown<'a>> {
    let (mut shown, mut in_fence, mut in_section) = (Vec::new(), false, false);
    for (number, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            in_fence = !in_fence;
        }
        if line.starts_with("## ") {
            in_section = line.starts_with(SECTION);
        }
        for span in line.split('`').skip(1).step_by(2).filter(|_| !in_fence) {
            let reply = span.strip_prefix('-').unwrap_or(span);
            let reply = reply.strip_suffix("\\r\\n").unwrap_or(reply);
            let Some((code, text)) = reply.split_once(' ') else { continue };
            if codes.contains(code) {
                shown.push(Shown { line: number + 1, text, in_section });
            }
        }
    }
    shown
}

/// Whether `text` is what `format` may print.
fn fits(format: &str, text: &str) -> bool {
    let pieces = pieces(format);
    let [first, middle @ .., last] = pieces.as_slice() else { return format == text };
    let Some(mut rest) = text.strip_prefix(*first).and_then(|rest| rest.strip_suffix(*last)) else {
        return false;
    };
    for piece in middle {
        let Some((_, behind)) = rest.split_once(*piece) else { return false };
        rest = behind;
    }
    true
}

/// What stands before, between and behind the placeholders.
fn pieces(format: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    for part in format.split('{') {
        // The first part has no placeholder before it.
        pieces.push(part.split_once('}').map_or(part, |(_, behind)| behind));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "enum E { #[error(\"bad {what} {word}: expected a UUID\")] BadId { what: &'static str }, \
        #[error(\"{rule}\")] Any { rule: String }, #[error(transparent)] Other(F), \
        #[error(\"HTTP is not spoken here\")] Http }";
    const MAKER: &str = "fn a() { x(E::BadId { what: \"event id\", word }); y(E::BadId { what, word }) } \
        #[cfg(test)] mod tests { fn t() { E::BadId { what: \"other\", word } } }";

    fn found(document: &str) -> Vec<String> {
        let codes = "fn a() { match b { C::A => \"ERR\", C::B => \"INVALIDARG\" } }";
        let maker = ("sierradb/protocol/src/command/a.rs", MAKER);
        let files = [(WIRE, document), (SOURCES[1], CODE), (CODES, codes), maker];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let mut findings = Vec::new();
        check(&Tree::from_files(files), &mut findings);
        findings.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn a_listed_text_is_found_with_the_word_that_the_code_puts_in() {
        assert!(found("`INVALIDARG bad event id '<v>': expected a UUID`").is_empty());
        let without = found("## 8. Errors\n`-ERR bad key 'x': expected a UUID\\r\\n`");
        assert!(
            matches!(&*without, [only] if only.contains("\"bad event id {word}")),
            "{without:?}"
        );
        assert_eq!(found("nothing, and `ERR` and `EAPPEND s A`").len(), 2);
    }

    #[test]
    fn a_listed_text_that_nobody_sends_is_reported_in_the_section_of_errors() {
        let good = "`INVALIDARG bad event id 'x': expected a UUID`\n";
        assert!(found(&format!("## 6. Later\n`ERR planned`\n## 8. Errors\n{good}")).is_empty());
        let stale = found(&format!("## 8. Errors\n{good}`ERR old text`\n"));
        assert_eq!(stale, ["no code sends the error text \"old text\""]);
        assert!(found(&format!("## 8. Errors\n{good}`EAPPEND s PAYLOAD x`\n")).is_empty());
        assert!(found(&format!("## 8. Errors\n{good}```\n`ERR old text`\n```\n")).is_empty());
    }

    #[test]
    fn placeholders_stand_for_any_words_and_nothing_else_does() {
        assert!(fits("a {x} b {}", "a 'q' b c"));
        assert!(fits("{x}{}", ""));
        assert!(fits("plain", "plain"));
        assert!(!fits("a {x} b", "a 'q'"));
        assert!(!fits("plain", "plain and more"));
        assert!(!fits("a{x}a", "a"));
    }
}
