//! The load generator: one thread, many connections, each with one batch of requests under way.

use super::histogram::Histogram;
use super::replies::Replies;
use super::request::Requests;
use crate::error::Failure;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bytes taken from a socket at once.
const READ_BYTES: usize = 256 * 1024;
/// Socket events taken from the system at once.
const EVENTS_MAX: usize = 1_024;
/// A server that says nothing for so long is taken for dead.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How hard, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    /// Requests that a client sends before it waits for their replies.
    pub(crate) pipeline: usize,
    pub(crate) until: Until,
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Counts for `measured` after an uncounted start.
    Time { warm_up: Duration, measured: Duration },
    /// Sends so many requests, to the streams in turn.
    Requests(u64),
}

/// What a load saw.
pub(crate) struct Measured {
    pub(crate) replies: u64,
    all_replies: u64,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram,
}

impl Measured {
    /// Replies, those outside the counted time included.
    pub(crate) fn all_replies(&self) -> f64 {
        u32::try_from(self.all_replies).map_or(f64::from(u32::MAX), f64::from)
    }

    /// Replies per second.
    pub(crate) fn rate(&self) -> f64 {
        let replies = u32::try_from(self.replies).map_or(f64::from(u32::MAX), f64::from);
        replies / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Runs `load` against the server at `address`. An error reply fails it: a server that refuses is not fast.
pub(crate) fn run(
    address: SocketAddr,
    load: Load,
    requests: &mut Requests,
) -> Result<Measured, Failure> {
    drive(address, load, requests).map_err(|source| Failure::Load { address, source })
}

fn drive(address: SocketAddr, load: Load, requests: &mut Requests) -> io::Result<Measured> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut clients = Vec::with_capacity(load.clients);
    for index in 0..load.clients {
        let mut client = Client::connect(address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut client.stream, Token(index), interest)?;
        clients.push(client);
    }
    let mut progress = Progress::new(load);
    for client in &mut clients {
        progress.next_batch(client, requests)?;
    }
    let mut buffer = vec![0; READ_BYTES];
    while progress.under_way > 0 {
        poll.poll(&mut events, Some(SILENCE_MAX))?;
        if events.is_empty() {
            return Err(io::Error::new(ErrorKind::TimedOut, "the server stopped answering"));
        }
        let now = Instant::now();
        for event in &events {
            let Some(client) = clients.get_mut(event.token().0) else { continue };
            if event.is_writable() {
                client.flush()?;
            }
            if event.is_readable() {
                let complete = client.receive(&mut buffer)?;
                progress.count(client, complete, now);
                if client.waiting == 0 && complete > 0 {
                    progress.next_batch(client, requests)?;
                }
            }
        }
    }
    Ok(progress.measured())
}

/// The clock and the counters of one load.
struct Progress {
    load: Load,
    counting_from: Instant,
    ends: Option<Instant>,
    sent: u64,
    /// Requests without a reply.
    under_way: usize,
    last_reply: Instant,
    measured: Measured,
}

impl Progress {
    fn new(load: Load) -> Self {
        let now = Instant::now();
        let (counting_from, ends) = match load.until {
            Until::Time { warm_up, measured } => (now + warm_up, Some(now + warm_up + measured)),
            Until::Requests(_) => (now, None),
        };
        let measured = Measured {
            replies: 0,
            all_replies: 0,
            elapsed: Duration::ZERO,
            latency: Histogram::new(),
        };
        Self { load, counting_from, ends, sent: 0, under_way: 0, last_reply: now, measured }
    }

    fn next_batch(&mut self, client: &mut Client, requests: &mut Requests) -> io::Result<()> {
        let now = Instant::now();
        let size = match self.load.until {
            Until::Time { .. } if self.ends.is_some_and(|ends| now >= ends) => 0,
            Until::Time { .. } => self.load.pipeline,
            Until::Requests(total) => {
                let left = usize::try_from(total.saturating_sub(self.sent)).unwrap_or(usize::MAX);
                left.min(self.load.pipeline)
            }
        };
        if size == 0 {
            return Ok(());
        }
        client.out.clear();
        client.written = 0;
        for _ in 0..size {
            let request = match self.load.until {
                Until::Time { .. } => requests.any(),
                Until::Requests(_) => requests.nth(self.sent),
            };
            client.out.extend_from_slice(request);
            self.sent += 1;
        }
        (client.waiting, client.sent_at) = (size, now);
        self.under_way += size;
        client.flush()
    }

    fn count(&mut self, client: &Client, complete: usize, now: Instant) {
        self.under_way = self.under_way.saturating_sub(complete);
        self.measured.all_replies += u64::try_from(complete).unwrap_or(0);
        self.last_reply = now;
        let in_time = now >= self.counting_from && self.ends.is_none_or(|ends| now < ends);
        for _ in 0..if in_time { complete } else { 0 } {
            self.measured.replies += 1;
            self.measured.latency.record(now.saturating_duration_since(client.sent_at));
        }
    }

    fn measured(mut self) -> Measured {
        let end = self.ends.unwrap_or(self.last_reply);
        self.measured.elapsed = end.saturating_duration_since(self.counting_from);
        self.measured
    }
}

/// One connection with at most one batch under way.
struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
    replies: Replies,
    waiting: usize,
    sent_at: Instant,
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            out: Vec::new(),
            written: 0,
            replies: Replies::default(),
            waiting: 0,
            sent_at: Instant::now(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.out.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until nothing is left; how many replies that completed.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut complete = 0;
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            complete += self.replies.feed(buffer.get(..read).unwrap_or_default());
            if read < buffer.len() {
                break; // drained: whatever comes now raises a new event
            }
        }
        if let Some(text) = self.replies.first_error.take() {
            return Err(io::Error::other(format!("the server answered: {text}")));
        }
        if complete > self.waiting {
            return Err(io::Error::new(ErrorKind::InvalidData, "more replies than requests"));
        }
        self.waiting -= complete;
        Ok(complete)
    }
}
