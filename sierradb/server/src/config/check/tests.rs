use super::*;
use crate::config::load::{ConfigFile, Sources, load};

const README_SAMPLE: &str = r#"
[bucket]
count = 4                    # Number of buckets
[partition]
count = 32                   # Number of partitions
[segment]
size_bytes = 268435456       # Segment size in bytes
[replication]
factor = 3                   # Data replication factor
buffer_size = 1000           # Replication buffer size
buffer_timeout_ms = 8000     # Buffer timeout
[network]
client_address = "0.0.0.0:9090"           # Client connection address
cluster_address = "/ip4/0.0.0.0/tcp/0"   # Inter-node communication
[threads]
read = 8                     # Read thread pool size
write = 4                    # Write thread pool size
"#;

fn checked(text: &str) -> Result<Config, String> {
    let file = ConfigFile { name: "t.toml".to_owned(), text: format!("dir = './data'\n{text}") };
    let loaded = load(&Sources { file: Some(file), ..Sources::default() }).map_err(|e| e.0)?;
    check(loaded, &Machine::default()).map_err(|e| e.0)
}

fn error(text: &str) -> String {
    checked(text).unwrap_err()
}

#[test]
fn the_sample_of_the_readme_starts_on_one_node() {
    let config = checked(README_SAMPLE).unwrap();
    assert_eq!(config.warnings, ["replication.factor 3 is more than node.count 1; 1 is used"]);
    assert_eq!(config.network.client_port, 9090);
    assert_eq!(config.database.partition_count, 32);
    assert_eq!(config.read_threads, 8);
}

#[test]
fn relations_that_do_not_hold_have_their_exact_texts() {
    for (text, expected) in [
        ("bucket.count = 64", "too few partitions (32) for 64 buckets"),
        ("partition.count = 33", "partition.count 33 is not a multiple of bucket.count 4"),
        ("segment.size_bytes = 1000", "segment size 1000 is too small (minimum: 131072 bytes)"),
        ("network.client_address = 'nonsense'", "invalid client address: nonsense"),
        ("network.client_address = ':9090'", "invalid client address: :9090"),
        ("network.client_address = 'h:99999'", "invalid client address: h:99999"),
        ("node.count = 3\nnode.index = 3", "node index 3 is out of bounds for count 3"),
        (
            "node.count = 3",
            "node.index is required when node.count > 1 (use --node-index or set it in the config file)",
        ),
        (
            "node.count = 3\nnode.index = 0",
            "this version runs a single node: node.count is 3 with 0 seeds, expected 1 and none",
        ),
        (
            "append.max_transaction_bytes = 67108865",
            "append.max_transaction_bytes 67108865 is more than a quarter of segment.size_bytes 268435456",
        ),
        (
            "network.max_request_bytes = 1048576",
            "network.max_request_bytes 1048576 is less than twice append.max_transaction_bytes 16777216",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn the_transaction_limit_is_lowered_to_fit_small_segments() {
    let config = checked("segment.size_bytes = 131072").unwrap();
    assert_eq!(config.database.max_transaction_bytes, Some(32_768));
}

#[test]
fn addresses_may_be_names_and_bracketed_v6() {
    assert_eq!(split_address("[::1]:9090"), Some(("::1", 9090)));
    assert_eq!(split_address("localhost:0"), Some(("localhost", 0)));
    assert_eq!(split_address("::1:9090"), None);
    assert_eq!(split_address("a b:1"), None);
}

#[test]
fn secrets_are_kept_out_of_what_is_shown() {
    let environment = vec![
        ("SIERRA_AUTH_PASSWORD".to_owned(), "hush".to_owned()),
        ("SIERRA_DIR".to_owned(), "d".to_owned()),
    ];
    let loaded = load(&Sources { environment, ..Sources::default() }).unwrap();
    let config = check(loaded, &Machine::default()).unwrap();
    assert_eq!(config.password.as_deref(), Some("hush"));
    assert!(!config.shown.contains_key("auth.password"));
    assert!(config.shown.values().all(|value| value != "hush"));
    assert_eq!(config.shown["threads.write"], "4");
}

#[test]
fn one_thread_does_everything_where_cores_are_few_or_unknown() {
    let serve_threads = |cores, more: &str| {
        let text = format!("dir = './data'\n{more}");
        let file = ConfigFile { name: "t.toml".to_owned(), text };
        let loaded = load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
        check(loaded, &Machine { cores, ..Machine::default() }).unwrap().serve_threads
    };
    assert_eq!([0, 1, 2, 3, 16].map(|cores| serve_threads(cores, "")), [1, 1, 1, 3, 16]);
    assert_eq!(serve_threads(16, "threads.serve = 1"), 1);
}
