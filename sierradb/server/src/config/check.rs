//! Validates values and their relations, and makes the plain structs each part of the server takes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::keys::{self, Kind, SEGMENT_SIZE_BYTES};
use crate::config::load::{ConfigError, Loaded};
use crate::config::value::{Origin, Setting, Value};

/// Everything `run` needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Data directory.
    pub dir: PathBuf,
    /// Log filter.
    pub log: String,
    /// Where clients connect.
    pub network: NetworkConfig,
    /// The store.
    pub database: sierradb::DatabaseOptions,
    /// Threads for reads that miss the page cache.
    pub read_threads: usize,
    /// Threads that serve connections; a single one writes and syncs between requests.
    pub serve_threads: usize,
    /// Appends that expect `any` or `exists` are refused.
    pub strict_versioning: bool,
    /// Password of user `default`.
    pub password: Option<String>,
    /// For replies: name of the configuration file, empty if none.
    pub config_file: String,
    /// For replies: every key with the value in force, without secrets, sorted by name.
    pub shown: BTreeMap<&'static str, String>,
    /// For replies: number of this process; 0 where there is none.
    pub process_id: u32,
    /// Lines to log at level WARN once logging works.
    pub warnings: Vec<String>,
}

/// Limits and address of the client port.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// As configured: `host:port`.
    pub client_address: String,
    /// The part before the colon, without brackets.
    pub client_host: String,
    /// The part behind it; 0 takes any free port.
    pub client_port: u16,
    /// Every connection begins in RESP3 instead of RESP2.
    pub default_resp3: bool,
    /// Connections at a time.
    pub max_clients: usize,
    /// Largest request in bytes.
    pub max_request_bytes: usize,
    /// Event data in one scan reply.
    pub reply_max_bytes: usize,
}

/// What the machine contributes to defaults.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    /// Data directory to use when none is configured.
    pub default_dir: Option<PathBuf>,
    /// Number of this process.
    pub process_id: u32,
    /// Processors that this process may use; 0 if unknown.
    pub cores: u64,
}

/// Up to so many processors, one thread does everything between clients and disk: with more threads they would only
/// wait for each other.
const ONE_THREAD_CORES: u64 = 2;

/// Largest transaction unless configured, lowered to a quarter of a segment.
const DEFAULT_MAX_TRANSACTION_BYTES: u64 = 16_777_216;

/// Checks `loaded` as a whole.
///
/// # Errors
/// [`ConfigError`] with the text of `config error: …`.
pub fn check(loaded: Loaded, machine: &Machine) -> Result<Config, ConfigError> {
    let mut settings = Settings { map: loaded.settings };
    let mut warnings = loaded.warnings;
    check_nodes(&mut settings, loaded.node_entries, &mut warnings)?;
    check_sizes(&mut settings)?;
    let threads = if machine.cores <= ONE_THREAD_CORES { 1 } else { machine.cores };
    settings.default("threads.serve", Value::Number(threads));
    let dir = match (settings.text("dir"), &machine.default_dir) {
        (Some(dir), _) if dir.is_empty() => return fail("dir must not be empty".to_owned()),
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(dir)) => dir.clone(),
        (None, None) => return fail("dir is not set and there is no home directory".to_owned()),
    };
    settings.default("dir", Value::Text(dir.display().to_string()));
    let network = check_network(&settings)?;
    let database = database(&settings)?;
    database.validate().map_err(|err| ConfigError(err.to_string()))?;
    Ok(Config {
        dir,
        log: settings.text("log").unwrap_or_default(),
        network,
        database,
        read_threads: to_usize(settings.number("threads.read")),
        serve_threads: to_usize(settings.number("threads.serve")),
        strict_versioning: settings.switch("append.strict_versioning"),
        password: settings.text("auth.password").filter(|password| !password.is_empty()),
        config_file: loaded.config_file.unwrap_or_default(),
        shown: settings.shown(),
        process_id: machine.process_id,
        warnings,
    })
}

/// Nodes, replicas and links. This version runs one node; anything that needs a second one is refused.
fn check_nodes(
    settings: &mut Settings,
    entries: u64,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    settings.default("node.count", Value::Number(entries.max(1)));
    let count = settings.number("node.count");
    if count > 1 && settings.text("node.index").is_none() {
        return fail(
            "node.index is required when node.count > 1 (use --node-index or set it in the config file)"
                .to_owned(),
        );
    }
    settings.default("node.index", Value::Number(0));
    let index = settings.number("node.index");
    if index >= count {
        return fail(format!("node index {index} is out of bounds for count {count}"));
    }
    let seeds = settings.list("cluster.seeds");
    settings.default("network.mdns", Value::Switch(count > 1 && seeds.is_empty()));
    for seed in &seeds {
        if !seed.starts_with('/') {
            return fail(format!("invalid seed address: {seed}"));
        }
    }
    let cluster_address = settings.text("network.cluster_address").unwrap_or_default();
    if !cluster_address.starts_with('/') {
        return fail(format!("invalid cluster address: {cluster_address}"));
    }
    if settings.text("cluster.name").is_none_or(|name| name.is_empty() || name.len() > 255) {
        return fail("cluster.name must have 1 to 255 bytes".to_owned());
    }
    if count > 1 && !settings.switch("network.cluster_enabled") {
        return fail("network.cluster_enabled = false needs node.count 1".to_owned());
    }
    if count > 1 || !seeds.is_empty() {
        return fail(format!(
            "this version runs a single node: node.count is {count} with {} seeds, expected 1 and none",
            seeds.len()
        ));
    }
    settings.default("replication.factor", Value::Number(count.min(3)));
    let factor = settings.number("replication.factor");
    if factor > count {
        warnings.push(format!(
            "replication.factor {factor} is more than node.count {count}; {count} is used"
        ));
    }
    Ok(())
}

