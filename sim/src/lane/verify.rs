//! Reading a store back: some of it after each start, all of it at the end of a run.

use std::collections::BTreeMap;

use sierradb::Database;
use sierradb_io::Prng;

use crate::config::Trouble;
use crate::history::StreamKey;
use crate::oracle::index_scan;
use crate::violation::Checked;
use crate::watch::Watch;
use crate::workload::client::{Client, World};

/// Events asked for in one scan of the full check.
const SCAN_COUNT: usize = 256;

/// The ends of all partitions and streams that anybody was told of.
///
/// # Errors
/// If one ends too early.
pub async fn heads(world: &World, db: &Database, watch: &Watch) -> Checked {
    let client = Client::new(world, db, watch, Prng::new(0));
    let partitions: Vec<u16> =
        world.ledger.borrow().partitions().map(|(partition, _)| partition).collect();
    for partition in partitions {
        client.partition_end(partition)?;
    }
    let streams: Vec<StreamKey> =
        world.ledger.borrow().streams().map(|(stream, _)| stream.clone()).collect();
    for stream in streams {
        client.stream_end(&stream).await?;
    }
    Ok(())
}

/// Events by their ids (every one, or `by_id` of them, evenly spread), every partition and stream by scans, and ids that nobody stored.
///
/// # Errors
/// If an answer differs from the model or from the independent reader.
pub async fn everything(world: &World, db: &Database, watch: &Watch, by_id: usize) -> Checked {
    let client = Client::new(world, db, watch, Prng::new(0));
    let is_exact = !matches!(world.trouble, Trouble::Rot | Trouble::Garbage | Trouble::Lying);
    let (ids, counts) = {
        let (ledger, mut ghost) = (world.ledger.borrow(), world.ghost.borrow_mut());
        if world.trouble != Trouble::Lying {
            ghost.advance(&world.host, &ledger)?;
            for (id, place) in ledger.places() {
                ghost.holds_place(id, place)?;
            }
        }
        (ledger.ids().to_vec(), ghost.progress().sequences().clone())
    };
    let step = ids.len().div_ceil(by_id.max(1)).max(1);
    for id in ids.into_iter().step_by(step) {
        let found = client.read_event(id).await?;
        if let Some(found) = found.filter(|_| is_exact) {
            index_scan::event(&world.ghost.borrow(), id, found.as_ref())?;
        }
    }
    partitions(world, &client, &counts, is_exact).await?;
    streams(world, &client, is_exact).await
}

async fn partitions(
    world: &World,
    client: &Client<'_>,
    counts: &BTreeMap<u16, u64>,
    is_exact: bool,
) -> Checked {
    for (partition, stored) in counts {
        let end = client.partition_end(*partition)?;
        if let Some(end) = end.filter(|_| is_exact) {
            index_scan::partition_end(&world.ghost.borrow(), *partition, end)?;
        }
        let mut next = 0;
        while let Some((end, has_more)) =
            client.scan_partition(*partition, next, SCAN_COUNT, false).await?
        {
            next = end;
            if !has_more {
                break;
            }
        }
        if is_exact {
            index_scan::scan_len(&format!("partition {partition}"), *stored, next)?;
        }
        client.scan_partition(*partition, 0, SCAN_COUNT, true).await?;
    }
    Ok(())
}

async fn streams(world: &World, client: &Client<'_>, is_exact: bool) -> Checked {
    let streams = world.ghost.borrow().progress().versions().clone();
    for (stream, stored) in &streams {
        let end = client.stream_end(stream).await?;
        if let Some(end) = end.filter(|_| is_exact) {
            index_scan::stream_end(&world.ghost.borrow(), stream, end)?;
        }
        let mut next = 0;
        while let Some((end, has_more)) =
            client.scan_stream(stream, next, SCAN_COUNT, false).await?
        {
            next = end;
            if !has_more {
                break;
            }
        }
        if is_exact {
            index_scan::scan_len(&format!("stream {stream:?}"), *stored, next)?;
        }
        client.scan_stream(stream, 0, SCAN_COUNT, true).await?;
    }
    Ok(())
}
