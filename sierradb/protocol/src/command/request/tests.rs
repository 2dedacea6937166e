use proptest::prelude::*;

use super::*;
use crate::command::test_support::*;

#[test]
fn unknown_commands_are_quoted_as_redis_does() {
    assert_eq!(
        refused("foo k"),
        "ERR unknown command 'foo', with args beginning with: 'k' ",
        "with the trailing blank"
    );
    assert_eq!(refused("FOO"), "ERR unknown command 'FOO', with args beginning with: ");
    let long = "x".repeat(200);
    let cut = "x".repeat(128);
    assert_eq!(
        refused(&format!("{long} {long} b")),
        format!("ERR unknown command '{cut}', with args beginning with: '{cut}' ")
    );
    assert_eq!(
        Command::from_args(&[]).unwrap_err().to_string(),
        "unknown command '', with args beginning with: "
    );
}

#[test]
fn many_arguments_fill_128_bytes_and_no_more() {
    let line = format!("foo {}", "abcd ".repeat(1000));
    let listed = "'abcd' ".repeat(18);
    assert_eq!(
        refused(&line),
        format!("ERR unknown command 'foo', with args beginning with: {listed}'ab' ")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_words_make_the_parser_panic(
        name in 0..crate::command::table::COMMANDS.len(),
        noise in prop::collection::vec(any_word(), 0..10),
    ) {
        let name = crate::command::table::COMMANDS[name].name;
        let mut words = vec![Bytes::from_static(name.as_bytes())];
        words.extend(noise);
        match Command::from_args(&words) {
            Ok(command) => assert_round_trip(&command),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// Words that mean something somewhere, and bytes that mean nothing.
fn any_word() -> impl Strategy<Value = Bytes> {
    let known = [
        "EVENT_ID",
        "PARTITION_KEY",
        "EXPECTED_VERSION",
        "TIMESTAMP",
        "PAYLOAD",
        "METADATA",
        "COUNT",
        "FROM",
        "MAP",
        "LATEST",
        "DEFAULT",
        "WINDOW",
        "PUSH",
        "event",
        "any",
        "-",
        "+",
        "0",
        "1",
        "*",
        "1,2-3",
        "s",
        "s=1",
        "1=2",
        KEY,
        "",
    ];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(|word| Bytes::from_static(word.as_bytes())),
        1 => any_bytes(),
    ]
}
