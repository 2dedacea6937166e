use proptest::prelude::*;

use super::*;
use crate::command::test_support::*;

fn escan(line: &str) -> EScan {
    match parsed(line) {
        Command::EScan(command) => command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_examples_of_the_contract_are_understood() {
    let command = escan("ESCAN user-123 - +");
    assert_eq!((command.range, command.count()), (Range::ALL, 100));
    assert_eq!(escan("ESCAN orders - + COUNT 100").count, Some(100));
    let command = escan("ESCAN my-stream 0 100 COUNT 50");
    assert_eq!((command.range.first(), command.range.last(), command.count()), (0, 100, 50));
    let key = Uuid::parse_str(KEY).unwrap();
    let line = format!("ESCAN my-stream - + PARTITION_KEY {KEY}");
    assert_eq!(escan(&line).partition_key, Some(key));
    escan(&format!("ESCAN s 0 + COUNT 5 PARTITION_KEY {KEY}"));

    assert_eq!(parsed(&format!("EGET {KEY}")), Command::EGet(EGet { event_id: key }));
    match parsed("EPSCAN 42 100 200 COUNT 50") {
        Command::EPScan(command) => {
            assert_eq!(command.partition, PartitionSelector::from(42));
            assert_eq!((command.range.first(), command.range.last()), (100, 200));
            assert_eq!(command.count(), 50);
        }
        other => panic!("{other:?}"),
    }
    match parsed(&format!("EPSCAN {KEY} - + COUNT 100")) {
        Command::EPScan(command) => assert_eq!(command.partition, key.into()),
        other => panic!("{other:?}"),
    }
    for line in ["ESVER user-123", "ESVER my-stream"] {
        assert!(matches!(parsed(line), Command::ESVer(ESVer { partition_key: None, .. })));
    }
    let line = format!("ESVER my-stream PARTITION_KEY {KEY}");
    assert!(matches!(parsed(&line), Command::ESVer(ESVer { partition_key: Some(_), .. })));
    assert_eq!(parsed("EPSEQ 42"), Command::EPSeq(EPSeq { partition: 42.into() }));
    assert_eq!(parsed(&format!("EPSEQ {KEY}")), Command::EPSeq(EPSeq { partition: key.into() }));
}

#[test]
fn ends_are_refused_by_name() {
    let rows = [
        ("ESCAN s + +", "start version cannot be '+'"),
        ("ESCAN s - -", "end version cannot be '-'"),
        ("ESCAN s x +", "invalid start version 'x': expected - or a number"),
        ("ESCAN s - -5", "invalid end version '-5': expected + or a number"),
        ("EPSCAN 1 + +", "start sequence cannot be '+'"),
        ("EPSCAN 1 - -", "end sequence cannot be '-'"),
        ("EPSCAN 1 x +", "invalid start sequence 'x': expected - or a number"),
        ("EPSCAN 1 - y", "invalid end sequence 'y': expected + or a number"),
        ("EPSCAN x - +", "invalid partition 'x': expected a number or a UUID"),
        ("EPSEQ 70000", "invalid partition '70000': expected a number or a UUID"),
        ("EGET bad", "invalid event id 'bad': expected a UUID"),
        ("ESVER s PARTITION_KEY bad", "invalid partition key 'bad': expected a UUID"),
        ("ESCAN s - + COUNT -1", "invalid count '-1': expected a number"),
        ("ESCAN s - + COUNT", "missing value for COUNT"),
        ("ESCAN s - + COUNT 1 COUNT 1", "count already specified"),
        (
            "ESCAN s - + LIMIT 5",
            "unknown option 'LIMIT' for ESCAN: expected PARTITION_KEY or COUNT",
        ),
        (
            "EPSCAN 1 - + COUTN 5",
            "unknown option 'COUTN' for EPSCAN: expected COUNT; did you mean COUNT?",
        ),
        ("ESVER s COUNT 5", "unknown option 'COUNT' for ESVER: expected PARTITION_KEY"),
    ];
    for (line, text) in rows {
        assert_eq!(refused(line), format!("INVALIDARG {text}"), "{line}");
    }
}

#[test]
fn signs_and_zeros_are_taken_as_numbers() {
    let range = escan("ESCAN s +0 007").range;
    assert_eq!((range.start, range.end), (RangeStart::At(0), RangeEnd::At(7)));
}

#[test]
fn arity_is_checked_first() {
    for (line, name) in [
        ("ESCAN s -", "escan"),
        ("EPSCAN 1 -", "epscan"),
        ("EGET", "eget"),
        ("EGET a b", "eget"),
        ("ESVER", "esver"),
        ("EPSEQ 1 2", "epseq"),
    ] {
        let text = format!("ERR wrong number of arguments for '{name}' command");
        assert_eq!(refused(line), text);
    }
}

fn any_range() -> impl Strategy<Value = Range> {
    let start = prop::option::of(any::<u64>());
    (start, prop::option::of(any::<u64>())).prop_map(|(start, end)| Range {
        start: start.map_or(RangeStart::First, RangeStart::At),
        end: end.map_or(RangeEnd::Last, RangeEnd::At),
    })
}

pub(crate) fn any_selector() -> impl Strategy<Value = PartitionSelector> {
    prop_oneof![any::<u16>().prop_map(Into::into), any_uuid().prop_map(Into::into)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn reads_are_read_as_they_were_written(
        stream_id in any_stream_id(),
        partition in any_selector(),
        range in any_range(),
        partition_key in prop::option::of(any_uuid()),
        count in prop::option::of(any::<u64>()),
        event_id in any_uuid(),
    ) {
        let id = stream_id.clone();
        let scan = EScan { stream_id: stream_id.clone(), range, partition_key, count };
        assert_round_trip(&Command::EScan(scan));
        assert_round_trip(&Command::EPScan(EPScan { partition, range, count }));
        assert_round_trip(&Command::ESVer(ESVer { stream_id: id, partition_key }));
        assert_round_trip(&Command::EPSeq(EPSeq { partition }));
        assert_round_trip(&Command::EGet(EGet { event_id }));
    }
}
