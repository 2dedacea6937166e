//! A hash map that is walked in the order of insertion and hashes with a given key.

use foldhash::quality::FixedState;
use indexmap::IndexMap;

/// Hash map with the order of insertion; use it where `std`'s map would bring an order nobody can repeat.
pub type Map<K, V> = IndexMap<K, V, FixedState>;

/// An empty map whose hashes depend on `key`.
pub fn map<K, V>(key: u64) -> Map<K, V> {
    IndexMap::with_hasher(FixedState::with_seed(key))
}
