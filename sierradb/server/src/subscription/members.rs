//! The subscriptions of one connection.

use std::collections::BTreeMap;
use std::sync::Arc;

use sierradb_net::Dialect;
use sierradb_protocol::Refusal;
use uuid::Uuid;

use crate::subscription::member::{Lane, Member};

/// By id; those that ended by themselves are forgotten when next asked.
#[derive(Debug)]
pub(crate) struct Members {
    by_id: BTreeMap<Uuid, Arc<Member>>,
    lane: Arc<Lane>,
}

impl Members {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { by_id: BTreeMap::new(), lane: Arc::new(Lane::new(dialect)) }
    }

    /// What they share.
    pub(crate) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// How many there are.
    pub(crate) fn count(&mut self) -> usize {
        self.by_id.retain(|_, member| !member.is_over());
        self.by_id.len()
    }

    /// Enters one.
    pub(crate) fn enter(&mut self, member: Arc<Member>) {
        self.by_id.insert(member.id, member);
    }

    /// EACK.
    pub(crate) fn acknowledge(&self, id: Uuid, cursor: u64) -> Result<(), Refusal> {
        let member = self.by_id.get(&id).filter(|member| !member.is_over());
        let member = member.ok_or(Refusal::NoSuchSubscription)?;
        member.acknowledge(cursor)
    }

    /// Ends one without a frame, and forgets its waiting ones.
    pub(crate) fn end(&mut self, id: Uuid) -> Result<(), Refusal> {
        let member = self.by_id.remove(&id).filter(|member| !member.is_over());
        let member = member.ok_or(Refusal::NoSuchSubscription)?;
        discard(&member);
        Ok(())
    }

    /// Ends all without a frame.
    pub(crate) fn end_all(&mut self) {
        std::mem::take(&mut self.by_id).values().for_each(discard);
    }

    /// Has all of them end with an `end` frame behind what waits.
    pub(crate) fn announce_end(&self) {
        self.by_id.values().for_each(|member| member.ends.cancel());
    }
}

/// Its task notices that nobody takes its frames, wherever it waits.
fn discard(member: &Arc<Member>) {
    member.set_over();
    member.sender.close();
    member.ends.cancel();
}
