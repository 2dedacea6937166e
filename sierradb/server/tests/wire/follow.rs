//! ESUB, EPSUB, EACK and EUNSUB.

use std::time::Duration;

use sierradb_protocol::Value;

use crate::harness::{Client, TestServer, get, integer, items, ok, request, text};

const QUIET: Duration = Duration::from_millis(150);

fn append(client: &mut Client, stream: &str, count: usize) {
    let mut bytes = Vec::new();
    for at in 0..count {
        bytes.extend_from_slice(&request(&[
            b"EAPPEND",
            stream.as_bytes(),
            b"E",
            b"PAYLOAD",
            at.to_string().as_bytes(),
        ]));
    }
    client.raw(&bytes);
    for _ in 0..count {
        assert!(matches!(client.reply(), Value::Map(_) | Value::Array(_)));
    }
}

/// Subscribes and returns the id, behind the `subscribe` frame.
fn subscribe(client: &mut Client, line: &str) -> String {
    let id = text(&client.call(line));
    let frame = items(&client.reply());
    assert_eq!((text(&frame[0]), text(&frame[1])), ("subscribe".to_owned(), id.clone()));
    id
}

/// Cursor and event of the next `message` frame.
fn next(client: &mut Client) -> (i64, Value) {
    let frame = client.reply();
    let Value::Push(parts) = frame else { panic!("{frame:?} is no frame") };
    assert_eq!(text(&parts[0]), "message");
    (integer(&parts[2]), parts[3].clone())
}

fn versions(client: &mut Client, count: usize) -> Vec<i64> {
    (0..count).map(|_| integer(&get(&next(client).1, "stream_version"))).collect()
}

#[test]
fn the_frames_are_those_of_the_contract() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let id = subscribe(&mut client, "ESUB user-123 FROM 0 WINDOW 100");
    let mut writer = server.resp3();
    append(&mut writer, "user-123", 2);
    let (cursor, event) = next(&mut client);
    assert_eq!(cursor, 0);
    assert_eq!(text(&get(&event, "stream_id")), "user-123");
    assert_eq!(next(&mut client).0, 1);
    assert_eq!(client.call(&format!("EACK {id} 1")), ok());
    assert_eq!(client.call(&format!("EACK {id} 1")), ok());
    assert_eq!(
        client.refused(&format!("EACK {id} 0")),
        "INVALIDARG cursor 0 is behind the acknowledged cursor 1"
    );
    assert_eq!(
        client.refused(&format!("EACK {id} 1000000")),
        "INVALIDARG cursor 1000000 was not sent yet: the last cursor sent is 1"
    );
    assert_eq!(writer.refused(&format!("EACK {id} 1")), "NOTFOUND subscription not found");
    assert_eq!(client.call(&format!("EUNSUB {id}")), ok());
    append(&mut writer, "user-123", 1);
    assert!(client.is_silent(QUIET));
    assert_eq!(client.refused(&format!("EUNSUB {id}")), "NOTFOUND subscription not found");
}

#[test]
fn options_of_esub_are_options_and_its_first_word_a_stream() {
    let server = TestServer::start();
    let mut writer = server.resp3();
    append(&mut writer, "s", 10);
    let mut client = server.resp3();
    let id = subscribe(&mut client, "ESUB s FROM 0 WINDOW 5");
    assert_eq!(versions(&mut client, 5), [0, 1, 2, 3, 4]);
    assert!(client.is_silent(QUIET), "the window is full");
    assert_eq!(client.call(&format!("EACK {id} 2")), ok());
    assert_eq!(versions(&mut client, 3), [5, 6, 7]);
}

#[test]
fn history_is_delivered_without_a_writer_and_then_what_is_live() {
    let server = TestServer::start();
    let mut writer = server.resp3();
    append(&mut writer, "s", 1_500);
    for line in
        ["ESUB s FROM 0", "EPSUB * FROM 0", "EPSUB 0-31 FROM 0", "EPSUB * WINDOW 2000 FROM 0"]
    {
        let mut client = server.resp3();
        subscribe(&mut client, line);
        assert_eq!(versions(&mut client, 1_500), (0..1_500).collect::<Vec<_>>(), "{line}");
    }
    let mut client = server.resp3();
    subscribe(&mut client, "ESUB s FROM 1490");
    append(&mut writer, "s", 20);
    assert_eq!(versions(&mut client, 30), (1_490..1_520).collect::<Vec<_>>());
}

