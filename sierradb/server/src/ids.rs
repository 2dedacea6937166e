//! Random identifiers of one connection, from its own stream of randomness.

use sierradb_io::{Io, Prng};
use sierradb_protocol::id;
use uuid::Uuid;

/// Makes ids. Each connection has its own, so nobody shares a lock.
#[derive(Debug)]
pub(crate) struct Ids {
    events: Prng,
    subscriptions: Prng,
}

impl Ids {
    /// The ids of connection number `connection`.
    pub(crate) fn new(io: &Io, connection: u64) -> Self {
        Self {
            events: io.entropy().stream("server.event_id", connection),
            subscriptions: io.entropy().stream("server.subscription_id", connection),
        }
    }

    /// A version 7 id of `unix_ms` that carries `partition_hash`.
    pub(crate) fn event_id(&mut self, unix_ms: u64, partition_hash: u16) -> Uuid {
        let (high, low) = (self.events.next_u64(), self.events.next_u64());
        let [first, second, ..] = high.to_be_bytes();
        let random_a = u16::from_be_bytes([first, second]);
        id::uuid_v7_with_partition_hash_from(unix_ms, random_a, low, partition_hash)
    }

    /// A random version 4 id.
    pub(crate) fn subscription_id(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.subscriptions.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}
