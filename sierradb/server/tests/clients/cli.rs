//! redis-cli as a person uses it.

use crate::programs::program;
use crate::server::Server;
use std::process::Command;

/// True where redis-cli can be used; see [`program`] for what happens where it is missing.
pub(crate) fn have_cli() -> bool {
    program("redis-cli", &["--version"]).is_some()
}

/// What `redis-cli -3 -p PORT <line>` prints on a terminal; the shell splits the line.
pub(crate) fn cli(server: &Server, line: &str) -> String {
    let command = format!("redis-cli -3 --no-raw -p {} {line}", server.port);
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(output.stderr.is_empty(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
