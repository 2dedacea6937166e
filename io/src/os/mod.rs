//! The machine: real files, sockets, clocks, threads and randomness. The only code that touches the outside.
//!
//! [`Io::os`](crate::Io::os) serves an embedded store: it brings its own threads and needs no runtime of its
//! caller. [`Io::os_on`](crate::Io::os_on) serves a process that owns a runtime.
//!
//! # Who may block
//! File futures make their system call inside their first poll and return `Ready`, so whoever may block runs
//! straight through. Three kinds of threads may: those of [`Spawner::dedicated`](crate::Spawner::dedicated), the
//! threads of `helpers`, and the helper thread of [`wait`]. With [`Syncs::AmongTasks`] so may a runtime's thread, for one
//! turn of a task begun by [`Spawner::syncing`](crate::Spawner::syncing). Elsewhere inside a runtime, reads, lists
//! and read-only opens go to the reader threads,
//! [`File::begin_durable_write`](crate::File::begin_durable_write) goes to the sync threads, and everything else that
//! changes the disk panics: it would stall unrelated tasks. Threads without any runtime may block as they like.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the door: what is banned elsewhere happens here"
)]

mod ambient;
mod beside;
mod disk;
mod errno;
mod file;
mod helpers;
mod nearby;
mod net;
mod poison;

mod task;
mod world;

pub use ambient::{OsClock, OsEntropy};
pub use disk::OsDisk;
pub use net::OsNet;
pub use task::{OnPanic, OsSpawner, Syncs, is_dedicated, wait};
pub use world::OsOptions;
