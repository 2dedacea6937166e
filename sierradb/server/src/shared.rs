//! What all connections of a server share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sierradb::Database;
use sierradb_io::{Io, Shutdown};
use sierradb_net::ClientCounts;

use crate::budget::Budget;
use crate::clients::Clients;
use crate::config::Config;
use crate::metrics::Metrics;

/// One server.
pub(crate) struct Shared {
    pub(crate) io: Io,
    pub(crate) config: Config,
    pub(crate) database: Database,
    pub(crate) clients: Clients,
    /// How many connections there are and were.
    pub(crate) counts: Arc<ClientCounts>,
    pub(crate) metrics: Metrics,
    /// Who scanned last.
    pub(crate) last_scan: LastScan,
    /// Bytes of appends in work.
    pub(crate) budget: Budget,
    /// Who this data directory is.
    pub(crate) peer_id: String,
    /// Random for each start: 40 hex digits.
    pub(crate) run_id: String,
    /// Where clients connect, with the real port.
    pub(crate) addr: SocketAddr,
    /// Cancelled when the server begins to stop.
    pub(crate) stopping: Shutdown,
}

/// The connection that scanned last: a hint of whether several do.
#[derive(Debug, Default)]
pub(crate) struct LastScan(AtomicU64);

impl LastScan {
    /// Notes a scan of connection `client`; whether the scan before it was another's.
    pub(crate) fn is_shared_by(&self, client: u64) -> bool {
        // Relaxed: it guards nothing.
        self.0.swap(client, Ordering::Relaxed) != client
    }
}
