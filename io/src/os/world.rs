//! The machine as one [`Io`].

use std::sync::Arc;

use tokio::runtime::Handle;

use super::ambient::{OsClock, OsEntropy};
use super::disk::OsDisk;
use super::net::OsNet;
use super::task::{Home, OnPanic, OsSpawner, Syncs};
use crate::{Io, limits};

/// Sizes of the machine's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsOptions {
    /// Threads for reads the page cache could not answer; at least 1.
    pub read_threads: usize,
    /// Where writers run. [`Syncs::AmongTasks`] is for a runtime with one thread.
    pub syncs: Syncs,
}

impl Default for OsOptions {
    fn default() -> Self {
        Self { read_threads: limits::READ_THREADS, syncs: Syncs::default() }
    }
}

impl Io {
    /// The machine, for an embedded store: shared tasks run on one thread of its own, named `drivers` and started
    /// when first needed, so its user needs no runtime. A panicking task ends alone.
    ///
    /// That thread ends when the last clone and the last task holding one are gone.
    pub fn os() -> Self {
        Self::os_with(OsOptions::default())
    }

    /// As [`Io::os`], with sizes.
    pub fn os_with(options: OsOptions) -> Self {
        Self::machine(Arc::default(), options, OnPanic::EndTask)
    }

    /// The machine, for a process with a runtime: shared tasks, timers and sockets belong to `runtime`, which must
    /// have both enabled. A panicking task ends the process.
    pub fn os_on(runtime: Handle, options: OsOptions) -> Self {
        Self::machine(Arc::new(Home::given(runtime)), options, OnPanic::EndProcess)
    }

    fn machine(home: Arc<Home>, options: OsOptions, on_panic: OnPanic) -> Self {
        Self::new(
            Arc::new(OsDisk::with_read_threads(options.read_threads)),
            Arc::new(OsNet::new(Arc::clone(&home))),
            Arc::new(OsClock::new(Arc::clone(&home))),
            Arc::new(OsEntropy::new()),
            Arc::new(OsSpawner::new(home, on_panic, options.syncs)),
        )
    }
}
