//! A Rust file as a flat list of tokens: rules look for short sequences, so comments and strings can
//! neither hide nor fake one. Doc comments are left out.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use std::collections::BTreeSet;

/// One token; delimiters are tokens of their own.
pub(crate) struct Token {
    pub(crate) text: String,
    /// First and last line, from 1; they differ in a string over several lines.
    pub(crate) first_line: usize,
    last_line: usize,
    /// For an opening delimiter: the index of its closing one.
    pub(crate) close: Option<usize>,
    /// Lies in an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

/// The tokens of one file.
pub(crate) struct Source {
    pub(crate) tokens: Vec<Token>,
}

impl Source {
    /// Splits `text`, or says why it is no Rust.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let stream: TokenStream =
            text.parse().map_err(|error: proc_macro2::LexError| error.to_string())?;
        let mut source = Self { tokens: Vec::new() };
        source.flatten(stream);
        source.mark_tests();
        Ok(source)
    }

    /// The text of token `index`, empty behind the end.
    pub(crate) fn at(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| token.text.as_str())
    }

    /// True if the tokens from `index` on read like `words`.
    pub(crate) fn reads(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.at(index + n) == *word)
    }

    pub(crate) fn line(&self, index: usize) -> usize {
        self.tokens.get(index).map_or(0, |token| token.first_line)
    }

    /// The index of the delimiter that closes the one at `index`, or `index` if it opens none.
    pub(crate) fn close(&self, index: usize) -> usize {
        self.tokens.get(index).and_then(|token| token.close).unwrap_or(index)
    }

    /// Behind the attribute at `index`, or `index` if there is none.
    pub(crate) fn skip_attribute(&self, index: usize) -> usize {
        match (self.at(index), self.at(index + 1), self.at(index + 2)) {
            ("#", "[", _) => self.close(index + 1) + 1,
            ("#", "!", "[") => self.close(index + 2) + 1,
            _ => index,
        }
    }

    /// How many lines between the tokens `from` and `to` (inclusive) hold code. Without tests if
    /// `product_only`.
    pub(crate) fn code_lines(&self, from: usize, to: usize, product_only: bool) -> usize {
        let wanted = self.tokens.iter().take(to.saturating_add(1)).skip(from);
        let lines: BTreeSet<usize> = wanted
            .filter(|token| !(product_only && token.in_test))
            .flat_map(|token| token.first_line..=token.last_line)
            .collect();
        lines.len()
    }

    /// How many lines lie in items under `#[cfg(test)]`.
    pub(crate) fn test_lines(&self) -> usize {
        let end = self.tokens.len();
        self.code_lines(0, end, false) - self.code_lines(0, end, true)
    }

    fn flatten(&mut self, stream: TokenStream) {
        let mut trees = stream.into_iter().peekable();
        while let Some(tree) = trees.next() {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let inner = matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '!');
                    let bang = if inner { trees.next() } else { None };
                    if matches!(trees.peek(), Some(TokenTree::Group(group)) if is_doc(group)) {
                        trees.next();
                        continue;
                    }
                    self.push("#".to_owned(), punct.span());
                    if let Some(bang) = bang {
                        self.push("!".to_owned(), bang.span());
                    }
                }
                TokenTree::Group(group) => self.push_group(&group),
                other => self.push(other.to_string(), other.span()),
            }
        }
    }

    fn push_group(&mut self, group: &Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => return self.flatten(group.stream()),
        };
        let start = self.tokens.len();
        self.push(open.to_owned(), group.span_open());
        self.flatten(group.stream());
        let end = self.tokens.len();
        self.push(close.to_owned(), group.span_close());
        if let Some(token) = self.tokens.get_mut(start) {
            token.close = Some(end);
        }
    }

    fn push(&mut self, text: String, span: Span) {
        let (first_line, last_line) = (span.start().line, span.end().line);
        self.tokens.push(Token { text, first_line, last_line, close: None, in_test: false });
    }

    fn mark_tests(&mut self) {
        let mut index = 0;
        while index < self.tokens.len() {
            let under_test = self.reads(index, &["#", "[", "cfg", "(", "test"])
                || self.reads(index, &["#", "[", "cfg", "(", "all", "(", "test"]);
            if !under_test {
                index += 1;
                continue;
            }
            let end = self.item_end(index);
            for token in self.tokens.iter_mut().take(end + 1).skip(index) {
                token.in_test = true;
            }
            index = end + 1;
        }
    }

    /// The last token of the item whose first attribute stands at `index`.
    pub(crate) fn item_end(&self, mut index: usize) -> usize {
        while self.skip_attribute(index) != index {
            index = self.skip_attribute(index);
        }
        while index < self.tokens.len() {
            match self.at(index) {
                ";" => return index,
                "{" => return self.close(index),
                _ => index = self.close(index) + 1,
            }
        }
        self.tokens.len().saturating_sub(1)
    }
}

/// True for the `[doc = "…"]` that a doc comment turns into.
fn is_doc(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_code() {
        let text = "//! Doc.\n\n/// Doc.\nfn a() {\n    // why\n\n    b(\"x\n    y\");\n}\n";
        let source = Source::parse(text).unwrap();
        assert_eq!(source.code_lines(0, usize::MAX, true), 4);
    }

    #[test]
    fn items_under_cfg_test_are_told_apart() {
        let text =
            "fn a() {}\n#[cfg(test)]\n#[derive(X)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let source = Source::parse(text).unwrap();
        assert_eq!(source.test_lines(), 5);
        assert_eq!(source.code_lines(0, usize::MAX, true), 2);
    }
}
