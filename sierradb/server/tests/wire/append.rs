//! EAPPEND and EMAPPEND.

use std::time::Duration;

use sierradb_protocol::Value;
use uuid::Uuid;

use crate::harness::{Client, TestServer, get, integer, items, request, text, timed};

const KEY: &str = "550e8400-e29b-41d4-a716-446655440000";

fn stored(client: &mut Client, stream: &str) -> usize {
    items(&get(&client.call(&format!("ESCAN {stream} - + COUNT 1000")), "events")).len()
}

#[test]
fn the_reply_tells_where_the_event_stands_in_both_protocols() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.raw(&request(&[
        b"EAPPEND",
        b"user-123",
        b"UserCreated",
        b"EVENT_ID",
        KEY.as_bytes(),
        b"TIMESTAMP",
        b"1729247400000",
    ]));
    client.expect_bytes(
        b"*12\r\n+event_id\r\n+550e8400-e29b-41d4-a716-446655440000\r\n+partition_key\r\n\
          +7e124fe8-fe28-5398-bb95-53973100148f\r\n+partition_id\r\n:21\r\n+partition_sequence\r\n:0\r\n\
          +stream_version\r\n:0\r\n+timestamp\r\n:1729247400000\r\n",
    );
    client.call("HELLO 3");
    let Value::Map(entries) = client.call("EAPPEND user-123 B") else { panic!("no map") };
    assert_eq!(entries.len(), 6);
    assert_eq!(
        client.refused("EAPPEND user-123 C EXPECTED_VERSION empty"),
        "WRONGVER current stream version is 1 but expected empty for partition key \
         7e124fe8-fe28-5398-bb95-53973100148f and stream id user-123"
    );
}

#[test]
fn the_lines_of_the_readme_work() {
    let server = TestServer::start();
    let mut client = server.resp3();
    for line in [
        r#"EAPPEND user-123 UserRegistered PAYLOAD '{"email":"alice@example.com","name":"Alice"}'"#,
        r#"EAPPEND user-123 EmailVerified PAYLOAD '{"timestamp":"2024-10-18T10:30:00Z"}'"#,
        r#"EAPPEND my-stream UserCreated PAYLOAD '{"name":"john"}' METADATA '{"source":"api"}'"#,
        "EAPPEND orders OrderPlaced EVENT_ID 550e8400-e29b-41d4-a716-446655440000 EXPECTED_VERSION empty",
    ] {
        assert!(matches!(client.call(line), Value::Map(_)), "{line}");
    }
    let found = client.call(&format!("EGET {KEY}"));
    assert_eq!(text(&get(&found, "event_name")), "OrderPlaced");
    assert_eq!(client.call("ESVER user-123"), Value::Integer(1));
    let both = format!(
        r#"EMAPPEND {KEY} stream1 EventA PAYLOAD '{{"data":"value1"}}' stream2 EventB PAYLOAD '{{"data":"value2"}}'"#
    );
    let reply = client.call(&both);
    assert_eq!(integer(&get(&reply, "partition_id")), 25);
    assert_eq!(integer(&get(&reply, "last_partition_sequence")), 1);
    let streams: Vec<_> =
        items(&get(&reply, "events")).iter().map(|event| text(&get(event, "stream_id"))).collect();
    assert_eq!(streams, ["stream1", "stream2"]);
    assert_eq!(
        client.refused("EAPPEND orders order-456 OrderCreated PAYLOAD x"),
        "INVALIDARG unknown option 'OrderCreated' for EAPPEND: expected EVENT_ID, PARTITION_KEY, \
         EXPECTED_VERSION, TIMESTAMP, PAYLOAD or METADATA (an event name with spaces needs quotes)"
    );
}

#[test]
fn a_refused_transaction_leaves_no_trace() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let long = "n".repeat(300);
    for refused in [
        format!("EMAPPEND {KEY} z1 A z2 {long}"),
        format!("EMAPPEND {KEY} z1 E EVENT_ID bad"),
        format!("EMAPPEND {KEY} z1 E EXPECTED_VERSION bad PAYLOAD p"),
        format!("EMAPPEND {KEY} z1 A z2 B EXPECTED_VERSION exists"),
    ] {
        let text = client.refused(&refused);
        assert!(text.starts_with("INVALIDARG ") || text.starts_with("WRONGVER "), "{text}");
    }
    assert_eq!(client.call(&format!("ESVER z1 PARTITION_KEY {KEY}")), Value::Null);
    assert_eq!(client.call(&format!("EPSEQ {KEY}")), Value::Null);
    let next = client.call(&format!("EAPPEND z1 A PARTITION_KEY {KEY}"));
    assert_eq!(integer(&get(&next, "partition_sequence")), 0);
}

#[test]
fn the_same_ids_get_the_same_reply() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let line =
        format!("EAPPEND orders OrderPlaced EVENT_ID {KEY} EXPECTED_VERSION empty PAYLOAD x");
    let first = client.call(&line);
    assert_eq!(client.call(&line), first);
    assert_eq!(stored(&mut client, "orders"), 1);
    assert_eq!(
        client.refused(&format!("EAPPEND orders OrderPlaced EVENT_ID {KEY} PAYLOAD y")),
        format!("DUPEVENT event id {KEY} is already used in partition 31 by a different event")
    );
    let pair = format!("EMAPPEND {KEY} a A EVENT_ID {KEY} b B EVENT_ID {KEY}");
    assert_eq!(
        client.refused(&pair),
        format!("DUPEVENT event id {KEY} appears twice in this transaction")
    );
}

