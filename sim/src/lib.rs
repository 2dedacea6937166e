//! Simulation of SierraDB: seeded faults, oracles, replay.
//!
//! Lane 1 runs one embedded store on a simulated disk and crashes it everywhere. Checkers compare what clients were
//! told, what the device truly holds and what an independent reader makes of it; see `oracle`. A run is a function
//! of one number.

#[cfg(not(tokio_unstable))]
compile_error!(
    "without `--cfg tokio_unstable` (see .cargo/config.toml) a seed does not determine a run"
);

pub mod campaign;
pub mod cli;
pub mod config;
pub mod history;
pub mod lane;
pub mod mutants;
pub mod oracle;
pub mod reader;
pub mod violation;
pub mod watch;
pub mod workload;
