//! What a rule has to say.

use std::fmt;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path from the root; for dependencies the package.
    pub(crate) place: String,
    /// 1-based, 0 where a finding is about the whole file.
    pub(crate) line: usize,
    /// The name of the rule, for the fixture test and for grep.
    pub(crate) rule: &'static str,
    /// What is wrong, and what to do instead.
    pub(crate) text: String,
}

impl Finding {
    pub(crate) fn new(
        rule: &'static str,
        place: &str,
        line: usize,
        text: impl Into<String>,
    ) -> Self {
        Self { place: place.to_owned(), line, rule, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": [{}] {}", self.rule, self.text)
    }
}
