//! The binary: flags, log, exit codes, signals, and death at any moment.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use sierradb_protocol::Value;

use crate::harness::{Client, get, integer, items, request, text};

struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    log: Vec<String>,
    addr: SocketAddr,
}

fn command(dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sierradb"));
    command.env_clear().current_dir(dir).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    /// Starts the binary and waits until it is ready.
    fn start(dir: &Path, more: &[&str]) -> Self {
        Self::launch(command(
            dir,
            &[&["--dir", "./data", "--client-address", "127.0.0.1:0"], more].concat(),
        ))
    }

    fn launch(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut log = Vec::new();
        let ready = "INFO sierradb: ready to receive connections on ";
        let addr = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "ended before it was ready: {log:?}");
            let line = line.trim_end().to_owned();
            log.push(line.clone());
            if let Some(addr) = line.strip_prefix(ready) {
                break addr.parse().unwrap();
            }
        };
        Self { child, stdout, log, addr }
    }

    fn resp3(&self) -> Client {
        let mut client = Client::connect(self.addr);
        client.call("HELLO 3");
        client
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; returns what was logged since "ready" and how it ended.
    fn end(mut self) -> (Vec<String>, ExitStatus) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest.lines().map(str::to_owned).collect(), self.child.wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone in most tests.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Exit code and last line of a start that is refused.
fn refused(dir: &Path, more: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let output = command(dir, more).envs(environment.iter().copied()).output().unwrap();
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(!log.contains("ready to receive"), "{log}");
    (output.status.code().unwrap(), log.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn the_log_of_a_start_and_a_stop_is_that_of_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &[]);
    assert_eq!(process.log[0], "INFO sierradb: SierraDB 0.4.0, data directory ./data");
    assert_eq!(
        process.log[1],
        "INFO sierradb_cluster: recalculating partition assignments with 1 active nodes"
    );
    assert_eq!(process.log[2], "INFO sierradb_cluster: node 0 owns 32/32 partitions as replicas");
    assert!(process.log[3].starts_with("INFO sierradb_net: local_peer_id=12D3KooW"));
    assert_eq!(process.log[4], "INFO sierradb_net: no peers configured, running as a single node");
    assert_eq!(process.log.len(), 6);
    let mut client = process.resp3();
    for _ in 0..1_000 {
        client.send("EAPPEND s A");
    }
    for _ in 0..1_000 {
        assert!(matches!(client.reply(), Value::Map(_)));
    }
    process.signal("TERM");
    let (log, status) = process.end();
    assert_eq!(
        log,
        ["INFO sierradb: received SIGTERM, shutting down gracefully", "INFO sierradb: goodbye :)"]
    );
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_second_signal_ends_a_stop_that_takes_long() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &[]);
    let mut lazy = process.resp3();
    let megabyte = vec![b'x'; 1 << 20];
    (0..12).for_each(|_| lazy.raw(&request(&[b"ECHO", &megabyte])));
    lazy.wait_for_bytes();
    process.signal("TERM");
    lazy.wait_for_end_of_service(process.addr);
    process.signal("INT");
    let (log, status) = process.end();
    assert_eq!(log, ["INFO sierradb: received SIGTERM, shutting down gracefully"]);
    assert_eq!(status.code(), Some(130));
}

#[test]
fn configurations_that_cannot_work_exit_with_1_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.toml"), "[network]\nclient_adress = 'x'").unwrap();
    std::fs::write(dir.path().join("sync.toml"), "[bucket]\ncount = 64").unwrap();
    for (flags, expected) in [
        (
            &["-c", "bad.toml"][..],
            "unknown key 'network.client_adress' in bad.toml; did you mean 'network.client_address'?",
        ),
        (&["-c", "sync.toml"], "too few partitions (32) for 64 buckets"),
        (&["--client-address", "nonsense"], "invalid client address: nonsense"),
        (&["-n", "3", "-i", "3"], "node index 3 is out of bounds for count 3"),
        (
            &["-n", "3"],
            "node.index is required when node.count > 1 (use --node-index or set it in the config file)",
        ),
        (
            &["-n", "3", "-i", "0"],
            "this version runs a single node: node.count is 3 with 0 seeds, expected 1 and none",
        ),
    ] {
        let flags = [&["--dir", "./data"], flags].concat();
        let line = format!("ERROR sierradb: config error: {expected}");
        assert_eq!(refused(dir.path(), &flags, &[]), (1, line), "{flags:?}");
    }
    let environment = [("SIERRA_SEGMENT_SIZE_BYTES", "1000"), ("SIERRA_DIR", "./data")];
    let line =
        "ERROR sierradb: config error: segment size 1000 is too small (minimum: 131072 bytes)";
    assert_eq!(refused(dir.path(), &[], &environment), (1, line.to_owned()));
    assert_eq!(refused(dir.path(), &["--no-such-flag"], &[]).0, 2);
    assert!(!dir.path().join("data").exists());
}

