use std::ops::Range;

use proptest::prelude::*;

use super::*;
use crate::command::test_support::*;
use crate::request::{Request, Span};

fn eappend(line: &str) -> EAppend {
    match parsed(line) {
        Command::EAppend(command) => command,
        other => panic!("{other:?}"),
    }
}

fn emappend(line: &str) -> EMAppend {
    match parsed(line) {
        Command::EMAppend(command) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_examples_of_the_contract_are_understood() {
    let json = r#"{"email":"alice@example.com","name":"Alice"}"#;
    let command = eappend(&format!("EAPPEND user-123 UserRegistered PAYLOAD '{json}'"));
    assert_eq!(command.event.stream_id.as_str(), "user-123");
    assert_eq!(command.event.event_name.as_str(), "UserRegistered");
    assert_eq!(command.event.payload, json);
    assert_eq!((command.partition_key, command.event.event_id), (None, None));
    assert_eq!(command.event.expected_version, ExpectedVersion::Any);

    eappend(r#"EAPPEND user-123 EmailVerified PAYLOAD '{"timestamp":"2024-10-18T10:30:00Z"}'"#);
    eappend(r#"EAPPEND user-123 ProfileUpdated PAYLOAD '{"bio":"Software engineer"}'"#);
    eappend(r#"EAPPEND user-123 UserCreated PAYLOAD '{"name":"John","email":"john@example.com"}'"#);
    let with_metadata =
        r#"EAPPEND my-stream UserCreated PAYLOAD '{"name":"john"}' METADATA '{"source":"api"}'"#;
    assert_eq!(eappend(with_metadata).event.metadata, r#"{"source":"api"}"#);

    let line = format!("EAPPEND orders OrderPlaced EVENT_ID {KEY} EXPECTED_VERSION empty");
    let command = eappend(&line);
    assert_eq!(command.event.event_id, Some(Uuid::parse_str(KEY).unwrap()));
    assert_eq!(command.event.expected_version, ExpectedVersion::Empty);

    let line = format!(
        r#"EMAPPEND {KEY} stream1 EventA PAYLOAD '{{"data":"value1"}}' stream2 EventB PAYLOAD '{{"data":"value2"}}'"#
    );
    let command = emappend(&line);
    assert_eq!(command.partition_key, Uuid::parse_str(KEY).unwrap());
    let names: Vec<_> = command.events.iter().map(|event| event.event_name.as_str()).collect();
    assert_eq!(names, ["EventA", "EventB"]);
    assert_eq!(command.events[1].payload, r#"{"data":"value2"}"#);
}

#[test]
fn options_come_in_any_order_and_case() {
    let line = format!("eappend s E metadata m TimeStamp +007 payload p partition_key {{{KEY}}}");
    let command = eappend(&line);
    assert_eq!(command.event.timestamp_ms, Some(7));
    assert_eq!(command.partition_key, Some(Uuid::parse_str(KEY).unwrap()));
    assert_eq!(command.event.size_bytes(), 1 + 1 + 1 + 1 + 128);
}

#[test]
fn an_option_takes_the_next_word_whatever_it_is() {
    let command = eappend("EAPPEND s E PAYLOAD METADATA METADATA PAYLOAD");
    assert_eq!(command.event.payload, "METADATA");
    assert_eq!(command.event.metadata, "PAYLOAD");
}

#[test]
fn payloads_are_slices_of_the_request() {
    let request = Bytes::from(b"EAPPEND s E PAYLOAD 12345".to_vec());
    let spans =
        [0..7, 8..9, 10..11, 12..19, 20..25].map(|Range { start, end }| Span { start, end });
    match Command::parse(&Request::new(&request, &spans)).unwrap() {
        Command::EAppend(command) => {
            assert_eq!(command.event.payload.as_ptr(), request[20..].as_ptr());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn unknown_options_are_named_with_what_was_expected() {
    let list = "expected EVENT_ID, PARTITION_KEY, EXPECTED_VERSION, TIMESTAMP, PAYLOAD or METADATA";
    assert_eq!(
        refused("EAPPEND s E PAYLAOD x"),
        format!("INVALIDARG unknown option 'PAYLAOD' for EAPPEND: {list}; did you mean PAYLOAD?")
    );
    assert_eq!(
        refused("EAPPEND user-1 User Created PAYLOAD x"),
        format!(
            "INVALIDARG unknown option 'Created' for EAPPEND: {list} (an event name with spaces needs quotes)"
        )
    );
    assert_eq!(
        refused("EAPPEND orders order-456 OrderCreated PAYLOAD '{}'"),
        format!(
            "INVALIDARG unknown option 'OrderCreated' for EAPPEND: {list} (an event name with spaces needs quotes)"
        )
    );
    assert_eq!(
        refused("EAPPEND s E PAYLOAD x zzz"),
        format!("INVALIDARG unknown option 'zzz' for EAPPEND: {list}")
    );
}

#[test]
fn options_without_value_or_given_twice_are_refused() {
    assert_eq!(refused("EAPPEND s E PAYLOAD"), "INVALIDARG missing value for PAYLOAD");
    assert_eq!(refused("EAPPEND s E EVENT_ID"), "INVALIDARG missing value for EVENT_ID");
    for (option, value, spoken) in [
        ("EVENT_ID", KEY, "event id"),
        ("PARTITION_KEY", KEY, "partition key"),
        ("EXPECTED_VERSION", "any", "expected version"),
        ("TIMESTAMP", "0", "timestamp"),
        ("PAYLOAD", "''", "payload"),
        ("METADATA", "''", "metadata"),
    ] {
        let line = format!("EAPPEND s E {option} {value} {option} {value}");
        assert_eq!(refused(&line), format!("INVALIDARG {spoken} already specified"));
    }
    let line = format!("EMAPPEND {KEY} s E PAYLOAD a PAYLOAD b");
    assert_eq!(refused(&line), "INVALIDARG payload already specified");
}

#[test]
fn a_forgotten_event_name_is_noticed() {
    let text = "INVALIDARG missing event name for stream 's'";
    assert_eq!(refused("EAPPEND s PAYLOAD x"), text);
    assert_eq!(refused("EAPPEND s PARTITION_KEY"), text);
    assert_eq!(refused(&format!("EMAPPEND {KEY} s PAYLOAD x")), text);
    assert_eq!(refused(&format!("EMAPPEND {KEY} r E s")), text);
    // A lower-case word is a name like any other.
    assert_eq!(eappend("EAPPEND s payload").event.event_name.as_str(), "payload");
}

#[test]
fn keywords_are_no_stream_ids_between_events() {
    for word in ["PAYLOAD", "payload", "EVENT_ID", "Timestamp", "METADATA", "EXPECTED_VERSION"] {
        let line = format!("EMAPPEND {KEY} {word} E");
        let text = format!("INVALIDARG '{word}' is not accepted as a stream id here");
        assert_eq!(refused(&line), text);
    }
    let text = "INVALIDARG PARTITION_KEY is not an option of EMAPPEND events";
    assert_eq!(refused(&format!("EMAPPEND {KEY} s E PARTITION_KEY {KEY}")), text);
    assert_eq!(refused(&format!("EMAPPEND {KEY} partition_key E")), text);
    assert_eq!(eappend("EAPPEND PAYLOAD E").event.stream_id.as_str(), "PAYLOAD");
}

#[test]
fn bad_values_are_named_with_the_rule() {
    let rows = [
        ("EVENT_ID bad", "invalid event id 'bad': expected a UUID"),
        ("PARTITION_KEY bad", "invalid partition key 'bad': expected a UUID"),
        (
            "EXPECTED_VERSION bad",
            "invalid expected version 'bad': expected a number, any, exists or empty",
        ),
        (
            "TIMESTAMP 9223372036855",
            "invalid timestamp '9223372036855': expected milliseconds between 0 and 9223372036854",
        ),
        (
            "TIMESTAMP -1",
            "invalid timestamp '-1': expected milliseconds between 0 and 9223372036854",
        ),
    ];
    for (options, text) in rows {
        assert_eq!(refused(&format!("EAPPEND s E {options}")), format!("INVALIDARG {text}"));
    }
    assert_eq!(refused("EMAPPEND k s E"), "INVALIDARG invalid partition key 'k': expected a UUID");
    let line = format!("EMAPPEND {KEY} s E EVENT_ID bad");
    assert_eq!(refused(&line), "INVALIDARG invalid event id 'bad': expected a UUID");
    assert_eq!(
        eappend("EAPPEND s E TIMESTAMP 9223372036854").event.timestamp_ms,
        Some(9_223_372_036_854)
    );
}

#[test]
fn names_out_of_their_limits_are_refused_wherever_they_stand() {
    let long = "x".repeat(256);
    let quoted = "x".repeat(128);
    let stream = format!(
        "INVALIDARG stream id must be between 1 and 255 bytes in length, but got 256 for '{quoted}'"
    );
    assert_eq!(refused(&format!("EAPPEND {long} E")), stream);
    let name = format!(
        "INVALIDARG event name must be between 1 and 255 bytes in length, but got 256 for '{quoted}'"
    );
    assert_eq!(refused(&format!("EAPPEND s {long}")), name);
    assert_eq!(refused(&format!("EMAPPEND {KEY} z1 A z2 {long}")), name);
    assert_eq!(refused("EAPPEND 'a\0' E"), "INVALIDARG stream id cannot contain null bytes");
    let not_text = vec!["EAPPEND".into(), Bytes::from_static(b"\xff"), "E".into()];
    let error = Command::from_args(&not_text).unwrap_err();
    assert_eq!(error.to_string(), "stream id must be valid UTF-8");
    let not_text = vec!["EAPPEND".into(), "s".into(), Bytes::from_static(b"\xff")];
    let error = Command::from_args(&not_text).unwrap_err();
    assert_eq!(error.to_string(), "event name must be valid UTF-8");
}

#[test]
fn too_few_words_are_a_matter_of_arity() {
    assert_eq!(refused("EAPPEND s"), "ERR wrong number of arguments for 'eappend' command");
    assert_eq!(refused("emappend k s"), "ERR wrong number of arguments for 'emappend' command");
}

pub(crate) fn any_event() -> impl Strategy<Value = AppendEvent> {
    let names = (any_stream_id(), "[a-zA-Z ]{1,9}");
    let options = (
        prop::option::of(any_uuid()),
        any_expected(),
        prop::option::of(0..=TIMESTAMP_MAX_MS),
        any_bytes(),
        any_bytes(),
    );
    (names, options).prop_map(|((stream_id, name), options)| {
        let (event_id, expected_version, timestamp_ms, payload, metadata) = options;
        // An upper-case keyword cannot be a name.
        let event_name = EventName::new(format!("{name}.")).unwrap();
        let event = AppendEvent::new(stream_id, event_name);
        AppendEvent { event_id, expected_version, timestamp_ms, payload, metadata, ..event }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn eappend_is_read_as_it_was_written(
        event in any_event(),
        partition_key in prop::option::of(any_uuid()),
    ) {
        assert_round_trip(&Command::EAppend(EAppend { partition_key, event }));
    }

    #[test]
    fn emappend_is_read_as_it_was_written(
        events in prop::collection::vec(any_event(), 1..5),
        partition_key in any_uuid(),
    ) {
        assert_round_trip(&Command::EMAppend(EMAppend { partition_key, events }));
    }
}
