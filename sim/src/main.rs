//! The simulator's binary; see `sim --help`.

use std::process::ExitCode;

use clap::Parser;
use sim::cli::Cli;

/// A cycle makes hundreds of thousands of short-lived allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(Cli::parse().run())
}
