//! What only the machine can show; what both worlds share is in `tests/conformance`.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::os::{OsDisk, wait};
use crate::{Disk, OpenMode, OpenOptions, limits};

fn fresh() -> (TempDir, OsDisk, Arc<dyn File>) {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    let file = wait(disk.open(&dir.path().join("f"), OpenOptions::CREATE_NEW)).unwrap();
    (dir, disk, file)
}

fn open(disk: &OsDisk, path: &str, options: OpenOptions) -> Arc<dyn File> {
    wait(disk.open(Path::new(path), options)).unwrap()
}

fn content(file: &dyn File) -> Vec<u8> {
    wait(content_of(file))
}

async fn content_of(file: &dyn File) -> Vec<u8> {
    let len = usize::try_from(file.len().await.unwrap()).unwrap();
    let (bytes, read) = file.read_at(BytesMut::zeroed(len + 7), 0).await;
    assert_eq!(read, Ok(len), "short only at the end");
    bytes.to_vec()
}

#[test]
fn many_slices_arrive_in_order_whatever_one_call_takes() {
    let (_dir, _disk, file) = fresh();
    let bufs: Vec<Bytes> = (0..SLICES_PER_CALL * 3 + 5)
        .map(|n| Bytes::from(vec![u8::try_from(n).unwrap(); n % 7]))
        .collect();
    let expected = bufs.concat();
    wait(file.write_all_at(bufs, 3)).unwrap();
    assert_eq!(content(&*file)[3..], expected);
    assert_eq!(content(&*file)[..3], [0; 3]);
}

#[test]
fn writing_nothing_changes_nothing() {
    let (_dir, _disk, file) = fresh();
    wait(file.write_all_at(vec![], 9)).unwrap();
    wait(file.write_all_at(vec![Bytes::new(), Bytes::new()], 9)).unwrap();
    wait(file.zero_range(9, 0)).unwrap();
    wait(file.allocate(0)).unwrap();
    assert_eq!(wait(file.len()), Ok(0));
}

#[test]
fn reads_beyond_the_end_are_short_on_every_path() {
    let (_dir, _disk, file) = fresh();
    wait(file.write_all_at(vec![Bytes::from_static(b"abcdef")], 0)).unwrap();
    let (bytes, read) = wait(file.read_at(BytesMut::zeroed(10), 4));
    assert_eq!((&bytes[..], read), (&b"ef"[..], Ok(2)));
    let (bytes, read) = wait(file.read_at(BytesMut::zeroed(10), 400));
    assert_eq!((&bytes[..], read), (&b""[..], Ok(0)));
    let mut buf = [9; 10];
    if let Some(count) = file.try_read_at(&mut buf, 4).unwrap() {
        assert_eq!((count, &buf[..2]), (2, &b"ef"[..]));
    }
}

#[tokio::test]
async fn a_shared_task_reads_through_the_reader_threads() {
    let (_dir, _disk, file) = fresh();
    wait(file.write_all_at(vec![Bytes::from_static(b"abcdef")], 0)).unwrap();
    let (bytes, read) = file.read_at(BytesMut::zeroed(3), 1).await;
    assert_eq!((&bytes[..], read), (&b"bcd"[..], Ok(3)));
}

#[test]
fn what_was_just_written_is_read_without_waiting_where_the_file_system_can() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    let opened = Opened { file, path, id: (0, 0), can_write: true, is_direct: false };
    let file = OsFile::new(opened, Arc::default(), Arc::new(Helpers::new(1)));
    wait(file.write_all_at(vec![Bytes::from(vec![7; 20_000])], 0)).unwrap();
    let mut buf = vec![0; 20_000];
    match file.try_read_at(&mut buf, 0).unwrap() {
        Some(count) => assert_eq!((count, buf), (20_000, vec![7; 20_000])),
        None => assert!(file.inner.always_waits.load(Ordering::Relaxed), "it lies in the cache"),
    }
    // Where such reads are unknown, nobody asks again.
    file.inner.always_waits.store(true, Ordering::Relaxed);
    assert_eq!(file.try_read_at(&mut [0; 4], 0), Ok(None));
}

#[test]
fn direct_handles_never_answer_from_the_cache() {
    let (dir, disk, file) = fresh();
    wait(file.write_all_at(vec![Bytes::from_static(b"abcdef")], 0)).unwrap();
    wait(file.sync_data()).unwrap();
    let options = OpenOptions { direct: true, ..OpenOptions::READ };
    let direct = wait(disk.open(&dir.path().join("f"), options)).unwrap();
    assert_eq!(direct.try_read_at(&mut [0; 4], 0), Ok(None));
    assert_eq!(content(&*direct), b"abcdef");
}

