//! A disk without space: appends are refused with MISCONF, everything else goes on, and appends return with the space.
//!
//! Where this process may mount, a small file system is really filled. Elsewhere the configured minimum of free space
//! is set above what the disk has, which takes the same path through the server except for the failing allocation.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests of the real thing need real sockets, files, processes and time, and fail by panics"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Smaller than a step in which space is made ready, so a step is a segment.
const SEGMENT_SIZE_BYTES: u64 = 256 << 10;

struct Process {
    child: Child,
    /// Kept so that the log has where to go.
    _stdout: BufReader<ChildStdout>,
    addr: SocketAddr,
}

impl Process {
    fn start(dir: &Path, min_free_bytes: u64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sierradb"))
            .env_clear()
            .env("SIERRA_SEGMENT_SIZE_BYTES", SEGMENT_SIZE_BYTES.to_string())
            .env("SIERRA_STORAGE_MIN_FREE_BYTES", min_free_bytes.to_string())
            .args(["--client-address", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut log = String::new();
        let addr = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "not ready: {log}");
            if let Some((_, addr)) = line.trim_end().split_once("ready to receive connections on ")
            {
                break addr.parse().unwrap();
            }
            log.push_str(&line);
        };
        Self { child, _stdout: stdout, addr }
    }

    fn end(mut self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone unless the test fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A connection without HELLO: RESP2 replies, subscription frames with `>`. Replies are kept as their lines.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(process: &Process) -> Self {
        let stream = TcpStream::connect(process.addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn call(&mut self, line: &str) -> Vec<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    /// All lines of a reply or frame; a bulk string is a line of its own.
    fn reply(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut left = 1usize;
        while left > 0 {
            left -= 1;
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed after {lines:?}");
            let line = line.trim_end().to_owned();
            let (kind, rest) = line.split_at(1);
            match kind {
                "*" | ">" => left += rest.parse::<usize>().unwrap(),
                "$" if rest != "-1" => {
                    let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                    self.0.read_exact(&mut bytes).unwrap();
                    bytes.truncate(bytes.len() - 2);
                    lines.push(String::from_utf8(bytes).unwrap());
                    continue;
                }
                _ => {}
            }
            lines.push(line);
        }
        lines
    }

    fn append(&mut self) -> Result<(), String> {
        let reply = self.call(&format!("EAPPEND s A PAYLOAD {}", "x".repeat(4000)));
        match reply.first() {
            Some(first) if first.starts_with('-') => Err(first.clone()),
            _ => Ok(()),
        }
    }

    /// Version of the last event of the stream.
    fn version(&mut self) -> Option<u64> {
        self.call("ESVER s").first().unwrap().strip_prefix(':')?.parse().ok()
    }

    /// How many events a scan of the whole stream shows.
    fn scanned(&mut self) -> u64 {
        let (mut next, mut found) = (0u64, 0);
        loop {
            let reply = self.call(&format!("ESCAN s {next} + COUNT 500"));
            let events = reply.iter().filter(|line| *line == "+stream_version").count() as u64;
            (found, next) = (found + events, next + events);
            if reply.get(2).unwrap() == ":0" {
                return found;
            }
        }
    }

    /// Frames of a subscription until the cursor is `last`.
    fn follow(&mut self, last: u64) {
        loop {
            let frame = self.reply();
            assert!(!frame.iter().any(|line| line == "+error" || line == "+end"), "{frame:?}");
            if frame.get(1).unwrap() == "+message" && *frame.get(3).unwrap() == format!(":{last}") {
                return;
            }
        }
    }
}

/// A small file system of its own, gone with this value; `None` where mounting is not permitted.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(at.path())
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then_some(Self { at })
    }

    fn ballast(&self) -> PathBuf {
        self.at.path().join("ballast")
    }

    /// Takes all space but `leave` bytes.
    fn fill(&self, leave: u64) {
        let mut file = std::fs::File::create(self.ballast()).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        let len = file.metadata().unwrap().len();
        file.set_len(len.saturating_sub(leave)).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is left mounted is small, and in memory.
        drop(Command::new("umount").arg("-l").arg(self.at.path()).status());
    }
}

/// Appends until one is refused; returns how many were not.
fn append_until_full(connection: &mut Connection) -> u64 {
    for count in 0..10_000 {
        if let Err(text) = connection.append() {
            assert!(text.starts_with("-MISCONF disk is nearly full: "), "{text}");
            return count;
        }
    }
    panic!("the disk never was full");
}

/// The figures of a refusal: bytes free, and how many it takes until appends return.
fn free_and_needed(text: &str) -> (u64, u64) {
    let (_, figures) = text.split_once("nearly full: ").unwrap();
    let (free, rest) = figures.split_once(" bytes free, ").unwrap();
    let (needed, rest) = rest.split_once(' ').unwrap();
    assert_eq!(rest, "needed; appends are refused");
    (free.parse().unwrap(), needed.parse().unwrap())
}

/// Appends again and again until one is stored: the server looks for space once a second.
fn append_once_there_is_space(connection: &mut Connection) {
    let begun = Instant::now();
    while let Err(text) = connection.append() {
        let (free, needed) = free_and_needed(&text);
        assert!(free < needed, "no reason to refuse: {text}");
        assert!(begun.elapsed() < PATIENCE, "space returned, appends did not");
    }
}

/// Reads and a live subscription see `stored` events while appends are refused.
fn check_full(process: &Process, stored: u64) {
    let mut connection = Connection::open(process);
    assert!(connection.append().unwrap_err().starts_with("-MISCONF "));
    assert_eq!(connection.version(), stored.checked_sub(1));
    assert_eq!(connection.scanned(), stored);
    connection.call("ESUB s FROM 0");
    connection.follow(stored - 1);
}

#[test]
fn a_full_disk_refuses_appends_and_nothing_else() {
    match SmallDisk::mount() {
        Some(disk) => {
            println!("on a file system of 12 MiB, really filled");
            for leave in [0, 300 << 10] {
                really_full(&disk, leave);
            }
        }
        None => {
            println!("mounting is not permitted: the configured minimum is above the free space");
            below_the_minimum(tempfile::tempdir().unwrap().path());
        }
    }
}

fn really_full(disk: &SmallDisk, leave: u64) {
    let dir = disk.at.path().join(format!("data-{leave}"));
    let process = Process::start(&dir, leave / 2);
    let mut connection = Connection::open(&process);
    let mut live = Connection::open(&process);
    live.call("ESUB s FROM 0");
    for _ in 0..20 {
        connection.append().unwrap();
    }
    disk.fill(leave);
    let mut stored = 20 + append_until_full(&mut connection);
    let (_, needed) = free_and_needed(&connection.append().unwrap_err());
    let allowed = [SEGMENT_SIZE_BYTES, leave / 2 + SEGMENT_SIZE_BYTES];
    assert!(allowed.contains(&needed), "{needed} is no limit of this server: {allowed:?}");
    live.follow(stored - 1);
    check_full(&process, stored);

    // The same after a restart on the full disk, tidy or not.
    process.end(if leave == 0 { "KILL" } else { "TERM" });
    let process = Process::start(&dir, leave / 2);
    let mut connection = Connection::open(&process);
    stored += append_until_full(&mut connection);
    check_full(&process, stored);

    let mut live = Connection::open(&process);
    live.call(&format!("ESUB s FROM {stored}"));
    disk.free();
    append_once_there_is_space(&mut connection);
    for _ in 0..100 {
        connection.append().unwrap();
    }
    stored += 101;
    live.follow(100);
    process.end("KILL");
    let process = Process::start(&dir, 0);
    let mut connection = Connection::open(&process);
    assert_eq!((connection.version(), connection.scanned()), (Some(stored - 1), stored));
    process.end("TERM");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn below_the_minimum_of_free_space_appends_are_refused_and_nothing_else() {
    below_the_minimum(tempfile::tempdir().unwrap().path());
}

fn below_the_minimum(dir: &Path) {
    let process = Process::start(dir, 0);
    let mut connection = Connection::open(&process);
    for _ in 0..30 {
        connection.append().unwrap();
    }
    process.end("KILL");
    let process = Process::start(dir, 1 << 60);
    let mut connection = Connection::open(&process);
    let stored = 30 + append_until_full(&mut connection);
    check_full(&process, stored);
    process.end("TERM");
    let process = Process::start(dir, 0);
    let mut connection = Connection::open(&process);
    append_once_there_is_space(&mut connection);
    assert_eq!(connection.version(), Some(stored));
    process.end("TERM");
}
