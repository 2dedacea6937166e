use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::sim::{SimConfig, SimHost, Survival, Yields, run_with};
use crate::{DiskError, DiskErrorKind, File, Io, OpenOptions};

const LOG: &str = "/log";

fn config() -> SimConfig {
    SimConfig {
        survival: Survival::Permille(0),
        yields: Yields::Never,
        cache_miss_permille: 0,
        ..SimConfig::default()
    }
}

/// Runs `body` with a durable log of 8 KiB of ones.
fn with_log<F: Future<Output = ()>>(
    config: SimConfig,
    body: impl FnOnce(SimHost, Io, Arc<dyn File>) -> F,
) {
    run_with(7, config, |host| async move {
        host.put_file(LOG, &[1; 8_192]);
        let io = host.boot();
        let file = io.disk().open(Path::new(LOG), OpenOptions::WRITE).await.unwrap();
        body(host, io, file).await;
    });
}

fn on(op: DiskOp, after: u64, fault: OpFault) -> Fault {
    Fault::On { op, target: Target::Path(LOG.into()), after, fault }
}

async fn write(
    file: &Arc<dyn File>,
    byte: u8,
    range: std::ops::Range<u64>,
) -> Result<(), DiskError> {
    let len = usize::try_from(range.end - range.start).unwrap();
    file.write_all_at(vec![Bytes::from(vec![byte; len])], range.start).await
}

async fn read(file: &Arc<dyn File>, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
    let (bytes, count) = file.read_at(BytesMut::zeroed(len), offset).await;
    count.map(|_| bytes.to_vec())
}

async fn open(io: &Io, options: OpenOptions) -> Arc<dyn File> {
    io.disk().open(Path::new(LOG), options).await.unwrap()
}

#[test]
fn a_failed_sync_loses_pages_that_the_cache_still_shows() {
    with_log(config(), |host, io, file| async move {
        write(&file, 2, 0..8_192).await.unwrap();
        host.inject(on(DiskOp::Sync, 0, OpFault::Eio));
        assert_eq!(file.sync_data().await.unwrap_err().kind, DiskErrorKind::Io);
        assert_eq!(read(&file, 0, 8_192).await.unwrap(), [2; 8_192], "visible until evicted");
        let durable = host.durable_image(LOG).unwrap();
        let landed = durable.chunks(512).filter(|sector| *sector == [2; 512]).count();
        assert!((1..16).contains(&landed), "{landed} of 16 sectors landed");
        // The next process would be told that all is well.
        host.kill();
        let io_again = host.boot();
        let again = open(&io_again, OpenOptions::WRITE).await;
        again.sync_data().await.unwrap();
        assert_eq!(host.durable_image(LOG).unwrap(), durable, "and nothing was written");
        assert_eq!(read(&again, 0, 8_192).await.unwrap(), [2; 8_192]);
        let direct = open(&io_again, OpenOptions { direct: true, ..OpenOptions::READ }).await;
        assert_eq!(read(&direct, 0, 8_192).await.unwrap(), durable, "the device knows better");
        drop(io);
    });
}

#[test]
fn a_length_outlives_a_failed_sync_in_the_journal() {
    with_log(config(), |host, _, file| async move {
        write(&file, 2, 8_192..9_000).await.unwrap();
        host.inject(on(DiskOp::Sync, 0, OpFault::Eio));
        file.sync_data().await.unwrap_err();
        assert_eq!(host.durable_image(LOG).unwrap().len(), 8_192);
        host.kill();
        let file = open(&host.boot(), OpenOptions::WRITE).await;
        write(&file, 3, 8_500..8_600).await.unwrap();
        file.sync_data().await.unwrap();
        let durable = host.durable_image(LOG).unwrap();
        assert_eq!(durable.len(), 9_000);
        assert_eq!(durable[8_500..8_600], [3; 100]);
    });
}

#[test]
fn a_failed_sync_poisons_every_handle_until_the_process_restarts() {
    with_log(config(), |host, io, file| async move {
        let other = open(&io, OpenOptions::WRITE).await;
        host.inject(on(DiskOp::Sync, 0, OpFault::Eio));
        file.sync_data().await.unwrap_err();
        for error in [
            write(&other, 3, 0..10).await.unwrap_err(),
            other.sync_data().await.unwrap_err(),
            other.allocate(10_000).await.unwrap_err(),
            other.zero_range(0, 1).await.unwrap_err(),
            other.set_len(1).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, DiskErrorKind::Poisoned, "{error}");
        }
        read(&other, 0, 10).await.unwrap();
        host.kill();
        let again = open(&host.boot(), OpenOptions::WRITE).await;
        write(&again, 3, 0..10).await.unwrap();
    });
}

