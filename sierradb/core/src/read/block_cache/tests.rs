use std::cell::Cell;
use std::future::{pending, ready};

use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

const BLOCK: u64 = 4096;

fn cache(blocks: u64) -> BlockCache {
    BlockCache::new(CacheOptions {
        capacity_bytes: blocks * (BLOCK + ENTRY_OVERHEAD),
        block_bytes: 4096,
    })
}

fn block(tag: u8) -> Bytes {
    Bytes::from(vec![tag; 4096])
}

fn key(file: u64, block: u64) -> BlockKey {
    BlockKey { file: FileId(file), block }
}

fn load_now(cache: &BlockCache, key: BlockKey, tag: u8) -> Bytes {
    let load = || ready(Ok::<_, ()>(block(tag)));
    cache.get_or_load(key, load).now_or_never().expect("nothing to wait for").unwrap()
}

#[test]
fn a_block_is_loaded_once_while_it_stays() {
    let cache = cache(4);
    assert_eq!(load_now(&cache, key(1, 1), 7), block(7));
    assert_eq!(load_now(&cache, key(1, 1), 8), block(7), "the second load must not run");
    assert_eq!(cache.get(key(1, 2)), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 1));
    assert_eq!(stats.bytes, BLOCK + ENTRY_OVERHEAD);
}

#[test]
fn a_touched_block_outlives_an_untouched_one() {
    let cache = cache(2);
    load_now(&cache, key(1, 0), 0);
    load_now(&cache, key(1, 1), 1);
    assert!(cache.get(key(1, 0)).is_some());
    load_now(&cache, key(1, 2), 2);
    assert!(cache.get(key(1, 0)).is_some(), "touched");
    assert!(cache.get(key(1, 1)).is_none(), "untouched");
    assert_eq!(cache.stats().evictions, 1);
}

#[test]
fn everyone_who_misses_together_shares_one_load() {
    let cache = cache(4);
    let Entered::Load(flight) = cache.enter(key(1, 1)) else { panic!("nobody loads it yet") };
    let loads = Cell::new(0);
    let load = || {
        loads.set(loads.get() + 1);
        ready(Ok::<_, ()>(block(9)))
    };
    let mut second = Box::pin(cache.get_or_load(key(1, 1), load));
    let mut third = Box::pin(cache.get_or_load(key(1, 1), load));
    assert_eq!((second.as_mut().now_or_never(), third.as_mut().now_or_never()), (None, None));
    flight.land(block(5));
    assert_eq!(second.now_or_never(), Some(Ok(block(5))));
    assert_eq!(third.now_or_never(), Some(Ok(block(5))));
    assert_eq!((loads.get(), cache.stats().joins), (0, 2));
}

#[test]
fn a_failed_or_dropped_load_is_taken_over() {
    let cache = cache(4);
    let failed = cache.get_or_load(key(1, 1), || ready(Err::<Bytes, _>("disk")));
    assert_eq!(failed.now_or_never(), Some(Err("disk")));

    let mut dropped = Box::pin(cache.get_or_load(key(1, 1), pending::<Result<Bytes, ()>>));
    assert_eq!(dropped.as_mut().now_or_never(), None);
    let mut waiting = Box::pin(cache.get_or_load(key(1, 1), || ready(Ok::<_, ()>(block(3)))));
    assert_eq!(waiting.as_mut().now_or_never(), None);
    drop(dropped);
    assert_eq!(waiting.now_or_never(), Some(Ok(block(3))));
}

#[test]
fn bytes_read_before_an_invalidation_are_not_kept() {
    let cache = cache(4);
    load_now(&cache, key(1, 0), 1);
    load_now(&cache, key(2, 0), 2);
    let Entered::Load(old) = cache.enter(key(1, 1)) else { panic!("nobody loads it yet") };
    cache.invalidate(FileId(1));
    let Entered::Load(new) = cache.enter(key(1, 1)) else { panic!("the old load is void") };
    old.land(block(8));
    assert_eq!(cache.get(key(1, 1)), None, "landed with bytes from before");
    new.land(block(9));
    assert_eq!(cache.get(key(1, 1)), Some(block(9)));
    assert_eq!(cache.get(key(1, 0)), None);
    assert_eq!(cache.get(key(2, 0)), Some(block(2)));
    assert_eq!(cache.stats().entries, 2);
}

#[test]
fn a_cache_smaller_than_a_block_still_answers() {
    let cache = BlockCache::new(CacheOptions { capacity_bytes: 100, block_bytes: 1 });
    assert_eq!(cache.block_len(), 4096);
    assert_eq!(load_now(&cache, key(1, 1), 7), block(7));
    assert_eq!(load_now(&cache, key(1, 1), 8), block(8));
    assert_eq!(cache.stats().bytes, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_answer_is_what_was_loaded_and_the_bound_holds(
        blocks in 1_u64..200,
        steps in prop::collection::vec((0_u64..3, 0_u64..60, 0_u8..12), 1..300),
    ) {
        let cache = cache(blocks);
        let capacity = blocks * (BLOCK + ENTRY_OVERHEAD);
        for (file, number, action) in steps {
            let tag = u8::try_from(file * 60 + number).unwrap();
            match action {
                0 => cache.invalidate(FileId(file)),
                1..=4 => if let Some(found) = cache.get(key(file, number)) {
                    prop_assert_eq!(found, block(tag));
                },
                _ => prop_assert_eq!(load_now(&cache, key(file, number), tag), block(tag)),
            }
            let stats = cache.stats();
            prop_assert!(stats.bytes <= capacity);
            prop_assert_eq!(stats.bytes, stats.entries * (BLOCK + ENTRY_OVERHEAD));
        }
    }
}