#[test]
fn help_and_version_exit_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let help = command(dir.path(), &["--help"]).output().unwrap();
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for flag in [
        "--dir",
        "--client-address",
        "--cluster-address",
        "--config",
        "--log",
        "--node-count",
        "--node-index",
        "--seed",
        "--mdns",
        "--help",
        "--version",
        "Examples:",
    ] {
        assert!(text.contains(flag), "{flag} is missing in {text}");
    }
    let version = command(dir.path(), &["--version"]).output().unwrap();
    assert_eq!(String::from_utf8(version.stdout).unwrap(), "sierradb 0.4.0\n");
}

#[test]
fn a_port_or_directory_in_use_is_one_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flags = ["--dir", "./data", "--client-address", &address];
    let line = format!("ERROR sierradb: cannot listen on {address}: Address already in use");
    assert_eq!(refused(dir.path(), &flags, &[]), (1, line));

    let _first = Process::start(dir.path(), &[]);
    let flags = ["--dir", "./data", "--client-address", "127.0.0.1:0"];
    let line = "ERROR sierradb: data directory ./data is in use by another process";
    assert_eq!(refused(dir.path(), &flags, &[]), (1, line.to_owned()));
}

#[test]
fn fixed_sizes_cannot_be_changed_later() {
    let dir = tempfile::tempdir().unwrap();
    drop(Process::start(dir.path(), &[]));
    let flags = ["--dir", "./data", "--client-address", "127.0.0.1:0"];
    let line = "ERROR sierradb: partition.count is 64 but the data directory was created with 32; \
                it cannot be changed";
    let environment = [("SIERRA_PARTITION_COUNT", "64")];
    assert_eq!(refused(dir.path(), &flags, &environment), (1, line.to_owned()));
}

#[test]
fn old_configurations_start() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("sierra.toml"),
        "dir = './data'\n[network]\nclient_address = '127.0.0.1:0'\n[threads]\nwrite = 3\n\
         [replication]\nfactor = 3\n[sync]\nidle_interval_ms = 50\n",
    )
    .unwrap();
    let process = Process::launch(command(dir.path(), &[]));
    assert!(
        process.log.contains(
            &"WARN sierradb: config key 'sync.idle_interval_ms' has no effect".to_owned()
        )
    );
    assert!(matches!(process.resp3().call("EAPPEND s A"), Value::Map(_)));
}

#[test]
fn a_killed_server_has_every_event_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut process = Process::start(dir.path(), &[]);
        let mut client = process.resp3();
        let events = items(&get(&client.call("ESCAN s - + COUNT 100000"), "events"));
        let found = i64::try_from(events.len()).unwrap();
        assert!(found >= acknowledged, "{found} events of {acknowledged} acknowledged ones");
        for (at, event) in events.iter().enumerate() {
            assert_eq!(text(&get(event, "payload")), at.to_string());
        }
        let more = 300;
        let appends: Vec<u8> = (found..found + more)
            .flat_map(|at| {
                request(&[b"EAPPEND", b"s", b"E", b"PAYLOAD", at.to_string().as_bytes()])
            })
            .collect();
        client.raw(&appends);
        for at in found..found + more / 2 {
            assert_eq!(integer(&get(&client.reply(), "stream_version")), at);
        }
        acknowledged = found + more / 2;
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }
}

/// Names of the threads of a process.
#[cfg(target_os = "linux")]
fn threads(process: &Process) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.child.id())).unwrap();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap();
    tasks.map(|task| name(task.unwrap()).trim_end().to_owned()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn long_scans_of_several_clients_use_a_second_thread_and_read_as_any() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(dir.path(), &["--dir", "./data", "--client-address", "127.0.0.1:0"]);
    command.env("SIERRA_THREADS_SERVE", "1");
    let process = Process::launch(command);
    let mut newer = process.resp3();
    let mut older = Client::connect(process.addr);
    for _ in 0..40 {
        assert!(matches!(newer.call("EAPPEND s E METADATA m PAYLOAD payload"), Value::Map(_)));
    }
    newer.call("ESCAN s - + COUNT 15");
    assert!(!threads(&process).contains(&"scans".to_owned()), "not for short ones");

    let scan = "ESCAN s - + COUNT 30";
    let alone = newer.call(scan); // the second scan of this client in a row
    assert_eq!(items(&get(&alone, "events")).len(), 30);
    assert!(!threads(&process).contains(&"scans".to_owned()), "not for one client");
    let first_of_older = older.call(scan);
    assert!(threads(&process).contains(&"scans".to_owned()));
    assert_eq!(older.call(scan), first_of_older, "in the older dialect, here and there");
    assert_eq!(newer.call(scan), alone, "in the newer one");

    // Many at once, with something short behind each: answered in order, whoever read it.
    for _ in 0..50 {
        for client in [&mut newer, &mut older] {
            client.send(scan);
            client.send("ESVER s");
        }
    }
    for _ in 0..50 {
        assert_eq!(newer.reply(), alone);
        assert_eq!(integer(&newer.reply()), 39);
        assert_eq!(older.reply(), first_of_older);
        assert_eq!(integer(&older.reply()), 39);
    }
}

