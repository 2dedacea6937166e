//! The README's test command, with nothing left out for lack of a program.

use crate::error::Failure;
use crate::shell;
use std::path::Path;

/// Programs that the tests start.
const PROGRAMS: [&str; 3] = ["redis-cli", "redis-server", "redis-benchmark"];

/// Demands the programs first, so that no test skips itself.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    for program in PROGRAMS {
        shell::output(root, program, &["--version"])?;
    }
    shell::step(root, "cargo", &["test", "--workspace"])
}
