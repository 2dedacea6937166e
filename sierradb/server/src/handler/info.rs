//! INFO: the state of the server as text.

use std::sync::Arc;

use bytes::Bytes;
use sierradb::{DamagedPlace, Stats};
use sierradb_io::Mono;
use sierradb_protocol::reply::{InfoSelection, InfoText};

use crate::handler::Caller;
use crate::host::{self, Usage};
use crate::limits::INFO_DAMAGED_PLACES;
use crate::session::{Reply, Work};
use crate::shared::Shared;

/// The level of Redis whose conventions we follow; clients decide by it.
const REDIS_VERSION: &str = "7.4.0";

/// Sections in their order.
const SECTIONS: [&str; 17] = [
    "Server",
    "Clients",
    "Memory",
    "Persistence",
    "Stats",
    "Replication",
    "CPU",
    "Commandstats",
    "Latencystats",
    "Errorstats",
    "Cluster",
    "Keyspace",
    "Partitions",
    "Segments",
    "Subscriptions",
    "Consensus",
    "Cache",
];

/// INFO with the sections asked for.
pub(crate) fn info(caller: &Caller<'_>, sections: &[Bytes]) -> Work {
    let asked = InfoSelection::of(sections);
    let (shared, now) = (Arc::clone(caller.shared), caller.now);
    let future = async move {
        let usage = host::usage(&shared.io).await;
        let stats = shared.database.stats();
        let report = Report { shared: &shared, now, usage, stats };
        Reply::bulk(report.text(&asked))
    };
    Work::Read { future: Box::pin(future), partition: None }
}

struct Report<'a> {
    shared: &'a Shared,
    now: Mono,
    usage: Usage,
    stats: Stats,
}

