//! The simulated world: one host's disk, clock, chance and tasks, computed from one 64-bit seed.
//!
//! A [`SimHost`] is a machine that can lose power, be killed and boot again; its disk is what stays. Each
//! [`SimHost::boot`] gives an [`Io`](crate::Io) for one life. Handles and tasks of an earlier life never come
//! back: their operations stay pending for ever. [`run`] drives a body on a paused single-threaded runtime.
//!
//! What a crash leaves is what the contract of [`Disk`](crate::Disk) allows and no more: everything synced is
//! there; of everything else, each sector has its old content or one of its later versions, each name and each
//! length its old or a later state. Draws are keyed by host, file and ordinal, so that removing one operation
//! re-rolls no other file.
//!
//! Same seed, same configuration, same body: same trace hash.
//!
//! What it does not do: several hosts, packets, histories, checkers; those live in package `sim`.

mod clock;
mod config;
mod crash;
mod disk;
mod entropy;
mod fault;
mod file;
mod host;
mod image;
mod inode;
mod names;
mod net;
mod num;
mod op;
mod probe;
mod run;
mod state;
mod task;

pub use config::{
    ClockConfig, DeadTasks, Latency, Metadata, SectorWrites, Seeded, SimConfig, Survival,
    TraceLevel, UnwrittenSpace, Yields,
};
pub use crash::{CrashKind, CrashPoint};
pub use entropy::SimEntropy;
pub use fault::{Fault, FaultRates, OpFault, Target};
pub use host::SimHost;
pub use net::MemNet;
pub use probe::TraceLine;
pub use run::{run, run_with};
pub use task::TaskCount;
