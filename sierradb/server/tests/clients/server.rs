//! The built `sierradb` on a free port with a directory of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take on a slow machine before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const READY: &str = "ready to receive connections on 127.0.0.1:";
/// Lines of log that wait for nobody to read them.
const LOG_LINES_MAX: usize = 10_000;

/// A server process; killed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The log up to the line that says ready.
    pub(crate) start_log: Vec<String>,
    child: Child,
    _dir: TempDir,
}

impl Server {
    /// A server with an empty directory.
    pub(crate) fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sierradb"))
            .args(["--dir", "./data", "--client-address", "127.0.0.1:0"])
            .current_dir(dir.path()) // where no sierra.toml lies
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = sync_channel(LOG_LINES_MAX);
        let log = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut start_log = Vec::new();
        let port = loop {
            let line = lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("never ready: {start_log:?}"));
            start_log.push(line.clone());
            if let Some((_, port)) = line.split_once(READY) {
                break port.trim().parse().unwrap();
            }
        };
        Self { port, start_log, child, _dir: dir }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
