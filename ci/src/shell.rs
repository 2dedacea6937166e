//! Starts other programs: one line per step with its duration, output passed through.

use crate::error::Failure;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs `program` in `dir` and shows its output. Ends the stage if it does not succeed.
pub(crate) fn step(dir: &Path, program: &str, arguments: &[&str]) -> Result<(), Failure> {
    let command = line(program, arguments);
    println!("--- {command}");
    let started = Instant::now();
    let status = plain(dir, program, arguments)
        .status()
        .map_err(|source| Failure::Start { command: command.clone(), source })?;
    if !status.success() {
        return Err(Failure::Ended { command, status });
    }
    println!("--- ok, {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs `program` in `dir` quietly and returns what it printed on stdout.
pub(crate) fn output(dir: &Path, program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let command = line(program, arguments);
    let output = plain(dir, program, arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|source| Failure::Start { command: command.clone(), source })?;
    if !output.status.success() {
        return Err(Failure::Ended { command, status: output.status });
    }
    String::from_utf8(output.stdout)
        .map_err(|error| Failure::Output { command, what: error.to_string() })
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> Result<PathBuf, Failure> {
    let manifest = output(
        Path::new("."),
        "cargo",
        &["locate-project", "--workspace", "--message-format", "plain"],
    )?;
    let manifest = PathBuf::from(manifest.trim_end());
    Ok(manifest.parent().map(Path::to_path_buf).unwrap_or_default())
}

fn line(program: &str, arguments: &[&str]) -> String {
    [&[program], arguments].concat().join(" ")
}

/// A command that no longer carries what `cargo run` put into our environment: a variable such as
/// `CARGO_PKG_NAME` would make cargo rebuild crates that depend on it, and `RUSTFLAGS` would silently
/// replace the flags of `.cargo/config.toml`.
fn plain(dir: &Path, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).args(arguments);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "RUSTFLAGS"
        {
            command.env_remove(&name);
        }
    }
    command
}