#[test]
fn zeroed_ranges_read_as_zeros_and_extend_the_file() {
    for len in [1, 65_536, 3 << 20] {
        let (_dir, _disk, file) = fresh();
        wait(file.write_all_at(vec![Bytes::from(vec![1; 100_000])], 0)).unwrap();
        wait(file.zero_range(99_000, len)).unwrap();
        let bytes = content(&*file);
        let end = 99_000 + usize::try_from(len).unwrap();
        assert_eq!(bytes.len(), end.max(100_000), "zeroed {len}");
        assert!(bytes[..99_000].iter().all(|byte| *byte == 1), "before {len} zeros");
        assert!(bytes[99_000..end].iter().all(|byte| *byte == 0), "inside {len} zeros");
        assert!(bytes[end..].iter().all(|byte| *byte == 1), "behind {len} zeros");
    }
}

#[test]
fn allocating_reserves_blocks_and_never_shrinks() {
    use std::os::unix::fs::MetadataExt;
    let (dir, _disk, file) = fresh();
    wait(file.write_all_at(vec![Bytes::from_static(b"abc")], 0)).unwrap();
    wait(file.allocate(1 << 20)).unwrap();
    assert_eq!(wait(file.len()), Ok(1 << 20));
    assert_eq!(content(&*file)[..4], *b"abc\0");
    let blocks = fs::metadata(dir.path().join("f")).unwrap().blocks();
    assert!(blocks * 512 >= 1 << 20, "{blocks} blocks of 512 bytes");
    wait(file.allocate(10)).unwrap();
    assert_eq!(wait(file.len()), Ok(1 << 20));
    wait(file.set_len(2)).unwrap();
    assert_eq!(content(&*file), b"ab");
}

