//! Replies in the order of requests, whatever the order in which work ends.
//!
//! Each request takes a slot. Appends and reads of one connection are in work at the same time; a slot that ended
//! waits until all before it are written. Only the first append is polled: those behind it end with it or later, so
//! a connection wakes once for all appends of a sync.
//!
//! What may run at once keeps the replies those of running requests one after another:
//!
//! | request | waits until nothing earlier is in work that is |
//! |---|---|
//! | append to p | a read of p |
//! | read of p | an append to p |
//! | read of all partitions | an append |
//! | everything else marked so ([`Touches::Everything`]) | anything |
//!
//! Requests are started in order: one that waits holds up those behind it.
//! Invariants: `reads` names exactly the slots whose work is a read, in order; `appends` counts those that are appends.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use sierradb::{AppendError, AppendResult, PendingAppend};
use sierradb_io::{Fut, Mono};
use sierradb_net::Dialect;
use sierradb_protocol::command::Spec;
use sierradb_protocol::{PartitionId, StreamId};

use crate::errors;
use crate::limits::{MAX_ACTIVE_READS, MAX_HELD_REPLY_BYTES, MAX_REQUESTS_IN_FLIGHT};
use crate::session::Reply;

/// What a request reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touches {
    /// Nothing others could notice.
    Nothing,
    /// Writes this partition.
    Write(PartitionId),
    /// Reads this partition.
    Read(PartitionId),
    /// Reads any partition.
    ReadAny,
    /// Must be alone.
    Everything,
}

/// The work behind a reply.
pub(crate) enum Work {
    /// Done.
    Done(Reply),
    /// An append that was queued.
    Append {
        /// Its answer.
        pending: PendingAppend,
        /// Where it goes.
        partition: PartitionId,
        /// Its size by the rule of the transaction limit.
        size_bytes: usize,
        /// For EMAPPEND: the stream ids as written.
        streams: Option<Box<[StreamId]>>,
    },
    /// A read in work.
    Read {
        /// Its result.
        future: Fut<'static, Reply>,
        /// What it reads; `None` for any partition.
        partition: Option<PartitionId>,
    },
    /// A subscription whose starting points are being looked up; nothing else is in work meanwhile.
    Subscribe {
        /// [`Reply::Subscribed`], or an error.
        future: Fut<'static, Reply>,
    },
}

/// What is remembered of a request until its reply is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    /// The command; `None` for what is none.
    pub(crate) command: Option<&'static Spec>,
    /// When it was started.
    pub(crate) started: Mono,
    /// How its reply is written.
    pub(crate) dialect: Dialect,
    /// Its reply is not sent.
    pub(crate) is_muted: bool,
}

struct Slot {
    ticket: Ticket,
    work: Work,
}

/// The slots of one connection.
#[derive(Default)]
pub(crate) struct Order {
    slots: VecDeque<Slot>,
    /// Number of the first slot.
    first: u64,
    /// Numbers of slots with a read in work.
    reads: Vec<u64>,
    appends: usize,
    /// Bytes of those appends.
    append_bytes: usize,
    /// Event data in finished reads that wait for their turn.
    held_bytes: usize,
}

impl Order {
    /// No reply is due.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of the appends in work.
    pub(crate) fn append_bytes(&self) -> usize {
        self.append_bytes
    }

    /// Whether a request that touches `touches` may start now.
    pub(crate) fn admits(&self, touches: Touches) -> bool {
        if self.slots.len() >= MAX_REQUESTS_IN_FLIGHT || self.held_bytes >= MAX_HELD_REPLY_BYTES {
            return false;
        }
        match touches {
            Touches::Nothing => true,
            Touches::Write(partition) => {
                self.reads.is_empty() || !self.works().any(|work| work.reads(partition))
            }
            Touches::Read(partition) => {
                self.reads.len() < MAX_ACTIVE_READS
                    && (self.appends == 0 || !self.works().any(|work| work.writes(partition)))
            }
            Touches::ReadAny => self.reads.len() < MAX_ACTIVE_READS && self.appends == 0,
            Touches::Everything => self.slots.is_empty(),
        }
    }

    fn works(&self) -> impl Iterator<Item = &Work> {
        self.slots.iter().map(|slot| &slot.work)
    }

    /// Takes the next slot.
    pub(crate) fn push(&mut self, ticket: Ticket, work: Work) {
        let number = self.first + u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        match &work {
            Work::Done(reply) => self.held_bytes += reply.held_bytes(),
            Work::Append { size_bytes, .. } => {
                self.appends += 1;
                self.append_bytes += size_bytes;
            }
            Work::Read { .. } | Work::Subscribe { .. } => self.reads.push(number),
        }
        self.slots.push_back(Slot { ticket, work });
    }

    /// The next reply that is due, in order; `None` if it is not there yet. `context` is woken when it may be, once
    /// reads were [driven](Self::poll_reads).
    pub(crate) fn next_due(&mut self, context: &mut Context<'_>) -> Option<(Ticket, Reply)> {
        let Slot { ticket, work } = self.slots.front_mut()?;
        let ticket = *ticket;
        let reply = match work {
            Work::Append { pending, streams, size_bytes, .. } => {
                let Poll::Ready(answer) = Pin::new(pending).poll(context) else { return None };
                self.appends -= 1;
                self.append_bytes -= *size_bytes;
                reply_to_append(answer, streams.take())
            }
            Work::Read { .. } | Work::Subscribe { .. } => return None,
            Work::Done(reply) => {
                let reply = std::mem::replace(reply, Reply::OK);
                self.held_bytes = self.held_bytes.saturating_sub(reply.held_bytes());
                reply
            }
        };
        drop(self.slots.pop_front());
        self.first += 1;
        Some((ticket, reply))
    }

    /// Drives reads in work.
    pub(crate) fn poll_reads(&mut self, context: &mut Context<'_>) {
        if self.reads.is_empty() {
            return;
        }
        let (first, slots, held) = (self.first, &mut self.slots, &mut self.held_bytes);
        self.reads.retain(|number| {
            let slot = usize::try_from(number - first).ok().and_then(|at| slots.get_mut(at));
            let Some(slot) = slot else { return false };
            let (Work::Read { future, .. } | Work::Subscribe { future }) = &mut slot.work else {
                return false;
            };
            match future.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(reply) => {
                    *held += reply.held_bytes();
                    slot.work = Work::Done(reply);
                    false
                }
            }
        });
    }
}

fn reply_to_append(
    answer: Result<AppendResult, AppendError>,
    streams: Option<Box<[StreamId]>>,
) -> Reply {
    match (answer, streams) {
        (Ok(result), None) => Reply::Appended(result),
        (Ok(result), Some(streams)) => Reply::AppendedMany(result, streams),
        (Err(error), _) => errors::of_append(error).into(),
    }
}

impl Work {
    fn reads(&self, of: PartitionId) -> bool {
        matches!(self, Self::Read { partition, .. } if partition.is_none_or(|p| p == of))
    }

    fn writes(&self, to: PartitionId) -> bool {
        matches!(self, Self::Append { partition, .. } if *partition == to)
    }
}

#[cfg(test)]
mod tests;