#[test]
fn made_event_ids_are_valid_and_carry_their_partition() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let reply = client.call("EAPPEND user-123 A");
    let id = Uuid::parse_str(&text(&get(&reply, "event_id"))).unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(sierradb_protocol::id::uuid_to_partition_hash(id), 61013);
    assert_eq!(get(&client.call(&format!("EGET {id}")), "event_id"), Value::Simple(id.to_string()));
}

#[test]
fn bad_arguments_are_named() {
    let server = TestServer::start();
    let mut client = server.resp3();
    assert_eq!(
        client.refused("EAPPEND s A EXPECTED_VERSION bad"),
        "INVALIDARG invalid expected version 'bad': expected a number, any, exists or empty"
    );
    assert!(client.refused(&format!("EAPPEND s {}", "n".repeat(256))).starts_with(
        "INVALIDARG event name must be between 1 and 255 bytes in length, but got 256 for '"
    ));
    assert_eq!(
        client.refused("EAPPEND s A TIMESTAMP 9223372036855"),
        "INVALIDARG invalid timestamp '9223372036855': expected milliseconds between 0 and 9223372036854"
    );
    client.call(&format!("EAPPEND s A PARTITION_KEY {KEY}"));
    let other = "550e8400-e29b-41d4-a716-446655440001";
    assert_eq!(
        client.refused(&format!("EAPPEND s A PARTITION_KEY {other}")),
        format!(
            "INVALIDARG partition key must be the same for all events in a stream: expected {KEY}, got {other}"
        )
    );
    let server = TestServer::with("[append]\nstrict_versioning = true");
    assert_eq!(
        server.resp3().refused("EAPPEND s A"),
        "INVALIDARG strict versioning mode rejects EXPECTED_VERSION any"
    );
}

#[test]
fn whatever_is_within_the_limit_can_be_stored() {
    let server = TestServer::with("[segment]\nsize_bytes = 131072\npreallocate = 'reserve'");
    let mut client = server.resp3();
    let payload = vec![b'x'; 32_768 - 128 - 2];
    for _ in 0..10 {
        let reply = client.call_words(&[b"EAPPEND", b"s", b"A", b"PAYLOAD", &payload]);
        assert!(matches!(reply, Value::Map(_)), "{reply:?}");
    }
    let more = vec![b'x'; payload.len() + 1];
    let Value::Error { text, .. } = client.call_words(&[b"EAPPEND", b"s", b"A", b"PAYLOAD", &more])
    else {
        panic!("too large a transaction was accepted")
    };
    assert_eq!(text, "transaction of 32769 bytes exceeds the limit of 32768 bytes");
    assert_eq!(client.call("ESVER s"), Value::Integer(9));
}

#[test]
fn pipelined_appends_share_syncs_and_keep_their_order() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let mut bytes = Vec::new();
    for _ in 0..1_500 {
        bytes.extend_from_slice(&request(&[b"EAPPEND", b"s", b"A", b"PAYLOAD", b"x"]));
    }
    let ((), took) = timed(|| {
        client.raw(&bytes);
        for version in 0..1_500 {
            assert_eq!(integer(&get(&client.reply(), "stream_version")), version);
        }
    });
    assert!(took < Duration::from_secs(2), "1,500 pipelined appends took {took:?}");
}

#[test]
fn a_single_append_waits_for_no_timer() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let mut times: Vec<Duration> =
        (0..100).map(|_| timed(|| client.call("EAPPEND s A")).1).collect();
    times.sort();
    assert!(times[50] < Duration::from_millis(25), "half of the appends took {:?}", times[50]);
}

#[test]
fn replies_of_a_pipeline_are_those_of_running_it_one_by_one() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let lines = [
        "EAPPEND a A",
        "ESVER a",
        "EAPPEND a B",
        "ESVER a",
        "EAPPEND b A",
        "DBSIZE",
        "ESVER b",
        "EPSEQ 0-1",
        "EAPPEND a C EXPECTED_VERSION 1",
        "PING",
        "ESCAN a - + COUNT 0",
        "EAPPEND a D EXPECTED_VERSION 1",
        "ESVER a",
    ];
    lines.iter().for_each(|line| client.send(line));
    let replies: Vec<Value> = lines.iter().map(|_| client.reply()).collect();
    let number = |at: usize| integer(&replies[at]);
    assert_eq!([number(1), number(3), number(5), number(6), number(12)], [0, 1, 2, 0, 2]);
    assert!(
        matches!(&replies[7], Value::Error { text, .. } if text.starts_with("invalid partition"))
    );
    assert_eq!(get(&replies[10], "has_more"), Value::Boolean(true));
    assert!(
        matches!(&replies[11], Value::Error { text, .. } if text.starts_with("current stream version is 2"))
    );
}
