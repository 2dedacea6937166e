//! The simulator's binary; see `sim --help`.

use std::process::ExitCode;

use clap::Parser;
use sim::cli::Cli;

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().run())
}
