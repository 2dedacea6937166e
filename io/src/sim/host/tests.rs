use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};

use super::*;
use crate::sim::{Survival, TraceLevel, Yields, run, run_with};
use crate::{File, OpenOptions};

const DIR: &str = "/data";
const LOG: &str = "/data/log";

fn name(role: &'static str) -> TaskName {
    TaskName { role, key: 0 }
}

fn config(survival: u32) -> SimConfig {
    SimConfig { survival: Survival::Permille(survival), ..SimConfig::default() }
}

async fn create(io: &Io) -> Arc<dyn File> {
    io.disk().create_dir(Path::new(DIR)).await.unwrap();
    let file = io.disk().open(Path::new(LOG), OpenOptions::CREATE_NEW).await.unwrap();
    io.disk().sync_dir(Path::new(DIR)).await.unwrap();
    io.disk().sync_dir(Path::new("/")).await.unwrap();
    file
}

async fn write(file: &Arc<dyn File>, bytes: &'static [u8], offset: u64) {
    file.write_all_at(vec![Bytes::from_static(bytes)], offset).await.unwrap();
}

async fn read_all(io: &Io, path: &str) -> Vec<u8> {
    let file = io.disk().open(Path::new(path), OpenOptions::READ).await.unwrap();
    let len = usize::try_from(file.len().await.unwrap()).unwrap();
    let (bytes, read) = file.read_at(BytesMut::zeroed(len), 0).await;
    assert_eq!(read.unwrap(), len);
    bytes.to_vec()
}

#[test]
fn synced_bytes_survive_a_power_loss_and_unsynced_ones_need_luck() {
    run_with(1, config(0), |host| async move {
        let file = create(&host.boot()).await;
        write(&file, b"synced", 0).await;
        file.sync_data().await.unwrap();
        write(&file, b" and more", 6).await;
        host.power_loss();
        assert_eq!(read_all(&host.boot(), LOG).await, b"synced");
    });
}

#[test]
fn a_kill_keeps_what_was_written() {
    run_with(1, config(0), |host| async move {
        let file = create(&host.boot()).await;
        write(&file, b"never synced", 0).await;
        host.kill();
        assert_eq!(read_all(&host.boot(), LOG).await, b"never synced");
        host.power_loss();
        assert_eq!(read_all(&host.boot(), LOG).await, b"");
    });
}

#[test]
fn an_operation_of_a_dead_boot_stays_pending() {
    run(1, |host| async move {
        let file = create(&host.boot()).await;
        host.kill();
        let io = host.boot();
        assert!(io.timeout(Duration::from_secs(9), file.sync_data()).await.is_none());
        let mut buf = [0; 4];
        assert_eq!(file.try_read_at(&mut buf, 0), Ok(None));
        assert_eq!(host.open_handles(), 0);
    });
}

#[test]
fn tasks_of_a_dead_boot_are_never_polled_again() {
    for dead_tasks in [DeadTasks::Abort, DeadTasks::Hold] {
        let config = SimConfig { dead_tasks, ..SimConfig::default() };
        let polls = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&polls);
        run_with(1, config, |host| async move {
            let io = host.boot();
            let ticking = io.clone();
            io.spawner().spawn(
                name("ticker"),
                Box::pin(async move {
                    loop {
                        seen.fetch_add(1, Ordering::Relaxed);
                        ticking.sleep(Duration::from_millis(1)).await;
                    }
                }),
            );
            io.sleep(Duration::from_millis(10)).await;
            host.power_loss();
            let before = polls.load(Ordering::Relaxed);
            assert!(before > 0);
            host.boot().sleep(Duration::from_millis(50)).await;
            assert_eq!(polls.load(Ordering::Relaxed), before);
            let live = u64::from(dead_tasks == DeadTasks::Hold);
            assert_eq!(host.task_counts()["ticker"], TaskCount { live, started: 1 });
        });
    }
}

