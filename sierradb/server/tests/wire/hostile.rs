//! Input nobody sends by accident, and clients that do not read.

use std::time::{Duration, Instant};

use sierradb_protocol::Value;

use crate::harness::{Client, TestServer, cpu_time, get, integer, request, text};

fn answer(server: &TestServer, bytes: &[u8]) -> String {
    let mut client = server.connect();
    client.raw_until_closed(bytes);
    String::from_utf8_lossy(&client.rest()).into_owned()
}

#[test]
fn bytes_that_are_no_request_get_their_text_and_end_one_connection() {
    let server = TestServer::start();
    let mut bystander = server.connect();
    for (bytes, expected) in [
        ("*1\r\n".repeat(20_000), "-ERR Protocol error: expected '$', got '*'\r\n"),
        ("*1000000000\r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*x\r\n".into(), "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*1\r\n$9999999999\r\n".into(), "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\n$-1\r\n".into(), "-ERR Protocol error: invalid bulk length\r\n"),
        ("*1\r\n$3\r\nPING\r\n".into(), "-ERR Protocol error: invalid bulk terminator\r\n"),
        ("PING \"x\r\n".into(), "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("x".repeat(70_000), "-ERR Protocol error: too big inline request\r\n"),
        (
            "PING\r\nPING\r\n*1\r\n*1\r\n".into(),
            "+PONG\r\n+PONG\r\n-ERR Protocol error: expected '$', got '*'\r\n",
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\n\r\n".into(), ""),
    ] {
        let start = bytes.get(..20).unwrap_or(&bytes);
        assert_eq!(answer(&server, bytes.as_bytes()), expected, "{start:?}");
    }
    assert_eq!(bystander.call("PING"), Value::Simple("PONG".into()));
}

#[test]
fn empty_requests_are_skipped_and_garbage_is_an_error() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.raw(b"\r\n*0\r\n*-1\r\n\r\nPING\r\n");
    client.expect_bytes(b"+PONG\r\n");
    client.raw(b"\x00\xff\xfe\x01\r\n");
    assert!(matches!(client.reply(), Value::Error { .. }));
    client.raw(b"PING\r\n");
    client.expect_bytes(b"+PONG\r\n");
}

#[test]
fn a_half_closed_connection_with_half_a_request_ends_at_once_and_costs_nothing() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.raw(b"*2\r\n$4\r\nEGET\r\n$36\r\n0000");
    client.end_sending();
    let before = Instant::now();
    assert!(client.rest().is_empty());
    assert!(before.elapsed() < Duration::from_secs(1));

    let mut client = server.connect();
    client.raw(b"PING\r\nEAPPEND s A\r\nPING last\r\n*1\r\n$4\r\nPI");
    client.end_sending();
    let rest = String::from_utf8(client.rest()).unwrap();
    assert!(rest.starts_with("+PONG\r\n*12\r\n") && rest.ends_with("$4\r\nlast\r\n"), "{rest}");
}

#[test]
fn idle_and_half_open_connections_use_no_processor() {
    let server = TestServer::start();
    let mut idle: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    idle.iter_mut().for_each(|client| client.raw(b"*2\r\n$4\r\nEGET\r\n$36\r\n0000"));
    let mut follower = server.resp3();
    follower.call("EPSUB *");
    assert_eq!(server.connect().call("PING"), Value::Simple("PONG".into()));
    // Other tests of this process run meanwhile, so the limit is what a spinning thread would exceed by far, and the
    // best of a few rounds counts.
    let used = (0..20).map(|_| {
        let before = cpu_time();
        std::thread::sleep(Duration::from_millis(100));
        cpu_time() - before
    });
    let least = used.min().unwrap();
    assert!(least < Duration::from_millis(95), "{least:?} of 100 ms");
}

#[test]
fn nobody_can_put_a_reply_into_a_reply() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.raw(&request(&[b"A\r\n+PONG", b"x\r\n:1"]));
    client.expect_bytes(b"-ERR unknown command 'A  +PONG', with args beginning with: 'x  :1' \r\n");
    client.raw(&request(&[b"EAPPEND", b"cr\r\nlf", b"E", b"EXPECTED_VERSION", b"7"]));
    let Value::Error { text, .. } = client.reply() else { panic!("no error") };
    assert!(text.ends_with("and stream id cr  lf"), "{text}");
    let key = b"550e8400-e29b-41d4-a716-446655440000";
    client.call("HELLO 3");
    let reply = client.call_words(&[b"EMAPPEND", key, b"cr\r\nlf", b"E"]);
    let events = crate::harness::items(&get(&reply, "events"));
    assert_eq!(get(&events[0], "stream_id"), Value::Bulk("cr\r\nlf".into()));
    assert_eq!(client.call("PING"), Value::Simple("PONG".into()));
}

