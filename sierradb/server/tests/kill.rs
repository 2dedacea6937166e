//! Twelve writers on raw sockets, and a server that is killed under them at any moment, again and again: whatever
//! was acknowledged is there afterwards, where it was acknowledged, once; whatever was not is whole or absent, and
//! its retry finds out which.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests of the real thing need real sockets, files, processes and time, and fail by panics"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use sierradb_io::Prng;
use uuid::Uuid;

/// Deaths in one `cargo test`; five times as many were run by hand when this was written.
const ROUNDS: u64 = 10;
const WRITERS: u64 = 12;
const PARTITIONS: u64 = 32;
/// A start takes far less than 2 s on a quiet machine; test machines are not quiet.
const START_LIMIT: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// One request and what became of it.
#[derive(Debug, Clone)]
struct Op {
    key: Uuid,
    /// Stream, expected version, event id, payload.
    events: Vec<(String, String, Uuid, Vec<u8>)>,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// Partition, first sequence, version per event.
    Stored {
        partition: i64,
        first: i64,
        versions: Vec<i64>,
    },
    Refused(String),
    Unknown,
}

/// An event as a scan shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    partition: i64,
    sequence: i64,
    version: i64,
    stream: String,
    payload: Vec<u8>,
    transaction: String,
}

struct Process {
    child: Child,
    /// Kept so that the log has where to go.
    _stdout: BufReader<ChildStdout>,
    addr: SocketAddr,
    took: Duration,
}