#[test]
fn a_failed_write_is_applied_in_part_and_poisons() {
    with_log(config(), |host, _, file| async move {
        host.inject(on(DiskOp::Write, 1, OpFault::Eio));
        write(&file, 2, 0..10).await.unwrap();
        let error = write(&file, 3, 0..8_000).await.unwrap_err();
        assert_eq!((error.kind, error.offset), (DiskErrorKind::Io, Some(0)));
        let seen = read(&file, 0, 8_000).await.unwrap();
        let applied = seen.iter().take_while(|byte| **byte == 3).count();
        assert!((1..8_000).contains(&applied));
        assert_eq!(file.sync_data().await.unwrap_err().kind, DiskErrorKind::Poisoned);
    });
}

#[test]
fn a_latent_sector_fails_reads_until_it_is_written_again() {
    with_log(config(), |host, _, file| async move {
        host.inject(Fault::LatentSector { path: LOG.into(), offset: 1_030 });
        for _ in 0..2 {
            let error = read(&file, 0, 4_096).await.unwrap_err();
            assert_eq!((error.kind, error.offset), (DiskErrorKind::Io, Some(1_024)));
        }
        assert_eq!(file.try_read_at(&mut [0; 10], 1_030), Ok(None));
        read(&file, 1_536, 100).await.unwrap();
        write(&file, 4, 1_024..1_100).await.unwrap();
        read(&file, 1_024, 10).await.unwrap_err();
        write(&file, 4, 1_024..1_536).await.unwrap();
        assert_eq!(read(&file, 1_024, 512).await.unwrap(), [4; 512]);
    });
}

#[test]
fn a_read_can_discover_a_latent_sector() {
    with_log(config(), |host, _, file| async move {
        host.inject(on(DiskOp::Read, 0, OpFault::LatentSector));
        read(&file, 600, 10).await.unwrap_err();
        read(&file, 520, 10).await.unwrap_err();
        read(&file, 0, 512).await.unwrap();
    });
}

#[test]
fn rot_is_durable_and_small() {
    with_log(config(), |host, io, file| async move {
        host.inject(Fault::BitRot { path: LOG.into(), offset: 2_000, bits: 3 });
        host.power_loss();
        let image = host.durable_image(LOG).unwrap();
        let flipped: u32 = image.iter().map(|byte| (byte ^ 1).count_ones()).sum();
        assert!((1..=3).contains(&flipped));
        let place = image.iter().position(|byte| *byte != 1).unwrap();
        assert!((1_536..2_048).contains(&place));
        drop((io, file));
    });
}

#[test]
fn rot_met_by_a_read_is_seen_by_it() {
    with_log(config(), |host, _, file| async move {
        host.inject(on(DiskOp::Read, 0, OpFault::BitRot));
        assert_ne!(read(&file, 0, 8_192).await.unwrap(), [1; 8_192]);
    });
}

#[test]
fn a_phantom_write_is_acknowledged_synced_and_gone() {
    with_log(config(), |host, io, file| async move {
        host.inject(on(DiskOp::Write, 0, OpFault::Phantom));
        write(&file, 2, 0..4_096).await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(read(&file, 0, 4_096).await.unwrap(), [2; 4_096]);
        let direct = open(&io, OpenOptions { direct: true, ..OpenOptions::READ }).await;
        assert_eq!(read(&direct, 0, 4_096).await.unwrap(), [1; 4_096]);
        write(&file, 5, 0..512).await.unwrap();
        file.sync_data().await.unwrap();
        host.power_loss();
        let image = host.durable_image(LOG).unwrap();
        assert_eq!(image[..512], [5; 512]);
        assert_eq!(image[512..4_096], [1; 3_584]);
    });
}

#[test]
fn a_misdirected_write_strikes_another_place_and_leaves_its_own() {
    with_log(config(), |host, _, file| async move {
        host.put_file("/victim", &[9; 4_096]);
        let path = Some("/victim".into());
        host.inject(on(DiskOp::Write, 0, OpFault::Misdirected { path, offset: 512 }));
        write(&file, 2, 0..512).await.unwrap();
        file.sync_data().await.unwrap();
        host.power_loss();
        assert_eq!(host.durable_image(LOG).unwrap(), [1; 8_192]);
        let victim = host.durable_image("/victim").unwrap();
        assert_eq!(victim[512..1_024], [2; 512]);
        assert_eq!((victim[511], victim[1_024]), (9, 9));
    });
}

#[test]
fn a_lying_flush_keeps_its_set_for_the_next_real_one() {
    with_log(config(), |host, _, file| async move {
        host.inject(on(DiskOp::Sync, 0, OpFault::LyingFlush));
        write(&file, 2, 0..8_192).await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(host.durable_image(LOG).unwrap(), [1; 8_192]);
        file.sync_data().await.unwrap();
        assert_eq!(host.durable_image(LOG).unwrap(), [2; 8_192]);
    });
}

