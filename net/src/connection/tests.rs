//! A connection against a scripted socket.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use sierradb_io::os::wait;
use sierradb_protocol::{Sink, Word};

use super::*;
use crate::{Dialect, PushSender};

/// What the test sees of the socket.
#[derive(Default)]
struct Wire {
    /// Pieces the client has sent; `None` is its end.
    incoming: VecDeque<Option<Vec<u8>>>,
    written: Vec<u8>,
    writes: usize,
    /// Bytes the client's side still takes.
    window: usize,
}

#[derive(Clone)]
struct Scripted(Arc<Mutex<Wire>>);

impl Stream for Scripted {
    fn peer_addr(&self) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 1))
    }
    fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 2], 2))
    }
    fn set_nodelay(&self, _on: bool) {}
    fn set_keepalive_secs(&self, _secs: u32) {}
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let next = self.0.lock().unwrap().incoming.pop_front();
        match next {
            None => Poll::Pending,
            Some(None) => Poll::Ready(Ok(())),
            Some(Some(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buf.remaining()));
                buf.put_slice(&bytes);
                if !rest.is_empty() {
                    self.0.lock().unwrap().incoming.push_front(Some(rest));
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let count = all.len().min(wire.window);
        if count == 0 {
            return Poll::Pending;
        }
        wire.window -= count;
        wire.writes += 1;
        wire.written.extend_from_slice(&all[..count]);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn connection() -> (Connection, Scripted) {
    let stream = Scripted(Arc::default());
    stream.0.lock().unwrap().window = usize::MAX;
    (Connection::new(Box::new(stream.clone()), 1 << 20), stream)
}

/// One poll of a turn.
fn turn(connection: &mut Connection, reading: Reading) -> Poll<Turn> {
    let mut context = Context::from_waker(std::task::Waker::noop());
    connection.poll_turn(&mut context, reading).map(Result::unwrap)
}

fn sent(stream: &Scripted) -> String {
    String::from_utf8(std::mem::take(&mut stream.0.lock().unwrap().written)).unwrap()
}

fn receive(stream: &Scripted, bytes: &[u8]) {
    stream.0.lock().unwrap().incoming.push_back(Some(bytes.to_vec()));
}

fn next_request(connection: &mut Connection) -> Vec<Bytes> {
    connection.decoder().next().unwrap().unwrap().words().map(Word::to_bytes).collect()
}

#[test]
fn requests_come_out_as_they_arrive() {
    let (mut connection, stream) = connection();
    assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
    receive(&stream, b"*1\r\n$4\r\nPI");
    assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
    assert_eq!(connection.decoder().next(), Ok(None));
    receive(&stream, b"NG\r\nPING\r\n");
    assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
    assert_eq!(next_request(&mut connection), ["PING"]);
    assert_eq!(next_request(&mut connection), ["PING"]);
    assert_eq!(connection.decoder().next(), Ok(None));
    stream.0.lock().unwrap().incoming.push_back(None);
    assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Ended));
    assert_eq!(connection.received_bytes(), 20);
}

#[test]
fn all_that_is_ready_leaves_in_one_write() {
    let (mut connection, stream) = connection();
    let sender: PushSender = connection.outgoing().push_sender();
    wait(sender.send(Bytes::from_static(b">push\r\n"))).unwrap();
    for _ in 0..16 {
        connection.outgoing().reply(Dialect::Resp3).word("OK");
    }
    assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
    assert_eq!(sent(&stream), format!("{}>push\r\n", "+OK\r\n".repeat(16)));
    assert_eq!(stream.0.lock().unwrap().writes, 1);
    assert_eq!(connection.sent_bytes(), 16 * 5 + 7);
}

#[test]
fn unsent_replies_stop_the_reading_until_the_client_reads() {
    let (mut connection, stream) = connection();
    stream.0.lock().unwrap().window = 10;
    receive(&stream, b"PING\r\n");
    connection.outgoing().reply_bytes(&vec![b'x'; limits::REPLY_BUDGET_BYTES + 10]);
    assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
    assert_eq!(stream.0.lock().unwrap().incoming.len(), 1, "not read");
    stream.0.lock().unwrap().window = 1;
    assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
}