#[test]
fn latest_means_strictly_later_also_after_a_restart() {
    let mut server = TestServer::start();
    append(&mut server.resp3(), "s", 5);
    server.restart();
    let mut client = server.resp3();
    subscribe(&mut client, "ESUB s");
    let mut other = server.resp3();
    subscribe(&mut other, "EPSUB *");
    assert!(client.is_silent(QUIET));
    append(&mut server.resp3(), "s", 1);
    assert_eq!(versions(&mut client, 1), [5]);
    assert_eq!(versions(&mut other, 1), [5]);
    assert!(client.is_silent(QUIET) && other.is_silent(QUIET));
}

#[test]
fn a_window_of_one_delivers_everything() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let id = subscribe(&mut client, "EPSUB * WINDOW 1");
    append(&mut server.resp3(), "s", 400);
    for expected in 0..400 {
        let (cursor, event) = next(&mut client);
        assert_eq!((cursor, integer(&get(&event, "stream_version"))), (expected, expected));
        assert_eq!(client.call(&format!("EACK {id} {cursor}")), ok());
    }
}

#[test]
fn maps_and_defaults_say_where_each_source_begins() {
    let server = TestServer::start();
    let mut writer = server.resp3();
    for stream in ["user-1", "user-2", "user-3"] {
        append(&mut writer, stream, 4);
    }
    let mut client = server.resp3();
    subscribe(
        &mut client,
        "ESUB user-1 user-2 user-3 FROM MAP user-1=3 user-2=2 DEFAULT 1 WINDOW 50",
    );
    let mut got: Vec<(String, i64)> = (0..6)
        .map(|_| next(&mut client).1)
        .map(|event| (text(&get(&event, "stream_id")), integer(&get(&event, "stream_version"))))
        .collect();
    got.sort();
    let expected =
        [("user-1", 3), ("user-2", 2), ("user-2", 3), ("user-3", 1), ("user-3", 2), ("user-3", 3)];
    assert_eq!(got, expected.map(|(stream, version)| (stream.to_owned(), version)));
    assert!(client.is_silent(QUIET));
    assert_eq!(
        client.refused("ESUB a FROM MAP b=1"),
        "INVALIDARG MAP entry 'b=1' names a stream that is not subscribed"
    );
    assert_eq!(
        client.refused("EPSUB 40 FROM 0"),
        "INVALIDARG partition 40 does not exist: this database has partitions 0 to 31"
    );
}

#[test]
fn frames_of_kind_event_have_no_beginning() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let id = text(&client.call("ESUB s FROM 0 PUSH event"));
    append(&mut server.resp3(), "s", 1);
    let frame = items(&client.reply());
    assert_eq!((text(&frame[0]), text(&frame[1])), ("event".to_owned(), id));
}

#[test]
fn resp2_frames_are_arrays_after_hello_2_and_pushes_without_it() {
    let server = TestServer::start();
    let mut asked = server.connect();
    asked.call("HELLO 2");
    let id = text(&asked.call("ESUB s FROM 0"));
    assert!(matches!(asked.reply(), Value::Array(parts) if text(&parts[0]) == "subscribe"));
    let mut unasked = server.connect();
    subscribe(&mut unasked, "ESUB s FROM 0");
    append(&mut unasked, "t", 1);
    append(&mut server.resp3(), "s", 1);
    let Value::Array(frame) = asked.reply() else { panic!("no array") };
    assert_eq!((text(&frame[0]), items(&frame[3]).len()), ("message".to_owned(), 22));
    let Value::Push(frame) = unasked.reply() else { panic!("no push") };
    assert_eq!((text(&frame[0]), items(&frame[3]).len()), ("message".to_owned(), 22));
    assert!(asked.refused("ESVER s").starts_with("ERR Can't execute 'esver': only ESUB / EPSUB"));
    assert_eq!(
        asked.call("PING"),
        Value::Array(vec![Value::Bulk("pong".into()), Value::Bulk("".into())])
    );
    assert_eq!(asked.call(&format!("EUNSUB {id}")), ok());
    assert_eq!(asked.call("ESVER s"), Value::Integer(0));
}

