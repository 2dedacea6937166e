//! Stream sockets.
//!
//! # Contract
//! `connect` and streams have no deadline of their own and may stay half-open for ever, so every request and
//! subscription has one. `Ok` from a write says nothing about delivery.

use std::fmt;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::Fut;

/// Future of a network operation.
pub type NetFut<'a, T> = Fut<'a, Result<T, NetError>>;

/// Sockets.
pub trait Net: Send + Sync {
    /// Listens on `addr`; port 0 picks a free one.
    fn bind(&self, addr: SocketAddr) -> NetFut<'_, Box<dyn Listener>>;

    /// Connects to a host name or address.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> NetFut<'a, Box<dyn Stream>>;

    /// Addresses of a host name, in the resolver's order; at least one.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> NetFut<'a, Vec<SocketAddr>>;
}

/// A listening socket.
pub trait Listener: Send + Sync {
    /// The next connection.
    fn accept(&self) -> NetFut<'_, (Box<dyn Stream>, SocketAddr)>;

    /// Where it listens, with the real port.
    fn local_addr(&self) -> SocketAddr;
}

/// A connected socket.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The other end.
    fn peer_addr(&self) -> SocketAddr;

    /// This end.
    fn local_addr(&self) -> SocketAddr;

    /// Switches Nagle's delay off (`true`) or on; best effort.
    fn set_nodelay(&self, on: bool);

    /// Sends keep-alive probes after this many idle seconds; best effort.
    fn set_keepalive_secs(&self, secs: u32);
}

/// What failed on a socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{op} {addr}: {kind}", addr = if addr.is_empty() { "socket" } else { addr })]
pub struct NetError {
    /// What was tried: `bind`, `accept`, `connect`, `resolve`.
    pub op: &'static str,
    /// With which address.
    pub addr: String,
    /// Its class.
    pub kind: NetErrorKind,
    /// The system's error number.
    pub errno: Option<i32>,
}

/// Class of a network error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetErrorKind {
    /// Another socket has this address.
    AddressInUse,
    /// The address is not one of this machine, or not permitted.
    AddressUnavailable,
    /// Nobody listens there.
    Refused,
    /// The connection was reset or is gone.
    Reset,
    /// No answer in time.
    TimedOut,
    /// The name does not resolve.
    UnknownHost,
    /// Out of descriptors or memory; may pass.
    Exhausted,
    /// Anything else, in the system's words.
    Other(String),
}

impl fmt::Display for NetErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressInUse => "Address already in use",
            Self::AddressUnavailable => "Address not available",
            Self::Refused => "Connection refused",
            Self::Reset => "Connection reset",
            Self::TimedOut => "Timed out",
            Self::UnknownHost => "Unknown host",
            Self::Exhausted => "Out of descriptors",
            Self::Other(text) => text,
        })
    }
}
