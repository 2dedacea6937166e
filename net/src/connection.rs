//! One client socket: bytes in, bytes out, back-pressure between the two.
//!
//! One [`turn`](Connection::turn) writes everything that is ready in as few system calls as the socket allows, then
//! reads. It is cancel-safe, so the task of a connection waits for its socket and for finished requests side by
//! side. Nothing here decides what a request means.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use sierradb_io::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::limits;
use crate::outgoing::Outgoing;
use crate::resp::Decoder;

/// Whether a turn may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Read, unless too many replies are unsent.
    On,
    /// Only write: enough requests are in work, or no more are wanted.
    Off,
}

/// What a turn brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Bytes arrived: ask the decoder.
    Received,
    /// The client sends no more. It may still read.
    Ended,
    /// Reading was off, and the last reply has been handed to the socket.
    Drained,
}

/// A client's socket with its decoder and its outgoing bytes.
pub struct Connection {
    stream: Box<dyn Stream>,
    decoder: Decoder,
    outgoing: Outgoing,
    /// Room for the next read.
    chunk: usize,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Connection {
    /// A connection that takes requests of up to `max_request_bytes`.
    pub fn new(stream: Box<dyn Stream>, max_request_bytes: usize) -> Self {
        Self {
            stream,
            decoder: Decoder::new(max_request_bytes),
            outgoing: Outgoing::new(),
            chunk: limits::READ_CHUNK_MIN_BYTES,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// The client's address.
    pub fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    /// The address it reached us at.
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    /// Where requests come from.
    pub fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Where replies and pushes go to.
    pub fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// Bytes read so far.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Bytes handed to the socket so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Writes what waits and reads what comes, until there is something to do: see [`Turn`]. Goes on writing pushes
    /// meanwhile. With [`Reading::Off`] and no replies it never returns by itself: wait for something else, too.
    ///
    /// Cancel-safe: nothing is lost if it is dropped.
    ///
    /// # Errors
    /// The socket's; the connection is over then.
    pub async fn turn(&mut self, reading: Reading) -> io::Result<Turn> {
        poll_fn(|context| self.poll_turn(context, reading)).await
    }

    /// Writes all replies and the pushes sent so far. A client that does not read keeps this waiting: set a limit.
    ///
    /// # Errors
    /// The socket's.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| {
            self.poll_write(context)?;
            if !self.outgoing.is_empty() {
                return Poll::Pending;
            }
            Pin::new(&mut self.stream).poll_flush(context)
        })
        .await
    }

    /// Tells the client that nothing follows. Flush first.
    ///
    /// # Errors
    /// The socket's.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await
    }

    fn poll_turn(&mut self, context: &mut Context<'_>, reading: Reading) -> Poll<io::Result<Turn>> {
        let had_replies = self.outgoing.unsent_reply_bytes() > 0;
        self.poll_write(context)?;
        if reading == Reading::On {
            // Over budget the write above waits for the socket and comes back here.
            return if self.outgoing.is_over_budget() {
                Poll::Pending
            } else {
                self.poll_read(context)
            };
        }
        if had_replies && self.outgoing.unsent_reply_bytes() == 0 {
            return Poll::Ready(Ok(Turn::Drained));
        }
        Poll::Pending
    }

    /// Writes until the socket takes no more or nothing is left; in both cases the task will be woken.
    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        loop {
            self.outgoing.collect(context);
            if self.outgoing.is_empty() {
                return Ok(());
            }
            let written = match self.outgoing.only_replies() {
                Some(replies) => Pin::new(&mut self.stream).poll_write(context, replies)?,
                None => self.poll_write_pieces(context)?,
            };
            match written {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    self.sent_bytes += u64::try_from(count).unwrap_or(0);
                    self.outgoing.written(count);
                }
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn poll_write_pieces(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); limits::WRITE_SLICES];
        let used = self.outgoing.slices(&mut slices);
        let pieces = slices.get(..used).unwrap_or_default();
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Turn>> {
        let room = self.decoder.missing().clamp(self.chunk, limits::READ_CHUNK_MAX_BYTES);
        let count = if room <= limits::SMALL_READ_BYTES {
            self.decoder.give_back_above(room);
            ready!(self.poll_read_little(context))?
        } else {
            let buffer = self.decoder.input_with_room(room);
            let read = pin!(self.stream.read_buf(buffer));
            ready!(read.poll(context))?
        };
        if count == 0 {
            return Poll::Ready(Ok(Turn::Ended));
        }
        self.received_bytes += u64::try_from(count).unwrap_or(0);
        if count >= self.chunk {
            self.chunk = (self.chunk * 2).min(limits::READ_CHUNK_MAX_BYTES);
        } else if count < self.chunk / 4 {
            self.chunk = (self.chunk / 2).max(limits::READ_CHUNK_MIN_BYTES);
        }
        Poll::Ready(Ok(Turn::Received))
    }

    fn poll_read_little(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [const { MaybeUninit::uninit() }; limits::SMALL_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        self.decoder.receive(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }
}

#[cfg(test)]
mod tests;
