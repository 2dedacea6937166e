//! Accepts clients, up to a number, and knows when the last has gone.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use sierradb_io::{Io, Listener, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits;

/// What a client beyond the limit is told before it is hung up on.
const REFUSAL: &[u8] = b"-ERR max number of clients reached\r\n";

/// A listening socket with a limit of clients.
pub struct Acceptor {
    io: Io,
    listener: Box<dyn Listener>,
    counts: Arc<ClientCounts>,
}

/// How many clients there are and were; shared with whoever reports it.
#[derive(Debug)]
pub struct ClientCounts {
    max_clients: u32,
    places: Arc<Semaphore>,
    accepted: AtomicU64,
    rejected: AtomicU64,
}

/// A client that got a place.
pub struct Client {
    /// Its socket.
    pub stream: Box<dyn Stream>,
    /// Its address.
    pub peer: SocketAddr,
    /// Keep it as long as the client is served.
    pub place: ClientPlace,
}

/// A client's place among those allowed; free again when dropped.
#[derive(Debug)]
pub struct ClientPlace {
    _permit: OwnedSemaphorePermit,
}

impl Acceptor {
    /// Serves at most `max_clients` at a time from `listener`.
    pub fn new(io: Io, listener: Box<dyn Listener>, max_clients: u32) -> Self {
        let places = usize::try_from(max_clients).unwrap_or(usize::MAX);
        let counts = ClientCounts {
            max_clients,
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        };
        Self { io, listener, counts: Arc::new(counts) }
    }

    /// The next client that gets a place. Others are told so and hung up on. When the machine has no descriptors
    /// left, nobody is accepted for [`limits::ACCEPT_PAUSE`].
    ///
    /// Cancel-safe.
    pub async fn next(&self) -> Client {
        let counts = &self.counts;
        loop {
            let Ok((mut stream, peer)) = self.listener.accept().await else {
                self.io.sleep(limits::ACCEPT_PAUSE).await;
                continue;
            };
            match Arc::clone(&counts.places).try_acquire_owned() {
                Ok(permit) => {
                    counts.accepted.fetch_add(1, Ordering::Relaxed);
                    return Client { stream, peer, place: ClientPlace { _permit: permit } };
                }
                Err(_full) => {
                    counts.rejected.fetch_add(1, Ordering::Relaxed);
                    refuse(stream.as_mut());
                }
            }
        }
    }

    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The numbers, which outlive the listening socket. To stop, drop the acceptor and wait until they are drained.
    pub fn counts(&self) -> Arc<ClientCounts> {
        Arc::clone(&self.counts)
    }
}

impl ClientCounts {
    /// Clients that have a place.
    pub fn open(&self) -> usize {
        let all = usize::try_from(self.max_clients).unwrap_or(usize::MAX);
        all.saturating_sub(self.places.available_permits())
    }

    /// Clients that got a place since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Clients that found none.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Ready once every place is free.
    pub async fn drained(&self) {
        // The semaphore is never closed, so this cannot fail.
        drop(self.places.acquire_many(self.max_clients).await);
    }
}

/// Says why, without waiting: a fresh socket has room for a line, and nobody else waits for a refusal.
fn refuse(stream: &mut dyn Stream) {
    let mut context = Context::from_waker(Waker::noop());
    let mut stream = Pin::new(stream);
    if let Poll::Ready(Ok(_)) = stream.as_mut().poll_write(&mut context, REFUSAL) {
        drop(stream.as_mut().poll_shutdown(&mut context));
    }
}

#[cfg(test)]
mod tests;