#[test]
fn a_read_only_handle_refuses_writes_by_itself() {
    let (dir, disk, _file) = fresh();
    let reader = wait(disk.open(&dir.path().join("f"), OpenOptions::READ)).unwrap();
    let error = wait(reader.write_all_at(vec![Bytes::from_static(b"x")], 0)).unwrap_err();
    assert_eq!((error.kind, error.op), (DiskErrorKind::ReadOnly, DiskOp::Write));
    assert_eq!(wait(reader.set_len(1)).unwrap_err().kind, DiskErrorKind::ReadOnly);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_keeps_its_number_and_poisons_nothing() {
    let disk = OsDisk::new();
    let full = open(&disk, "/dev/full", OpenOptions::WRITE);
    for _ in 0..2 {
        let error = wait(full.write_all_at(vec![Bytes::from_static(b"x")], 5)).unwrap_err();
        assert_eq!(error.kind, DiskErrorKind::NoSpace);
        assert_eq!(error.errno, Some(28));
        assert_eq!(error.to_string(), "write /dev/full at offset 5: no space left (os error 28)");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_sync_closes_the_file_to_writes_through_every_handle() {
    let disk = OsDisk::new();
    // This device refuses to sync.
    let (one, other) = (
        open(&disk, "/dev/full", OpenOptions::WRITE),
        open(&disk, "/dev/full", OpenOptions::OPEN_OR_CREATE),
    );
    let failed = wait(one.sync_data()).unwrap_err();
    assert_eq!((failed.op, failed.kind), (DiskOp::Sync, DiskErrorKind::Other));
    let later = open(&disk, "/dev/full", OpenOptions::WRITE);
    for file in [&one, &other, &later] {
        let write = wait(file.write_all_at(vec![Bytes::from_static(b"x")], 0)).unwrap_err();
        assert_eq!(write.kind, DiskErrorKind::Poisoned);
        assert_eq!(wait(file.sync_data()).unwrap_err().kind, DiskErrorKind::Poisoned);
        assert_eq!(wait(file.zero_range(0, 1)).unwrap_err().kind, DiskErrorKind::Poisoned);
        let (bytes, read) = wait(file.read_at(BytesMut::zeroed(4), 0));
        assert_eq!((&bytes[..], read), (&[0; 4][..], Ok(4)), "reads go on");
    }
    let second_life = open(&OsDisk::new(), "/dev/full", OpenOptions::WRITE);
    let error = wait(second_life.write_all_at(vec![Bytes::from_static(b"x")], 0)).unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::NoSpace, "only a restart forgets");
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_failure_in_a_write_poisons() {
    let disk = OsDisk::new();
    // Nothing is mapped at address zero: the kernel answers EIO.
    let memory = open(&disk, "/proc/self/mem", OpenOptions::WRITE);
    let error = wait(memory.write_all_at(vec![Bytes::from_static(b"x")], 0)).unwrap_err();
    assert_eq!((error.kind, error.errno), (DiskErrorKind::Io, Some(5)));
    assert_eq!(wait(memory.sync_data()).unwrap_err().kind, DiskErrorKind::Poisoned);
}

#[test]
fn a_new_file_on_a_poisoned_files_inode_is_healthy() {
    let (dir, disk, file) = fresh();
    let path = dir.path().join("f");
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path).unwrap();
        (metadata.dev(), metadata.ino())
    };
    let id = inode(&path);
    disk.poison_for_tests(id);
    assert_eq!(wait(file.sync_data()).unwrap_err().kind, DiskErrorKind::Poisoned);
    let written = wait(file.begin_durable_write(Box::new(|| vec![Bytes::from_static(b"x")]), 0));
    assert_eq!(written.unwrap_err().kind, DiskErrorKind::Poisoned);
    assert_eq!(wait(file.len()), Ok(0), "a poisoned file is left alone");
    drop(file);
    wait(disk.remove(&path)).unwrap();
    for number in 0..50 {
        let again = dir.path().join(format!("again-{number}"));
        let mode = if number % 2 == 0 { OpenMode::CreateNew } else { OpenMode::OpenOrCreate };
        let options = OpenOptions { mode, ..OpenOptions::CREATE_NEW };
        let file = wait(disk.open(&again, options)).unwrap();
        assert_eq!(wait(file.sync_data()), Ok(()), "{:?} after {id:?}", inode(&again));
    }
}

#[test]
fn buffers_longer_than_a_call_are_written_whole_and_in_order() {
    let (_dir, _disk, file) = fresh();
    let lens = [1, BYTES_PER_CALL - 1, BYTES_PER_CALL, 0, 3 * BYTES_PER_CALL + 7, 100];
    let buf = |(number, len): (u8, usize)| {
        Bytes::from((0..len).map(|at| number.wrapping_add(at.to_le_bytes()[0])).collect::<Vec<_>>())
    };
    let bufs: Vec<Bytes> = (1u8..).zip(lens).map(buf).collect();
    wait(file.write_all_at(bufs.clone(), 0)).unwrap();
    assert!(content(file.as_ref()) == bufs.concat());
}

#[tokio::test]
async fn a_durable_write_may_be_begun_where_a_write_would_stall_others() {
    let (_dir, _disk, file) = fresh();
    let bufs = || Box::new(|| vec![Bytes::from_static(b"be"), Bytes::from_static(b"gun")]);
    let begun = [file.begin_durable_write(bufs(), 0), file.begin_durable_write(bufs(), 5)];
    for begun in begun {
        assert_eq!(begun.await, Ok(()));
    }
    assert_eq!(content_of(file.as_ref()).await, b"begunbegun");
}

/// Fills the sync threads and their queue with work that waits for the lock.
fn jam(helpers: &Helpers, lock: &Arc<std::sync::Mutex<()>>) -> Vec<impl Sized + use<>> {
    let mut waiting = Vec::new(); // without them the jobs would be skipped
    while waiting.len() < limits::SYNC_THREADS + limits::SYNC_QUEUE {
        let lock = Arc::clone(lock);
        match helpers.syncers.try_place() {
            Some(place) => waiting.push(helpers.syncers.begin(place, move || drop(lock.lock()))),
            None => std::thread::yield_now(), // a thread has yet to take its first job
        }
    }
    waiting
}

#[test]
fn with_too_many_writes_waiting_the_next_is_done_on_the_spot() {
    let lock = Arc::default();
    let held = std::sync::Mutex::lock(&lock).unwrap();
    let helpers = Arc::new(Helpers::new(1));
    let _waiting = jam(&helpers, &lock);
    let writes = Arc::clone(&helpers.writes);
    let file = tempfile::tempfile().unwrap();
    let opened = Opened { file, path: "f".into(), id: (1, 1), can_write: true, is_direct: false };
    let poison = Arc::new(PoisonSet::default());
    let file = OsFile::new(opened, Arc::clone(&poison), helpers);
    let write = || {
        let writes = Arc::clone(&writes);
        let make = move || {
            assert_eq!(writes.count(), 1, "until it is over, the directory stays locked");
            vec![Bytes::from_static(b"here")]
        };
        wait(file.begin_durable_write(Box::new(make), 0))
    };
    assert_eq!(write(), Ok(()));
    assert_eq!(wait(file.len()), Ok(4));
    assert_eq!(writes.count(), 0);
    poison.insert((1, 1));
    assert_eq!(write().unwrap_err().kind, DiskErrorKind::Poisoned);
    drop(held); // before the helpers: their threads end
}

#[tokio::test]
#[should_panic(expected = "would stall a shared runtime thread")]
async fn writing_from_a_shared_runtime_thread_is_a_bug() {
    let (_dir, _disk, file) = fresh();
    drop(file.write_all_at(vec![Bytes::from_static(b"x")], 0).await);
}

#[tokio::test]
#[should_panic(expected = "would stall a shared runtime thread")]
async fn syncing_from_a_shared_runtime_thread_is_a_bug() {
    let (_dir, _disk, file) = fresh();
    drop(file.sync_data().await);
}
