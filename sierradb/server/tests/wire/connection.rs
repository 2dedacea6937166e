//! Connection and server commands, protocol versions, login.

use sierradb_protocol::Value;

use crate::harness::{Client, TestServer, get, integer, items, ok, request, text};

const HELLO_KEYS: [&str; 9] =
    ["server", "version", "proto", "id", "mode", "role", "modules", "peer_id", "num_partitions"];

#[test]
fn a_connection_begins_in_resp2_and_hello_switches() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.raw(b"PING\r\n");
    client.expect_bytes(b"+PONG\r\n");
    let three = client.call("HELLO 3");
    let Value::Map(entries) = &three else { panic!("{three:?}") };
    assert_eq!(entries.iter().map(|(key, _)| text(key)).collect::<Vec<_>>(), HELLO_KEYS);
    assert_eq!(integer(&get(&three, "proto")), 3);
    assert_eq!(integer(&get(&three, "num_partitions")), 32);
    assert!(text(&get(&three, "peer_id")).starts_with("12D3KooW"));
    let two = client.call("HELLO 2");
    assert_eq!(items(&two).len(), 18);
    assert_eq!(integer(&get(&two, "proto")), 2);
    assert_eq!(integer(&get(&client.call("HELLO"), "proto")), 2);
    assert_eq!(client.refused("HELLO 4"), "NOPROTO unsupported protocol version");
    assert_eq!(client.refused("HELLO x"), "ERR Protocol version is not an integer or out of range");
    assert_eq!(client.refused("HELLO 3 FOO"), "ERR Syntax error in HELLO option 'FOO'");
    assert_eq!(
        integer(&get(&client.call("HELLO"), "proto")),
        2,
        "a failing clause changes nothing"
    );
}

#[test]
fn small_commands_answer_as_redis_does() {
    let server = TestServer::start();
    let mut client = server.connect();
    assert_eq!(client.call("PING x"), Value::Bulk("x".into()));
    assert_eq!(client.call("ECHO hello"), Value::Bulk("hello".into()));
    assert_eq!(items(&client.call("TIME")).len(), 2);
    assert_eq!(client.call("DBSIZE"), Value::Integer(0));
    assert_eq!(client.call("SELECT 0"), ok());
    assert_eq!(client.refused("SELECT 1"), "ERR DB index is out of range");
    assert_eq!(client.refused("SELECT x"), "ERR value is not an integer or out of range");
    assert_eq!(items(&client.call("ROLE"))[0], Value::Bulk("master".into()));
    assert_eq!(client.call("MODULE LIST"), Value::Array(vec![]));
    assert_eq!(client.refused("CLUSTER SLOTS"), "ERR This instance has cluster support disabled");
    assert_eq!(
        client.refused("GET k"),
        "ERR unknown command 'GET', with args beginning with: 'k' "
    );
    assert_eq!(client.refused("EGET"), "ERR wrong number of arguments for 'eget' command");
    assert_eq!(client.refused("CLIENT FOO"), "ERR unknown subcommand 'FOO'. Try CLIENT HELP.");
    assert_eq!(client.call("QUIT"), ok());
    assert!(client.rest().is_empty());
}

#[test]
fn clients_are_listed_named_and_killed() {
    let server = TestServer::start();
    let (mut one, mut two) = (server.connect(), server.connect());
    assert_eq!(one.call("CLIENT GETNAME"), Value::Null);
    assert_eq!(one.call("CLIENT SETNAME first"), ok());
    assert_eq!(one.call("CLIENT SETINFO LIB-NAME redis-py"), ok());
    let id = integer(&two.call("CLIENT ID"));
    let list = text(&one.call("CLIENT LIST"));
    assert_eq!(list.lines().count(), 2);
    assert!(list.contains(" name=first ") && list.contains(" lib-name=redis-py "), "{list}");
    assert!(list.contains(&format!("addr={}", two.local_addr())), "{list}");
    assert_eq!(one.call(&format!("CLIENT KILL ID {id}")), Value::Integer(1));
    assert!(two.rest().is_empty());
    assert_eq!(one.refused("CLIENT KILL 1.2.3.4:5"), "ERR No such client");
    let own = format!("CLIENT KILL {}", one.local_addr());
    assert_eq!(one.call(&own), ok());
    assert!(one.rest().is_empty());
}

#[test]
fn replies_are_left_out_on_request() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send("CLIENT REPLY SKIP");
    client.send("PING skipped");
    client.send("PING one");
    assert_eq!(client.reply(), Value::Bulk("one".into()));
    client.send("CLIENT REPLY OFF");
    client.send("PING off");
    assert_eq!(client.call("CLIENT REPLY ON"), ok());
    assert_eq!(client.call("PING two"), Value::Bulk("two".into()));
}

