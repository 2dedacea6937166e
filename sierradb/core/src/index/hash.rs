//! The hashes under which events, idempotency keys and streams are looked up.
//!
//! xxh3 with the database's secret seed, so that nobody can choose ids that collide. A hash only finds candidates:
//! whatever it leads to is verified against the frame. The first byte keeps ids and keys apart, which share the
//! E section of an `.idx` file.

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Domain of event ids.
const EVENT_ID: u8 = 1;
/// Domain of idempotency keys.
const IDEMPOTENCY_KEY: u8 = 2;
/// Longest input hashed without an allocation: tag, partition, and a key or stream id of 255 bytes.
const STACK_LEN: usize = 1 + 2 + 255;
/// Most inputs are no longer than this: less to clear.
const SHORT_LEN: usize = 64;

/// Hash of an event id: `xxh3_64(seed, 1 ‖ id)`. The frame tells the partition.
pub(crate) fn event_id_hash(seed: u64, id: &Uuid) -> u64 {
    let mut tagged = [EVENT_ID; 1 + size_of::<Uuid>()];
    if let Some(rest) = tagged.last_chunk_mut() {
        *rest = *id.as_bytes();
    }
    xxh3_64_with_seed(&tagged, seed)
}

/// Hash of an idempotency key, which is unique in its partition: `xxh3_64(seed, 2 ‖ partition ‖ key)`.
pub(crate) fn idempotency_hash(seed: u64, partition: u16, key: &[u8]) -> u64 {
    joined(seed, &[&[IDEMPOTENCY_KEY], &partition.to_le_bytes(), key])
}

/// Hash of a stream, which is the pair of partition and stream id: `xxh3_64(seed, partition ‖ id)`.
pub(crate) fn stream_hash(seed: u64, partition: u16, stream_id: &[u8]) -> u64 {
    joined(seed, &[&partition.to_le_bytes(), stream_id])
}

/// Hashes the parts as if they lay one after another. Short inputs are joined on the stack: the streaming form of
/// xxh3 costs several times as much for them.
fn joined(seed: u64, parts: &[&[u8]]) -> u64 {
    let hash = joined_within::<SHORT_LEN>(seed, parts);
    let hash = hash.or_else(|| joined_within::<STACK_LEN>(seed, parts));
    hash.unwrap_or_else(|| xxh3_64_with_seed(&parts.concat(), seed))
}

/// `None` if the parts are longer than `LEN` together.
fn joined_within<const LEN: usize>(seed: u64, parts: &[&[u8]]) -> Option<u64> {
    let mut buffer = [0; LEN];
    let mut free = buffer.as_mut_slice();
    for part in parts {
        let (head, tail) = free.split_at_mut_checked(part.len())?;
        head.copy_from_slice(part);
        free = tail;
    }
    let used = LEN - free.len();
    buffer.get(..used).map(|joined| xxh3_64_with_seed(joined, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        assert_eq!(
            event_id_hash(7, &id),
            xxh3_64_with_seed(&[&[1], id.as_bytes().as_slice()].concat(), 7)
        );
        let pinned = [
            event_id_hash(7, &id),
            idempotency_hash(7, 300, b"key"),
            stream_hash(7, 300, b"user-1"),
        ];
        assert_eq!(pinned, PINNED, "files of older releases were built with these");
    }

    #[test]
    fn seed_domain_and_partition_all_count() {
        let id = Uuid::from_u128(1);
        assert_ne!(event_id_hash(0, &id), event_id_hash(1, &id));
        assert_ne!(stream_hash(0, 1, b"a"), stream_hash(0, 2, b"a"));
        assert_ne!(idempotency_hash(0, 1, b"a"), stream_hash(0, 1, b"a"));
    }

    #[test]
    fn an_input_of_any_length_hashes_as_one() {
        for len in [0, 1, SHORT_LEN - 3, SHORT_LEN - 2, STACK_LEN - 3, STACK_LEN - 2, 1_000] {
            let key = vec![3; len];
            let whole = [&[2, 44, 1], key.as_slice()].concat();
            assert_eq!(idempotency_hash(9, 300, &key), xxh3_64_with_seed(&whole, 9), "{len}");
        }
    }

    const PINNED: [u64; 3] = [3168585647173502139, 7176774924366829530, 15162565759704507558];
}