#[test]
fn a_full_disk_refuses_growth_may_strike_inside_a_write_and_stays_full_for_a_while() {
    let config = SimConfig { capacity_bytes: 20_000, full_until_free_bytes: 10_000, ..config() };
    with_log(config, |host, io, file| async move {
        let space = io.disk().space(Path::new("/")).await.unwrap();
        assert_eq!((space.free_bytes, space.total_bytes), (20_000 - 8_192, 20_000));
        let error = write(&file, 2, 8_000..30_000).await.unwrap_err();
        assert_eq!(error.kind, DiskErrorKind::NoSpace);
        assert!(file.len().await.unwrap() <= 8_192, "only what had its place was written");
        write(&file, 3, 0..8_192).await.unwrap();
        file.sync_data().await.unwrap();
        io.disk().create_dir(Path::new("/d")).await.unwrap();
        assert!(file.allocate(19_000).await.is_ok(), "free bytes are above the mark again");
        file.allocate(20_001).await.unwrap_err();
        let refused = io.disk().open(Path::new("/new"), OpenOptions::CREATE_NEW).await;
        assert_eq!(refused.err().unwrap().kind, DiskErrorKind::NoSpace, "1,000 are not enough");
        let to = Path::new("/renamed");
        assert_eq!(
            io.disk().rename(Path::new(LOG), to).await.unwrap_err().kind,
            DiskErrorKind::NoSpace
        );
        file.set_len(8_192).await.unwrap();
        io.disk().rename(Path::new(LOG), to).await.unwrap();
        host.inject(Fault::Fill { free_bytes: 10 });
        write(&file, 2, 8_192..9_000).await.unwrap_err();
        host.inject(Fault::Free);
        write(&file, 2, 8_192..9_000).await.unwrap();
    });
}

#[test]
fn operations_stall_and_slow_down() {
    with_log(config(), |host, io, file| async move {
        host.inject(on(DiskOp::Sync, 0, OpFault::Stall(Duration::from_millis(300))));
        let start = io.clock().now();
        file.sync_data().await.unwrap();
        assert_eq!(io.clock().now().since(start), Duration::from_millis(300));
        host.inject(Fault::Stall(Duration::from_secs(2)));
        file.len().await.unwrap();
        assert_eq!(io.clock().now().since(start), Duration::from_millis(2_300));
        host.inject(Fault::Slow { factor: 20, duration: Duration::from_millis(30) });
        file.len().await.unwrap();
        file.len().await.unwrap();
        file.len().await.unwrap();
        assert_eq!(io.clock().now().since(start), Duration::from_millis(2_340));
    });
}

#[test]
fn names_fail_with_the_number_they_were_given() {
    with_log(config(), |host, io, _| async move {
        for errno in [5, 24, 13] {
            host.inject(on(DiskOp::Open, 0, OpFault::Errno(errno)));
            let failed = io.disk().open(Path::new(LOG), OpenOptions::READ).await;
            assert_eq!(failed.err().unwrap().errno, Some(errno));
        }
        let any = |op| Fault::On { op, target: Target::Any, after: 0, fault: OpFault::Eio };
        host.inject(any(DiskOp::List));
        let root = Path::new("/");
        assert_eq!(io.disk().list(root).await.unwrap_err().kind, DiskErrorKind::Io);
        host.inject(any(DiskOp::Rename));
        io.disk().rename(Path::new(LOG), Path::new("/other")).await.unwrap_err();
        assert_eq!(io.disk().list(root).await.unwrap().len(), 1, "each struck once");
        assert_eq!(host.faults_struck()["errno"], 3);
    });
}

#[test]
fn a_target_is_one_path_a_suffix_or_all() {
    let path = Path::new("/data/b0/7.seg");
    assert!(Target::Any.matches(path));
    assert!(Target::Suffix(".seg".into()).matches(path));
    assert!(!Target::Suffix(".idx".into()).matches(path));
    assert!(Target::Path(path.into()).matches(path));
    assert!(!Target::Path("/data".into()).matches(path));
}

#[test]
fn faults_by_chance_strike_about_as_often_as_told_and_always_alike() {
    let struck = |seed| {
        let rates = FaultRates {
            sync_eio: 100_000,
            read_latent: 100_000,
            write_eio: 100_000,
            open_error: 100_000,
            ..FaultRates::default()
        };
        run_with(seed, SimConfig { rates, ..config() }, |host| async move {
            host.put_file(LOG, &[1; 8_192]);
            for _ in 0..200 {
                let io = host.boot();
                let Ok(file) = io.disk().open(Path::new(LOG), OpenOptions::WRITE).await else {
                    continue;
                };
                write(&file, 2, 0..8_192).await.ok();
                read(&file, 0, 10).await.ok();
                file.sync_data().await.ok();
            }
            host.faults_struck()
        })
    };
    let first = struck(1);
    assert_eq!(struck(1), first);
    assert_ne!(struck(2), first);
    for (class, range) in [("eio", 10..60), ("latent-sector", 5..40), ("errno", 5..45)] {
        assert!(range.contains(&first[class]), "{first:?}");
    }
}

#[test]
fn drawn_rates_leave_half_of_the_classes_out_and_never_lie() {
    let mut on = 0;
    for seed in 0..100 {
        let rates = FaultRates::drawn(seed);
        assert_eq!(rates.lying_flush, 0);
        on += u32::from(rates.sync_eio > 0) + u32::from(rates.stall > 0);
    }
    assert!((70..130).contains(&on));
}
