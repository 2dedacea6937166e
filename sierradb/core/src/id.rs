//! Identifiers: the rules are the protocol's; here they are bound to this machine's clock and random source.

pub use sierradb_protocol::id::{NAMESPACE_PARTITION_KEY, uuid_to_partition_hash};
use sierradb_io::Io;
use uuid::Uuid;

/// A new version 7 UUID that carries `partition_hash`, from this machine's clock and randomness.
pub fn uuid_v7_with_partition_hash(partition_hash: u16) -> Uuid {
    uuid_v7_with_partition_hash_in(&Io::os_ambient(), partition_hash)
}

/// The same from a given world. Random bits come from the world's secret source, so nobody can guess an id.
pub fn uuid_v7_with_partition_hash_in(io: &Io, partition_hash: u16) -> Uuid {
    let mut random = [0u8; 8];
    io.entropy().fill_secret(&mut random);
    let random = u64::from_le_bytes(random);
    sierradb_protocol::id::uuid_v7_with_partition_hash_from(io.clock().wall().0, random, partition_hash)
}