#[test]
fn reset_ends_subscriptions_without_a_frame() {
    let server = TestServer::start();
    let mut client = server.resp3();
    subscribe(&mut client, "ESUB s FROM 0");
    assert_eq!(client.call("RESET"), Value::Simple("RESET".into()));
    append(&mut server.resp3(), "s", 1);
    assert!(client.is_silent(QUIET));
    assert_eq!(client.call("CLIENT GETNAME"), Value::Null);
}

#[test]
fn a_stopping_server_says_where_each_subscription_ended() {
    let mut server = TestServer::start();
    let mut client = server.resp3();
    let id = subscribe(&mut client, "ESUB s FROM 0");
    append(&mut server.resp3(), "s", 3);
    assert_eq!(versions(&mut client, 3), [0, 1, 2]);
    let stopped = server.stop_in_background();
    let frame = items(&client.reply());
    assert_eq!((text(&frame[0]), text(&frame[1])), ("end".to_owned(), id));
    assert_eq!(integer(&frame[2]), 3);
    assert_eq!(text(&frame[3]), "TRYAGAIN server is shutting down");
    assert!(client.rest().is_empty());
    stopped.join().unwrap();
}

#[test]
fn partitions_take_turns() {
    let server = TestServer::start();
    let mut writer = server.resp3();
    append(&mut writer, "user-123", 2_000);
    append(&mut writer, "orders", 5);
    let mut client = server.resp3();
    subscribe(&mut client, "EPSUB * FROM 0");
    let mut first_orders = None;
    for at in 0..2_005 {
        let (cursor, event) = next(&mut client);
        assert_eq!(cursor, at);
        if text(&get(&event, "stream_id")) == "orders" {
            first_orders.get_or_insert(at);
        }
    }
    assert!(first_orders.unwrap() < 600, "a small partition waited for a large one");
}

#[test]
fn a_connection_has_a_limit_of_subscriptions() {
    let server = TestServer::start();
    let mut client = server.resp3();
    for _ in 0..1_024 {
        client.send("ESUB s PUSH event");
    }
    for _ in 0..1_024 {
        assert!(matches!(client.reply(), Value::Simple(_)));
    }
    assert_eq!(
        client.refused("ESUB s"),
        "INVALIDARG too many subscriptions on this connection: the limit is 1024"
    );
    assert!(text(&client.call("INFO subscriptions")).contains("count:1024\r\n"));
}

#[test]
fn damage_ends_a_subscription_with_an_error_frame() {
    let mut server = TestServer::with("[segment]\nsize_bytes = 131072\npreallocate = 'reserve'");
    let mut writer = server.resp3();
    let payload = vec![b'x'; 20_000];
    for _ in 0..40 {
        let reply = writer.call_words(&[b"EAPPEND", b"s", b"E", b"PAYLOAD", &payload]);
        assert!(matches!(reply, Value::Map(_)), "{reply:?}");
    }
    // Stream s lies in partition 12 or so of 32: whatever its bucket, its second segment is long sealed.
    server.restart_after(|dir| {
        let mut files: Vec<_> = std::fs::read_dir(dir.join("buckets"))
            .unwrap()
            .map(|bucket| bucket.unwrap().path().join("0000000002.seg"))
            .filter(|segment| segment.exists())
            .collect();
        let segment = files.pop().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes[70_000] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
    });
    let mut client = server.resp3();
    let id = subscribe(&mut client, "ESUB s FROM 0");
    let mut expected = 0;
    let end = loop {
        let frame = items(&client.reply());
        if text(&frame[0]) == "error" {
            break frame;
        }
        assert_eq!(integer(&frame[2]), expected);
        expected += 1;
    };
    assert!((1..39).contains(&expected), "{expected} events came before the damage");
    assert_eq!((text(&end[1]), integer(&end[2])), (id.clone(), expected));
    assert!(text(&end[3]).starts_with("READERR read error: "), "{}", text(&end[3]));
    assert_eq!(client.refused(&format!("EACK {id} 0")), "NOTFOUND subscription not found");
    assert!(client.refused(&format!("ESCAN s {expected} +")).starts_with("READERR read error: "));
    assert_eq!(client.call("ESVER s"), Value::Integer(39), "what is sound is served");
}
