//! EGET, ESCAN, EPSCAN, ESVER and EPSEQ.

use sierradb_protocol::Value;

use crate::harness::{Client, TestServer, get, integer, items, text};

const KEY: &str = "550e8400-e29b-41d4-a716-446655440000";

fn fill(client: &mut Client, stream: &str, count: usize) {
    for at in 0..count {
        client.send(&format!("EAPPEND {stream} E PARTITION_KEY {KEY} PAYLOAD {at}"));
    }
    for _ in 0..count {
        assert!(matches!(client.reply(), Value::Map(_)));
    }
}

fn scanned(reply: &Value) -> (Vec<i64>, bool) {
    let sequences = items(&get(reply, "events"));
    let sequences = sequences.iter().map(|event| integer(&get(event, "partition_sequence")));
    (sequences.collect(), get(reply, "has_more") == Value::Boolean(true))
}

#[test]
fn an_event_has_all_eleven_fields_in_order() {
    let server = TestServer::start();
    let mut client = server.resp3();
    client.call(&format!("EAPPEND s Name EVENT_ID {KEY} PAYLOAD p METADATA m TIMESTAMP 5"));
    let Value::Map(entries) = client.call(&format!("EGET {KEY}")) else { panic!("no map") };
    let keys: Vec<String> = entries.iter().map(|(key, _)| text(key)).collect();
    assert_eq!(
        keys,
        [
            "event_id",
            "partition_key",
            "partition_id",
            "transaction_id",
            "partition_sequence",
            "stream_version",
            "timestamp",
            "stream_id",
            "event_name",
            "metadata",
            "payload"
        ]
    );
    assert_eq!(entries[6].1, Value::Integer(5));
    assert_eq!(entries[10].1, Value::Bulk("p".into()));
    assert_eq!(client.call("EGET 550e8400-e29b-41d4-a716-446655440009"), Value::Null);
}

#[test]
fn both_ends_of_a_scan_are_inclusive_and_has_more_is_exact() {
    let server = TestServer::start();
    let mut client = server.resp3();
    fill(&mut client, "s", 10);
    for (line, expected) in [
        ("EPSCAN 25 2 2", (vec![2], false)),
        ("EPSCAN 25 3 5", (vec![3, 4, 5], false)),
        ("EPSCAN 25 8 +", (vec![8, 9], false)),
        ("EPSCAN 25 - + COUNT 3", (vec![0, 1, 2], true)),
        ("EPSCAN 25 - + COUNT 10", ((0..10).collect(), false)),
        ("EPSCAN 25 5 1", (vec![], false)),
        ("EPSCAN 25 10 + COUNT 0", (vec![], false)),
        ("EPSCAN 25 9 + COUNT 0", (vec![], true)),
        ("EPSCAN 25 9 1000000", (vec![9], false)),
        ("EPSCAN 550e8400-e29b-41d4-a716-446655440000 - 1", (vec![0, 1], false)),
    ] {
        assert_eq!(scanned(&client.call(line)), expected, "{line}");
    }
    let line = format!("ESCAN s 2 4 PARTITION_KEY {KEY}");
    assert_eq!(scanned(&client.call(&line)), (vec![2, 3, 4], false));
    let line = format!("ESCAN s - + COUNT 10 PARTITION_KEY {KEY}");
    assert_eq!(scanned(&client.call(&line)), ((0..10).collect(), false));
}

#[test]
fn what_is_not_there_is_empty() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("ESCAN nosuch - +");
    client.expect_bytes(b"*4\r\n+has_more\r\n:0\r\n+events\r\n*0\r\n");
    assert_eq!(client.call("ESVER nosuch"), Value::Null);
    assert_eq!(client.call("EPSEQ 3"), Value::Null);
    let expected = "INVALIDARG partition 42 does not exist: this database has partitions 0 to 31";
    assert_eq!(client.refused("EPSCAN 42 100 200 COUNT 50"), expected);
    assert_eq!(client.refused("EPSEQ 42"), expected);
    assert_eq!(client.refused("ESCAN s + +"), "INVALIDARG start version cannot be '+'");
    assert_eq!(
        client.refused("EPSCAN 1 - x"),
        "INVALIDARG invalid end sequence 'x': expected + or a number"
    );
}

#[test]
fn a_reply_stops_before_its_byte_limit_but_holds_an_event() {
    let server = TestServer::with("[network]\nreply_max_bytes = 1000");
    let mut client = server.resp3();
    for _ in 0..4 {
        client.call(&format!("EAPPEND s A PAYLOAD {}", "x".repeat(2_000)));
    }
    for start in 0..4 {
        let (events, has_more) = scanned(&client.call(&format!("ESCAN s {start} +")));
        assert_eq!((events.len(), has_more), (1, start < 3));
    }
}

#[test]
fn everything_is_still_there_after_a_restart() {
    let mut server = TestServer::start();
    let mut client = server.resp3();
    fill(&mut client, "s", 50);
    let before = client.call(&format!("ESCAN s - + PARTITION_KEY {KEY}"));
    server.restart();
    let mut client = server.resp3();
    assert_eq!(client.call(&format!("ESCAN s - + PARTITION_KEY {KEY}")), before);
    assert_eq!(client.call("DBSIZE"), Value::Integer(1));
}
