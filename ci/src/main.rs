//! The one tool that pipelines call: `cargo ci <stage>`. Every stage ends with exit code 0, or with 1 and
//! the reason as its last line.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers: it starts processes, reads files, measures time and prints"
)]

mod bench;
mod binary;
mod compat;
mod error;
mod lint;
mod shell;
mod sim;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use error::Failure;
use std::process::ExitCode;

/// Checks, tests and measures SierraDB.
#[derive(Parser)]
#[command(name = "cargo ci", version)]
struct Arguments {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(Subcommand)]
enum Stage {
    /// Formatting, clippy, the rules of `tidy`, and the check that the product holds no simulator
    Lint,
    /// The rules that neither rustc nor clippy knows: sizes, layout, dependencies, words, documents
    Tidy,
    /// `cargo test --workspace`, with every outside client that the tests talk to
    Test,
    /// The simulator over many seeds
    Sim(sim::Seeds),
    /// That the simulator catches every deliberate bug
    Mutants(sim::Mutants),
    /// Foreign clients and documented examples on a real server
    Compat,
    /// SierraDB beside Redis Streams: rates, latencies, memory, start-up
    Bench(bench::Options),
    /// That the release server holds no simulated disk and no mutants
    Binary,
}

fn main() -> ExitCode {
    let outcome = run(Arguments::parse().stage);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(stage: Stage) -> Result<(), Failure> {
    let root = shell::workspace_root()?;
    match stage {
        Stage::Lint => lint::run(&root),
        Stage::Tidy => tidy::run(&root),
        Stage::Test => test::run(&root),
        Stage::Sim(seeds) => sim::run(&root, &seeds),
        Stage::Mutants(mutants) => sim::mutants(&root, &mutants),
        Stage::Compat => compat::run(&root),
        Stage::Bench(options) => bench::run(&root, &options),
        Stage::Binary => binary::run(&root),
    }
}
