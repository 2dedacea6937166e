use proptest::prelude::*;

use super::*;
use crate::command::test_support::*;
use crate::partition::PartitionItem;

fn esub(line: &str) -> ESub {
    match parsed(line) {
        Command::ESub(command) => command,
        other => panic!("{other:?}"),
    }
}

fn epsub(line: &str) -> EPSub {
    match parsed(line) {
        Command::EPSub(command) => command,
        other => panic!("{other:?}"),
    }
}

fn names(command: &ESub) -> Vec<&str> {
    command.sources.iter().map(|source| source.stream_id.as_str()).collect()
}

fn starts(command: &ESub) -> Vec<(&str, Option<u64>)> {
    command.starts().map(|(source, at)| (source.stream_id.as_str(), at)).collect()
}

fn partition_starts(command: &EPSub) -> Vec<(u16, Option<u64>)> {
    let starts = command.starts(32).unwrap();
    starts.into_iter().map(|(id, at)| (id.get(), at)).collect()
}

#[test]
fn the_stream_examples_of_the_contract_are_understood() {
    for line in ["ESUB user-123 FROM LATEST", "ESUB orders FROM LATEST", "ESUB user-123"] {
        let command = esub(line);
        assert_eq!((&command.from, command.window), (&FollowFrom::Latest, None), "{line}");
        assert_eq!(command.push, PushKind::Message);
    }
    assert_eq!(esub("ESUB user-123 WINDOW 100").window, NonZeroU32::new(100));
    let command = esub("ESUB user-123 FROM 50 WINDOW 100");
    assert_eq!(starts(&command), [("user-123", Some(50))]);
    assert_eq!(command.window, NonZeroU32::new(100));
    let line = "ESUB user-1 user-2 user-3 FROM MAP user-1=10 user-2=20 user-3=30 WINDOW 50";
    let listed = [("user-1", Some(10)), ("user-2", Some(20)), ("user-3", Some(30))];
    assert_eq!(starts(&esub(line)), listed);
}

#[test]
fn the_partition_examples_of_the_contract_are_understood() {
    assert_eq!(epsub("EPSUB *").partitions, PartitionSet::All);
    assert_eq!(epsub("EPSUB * WINDOW 100").window, NonZeroU32::new(100));
    assert_eq!(epsub("EPSUB * FROM 1000 WINDOW 100").from, FollowFrom::At(1000));
    assert_eq!(partition_starts(&epsub("EPSUB 5 FROM 100 WINDOW 50")), [(5, Some(100))]);
    let command = epsub("EPSUB 1,2,3 FROM MAP 1=100 2=200 DEFAULT 0 WINDOW 500");
    assert_eq!(partition_starts(&command), [(1, Some(100)), (2, Some(200)), (3, Some(0))]);
    assert_eq!(partition_starts(&epsub("EPSUB 0-31 FROM 7")).len(), 32);
    assert_eq!(partition_starts(&epsub(&format!("EPSUB {KEY}"))), [(25, None)]);
    epsub("EPSUB * WINDOW 5 FROM 0");
    let id = Uuid::parse_str(KEY).unwrap();
    let ack = parsed(&format!("EACK {KEY} 1000"));
    assert_eq!(ack, Command::EAck(EAck { subscription_id: id, cursor: 1000 }));
    let end = parsed(&format!("EUNSUB {KEY}"));
    assert_eq!(end, Command::EUnsub(EUnsub { subscription_id: id }));
}

#[test]
fn options_end_the_list_of_streams() {
    let command = esub("ESUB s FROM 0 WINDOW 5");
    assert_eq!((names(&command), command.window), (vec!["s"], NonZeroU32::new(5)));
    assert_eq!(names(&esub("ESUB FROM")), ["FROM"], "the first word is always a stream");
    assert_eq!(
        names(&esub("ESUB from default LATEST count")),
        ["from", "default", "LATEST", "count"]
    );
    assert_eq!(esub("ESUB s PUSH Event WINDOW 1 FROM latest").push, PushKind::Event);
}

