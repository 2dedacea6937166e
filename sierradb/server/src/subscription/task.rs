//! The loop of one subscription: wait for the feed, wait for the client, read a batch, send its frames.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::future::Either;
use sierradb::{Direction, EventBatch, ReadError, ReadRange, WatchAll};
use sierradb_io::site;
use sierradb_net::{Encoder, PushClosed};
use sierradb_protocol::Refusal;
use sierradb_protocol::command::PushKind;
use sierradb_protocol::reply::{FrameEnd, write_end, write_event_frame, write_subscribed};

use crate::errors;
use crate::limits::{SUBSCRIPTION_BATCH_BYTES, SUBSCRIPTION_BATCH_EVENTS};
use crate::session::fields;
use crate::shared::Shared;
use crate::subscription::member::Member;
use crate::subscription::state::{Source, Sources, Subject};

/// Runs until the subscription ended or cannot go on. `count` is how many its connection has with it.
pub(crate) async fn follow(
    shared: Arc<Shared>,
    member: Arc<Member>,
    mut sources: Sources,
    count: u64,
) {
    let ended = tokio::select! {
        biased; // the end first: what is read after it has nobody to go to
        () = member.ends.cancelled() => Ended::ByServer(Refusal::ShuttingDown),
        ended = run(&shared, &member, &mut sources, count) => ended,
    };
    let next = member.next_cursor();
    let (end, reason) = match ended {
        Ended::Unread => return member.set_over(),
        Ended::ByServer(reason) => (FrameEnd::End, reason),
        Ended::Failed(reason) => (FrameEnd::Error, reason),
    };
    let text = reason.to_string();
    let last = encode(&member, text.len(), |sink| {
        write_end(sink, end, member.id, next, (reason.code(), &text));
    });
    if member.sender.send(last).await.is_err() {
        shared.io.mark(site!("subscription.last_frame_unread"));
    }
    member.set_over();
}

/// How a subscription came to its end.
enum Ended {
    /// Nobody reads its frames.
    Unread,
    /// By the server, for this reason.
    ByServer(Refusal),
    /// It cannot go on.
    Failed(Refusal),
}

impl From<PushClosed> for Ended {
    fn from(_: PushClosed) -> Self {
        Self::Unread
    }
}

impl From<ReadError> for Ended {
    fn from(error: ReadError) -> Self {
        Self::Failed(errors::of_read(error))
    }
}

async fn run(shared: &Shared, member: &Member, sources: &mut Sources, count: u64) -> Ended {
    match deliver(shared, member, sources, count).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    }
}

async fn deliver(
    shared: &Shared,
    member: &Member,
    sources: &mut Sources,
    count: u64,
) -> Result<std::convert::Infallible, Ended> {
    if member.kind == PushKind::Message {
        let frame = encode(member, 0, |sink| write_subscribed(sink, member.id, count));
        member.sender.send(frame).await?;
    }
    let feed = shared.database.watch_all();
    loop {
        wait_for_events(shared, sources, &feed).await?;
        while member.room() == 0 {
            member.acknowledged.notified().await;
        }
        wait_for_room(shared, member).await?;
        let _reader = member.lane.readers.acquire().await.map_err(|_closed| Ended::Unread)?;
        let watermark = |partition| feed.watermark(partition);
        let Some(source) = sources.next_behind(watermark) else { continue };
        let seen = watermark(source.partition); // before the read: what comes later is looked for later
        let batch = read(shared, member, source).await?;
        for event in &batch.events {
            let cursor = member.take_cursor();
            let frame = encode(member, event.data_len(), |sink| {
                write_event_frame(sink, member.kind, member.id, cursor, &fields(event));
            });
            shared.metrics.push_bytes.add_len(frame.len());
            member.sender.send(frame).await?;
            member.queued(cursor);
        }
        shared.metrics.events_sent.add_len(batch.events.len());
        let last = batch.events.last().map(|event| match source.subject {
            Subject::Stream(_) => event.stream_version,
            Subject::Partition => event.partition_sequence,
        });
        source.advance(last.map_or(source.next, |last| last + 1), batch.has_more, seen);
    }
}

/// Waits until the client has read enough of what was sent before.
async fn wait_for_room(shared: &Shared, member: &Member) -> Result<(), PushClosed> {
    let room = std::pin::pin!(member.sender.room());
    match futures_util::future::select(room, std::future::ready(())).await {
        Either::Left((result, _)) => result,
        Either::Right(((), room)) => {
            shared.metrics.throttled.add(1);
            room.await
        }
    }
}

async fn wait_for_events(
    shared: &Shared,
    sources: &Sources,
    feed: &WatchAll,
) -> Result<(), ReadError> {
    match sources.only() {
        Some((partition, seen)) => drop(shared.database.watch(partition)?.past(seen).await),
        None => feed.until(|feed| sources.is_behind(|partition| feed.watermark(partition))).await,
    }
    Ok(())
}

/// Frames have about so many bytes beside the data of their event.
const FRAME_OVERHEAD: usize = 512;

fn encode(member: &Member, data_len: usize, write: impl FnOnce(&mut Encoder<'_>)) -> Bytes {
    let mut frame = BytesMut::with_capacity(data_len + FRAME_OVERHEAD);
    write(&mut Encoder::new(&mut frame, member.lane.dialect()));
    frame.freeze()
}

async fn read(shared: &Shared, member: &Member, source: &Source) -> Result<EventBatch, ReadError> {
    let room = usize::try_from(member.room()).unwrap_or(usize::MAX);
    let range = ReadRange {
        start: source.next,
        end: u64::MAX,
        direction: Direction::Forward,
        max_events: room.min(SUBSCRIPTION_BATCH_EVENTS),
        max_bytes: SUBSCRIPTION_BATCH_BYTES,
    };
    match &source.subject {
        Subject::Stream(stream) => {
            shared.database.read_stream(source.partition, stream, range).await
        }
        Subject::Partition => shared.database.read_partition(source.partition, range).await,
    }
}
