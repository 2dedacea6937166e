//! The task of one connection: moves requests and replies between its socket and its session.
//!
//! It is polled by hand: each time it wakes, it takes everything that is due (finished work, requests received) before
//! it touches the socket, and the socket is written before it is read. So a wake-up costs one write, however many
//! replies it brought. Replies of a pipeline wait for each other a little ([`Gather`]).
//!
//! It ends when the client has closed and everything is answered, when it is killed, when the socket fails, after an
//! answer that closes (`QUIT`, a protocol error), and when the server stops.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use sierradb_io::{Fut, site};
use sierradb_net::{Access, Connection, Reading, Turn};
use tokio::sync::futures::OwnedNotified;

use crate::clients::Client;
use crate::conn::gather::Gather;
use crate::conn::quiet::Quiet;
use crate::limits::{DRAIN_TIMEOUT, LINGER_TIMEOUT, ROUNDS_PER_WAKE};
use crate::session::Session;
use crate::shared::Shared;

/// Serves one connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, client: Arc<Client>, connection: Connection) {
    let mut task = ConnectionTask {
        session: Session::new(Arc::clone(&shared), Arc::clone(&client)),
        connection,
        killed: Quiet::new(client.kill.clone().cancelled_owned()),
        stopping: Some(Quiet::new(shared.stopping.clone().cancelled_owned())),
        is_at_end: false,
        deadline: None,
        received: 0,
        sent: 0,
        append_bytes: 0,
        gather: Gather::default(),
        freed: None,
        was_refused: false,
        shared,
        client,
    };
    task.set_access();
    let ended = std::future::poll_fn(|context| task.poll(context)).await;
    task.session.end_subscriptions();
    if ended == Ended::AfterAnswer {
        task.linger().await;
    }
    task.count_bytes();
}

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.settle(0);
    }
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// There is nobody to tell anything.
    Gone,
    /// The last answer closes it; the client may still be sending.
    AfterAnswer,
}

struct ConnectionTask {
    shared: Arc<Shared>,
    client: Arc<Client>,
    connection: Connection,
    session: Session,
    killed: Quiet,
    /// Ready once; `None` after the server began to stop.
    stopping: Option<Quiet>,
    /// The client sends no more.
    is_at_end: bool,
    /// When to give up, once nothing further is taken.
    deadline: Option<Fut<'static, ()>>,
    /// Bytes counted so far.
    received: u64,
    sent: u64,
    /// Bytes of appends counted in the node's budget.
    append_bytes: usize,
    gather: Gather,
    /// While that is exhausted: ready when some of it is freed.
    freed: Option<Pin<Box<OwnedNotified>>>,
    /// Requests may have been left where they are for lack of it.
    was_refused: bool,
}