#[test]
fn a_pause_holds_tasks_and_a_resume_lets_them_go_on() {
    run(3, |host| async move {
        let io = host.boot();
        host.pause();
        let task = io.spawner().spawn(name("one"), Box::pin(async {}));
        io.sleep(Duration::from_secs(1)).await;
        assert!(!task.is_finished());
        host.resume();
        task.finished().await;
    });
}

#[test]
fn a_lock_ends_with_its_process() {
    run(1, |host| async move {
        let io = host.boot();
        let path = Path::new("/LOCK");
        let held = io.disk().lock(path).await.unwrap();
        let second = io.disk().lock(path).await.unwrap_err();
        assert_eq!(second.kind, crate::DiskErrorKind::Locked);
        drop(held);
        let _held = io.disk().lock(path).await.unwrap();
        host.kill();
        host.boot().disk().lock(path).await.unwrap();
    });
}

#[test]
fn every_completion_can_be_the_last() {
    let work = |io: Io| async move {
        let file = create(&io).await;
        write(&file, b"12345678", 0).await;
        file.sync_data().await.unwrap();
        io.disk().rename(Path::new(LOG), Path::new("/data/new")).await.unwrap();
    };
    let total = run(5, |host| async move {
        work(host.boot()).await;
        host.completions()
    });
    assert_eq!(total, 7);
    for n in 1..=total {
        run(5, |host| async move {
            let io = host.boot();
            host.crash_at(CrashPoint::Completion(n), CrashKind::Power);
            assert!(host.until_crash(work(io)).await.is_none(), "crash {n}");
            assert_eq!(host.completions(), n);
            let io = host.boot();
            assert!(host.until_crash(io.disk().list(Path::new("/"))).await.is_some());
        });
    }
}

#[test]
fn a_sync_that_may_be_torn_can_be_the_last() {
    let lives = |bytes: &'static [u8], at: u64| async move {
        let config = SimConfig { survival: Survival::Permille(0), ..SimConfig::default() };
        let host = SimHost::new(1, config);
        let io = host.boot();
        host.crash_at(CrashPoint::Unsynced("log", 2), CrashKind::Power);
        let work = async {
            let file = create(&io).await;
            for offset in [0, at] {
                write(&file, bytes, offset).await;
                file.sync_data().await.unwrap();
            }
        };
        let is_over = host.until_crash(work).await.is_none();
        let mut found = [0];
        host.read_durable(LOG, at, &mut found);
        (is_over, found[0])
    };
    run(1, |_| async move {
        assert_eq!(lives(&[7; 600], 1_024).await, (true, 0), "nothing of the second");
        assert_eq!(lives(&[7; 512], 1_024).await, (false, 7), "one sector is not torn");
        assert_eq!(lives(&[0; 600], 1_024).await, (false, 0), "nor are zeros over zeros");
    });
}

#[test]
fn a_time_a_sync_and_a_mark_can_be_the_last() {
    run(1, |host| async move {
        let io = host.boot();
        host.crash_at(CrashPoint::Time(Duration::from_secs(3)), CrashKind::Kill);
        host.crash_at(CrashPoint::Mark("roll", 2), CrashKind::Kill);
        assert!(host.until_crash(io.sleep(Duration::from_secs(60))).await.is_none());
        assert_eq!(host.world_time(), Duration::from_secs(3));

        let io = host.boot();
        host.crash_at(CrashPoint::Mark("roll", 2), CrashKind::Power);
        io.mark(crate::site!("roll"));
        assert!(host.is_up());
        io.mark(crate::site!("roll"));
        assert!(!host.is_up());
        io.mark(crate::site!("roll"));
        assert_eq!(host.mark_hits("roll"), 2, "the dead are not heard");

        let io = host.boot();
        host.crash_at(CrashPoint::Sync(1), CrashKind::Power);
        let work = async {
            let file = create(&io).await;
            file.len().await.unwrap();
            file.sync_data().await
        };
        assert!(host.until_crash(work).await.is_none());
    });
}

