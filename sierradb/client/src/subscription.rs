//! Following streams and partitions.
//!
//! A manager has a connection of its own. Subscriptions always have a window: the server sends that many events
//! beyond the last acknowledged one and then waits, so a slow program costs no memory. Events are acknowledged when
//! the next one is asked for, in bundles of half a window. Frames are asked for as `PUSH event`: the redis crate takes
//! a `subscribe` push for the reply of whatever request is under way.

use std::num::NonZeroU32;

use redis::aio::MultiplexedConnection;
use sierradb_protocol::command::{EAck, EPSub, ESub, EUnsub, FollowFrom, PushKind, StreamSource};
use sierradb_protocol::reply::{Event, Frame};
use sierradb_protocol::{Command, PartitionSet, StreamId, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::client::SierraClient;
use crate::convert;
use crate::error::ClientError;
use crate::limits::SUBSCRIPTION_WINDOW;
use crate::routes::Routes;

/// Makes subscriptions on one connection.
pub struct SubscriptionManager {
    connection: MultiplexedConnection,
    routes: Routes,
}

/// Events of some streams or partitions, from a point of the past into the present.
///
/// Each source comes without gaps and in order. Dropped without [`Subscription::unsubscribe`], it stays with the server
/// until the connection ends, but receives no more than a window of events.
pub struct Subscription {
    id: Uuid,
    window: NonZeroU32,
    frames: mpsc::Receiver<Frame>,
    connection: MultiplexedConnection,
    routes: Routes,
    /// Cursor of the last event handed out, and how many since the last acknowledgement.
    handed_out: Option<u64>,
    unacknowledged: u32,
    is_over: bool,
}

/// One event of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SierraMessage {
    /// The subscription.
    pub subscription_id: Uuid,
    /// 0, 1, 2 … in the order of delivery.
    pub cursor: u64,
    /// The event.
    pub event: Event,
}

impl SubscriptionManager {
    pub(crate) async fn open(client: &SierraClient) -> Result<Self, ClientError> {
        let window = usize::try_from(SUBSCRIPTION_WINDOW.get()).unwrap_or(usize::MAX);
        let routes = Routes::new(window);
        let sink = routes.clone();
        let push = move |info| {
            sink.push(info);
            Ok(())
        };
        Ok(Self { connection: client.open_with_pushes(push).await?, routes })
    }

    /// Follows one stream from now on.
    ///
    /// # Errors
    ///
    /// If the name is none, the server refuses, or the connection fails.
    pub async fn subscribe_to_stream(&mut self, id: &str) -> Result<Subscription, ClientError> {
        self.subscribe_to_streams(&[id], FollowFrom::Latest).await
    }

    /// Follows one stream from `version` on, inclusive.
    ///
    /// # Errors
    ///
    /// If the name is none, the server refuses, or the connection fails.
    pub async fn subscribe_to_stream_from_version(
        &mut self,
        id: &str,
        version: u64,
    ) -> Result<Subscription, ClientError> {
        self.subscribe_to_streams(&[id], FollowFrom::At(version)).await
    }

    /// Follows streams that have their default partition keys.
    ///
    /// # Errors
    ///
    /// If a name is none, the server refuses, or the connection fails.
    pub async fn subscribe_to_streams(
        &mut self,
        ids: &[&str],
        from: FollowFrom<StreamId>,
    ) -> Result<Subscription, ClientError> {
        let source =
            |id: &&str| Ok(StreamSource { stream_id: StreamId::new(*id)?, partition_key: None });
        let sources = ids.iter().map(source).collect::<Result<_, ClientError>>()?;
        self.esub(ESub { sources, from, window: None, push: PushKind::Event }).await
    }

    /// Follows all partitions from `sequence` of each on, inclusive; without it, from now on.
    ///
    /// # Errors
    ///
    /// If the server refuses, or the connection fails.
    pub async fn subscribe_to_all_partitions(
        &mut self,
        sequence: Option<u64>,
    ) -> Result<Subscription, ClientError> {
        let from = sequence.map_or(FollowFrom::Latest, FollowFrom::At);
        let partitions = PartitionSet::All;
        self.epsub(EPSub { partitions, from, window: None, push: PushKind::Event }).await
    }