impl ConnectionTask {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if self.poll_signals(context).is_ready() {
            return Poll::Ready(Ended::Gone);
        }
        for _ in 0..ROUNDS_PER_WAKE {
            while self.work(context) {}
            self.end_subscriptions();
            self.settle(self.session.append_bytes());
            let unsent = self.connection.outgoing().unsent_reply_bytes();
            if self.gather.waits(context, unsent, self.append_bytes) {
                return Poll::Pending;
            }
            let was_held_back = self.connection.outgoing().is_over_budget();
            let is_stalled = self.poll_budget(context).is_pending();
            if !is_stalled && std::mem::take(&mut self.was_refused) {
                continue; // freed meanwhile, perhaps by this very task: nobody else would wake it
            }
            let is_reading = !self.is_at_end && !is_stalled && self.wants_requests();
            let reading = if is_reading { Reading::On } else { Reading::Off };
            let turn = pin!(self.connection.turn(reading)).poll(context);
            self.count_bytes();
            match turn {
                Poll::Ready(Ok(Turn::Received | Turn::Drained)) => {}
                Poll::Ready(Ok(Turn::Ended)) => self.is_at_end = true,
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::Gone),
                // Replies and requests that were held back go on as soon as there is room for them.
                Poll::Pending if was_held_back && !self.connection.outgoing().is_over_budget() => {}
                Poll::Pending => {
                    self.note_backlog();
                    return self.poll_end(context);
                }
            }
            self.end_subscriptions();
            if let Poll::Ready(ended) = self.poll_end(context) {
                return Poll::Ready(ended);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Everything that needs no socket; true if anything moved.
    fn work(&mut self, context: &mut Context<'_>) -> bool {
        let moved = self.session.poll(context, self.connection.outgoing());
        self.take_requests() || moved
    }

    fn take_requests(&mut self) -> bool {
        // The budget of the node is looked at once: all connections write to it, and it counts whole wake-ups.
        if self.shared.budget.is_exhausted() {
            self.was_refused = true;
            return false;
        }
        self.set_access(); // a request that waited may have given it, or taken it
        let mut now = None;
        while self.session.takes_requests() && !self.connection.outgoing().is_over_budget() {
            let next = self.connection.decoder().next();
            if let Ok(None) = next {
                break;
            }
            let now = *now.get_or_insert_with(|| self.shared.io.clock().now());
            match next {
                Ok(Some(request)) => self.session.request(&request, now),
                Ok(None) => break,
                Err(error) => self.session.protocol_error(error, now),
            }
            self.set_access();
        }
        if let Some(now) = now {
            self.client.active(now);
        }
        now.is_some()
    }

    fn wants_requests(&self) -> bool {
        self.session.takes_requests() && !self.shared.budget.is_exhausted()
    }

    /// Ready while requests may be read; if not, `context` is woken when they may again.
    fn poll_budget(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.shared.budget.is_exhausted() {
            self.freed = None;
            return Poll::Ready(());
        }
        let budget = &self.shared.budget;
        let freed = self.freed.get_or_insert_with(|| Box::pin(budget.freed()));
        if freed.as_mut().poll(context).is_ready() || !budget.is_exhausted() {
            self.freed = None;
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn settle(&mut self, append_bytes: usize) {
        self.shared.budget.settle(self.append_bytes, append_bytes);
        self.append_bytes = append_bytes;
    }

    /// Whether the connection was killed or has waited long enough; notices that the server stops.
    fn poll_signals(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.killed.poll(context).is_ready() {
            return Poll::Ready(());
        }
        if let Some(stopping) = &mut self.stopping
            && stopping.poll(context).is_ready()
        {
            self.stopping = None;
            self.session.stop();
            self.set_deadline();
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(context),
            None => Poll::Pending,
        }
    }

    /// Ends them, also one that began a moment ago, once the client sends no more, and after QUIT or a protocol error.
    /// A server that stops lets them say their last word instead.
    fn end_subscriptions(&mut self) {
        let is_last_answer = self.session.is_closing() && self.stopping.is_some();
        if self.is_at_end || is_last_answer {
            self.session.end_subscriptions();
            self.set_deadline();
        }
    }

    fn set_deadline(&mut self) {
        if self.deadline.is_none() {
            let io = self.shared.io.clone();
            self.deadline = Some(Box::pin(async move { io.sleep(DRAIN_TIMEOUT).await }));
        }
    }

    /// Ready if everything is answered and nothing further will be asked.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        // A deadline set in this very wake-up has not been polled yet.
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ended::Gone);
        }
        let is_last = self.session.is_closing() || (self.is_at_end && self.wants_requests());
        if !is_last || !self.session.is_idle() || !self.session.subscriptions_ended(context) {
            return Poll::Pending;
        }
        let outgoing = self.connection.outgoing();
        if !outgoing.is_empty() || outgoing.waiting_push_bytes() > 0 {
            return Poll::Pending;
        }
        let ended = if self.session.is_closing() { Ended::AfterAnswer } else { Ended::Gone };
        Poll::Ready(ended)
    }

    fn set_access(&mut self) {
        let access =
            if self.session.is_authenticated() { Access::Granted } else { Access::BeforeAuth };
        self.connection.decoder().set_access(access);
    }

    fn note_backlog(&mut self) {
        let unsent = self.connection.outgoing().unsent_reply_bytes();
        self.client.buffered(self.connection.decoder().buffered(), unsent);
    }

    fn count_bytes(&mut self) {
        let (received, sent) = (self.connection.received_bytes(), self.connection.sent_bytes());
        if received > self.received {
            self.shared.metrics.input_bytes.add(received - self.received);
        }
        if sent > self.sent {
            self.shared.metrics.output_bytes.add(sent - self.sent);
        }
        (self.received, self.sent) = (received, sent);
    }

    /// Closes this side and reads a little on: a socket closed over unread bytes resets the connection, and the
    /// client would not see the last answer.
    async fn linger(&mut self) {
        let io = self.shared.io.clone();
        let connection = &mut self.connection;
        let read_on = async {
            if connection.shutdown().await.is_err() {
                return;
            }
            while let Ok(Turn::Received) = connection.turn(Reading::On).await {
                connection.decoder().clear();
            }
        };
        if io.timeout(LINGER_TIMEOUT, read_on).await.is_none() {
            // Whoever still sends is reset, which is all the same to us.
            io.mark(site!("server.linger_timed_out"));
        }
    }
}
