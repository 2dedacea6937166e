//! A server in this process, on a free port and a fresh directory, and a client that speaks raw RESP to it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use sierradb_io::{Io, os};
use sierradb_protocol::{ErrorCode, Value};
use sierradb_server::Server;
use sierradb_server::config::{ConfigFile, Machine, Sources, check, load};

/// Longer than anything here takes, so that a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; stopped and its directory removed when dropped.
pub(crate) struct TestServer {
    server: Option<Server>,
    dir: Option<tempfile::TempDir>,
    settings: String,
}

impl TestServer {
    /// With default settings but small files.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With these lines of TOML on top.
    pub(crate) fn with(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = launch(dir.path(), settings);
        Self { server: Some(server), dir: Some(dir), settings: settings.to_owned() }
    }

    /// Stops in order and starts again on the same directory.
    pub(crate) fn restart(&mut self) {
        self.restart_after(|_| {});
    }

    /// The same, with something done to the data directory in between.
    pub(crate) fn restart_after(&mut self, change: impl FnOnce(&Path)) {
        self.stop();
        change(&self.dir.as_ref().unwrap().path().join("db"));
        self.server = Some(launch(self.dir.as_ref().unwrap().path(), &self.settings));
    }

    /// Stops in order.
    pub(crate) fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            os::wait(server.stop());
        }
    }

    /// Begins to stop, without waiting for the end.
    pub(crate) fn stop_in_background(&mut self) -> std::thread::JoinHandle<()> {
        let server = self.server.take().unwrap();
        std::thread::spawn(move || os::wait(server.stop()))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        let port = self.server.as_ref().unwrap().local_addr().port();
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// A connection that has said nothing.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.addr())
    }

    /// A connection that speaks RESP3.
    pub(crate) fn resp3(&self) -> Client {
        let mut client = self.connect();
        assert!(matches!(client.call("HELLO 3"), Value::Map(_)));
        client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn launch(dir: &Path, settings: &str) -> Server {
    let mut text = settings.to_owned();
    for (section, defaults) in [
        ("[segment]", "size_bytes = 4194304\npreallocate = 'reserve'"),
        ("[storage]", "min_free_bytes = 0"),
    ] {
        if !settings.contains(section) {
            text = format!("{text}\n{section}\n{defaults}\n");
        }
    }
    let flags = [
        ("--dir", "dir", dir.join("db").display().to_string()),
        ("--client-address", "network.client_address", "127.0.0.1:0".to_owned()),
    ];
    let file = Some(ConfigFile { name: "test.toml".to_owned(), text });
    let sources = Sources { file, flags: flags.into(), environment: Vec::new() };
    let config = check(load(&sources).unwrap(), &Machine::default()).unwrap();
    os::wait(Server::start(Io::os(), config)).unwrap()
}

/// A connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Sends words split at blanks (`'…'` keeps them together) and returns the reply.
    pub(crate) fn call(&mut self, line: &str) -> Value {
        self.send(line);
        self.reply()
    }

    /// The same for words of any bytes.
    pub(crate) fn call_words(&mut self, words: &[&[u8]]) -> Value {
        self.raw(&request(words));
        self.reply()
    }

    pub(crate) fn send(&mut self, line: &str) {
        let words = split(line);
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        self.raw(&request(&words));
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Sends as much as the server takes before it closes.
    pub(crate) fn raw_until_closed(&mut self, bytes: &[u8]) {
        if let Err(error) = self.reader.get_mut().write_all(bytes) {
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
        }
    }

    /// The next reply or frame.
    pub(crate) fn reply(&mut self) -> Value {
        let value = read_value(&mut self.reader);
        value.unwrap_or_else(|error| panic!("no reply: {error}"))
    }

    /// The text of an error reply, code first.
    pub(crate) fn refused(&mut self, line: &str) -> String {
        match self.call(line) {
            Value::Error { code, text } => format!("{code} {text}"),
            other => panic!("{line} was answered with {other:?}"),
        }
    }

    /// Exactly these bytes come next.
    pub(crate) fn expect_bytes(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        self.reader.read_exact(&mut bytes).unwrap();
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(shown(&bytes), shown(expected));
    }

    /// Everything until the server closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => bytes,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => bytes,
            Err(error) => panic!("the server did not close: {error}"),
        }
    }

    /// Nothing comes for this long.
    pub(crate) fn is_silent(&mut self, during: Duration) -> bool {
        self.reader.get_ref().set_read_timeout(Some(during)).unwrap();
        let silent = match self.reader.fill_buf() {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.reader.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        silent
    }

    /// Says that nothing more is sent.
    pub(crate) fn end_sending(&mut self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.reader.get_ref().local_addr().unwrap()
    }
}

