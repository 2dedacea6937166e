//! Identifiers: the rules are the protocol's; here they are bound to this machine's clock and random source.

use bytes::Buf;
use sierradb_io::Io;
pub use sierradb_protocol::id::{NAMESPACE_PARTITION_KEY, uuid_to_partition_hash};
use uuid::Uuid;

/// A new version 7 UUID that carries `partition_hash`, from this machine's clock and randomness.
pub fn uuid_v7_with_partition_hash(partition_hash: u16) -> Uuid {
    uuid_v7_with_partition_hash_in(&Io::os(), partition_hash)
}

/// The same from a given world. Random bits come from the world's secret source, so nobody can guess an id.
pub fn uuid_v7_with_partition_hash_in(io: &Io, partition_hash: u16) -> Uuid {
    let mut random = [0u8; 10];
    io.entropy().fill_secret(&mut random);
    let (mut low, mut high) = random.split_at(8);
    let (random_b, random_a) = (low.get_u64_le(), high.get_u16_le());
    let now_ms = io.clock().wall().0;
    sierradb_protocol::id::uuid_v7_with_partition_hash_from(
        now_ms,
        random_a,
        random_b,
        partition_hash,
    )
}
