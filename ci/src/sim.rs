//! The simulator in release, over more seeds than `cargo test` has time for.

use crate::error::Failure;
use crate::shell;
use std::path::Path;

/// Which seeds run; each runs twice and must give the same trace.
#[derive(Debug, clap::Args)]
pub(crate) struct Seeds {
    /// Seeds, as `0..1000` or `0x51f0..0x5200`
    #[arg(long, default_value = "0..1000")]
    seeds: String,
}

/// Which deliberate bugs must be caught.
#[derive(Debug, clap::Args)]
pub(crate) struct Mutants {
    /// Only these; all without it
    #[arg(long)]
    only: Vec<String>,
}

/// Lane 1: one store on a simulated disk, crashed everywhere.
pub(crate) fn run(root: &Path, seeds: &Seeds) -> Result<(), Failure> {
    let build = ["run", "--release", "--package", "sim", "--"];
    let jobs = jobs();
    let run = ["run", "--lane", "1", "--seeds", &seeds.seeds, "--jobs", &jobs];
    shell::step(root, "cargo", &[&build[..], &run[..]].concat())
}

/// Every deliberate bug must be caught within its seeds: one that survives is a missing check. Builds into a
/// folder of its own, since no other build may hold such bugs.
pub(crate) fn mutants(root: &Path, mutants: &Mutants) -> Result<(), Failure> {
    let build = ["run", "--release", "--package", "sim", "--features", "mutants"];
    let folder = ["--target-dir", "target/mutants", "--"];
    let jobs = jobs();
    let run = ["mutants", "--jobs", &jobs];
    let only = mutants.only.iter().flat_map(|name| ["--only", name.as_str()]);
    let arguments: Vec<&str> =
        [&build[..], &folder[..], &run[..]].concat().into_iter().chain(only).collect();
    shell::step(root, "cargo", &arguments)
}

/// One thread per core: a seed uses one.
fn jobs() -> String {
    std::thread::available_parallelism().map_or(1, usize::from).to_string()
}
