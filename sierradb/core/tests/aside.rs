//! Which syncs the serving thread waits for itself, and which are carried out elsewhere.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use sierradb::{Database, DatabaseOptions};
use sierradb_io::sim::{SimConfig, run_with};
use uuid::Uuid;

use crate::support::one_event;

/// Syncs carried out elsewhere: while appends came one after another, and in all after some came together.
fn syncs_aside(syncs_share_thread: bool) -> (u64, u64) {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let config = SimConfig { syncs_share_thread, ..SimConfig::default() };
    run_with(1, config, move |host| async move {
        let options = DatabaseOptions { bucket_count: 2, ..DatabaseOptions::default() };
        let db = Database::open_with(host.boot(), Path::new("/data"), options).await.unwrap();
        let key = Uuid::from_u128(1);
        for number in 1..5 {
            db.append_events(one_event(key, number, 100)).await.unwrap();
        }
        let one_by_one = host.mark_hits("append.sync_aside");
        let together = (10..30).map(|number| db.begin_append(one_event(key, number, 100)));
        for append in together.collect::<Vec<_>>() {
            append.await.unwrap();
        }
        db.close().await;
        tell.send((one_by_one, host.mark_hits("append.sync_aside"))).unwrap();
    });
    told.recv().unwrap()
}

#[test]
fn a_thread_that_serves_others_waits_for_the_sync_of_a_single_append_only() {
    let (one_by_one, together) = syncs_aside(true);
    assert_eq!(one_by_one, 0);
    assert!(together > 0);
}

#[test]
fn a_writer_with_a_thread_of_its_own_waits_for_its_syncs() {
    assert_eq!(syncs_aside(false), (0, 0));
}
