//! Streams in memory: a machine's sockets without a network, for tests of a server.
//!
//! All names mean this machine; ports tell listeners apart. Delivery is immediate and never fails; cuts, delays and
//! other machines belong to package `sim`.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::num::{mix, to_usize};
use crate::limits::{SIM_ACCEPT_QUEUE, SIM_STREAM_BYTES};
use crate::{Listener, Net, NetError, NetErrorKind, NetFut, Prng, Stream};

type Arrival = (MemStream, SocketAddr);

/// Listeners of one machine.
#[derive(Debug)]
pub(crate) struct Sockets {
    state: Mutex<State>,
    root: u64,
    chunk_bytes: u32,
}

#[derive(Debug)]
struct State {
    listeners: BTreeMap<u16, mpsc::Sender<Arrival>>,
    next_port: u16,
    streams: u64,
}

/// Ports picked for listeners on port 0 and for clients.
const FIRST_FREE_PORT: u16 = 49_152;

impl Sockets {
    pub(crate) fn new(root: u64, chunk_bytes: u32) -> Arc<Self> {
        let state = State { listeners: BTreeMap::new(), next_port: FIRST_FREE_PORT, streams: 0 };
        Arc::new(Self { state: Mutex::new(state), root: mix(root, 0x006e_6574), chunk_bytes })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all listeners, as the death of their process does.
    pub(crate) fn close(&self) {
        let closed = std::mem::take(&mut self.state().listeners);
        drop(closed);
    }

    /// Both ends of a new connection.
    fn pair(&self, client: SocketAddr, server: SocketAddr) -> (MemStream, MemStream) {
        let number = {
            let mut state = self.state();
            state.streams += 1;
            state.streams
        };
        let (near, far) = tokio::io::duplex(SIM_STREAM_BYTES);
        let end = |inner, local, peer, side| MemStream {
            inner,
            local,
            peer,
            chunk_bytes: u64::from(self.chunk_bytes),
            draw: Prng::new(mix(mix(self.root, number), side)),
        };
        (end(near, client, server, 0), end(far, server, client, 1))
    }
}

impl State {
    fn free_port(&mut self) -> u16 {
        loop {
            let port = self.next_port;
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
            if !self.listeners.contains_key(&port) {
                return port;
            }
        }
    }
}

/// Sockets of one machine, in memory.
#[derive(Debug, Clone)]
pub struct MemNet {
    sockets: Arc<Sockets>,
}

impl MemNet {
    pub(crate) fn new(sockets: Arc<Sockets>) -> Self {
        Self { sockets }
    }

    fn listen(&self, addr: SocketAddr) -> Result<MemListener, NetError> {
        let mut state = self.sockets.state();
        let port = if addr.port() == 0 { state.free_port() } else { addr.port() };
        if state.listeners.contains_key(&port) {
            return Err(net_error("bind", &addr.to_string(), NetErrorKind::AddressInUse));
        }
        let (sender, arrivals) = mpsc::channel(SIM_ACCEPT_QUEUE);
        state.listeners.insert(port, sender.clone());
        let local = SocketAddr::new(addr.ip(), port);
        let sockets = Arc::clone(&self.sockets);
        Ok(MemListener { sockets, local, sender, arrivals: AsyncMutex::new(arrivals) })
    }

    fn dial(&self, host: &str, port: u16) -> Result<MemStream, NetError> {
        let refused = || net_error("connect", &format!("{host}:{port}"), NetErrorKind::Refused);
        let (listener, client_port) = {
            let mut state = self.sockets.state();
            let listener = state.listeners.get(&port).cloned().ok_or_else(refused)?;
            (listener, state.free_port())
        };
        let (client, server) = (local_addr(client_port), local_addr(port));
        let (near, far) = self.sockets.pair(client, server);
        listener.try_send((far, client)).map_err(|_| refused())?;
        Ok(near)
    }
}

fn local_addr(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn net_error(op: &'static str, addr: &str, kind: NetErrorKind) -> NetError {
    NetError { op, addr: addr.to_owned(), kind, errno: None }
}

impl Net for MemNet {
    fn bind(&self, addr: SocketAddr) -> NetFut<'_, Box<dyn Listener>> {
        Box::pin(async move { Ok(Box::new(self.listen(addr)?) as Box<dyn Listener>) })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> NetFut<'a, Box<dyn Stream>> {
        Box::pin(async move { Ok(Box::new(self.dial(host, port)?) as Box<dyn Stream>) })
    }

    fn resolve<'a>(&'a self, _host: &'a str, port: u16) -> NetFut<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(vec![local_addr(port)]) })
    }
}

/// A listening socket in memory; closed by its drop or the death of its process.
struct MemListener {
    sockets: Arc<Sockets>,
    local: SocketAddr,
    sender: mpsc::Sender<Arrival>,
    arrivals: AsyncMutex<mpsc::Receiver<Arrival>>,
}

impl Listener for MemListener {
    fn accept(&self) -> NetFut<'_, (Box<dyn Stream>, SocketAddr)> {
        Box::pin(async move {
            let arrival = self.arrivals.lock().await.recv().await;
            match arrival {
                Some((stream, peer)) => Ok((Box::new(stream) as Box<dyn Stream>, peer)),
                None => Err(net_error("accept", &self.local.to_string(), NetErrorKind::Reset)),
            }
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for MemListener {
    fn drop(&mut self) {
        let mut state = self.sockets.state();
        let own = |sender: &mpsc::Sender<Arrival>| sender.same_channel(&self.sender);
        if state.listeners.get(&self.local.port()).is_some_and(own) {
            state.listeners.remove(&self.local.port());
        }
    }
}

/// One end of a connection in memory.
#[derive(Debug)]
struct MemStream {
    inner: DuplexStream,
    local: SocketAddr,
    peer: SocketAddr,
    /// Largest piece moved at once; 0 means whatever fits.
    chunk_bytes: u64,
    draw: Prng,
}

impl MemStream {
    /// How much of `len` bytes moves now.
    fn piece(&mut self, len: usize) -> usize {
        if self.chunk_bytes == 0 || len == 0 {
            return len;
        }
        to_usize(self.draw.between(1, self.chunk_bytes)).min(len)
    }
}

impl AsyncRead for MemStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.chunk_bytes == 0 {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let limit = self.piece(buf.remaining());
        let mut piece = vec![0; limit];
        let mut part = ReadBuf::new(&mut piece);
        match Pin::new(&mut self.inner).poll_read(cx, &mut part) {
            Poll::Ready(Ok(())) => {
                buf.put_slice(part.filled());
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for MemStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let limit = self.piece(buf.len());
        let piece = buf.get(..limit).unwrap_or(buf);
        Pin::new(&mut self.inner).poll_write(cx, piece)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl Stream for MemStream {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn set_nodelay(&self, _on: bool) {}

    fn set_keepalive_secs(&self, _secs: u32) {}
}