#[test]
fn keys_belong_to_the_stream_before_them() {
    let key = Uuid::parse_str(KEY).unwrap();
    let command = esub(&format!("ESUB a PARTITION_KEY {KEY} b"));
    let keys: Vec<_> = command.sources.iter().map(|source| source.partition_key).collect();
    assert_eq!((names(&command), keys), (vec!["a", "b"], vec![Some(key), None]));
    let behind = esub(&format!("ESUB a FROM 1 PARTITION_KEY {KEY}"));
    assert_eq!(behind.sources[0].partition_key, Some(key), "one stream: anywhere");
    assert_eq!(
        refused(&format!("ESUB a b FROM 1 PARTITION_KEY {KEY}")),
        "INVALIDARG PARTITION_KEY must follow its stream id"
    );
    for between in ["", "FROM 0"] {
        let line = format!("ESUB a PARTITION_KEY {KEY} {between} PARTITION_KEY {KEY}");
        assert_eq!(refused(&line), "INVALIDARG partition key already specified");
    }
}

#[test]
fn duplicate_sources_collapse() {
    let key = default_partition_key(b"a");
    let command = esub(&format!("ESUB a b a a PARTITION_KEY {key} a PARTITION_KEY {KEY}"));
    assert_eq!(names(&command), ["a", "b", "a"], "the default key spelt out is the same source");
    assert_eq!(command.sources[2].partition_key, Some(Uuid::parse_str(KEY).unwrap()));
}

#[test]
fn map_entries_split_at_the_last_equals_sign() {
    let command = esub("ESUB a=b FROM MAP a=b=5");
    assert_eq!(starts(&command), [("a=b", Some(5))]);
    let command = esub("ESUB a b FROM MAP a=1 a=2 DEFAULT 9 PUSH message");
    assert_eq!(starts(&command), [("a", Some(2)), ("b", Some(9))], "the last entry counts");
    let command = epsub(&format!("EPSUB 25,26 FROM MAP {KEY}=4 7=1"));
    assert_eq!(partition_starts(&command), [(25, Some(4)), (26, None)], "7 is ignored");
}

#[test]
fn a_map_entry_beyond_the_partitions_is_refused() {
    let refused = epsub("EPSUB 1 FROM MAP 42=0").starts(32).unwrap_err();
    let text = "partition 42 does not exist: this database has partitions 0 to 31";
    assert_eq!(refused.to_string(), text);
}

#[test]
fn refusals_are_those_of_the_contract() {
    let rows = [
        ("ESUB s FROM", "missing value for FROM"),
        ("ESUB s FROM 1 FROM 2", "from already specified"),
        ("ESUB s WINDOW 1 WINDOW 2", "window already specified"),
        ("ESUB s PUSH event PUSH event", "push already specified"),
        ("ESUB s FROM MAP s=1 DEFAULT 1 DEFAULT 2", "default already specified"),
        ("ESUB s FROM -", "invalid FROM '-': expected LATEST, a number or MAP"),
        ("ESUB s FROM MAP", "missing value for MAP"),
        ("ESUB s FROM MAP WINDOW 5", "invalid MAP entry 'WINDOW': expected <name>=<number>"),
        ("ESUB s FROM MAP s", "invalid MAP entry 's': expected <name>=<number>"),
        ("ESUB s FROM MAP s=x", "invalid MAP entry 's=x': expected <name>=<number>"),
        ("ESUB s FROM MAP =1", "invalid MAP entry '=1': expected <name>=<number>"),
        ("EPSUB 1 FROM MAP x=1", "invalid MAP entry 'x=1': expected <name>=<number>"),
        ("ESUB s FROM MAP t=01", "MAP entry 't=01' names a stream that is not subscribed"),
        ("ESUB s FROM MAP s=1 DEFAULT x", "invalid DEFAULT 'x': expected a number"),
        ("ESUB s WINDOW 0", "invalid window '0': expected a number between 1 and 4294967295"),
        (
            "EPSUB * WINDOW 4294967296",
            "invalid window '4294967296': expected a number between 1 and 4294967295",
        ),
        ("ESUB s PUSH both", "invalid PUSH 'both': expected event or message"),
        (
            "EPSUB x",
            "invalid partition selector 'x': expected *, or partition ids, ranges or UUIDs separated by commas",
        ),
        (
            "ESUB s FROM 0 COUNT 5",
            "unknown option 'COUNT' for ESUB: expected PARTITION_KEY, FROM, WINDOW or PUSH",
        ),
        (
            "EPSUB * WINDOWS 5",
            "unknown option 'WINDOWS' for EPSUB: expected FROM, WINDOW or PUSH; did you mean WINDOW?",
        ),
        (
            "EPSUB * FROM 5 DEFAULT 1",
            "unknown option 'DEFAULT' for EPSUB: expected FROM, WINDOW or PUSH",
        ),
        ("EACK bad 1", "invalid subscription id 'bad': expected a UUID"),
        ("EUNSUB bad", "invalid subscription id 'bad': expected a UUID"),
        ("ESUB s ''", "stream id must be between 1 and 255 bytes in length, but got 0 for ''"),
    ];
    for (line, text) in rows {
        assert_eq!(refused(line), format!("INVALIDARG {text}"), "{line}");
    }
    let cursor = refused(&format!("EACK {KEY} x"));
    assert_eq!(cursor, "INVALIDARG invalid cursor 'x': expected a number");
    assert_eq!(refused("EPSUB"), "ERR wrong number of arguments for 'epsub' command");
    assert_eq!(refused("EACK a"), "ERR wrong number of arguments for 'eack' command");
}

