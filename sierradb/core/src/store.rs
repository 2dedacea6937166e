//! Opens a directory and runs its buckets; reads and appends find their bucket here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sierradb_io::{DirLock, DiskErrorKind, Fut, Io, Shutdown, Task, TaskName, mutant};
use sierradb_protocol::{PartitionId, StreamId};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

use crate::bucket::company::Company;
use crate::bucket::desk::{Desk, DeskLimits};
use crate::bucket::health::Health;
use crate::bucket::planner::Planner;
use crate::bucket::recovery::{self, Recovered, RecoverySettings};
use crate::bucket::solo::SoloBucket;
use crate::bucket::waiters::PendingAppend;
use crate::bucket::writer::{Writer, start_writers};
use crate::error::{AppendError, OpenError, ReadError};
use crate::event::{EventBatch, EventRecord, ReadRange};
use crate::feed::{Feed, Watch, WatchAll};
use crate::index::page::Section;
use crate::limits::CLOSE_DEADLINE;
use crate::maintain::{Maintenance, SpaceWatch};
use crate::manifest::Manifest;
use crate::options::DatabaseOptions;
use crate::read::block_cache::{BlockCache, CacheOptions};
use crate::read::{event, scan};
use crate::stats::{BucketStats, CacheStats, Stats};
use crate::transaction::{Arrival, Transaction};

/// File name of the lock inside the data directory.
pub(crate) const LOCK_NAME: &str = "LOCK";
/// Name of the directory of the buckets.
pub(crate) const BUCKETS_NAME: &str = "buckets";

/// One open directory.
#[derive(Debug)]
pub(crate) struct Store {
    io: Io,
    settings: Manifest,
    max_transaction_bytes: u64,
    feed: Arc<Feed>,
    buckets: Vec<Arc<SoloBucket>>,
    cache: Arc<BlockCache>,
    cache_capacity_bytes: u64,
    disk_free_bytes: Arc<AtomicU64>,
    is_closing: AtomicBool,
    stop: Shutdown,
    writers: Vec<Task>,
    helpers: Vec<Task>,
    lock: Mutex<Option<DirLock>>,
}

/// What a start found, before any task runs.
struct Opened {
    dir: PathBuf,
    lock: DirLock,
    settings: Manifest,
    feed: Arc<Feed>,
    cache: Arc<BlockCache>,
    recovered: Vec<Recovered>,
}

