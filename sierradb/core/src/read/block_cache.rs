//! Blocks of files in memory, bounded in bytes.
//!
//! A block is a slice of a file at a multiple of [`BlockCache::block_len`]; its key is the file's id, given out by
//! the cache itself, and its number. Entries are `Bytes`: whoever got one keeps it alive after its eviction, and no
//! byte is copied after the read. What is stored has been verified by whoever loaded it, so a hit costs a look-up.
//!
//! The cache is cut into shards, each with one lock that is held for a look-up and never over I/O or an await. A
//! shard evicts by CLOCK: every hit marks its block, the hand takes the first unmarked one.
//!
//! *Single flight.* The first to miss a block loads it; others who want it meanwhile wait for the same bytes. A
//! loader that fails or is dropped wakes them, and one of them takes over.
//!
//! Invariants: a shard never holds more than its share of `capacity_bytes`; bytes that were being loaded while their
//! file was invalidated are handed to nobody but their loader and never stored.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sierradb_io::{Map, map};
use tokio::sync::oneshot;

use crate::limits::{DEFAULT_BLOCK_BYTES, DEFAULT_CACHE_BYTES, MAX_CACHE_SHARDS};

/// Fewest blocks of full length that a shard holds, unless the whole cache cannot.
const MIN_BLOCKS_PER_SHARD: u64 = 4;
/// What an entry costs beside its bytes: key, slot, handle.
const ENTRY_OVERHEAD: u64 = 96;
/// Blocks are whole pages of an `.idx` file.
const BLOCK_ALIGN: usize = 4096;
/// Odd constants that spread file ids and block numbers over shards.
const SPREAD_FILE: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD_BLOCK: u64 = 0xbf58_476d_1ce4_e5b9;

/// Settings of a [`BlockCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheOptions {
    /// Most bytes held, overhead of entries included. Less than one block caches nothing.
    pub(crate) capacity_bytes: u64,
    /// Length of a block; rounded up to a multiple of 4096.
    pub(crate) block_bytes: usize,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { capacity_bytes: DEFAULT_CACHE_BYTES, block_bytes: DEFAULT_BLOCK_BYTES }
    }
}

/// Names a file towards the cache; never used twice in a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(u64);

/// Names a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockKey {
    /// Its file.
    pub(crate) file: FileId,
    /// Its number in the file, from 0.
    pub(crate) block: u64,
}

/// What the cache did and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CacheStats {
    /// Look-ups answered at once.
    pub(crate) hits: u64,
    /// Look-ups that began a load.
    pub(crate) misses: u64,
    /// Look-ups that joined a load begun by another.
    pub(crate) joins: u64,
    /// Blocks that had to go for others.
    pub(crate) evictions: u64,
    /// Blocks held.
    pub(crate) entries: u64,
    /// Bytes held, overhead included.
    pub(crate) bytes: u64,
}

/// The cache; share it in an `Arc`.
pub(crate) struct BlockCache {
    shards: Box<[Mutex<Shard>]>,
    block_len: usize,
    next_file: AtomicU64,
}

impl BlockCache {
    /// An empty cache.
    pub(crate) fn new(options: CacheOptions) -> Self {
        let block_len = options.block_bytes.max(1).next_multiple_of(BLOCK_ALIGN);
        let block_cost =
            u64::try_from(block_len).unwrap_or(u64::MAX).saturating_add(ENTRY_OVERHEAD);
        let fitting = options.capacity_bytes / block_cost.saturating_mul(MIN_BLOCKS_PER_SHARD);
        let count = fitting.clamp(1, MAX_CACHE_SHARDS);
        let share = options.capacity_bytes / count;
        let shards = (0..count).map(|_| Mutex::new(Shard::new(share))).collect();
        Self { shards, block_len, next_file: AtomicU64::new(0) }
    }

    /// Length of every block but the last of a file.
    pub(crate) fn block_len(&self) -> usize {
        self.block_len
    }

    /// An id for one more file.
    pub(crate) fn next_file_id(&self) -> FileId {
        FileId(self.next_file.fetch_add(1, Ordering::Relaxed))
    }

    /// The block if it is here.
    pub(crate) fn get(&self, key: BlockKey) -> Option<Bytes> {
        self.shard(key).hit(key)
    }