#[test]
fn with_reading_off_the_last_reply_is_reported() {
    let (mut connection, stream) = connection();
    receive(&stream, b"PING\r\n");
    assert_eq!(turn(&mut connection, Reading::Off), Poll::Pending);
    connection.outgoing().reply(Dialect::Resp2).word("OK");
    assert_eq!(turn(&mut connection, Reading::Off), Poll::Ready(Turn::Drained));
    assert_eq!(stream.0.lock().unwrap().incoming.len(), 1, "not read");
}

#[test]
fn a_push_wakes_a_connection_at_rest() {
    let (mut connection, stream) = connection();
    let sender = connection.outgoing().push_sender();
    let received = wait(async {
        let resting = async {
            let turn = connection.turn(Reading::On);
            tokio::select! {
                biased; // the turn rests until the push wakes it; then it writes, and has nothing to report
                turn = turn => Some(turn),
                () = async {
                    tokio::task::yield_now().await;
                    sender.send(Bytes::from_static(b">push\r\n")).await.unwrap();
                    tokio::task::yield_now().await;
                } => None,
            }
        };
        resting.await
    });
    assert!(received.is_none());
    assert_eq!(sent(&stream), ">push\r\n");
}

#[test]
fn flushing_waits_for_everything_and_reads_nothing() {
    let (mut connection, stream) = connection();
    receive(&stream, b"PING\r\n");
    connection.outgoing().reply(Dialect::Resp2).word("BYE");
    wait(async {
        connection.flush().await.unwrap();
        connection.shutdown().await.unwrap();
    });
    assert_eq!(sent(&stream), "+BYE\r\n");
    assert_eq!(stream.0.lock().unwrap().incoming.len(), 1);
}

#[test]
fn room_for_reading_follows_the_traffic() {
    let (mut connection, stream) = connection();
    for _ in 0..10 {
        let len = connection.chunk;
        receive(&stream, &vec![b' '; len]);
        assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
        drop(connection.decoder().input().split()); // as requests are cut out
        while turn(&mut connection, Reading::On) == Poll::Ready(Turn::Received) {
            drop(connection.decoder().input().split());
        }
    }
    assert_eq!(connection.chunk, limits::READ_CHUNK_MAX_BYTES);
    for _ in 0..10 {
        receive(&stream, b" ");
        assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
        drop(connection.decoder().input().split()); // as requests are cut out
    }
    assert_eq!(connection.chunk, limits::READ_CHUNK_MIN_BYTES);
    assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
    assert!(connection.decoder().input().capacity() <= limits::READ_CHUNK_MIN_BYTES * 4);
}

#[test]
fn short_bursts_need_no_large_buffer() {
    let (mut connection, stream) = connection();
    let mut in_work = Vec::new();
    for _ in 0..100 {
        receive(&stream, &[b' '; 1_400]);
        let mut received = 0;
        while received < 1_400 {
            assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
            let request = connection.decoder().input().split();
            received += request.len();
            in_work.push(request);
        }
        assert_eq!(connection.chunk, limits::READ_CHUNK_MIN_BYTES);
    }
}

#[test]
fn a_pipeline_is_read_at_once_and_a_quiet_connection_holds_no_buffer() {
    let (mut connection, stream) = connection();
    assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
    assert_eq!(connection.decoder().input().capacity(), 0);
    for _ in 0..10 {
        let request = format!("*2\r\n$4\r\nECHO\r\n$400\r\n{}\r\n", "x".repeat(400));
        receive(&stream, request.repeat(16).as_bytes());
        assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
        let kept: Vec<_> = (0..16).map(|_| next_request(&mut connection)).collect();
        assert!(kept.iter().all(|words| words[1].len() == 400));
        assert_eq!(connection.decoder().next(), Ok(None));
        assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
        assert_eq!(connection.decoder().input().capacity(), 0);
    }
}

#[test]
fn a_connection_gives_back_the_room_of_a_long_request_before_it_waits() {
    let (mut connection, stream) = connection();
    let payload = "x".repeat(300_000);
    let request = format!("*2\r\n$4\r\nECHO\r\n$300000\r\n{payload}\r\n");
    for piece in request.as_bytes().chunks(1_448) {
        receive(&stream, piece);
        assert_eq!(turn(&mut connection, Reading::On), Poll::Ready(Turn::Received));
    }
    assert_eq!(next_request(&mut connection).len(), 2);
    assert!(connection.decoder().next().unwrap().is_none());
    assert_eq!(turn(&mut connection, Reading::On), Poll::Pending);
    assert!(connection.decoder().input().capacity() <= limits::READ_CHUNK_MIN_BYTES * 4);
}
