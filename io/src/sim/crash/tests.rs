use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::sim::{Latency, SimHost, Yields, run_with};
use crate::{File, OpenOptions};

const LOG: &str = "/log";

fn config(permille: u32) -> SimConfig {
    SimConfig {
        survival: Survival::Permille(permille),
        yields: Yields::Never,
        ..SimConfig::default()
    }
}

async fn open(host: &SimHost) -> Arc<dyn File> {
    host.boot().disk().open(Path::new(LOG), OpenOptions::WRITE).await.unwrap()
}

async fn write(file: &Arc<dyn File>, byte: u8, offset: u64, len: usize) {
    file.write_all_at(vec![Bytes::from(vec![byte; len])], offset).await.unwrap();
}

/// What a power loss leaves of a log of eight sectors of zeros after `work`, for many seeds.
fn leftovers<F: Future<Output = ()>>(
    config: &SimConfig,
    work: impl Fn(Arc<dyn File>) -> F,
) -> BTreeSet<Vec<u8>> {
    let work = &work;
    let one = |seed| {
        run_with(seed, config.clone(), |host| async move {
            host.put_file(LOG, &[0; 4_096]);
            work(open(&host).await).await;
            host.power_loss();
            host.durable_image(LOG).unwrap()
        })
    };
    (0..60).map(one).collect()
}

