//! Names, locks and space on the real file system.

use bytes::Bytes;

use super::*;
use crate::os::wait;

#[test]
fn a_lock_has_one_holder_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let (one, other) = (OsDisk::new(), OsDisk::new());
    let held = wait(one.lock(&path)).unwrap();
    for disk in [&one, &other] {
        let error = wait(disk.lock(&path)).unwrap_err();
        assert_eq!((error.op, error.kind), (DiskOp::Lock, DiskErrorKind::Locked));
    }
    drop(held);
    drop(wait(other.lock(&path)).unwrap());
}

#[test]
fn a_lock_excludes_other_processes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    if let Some(wanted) = std::env::var_os("SIERRADB_TEST_LOCK") {
        // The other process: take it, or say why not.
        wait(OsDisk::new().lock(Path::new(&wanted))).unwrap();
        return;
    }
    let other_process = || {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "os::disk::tests::a_lock_excludes_other_processes", "--nocapture"])
            .env("SIERRADB_TEST_LOCK", &path)
            .output()
            .unwrap()
    };
    let held = wait(OsDisk::new().lock(&path)).unwrap();
    let refused = other_process();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("Locked"), "{said}");
    drop(held);
    assert!(other_process().status.success(), "free again");
}

#[test]
fn names_are_listed_by_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    for name in ["b", "a", "é", "Z"] {
        let file = wait(disk.open(&dir.path().join(name), OpenOptions::CREATE_NEW)).unwrap();
        wait(file.write_all_at(vec![Bytes::from_static(b"xyz")], 0)).unwrap();
    }
    wait(disk.create_dir(&dir.path().join("d"))).unwrap();
    wait(disk.sync_dir(dir.path())).unwrap();
    let entries = wait(disk.list(dir.path())).unwrap();
    let names: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.kind, e.len)).collect();
    assert_eq!(
        names,
        [
            ("Z", EntryKind::File, 3),
            ("a", EntryKind::File, 3),
            ("b", EntryKind::File, 3),
            ("d", EntryKind::Dir, 0),
            ("é", EntryKind::File, 3),
        ]
    );
}

#[test]
fn each_mode_of_opening_keeps_its_word() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    let path = dir.path().join("f");
    let kind = |options| wait(disk.open(&path, options)).map(drop).map_err(|error| error.kind);
    assert_eq!(kind(OpenOptions::READ), Err(DiskErrorKind::NotFound));
    assert_eq!(kind(OpenOptions::WRITE), Err(DiskErrorKind::NotFound));
    assert_eq!(kind(OpenOptions::OPEN_OR_CREATE), Ok(()));
    assert_eq!(kind(OpenOptions::CREATE_NEW), Err(DiskErrorKind::Exists));
    assert_eq!(kind(OpenOptions::OPEN_OR_CREATE), Ok(()));
    assert_eq!(kind(OpenOptions::READ), Ok(()));
}

#[test]
fn a_directory_is_no_file_and_says_so_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    for options in [OpenOptions::READ, OpenOptions::WRITE, OpenOptions::OPEN_OR_CREATE] {
        let error = wait(disk.open(dir.path(), options)).map(drop).unwrap_err();
        assert_eq!((error.kind, error.errno), (DiskErrorKind::Other, Some(21)), "{options:?}");
    }
    let file = dir.path().join("f");
    wait(disk.open(&file, OpenOptions::CREATE_NEW)).unwrap();
    assert_eq!(wait(disk.sync_dir(&file)).unwrap_err().errno, Some(20));
}

#[test]
fn renames_replace_and_open_handles_outlive_names() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let old = wait(disk.open(&b, OpenOptions::CREATE_NEW)).unwrap();
    wait(old.write_all_at(vec![Bytes::from_static(b"old")], 0)).unwrap();
    let new = wait(disk.open(&a, OpenOptions::CREATE_NEW)).unwrap();
    wait(disk.rename(&a, &b)).unwrap();
    assert_eq!(wait(new.len()), Ok(0));
    assert_eq!(wait(old.len()), Ok(3), "replaced, still open");
    wait(disk.remove(&b)).unwrap();
    assert_eq!(wait(disk.remove(&b)).unwrap_err().kind, DiskErrorKind::NotFound);
    wait(new.write_all_at(vec![Bytes::from_static(b"x")], 0)).unwrap();
    assert_eq!(wait(disk.list(dir.path())), Ok(vec![]));
}

#[tokio::test]
async fn a_shared_task_may_look_but_not_touch() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    wait(disk.open(&dir.path().join("f"), OpenOptions::CREATE_NEW)).unwrap();
    assert_eq!(disk.list(dir.path()).await.unwrap().len(), 1);
    assert!(disk.open(&dir.path().join("f"), OpenOptions::READ).await.is_ok());
    let space = disk.space(dir.path()).await.unwrap();
    assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes, "{space:?}");
    let made = dir.path().join("d");
    let touch = tokio::spawn(async move { disk.create_dir(&made).await });
    assert!(touch.await.unwrap_err().is_panic());
}

#[test]
fn a_lock_is_released_behind_the_writes_that_nobody_waits_for() {
    let dir = tempfile::tempdir().unwrap();
    let disk = OsDisk::new();
    let file = wait(disk.open(&dir.path().join("f"), OpenOptions::CREATE_NEW)).unwrap();
    let lock = wait(disk.lock(&dir.path().join("lock"))).unwrap();
    let writes = Arc::clone(&disk.helpers.writes);
    let under_way = writes.begin();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            drop(lock);
            tell.send(()).unwrap();
        });
        let early = told.recv_timeout(std::time::Duration::from_millis(50));
        assert!(early.is_err(), "the lock was released over a write");
        drop(under_way);
        told.recv().unwrap();
    });
    let lock = wait(disk.lock(&dir.path().join("lock"))).unwrap();
    let hanging = writes.begin();
    drop(lock);
    let early = wait(disk.lock(&dir.path().join("lock"))).unwrap_err();
    assert_eq!(early.kind, DiskErrorKind::Locked, "given up over a write");
    drop(hanging);
    wait(disk.lock(&dir.path().join("lock"))).unwrap();
    let big = Bytes::from(vec![7; 8 << 20]);
    let lock = wait(disk.lock(&dir.path().join("other"))).unwrap();
    drop(file.begin_durable_write(Box::new(|| vec![big]), 0));
    drop(lock);
    let before = wait(file.len());
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(wait(file.len()), before, "the file still grew");
}
