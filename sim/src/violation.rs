//! A broken promise, as a checker states it.

use std::fmt;

/// What was broken. Two runs fail alike if their signatures are equal; the detail tells this run's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `checker/code/class`, without numbers, times or names of nodes.
    pub signature: String,
    /// What was seen, and what should have been.
    pub detail: String,
}

/// What checkers return.
pub type Checked = Result<(), Violation>;

impl Violation {
    /// A violation found by `checker`: what went wrong, and where it belongs.
    pub fn new(checker: &str, code: &str, detail: impl Into<String>) -> Self {
        Self { signature: format!("{checker}/{code}"), detail: detail.into() }
    }

    /// The checker's name.
    pub fn checker(&self) -> &str {
        self.signature.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.signature, self.detail)
    }
}

/// `Ok` if `holds`, else a violation; the detail is only made if needed.
///
/// # Errors
/// The violation.
pub fn require(holds: bool, checker: &str, code: &str, detail: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation::new(checker, code, detail())) }
}