#[test]
fn each_sector_has_its_own_fate_and_any_of_its_versions() {
    let found = leftovers(&config(500), |file| async move {
        write(&file, 1, 0, 4_096).await;
        write(&file, 2, 256, 3_584).await;
        write(&file, 3, 1_024, 512).await;
    });
    assert!(found.len() > 50, "{} different images", found.len());
    let mut thirds = BTreeSet::new();
    for image in &found {
        for (number, sector) in image.chunks(512).enumerate() {
            let distinct: BTreeSet<u8> = sector.iter().copied().collect();
            let is_edge = number == 0 || number == 7;
            assert!(distinct.len() == 1 || is_edge && distinct == BTreeSet::from([1, 2]));
        }
        thirds.insert(image[1_024]);
    }
    assert_eq!(thirds, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn a_sector_of_four_kibibytes_is_one() {
    let config = SimConfig { sector_bytes: 4_096, ..config(500) };
    let found = leftovers(&config, |file| async move { write(&file, 1, 0, 4_096).await });
    assert_eq!(found, BTreeSet::from([vec![0; 4_096], vec![1; 4_096]]));
}

#[test]
fn survival_of_none_and_of_all_are_exact() {
    let work = |file: Arc<dyn File>| async move {
        write(&file, 1, 0, 4_096).await;
        file.set_len(5_000).await.unwrap();
    };
    assert_eq!(leftovers(&config(0), work), BTreeSet::from([vec![0; 4_096]]));
    let mut all = vec![1; 4_096];
    all.resize(5_000, 0);
    assert_eq!(leftovers(&config(1_000), work), BTreeSet::from([all]));
}

#[test]
fn a_torn_sector_may_hold_garbage_where_the_host_says_so() {
    let config = SimConfig { sectors: SectorWrites::Torn, ..config(700) };
    let found = leftovers(&config, |file| async move { write(&file, 1, 0, 4_096).await });
    let is_garbage = |sector: &[u8]| sector != [0; 512] && sector != [1; 512];
    assert!(found.iter().any(|image| image.chunks(512).any(is_garbage)));
}

#[test]
fn a_length_survives_apart_from_its_data() {
    let found = leftovers(&config(500), |file| async move { write(&file, 1, 4_096, 512).await });
    let kinds: BTreeSet<(usize, u8)> =
        found.iter().map(|image| (image.len(), image.last().copied().unwrap())).collect();
    // Length and data, length over zeros, and neither; data without its length is out of sight.
    assert_eq!(kinds, BTreeSet::from([(4_608, 1), (4_608, 0), (4_096, 0)]));
}

#[test]
fn data_beyond_a_lost_length_never_comes_back() {
    run_with(1, config(500), |host| async move {
        host.put_file(LOG, &[0; 100]);
        for _ in 0..40 {
            write(&open(&host).await, 1, 100, 5_000).await;
            host.power_loss();
            if host.durable_image(LOG).unwrap().len() == 100 {
                let file = open(&host).await;
                file.set_len(6_000).await.unwrap();
                file.sync_data().await.unwrap();
                assert_eq!(host.durable_image(LOG).unwrap(), [0; 6_000]);
                host.kill();
            }
            host.truncate_file(LOG, 100);
            host.put_file(LOG, &[0; 100]);
        }
    });
}

#[test]
fn a_shrink_may_be_undone() {
    let found = leftovers(&config(500), |file| async move {
        write(&file, 1, 0, 4_096).await;
        file.sync_data().await.unwrap();
        file.set_len(1_000).await.unwrap();
    });
    assert!(found.contains(&vec![1; 1_000]));
    let undone = |image: &Vec<u8>| image.len() == 4_096 && image[1_024..].contains(&1);
    assert!(found.iter().any(undone));
}

#[test]
fn allocated_space_reads_zeros_or_garbage_as_the_host_says() {
    let work = |file: Arc<dyn File>| async move {
        file.allocate(64 << 10).await.unwrap();
        write(&file, 1, 4_096, 100).await;
        file.sync_data().await.unwrap();
    };
    let clean = leftovers(&config(0), work);
    assert_eq!(clean.len(), 1);
    assert!(clean.iter().all(|image| image[4_196..].iter().all(|byte| *byte == 0)));
    let soiled = SimConfig { unwritten: UnwrittenSpace::Garbage, ..config(0) };
    let soiled = leftovers(&soiled, work);
    assert!(soiled.len() > 20);
    for image in &soiled {
        assert_eq!(image.len(), 64 << 10);
        assert_eq!(image[4_096..4_196], [1; 100], "what was written stays");
    }
    let at_its_end = |image: &Vec<u8>| image[8_192..8_704].iter().any(|byte| *byte != 0);
    assert!(soiled.iter().any(at_its_end), "the first unwritten sector is struck often");
}

#[test]
fn a_sync_takes_what_was_there_when_it_was_called() {
    let latency = Some(Latency { base_us: 10_000, per_mib_us: 0, tail_us: 0 });
    run_with(1, SimConfig { latency, ..config(0) }, |host| async move {
        host.put_file(LOG, &[0; 4_096]);
        let file = open(&host).await;
        write(&file, 1, 0, 512).await;
        let late = async {
            tokio::task::yield_now().await;
            write(&file, 2, 512, 512).await;
        };
        let (synced, ()) = tokio::join!(file.sync_data(), late);
        synced.unwrap();
        host.power_loss();
        let image = host.durable_image(LOG).unwrap();
        assert_eq!((image[0], image[512]), (1, 0));
    });
}

#[test]
fn a_crash_inside_a_sync_tears_its_set() {
    let latency = Some(Latency { base_us: 10_000, per_mib_us: 0, tail_us: 0 });
    let images: BTreeSet<Vec<u8>> = (0..30)
        .map(|seed| {
            run_with(seed, SimConfig { latency, ..config(500) }, |host| async move {
                host.put_file(LOG, &[0; 4_096]);
                let file = open(&host).await;
                write(&file, 1, 0, 4_096).await;
                let in_flight = host.world_time() + Duration::from_millis(5);
                host.crash_at(CrashPoint::Time(in_flight), CrashKind::Power);
                assert!(host.until_crash(file.sync_data()).await.is_none());
                host.durable_image(LOG).unwrap()
            })
        })
        .collect();
    assert!(images.len() > 20);
}

#[test]
fn a_dropped_write_is_applied_whole_in_part_or_not() {
    let latency = Some(Latency { base_us: 10_000, per_mib_us: 0, tail_us: 0 });
    let applied = |seed| {
        run_with(seed, SimConfig { latency, ..config(0) }, |host| async move {
            host.put_file(LOG, &[0; 4_096]);
            let file = open(&host).await;
            tokio::select! {
                biased;
                () = write(&file, 1, 0, 4_096) => {}
                () = tokio::task::yield_now() => {}
            }
            let image = host.current_image(LOG).unwrap();
            let applied = image.iter().take_while(|byte| **byte == 1).count();
            assert!(image[applied..].iter().all(|byte| *byte == 0));
            applied
        })
    };
    let applied: Vec<usize> = (0..40).map(applied).collect();
    assert!(applied.contains(&0) && applied.contains(&4_096));
    assert!(applied.iter().any(|count| (1..4_096).contains(count)));
}

#[test]
fn a_never_polled_write_has_no_effect() {
    run_with(1, config(0), |host| async move {
        host.put_file(LOG, &[0; 10]);
        let file = open(&host).await;
        drop(file.write_all_at(vec![Bytes::from_static(b"1234567890")], 0));
        assert_eq!(host.current_image(LOG).unwrap(), [0; 10]);
    });
}

/// The names that are left after creating a, b, c in this order, over many seeds.
fn names_left(metadata: Metadata) -> BTreeSet<Vec<String>> {
    let one = |seed| {
        let config = SimConfig { metadata, ..config(500) };
        run_with(seed, config, |host| async move {
            let io = host.boot();
            for name in ["/a", "/b", "/c"] {
                io.disk().open(Path::new(name), OpenOptions::CREATE_NEW).await.unwrap();
            }
            host.power_loss();
            let names = host.files();
            names.iter().map(|(path, _)| path.display().to_string()).collect()
        })
    };
    (0..60).map(one).collect()
}

#[test]
fn a_journal_keeps_a_prefix_of_names_and_a_loose_disk_any_of_them() {
    let list = |text: &str| text.chars().map(|name| format!("/{name}")).collect::<Vec<_>>();
    let prefixes = ["", "a", "ab", "abc"].map(list);
    assert_eq!(names_left(Metadata::Journal), BTreeSet::from(prefixes));
    let loose = names_left(Metadata::Loose);
    assert!(loose.len() == 8, "{loose:?}");
}

#[test]
fn a_rename_may_survive_while_the_data_under_it_does_not() {
    let one = |seed| {
        run_with(seed, config(500), |host| async move {
            host.put_file("/old", b"old");
            let io = host.boot();
            let fresh = Path::new("/new.tmp");
            let file = io.disk().open(fresh, OpenOptions::CREATE_NEW).await.unwrap();
            write(&file, 7, 0, 3).await;
            io.disk().rename(fresh, Path::new("/old")).await.unwrap();
            host.power_loss();
            host.durable_image("/old").unwrap()
        })
    };
    let found: BTreeSet<Vec<u8>> = (0..60).map(one).collect();
    assert!(found.contains(b"old".as_slice()), "atomic: the old content");
    assert!(found.contains(&vec![7; 3]), "or the new");
    assert!(found.contains(&Vec::new()) || found.contains(&vec![0; 3]), "or what was not synced");
}

#[test]
fn sixteen_mebibytes_ahead_cost_nothing() {
    run_with(1, config(500), |host| async move {
        host.put_file(LOG, b"");
        for round in 0..100 {
            let file = open(&host).await;
            file.allocate(16 << 20).await.unwrap();
            file.zero_range(0, 16 << 20).await.unwrap();
            write(&file, 1, round * 100, 100).await;
            file.sync_data().await.unwrap();
            host.power_loss();
        }
        assert_eq!(host.files(), [(LOG.into(), 16 << 20)]);
    });
}

#[test]
fn a_file_nobody_syncs_stays_bounded() {
    run_with(1, config(0), |host| async move {
        host.put_file(LOG, &[0; 4_096]);
        let file = open(&host).await;
        let limit = crate::limits::SIM_PENDING_CHANGES;
        for _ in 0..limit + 2 {
            write(&file, 1, 0, 1).await;
        }
        assert_eq!(host.durable_image(LOG).unwrap()[0], 1, "written back by the kernel");
    });
}