impl Process {
    /// A server whose connections are served by so many threads; a single one also writes and syncs.
    fn start(dir: &Path, serve_threads: u64) -> Self {
        let before = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sierradb"))
            .env_clear()
            .env("SIERRA_SEGMENT_SIZE_BYTES", "524288")
            .env("SIERRA_STORAGE_MIN_FREE_BYTES", "0")
            .env("SIERRA_THREADS_SERVE", serve_threads.to_string())
            .args(["--client-address", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let addr = loop {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0, "ended before it was ready");
            if let Some((_, addr)) = line.trim_end().split_once("ready to receive connections on ")
            {
                break addr.parse().unwrap();
            }
        };
        Self { child, _stdout: stdout, addr, took: before.elapsed() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A reply, as far as this test cares.
#[derive(Debug, Clone, PartialEq)]
enum Reply {
    Text(Vec<u8>),
    Number(i64),
    Null,
    List(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Error(String),
}

impl Reply {
    fn get(&self, key: &str) -> &Reply {
        let Self::Map(entries) = self else { panic!("{self:?} is no map") };
        let found = entries.iter().find(|(name, _)| *name == Reply::Text(key.into()));
        &found.unwrap_or_else(|| panic!("no {key} in {self:?}")).1
    }

    fn number(&self, key: &str) -> i64 {
        match self.get(key) {
            Self::Number(number) => *number,
            other => panic!("{key} is {other:?}"),
        }
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        match self.get(key) {
            Self::Text(bytes) => bytes.clone(),
            other => panic!("{key} is {other:?}"),
        }
    }

    fn text(&self, key: &str) -> String {
        String::from_utf8(self.bytes(key)).unwrap()
    }

    fn list(&self, key: &str) -> &[Reply] {
        match self.get(key) {
            Self::List(items) => items,
            other => panic!("{key} is {other:?}"),
        }
    }
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(addr: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Self(BufReader::new(stream));
        connection.call(&[b"HELLO", b"3"])?;
        Ok(connection)
    }

    fn call(&mut self, words: &[&[u8]]) -> std::io::Result<Reply> {
        self.0.get_mut().write_all(&request(words))?;
        self.read()
    }

    fn read(&mut self) -> std::io::Result<Reply> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 || !line.ends_with("\r\n") {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        let count = || rest.parse::<usize>().unwrap();
        Ok(match kind {
            "+" => Reply::Text(rest.into()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(rest.parse().unwrap()),
            "#" => Reply::Number(i64::from(rest == "t")),
            "_" => Reply::Null,
            "$" => {
                let mut bytes = vec![0; count() + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Reply::Text(bytes)
            }
            "*" => Reply::List((0..count()).map(|_| self.read()).collect::<Result<_, _>>()?),
            "%" => {
                let entries = (0..count()).map(|_| Ok((self.read()?, self.read()?)));
                Reply::Map(entries.collect::<std::io::Result<_>>()?)
            }
            other => panic!("{other}{rest} is no reply"),
        })
    }
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn uuid(prng: &mut Prng) -> Uuid {
    let mut bytes = [0; 16];
    prng.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

impl Op {
    /// EAPPEND for one event, EMAPPEND for two.
    fn request(&self) -> Vec<u8> {
        let key = self.key.to_string();
        let mut words: Vec<Vec<u8>> = Vec::new();
        if let [_] = self.events.as_slice() {
            words.push(b"EAPPEND".to_vec());
        } else {
            words.extend([b"EMAPPEND".to_vec(), key.clone().into()]);
        }
        for (stream, expected, id, payload) in &self.events {
            let id = id.to_string();
            for word in [stream, "Event", "EVENT_ID", &id, "EXPECTED_VERSION", expected, "PAYLOAD"]
            {
                words.push(word.as_bytes().to_vec());
            }
            words.push(payload.clone());
        }
        if let [_] = self.events.as_slice() {
            words.extend([b"PARTITION_KEY".to_vec(), key.into()]);
        }
        request(&words.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn outcome_of(&self, reply: &Reply) -> Outcome {
        match reply {
            Reply::Error(text) => Outcome::Refused(text.clone()),
            reply if self.events.len() == 1 => Outcome::Stored {
                partition: reply.number("partition_id"),
                first: reply.number("partition_sequence"),
                versions: vec![reply.number("stream_version")],
            },
            reply => Outcome::Stored {
                partition: reply.number("partition_id"),
                first: reply.number("first_partition_sequence"),
                versions: reply
                    .list("events")
                    .iter()
                    .map(|it| it.number("stream_version"))
                    .collect(),
            },
        }
    }
}

/// A writer: two streams of its own, always with the exact expected version, and one that all share.
struct Writer {
    number: u64,
    key: Uuid,
    prng: Prng,
    ops: Vec<Op>,
}

impl Writer {
    fn new(number: u64) -> Self {
        let mut prng = Prng::new(7000 + number);
        Self { number, key: uuid(&mut prng), prng, ops: Vec::new() }
    }

    /// Versions its own streams have, by what was stored.
    fn heads(&self) -> BTreeMap<String, i64> {
        let mut heads = BTreeMap::new();
        for op in &self.ops {
            if let Outcome::Stored { versions, .. } = &op.outcome {
                for ((stream, ..), version) in op.events.iter().zip(versions) {
                    let head = heads.entry(stream.clone()).or_insert(*version);
                    *head = (*head).max(*version);
                }
            }
        }
        heads
    }

    fn draw(&mut self, heads: &mut BTreeMap<String, i64>) -> Op {
        let (number, prng) = (self.number, &mut self.prng);
        let own = |letter: &str| format!("writer-{number}-{letter}");
        let (key, streams) = match prng.below(4) {
            0 => (self.key, vec![own("a"), own("b")]),
            1 => (self.key, vec![own("b")]),
            2 => (self.key, vec![own("a")]),
            _ => (Uuid::from_u128(0x5eed), vec!["shared".to_owned()]),
        };
        let mut events = Vec::new();
        for stream in streams {
            let expected = match heads.get(&stream) {
                _ if stream == "shared" => "any".to_owned(),
                Some(head) => head.to_string(),
                None => "empty".to_owned(),
            };
            *heads.entry(stream.clone()).or_insert(-1) += 1;
            let mut payload = vec![0; usize::try_from(prng.between(1, 2000)).unwrap()];
            prng.fill(&mut payload);
            events.push((stream, expected, uuid(prng), payload));
        }
        Op { key, events, outcome: Outcome::Unknown }
    }

    /// Appends until the server is gone. Up to four requests are under way at a time.
    fn run(&mut self, addr: SocketAddr, acknowledged: &SyncSender<()>) {
        let Ok(mut connection) = Connection::open(addr) else { return };
        let mut heads = self.heads();
        loop {
            let count = self.prng.between(1, 4);
            let ops: Vec<Op> = (0..count).map(|_| self.draw(&mut heads)).collect();
            let bytes: Vec<u8> = ops.iter().flat_map(Op::request).collect();
            let sent = connection.0.get_mut().write_all(&bytes);
            let first = self.ops.len();
            self.ops.extend(ops);
            if sent.is_err() {
                return;
            }
            for op in &mut self.ops[first..] {
                let Ok(reply) = connection.read() else { return };
                op.outcome = op.outcome_of(&reply);
                assert!(matches!(op.outcome, Outcome::Stored { .. }), "{reply:?} to {op:?}");
                let _counted = acknowledged.send(()); // or the counter has had enough
            }
        }
    }
}

/// All events of all partitions, checked for gapless sequences and versions, and for ids used once.
fn read_all(connection: &mut Connection) -> BTreeMap<String, Seen> {
    let mut all = BTreeMap::new();
    let mut heads: BTreeMap<(i64, String), i64> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let mut next = 0i64;
        loop {
            let (id, start) = (partition.to_string(), next.to_string());
            let words: [&[u8]; 6] =
                [b"EPSCAN", id.as_bytes(), start.as_bytes(), b"+", b"COUNT", b"5000"];
            let page = connection.call(&words).unwrap();
            for event in page.list("events") {
                let seen = Seen {
                    partition: event.number("partition_id"),
                    sequence: event.number("partition_sequence"),
                    version: event.number("stream_version"),
                    stream: event.text("stream_id"),
                    payload: event.bytes("payload"),
                    transaction: event.text("transaction_id"),
                };
                assert_eq!(seen.sequence, next, "partition {partition}");
                next += 1;
                let head = heads.entry((seen.partition, seen.stream.clone())).or_insert(-1);
                *head += 1;
                assert_eq!(seen.version, *head, "stream {}", seen.stream);
                let id = event.text("event_id");
                assert_eq!(all.insert(id.clone(), seen), None, "{id} is there twice");
            }
            if page.number("has_more") == 0 {
                break;
            }
        }
    }
    all
}

/// Whether the operation is stored: all of it, in one piece, as it was sent and acknowledged; or nothing of it.
fn check(op: &Op, all: &BTreeMap<String, Seen>) -> Option<Outcome> {
    let found: Vec<_> = op.events.iter().map(|(_, _, id, _)| all.get(&id.to_string())).collect();
    let Some(first) = found[0] else {
        assert!(found.iter().all(Option::is_none), "a part of {op:?}");
        assert!(!matches!(op.outcome, Outcome::Stored { .. }), "lost: {op:?}");
        return None;
    };
    let mut versions = Vec::new();
    for ((seen, (stream, _, _, payload)), sequence) in
        found.iter().zip(&op.events).zip(first.sequence..)
    {
        let seen = seen.unwrap_or_else(|| panic!("a part of {op:?}"));
        assert_eq!((&seen.stream, &seen.payload), (stream, payload));
        assert_eq!((seen.sequence, &seen.transaction), (sequence, &first.transaction));
        versions.push(seen.version);
    }
    let stored = Outcome::Stored { partition: first.partition, first: first.sequence, versions };
    match &op.outcome {
        Outcome::Unknown => {}
        known => assert_eq!(*known, stored, "moved, or stored though refused"),
    }
    Some(stored)
}

/// Asks again for what has no answer: the same ids tell whether it was stored, and store it if not, once.
fn settle(
    writer: &mut Writer,
    connection: &mut Connection,
    all: &BTreeMap<String, Seen>,
) -> (u64, u64) {
    let (mut stored, mut absent) = (0, 0);
    for op in writer.ops.iter_mut().filter(|op| op.outcome == Outcome::Unknown) {
        let before = check(op, all);
        let mut answers = Vec::new();
        for _ in 0..2 {
            connection.0.get_mut().write_all(&op.request()).unwrap();
            answers.push(connection.read().unwrap());
        }
        assert_eq!(answers[0], answers[1], "a retry gets the first answer");
        let outcome = op.outcome_of(&answers[0]);
        match &before {
            Some(known) => assert_eq!(*known, outcome, "{op:?}"),
            None => assert!(matches!(outcome, Outcome::Stored { .. }), "{outcome:?} to {op:?}"),
        }
        if before.is_some() {
            stored += 1
        } else {
            absent += 1
        }
        op.outcome = outcome;
    }
    (stored, absent)
}

/// Returns what is worth telling.
fn campaign(rounds: u64) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut prng = Prng::new(1999);
    let (mut slowest, mut unknown_stored, mut unknown_absent) = (Duration::ZERO, 0, 0);
    for round in 0..rounds {
        // Writers among the other tasks and on threads of their own, in turn.
        let process = Process::start(dir.path(), 1 + round % 2);
        slowest = slowest.max(process.took);
        assert!(process.took < START_LIMIT, "start {round} took {:?}", process.took);
        let deaths_at = if prng.chance(1, 5) { prng.below(4) } else { prng.between(20, 1500) };
        let addr = process.addr;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(64);
            for writer in &mut writers {
                let sender = sender.clone();
                scope.spawn(move || writer.run(addr, &sender));
            }
            drop(sender);
            assert!(
                receiver.iter().take(usize::try_from(deaths_at).unwrap()).count() > 0
                    || deaths_at == 0
            );
            process.kill();
        });

        let process = Process::start(dir.path(), 2 - round % 2);
        slowest = slowest.max(process.took);
        let mut connection = Connection::open(process.addr).unwrap();
        let all = read_all(&mut connection);
        for op in writers.iter().flat_map(|writer| &writer.ops) {
            check(op, &all);
        }
        for writer in &mut writers {
            let (stored, absent) = settle(writer, &mut connection, &all);
            unknown_stored += stored;
            unknown_absent += absent;
        }
        let all = read_all(&mut connection);
        let mut sent = BTreeSet::new();
        for op in writers.iter().flat_map(|writer| &writer.ops) {
            assert!(check(op, &all).is_some());
            sent.extend(op.events.iter().map(|(_, _, id, _)| id.to_string()));
        }
        assert!(all.keys().all(|id| sent.contains(id)), "events that nobody sent");
        assert_eq!(all.len(), sent.len());
        process.kill();
    }
    let events: usize = writers.iter().flat_map(|it| &it.ops).map(|op| op.events.len()).sum();
    format!(
        "{rounds} deaths, {events} events; without answer at death: {unknown_stored} stored, \
         {unknown_absent} not; slowest start {slowest:?}"
    )
}

#[test]
fn a_server_killed_at_any_moment_keeps_what_it_acknowledged() {
    println!("{}", campaign(ROUNDS));
}