impl Store {
    /// Opens or creates the directory, recovers its buckets, starts their tasks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub(crate) async fn open(
        io: Io,
        dir: &Path,
        options: DatabaseOptions,
    ) -> Result<Arc<Self>, OpenError> {
        options.validate()?;
        let opened = {
            let (io, dir, options) = (io.clone(), dir.to_owned(), options.clone());
            let world = io.clone();
            on_own_thread(&world, async move { prepare(io, dir, options).await }).await?
        };
        Ok(Arc::new(Self::start(io, &options, opened)))
    }

    fn start(io: Io, options: &DatabaseOptions, opened: Opened) -> Self {
        let Opened { dir, lock, settings, feed, cache, recovered } = opened;
        let limits =
            DeskLimits { in_flight: options.append_buffer_count, timeout: options.append_timeout };
        let (stop, maintain_wake) = (Shutdown::new(), Arc::new(Notify::new()));
        let mut buckets = Vec::with_capacity(recovered.len());
        let mut writers = Vec::with_capacity(recovered.len());
        let (mut rooms, mut dirs) = (Vec::new(), Vec::new());
        let (mut helpers, company) = (Vec::new(), Company::default());
        for recovered in recovered {
            let Recovered { shelf, start, health, log } = recovered;
            let planner =
                Planner::new(shelf.bucket_id(), settings.bucket_count, settings.hash_seed, start);
            let desk = Desk::new(shelf.bucket_id(), limits, planner, health);
            let wake = maintain_wake.clone();
            let bucket = Arc::new(SoloBucket::new(io.clone(), shelf, feed.clone(), desk, wake));
            let name = TaskName { role: "bucket", key: u64::from(bucket.id) };
            let serve = bucket.clone().serve_waiting(stop.clone());
            helpers.push(io.spawner().spawn(name, Box::pin(serve)));
            rooms.push((bucket.clone(), log.room.clone()));
            dirs.push((bucket.clone(), log.dir.clone()));
            writers.push(Writer::new(bucket.clone(), log, company.clone()));
            buckets.push(bucket);
        }
        let disk_free_bytes = Arc::new(AtomicU64::new(u64::MAX));
        let maintenance = Maintenance::new(io.clone(), dirs, cache.clone(), maintain_wake);
        let limits = (options.min_free_bytes, settings.segment_size_bytes);
        let space = SpaceWatch::new(io.clone(), rooms, dir, limits, disk_free_bytes.clone());
        let dedicated = |role, body| io.spawner().dedicated(TaskName { role, key: 0 }, body);
        helpers.push(dedicated("maintain", Box::pin(maintenance.run(stop.clone()))));
        helpers.push(dedicated("space", Box::pin(space.run(stop.clone()))));
        let threads = options.write_threads.unwrap_or(buckets.len());
        let writers = start_writers(&io, writers, threads);
        let max_transaction_bytes = options.transaction_limit(settings.segment_size_bytes).max(1);
        Self {
            io,
            settings,
            max_transaction_bytes,
            feed,
            buckets,
            cache,
            cache_capacity_bytes: options.cache_capacity_bytes,
            disk_free_bytes,
            is_closing: AtomicBool::new(false),
            stop,
            writers,
            helpers,
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(crate) fn settings(&self) -> &Manifest {
        &self.settings
    }

    pub(crate) fn max_transaction_bytes(&self) -> u64 {
        self.max_transaction_bytes
    }

    pub(crate) fn partition_of_key(&self, partition_key: Uuid) -> PartitionId {
        PartitionId::of_key(partition_key, self.settings.partition_count)
    }

    fn bucket(&self, partition: PartitionId) -> Option<&Arc<SoloBucket>> {
        let number = partition.get();
        let bucket = number.checked_rem(self.settings.bucket_count)?;
        self.buckets.get(usize::from(bucket)).filter(|_| number < self.settings.partition_count)
    }

    fn bucket_or_error(&self, partition: PartitionId) -> Result<&Arc<SoloBucket>, ReadError> {
        let is_refused = |bucket: &SoloBucket| {
            mutant!(self.io, full_stops_reads)
                && matches!(bucket.lock_desk().health(), Health::Full { .. })
        };
        let bucket = self.bucket(partition).filter(|bucket| !is_refused(bucket));
        bucket.ok_or(ReadError::NoSuchPartition {
            partition_id: partition.get(),
            last: self.settings.partition_count.saturating_sub(1),
        })
    }

    /// Begins an append that came now, or at `arrival`.
    pub(crate) fn begin_append(
        &self,
        transaction: Transaction,
        arrival: Option<Arrival>,
    ) -> PendingAppend {
        let arrival = arrival.unwrap_or_else(|| Arrival::now(&self.io)).within_limits();
        match self.check(&transaction) {
            Ok((bucket, partition)) => bucket.begin_append(transaction, partition, arrival),
            Err(error) => PendingAppend::ready(Err(error)),
        }
    }

    fn check(
        &self,
        transaction: &Transaction,
    ) -> Result<(&Arc<SoloBucket>, PartitionId), AppendError> {
        if self.is_closing.load(Ordering::Acquire) {
            return Err(AppendError::Closing);
        }
        let (size_bytes, limit_bytes) = (transaction.size_bytes, self.max_transaction_bytes);
        if size_bytes > limit_bytes {
            return Err(AppendError::TooLarge { size_bytes, limit_bytes });
        }
        let partition = transaction.partition_id(self.settings.partition_count)?;
        let bucket = self.bucket(partition).expect("a key's partition is below the count");
        Ok((bucket, partition))
    }

    pub(crate) async fn read_event(
        &self,
        event_id: Uuid,
    ) -> Result<Option<EventRecord>, ReadError> {
        event::read_event(&self.buckets, self.partition_of_key(event_id), event_id).await
    }

    pub(crate) async fn read_stream(
        &self,
        partition: PartitionId,
        stream_id: &StreamId,
        range: ReadRange,
    ) -> Result<EventBatch, ReadError> {
        let bucket = self.bucket_or_error(partition)?;
        let mut attempts = 0;
        loop {
            match scan::read_stream(&bucket.shelf, partition, stream_id, range).await {
                Err(error) if bucket.is_mended(&error, &mut attempts).await => {}
                outcome => return outcome,
            }
        }
    }

    pub(crate) async fn read_partition(
        &self,
        partition: PartitionId,
        range: ReadRange,
    ) -> Result<EventBatch, ReadError> {
        let bucket = self.bucket_or_error(partition)?;
        let mut attempts = 0;
        loop {
            match scan::read_partition(&bucket.shelf, partition, range).await {
                Err(error) if bucket.is_mended(&error, &mut attempts).await => {}
                outcome => return outcome,
            }
        }
    }

    pub(crate) async fn stream_version(
        &self,
        partition: PartitionId,
        stream_id: &StreamId,
    ) -> Result<Option<u64>, ReadError> {
        let bucket = self.bucket_or_error(partition)?;
        let mut attempts = 0;
        let head = loop {
            match bucket.shelf.head(partition.get(), stream_id).await {
                Err(error) if bucket.is_mended(&error, &mut attempts).await => {}
                outcome => break outcome?,
            }
        };
        Ok(head.and_then(|head| head.next_version.checked_sub(1)))
    }

    pub(crate) fn partition_sequence(
        &self,
        partition: PartitionId,
    ) -> Result<Option<u64>, ReadError> {
        let bucket = self.bucket_or_error(partition)?;
        match bucket.shelf.end_of_partition(partition) {
            (_, Some(damage)) => Err(bucket.shelf.damaged(&damage)),
            (next, None) => Ok(next.checked_sub(1)),
        }
    }

    pub(crate) fn watch(&self, partition: PartitionId) -> Result<Watch, ReadError> {
        self.bucket_or_error(partition)?;
        Ok(Watch::new(self.feed.clone(), partition))
    }

    pub(crate) fn watch_all(&self) -> WatchAll {
        WatchAll::new(self.feed.clone())
    }

    pub(crate) fn stats(&self) -> Stats {
        let buckets = self.buckets.iter().map(|bucket| self.bucket_stats(bucket)).collect();
        let cache = self.cache.stats();
        Stats {
            buckets,
            cache: CacheStats {
                hits: cache.hits,
                misses: cache.misses,
                entries: cache.entries,
                memory_bytes: cache.bytes,
                max_bytes: self.cache_capacity_bytes,
                block_size_bytes: u64::try_from(self.cache.block_len()).unwrap_or(u64::MAX),
                evictions: cache.evictions,
            },
            disk_free_bytes: self.disk_free_bytes.load(Ordering::Relaxed),
        }
    }

    fn bucket_stats(&self, bucket: &SoloBucket) -> BucketStats {
        let partitions = (bucket.id..self.settings.partition_count)
            .step_by(usize::from(self.settings.bucket_count));
        let events = partitions.map(|id| self.feed.watermark(PartitionId::new(id))).sum();
        let (in_flight, refusing) = {
            let desk = bucket.lock_desk();
            let refusing = desk.health().refusal(bucket.id).map(|refusal| refusal.to_string());
            (desk.in_flight_count() + desk.waiting_count(), refusing)
        };
        let damaged = bucket.shelf.damaged_places();
        let segments = bucket.shelf.read();
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let live_bytes: usize =
            segments.live.iter().map(|segment| segment.index.memory_bytes()).sum();
        let sealed = segments.sealed.iter();
        let live = segments.live.iter();
        BucketStats {
            events,
            streams: sealed
                .clone()
                .map(|segment| segment.index.footer().extent(Section::Streams).entries)
                .sum::<u64>()
                + live.clone().map(|it| u64::from(it.index.stream_count())).sum::<u64>(),
            segments: count(segments.live.len() + segments.sealed.len()),
            sealed: count(segments.sealed.len()),
            log_bytes: sealed.map(|segment| segment.index.footer().used_len).sum::<u64>()
                + live.map(|segment| segment.used_len).sum::<u64>(),
            append_in_flight: count(in_flight),
            syncs: bucket.syncs.load(Ordering::Relaxed),
            live_events: segments.live.iter().map(|it| u64::from(it.index.len())).sum(),
            live_index_bytes: count(live_bytes),
            refusing,
            damaged_ranges: count(damaged.len()),
            damaged,
        }
    }

    /// Ends in order: no new appends, those in work finished (bounded), tasks ended, lock released.
    pub(crate) async fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        for bucket in &self.buckets {
            bucket.close();
        }
        let all_written = async {
            for writer in &self.writers {
                writer.finished().await;
            }
        };
        if self.io.timeout(CLOSE_DEADLINE, all_written).await.is_none() {
            tracing::warn!("appends in work were not finished in time; their outcome is unknown");
        }
        self.stop.cancel();
        for helper in &self.helpers {
            helper.finished().await;
        }
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // As a crash would: nothing is written here. The tasks hold no reference to the store, so tell them.
        self.stop.cancel();
        for task in self.writers.iter().chain(&self.helpers) {
            task.cancel();
        }
    }
}

