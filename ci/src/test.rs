//! The README's test command, with nothing left out for lack of a program.

use crate::error::Failure;
use crate::shell;
use std::path::Path;

/// Programs that the tests start. Python with `redis` is demanded by its own test.
const PROGRAMS: [&str; 3] = ["redis-cli", "redis-server", "redis-benchmark"];

/// Demands the programs first: minutes of building before a missing one is noticed would be a pity.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    demand_programs(root)?;
    shell::step(root, "cargo", &["test", "--workspace"])
}

/// Fails if a program is missing.
pub(crate) fn demand_programs(root: &Path) -> Result<(), Failure> {
    PROGRAMS.iter().try_for_each(|program| shell::output(root, program, &["--version"]).map(drop))
}
