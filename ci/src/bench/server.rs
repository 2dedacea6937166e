//! Starts and stops the two servers.

use super::request::Kind;
use crate::error::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server must be ready after so long, also with data to look through.
const START_MAX: Duration = Duration::from_secs(300);
/// And gone after so long.
const STOP_MAX: Duration = Duration::from_secs(60);
/// Of /proc/<pid>/stat behind the name: user and system time follow each other there.
const USER_TICKS_FIELD: usize = 11;
/// The unit of these times, the same on all architectures of Linux.
const MILLIS_PER_TICK: u64 = 10;
const READY: &str = "ready to receive connections on ";

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// From the start of the process until it answered.
    pub(crate) started_in: Duration,
    child: Child,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGTERM: it may tidy up.
    Polite,
    /// SIGKILL, as a crash.
    Kill,
}

impl Server {
    /// Starts a server on a free port with its data in `dir`, which is created if it is missing.
    pub(crate) fn start(kind: Kind, binary: &Path, dir: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(Failure::file(dir))?;
        match kind {
            Kind::SierraDb => start_sierradb(binary, dir),
            Kind::Redis => start_redis(binary, dir),
        }
    }

    /// Bytes of memory in use now.
    pub(crate) fn resident_bytes(&self) -> Result<u64, Failure> {
        let path = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
        let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib = kib.trim().trim_end_matches("kB").trim();
        kib.parse::<u64>().map(|kib| kib * 1024).map_err(|error| Failure::Output {
            command: path.display().to_string(),
            what: error.to_string(),
        })
    }

    /// Time that its threads have run so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let path = PathBuf::from(format!("/proc/{}/stat", self.child.id()));
        let text = std::fs::read_to_string(&path).map_err(Failure::file(&path))?;
        let behind_name = text.rsplit_once(')').map_or("", |(_, behind)| behind);
        let ticks: u64 = behind_name
            .split_whitespace()
            .skip(USER_TICKS_FIELD)
            .take(2)
            .filter_map(|word| word.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * MILLIS_PER_TICK))
    }

    /// Ends the server and waits until it is gone.
    pub(crate) fn stop(mut self, end: End) -> Result<(), Failure> {
        let signal = if end == End::Polite { Signal::TERM } else { Signal::KILL };
        let gone = |source| Failure::Start { command: "kill".to_owned(), source };
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, signal).map_err(|errno| gone(errno.into()))?;
        }
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if self.child.try_wait().map_err(gone)?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(gone(std::io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only where the process is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start_sierradb(binary: &Path, dir: &Path) -> Result<Server, Failure> {
    let mut command = Command::new(binary);
    command.arg("--dir").arg(dir).args(["--client-address", "127.0.0.1:0", "--log", "info"]);
    // Settings of the caller must not reach the server.
    command.current_dir(dir).env_remove("SIERRA_DIR").stdout(Stdio::piped());
    let line = format!("{} --dir {}", binary.display(), dir.display());
    let started = Instant::now();
    let mut child =
        command.spawn().map_err(|source| Failure::Start { command: line.clone(), source })?;
    let mut lines =
        BufReader::new(child.stdout.take().into_iter().next().ok_or_else(|| no_output(&line))?);
    let (mut text, mut seen) = (String::new(), String::new());
    let address = loop {
        text.clear();
        let read = lines.read_line(&mut text).unwrap_or(0);
        if read == 0 || started.elapsed() > START_MAX {
            child.kill().ok();
            child.wait().ok();
            return Err(Failure::Output { command: line, what: seen });
        }
        if let Some((_, address)) = text.split_once(READY) {
            match address.trim().parse() {
                Ok(address) => break address,
                Err(_) => return Err(Failure::Output { command: line, what: text }),
            }
        }
        seen.push_str(&text);
    };
    let started_in = started.elapsed();
    // Somebody must read on, or the server's log fills its pipe.
    thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    Ok(Server { kind: Kind::SierraDb, address, started_in, child })
}

fn no_output(line: &str) -> Failure {
    Failure::Output { command: line.to_owned(), what: "nothing".to_owned() }
}

fn start_redis(binary: &Path, dir: &Path) -> Result<Server, Failure> {
    let address =
        free_address().map_err(|source| Failure::Start { command: "bind".to_owned(), source })?;
    let line = format!("{} --port {}", binary.display(), address.port());
    let settings =
        ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
    let mut command = Command::new(binary);
    // Rewriting its file in the middle of a round would be to its disadvantage.
    command.args(["--auto-aof-rewrite-percentage", "0"]);
    command.args(["--port", &address.port().to_string()]).args(settings).arg("--dir").arg(dir);
    command.stdout(Stdio::null());
    let started = Instant::now();
    let child =
        command.spawn().map_err(|source| Failure::Start { command: line.clone(), source })?;
    let mut server = Server { kind: Kind::Redis, address, started_in: Duration::ZERO, child };
    while started.elapsed() < START_MAX {
        if answers(address) {
            server.started_in = started.elapsed();
            return Ok(server);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(no_output(&line))
}

/// True once PING is answered with PONG, so not while Redis loads its file.
fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut reply = [0; 5];
    stream.write_all(b"PING\r\n").is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && &reply == b"+PONG"
}

/// A port that was free a moment ago. Redis cannot choose one by itself.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