#[test]
fn a_password_is_asked_for_before_anything_else() {
    let server = TestServer::with("[auth]\npassword = 'secret'");
    let mut client = server.connect();
    assert_eq!(client.refused("PING"), "NOAUTH Authentication required.");
    assert!(client.refused("HELLO 3").starts_with("NOAUTH HELLO must be called"));
    assert!(client.refused("AUTH wrong").starts_with("WRONGPASS "));
    assert!(client.refused("AUTH other secret").starts_with("WRONGPASS "));
    assert_eq!(client.call("AUTH default secret"), ok());
    assert_eq!(client.call("PING"), Value::Simple("PONG".into()));
    assert_eq!(client.call("RESET"), Value::Simple("RESET".into()));
    assert_eq!(client.refused("PING"), "NOAUTH Authentication required.");
    assert_eq!(integer(&get(&client.call("HELLO 3 AUTH default secret SETNAME n"), "proto")), 3);
    assert_eq!(client.call("CLIENT GETNAME"), Value::Bulk("n".into()));

    let mut waiting = server.connect();
    waiting.raw(b"PING\r\nAUTH secret\r\n");
    assert!(matches!(waiting.reply(), Value::Error { .. }));
    assert_eq!(waiting.reply(), ok());
    let long = vec![b'x'; 20_000]; // longer than what is taken before a login
    waiting.raw(&request(&[b"EAPPEND", b"s", b"A", b"PAYLOAD", &long]));
    assert!(!matches!(waiting.reply(), Value::Error { .. }), "AUTH had to wait for PING's refusal");

    let mut large = server.connect();
    large.raw_until_closed(b"*11\r\n");
    let answer = large.rest();
    assert_eq!(answer, b"-ERR Protocol error: unauthenticated multibulk length\r\n");
}

#[test]
fn without_a_password_only_the_long_form_of_auth_succeeds() {
    let server = TestServer::start();
    let mut client = server.connect();
    assert_eq!(client.call("AUTH default anything"), ok());
    assert!(client.refused("AUTH x").contains("without any password configured"));
}

#[test]
fn info_has_what_clients_look_for() {
    let server = TestServer::start();
    let mut client = server.resp3();
    client.call("EAPPEND s A PAYLOAD x");
    let info = text(&client.call("INFO"));
    for line in [
        "redis_version:7.4.0",
        "loading:0",
        "role:master",
        "db0:keys=1,expires=0",
        "events:1",
        "live_events:1",
    ] {
        assert!(info.lines().any(|found| found == line), "{line} is missing in {info}");
    }
    assert!(info.contains("\r\nlive_index_bytes:"), "{info}");
    assert!(!info.contains("# Commandstats"));
    let all = text(&client.call("INFO all"));
    assert!(all.contains("cmdstat_eappend:calls=1,usec="), "{all}");
    assert!(all.contains("latency_percentiles_usec_eappend:p50="), "{all}");
    assert!(text(&client.call("INFO cache")).starts_with("# Cache\r\nhits:"));
    assert_eq!(client.call("INFO nosuch"), Value::Bulk("".into()));
}

#[test]
fn settings_are_shown_without_secrets() {
    let server = TestServer::with("[auth]\npassword = 'secret'");
    let mut client = server.connect();
    client.call("AUTH default secret");
    let all = client.call("CONFIG GET *");
    let shown = format!("{all:?}");
    assert!(!shown.contains("secret"));
    assert_eq!(text(&get(&all, "appendonly")), "yes");
    assert_eq!(text(&get(&all, "bucket.count")), "4");
    assert_eq!(text(&get(&client.call("CONFIG GET save"), "save")), "");
    assert_eq!(items(&client.call("CONFIG GET nosuch")).len(), 0);
}

#[test]
fn commands_are_documented() {
    let server = TestServer::start();
    let mut client = server.resp3();
    let count = integer(&client.call("COMMAND COUNT"));
    assert_eq!(items(&client.call("COMMAND LIST")).len() > 20, count > 20);
    let info = items(&items(&client.call("COMMAND INFO eappend"))[0]);
    assert_eq!(info[1], Value::Integer(-3));
    let Value::Map(docs) = client.call("COMMAND DOCS") else { panic!("no map") };
    assert_eq!(i64::try_from(docs.len()).unwrap(), count);
}

#[test]
fn too_many_clients_are_told_so() {
    let server = TestServer::with("[network]\nmax_clients = 1");
    let mut first = server.connect();
    assert_eq!(first.call("PING"), Value::Simple("PONG".into()));
    let mut second = server.connect();
    assert_eq!(second.rest(), b"-ERR max number of clients reached\r\n");
    assert_eq!(first.call("PING"), Value::Simple("PONG".into()));
}

#[test]
fn the_peer_id_is_the_same_at_every_start() {
    let mut server = TestServer::start();
    let peer_id = |server: &TestServer| text(&get(&server.connect().call("HELLO 3"), "peer_id"));
    let before = peer_id(&server);
    server.restart();
    assert_eq!(peer_id(&server), before);
    assert_eq!(before.len(), 52);
}

#[test]
fn a_stopping_server_answers_what_it_has_begun_and_closes() {
    let mut server = TestServer::start();
    let mut client: Client = server.connect();
    assert!(matches!(client.call("EAPPEND s A"), Value::Array(_)));
    let stopped = server.stop_in_background();
    assert!(client.rest().is_empty());
    stopped.join().unwrap();
}