impl Report<'_> {
    fn text(&self, asked: &InfoSelection) -> String {
        let mut text = InfoText::default();
        for title in SECTIONS.into_iter().filter(|title| asked.includes(title)) {
            text.section(title);
            self.section(title, &mut text);
        }
        text.finish()
    }

    fn section(&self, name: &str, text: &mut InfoText) {
        match name {
            "Server" => self.server(text),
            "Clients" => self.clients(text),
            "Memory" => self.memory(text),
            "Persistence" => self.persistence(text),
            "Stats" => self.totals(text),
            "Replication" => self.replication(text),
            "CPU" => self.cpu(text),
            "Commandstats" => self.commands(text),
            "Latencystats" => self.latencies(text),
            "Errorstats" => self.errors(text),
            "Cluster" => text.line("cluster_enabled", "0"),
            "Keyspace" => {
                text.line("db0", format_args!("keys={},expires=0", self.stats.streams()));
            }
            "Partitions" => self.partitions(text),
            "Segments" => self.segments(text),
            "Subscriptions" => self.subscriptions(text),
            "Consensus" => self.consensus(text),
            _ => self.cache(text),
        }
    }

    fn server(&self, text: &mut InfoText) {
        let uptime = self.now.since(self.shared.metrics.started).as_secs();
        let config = &self.shared.config;
        text.line("redis_version", REDIS_VERSION);
        text.line("sierradb_version", env!("CARGO_PKG_VERSION"));
        text.line("redis_mode", "standalone");
        text.line("os", std::env::consts::OS);
        text.line("arch_bits", usize::BITS);
        text.line("process_id", config.process_id);
        text.line("run_id", &self.shared.run_id);
        text.line("tcp_port", self.shared.addr.port());
        text.line("uptime_in_seconds", uptime);
        text.line("uptime_in_days", uptime / 86_400);
        text.line("config_file", &config.config_file);
    }

    fn clients(&self, text: &mut InfoText) {
        let clients = &self.shared.clients;
        text.line("connected_clients", self.shared.counts.open());
        text.line("blocked_clients", "0");
        text.line("pubsub_clients", clients.subscribed_count());
        text.line("maxclients", self.shared.config.network.max_clients);
    }

    fn memory(&self, text: &mut InfoText) {
        let usage = &self.usage;
        text.line("used_memory", usage.memory_bytes);
        text.line("used_memory_rss", usage.resident_bytes);
        text.line("used_memory_peak", usage.peak_bytes);
        text.line("maxmemory", "0");
        text.line("maxmemory_policy", "noeviction");
        let ratio = thousandths(usage.resident_bytes, usage.memory_bytes);
        text.line("mem_fragmentation_ratio", ratio);
    }

    fn persistence(&self, text: &mut InfoText) {
        let has_failed = self.stats.buckets.iter().any(|bucket| bucket.refusing.is_some());
        let status = if has_failed { "err" } else { "ok" };
        text.line("loading", "0");
        text.line("async_loading", "0");
        text.line("rdb_last_bgsave_status", "ok");
        text.line("aof_enabled", "1");
        text.line("aof_last_write_status", status);
    }

    fn totals(&self, text: &mut InfoText) {
        let metrics = &self.shared.metrics;
        let errors: u64 = metrics.errors().map(|(_, count)| count).sum();
        text.line("total_connections_received", self.shared.counts.accepted());
        text.line("total_commands_processed", metrics.commands.get());
        text.line("instantaneous_ops_per_sec", metrics.per_second(self.now));
        text.line("total_net_input_bytes", metrics.input_bytes.get());
        text.line("total_net_output_bytes", metrics.output_bytes.get());
        text.line("rejected_connections", self.shared.counts.rejected());
        text.line("total_error_replies", errors);
    }

    fn replication(&self, text: &mut InfoText) {
        text.line("role", "master");
        text.line("connected_slaves", "0");
        text.line("master_replid", &self.shared.run_id);
        text.line("master_repl_offset", self.stats.events());
    }

    fn cpu(&self, text: &mut InfoText) {
        let seconds =
            |time: std::time::Duration| format!("{}.{:06}", time.as_secs(), time.subsec_micros());
        text.line("used_cpu_sys", seconds(self.usage.system_time));
        text.line("used_cpu_user", seconds(self.usage.user_time));
    }

    fn commands(&self, text: &mut InfoText) {
        for stats in self.shared.metrics.commands() {
            let (calls, micros) = (stats.calls.get(), stats.micros.get());
            let value = format_args!(
                "calls={calls},usec={micros},usec_per_call={},rejected_calls={},failed_calls={}",
                thousandths(micros, calls),
                stats.rejected.get(),
                stats.failed.get(),
            );
            text.line(&format!("cmdstat_{}", stats.name.to_ascii_lowercase()), value);
        }
    }

    fn latencies(&self, text: &mut InfoText) {
        for stats in self.shared.metrics.commands() {
            let [half, most, nearly_all] =
                [500, 990, 999].map(|permille| stats.percentile(permille));
            let name = format!("latency_percentiles_usec_{}", stats.name.to_ascii_lowercase());
            text.line(&name, format_args!("p50={half},p99={most},p99.9={nearly_all}"));
        }
    }

    fn errors(&self, text: &mut InfoText) {
        for (code, count) in self.shared.metrics.errors() {
            text.line(&format!("errorstat_{code}"), format_args!("count={count}"));
        }
    }

    fn partitions(&self, text: &mut InfoText) {
        let database = &self.shared.database;
        let partitions = database.partition_count();
        let in_flight: u64 = self.stats.buckets.iter().map(|bucket| bucket.append_in_flight).sum();
        text.line("count", partitions);
        text.line("buckets", database.bucket_count());
        text.line("led", partitions);
        text.line("held", partitions);
        text.line("events", self.stats.events());
        text.line("append_in_flight", in_flight);
        text.line("max_transaction_bytes", database.max_transaction_bytes());
    }

    fn segments(&self, text: &mut InfoText) {
        let buckets = &self.stats.buckets;
        text.line("count", buckets.iter().map(|b| b.segments).sum::<u64>());
        text.line("bytes", buckets.iter().map(|b| b.log_bytes).sum::<u64>());
        text.line("sealed", buckets.iter().map(|b| b.sealed).sum::<u64>());
        text.line("live_events", buckets.iter().map(|b| b.live_events).sum::<u64>());
        text.line("live_index_bytes", buckets.iter().map(|b| b.live_index_bytes).sum::<u64>());
        text.line("disk_free_bytes", self.stats.disk_free_bytes);
        let damaged: u64 = buckets.iter().map(|b| b.damaged_ranges).sum();
        text.line("quarantined", damaged);
        let places = (0_u16..).zip(buckets).flat_map(|(bucket_id, bucket)| {
            bucket.damaged.iter().map(move |place| (bucket_id, place))
        });
        for (nth, (bucket_id, place)) in places.take(INFO_DAMAGED_PLACES).enumerate() {
            let DamagedPlace { segment, offset, cause } = place;
            let cause = cause.replace(['\r', '\n'], " ");
            text.line(
                &format!("damaged_{nth}"),
                format_args!("bucket={bucket_id},segment={segment},offset={offset},cause={cause}"),
            );
        }
    }

    fn subscriptions(&self, text: &mut InfoText) {
        let metrics = &self.shared.metrics;
        text.line("count", self.shared.clients.subscriptions());
        text.line("events_sent", metrics.events_sent.get());
        text.line("bytes_sent", metrics.push_bytes.get());
        text.line("throttled", metrics.throttled.get());
    }

    fn consensus(&self, text: &mut InfoText) {
        let refusing = self.stats.buckets.iter().filter(|b| b.refusing.is_some()).count();
        text.line("node_index", "0");
        text.line("node_count", "1");
        text.line("peer_id", &self.shared.peer_id);
        text.line("peers_connected", "0");
        text.line("leader_buckets", self.shared.database.bucket_count());
        text.line("unavailable_buckets", refusing);
    }

    fn cache(&self, text: &mut InfoText) {
        let cache = &self.stats.cache;
        text.line("hits", cache.hits);
        text.line("misses", cache.misses);
        let ratio = thousandths(cache.hits, cache.hits + cache.misses);
        text.line("hit_ratio", ratio);
        text.line("entries", cache.entries);
        text.line("memory_bytes", cache.memory_bytes);
        text.line("max_bytes", cache.max_bytes);
        text.line("block_size_bytes", cache.block_size_bytes);
        text.line("evictions", cache.evictions);
    }
}

/// `part / whole` with three decimals; 0.000 of nothing.
fn thousandths(part: u64, whole: u64) -> String {
    let scaled = u128::from(part) * 1000 / u128::from(whole.max(1));
    format!("{}.{:03}", scaled / 1000, scaled % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_three_decimals() {
        assert_eq!(thousandths(2, 3), "0.666");
        assert_eq!(thousandths(7, 2), "3.500");
        assert_eq!(thousandths(0, 0), "0.000");
    }
}
