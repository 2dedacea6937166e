//! Every configuration key: its type, default, range and a line of help. The only home of these facts.

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that no reply and no log may show.
    Secret,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A whole number within these inclusive limits.
    Number {
        /// Smallest accepted value.
        min: u64,
        /// Largest accepted value.
        max: u64,
    },
    /// `true` or `false`.
    Switch,
    /// A list of texts; in the environment separated by commas.
    List,
}

/// One configuration key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted name, as in `network.client_address`.
    pub name: &'static str,
    /// Type and limits.
    pub kind: Kind,
    /// Default as it would be written; `None` where it is computed or absent.
    pub default: Option<&'static str>,
    /// One line for people.
    pub help: &'static str,
}

const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    help: &'static str,
) -> Key {
    Key { name, kind, default, help }
}

const fn number(min: u64, max: u64) -> Kind {
    Kind::Number { min, max }
}

const fn at_least(min: u64) -> Kind {
    number(min, i64::MAX.unsigned_abs())
}

/// Smallest and largest segment in bytes.
pub const SEGMENT_SIZE_BYTES: (u64, u64) = (131_072, 10_737_418_240);

/// Every key this version knows, sorted by name.
pub const KEYS: &[Key] = &[
    key(
        "append.max_transaction_bytes",
        at_least(1024),
        None,
        "largest transaction; at most segment.size_bytes / 4 (16777216, lowered to fit)",
    ),
    key(
        "append.strict_versioning",
        Kind::Switch,
        Some("false"),
        "refuse appends that expect any or exists",
    ),
    key("auth.password", Kind::Secret, None, "password of user default; environment or file only"),
    key("bucket.count", number(1, 65_535), Some("4"), "logs on disk; fixed at the first start"),
    key("cache.capacity_bytes", at_least(0), Some("268435456"), "block cache for reads"),
    key("cluster.name", Kind::Text, Some("sierradb"), "nodes of another name are refused"),
    key("cluster.seeds", Kind::List, Some(""), "addresses of other nodes"),
    key("dir", Kind::Text, None, "data directory"),
    key("log", Kind::Text, Some("info"), "log filter, as info or sierradb=debug,warn"),
    key(
        "network.client_address",
        Kind::Text,
        Some("0.0.0.0:9090"),
        "host and port clients connect to",
    ),
    key(
        "network.cluster_address",
        Kind::Text,
        Some("/ip4/0.0.0.0/tcp/0"),
        "multiaddr other nodes connect to",
    ),
    key("network.cluster_enabled", Kind::Switch, Some("true"), "listen for other nodes at all"),
    key("network.default_protocol", number(2, 3), Some("2"), "RESP version before HELLO"),
    key("network.max_clients", number(1, 1_000_000), Some("10000"), "connections at a time"),
    key(
        "network.max_request_bytes",
        number(1024, 1_073_741_824),
        Some("67108864"),
        "largest request; at least 2 x append.max_transaction_bytes",
    ),
    key("network.mdns", Kind::Switch, None, "look for other nodes in the local network"),
    key(
        "network.reply_max_bytes",
        number(1, 1_073_741_824),
        Some("16777216"),
        "event data in one scan reply",
    ),
    key("node.count", number(1, 65_535), None, "nodes of the cluster (entries of [[nodes]], or 1)"),
    key("node.index", number(0, 65_534), None, "which of them this is, from 0"),
    key("partition.count", number(1, 65_535), Some("32"), "partitions; fixed at the first start"),
    key(
        "replication.buffer_size",
        number(1, 1_000_000),
        Some("1000"),
        "appends in flight per bucket",
    ),
    key(
        "replication.buffer_timeout_ms",
        number(1, 3_600_000),
        Some("8000"),
        "longest wait for a place, a leader, a commit",
    ),
    key("replication.factor", number(1, 65_535), None, "copies of each event (min(node.count, 3))"),
    key(
        "segment.preallocate",
        Kind::Word(&["zero", "reserve"]),
        Some("zero"),
        "make space ready ahead by writing zeros (faster syncs), or only reserve it",
    ),
    key("segment.size_bytes", at_least(0), Some("268435456"), "size at which a segment is sealed"),
    key("storage.min_free_bytes", at_least(0), Some("67108864"), "refuse appends below this"),
    key("threads.read", number(1, 1024), Some("8"), "threads for reads that miss the page cache"),
    key(
        "threads.serve",
        number(1, 1024),
        None,
        "threads that serve connections; with 1 it also writes and syncs (1 with up to 2 cores)",
    ),
    key("threads.write", number(1, 65_535), None, "threads that write and sync (bucket.count)"),
];

/// Keys of older versions: accepted, without effect, with a warning.
pub const COMPATIBILITY_KEYS: &[&str] = &[
    "bucket.ids",
    "heartbeat.interval_ms",
    "heartbeat.timeout_ms",
    "partition.ids",
    "replication.catchup_timeout_ms",
    "segment.compression",
    "sync.idle_interval_ms",
    "sync.interval_ms",
    "sync.max_batch_size",
    "sync.min_bytes",
];

/// The key called `name`.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().and_then(|at| KEYS.get(at))
}

/// Whether `name` is accepted for old files only.
pub fn is_compatibility(name: &str) -> bool {
    COMPATIBILITY_KEYS.contains(&name)
}

/// Whether some key lives in the section called `section`.
pub fn is_section(section: &str) -> bool {
    let names = KEYS.iter().map(|key| key.name).chain(COMPATIBILITY_KEYS.iter().copied());
    names.filter_map(|name| name.split_once('.')).any(|(first, _)| first == section)
}

/// The known key most like `name`, if one is close.
pub fn nearest(name: &str) -> Option<&'static str> {
    KEYS.iter()
        .map(|key| (strsim::damerau_levenshtein(key.name, name), key.name))
        .min()
        .filter(|&(distance, known)| distance * 3 <= known.len().max(name.len()))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_so_that_find_finds_each() {
        for key in KEYS {
            assert_eq!(find(key.name).map(|found| found.name), Some(key.name));
        }
        assert!(find("nothing.such").is_none());
        assert!(COMPATIBILITY_KEYS.is_sorted());
    }

    #[test]
    fn a_misspelt_key_gets_its_nearest_neighbour() {
        assert_eq!(nearest("network.client_adress"), Some("network.client_address"));
        assert_eq!(nearest("bucket.cuont"), Some("bucket.count"));
        assert_eq!(nearest("entirely different words"), None);
    }

    #[test]
    fn sections_are_those_of_the_keys() {
        assert!(is_section("network") && is_section("sync"));
        assert!(!is_section("port") && !is_section("dir"));
    }
}