async fn busy_life(host: SimHost) -> u128 {
    for _ in 0..3 {
        let io = host.boot();
        let mut tasks = Vec::new();
        for key in 0..4 {
            let inner = io.clone();
            let body = async move {
                let path = PathBuf::from(format!("/file-{key}"));
                let file = inner.disk().open(&path, OpenOptions::OPEN_OR_CREATE).await.unwrap();
                let mut draw = inner.entropy().stream("test", key);
                for _ in 0..5 {
                    let byte = u8::try_from(draw.below(256)).unwrap();
                    let bytes = Bytes::from(vec![byte; 700]);
                    file.write_all_at(vec![bytes], draw.below(4_000)).await.unwrap();
                    inner.chaos(crate::site!("between")).await;
                    file.sync_data().await.unwrap();
                    inner.event("synced", &[("key", key), ("at", inner.clock().now().0)]);
                }
            };
            tasks.push(io.spawner().spawn(TaskName { role: "busy", key }, Box::pin(body)));
        }
        for task in &tasks {
            task.finished().await;
        }
        host.power_loss();
    }
    for (path, _) in host.files() {
        let content = host.durable_image(path).unwrap();
        host.note("file", &[("hash", xxhash_rust::xxh3::xxh3_64(&content))]);
    }
    host.trace_hash()
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let config = SimConfig { trace: TraceLevel::Disk, ..SimConfig::swarm(seed) };
        let first = run_with(seed, config.clone(), busy_life);
        assert_eq!(run_with(seed, config, busy_life), first, "seed {seed}");
        hashes.insert(first);
    }
    assert_eq!(hashes.len(), 20);
}

#[test]
fn yields_change_the_order_of_tasks() {
    let order = |seed, yields| {
        let config = SimConfig { yields, ..SimConfig::default() };
        run_with(seed, config, |host| async move {
            let io = host.boot();
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = Vec::new();
            for key in 0..8 {
                let order = Arc::clone(&order);
                let body = async move { order.lock().unwrap().push(key) };
                tasks.push(io.spawner().spawn(TaskName { role: "racer", key }, Box::pin(body)));
            }
            for task in tasks {
                task.finished().await;
            }
            order.lock().unwrap().clone()
        })
    };
    assert_eq!(order(1, Yields::Never), (0..8).collect::<Vec<_>>());
    let orders: std::collections::BTreeSet<_> =
        (0..10).map(|seed| order(seed, Yields::OneIn(2))).collect();
    assert!(orders.len() > 5, "{orders:?}");
}

#[test]
#[should_panic(expected = "task doomed-0: seven is odd")]
fn a_panicking_task_fails_its_run() {
    run(1, |host| async move {
        let io = host.boot();
        io.spawner().spawn(name("doomed"), Box::pin(async { panic!("seven is odd") }));
        std::future::pending::<()>().await;
    });
}

#[test]
#[should_panic(expected = "never comes")]
fn a_body_that_waits_for_nothing_fails_its_run() {
    run(1, |_| std::future::pending::<()>());
}

#[test]
fn clocks_drift_jump_and_freeze() {
    run(1, |host| async move {
        let io = host.boot();
        let (now, wall) = (io.clock().now(), io.clock().wall());
        io.sleep(Duration::from_secs(10)).await;
        assert_eq!(io.clock().now().since(now), Duration::from_secs(10));
        assert_eq!(io.clock().wall().0, wall.0 + 10_000);
        host.clock_jump(-30_000);
        assert_eq!(io.clock().wall().0, wall.0 - 20_000);
        host.clock_freeze(Duration::from_secs(2));
        io.sleep(Duration::from_secs(1)).await;
        assert_eq!(io.clock().wall().0, wall.0 - 20_000);
        io.sleep(Duration::from_secs(1)).await;
        assert_eq!(io.clock().wall().0, wall.0 - 18_000);
        host.clock_drift(500);
        let (now, world) = (io.clock().now(), host.world_time());
        io.sleep(Duration::from_secs(2_000)).await;
        assert!(io.clock().now().since(now) >= Duration::from_secs(2_000));
        assert_eq!((host.world_time() - world).as_secs(), 1_999);
    });
}

