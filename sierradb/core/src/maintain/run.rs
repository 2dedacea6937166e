//! Seals rolled segments and extends checkpoints, bucket after bucket.
//!
//! A seal that fails is tried again, with growing pauses, as long as its cause may pass. Once it cannot, or has not
//! for too many attempts, the bucket refuses appends: its log must not grow in memory alone, and a wait without end
//! would tell nobody. All that it holds stays readable. A cut or sync that fails is never tried again: it poisons the
//! bucket.

use std::path::PathBuf;
use std::sync::Arc;

use sierradb_io::{Io, Mono, Shutdown, site};
use tokio::sync::Notify;

use super::checkpoint::extend_checkpoint;
use crate::bucket::seal::{SealError, mend, note, oldest_rolled, seal_next};
use crate::bucket::solo::SoloBucket;
use crate::index::repairs::Outcome;
use crate::limits::{CHECKPOINT_IDLE_INTERVAL, SEAL_ATTEMPTS, SEAL_RETRY_INTERVAL, SEAL_RETRY_MAX};
use crate::read::block_cache::BlockCache;

/// The maintenance task.
pub(crate) struct Maintenance {
    io: Io,
    buckets: Vec<Kept>,
    cache: Arc<BlockCache>,
    wake: Arc<Notify>,
}

/// A bucket that is looked after.
struct Kept {
    bucket: Arc<SoloBucket>,
    dir: PathBuf,
    sealing: Sealing,
}

/// How sealing goes in a bucket.
enum Sealing {
    Well,
    /// The oldest rolled segment has failed this often; not to be tried before then.
    Failing {
        attempts: u32,
        not_before: Mono,
    },
}

impl Maintenance {
    pub(crate) fn new(
        io: Io,
        buckets: Vec<(Arc<SoloBucket>, PathBuf)>,
        cache: Arc<BlockCache>,
        wake: Arc<Notify>,
    ) -> Self {
        let kept = |(bucket, dir)| Kept { bucket, dir, sealing: Sealing::Well };
        Self { io, buckets: buckets.into_iter().map(kept).collect(), cache, wake }
    }

    /// Works whenever something was rolled or grew, and on idle. Ends tidily: with checkpoints up to the end.
    pub(crate) async fn run(mut self, stop: Shutdown) {
        loop {
            self.mend_all().await;
            let now = self.io.clock().now();
            let deadline = self.seal_all(now, &stop).await;
            let is_idle = tokio::select! {
                biased; // the end first: what is due by then is done below
                () = stop.cancelled() => break,
                () = self.wake.notified() => false,
                () = self.io.clock().sleep_until(deadline) => true,
            };
            for Kept { bucket, dir, .. } in &self.buckets {
                extend_checkpoint(bucket, dir, is_idle).await;
            }
        }
        for Kept { bucket, dir, .. } in &self.buckets {
            bucket.shelf.repairs.end();
            extend_checkpoint(bucket, dir, true).await;
        }
    }

    /// Builds index files anew that were found damaged.
    async fn mend_all(&self) {
        for Kept { bucket, dir, .. } in &self.buckets {
            while let Some(segment) = bucket.shelf.repairs.next() {
                let outcome = match mend(bucket, dir, &self.cache, segment).await {
                    Ok(()) => Outcome::Rebuilt,
                    Err(error) => {
                        tracing::error!(bucket = bucket.id, segment, %error, "index not rebuilt");
                        note(bucket, segment, &error);
                        Outcome::Hopeless
                    }
                };
                bucket.shelf.repairs.done(segment, outcome);
            }
        }
    }

    /// Seals what can be sealed; returns when to look again.
    async fn seal_all(&mut self, now: Mono, stop: &Shutdown) -> Mono {
        let mut next_look = now + CHECKPOINT_IDLE_INTERVAL;
        for kept in &mut self.buckets {
            while kept.next_try().is_some_and(|at| at <= now) && !stop.is_cancelled() {
                match seal_next(&kept.bucket, &kept.dir, &self.cache).await {
                    Ok(true) => kept.sealing = Sealing::Well,
                    Ok(false) => break,
                    Err(error) => kept.failed(&self.io, &error),
                }
            }
            if let (Some(at), Sealing::Failing { .. }) = (kept.next_try(), &kept.sealing) {
                next_look = next_look.min(at);
            }
        }
        next_look
    }
}

impl Kept {
    /// When to try the oldest rolled segment; `None` if never in this life: after an error, and around damage that
    /// the start found, segment files stay as they are.
    fn next_try(&self) -> Option<Mono> {
        if self.bucket.is_read_only() {
            return None;
        }
        match self.sealing {
            Sealing::Well => Some(Mono(0)),
            Sealing::Failing { not_before, .. } => Some(not_before),
        }
    }

    /// Decides when the oldest rolled segment is tried again, if ever.
    fn failed(&mut self, io: &Io, error: &SealError) {
        if let SealError::Cut(_) = error {
            io.mark(site!("segment.seal_sync_failed"));
            self.bucket.poison(&error.to_string());
            return;
        }
        let bucket = self.bucket.id;
        let segment = oldest_rolled(&self.bucket).unwrap_or(0);
        let attempts = match self.sealing {
            Sealing::Failing { attempts, .. } => attempts.saturating_add(1),
            Sealing::Well => 1,
        };
        if !error.may_pass() || (attempts >= SEAL_ATTEMPTS && !error.is_full()) {
            io.mark(site!("segment.seal_hopeless"));
            tracing::error!(bucket, segment, attempts, %error, "segment not sealed: appends refused");
            note(&self.bucket, segment, error);
            self.bucket.stop_appends(&format!("segment {segment} cannot be sealed: {error}"));
            return;
        }
        if attempts == 1 {
            tracing::warn!(bucket, segment, %error, "segment not sealed; trying again");
        } else {
            tracing::debug!(bucket, segment, attempts, %error, "segment not sealed; trying again");
        }
        let doubled = SEAL_RETRY_INTERVAL.saturating_mul(1 << (attempts - 1).min(16));
        let not_before = io.clock().now() + doubled.min(SEAL_RETRY_MAX);
        self.sealing = Sealing::Failing { attempts, not_before };
    }
}
