//! Seals rolled segments and extends checkpoints, bucket after bucket.

use std::path::PathBuf;
use std::sync::Arc;

use sierradb_io::{Io, Shutdown, site};
use tokio::sync::Notify;

use super::checkpoint::extend_checkpoint;
use crate::bucket::seal::{SealError, mend, seal_next};
use crate::bucket::solo::SoloBucket;
use crate::index::repairs::Outcome;
use crate::limits::{CHECKPOINT_IDLE_INTERVAL, SEAL_RETRY_INTERVAL};
use crate::read::block_cache::BlockCache;

/// The maintenance task.
pub(crate) struct Maintenance {
    io: Io,
    buckets: Vec<(Arc<SoloBucket>, PathBuf)>,
    cache: Arc<BlockCache>,
    wake: Arc<Notify>,
}

impl Maintenance {
    pub(crate) fn new(
        io: Io,
        buckets: Vec<(Arc<SoloBucket>, PathBuf)>,
        cache: Arc<BlockCache>,
        wake: Arc<Notify>,
    ) -> Self {
        Self { io, buckets, cache, wake }
    }

    /// Works whenever something was rolled or grew, and on idle. Ends tidily: with checkpoints up to the end.
    pub(crate) async fn run(self, stop: Shutdown) {
        loop {
            self.mend_all().await;
            let failed = self.seal_all(&stop).await;
            let pause = if failed { SEAL_RETRY_INTERVAL } else { CHECKPOINT_IDLE_INTERVAL };
            let deadline = self.io.clock().now() + pause;
            let is_idle = tokio::select! {
                biased; // the end first: what is due by then is done below
                () = stop.cancelled() => break,
                () = self.wake.notified() => false,
                () = self.io.clock().sleep_until(deadline) => true,
            };
            for (bucket, dir) in &self.buckets {
                extend_checkpoint(bucket, dir, is_idle).await;
            }
        }
        for (bucket, dir) in &self.buckets {
            bucket.shelf.repairs.end();
            extend_checkpoint(bucket, dir, true).await;
        }
    }

    /// Builds index files anew that were found damaged.
    async fn mend_all(&self) {
        for (bucket, dir) in &self.buckets {
            while let Some(segment) = bucket.shelf.repairs.next() {
                let outcome = match mend(bucket, dir, &self.cache, segment).await {
                    Ok(()) => Outcome::Rebuilt,
                    Err(error) => {
                        tracing::error!(bucket = bucket.id, segment, %error, "index not rebuilt");
                        Outcome::Hopeless
                    }
                };
                bucket.shelf.repairs.done(segment, outcome);
            }
        }
    }

    async fn seal_all(&self, stop: &Shutdown) -> bool {
        let mut failed = false;
        for (bucket, dir) in &self.buckets {
            loop {
                if stop.is_cancelled() {
                    return failed;
                }
                if bucket.is_read_only() {
                    break; // after an error, and around damage, segment files stay as they are
                }
                match seal_next(bucket, dir, &self.cache).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error @ SealError::Cut(_)) => {
                        self.io.mark(site!("segment.seal_sync_failed"));
                        bucket.poison(&error.to_string());
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(bucket = bucket.id, %error, "segment not sealed; trying again");
                        failed = true;
                        break;
                    }
                }
            }
        }
        failed
    }
}
