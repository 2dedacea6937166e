//! Threads, tasks and their ends.

use std::sync::Mutex;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::*;
use crate::Io;
use crate::os::OsOptions;

const NAME: TaskName = TaskName { role: "test", key: 7 };

/// Says when it is dropped.
struct Dropped(Arc<Mutex<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

#[tokio::test]
async fn waiting_works_inside_a_runtime() {
    let outer = String::from("borrowed");
    let got = wait(async {
        assert!(is_dedicated());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        outer.len()
    });
    assert_eq!(got, 8);
    assert!(!is_dedicated() && !may_block(), "the caller's thread is what it was");
}

#[test]
fn waiting_passes_a_panic_on() {
    let caught = catch_unwind(|| wait(async { panic!("inside") }));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"inside"));
}

#[test]
fn dedicated_tasks_have_a_named_thread_they_may_block() {
    let io = Io::os();
    let (tell, told) = mpsc::sync_channel(1);
    let task = io.spawner().dedicated(
        NAME,
        Box::pin(async move {
            let thread = thread::current().name().map(str::to_owned);
            tell.send((thread, is_dedicated())).unwrap();
        }),
    );
    assert_eq!(told.recv().unwrap(), (Some("test-7".to_owned()), true));
    wait(task.finished());
    assert!(task.is_finished());
}

#[test]
fn a_blocked_dedicated_thread_stalls_nobody_else() {
    let io = Io::os();
    let (unblock, blocked) = mpsc::sync_channel::<()>(1);
    let stuck = io.spawner().dedicated(NAME, Box::pin(async move { blocked.recv().unwrap() }));
    let (done, shared) = oneshot::channel();
    io.spawner().spawn(
        NAME,
        Box::pin(async move {
            assert!(!may_block(), "shared tasks must not block");
            done.send(()).unwrap();
        }),
    );
    wait(shared).unwrap();
    assert!(!stuck.is_finished());
    unblock.send(()).unwrap();
    wait(stuck.finished());
}

#[test]
fn cancelled_tasks_are_dropped_before_they_count_as_finished() {
    let io = Io::os();
    for dedicated in [false, true] {
        let flag = Arc::new(Mutex::new(false));
        let owned = Dropped(Arc::clone(&flag));
        let (tell, told) = oneshot::channel();
        let body = Box::pin(async move {
            let _owned = owned;
            tell.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        let spawner = io.spawner();
        let task =
            if dedicated { spawner.dedicated(NAME, body) } else { spawner.spawn(NAME, body) };
        wait(told).unwrap();
        assert!(!task.is_finished());
        task.cancel();
        let other = task.clone();
        wait(async { tokio::join!(task.finished(), other.finished()) });
        assert!(*flag.lock().unwrap(), "dedicated: {dedicated}");
    }
}

#[test]
fn embedded_a_panic_ends_its_task_alone() {
    let io = Io::os();
    for dedicated in [false, true] {
        let body = Box::pin(async { panic!("one task's end") });
        let spawner = io.spawner();
        let task =
            if dedicated { spawner.dedicated(NAME, body) } else { spawner.spawn(NAME, body) };
        wait(task.finished());
    }
    let alive = io.spawner().spawn(NAME, Box::pin(async {}));
    wait(alive.finished());
}

#[test]
fn in_a_server_a_panic_ends_the_process() {
    if std::env::var_os("SIERRADB_TEST_PANIC").is_some() {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let io = Io::os_on(runtime.handle().clone(), OsOptions::default());
        let task = io.spawner().spawn(NAME, Box::pin(async { panic!("the server's end") }));
        wait(task.finished());
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "os::task::tests::in_a_server_a_panic_ends_the_process", "--nocapture"])
        .env("SIERRADB_TEST_PANIC", "1")
        .output()
        .unwrap();
    assert_eq!(child.status.code(), None, "ended by a signal");
    let said = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(said.contains("fatal: task test-7 panicked"), "{said}");
}

#[tokio::test]
async fn the_last_handle_may_be_dropped_anywhere() {
    let io = Io::os();
    let inside = io.clone();
    let task = io.spawner().spawn(NAME, Box::pin(async move { drop(inside) }));
    drop(io); // inside a runtime, and the task may drop the very last one on its own thread
    wait(task.finished());
}
