//! Clients that nobody wrote for SierraDB, and every example that users were told about, on a real server.

use crate::error::Failure;
use crate::{shell, test};
use std::path::Path;

/// Tests of the server that talk to it over a socket.
const FILES: [&str; 2] = ["clients", "wire"];

/// Runs them with everything they need, or fails before.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    test::demand_programs(root)?;
    let files = FILES.iter().flat_map(|file| ["--test", *file]);
    let arguments: Vec<&str> =
        ["test", "--package", "sierradb-server"].into_iter().chain(files).collect();
    shell::step(root, "cargo", &arguments)
}