/// Runs `work` where it may block.
async fn on_own_thread<T: Send + 'static>(
    io: &Io,
    work: impl Future<Output = Result<T, OpenError>> + Send + 'static,
) -> Result<T, OpenError> {
    let (sender, receiver) = oneshot::channel();
    let body: Fut<'static, ()> = Box::pin(async move {
        drop(sender.send(work.await)); // nobody waits any more: then nobody wants it
    });
    io.spawner().dedicated(TaskName { role: "open", key: 0 }, body);
    receiver.await.unwrap_or(Err(OpenError::Interrupted))
}

/// Locks the directory, reads or creates its manifest, recovers all buckets side by side.
async fn prepare(io: Io, dir: PathBuf, options: DatabaseOptions) -> Result<Opened, OpenError> {
    create_dirs(&io, &dir).await?;
    let lock = match io.disk().lock(&dir.join(LOCK_NAME)).await {
        Ok(lock) => lock,
        Err(error) if error.kind == DiskErrorKind::Locked => {
            return Err(OpenError::Locked { dir });
        }
        Err(error) => return Err(error.into()),
    };
    let settings = match Manifest::load(&io, &dir).await? {
        Some(manifest) => {
            manifest.check(&options)?;
            // A process killed while it created the directory may have left this name in the cache alone.
            io.disk().sync_dir(&dir).await?;
            manifest
        }
        None => create(&io, &dir, &options).await?,
    };
    let feed = Arc::new(Feed::new(settings.partition_count));
    let cache = Arc::new(BlockCache::new(CacheOptions {
        capacity_bytes: options.cache_capacity_bytes,
        block_bytes: options.cache_block_bytes,
    }));
    let shared = Arc::new(RecoverySettings {
        dir: dir.clone(),
        manifest: settings.clone(),
        feed: feed.clone(),
        cache: cache.clone(),
        preallocate: options.preallocate,
        space_wanted: Arc::new(Notify::new()),
    });
    let mut running = Vec::with_capacity(usize::from(settings.bucket_count));
    for bucket_id in 0..settings.bucket_count {
        let (sender, receiver) = oneshot::channel();
        let (world, shared) = (io.clone(), shared.clone());
        let body: Fut<'static, ()> = Box::pin(async move {
            drop(sender.send(recovery::recover(&world, bucket_id, &shared).await));
        });
        io.spawner().dedicated(TaskName { role: "recover", key: u64::from(bucket_id) }, body);
        running.push(receiver);
    }
    let mut recovered = Vec::with_capacity(running.len());
    for bucket in running {
        recovered.push(bucket.await.unwrap_or(Err(OpenError::Interrupted))?);
    }
    Ok(Opened { dir, lock, settings, feed, cache, recovered })
}

