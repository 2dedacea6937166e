//! What a store holds in memory, and writes, per event of 256 bytes. Prints; measures no time.

#![expect(clippy::print_stdout, reason = "the result of this program is a table")]

use sierradb::{Database, DatabaseOptions, PendingAppend};
use sierradb_io::os::wait;

#[path = "support/transactions.rs"]
mod support;

const EVENTS: u64 = 200_000;

fn main() {
    println!("segment bytes   sealed   live index bytes   cached bytes   log bytes per event");
    for segment_size_bytes in [256 << 20, 8 << 20] {
        let dir = tempfile::tempdir().expect("a directory");
        let options =
            DatabaseOptions { bucket_count: 1, segment_size_bytes, ..DatabaseOptions::default() };
        let db = options.open(dir.path()).expect("a new directory opens");
        wait(fill(&db));
        let stats = db.stats();
        let sealed: u64 = stats.buckets.iter().map(|bucket| bucket.sealed).sum();
        let live: u64 = stats.buckets.iter().map(|bucket| bucket.live_index_bytes).sum();
        let log: u64 = stats.buckets.iter().map(|bucket| bucket.log_bytes).sum();
        let cached = stats.cache.memory_bytes;
        println!(
            "{segment_size_bytes:>13} {sealed:>8} {live:>18} {cached:>14} {:>21}",
            log / EVENTS
        );
        wait(db.close());
    }
}

async fn fill(db: &Database) {
    for first in (0..EVENTS).step_by(500) {
        let events = (first..first + 500).map(|nth| db.begin_append(support::transaction(nth)));
        for append in events.collect::<Vec<PendingAppend>>() {
            append.await.expect("appended");
        }
    }
}
