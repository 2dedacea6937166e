//! Each command that users were told about, typed into redis-cli, with what must come back.
use crate::cli::{cli, have_cli};
use crate::server::Server;

const KEY: &str = "550e8400-e29b-41d4-a716-446655440000";

/// Runs the lines in order; each output must hold all words behind it.
#[cfg(test)]
fn check(server: &Server, lines: &[(&str, &[&str])]) {
    for (line, words) in lines {
        let output = cli(server, line);
        for word in *words {
            assert!(output.contains(word), "`{line}` should print {word:?} but prints:\n{output}");
        }
    }
}

#[test]
fn the_first_minute_of_a_user_works_as_told() {
    if !have_cli() {
        return;
    }
    check(
        &Server::start(),
        &[
            (
                r#"EAPPEND user-123 UserRegistered PAYLOAD '{"email":"alice@example.com","name":"Alice"}'"#,
                &["partition_id => (integer) 21", "stream_version => (integer) 0"],
            ),
            (
                r#"EAPPEND user-123 EmailVerified PAYLOAD '{"timestamp":"2024-10-18T10:30:00Z"}'"#,
                &["stream_version => (integer) 1"],
            ),
            (
                r#"EAPPEND user-123 ProfileUpdated PAYLOAD '{"bio":"Software engineer"}'"#,
                &["partition_sequence => (integer) 2"],
            ),
            (
                "ESCAN user-123 - +",
                &["has_more => (false)", "UserRegistered", "EmailVerified", "Software engineer"],
            ),
            ("ESVER user-123", &["(integer) 2"]),
            ("EAPPEND orders OrderCreated PAYLOAD '{}'", &["stream_version => (integer) 0"]),
            ("ESCAN orders - + COUNT 100", &["OrderCreated"]),
            (
                "EAPPEND orders order-456 OrderCreated PAYLOAD '{}'",
                &[
                    "INVALIDARG unknown option 'OrderCreated' for EAPPEND",
                    "(an event name with spaces needs quotes)",
                ],
            ),
        ],
    );
}

#[test]
fn every_documented_example_of_a_command_works_as_typed() {
    if !have_cli() {
        return;
    }
    let server = Server::start();
    let with_key = |command: &str| command.replace('@', KEY);
    check(
        &server,
        &[
            (
                r#"EAPPEND my-stream UserCreated PAYLOAD '{"name":"john"}' METADATA '{"source":"api"}'"#,
                &["partition_id => (integer) 6"],
            ),
            (
                &with_key("EAPPEND orders OrderPlaced EVENT_ID @ EXPECTED_VERSION empty"),
                &[KEY, "stream_version => (integer) 0"],
            ),
            (
                &with_key("EAPPEND orders OrderPlaced EVENT_ID @ EXPECTED_VERSION empty"),
                &[KEY, "stream_version => (integer) 0"],
            ),
            (
                "EAPPEND orders OrderPlaced EXPECTED_VERSION empty",
                &["WRONGVER current stream version is 0 but expected empty"],
            ),
            (
                &with_key(
                    r#"EMAPPEND @ stream1 EventA PAYLOAD '{"data":"value1"}' stream2 EventB PAYLOAD '{"data":"value2"}'"#,
                ),
                &[
                    "first_partition_sequence => (integer) 0",
                    "last_partition_sequence => (integer) 1",
                ],
            ),
            (&with_key("EGET @"), &["OrderPlaced"]),
            ("EGET 00000000-0000-7000-8000-000000000000", &["(nil)"]),
            ("ESCAN my-stream 0 100 COUNT 50", &["UserCreated", "has_more => (false)"]),
            (
                &with_key("ESCAN my-stream - + PARTITION_KEY @"),
                &["has_more => (false)", "(empty array)"],
            ),
            ("ESVER my-stream", &["(integer) 0"]),
            (&with_key("ESVER my-stream PARTITION_KEY @"), &["(nil)"]),
            (
                "EPSCAN 42 100 200 COUNT 50",
                &["INVALIDARG partition 42 does not exist: this database has partitions 0 to 31"],
            ),
            (&with_key("EPSCAN @ - + COUNT 100"), &["EventA", "EventB"]),
            ("EPSEQ 42", &["INVALIDARG partition 42 does not exist"]),
            (&with_key("EPSEQ @"), &["(integer) 1"]),
            (&with_key("EACK @ 1000"), &["NOTFOUND subscription not found"]),
            ("HELLO 3", &["sierradb", "num_partitions", "peer_id", "12D3KooW"]),
            ("PING", &["PONG"]),
        ],
    );
}

#[test]
fn every_documented_form_of_a_subscription_is_accepted() {
    if !have_cli() {
        return;
    }
    let server = Server::start();
    for line in [
        "ESUB user-123 FROM LATEST",
        "ESUB user-123",
        "ESUB user-123 WINDOW 100",
        "ESUB user-123 FROM 50 WINDOW 100",
        "ESUB user-1 user-2 user-3 FROM MAP user-1=10 user-2=20 user-3=30 WINDOW 50",
        "EPSUB '*'",
        "EPSUB '*' WINDOW 100",
        "EPSUB '*' FROM 1000 WINDOW 100",
        "EPSUB 5 FROM 100 WINDOW 50",
        "EPSUB 1,2,3 FROM MAP 1=100 2=200 DEFAULT 0 WINDOW 500",
    ] {
        let output = cli(&server, line);
        let lengths: Vec<usize> =
            output.lines().next().unwrap_or("").split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "`{line}` should print a UUID but prints:\n{output}");
    }
}