/// An array of bulk strings.
pub(crate) fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut quoted = false;
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
            quoted = !quoted;
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn read_value(reader: &mut impl BufRead) -> std::io::Result<Value> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if line.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix("\r\n").expect("a line ends with CR LF");
    let (kind, rest) = line.split_at(1);
    let number = || rest.parse::<i64>().expect("a number");
    Ok(match kind {
        "+" => Value::Simple(rest.to_owned()),
        "-" => {
            let (code, text) = rest.split_once(' ').expect("an error has a code and a text");
            let code = ErrorCode::from_word(code).expect("a code of the list");
            Value::Error { code, text: text.to_owned() }
        }
        ":" => Value::Integer(number()),
        "#" => Value::Boolean(rest == "t"),
        "_" => Value::Null,
        "$" if rest == "-1" => Value::Null,
        "$" => {
            let mut bytes = vec![0; usize::try_from(number()).unwrap() + 2];
            reader.read_exact(&mut bytes)?;
            assert!(bytes.ends_with(b"\r\n"));
            bytes.truncate(bytes.len() - 2);
            Value::Bulk(bytes.into())
        }
        "*" => Value::Array(read_values(reader, number())?),
        ">" => Value::Push(read_values(reader, number())?),
        "%" => {
            let entries = (0..number()).map(|_| Ok((read_value(reader)?, read_value(reader)?)));
            Value::Map(entries.collect::<std::io::Result<_>>()?)
        }
        other => panic!("unknown type {other:?} in {line:?}"),
    })
}

fn read_values(reader: &mut impl BufRead, count: i64) -> std::io::Result<Vec<Value>> {
    (0..count).map(|_| read_value(reader)).collect()
}

/// The value of `key` in a map, or in the flat array RESP2 makes of it.
pub(crate) fn get(value: &Value, key: &str) -> Value {
    let is_key = |value: &Value| text(value) == key;
    match value {
        Value::Map(entries) => entries
            .iter()
            .find(|(k, _)| is_key(k))
            .map(|(_, v)| v.clone())
            .expect("the key is there"),
        Value::Array(items) => items
            .chunks(2)
            .find(|pair| is_key(&pair[0]))
            .map(|pair| pair[1].clone())
            .expect("the key is there"),
        other => panic!("{other:?} is no map"),
    }
}

pub(crate) fn integer(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Simple(text) => text.clone(),
        Value::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => panic!("{other:?} is no text"),
    }
}

pub(crate) fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Push(items) => items.clone(),
        other => panic!("{other:?} is no array"),
    }
}

pub(crate) fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

/// How long `work` takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = Instant::now();
    let result = work();
    (result, before.elapsed())
}

/// Processor time this process has used.
pub(crate) fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// An event of a subscription.
pub(crate) struct Frame {
    pub(crate) cursor: i64,
    pub(crate) event: Value,
}

impl Client {
    /// The next frame, which must be an event.
    pub(crate) fn frame(&mut self) -> Frame {
        let frame = self.reply();
        let Value::Push(parts) = frame else { panic!("{frame:?} is no frame") };
        assert_eq!(text(&parts[0]), "message");
        Frame { cursor: integer(&parts[2]), event: parts[3].clone() }
    }

    /// Waits until something has arrived, and leaves it there.
    pub(crate) fn wait_for_bytes(&mut self) {
        assert!(!self.reader.fill_buf().unwrap().is_empty());
    }

    /// Waits until nobody listens at `addr` any more.
    pub(crate) fn wait_for_end_of_service(&mut self, addr: SocketAddr) {
        while TcpStream::connect(addr).is_ok() {
            std::thread::yield_now();
        }
    }

    /// How long a write may wait for the server.
    pub(crate) fn limit_writes(&mut self, during: Duration) {
        self.reader.get_ref().set_write_timeout(Some(during)).unwrap();
    }

    /// Whether the server took all of it in time.
    pub(crate) fn try_raw(&mut self, bytes: &[u8]) -> bool {
        self.reader.get_mut().write_all(bytes).is_ok()
    }
}
