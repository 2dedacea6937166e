//! Layout of ids: how a UUID says which partition it belongs to. No clock and no chance in here.
//!
//! Any UUID has a partition hash: the 16 bits behind its variant bits. Ids we make are valid version 7 UUIDs that
//! carry the hash of their partition key there, so looking up an event by its id starts at the right partition:
//!
//! | bits | 127–80 | 79–76 | 75–64 | 63–62 | 61–46 | 45–0 |
//! |---|---|---|---|---|---|---|
//! | | unix milliseconds | 7 | random | `10` | partition hash | random |

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

use crate::partition::PartitionId;

/// Namespace of default partition keys: UUIDv5 of `sierradb.tqwewe.com` in the DNS namespace.
pub const NAMESPACE_PARTITION_KEY: Uuid =
    Uuid::from_u128(0x219b_d637_e279_53e9_9e2b_eabe_5d91_20cc);

const HASH_SHIFT: u32 = 46;

/// The partition hash of any UUID: its bits 46 to 61, counted from the right.
pub const fn uuid_to_partition_hash(id: Uuid) -> u16 {
    let [.., high, low] = (id.as_u128() >> HASH_SHIFT).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The partition that a hash belongs to among `count`.
///
/// # Panics
///
/// If `count` is 0, which no database has.
pub const fn partition_of(partition_hash: u16, count: u16) -> PartitionId {
    PartitionId::of_hash(partition_hash, count)
}

/// The partition key of a stream for which none is given: UUIDv5 of its id in [`NAMESPACE_PARTITION_KEY`].
pub fn default_partition_key(stream_id: &[u8]) -> Uuid {
    // Each append needs it, and `sha1` uses the processor's instructions for it, which `Uuid::new_v5` does not.
    let hash = Sha1::new_with_prefix(NAMESPACE_PARTITION_KEY.as_bytes())
        .chain_update(stream_id)
        .finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

/// A version 7 UUID with the partition hash in place.
///
/// Of `unix_ms` the low 48 bits are used, of `random_a` the low 12, of `random_b` the low 46. Take both random
/// numbers from a good source: two ids of one millisecond and partition differ in nothing else.
pub const fn uuid_v7_with_partition_hash_from(
    unix_ms: u64,
    random_a: u16,
    random_b: u64,
    partition_hash: u16,
) -> Uuid {
    // Widening casts: `From` is not const.
    let bits = ((unix_ms as u128 & 0xffff_ffff_ffff) << 80)
        | (0x7 << 76)
        | ((random_a as u128 & 0xfff) << 64)
        | (0b10 << 62)
        | ((partition_hash as u128) << HASH_SHIFT)
        | (random_b as u128 & 0x3fff_ffff_ffff);
    Uuid::from_u128(bits)
}

/// A UUID as an argument may write it: with hyphens, as 32 hex digits, in braces or as a URN, in any case, with
/// blanks around. Any version.
pub fn parse_uuid(word: &[u8]) -> Option<Uuid> {
    const URN: &[u8] = b"urn:uuid:";
    let word = word.trim_ascii();
    let digits = if let Some((prefix, rest)) = word.split_at_checked(URN.len())
        && prefix.eq_ignore_ascii_case(URN)
    {
        rest
    } else if let [b'{', inner @ .., b'}'] = word {
        inner
    } else {
        word
    };
    match digits.len() {
        32 | 36 => Uuid::try_parse_ascii(digits).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_default_key_is_the_version_5_uuid_of_its_stream(id in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(default_partition_key(&id), Uuid::new_v5(&NAMESPACE_PARTITION_KEY, &id));
        }
    }

    #[test]
    fn the_namespace_comes_from_its_name() {
        let name = b"sierradb.tqwewe.com";
        assert_eq!(Uuid::new_v5(&Uuid::NAMESPACE_DNS, name), NAMESPACE_PARTITION_KEY);
    }

    #[test]
    fn streams_route_as_the_contract_lists() {
        let rows = [
            ("user-1", "e7a265f9-46bb-55fc-945c-3571e2aaa17e", 20848, 16),
            ("user-123", "7e124fe8-fe28-5398-bb95-53973100148f", 61013, 21),
            ("user-2", "9f6b507b-66d7-5d04-8ddd-a5b41a9a6837", 14198, 22),
            ("user-3", "34340c36-e44e-588f-9184-114fa058fab8", 17936, 16),
            ("orders", "4a5bf0d6-7d0e-50b2-b05f-ea5a8c8b597f", 49535, 31),
            ("my-stream", "fa3e31cd-2f38-5aee-bb91-8bc6fbf950a3", 60998, 6),
            ("s1", "7c529de9-ad5a-5e7e-b6eb-202b61a5f7c5", 56236, 12),
            ("é", "af439dc8-3904-5687-b16c-39a99727406e", 50608, 16),
        ];
        for (stream, key, hash, partition) in rows {
            let actual = default_partition_key(stream.as_bytes());
            assert_eq!(actual.to_string(), key, "{stream}");
            assert_eq!(uuid_to_partition_hash(actual), hash, "{stream}");
            assert_eq!(partition_of(hash, 32), PartitionId::new(partition), "{stream}");
        }
    }

    #[test]
    fn keys_hash_as_the_contract_lists() {
        let hash = |key: &str| uuid_to_partition_hash(Uuid::parse_str(key).unwrap());
        assert_eq!(hash("550e8400-e29b-41d4-a716-446655440000"), 40025);
        assert_eq!(hash("ffffffff-ffff-ffff-ffff-ffffffffffff"), 65535);
    }

    #[test]
    fn a_made_id_looks_as_the_contract_shows() {
        let id =
            uuid_v7_with_partition_hash_from(1_729_247_400_000, 0x1a2, 0x0a1b_2c3d_4e5f, 61013);
        assert_eq!(id.to_string(), "01929f2d-5040-71a2-bb95-4a1b2c3d4e5f");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_made_id_is_a_valid_v7_and_carries_its_hash(ms: u64, a: u16, b: u64, hash: u16) {
            let id = uuid_v7_with_partition_hash_from(ms, a, b, hash);
            prop_assert_eq!(id.get_version_num(), 7);
            prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(uuid_to_partition_hash(id), hash);
            prop_assert_eq!(id.as_u128() >> 80, u128::from(ms & 0xffff_ffff_ffff));
        }

        #[test]
        fn every_spelling_of_a_uuid_is_read(bits: u128) {
            let id = Uuid::from_u128(bits);
            let spellings = [
                id.to_string(),
                format!(" {}\t", id.simple()),
                format!("{{{}}}", id.hyphenated()),
                format!("{}", id.urn()),
                id.hyphenated().to_string().to_uppercase(),
                id.urn().to_string().to_uppercase(),
                format!("{{{}}}", id.simple()),
            ];
            for spelling in spellings {
                prop_assert_eq!(parse_uuid(spelling.as_bytes()), Some(id), "{}", spelling);
            }
        }

        #[test]
        fn any_bytes_are_a_uuid_or_none(word: Vec<u8>) {
            prop_assert_eq!(parse_uuid(&word).is_some(), false);
        }
    }

    #[test]
    fn near_uuids_are_refused() {
        let words = ["", "bad", "{}", "urn:uuid:", "550e8400-e29b-41d4-a716-44665544000"];
        for word in words {
            assert_eq!(parse_uuid(word.as_bytes()), None, "{word}");
        }
        assert_eq!(parse_uuid(b"{550e8400-e29b-41d4-a716-446655440000"), None);
    }
}