fn check_sizes(settings: &mut Settings) -> Result<(), ConfigError> {
    let buckets = settings.number("bucket.count");
    let partitions = settings.number("partition.count");
    if partitions < buckets {
        return fail(format!("too few partitions ({partitions}) for {buckets} buckets"));
    }
    if !partitions.is_multiple_of(buckets) {
        return fail(format!(
            "partition.count {partitions} is not a multiple of bucket.count {buckets}"
        ));
    }
    let segment = settings.number("segment.size_bytes");
    let (smallest, largest) = SEGMENT_SIZE_BYTES;
    if segment < smallest {
        return fail(format!("segment size {segment} is too small (minimum: {smallest} bytes)"));
    }
    if segment > largest {
        return fail(format!("segment size {segment} is too large (maximum: {largest} bytes)"));
    }
    let quarter = segment / 4;
    let default = DEFAULT_MAX_TRANSACTION_BYTES.min(quarter);
    settings.default("append.max_transaction_bytes", Value::Number(default));
    let transaction = settings.number("append.max_transaction_bytes");
    if transaction > quarter {
        return fail(format!(
            "append.max_transaction_bytes {transaction} is more than a quarter of segment.size_bytes {segment}"
        ));
    }
    let request = settings.number("network.max_request_bytes");
    if request < transaction * 2 {
        return fail(format!(
            "network.max_request_bytes {request} is less than twice append.max_transaction_bytes {transaction}"
        ));
    }
    settings.default("threads.write", Value::Number(buckets));
    Ok(())
}

fn check_network(settings: &Settings) -> Result<NetworkConfig, ConfigError> {
    let client_address = settings.text("network.client_address").unwrap_or_default();
    let invalid = || ConfigError(format!("invalid client address: {client_address}"));
    let (host, port) = split_address(&client_address).ok_or_else(invalid)?;
    Ok(NetworkConfig {
        client_host: host.to_owned(),
        client_port: port,
        default_resp3: settings.number("network.default_protocol") == 3,
        max_clients: to_usize(settings.number("network.max_clients")),
        max_request_bytes: to_usize(settings.number("network.max_request_bytes")),
        reply_max_bytes: to_usize(settings.number("network.reply_max_bytes")),
        client_address,
    })
}

/// Host and port of `host:port` or `[v6]:port`.
fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let printable = host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    (!host.is_empty() && printable).then_some((host, port))
}

fn database(settings: &Settings) -> Result<sierradb::DatabaseOptions, ConfigError> {
    let small = |key: &str| {
        let number = settings.number(key);
        u16::try_from(number).map_err(|_| ConfigError(format!("{key} {number} is too large")))
    };
    Ok(sierradb::DatabaseOptions {
        partition_count: small("partition.count")?,
        bucket_count: small("bucket.count")?,
        segment_size_bytes: settings.number("segment.size_bytes"),
        max_transaction_bytes: Some(settings.number("append.max_transaction_bytes")),
        append_buffer_count: to_usize(settings.number("replication.buffer_size")),
        append_timeout: Duration::from_millis(settings.number("replication.buffer_timeout_ms")),
        write_threads: Some(to_usize(settings.number("threads.write"))),
        cache_capacity_bytes: settings.number("cache.capacity_bytes"),
        min_free_bytes: settings.number("storage.min_free_bytes"),
        preallocate: match settings.text("segment.preallocate").as_deref() {
            Some("reserve") => sierradb::Preallocate::Reserve,
            _ => sierradb::Preallocate::Zero,
        },
        ..sierradb::DatabaseOptions::default()
    })
}

fn fail<T>(text: String) -> Result<T, ConfigError> {
    Err(ConfigError(text))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Typed access. `load` has checked types against [`keys`]; absent values read as zero, false or empty.
struct Settings {
    map: BTreeMap<&'static str, Setting>,
}

impl Settings {
    fn default(&mut self, name: &'static str, value: Value) {
        self.map.entry(name).or_insert(Setting { value, origin: Origin::Default });
    }

    fn text(&self, name: &str) -> Option<String> {
        self.map.get(name).map(|setting| setting.value.to_string())
    }

    fn number(&self, name: &str) -> u64 {
        match self.map.get(name).map(|setting| &setting.value) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    fn switch(&self, name: &str) -> bool {
        matches!(self.map.get(name).map(|setting| &setting.value), Some(Value::Switch(true)))
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.map.get(name).map(|setting| &setting.value) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        }
    }

    fn shown(&self) -> BTreeMap<&'static str, String> {
        let open = keys::KEYS.iter().filter(|key| key.kind != Kind::Secret);
        open.map(|key| (key.name, self.text(key.name).unwrap_or_default())).collect()
    }
}

#[cfg(test)]
mod tests;