    /// The block, or the duty to load it, or a place to wait for another's load.
    pub(crate) fn enter(&self, key: BlockKey) -> Entered<'_> {
        let mut shard = self.shard(key);
        if let Some(bytes) = shard.hit(key) {
            return Entered::Hit(bytes);
        }
        if let Some(load) = shard.loading.get_mut(&key) {
            let (sender, receiver) = oneshot::channel();
            load.waiters.push(sender);
            shard.joins += 1;
            return Entered::Wait(receiver);
        }
        let ticket = shard.next_ticket;
        shard.next_ticket += 1;
        shard.misses += 1;
        shard.loading.insert(key, Load { ticket, waiters: Vec::new() });
        Entered::Load(Flight { cache: self, key, ticket })
    }

    /// The block, loaded by `load` unless it is here or on its way. `load` runs at most once.
    ///
    /// # Errors
    /// What `load` returned; nothing is stored then, and others who waited try for themselves.
    pub(crate) async fn get_or_load<E, F>(
        &self,
        key: BlockKey,
        load: impl FnOnce() -> F,
    ) -> Result<Bytes, E>
    where
        F: Future<Output = Result<Bytes, E>>,
    {
        loop {
            match self.enter(key) {
                Entered::Hit(bytes) => return Ok(bytes),
                Entered::Wait(arrival) => {
                    if let Ok(bytes) = arrival.await {
                        return Ok(bytes);
                    }
                }
                Entered::Load(flight) => {
                    let bytes = load().await?;
                    flight.land(bytes.clone());
                    return Ok(bytes);
                }
            }
        }
    }

    /// Forgets every block of `file`, also those being loaded now.
    pub(crate) fn invalidate(&self, file: FileId) {
        for shard in &self.shards {
            lock(shard).invalidate(file);
        }
    }

    /// Sums over all shards.
    pub(crate) fn stats(&self) -> CacheStats {
        let mut sum = CacheStats::default();
        for shard in &self.shards {
            let shard = lock(shard);
            sum.hits += shard.hits;
            sum.misses += shard.misses;
            sum.joins += shard.joins;
            sum.evictions += shard.evictions;
            sum.entries += u64::try_from(shard.entries.len()).unwrap_or(u64::MAX);
            sum.bytes += shard.bytes;
        }
        sum
    }

    /// The locked shard of a block.
    fn shard(&self, key: BlockKey) -> MutexGuard<'_, Shard> {
        let mixed = key.file.0.wrapping_mul(SPREAD_FILE)
            ^ key.block.wrapping_mul(SPREAD_BLOCK).rotate_left(32);
        let count = u64::try_from(self.shards.len()).unwrap_or(1);
        let at = usize::try_from((mixed >> 32) % count).unwrap_or(0);
        lock(
            self.shards.get(at).expect("at is a remainder of the number of shards, which is not 0"),
        )
    }
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// A panic elsewhere cannot leave a shard half-changed in a way that gives wrong bytes, so its lock stays usable.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What [`BlockCache::enter`] found.
pub(crate) enum Entered<'a> {
    /// The block.
    Hit(Bytes),
    /// Another loads it: its bytes come here, or an error if that load came to nothing.
    Wait(oneshot::Receiver<Bytes>),
    /// Nobody loads it: the caller must, and then [`Flight::land`] it.
    Load(Flight<'a>),
}

/// The duty to load one block. Dropping it gives the duty back.
pub(crate) struct Flight<'a> {
    cache: &'a BlockCache,
    key: BlockKey,
    ticket: u64,
}

impl Flight<'_> {
    /// Stores the block and hands it to everyone waiting.
    pub(crate) fn land(self, bytes: Bytes) {
        let waiters = {
            let mut shard = self.cache.shard(self.key);
            let Some(load) = shard.take_load(self.key, self.ticket) else {
                return; // invalidated meanwhile: these bytes may be old
            };
            shard.store(self.key, bytes.clone());
            load.waiters
        };
        for waiter in waiters {
            // Someone who no longer waits needs no bytes.
            drop(waiter.send(bytes.clone()));
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let load = self.cache.shard(self.key).take_load(self.key, self.ticket);
        drop(load); // outside the lock: waking a waiter may run its code
    }
}

/// One load under way.
struct Load {
    ticket: u64,
    waiters: Vec<oneshot::Sender<Bytes>>,
}

/// One block.
struct Entry {
    bytes: Bytes,
    /// Touched since the hand last came by.
    touched: bool,
}

/// A part of the cache under one lock. The map's own order is the ring of the hand.
struct Shard {
    entries: Map<BlockKey, Entry>,
    loading: Map<BlockKey, Load>,
    hand: usize,
    capacity: u64,
    bytes: u64,
    next_ticket: u64,
    hits: u64,
    misses: u64,
    joins: u64,
    evictions: u64,
}

impl Shard {
    fn new(capacity: u64) -> Self {
        Self {
            entries: map(SPREAD_FILE),
            loading: map(SPREAD_BLOCK),
            hand: 0,
            capacity,
            bytes: 0,
            next_ticket: 0,
            hits: 0,
            misses: 0,
            joins: 0,
            evictions: 0,
        }
    }

    fn hit(&mut self, key: BlockKey) -> Option<Bytes> {
        let entry = self.entries.get_mut(&key)?;
        entry.touched = true;
        self.hits += 1;
        Some(entry.bytes.clone())
    }

    fn take_load(&mut self, key: BlockKey, ticket: u64) -> Option<Load> {
        let mine = self.loading.get(&key).is_some_and(|load| load.ticket == ticket);
        mine.then(|| self.loading.swap_remove(&key)).flatten()
    }

    /// Makes room and stores; a block that alone exceeds the shard is not stored.
    fn store(&mut self, key: BlockKey, bytes: Bytes) {
        let cost = cost_of(&bytes);
        if cost > self.capacity {
            return;
        }
        if let Some(old) = self.entries.swap_remove(&key) {
            self.bytes -= cost_of(&old.bytes);
        }
        while self.bytes + cost > self.capacity {
            self.evict_one();
        }
        self.bytes += cost;
        self.entries.insert(key, Entry { bytes, touched: false });
        assert!(
            self.bytes <= self.capacity,
            "cache shard holds {} of {}",
            self.bytes,
            self.capacity
        );
    }

    /// Moves the hand to the next untouched block and drops it. Ends: a full round untouches everything.
    fn evict_one(&mut self) {
        loop {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let Some((_, entry)) = self.entries.get_index_mut(self.hand) else {
                self.bytes = 0;
                return;
            };
            if entry.touched {
                entry.touched = false;
                self.hand += 1;
                continue;
            }
            self.bytes -= cost_of(&entry.bytes);
            self.entries.swap_remove_index(self.hand);
            self.evictions += 1;
            return;
        }
    }

    fn invalidate(&mut self, file: FileId) {
        let mut bytes = self.bytes;
        self.entries.retain(|key, entry| {
            let keep = key.file != file;
            bytes -= if keep { 0 } else { cost_of(&entry.bytes) };
            keep
        });
        self.bytes = bytes;
        self.loading.retain(|key, _| key.file != file);
    }
}

fn cost_of(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_add(ENTRY_OVERHEAD)
}

#[cfg(test)]
mod tests;