#[test]
fn a_knob_keeps_its_least_value_and_a_mutant_its_name() {
    let mutants = std::collections::BTreeSet::from(["skip_sync".to_owned()]);
    let config = SimConfig { knobs: crate::sim::Seeded::On, mutants, ..SimConfig::default() };
    let mut odd = 0;
    for seed in 0..64 {
        let host = SimHost::new(seed, config.clone());
        let io = host.boot();
        let value = io.knob(crate::site!("batch"), 4_096, 2);
        assert!((2..=4_096).contains(&value));
        odd += u32::from(value != 4_096);
        let probe = SimProbe::new(Arc::clone(&host.shared), 1);
        assert!(crate::Probe::mutant(&probe, "mutant/skip_sync"));
        assert!(!crate::Probe::mutant(&probe, "mutant/retry_sync"));
    }
    assert!((4..40).contains(&odd), "{odd} of 64");
}

#[test]
fn disks_can_be_swapped_and_wiped() {
    let (left, right) = (
        SimHost::new(1, SimConfig::default()),
        SimHost::new(1, SimConfig { host: 1, ..SimConfig::default() }),
    );
    left.put_file("/a/b/left", b"left");
    right.put_file("/right", b"right");
    left.swap_disks(&right);
    assert_eq!(left.files(), [(PathBuf::from("/right"), 5)]);
    assert_eq!(right.durable_image("/a/b/left").unwrap(), b"left");
    right.wipe();
    assert!(right.files().is_empty());
}

#[test]
fn sockets_in_memory_carry_bytes_and_close_with_their_process() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let config = SimConfig { net_chunk_bytes: 3, ..SimConfig::default() };
    run_with(1, config, |host| async move {
        let io = host.boot();
        let listener = io.net().bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().port();
        assert!(io.net().bind(listener.local_addr()).await.is_err());
        io.spawner().spawn(
            name("echo"),
            Box::pin(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 11];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
                std::future::pending::<()>().await;
            }),
        );
        let client = host.net();
        let mut stream = client.connect("anywhere", port).await.unwrap();
        stream.write_all(b"hello world").await.unwrap();
        let mut bytes = [0; 11];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello world");
        host.kill();
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 0);
        assert!(client.connect("anywhere", port).await.is_err());
    });
}

#[test]
fn a_dedicated_task_stalls_where_the_host_says_so() {
    let took = |stall_one_in| {
        let config = SimConfig { dedicated_stall_one_in: stall_one_in, ..SimConfig::default() };
        run_with(1, config, |host| async move {
            let io = host.boot();
            let body = async {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            };
            io.spawner().dedicated(name("writer"), Box::pin(body)).finished().await;
            host.world_time()
        })
    };
    assert_eq!(took(0), Duration::ZERO);
    assert!(took(2) > Duration::from_millis(20));
}

#[test]
fn a_hand_on_the_disk_leaves_what_is_unsynced_alone() {
    run_with(1, config(0), |host| async move {
        let io = host.boot();
        let file = create(&io).await;
        write(&file, b"0123456789", 0).await;
        file.sync_data().await.unwrap();
        write(&file, b"ab", 0).await;
        assert!(host.overwrite(LOG, 1, b"XYZ"));
        assert!(!host.overwrite(LOG, 8, b"XYZ"));
        assert_eq!(host.current_image(LOG).unwrap(), b"abYZ456789");
        let mut seen = [1; 4];
        assert_eq!(host.read_current(LOG, 8, &mut seen), Some(10));
        assert_eq!(seen, *b"89\0\0");
        assert_eq!(host.read_current("/data/none", 0, &mut seen), None);
        assert_eq!(host.durable_image(LOG).unwrap(), b"0XYZ456789");
        host.make_dir("/data/deep/er");
        assert_eq!(io.disk().list(Path::new("/data/deep")).await.unwrap().len(), 1);
        assert!(host.remove_file("/data/deep/er"));
        assert!(!host.remove_file("/data/deep/er"));
    });
}
