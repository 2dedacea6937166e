//! Everything a reviewer should not have to say: formatting, clippy, tidy, and the product's binary.

use crate::error::Failure;
use crate::{binary, shell, tidy};
use std::path::Path;

/// Runs the stages from cheap to dear and stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    shell::step(root, "cargo", &["fmt", "--all", "--", "--check"])?;
    tidy::run(root)?;
    // Warnings become errors here and not by RUSTFLAGS, which would drop `--cfg tokio_unstable`.
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::step(root, "cargo", &clippy)?;
    binary::run(root)
}