/// Name of a bucket's directory.
pub(crate) fn bucket_dir(dir: &Path, bucket_id: u16) -> PathBuf {
    dir.join(BUCKETS_NAME).join(format!("{bucket_id:05}"))
}

/// A directory without manifest is new only if it holds no bucket: never start afresh over data.
async fn create(io: &Io, dir: &Path, options: &DatabaseOptions) -> Result<Manifest, OpenError> {
    let buckets = dir.join(BUCKETS_NAME);
    make_dir(io, &buckets).await?;
    for entry in io.disk().list(&buckets).await? {
        let inside = io.disk().list(&buckets.join(&entry.name)).await?;
        if inside.iter().any(|file| file.name.ends_with(".seg") && file.len > 0) {
            let cause = format!("it is missing, but {}/{} has data", BUCKETS_NAME, entry.name);
            return Err(OpenError::Manifest { dir: dir.to_owned(), cause });
        }
    }
    for bucket_id in 0..options.bucket_count {
        make_dir(io, &bucket_dir(dir, bucket_id)).await?;
    }
    io.disk().sync_dir(&buckets).await?;
    io.disk().sync_dir(dir).await?;
    let manifest = Manifest::create(io, options);
    manifest.store(io, dir).await?;
    Ok(manifest)
}

pub(crate) async fn make_dir(io: &Io, dir: &Path) -> Result<(), OpenError> {
    match io.disk().create_dir(dir).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind == DiskErrorKind::Exists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Creates `dir` and its missing parents, each durably. The lowest one that is there may have been made by a process
/// that was killed before its name was durable; those above it were durable before it was made.
async fn create_dirs(io: &Io, dir: &Path) -> Result<(), OpenError> {
    let mut missing = Vec::new();
    let mut at = dir;
    let lowest = loop {
        match io.disk().create_dir(at).await {
            Ok(()) => {
                sync_parent(io, at).await?;
                break at.parent().unwrap_or(at);
            }
            Err(error) if error.kind == DiskErrorKind::Exists => break at,
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                let Some(parent) = at.parent() else { return Err(error.into()) };
                missing.push(at);
                at = parent;
            }
            Err(error) => return Err(error.into()),
        }
    };
    match sync_parent(io, lowest).await {
        // Where names may not be read, nobody like us made one.
        Err(OpenError::Disk(error)) if error.kind == DiskErrorKind::ReadOnly => {}
        other => other?,
    }
    for dir in missing.into_iter().rev() {
        make_dir(io, dir).await?;
        sync_parent(io, dir).await?;
    }
    Ok(())
}

async fn sync_parent(io: &Io, dir: &Path) -> Result<(), OpenError> {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => Ok(io.disk().sync_dir(parent).await?),
        Some(_) => Ok(io.disk().sync_dir(Path::new(".")).await?),
        None => Ok(()),
    }
}