    /// Follows streams. The frames are this crate's business, so `push` is set; the window is at most
    /// [`SUBSCRIPTION_WINDOW`], which is also taken if there is none.
    ///
    /// # Errors
    ///
    /// If the server refuses, or the connection fails.
    pub async fn esub(&mut self, request: ESub) -> Result<Subscription, ClientError> {
        let window = bounded(request.window);
        let request = ESub { window: Some(window), push: PushKind::Event, ..request };
        self.subscribe(Command::ESub(request), window).await
    }

    /// Follows partitions; as [`SubscriptionManager::esub`].
    ///
    /// # Errors
    ///
    /// If the server refuses, or the connection fails.
    pub async fn epsub(&mut self, request: EPSub) -> Result<Subscription, ClientError> {
        let window = bounded(request.window);
        let request = EPSub { window: Some(window), push: PushKind::Event, ..request };
        self.subscribe(Command::EPSub(request), window).await
    }

    async fn subscribe(
        &mut self,
        command: Command,
        window: NonZeroU32,
    ) -> Result<Subscription, ClientError> {
        let reply = run(&mut self.connection, command).await?;
        let id = reply.uuid()?;
        let frames = self
            .routes
            .claim(id)
            .ok_or_else(|| reply.unexpected("a subscription id of its own"))?;
        Ok(Subscription {
            id,
            window,
            frames,
            connection: self.connection.clone(),
            routes: self.routes.clone(),
            handed_out: None,
            unacknowledged: 0,
            is_over: false,
        })
    }
}

impl Subscription {
    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Waits for the next event. Asking for it acknowledges those before it. `None` once it is over.
    ///
    /// # Errors
    ///
    /// [`ClientError::Ended`] or [`ClientError::Disconnected`], once; to resume, subscribe again from behind the last
    /// event of each source. Otherwise if an acknowledgement fails.
    pub async fn next_message(&mut self) -> Result<Option<SierraMessage>, ClientError> {
        if self.is_over {
            return Ok(None);
        }
        if self.unacknowledged >= self.window.get().div_ceil(2) {
            self.acknowledge().await?;
        }
        match self.frames.recv().await {
            Some(Frame::Event { subscription_id, cursor, event }) => {
                self.handed_out = Some(cursor);
                self.unacknowledged += 1;
                Ok(Some(SierraMessage { subscription_id, cursor, event: *event }))
            }
            Some(Frame::Ended { subscription_id, next_cursor, code, text, .. }) => {
                self.finish();
                Err(ClientError::Ended { subscription_id, next_cursor, code, text })
            }
            Some(Frame::Subscribed { .. }) | None => {
                self.finish();
                Err(ClientError::Disconnected { subscription_id: self.id })
            }
        }
    }

    /// Acknowledges all events handed out so far, without waiting for half a window of them.
    ///
    /// # Errors
    ///
    /// If the server refuses, or the connection fails.
    pub async fn acknowledge(&mut self) -> Result<(), ClientError> {
        let Some(cursor) = self.handed_out else { return Ok(()) };
        let acknowledge = EAck { subscription_id: self.id, cursor };
        run(&mut self.connection, Command::EAck(acknowledge)).await?;
        self.unacknowledged = 0;
        Ok(())
    }

    /// Ends it. Events not handed out yet are dropped.
    ///
    /// # Errors
    ///
    /// If the server refuses, or the connection fails.
    pub async fn unsubscribe(mut self) -> Result<(), ClientError> {
        if self.is_over {
            return Ok(());
        }
        let end = Command::EUnsub(EUnsub { subscription_id: self.id });
        run(&mut self.connection, end).await?;
        // The server sends nothing behind its reply, so the id can be forgotten.
        self.finish();
        Ok(())
    }

    fn finish(&mut self) {
        self.is_over = true;
        self.routes.remove(self.id);
    }
}

impl std::fmt::Debug for SubscriptionManager {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SubscriptionManager").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Subscription");
        shown.field("id", &self.id).field("handed_out", &self.handed_out).finish_non_exhaustive()
    }
}

fn bounded(window: Option<NonZeroU32>) -> NonZeroU32 {
    window.unwrap_or(SUBSCRIPTION_WINDOW).min(SUBSCRIPTION_WINDOW)
}

async fn run(
    connection: &mut MultiplexedConnection,
    command: Command,
) -> Result<Value, ClientError> {
    match convert::value(connection.send_packed_command(&convert::packed(&command)).await?)? {
        Value::Error { code, text } => Err(ClientError::Refused { code, text }),
        reply => Ok(reply),
    }
}