#[test]
fn a_subscriber_that_never_reads_costs_bounded_memory_and_slows_nobody() {
    let server = TestServer::with("[segment]\nsize_bytes = 67108864\npreallocate = 'reserve'");
    let mut lazy = server.resp3();
    lazy.send("EPSUB * FROM 0");
    let mut writer = server.resp3();
    let payload = vec![b'x'; 100_000];
    for version in 0..400 {
        writer.raw(&request(&[b"EAPPEND", b"s", b"E", b"PAYLOAD", &payload]));
        if version % 20 == 19 {
            (0..20).for_each(|_| assert!(matches!(writer.reply(), Value::Map(_))));
        }
    }
    let list = text(&writer.call("CLIENT LIST TYPE pubsub"));
    let waiting = list.split_whitespace().find_map(|field| field.strip_prefix("omem=")).unwrap();
    let waiting: usize = waiting.parse().unwrap();
    assert!((1_000_000..=9_000_000).contains(&waiting), "{waiting} bytes wait");
    // It reads at last, and nothing is missing.
    lazy.reply();
    lazy.reply();
    for expected in 0..400 {
        let crate::harness::Frame { cursor, event } = lazy.frame();
        assert_eq!((cursor, integer(&get(&event, "stream_version"))), (expected, expected));
    }
}

#[test]
fn a_client_that_reads_no_replies_is_not_read_from() {
    let server = TestServer::start();
    let mut client = server.connect();
    let payload = vec![b'x'; 1 << 20];
    client.limit_writes(Duration::from_millis(500));
    let echo = request(&[b"ECHO", &payload]);
    let sent = (0..200).take_while(|_| client.try_raw(&echo)).count();
    assert!(sent < 100, "{sent} MiB were taken from a client that reads nothing");
    assert_eq!(server.connect().call("PING"), Value::Simple("PONG".into()));
}

#[test]
fn more_requests_than_may_be_in_work_are_all_answered() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.raw(&b"PING\r\n".repeat(20_000));
    for _ in 0..20_000 {
        client.expect_bytes(b"+PONG\r\n");
    }
}

#[test]
fn an_answer_that_closes_also_closes_with_subscriptions() {
    let server = TestServer::start();
    for (last, answer) in [
        (&b"QUIT\r\n"[..], "+OK\r\n"),
        (b"*1\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*'\r\n"),
    ] {
        let mut client = server.resp3();
        client.call("ESUB s PUSH event");
        client.raw(last);
        assert_eq!(String::from_utf8_lossy(&client.rest()), answer);
    }
}

/// Words that mean something somewhere, for requests at random.
const WORDS: &[&str] = &[
    "EAPPEND",
    "EMAPPEND",
    "ESCAN",
    "EPSCAN",
    "ESUB",
    "EPSUB",
    "EACK",
    "EUNSUB",
    "HELLO",
    "CLIENT",
    "INFO",
    "CONFIG",
    "COMMAND",
    "PING",
    "RESET",
    "QUIT",
    "EGET",
    "ESVER",
    "EPSEQ",
    "DBSIZE",
    "AUTH",
    "s",
    "a",
    "*",
    "0-31",
    "FROM",
    "LATEST",
    "MAP",
    "s=1",
    "WINDOW",
    "1",
    "2",
    "3",
    "-",
    "+",
    "COUNT",
    "0",
    "PAYLOAD",
    "any",
    "EXPECTED_VERSION",
    "550e8400-e29b-41d4-a716-446655440000",
    "REPLY",
    "SKIP",
    "ON",
    "OFF",
    "LIST",
    "KILL",
    "ID",
    "DOCS",
    "GET",
    "",
    "PUSH",
    "event",
    "PARTITION_KEY",
    "TIMESTAMP",
    "default",
];

fn random_request(prng: &mut sierradb_io::Prng) -> Vec<u8> {
    let command = WORDS[usize::try_from(prng.below(21)).unwrap()];
    let words: Vec<&[u8]> = std::iter::once(command)
        .chain((0..prng.below(7)).map(|_| *prng.pick(WORDS).unwrap()))
        .map(str::as_bytes)
        .collect();
    let mut bytes = request(&words);
    match prng.below(20) {
        0 => bytes.truncate(bytes.len() / 2),
        1 => prng.fill(&mut bytes),
        _ => {}
    }
    bytes
}

#[test]
fn random_requests_leave_no_connection_behind() {
    let server = TestServer::start();
    let mut prng = sierradb_io::Prng::new(11);
    for _ in 0..150 {
        let mut client = server.connect();
        for _ in 0..prng.below(30) {
            client.raw_until_closed(&random_request(&mut prng));
        }
    }
    let mut client = server.connect();
    let count = |client: &mut Client| {
        let info = text(&client.call("INFO clients"));
        info.lines()
            .find_map(|line| line.strip_prefix("connected_clients:").map(str::to_owned))
            .unwrap()
    };
    let before = Instant::now();
    while count(&mut client) != "1" {
        assert!(before.elapsed() < Duration::from_secs(4), "{}", text(&client.call("CLIENT LIST")));
    }
    assert!(text(&client.call("INFO subscriptions")).contains("count:0\r\n"));
}