fn any_window() -> impl Strategy<Value = Option<NonZeroU32>> {
    any::<u32>().prop_map(NonZeroU32::new)
}

fn any_push() -> impl Strategy<Value = PushKind> {
    prop_oneof![Just(PushKind::Message), Just(PushKind::Event)]
}

fn any_from<N: Clone + std::fmt::Debug + 'static>(
    names: Vec<N>,
) -> impl Strategy<Value = FollowFrom<N>> {
    let entry = (prop::sample::select(names), any::<u64>());
    let map = (prop::collection::vec(entry, 1..4), prop::option::of(any::<u64>()));
    prop_oneof![
        Just(FollowFrom::Latest),
        any::<u64>().prop_map(FollowFrom::At),
        map.prop_map(|(entries, default)| FollowFrom::Map { entries, default }),
    ]
}

fn any_esub() -> impl Strategy<Value = ESub> {
    let source = (any_stream_id(), prop::option::of(any_uuid()));
    let sources = prop::collection::btree_map(any_stream_id(), source, 1..4).prop_map(|sources| {
        let source = |(stream_id, (_, partition_key))| StreamSource { stream_id, partition_key };
        sources.into_iter().map(source).collect::<Vec<_>>()
    });
    sources.prop_flat_map(|sources| {
        let names = sources.iter().map(|source| source.stream_id.clone()).collect();
        (Just(sources), any_from(names), any_window(), any_push())
            .prop_map(|(sources, from, window, push)| ESub { sources, from, window, push })
    })
}

fn any_item() -> impl Strategy<Value = PartitionItem> {
    prop_oneof![
        any::<u16>().prop_map(|id| PartitionItem::One(id.into())),
        any_uuid().prop_map(|key| PartitionItem::One(key.into())),
        (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PartitionItem::Range {
            first: a.min(b).into(),
            last: a.max(b).into(),
        }),
    ]
}

fn any_epsub() -> impl Strategy<Value = EPSub> {
    let set = prop_oneof![
        Just(PartitionSet::All),
        prop::collection::vec(any_item(), 1..4).prop_map(PartitionSet::Some),
    ];
    let key = PartitionSelector::from(Uuid::from_u128(7));
    let from = any_from(vec![PartitionSelector::from(3), key]);
    (set, from, any_window(), any_push()).prop_map(|(partitions, from, window, push)| EPSub {
        partitions,
        from,
        window,
        push,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn subscriptions_are_read_as_they_were_written(
        esub in any_esub(),
        epsub in any_epsub(),
        subscription_id in any_uuid(),
        cursor: u64,
    ) {
        assert_round_trip(&Command::ESub(esub));
        assert_round_trip(&Command::EPSub(epsub));
        assert_round_trip(&Command::EAck(EAck { subscription_id, cursor }));
        assert_round_trip(&Command::EUnsub(EUnsub { subscription_id }));
    }
}