#[test]
fn the_peer_id_stays() {
    let dir = tempfile::tempdir().unwrap();
    let peer_id = || Process::start(dir.path(), &[]).log[3].clone();
    assert_eq!(peer_id(), peer_id());
}

#[test]
fn a_directory_can_be_checked_and_its_segments_shown() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &[]);
    let mut client = process.resp3();
    for _ in 0..20 {
        assert!(matches!(client.call("EAPPEND user-123 Registered PAYLOAD x"), Value::Map(_)));
    }
    let busy = command(dir.path(), &["verify", "./data"]).output().unwrap();
    assert_eq!(busy.status.code(), Some(3));
    assert!(String::from_utf8(busy.stderr).unwrap().contains("in use by another process"));
    process.signal("TERM");
    assert_eq!(process.end().1.code(), Some(0));

    let sound = command(dir.path(), &["verify", "./data"]).output().unwrap();
    assert_eq!(sound.status.code(), Some(0));
    let text = String::from_utf8(sound.stdout).unwrap();
    assert!(text.contains("partition 21: 20 events, sequences 0 to 19\n"), "{text}");
    assert!(text.ends_with("\nsound\n"), "{text}");
    let json = command(dir.path(), &["verify", "./data", "--json", "--quick"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["soundness"], "sound");

    // Partition 21 of 32 lies in bucket 1 of 4.
    let segment = "./data/buckets/00001/0000000001.seg";
    let dump = command(dir.path(), &["dump", segment]).output().unwrap();
    assert_eq!(dump.status.code(), Some(0));
    assert_eq!(String::from_utf8(dump.stdout).unwrap().matches("Registered").count(), 20);
    assert_eq!(command(dir.path(), &["dump", "nosuch"]).output().unwrap().status.code(), Some(3));

    let path = dir.path().join(segment);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 300] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = command(dir.path(), &["verify", "./data"]).output().unwrap();
    assert_eq!(damaged.status.code(), Some(2));
    assert!(String::from_utf8(damaged.stdout).unwrap().contains("damaged: bucket 1 segment 1"));

    // It is shown first, given up only if told so, and then the server takes appends again. Without a checkpoint a
    // start reads the log itself and meets the damage there.
    std::fs::remove_file(dir.path().join("data/buckets/00001/0000000001.ckp")).unwrap();
    let repair = ["repair", "./data", "--bucket", "1"];
    let shown = command(dir.path(), &repair).output().unwrap();
    assert_eq!(shown.status.code(), Some(1));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("partition 21 would lose "), "{text}");
    let accept = [&repair[..], &["--accept-tail-loss"]].concat();
    assert_eq!(command(dir.path(), &accept).output().unwrap().status.code(), Some(0));
    assert_eq!(command(dir.path(), &repair).output().unwrap().status.code(), Some(0));
    let process = Process::start(dir.path(), &[]);
    assert!(matches!(process.resp3().call("EAPPEND user-123 Again"), Value::Map(_)));
}

#[test]
fn rot_that_a_start_passes_is_told_to_readers_and_operators() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &[]);
    let mut client = process.resp3();
    for _ in 0..20 {
        assert!(matches!(client.call("EAPPEND user-123 Registered PAYLOAD x"), Value::Map(_)));
    }
    process.signal("TERM");
    assert_eq!(process.end().1.code(), Some(0));
    let path = dir.path().join("data/buckets/00001/0000000001.seg");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 100] ^= 1; // the first frame, which the checkpoint covers
    std::fs::write(&path, bytes).unwrap();

    let process = Process::start(dir.path(), &[]);
    let mut client = process.resp3();
    let place = "in bucket 1 segment 1 at offset 4096";
    let refused = client.refused("EPSCAN 21 0 +");
    assert!(refused.starts_with("READERR read error: position 0 of partition 21: "), "{refused}");
    assert!(refused.ends_with(place), "{refused}");
    assert_eq!(items(&get(&client.call("EPSCAN 21 1 +"), "events")).len(), 19);
    let segments = text(&client.call("INFO segments"));
    assert!(segments.contains("quarantined:1\r\n"), "{segments}");
    let line = "damaged_0:bucket=1,segment=1,offset=4096,cause=";
    assert!(segments.contains(line), "{segments}");
    let appended = client.call("EAPPEND user-123 Again");
    assert_eq!(integer(&get(&appended, "stream_version")), 20);
    process.signal("TERM");
    assert_eq!(process.end().1.code(), Some(0));

    // Nothing is to be given up, whatever was accepted.
    for more in [&[][..], &["--accept-tail-loss"]] {
        let repair = [&["repair", "./data", "--bucket", "1"], more].concat();
        let shown = command(dir.path(), &repair).output().unwrap();
        assert_eq!(shown.status.code(), Some(1));
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("bucket 1 segment 1 offset 4096 index 2 to 2: "), "{text}");
        assert!(text.contains("partition 21: 1 events between sequences 0 and 0\n"), "{text}");
    }
    let json = command(dir.path(), &["verify", "./data", "--json"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["buckets"][1]["ending"], "holed");
}
