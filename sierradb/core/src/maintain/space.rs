//! Watches free space, and makes space ready ahead of each bucket's log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sierradb_io::{DiskError, DiskErrorKind, Io, Shutdown, site};

use crate::bucket::health::{Health, stops_bucket};
use crate::bucket::room::Room;
use crate::bucket::solo::SoloBucket;
use crate::limits::{SPACE_CHECK_INTERVAL, SPACE_QUIET_BYTES, SPACE_STEP_BYTES};

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

    /// Looks once a second. Makes space ready then, and whenever a log has grown; in quiet times some for a burst.
    pub(crate) async fn run(self, stop: Shutdown) {
        let mut next_look = self.io.clock().now();
        let mut grown_then = 0;
        let mut is_quiet = false;
        loop {
            if self.io.clock().now() >= next_look {
                self.look().await;
                next_look = self.io.clock().now() + SPACE_CHECK_INTERVAL;
                let grown = self.grown_bytes();
                is_quiet = grown - grown_then < SPACE_QUIET_BYTES;
                grown_then = grown;
            }
            for (bucket, room) in &self.buckets {
                // Nothing will be written there, and around damage nothing may change.
                if bucket.is_read_only() {
                    continue;
                }
                self.settle(bucket, room, room.prepare().await);
            }
            is_quiet = is_quiet && self.prepare_for_burst(grown_then).await;
            tokio::select! {
                biased; // the end first: nothing is owed; then what is urgent
                () = stop.cancelled() => return,
                () = self.grown() => is_quiet = false,
                () = std::future::ready(()), if is_quiet => {}
                () = self.io.clock().sleep_until(next_look) => {}
            }
        }
    }

    /// One step for each bucket that may need it, unless times are quiet no longer. False if there is nothing to do.
    async fn prepare_for_burst(&self, grown_then: u64) -> bool {
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        let spare_bytes = free_bytes.saturating_sub(self.min_free_bytes);
        let mut has_more = false;
        for (bucket, room) in &self.buckets {
            if self.grown_bytes() - grown_then >= SPACE_QUIET_BYTES {
                return false;
            }
            if bucket.is_read_only() {
                continue;
            }
            let prepared = room.prepare_for_burst(spare_bytes).await;
            has_more |= matches!(prepared, Ok(true));
            self.settle(bucket, room, prepared.map(drop));
        }
        has_more
    }

    fn grown_bytes(&self) -> u64 {
        self.buckets.iter().map(|(_, room)| room.grown_bytes()).sum()
    }

    /// What follows from an attempt to make space ready.
    fn settle(&self, bucket: &SoloBucket, room: &Room, prepared: Result<(), DiskError>) {
        let Err(error) = prepared else { return };
        if stops_bucket(&error) {
            self.io.mark(site!("space.sync_failed"));
            bucket.poison(&error.to_string());
            room.stop();
            return;
        }
        // The writer meets the same error when it needs the space, and answers for it.
        tracing::debug!(bucket = bucket.id, %error, "no space made ready");
        if error.kind != DiskErrorKind::NoSpace {
            self.io.mark(site!("space.prepare_failed"));
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
