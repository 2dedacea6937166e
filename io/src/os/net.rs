//! TCP sockets, driven by the shared runtime wherever their futures are polled.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;

use super::task::Home;
use crate::{Fut, Listener, Net, NetError, NetErrorKind, NetFut, Stream, limits};

/// The machine's sockets. Streams start with `TCP_NODELAY` and keep-alive probes.
#[derive(Debug)]
pub struct OsNet {
    home: Arc<Home>,
}

impl OsNet {
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self { home }
    }

    /// Polls `future` where sockets find their reactor.
    fn at_home<'a, T: 'a>(&self, future: impl Future<Output = T> + Send + 'a) -> Fut<'a, T> {
        at(self.home.handle(), future)
    }
}

impl Net for OsNet {
    fn bind(&self, addr: SocketAddr) -> NetFut<'_, Box<dyn Listener>> {
        self.at_home(async move {
            let (listener, local) = listen(addr).map_err(|e| net_error("bind", &addr, &e))?;
            let home = self.home.handle().clone();
            let listener: Box<dyn Listener> = Box::new(OsListener { listener, local, home });
            Ok(listener)
        })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> NetFut<'a, Box<dyn Stream>> {
        self.at_home(async move {
            let mut last = NetErrorKind::UnknownHost;
            let mut errno = None;
            for addr in resolve(host, port).await? {
                match TcpStream::connect(addr).await.and_then(OsStream::new) {
                    Ok(stream) => {
                        let stream: Box<dyn Stream> = Box::new(stream);
                        return Ok(stream);
                    }
                    Err(error) => (last, errno) = (kind_of(&error), error.raw_os_error()),
                }
            }
            Err(NetError { op: "connect", addr: format!("{host}:{port}"), kind: last, errno })
        })
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> NetFut<'a, Vec<SocketAddr>> {
        self.at_home(resolve(host, port))
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, NetError> {
    let unknown = |errno| NetError {
        op: "resolve",
        addr: host.to_owned(),
        kind: NetErrorKind::UnknownHost,
        errno,
    };
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<_> = found.map_err(|error| unknown(error.raw_os_error()))?.collect();
    if found.is_empty() { Err(unknown(None)) } else { Ok(found) }
}

/// A restarted server takes its port back at once: connections of its last life may still be closing.
fn listen(addr: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    let listener = socket.listen(limits::LISTEN_BACKLOG)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

struct OsListener {
    listener: TcpListener,
    local: SocketAddr,
    home: Handle,
}

impl Listener for OsListener {
    fn accept(&self) -> NetFut<'_, (Box<dyn Stream>, SocketAddr)> {
        at(&self.home, async move {
            loop {
                let accepted = self.listener.accept().await;
                match accepted.and_then(|(stream, peer)| Ok((OsStream::new(stream)?, peer))) {
                    Ok((stream, peer)) => {
                        let stream: Box<dyn Stream> = Box::new(stream);
                        return Ok((stream, peer));
                    }
                    // Given up by its client while it waited for us.
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(net_error("accept", &self.local, &error)),
                }
            }
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

struct OsStream {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

impl OsStream {
    fn new(stream: TcpStream) -> io::Result<Self> {
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        let stream = Self { stream, peer, local };
        stream.set_nodelay(true);
        stream.set_keepalive_secs(limits::KEEPALIVE_SECS);
        Ok(stream)
    }
}

impl Stream for OsStream {
    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn set_nodelay(&self, on: bool) {
        self.stream.set_nodelay(on).unwrap_or(()); // a slower socket is no error
    }

    fn set_keepalive_secs(&self, secs: u32) {
        let idle = Duration::from_secs(u64::from(secs));
        sockopt::set_socket_keepalive(&self.stream, true).unwrap_or(());
        sockopt::set_tcp_keepidle(&self.stream, idle).unwrap_or(());
    }
}

impl AsyncRead for OsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl AsyncWrite for OsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn at<'a, T: 'a>(home: &Handle, future: impl Future<Output = T> + Send + 'a) -> Fut<'a, T> {
    Box::pin(AtHome { home: home.clone(), future: Box::pin(future) })
}

/// A future polled inside the shared runtime's context.
struct AtHome<'a, T> {
    home: Handle,
    future: Fut<'a, T>,
}

impl<T> Future for AtHome<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let home = self.home.clone();
        let _inside = home.enter();
        self.future.as_mut().poll(context)
    }
}

fn net_error(op: &'static str, addr: &dyn fmt::Display, cause: &io::Error) -> NetError {
    NetError { op, addr: addr.to_string(), kind: kind_of(cause), errno: cause.raw_os_error() }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(kind_of(error), NetErrorKind::Reset)
}

fn kind_of(error: &io::Error) -> NetErrorKind {
    use rustix::io::Errno;
    if let Some(number) = error.raw_os_error()
        && matches!(
            Errno::from_raw_os_error(number),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS
        )
    {
        return NetErrorKind::Exhausted;
    }
    match error.kind() {
        ErrorKind::AddrInUse => NetErrorKind::AddressInUse,
        ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied => {
            NetErrorKind::AddressUnavailable
        }
        ErrorKind::ConnectionRefused => NetErrorKind::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected => NetErrorKind::Reset,
        ErrorKind::TimedOut => NetErrorKind::TimedOut,
        _ => NetErrorKind::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn net() -> OsNet {
        OsNet::new(Arc::default())
    }

    #[test]
    fn both_ends_talk_without_a_runtime_of_the_caller() {
        let net = net();
        super::super::wait(async {
            let listener = net.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let local = listener.local_addr();
            assert_ne!(local.port(), 0, "the real port is told");
            let mut client = net.connect("localhost", local.port()).await.unwrap();
            let (mut served, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr());
            assert_eq!(served.peer_addr(), peer);
            assert_eq!(client.peer_addr(), local);
            client.write_all(b"ping").await.unwrap();
            let mut got = [0; 4];
            served.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"ping");
            drop(client);
            assert_eq!(served.read(&mut got).await.unwrap(), 0);
        });
    }

    #[test]
    fn errors_say_what_failed_and_where() {
        let net = net();
        super::super::wait(async {
            let listener = net.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let addr = listener.local_addr();
            let taken = net.bind(addr).await.err().unwrap();
            assert_eq!(taken.kind, NetErrorKind::AddressInUse);
            assert_eq!(taken.to_string(), format!("bind {addr}: Address already in use"));
            drop(listener);
            let refused = net.connect("127.0.0.1", addr.port()).await.err().unwrap();
            assert_eq!(refused.kind, NetErrorKind::Refused);
            assert!(refused.errno.is_some());
            let unknown = net.resolve("no-such-host.invalid", 1).await.err().unwrap();
            assert_eq!(unknown.kind, NetErrorKind::UnknownHost);
        });
    }

    #[test]
    fn new_streams_send_at_once_and_probe_when_idle() {
        let net = net();
        super::super::wait(async {
            let listener = net.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let addr = listener.local_addr();
            let stream = net.at_home(TcpStream::connect(addr)).await.unwrap();
            let stream = OsStream::new(stream).unwrap();
            assert!(stream.stream.nodelay().unwrap());
            assert!(sockopt::socket_keepalive(&stream.stream).unwrap());
            let idle = sockopt::tcp_keepidle(&stream.stream).unwrap();
            assert_eq!(idle, Duration::from_secs(u64::from(limits::KEEPALIVE_SECS)));
        });
    }
}
