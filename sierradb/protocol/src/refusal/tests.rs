use super::*;
use crate::command::test_support::KEY;
use crate::limits::STREAM_ID_MAX_BYTES;

fn id() -> Uuid {
    Uuid::parse_str(KEY).unwrap()
}

fn wrong_version(current: CurrentVersion, expected: ExpectedVersion, stream: &str) -> String {
    let stream_id = StreamId::new(stream).unwrap();
    Refusal::WrongVersion { current, expected, partition_key: id(), stream_id }.to_string()
}

#[test]
fn the_texts_in_the_form_of_redis_are_those_of_the_contract() {
    let rows = [
        (
            Refusal::NoPasswordConfigured,
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        (Refusal::WrongLogin, "WRONGPASS invalid username-password pair or user is disabled."),
        (Refusal::NotLoggedIn, "NOAUTH Authentication required."),
        (
            Refusal::HelloNotLoggedIn,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ),
        (
            Refusal::SubscriberMode { command: "ESCAN" },
            "ERR Can't execute 'escan': only ESUB / EPSUB / EACK / EUNSUB / (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        ),
        (Refusal::NoClusterSupport, "ERR This instance has cluster support disabled"),
        (Refusal::NoSuchClient, "ERR No such client"),
        (Refusal::TooManyClients, "ERR max number of clients reached"),
        (Refusal::Internal { id: "7f".into() }, "ERR internal error 7f"),
    ];
    for (refusal, text) in rows {
        assert_eq!(format!("{} {refusal}", refusal.code()), text);
    }
}

#[test]
fn the_texts_of_sierradb_are_those_of_the_contract() {
    let partition = PartitionId::new(3);
    let rows = [
        (
            Refusal::DuplicateEvent { event_id: id(), partition },
            format!("DUPEVENT event id {KEY} is already used in partition 3 by a different event"),
        ),
        (
            Refusal::RepeatedEvent { event_id: id() },
            format!("DUPEVENT event id {KEY} appears twice in this transaction"),
        ),
        (
            NoSuchPartition { partition: PartitionId::new(42), count: 32 }.into(),
            "INVALIDARG partition 42 does not exist: this database has partitions 0 to 31".into(),
        ),
        (
            Refusal::TransactionTooLarge { size_bytes: 17_000_000, limit_bytes: 16_777_216 },
            "INVALIDARG transaction of 17000000 bytes exceeds the limit of 16777216 bytes".into(),
        ),
        (
            Refusal::TooManyEvents { count: 65_536, limit: 65_535 },
            "INVALIDARG 65536 events exceed the limit of 65535 per transaction".into(),
        ),
        (
            Refusal::StrictVersioning { expected: ExpectedVersion::Any },
            "INVALIDARG strict versioning mode rejects EXPECTED_VERSION any".into(),
        ),
        (
            Refusal::StrictVersioning { expected: ExpectedVersion::Exists },
            "INVALIDARG strict versioning mode rejects EXPECTED_VERSION exists".into(),
        ),
        (
            Refusal::OtherPartitionKey { expected: id(), got: Uuid::nil() },
            format!(
                "INVALIDARG partition key must be the same for all events in a stream: expected {KEY}, got {}",
                Uuid::nil()
            ),
        ),
        (
            Refusal::TooManySubscriptions { limit: 1024 },
            "INVALIDARG too many subscriptions on this connection: the limit is 1024".into(),
        ),
        (
            Refusal::CursorBehind { cursor: 3, acknowledged: 5 },
            "INVALIDARG cursor 3 is behind the acknowledged cursor 5".into(),
        ),
        (
            Refusal::CursorNotSent { cursor: 9, last_sent: Some(7) },
            "INVALIDARG cursor 9 was not sent yet: the last cursor sent is 7".into(),
        ),
        (
            Refusal::CursorNotSent { cursor: 9, last_sent: None },
            "INVALIDARG cursor 9 was not sent yet: none was sent yet".into(),
        ),
        (Refusal::NoSuchSubscription, "NOTFOUND subscription not found".into()),
    ];
    for (refusal, text) in rows {
        assert_eq!(format!("{} {refusal}", refusal.code()), text);
    }
}

#[test]
fn the_texts_of_trouble_are_those_of_the_contract() {
    let partition = PartitionId::new(3);
    let rows = [
        (
            Refusal::TooManyAppends { partition },
            "TRYAGAIN too many appends in flight for partition 3",
        ),
        (Refusal::LeadershipChanged { partition }, "TRYAGAIN leadership of partition 3 changed"),
        (Refusal::ShuttingDown, "TRYAGAIN server is shutting down"),
        (Refusal::PartitionUnavailable, "CLUSTERDOWN partition unavailable"),
        (Refusal::OutcomeUnknown, "TIMEOUT write operation timed out, its outcome is unknown"),
        (
            Refusal::DiskNearlyFull { free_bytes: 1, needed_bytes: 2 },
            "MISCONF disk is nearly full: 1 bytes free, 2 needed; appends are refused",
        ),
        (
            Refusal::Read { cause: "checksum mismatch in bucket 1 segment 7 at offset 48".into() },
            "READERR read error: checksum mismatch in bucket 1 segment 7 at offset 48",
        ),
        (
            Refusal::BucketReadOnly { bucket: 2, cause: "I/O error".into() },
            "WRITEERR bucket 2 is read-only after a disk error: I/O error",
        ),
    ];
    for (refusal, text) in rows {
        assert_eq!(format!("{} {refusal}", refusal.code()), text);
    }
}

#[test]
fn a_wrong_version_tells_both_and_never_cuts_the_stream() {
    use CurrentVersion::{Current, Empty};
    assert_eq!(
        wrong_version(Current(0), ExpectedVersion::Empty, "user-123"),
        format!(
            "current stream version is 0 but expected empty for partition key {KEY} and stream id user-123"
        )
    );
    let long = "x".repeat(STREAM_ID_MAX_BYTES);
    assert!(wrong_version(Empty, ExpectedVersion::Exists, &long).ends_with(&long));
    assert!(
        wrong_version(Empty, ExpectedVersion::Exact(4), "s").contains("is empty but expected 4")
    );
}
