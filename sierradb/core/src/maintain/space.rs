//! Watches free space, and makes space ready ahead of each bucket's log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sierradb_io::{DiskErrorKind, Io, Shutdown, site};

use crate::bucket::health::{Health, stops_bucket};
use crate::bucket::room::Room;
use crate::bucket::solo::SoloBucket;
use crate::limits::{SPACE_CHECK_INTERVAL, SPACE_STEP_BYTES};

/// The task that looks after space.
pub(crate) struct SpaceWatch {
    io: Io,
    buckets: Vec<(Arc<SoloBucket>, Arc<Room>)>,
    dir: std::path::PathBuf,
    min_free_bytes: u64,
    /// What one step needs: 16 MiB, or a whole segment if that is smaller.
    step_bytes: u64,
    free_bytes: Arc<AtomicU64>,
}

impl SpaceWatch {
    pub(crate) fn new(
        io: Io,
        buckets: Vec<(Arc<SoloBucket>, Arc<Room>)>,
        dir: std::path::PathBuf,
        (min_free_bytes, segment_size_bytes): (u64, u64),
        free_bytes: Arc<AtomicU64>,
    ) -> Self {
        let step_bytes = SPACE_STEP_BYTES.min(segment_size_bytes);
        Self { io, buckets, dir, min_free_bytes, step_bytes, free_bytes }
    }

    /// Looks once a second. Makes space ready then, and whenever a log has grown.
    pub(crate) async fn run(self, stop: Shutdown) {
        let mut next_look = self.io.clock().now();
        loop {
            if self.io.clock().now() >= next_look {
                self.look().await;
                next_look = self.io.clock().now() + SPACE_CHECK_INTERVAL;
            }
            for (bucket, room) in &self.buckets {
                // Nothing will be written there, and around damage nothing may change.
                if bucket.is_read_only() {
                    continue;
                }
                if let Err(error) = room.prepare().await {
                    if stops_bucket(&error) {
                        self.io.mark(site!("space.sync_failed"));
                        bucket.poison(&error.to_string());
                        room.stop();
                        continue;
                    }
                    // The writer meets the same error when it needs the space, and answers for it.
                    tracing::debug!(bucket = bucket.id, %error, "no space made ready");
                    if error.kind != DiskErrorKind::NoSpace {
                        self.io.mark(site!("space.prepare_failed"));
                    }
                }
            }
            tokio::select! {
                biased; // the end first: nothing is owed
                () = stop.cancelled() => return,
                () = self.grown() => {}
                () = self.io.clock().sleep_until(next_look) => {}
            }
        }
    }

    async fn grown(&self) {
        match self.buckets.first() {
            Some((_, room)) => room.wanted().await,
            None => std::future::pending().await,
        }
    }

    async fn look(&self) {
        let Ok(space) = self.io.disk().space(&self.dir).await else { return };
        self.free_bytes.store(space.free_bytes, Ordering::Relaxed);
        let free_bytes = space.free_bytes;
        let is_low = free_bytes < self.min_free_bytes;
        // Back to work only with room for a step as well, or the next append would be refused again.
        let needed_bytes = self.min_free_bytes.saturating_add(self.step_bytes);
        for (bucket, _) in &self.buckets {
            let mut desk = bucket.lock_desk();
            let was_full = matches!(desk.health(), Health::Full { .. });
            let health = if is_low || (was_full && free_bytes < needed_bytes) {
                Health::Full { free_bytes, needed_bytes }
            } else {
                Health::Serving
            };
            let is_full = matches!(health, Health::Full { .. });
            desk.set_space(health);
            drop(desk);
            match (was_full, is_full) {
                (false, true) => {
                    self.io.mark(site!("space.low"));
                    tracing::warn!(
                        bucket = bucket.id,
                        free_bytes,
                        "disk nearly full: appends refused"
                    );
                }
                (true, false) => {
                    self.io.mark(site!("space.returned"));
                    tracing::info!(bucket = bucket.id, free_bytes, "space returned: appends again");
                }
                (true, true) | (false, false) => {}
            }
        }
    }
}
