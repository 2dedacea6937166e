//! The client against a server that is told what to answer, over real sockets and the real redis crate.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the redis crate opens sockets of the machine, so its other end must be one"
)]

use bytes::Bytes;
use sierradb_client::{
    ClientError, EAppendOptions, EMAppendEvent, ErrorCode, ExpectedVersion, SierraAsyncClientExt,
    SierraClient,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

const EVENT: &str = "%11\r\n+event_id\r\n+01929f2d-5040-71a2-bb95-4a1b2c3d4e5f\r\n+partition_key\r\n+7e124fe8-fe28-5398-bb95-53973100148f\r\n+partition_id\r\n:21\r\n+transaction_id\r\n+6f1c9e1e-3a57-4d55-9d3a-2f0b7c1d8e90\r\n+partition_sequence\r\n:0\r\n+stream_version\r\n:0\r\n+timestamp\r\n:1729247400000\r\n+stream_id\r\n$8\r\nuser-123\r\n+event_name\r\n$11\r\nUserCreated\r\n+metadata\r\n$0\r\n\r\n+payload\r\n$15\r\n{\"name\":\"john\"}\r\n";
const ID: &str = "17c974b9-da4e-49d9-84c3-ba537f911e12";

/// Requests in the order expected, each with its answer; then the connection is closed.
type Script = Vec<(&'static str, String)>;

/// Serves one script per connection, handshakes aside.
async fn serve(scripts: Vec<Script>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("redis://{}", listener.local_addr().expect("it is bound"));
    let served = tokio::spawn(async move {
        for script in scripts {
            let (stream, _) = listener.accept().await.expect("a client");
            talk(stream, script).await;
        }
    });
    (url, served)
}

async fn talk(stream: TcpStream, script: Script) {
    let mut stream = BufReader::new(stream);
    for (expected, answer) in script {
        let line = loop {
            let line = request(&mut stream).await;
            let greeting = match line.split(' ').next() {
                Some("HELLO") => "%1\r\n$5\r\nproto\r\n:3\r\n",
                Some("CLIENT") => "+OK\r\n",
                _ => break line,
            };
            stream.write_all(greeting.as_bytes()).await.expect("the client reads");
        };
        assert_eq!(line, expected);
        stream.write_all(answer.as_bytes()).await.expect("the client reads");
    }
}

/// The next request as one line. The redis crate sends arrays of bulk strings and nothing else.
async fn request(stream: &mut BufReader<TcpStream>) -> String {
    let mut words = Vec::new();
    for _ in 0..length(stream, '*').await {
        let mut word = vec![0; length(stream, '$').await + 2];
        stream.read_exact(&mut word).await.expect("the client writes");
        words.push(String::from_utf8_lossy(&word).trim_end_matches("\r\n").to_owned());
    }
    words.join(" ")
}

async fn length(stream: &mut BufReader<TcpStream>, kind: char) -> usize {
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("the client writes");
    let digits = line.trim_end().strip_prefix(kind).expect("an array of bulk strings");
    digits.parse().expect("a length")
}

fn frame(cursor: u64) -> String {
    format!(">4\r\n+event\r\n+{ID}\r\n:{cursor}\r\n{EVENT}")
}

#[tokio::test]
async fn appends_and_reads_are_typed() {
    let appended = "%6\r\n+event_id\r\n+01929f2d-5040-71a2-bb95-4a1b2c3d4e5f\r\n+partition_key\r\n+7e124fe8-fe28-5398-bb95-53973100148f\r\n+partition_id\r\n:21\r\n+partition_sequence\r\n:0\r\n+stream_version\r\n:0\r\n+timestamp\r\n:1729247400000\r\n";
    let multi = "%5\r\n+partition_key\r\n+550e8400-e29b-41d4-a716-446655440000\r\n+partition_id\r\n:25\r\n+first_partition_sequence\r\n:0\r\n+last_partition_sequence\r\n:0\r\n+events\r\n*1\r\n%4\r\n+event_id\r\n+01929f2d-5040-72b3-a716-511111111111\r\n+stream_id\r\n+stream1\r\n+stream_version\r\n:0\r\n+timestamp\r\n:1729247400000\r\n";
    let key = Uuid::from_u128(0x550e_8400_e29b_41d4_a716_4466_5544_0000);
    let (url, served) = serve(vec![vec![
        (r#"EAPPEND user-123 UserCreated PAYLOAD {"name":"john"} METADATA {}"#, appended.into()),
        (
            "EAPPEND user-123 UserCreated EXPECTED_VERSION empty",
            "-WRONGVER current stream version is 0\r\n".into(),
        ),
        ("EMAPPEND 550e8400-e29b-41d4-a716-446655440000 stream1 EventA PAYLOAD x", multi.into()),
        (
            "ESCAN user-123 - + COUNT 50",
            format!("%2\r\n+has_more\r\n#t\r\n+events\r\n*1\r\n{EVENT}"),
        ),
        ("EPSCAN 21 0 5", "%2\r\n+has_more\r\n#f\r\n+events\r\n*0\r\n".into()),
        ("EGET 550e8400-e29b-41d4-a716-446655440000", "_\r\n".into()),
        ("ESVER user-123", ":2\r\n".into()),
        ("EPSEQ 42", "-INVALIDARG partition 42 does not exist\r\n".into()),
        ("PING", "+PONG\r\n".into()),
    ]])
    .await;
    let client = SierraClient::connect(&url).await.expect("the double answers");

    let options = EAppendOptions::new().payload(br#"{"name":"john"}"#).metadata(b"{}");
    let result = client.eappend("user-123", "UserCreated", options).await.expect("stored");
    assert_eq!((result.partition_id.get(), result.timestamp_ms), (21, 1_729_247_400_000));

    let options = EAppendOptions::new().expected_version(ExpectedVersion::Empty);
    let refused = client.eappend("user-123", "UserCreated", options).await.expect_err("refused");
    assert_eq!(refused.code(), Some(ErrorCode::WrongVer));
    assert_eq!(refused.to_string(), "WRONGVER current stream version is 0");

    let events = vec![EMAppendEvent::new("stream1", "EventA").payload("x")];
    let multi = client.emappend(key, events).await.expect("stored");
    assert_eq!(multi.events.first().map(|event| event.stream_id.as_str()), Some("stream1"));

    let batch = client.escan("user-123", "-", None, Some(50)).execute().await.expect("a batch");
    assert!(batch.has_more);
    let payloads: Vec<Bytes> = batch.events.into_iter().map(|event| event.payload).collect();
    assert_eq!(payloads, [br#"{"name":"john"}"#.as_slice()]);

    let batch = client.epscan(21, 0, Some(5), None).execute().await.expect("a batch");
    assert!(!batch.has_more && batch.events.is_empty());
    assert_eq!(client.eget(key).await.expect("no event"), None);
    assert_eq!(client.esver("user-123", None).await.expect("a version"), Some(2));
    assert!(client.epseq(42).await.expect_err("refused").code() == Some(ErrorCode::InvalidArg));
    client.ping().await.expect("it answers");
    served.await.expect("the script was followed");
}

#[tokio::test]
async fn arguments_out_of_limits_are_not_sent() {
    let (url, served) = serve(vec![vec![("PING", "+PONG\r\n".into())]]).await;
    let client = SierraClient::connect(&url).await.expect("the double answers");
    let refused = client.eappend("", "E", EAppendOptions::new()).await;
    assert!(matches!(refused, Err(ClientError::StreamId(_))));
    let refused = client.eappend("s", &"x".repeat(256), EAppendOptions::new()).await;
    assert!(matches!(refused, Err(ClientError::EventName(_))));
    let refused = client.escan("s", "+", None, None).execute().await;
    assert!(matches!(refused, Err(ClientError::ScanStart { .. })));
    client.ping().await.expect("the first thing the server hears");
    served.await.expect("the script was followed");
}

#[tokio::test]
async fn a_lost_connection_fails_once_and_is_made_again() {
    let ping = || vec![("PING", "+PONG\r\n".to_owned())];
    let (url, served) = serve(vec![ping(), ping()]).await;
    let client = SierraClient::connect(&url).await.expect("the double answers");
    client.ping().await.expect("the first connection");
    let lost = client.ping().await.expect_err("the double has closed it");
    assert!(lost.is_retryable() && lost.is_outcome_unknown(), "{lost:?}");
    client.ping().await.expect("the second connection");
    served.await.expect("the scripts were followed");
}

#[tokio::test]
async fn subscriptions_deliver_in_order_and_acknowledge_in_bundles() {
    let id = Uuid::parse_str(ID).expect("a UUID");
    // The first frames come in one piece with the reply, before anybody can have looked at the id.
    let first = format!("+{ID}\r\n{}{}", frame(0), frame(1));
    let rest = format!("+OK\r\n{}", frame(2));
    let end = ">4\r\n+end\r\n+17c974b9-da4e-49d9-84c3-ba537f911e12\r\n:3\r\n$32\r\nTRYAGAIN server is shutting down\r\n";
    let (url, served) = serve(vec![
        vec![("PING", "+PONG\r\n".into())],
        vec![
            ("ESUB user-123 FROM 0 WINDOW 4 PUSH event", first),
            ("EACK 17c974b9-da4e-49d9-84c3-ba537f911e12 1", rest),
            ("EACK 17c974b9-da4e-49d9-84c3-ba537f911e12 2", format!("+OK\r\n{end}")),
        ],
    ])
    .await;
    let client = SierraClient::connect(&url).await.expect("the double answers");
    client.ping().await.expect("the first connection");
    let mut manager = client.subscription_manager().await.expect("the second connection");
    let request = sierradb_client::ESub {
        sources: vec![sierradb_client::StreamSource {
            stream_id: "user-123".try_into().expect("a stream id"),
            partition_key: None,
        }],
        from: sierradb_client::FollowFrom::At(0),
        window: std::num::NonZeroU32::new(4),
        push: sierradb_client::PushKind::Message,
    };
    let mut subscription = manager.esub(request).await.expect("subscribed");
    for cursor in 0..3 {
        let message = subscription.next_message().await.expect("no error").expect("an event");
        assert_eq!((message.subscription_id, message.cursor), (id, cursor));
        assert_eq!(message.event.stream_id, "user-123");
    }
    subscription.acknowledge().await.expect("acknowledged");
    match subscription.next_message().await {
        Err(ClientError::Ended { next_cursor: 3, code: ErrorCode::TryAgain, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(subscription.next_message().await.expect("no second error"), None);
    served.await.expect("the scripts were followed");
}

#[tokio::test]
async fn a_subscription_notices_that_its_connection_is_lost() {
    let (url, served) = serve(vec![
        vec![("PING", "+PONG\r\n".into())],
        vec![("EPSUB * FROM 7 WINDOW 1024 PUSH event", format!("+{ID}\r\n"))],
    ])
    .await;
    let client = SierraClient::connect(&url).await.expect("the double answers");
    client.ping().await.expect("the first connection");
    let mut manager = client.subscription_manager().await.expect("the second connection");
    let mut subscription = manager.subscribe_to_all_partitions(Some(7)).await.expect("subscribed");
    let lost = subscription.next_message().await;
    assert!(matches!(lost, Err(ClientError::Disconnected { .. })), "{lost:?}");
    assert_eq!(subscription.next_message().await.expect("no second error"), None);
    served.await.expect("the scripts were followed");
}
