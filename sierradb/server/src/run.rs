//! A server from a world and a configuration.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sierradb::{Database, OpenError};
use sierradb_io::{Io, Listener, NetError, Shutdown, TaskName};
use sierradb_net::Acceptor;
use tokio::sync::oneshot;

use crate::budget::Budget;
use crate::clients::Clients;
use crate::config::Config;
use crate::conn;
use crate::identity::{self, IdentityError};
use crate::limits::DRAIN_TIMEOUT;
use crate::metrics::Metrics;
use crate::shared::{LastScan, Shared};

/// Why a server did not start. The message is the last line of the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum StartError {
    #[error("config error: {text}")]
    Config { text: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("node key of data directory {dir}: {cause}", dir = dir.display())]
    Identity { dir: PathBuf, cause: String },
    #[error("cannot listen on {address}: {kind}", kind = source.kind)]
    Listen {
        address: String,
        #[source]
        source: NetError,
    },
    #[error("the start was interrupted")]
    Interrupted,
}

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
}

impl Server {
    /// Opens the data directory, which recovers it, then the client port. Requests are served when this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(io: Io, config: Config) -> Result<Self, StartError> {
        let dir = config.dir.display();
        tracing::info!(target: "sierradb", "SierraDB {}, data directory {dir}", env!("CARGO_PKG_VERSION"));
        for warning in &config.warnings {
            tracing::warn!(target: "sierradb", "{warning}");
        }
        let address = resolve(&io, &config).await?;
        let (database, peer_id) = open(&io, &config).await?;
        let listener = match io.net().bind(address).await {
            Ok(listener) => listener,
            Err(source) => {
                database.close().await;
                let address = config.network.client_address.clone();
                return Err(StartError::Listen { address, source });
            }
        };
        announce(&database, &peer_id);
        Ok(Self::serve(io, config, database, peer_id, listener))
    }

    fn serve(
        io: Io,
        config: Config,
        database: Database,
        peer_id: String,
        listener: Box<dyn Listener>,
    ) -> Self {
        let addr = listener.local_addr();
        let max_clients = u32::try_from(config.network.max_clients).unwrap_or(u32::MAX);
        let acceptor = Acceptor::new(io.clone(), listener, max_clients);
        let shared = Arc::new(Shared {
            metrics: Metrics::new(io.clock().now()),
            run_id: run_id(&io),
            counts: acceptor.counts(),
            addr,
            last_scan: LastScan::default(),
            budget: Budget::default(),
            clients: Clients::default(),
            stopping: Shutdown::new(),
            io,
            config,
            database,
            peer_id,
        });
        let body = conn::accept(Arc::clone(&shared), acceptor);
        shared.io.spawner().spawn(TaskName { role: "accept", key: 0 }, Box::pin(body));
        tracing::info!(target: "sierradb", "ready to receive connections on {addr}");
        Self { shared }
    }

    /// Where clients connect, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// Takes no more connections and requests, ends subscriptions, lets requests under way finish (at most five
    /// seconds), syncs and gives the data directory free.
    pub async fn stop(self) {
        self.shared.stopping.cancel();
        let shared = &self.shared;
        if shared.io.timeout(DRAIN_TIMEOUT, shared.counts.drained()).await.is_none() {
            shared.io.mark(sierradb_io::site!("server.drain_timed_out"));
            tracing::warn!(target: "sierradb", "closing {} connections", shared.counts.open());
            shared.clients.kill_all();
        }
        shared.database.close().await;
        tracing::info!(target: "sierradb", "goodbye :)");
    }
}

/// Serves until `stop` is cancelled, then stops in order.
///
/// # Errors
/// [`StartError`].
pub async fn run(io: Io, config: Config, stop: Shutdown) -> Result<(), StartError> {
    let server = Server::start(io, config).await?;
    stop.cancelled().await;
    server.stop().await;
    Ok(())
}

async fn resolve(io: &Io, config: &Config) -> Result<SocketAddr, StartError> {
    let network = &config.network;
    let invalid = || StartError::Config {
        text: format!("invalid client address: {}", network.client_address),
    };
    let found = io.net().resolve(&network.client_host, network.client_port).await;
    found.ok().and_then(|addresses| addresses.first().copied()).ok_or_else(invalid)
}

/// Opens what is on disk, on a thread that may wait for the disk.
async fn open(io: &Io, config: &Config) -> Result<(Database, String), StartError> {
    let (sender, receiver) = oneshot::channel();
    let (world, dir, options) = (io.clone(), config.dir.clone(), config.database.clone());
    let body = async move {
        let opened = open_here(world, &dir, options).await;
        // Nobody to tell only if the start was given up meanwhile; dropping the database is then what is left.
        drop(sender.send(opened));
    };
    io.spawner().dedicated(TaskName { role: "start", key: 0 }, Box::pin(body));
    receiver.await.unwrap_or(Err(StartError::Interrupted))
}

async fn open_here(
    io: Io,
    dir: &Path,
    options: sierradb::DatabaseOptions,
) -> Result<(Database, String), StartError> {
    let database = Database::open_with(io.clone(), dir, options).await?;
    match identity::peer_id(&io, dir).await {
        Ok(peer_id) => Ok((database, peer_id)),
        Err(error) => {
            database.close().await;
            Err(no_identity(dir, &error))
        }
    }
}

fn no_identity(dir: &Path, error: &IdentityError) -> StartError {
    StartError::Identity { dir: dir.to_owned(), cause: error.to_string() }
}

fn announce(database: &Database, peer_id: &str) {
    let count = database.partition_count();
    tracing::info!(
        target: "sierradb_cluster", "recalculating partition assignments with 1 active nodes"
    );
    tracing::info!(
        target: "sierradb_cluster", "node 0 owns {count}/{count} partitions as replicas"
    );
    tracing::info!(target: "sierradb_net", "local_peer_id={peer_id}");
    tracing::info!(target: "sierradb_net", "no peers configured, running as a single node");
}

fn run_id(io: &Io) -> String {
    let mut bytes = [0; 20];
    io.entropy().fill_secret(&mut bytes);
    bytes.iter().fold(String::with_capacity(40), |mut text, byte| {
        // Writing into a String cannot fail.
        text.write_fmt(format_args!("{byte:02x}")).map_or_else(|_| String::new(), |()| text)
    })
}
