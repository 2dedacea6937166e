use proptest::prelude::*;

use super::*;
use crate::command::client::{ClientCommand, ReplyMode, Switch};
use crate::command::client::{ClientFilter, ClientKind, ClientList, LibraryAttribute, SkipMe};
use crate::command::test_support::*;

#[test]
fn hello_is_understood_as_clients_send_it() {
    let hello = |line: &str| match parsed(line) {
        Command::Hello(hello) => hello,
        other => panic!("{other:?}"),
    };
    assert_eq!(hello("HELLO"), Hello::default());
    assert_eq!(hello("hello 3").version, Some(RespVersion::V3));
    assert_eq!(hello("HELLO 2").version, Some(RespVersion::V2));
    let full = hello("HELLO 3 AUTH default secret SETNAME app");
    let auth = full.auth.unwrap();
    assert_eq!((auth.user.as_deref(), &*auth.password), (Some(&b"default"[..]), &b"secret"[..]));
    assert_eq!(full.name.unwrap(), "app");
    assert!(!format!("{:?}", hello("HELLO 3 AUTH default secret")).contains("secret"));
}

#[test]
fn simple_commands_are_understood() {
    let word = |word: &'static str| Bytes::from_static(word.as_bytes());
    let rows = [
        ("PING", Command::Ping(None)),
        ("ping x", Command::Ping(Some(word("x")))),
        ("ECHO x", Command::Echo(word("x"))),
        ("TIME", Command::Time),
        ("DBSIZE", Command::DbSize),
        ("QUIT", Command::Quit),
        ("QUIT now", Command::Quit),
        ("RESET", Command::Reset),
        ("SELECT 0", Command::Select),
        ("AUTH p", Command::Auth(Auth { user: None, password: word("p") })),
        (
            "AUTH default p",
            Command::Auth(Auth { user: Some(word("default")), password: word("p") }),
        ),
        ("ROLE", Command::Role),
        ("MODULE LIST", Command::ModuleList),
        ("MODULE HELP", Command::ModuleHelp),
        ("READONLY", Command::ReadOnly),
        ("READWRITE", Command::ReadWrite),
        ("CLUSTER SLOTS", Command::Cluster(vec![word("SLOTS")])),
        ("INFO", Command::Info(vec![])),
        ("info replication server", Command::Info(vec![word("replication"), word("server")])),
        ("CONFIG GET *", Command::Config(ConfigQuery::Get(vec![word("*")]))),
        ("CONFIG HELP", Command::Config(ConfigQuery::Help)),
    ];
    for (line, command) in rows {
        assert_eq!(parsed(line), command, "{line}");
    }
}

#[test]
fn queries_about_commands_are_understood() {
    let word = |word: &'static str| Bytes::from_static(word.as_bytes());
    let rows = [
        ("COMMAND", CommandQuery::All),
        ("COMMAND COUNT", CommandQuery::Count),
        ("COMMAND LIST", CommandQuery::List { pattern: None }),
        ("COMMAND list FILTERBY pattern E*", CommandQuery::List { pattern: Some(word("E*")) }),
        ("COMMAND DOCS", CommandQuery::Docs(vec![])),
        ("COMMAND INFO get set", CommandQuery::Info(vec![word("get"), word("set")])),
        ("COMMAND HELP", CommandQuery::Help),
    ];
    for (line, query) in rows {
        assert_eq!(parsed(line), Command::Command(query), "{line}");
    }
}

#[test]
fn client_subcommands_are_understood() {
    let word = |word: &'static str| Bytes::from_static(word.as_bytes());
    let library =
        ClientCommand::SetInfo { attribute: LibraryAttribute::Name, value: word("redis-py") };
    let list = ClientList { kind: Some(ClientKind::PubSub), ids: vec![1, 2] };
    let kill = ClientFilter {
        id: Some(5),
        address: Some(word("1.2.3.4:5")),
        local_address: Some(word("l")),
        kind: Some(ClientKind::Replica),
        user: Some(word("default")),
        skip_me: Some(SkipMe::No),
    };
    let rows = [
        ("CLIENT ID", ClientCommand::Id),
        ("client getname", ClientCommand::GetName),
        ("CLIENT SETNAME app", ClientCommand::SetName(word("app"))),
        ("CLIENT SETNAME ''", ClientCommand::SetName(word(""))),
        ("CLIENT SETINFO lib-name redis-py", library),
        ("CLIENT INFO", ClientCommand::Info),
        ("CLIENT LIST", ClientCommand::List(ClientList::default())),
        ("CLIENT LIST TYPE pubsub ID 1 2", ClientCommand::List(list)),
        ("CLIENT KILL 1.2.3.4:5", ClientCommand::KillAddress(word("1.2.3.4:5"))),
        (
            "CLIENT KILL ID 5 ADDR 1.2.3.4:5 LADDR l TYPE slave USER default SKIPME no",
            ClientCommand::Kill(kill),
        ),
        ("CLIENT NO-EVICT on", ClientCommand::NoEvict(Switch::On)),
        ("CLIENT NO-TOUCH OFF", ClientCommand::NoTouch(Switch::Off)),
        ("CLIENT REPLY skip", ClientCommand::Reply(ReplyMode::Skip)),
        ("CLIENT HELP", ClientCommand::Help),
    ];
    for (line, client) in rows {
        assert_eq!(parsed(line), Command::Client(client.clone()), "{line}");
        assert_round_trip(&Command::Client(client));
    }
}

#[test]
fn refusals_are_those_of_redis() {
    let rows = [
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO 1", "NOPROTO unsupported protocol version"),
        ("HELLO x", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 FOO", "ERR Syntax error in HELLO option 'FOO'"),
        ("HELLO 3 AUTH default", "ERR Syntax error in HELLO option 'AUTH'"),
        (
            "HELLO 3 SETNAME 'a b'",
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        (
            "CLIENT SETNAME 'a b'",
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        (
            "CLIENT SETINFO LIB-NAME 'a b'",
            "ERR lib-name cannot contain spaces, newlines or special characters.",
        ),
        (
            "CLIENT SETINFO LIB-VER é",
            "ERR lib-ver cannot contain spaces, newlines or special characters.",
        ),
        ("CLIENT SETINFO FOO x", "ERR Unrecognized option 'FOO'"),
        ("CLIENT FOO", "ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("CLIENT TRACKING on", "ERR unknown subcommand 'TRACKING'. Try CLIENT HELP."),
        (
            "CLIENT MAINT_NOTIFICATIONS ON",
            "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.",
        ),
        ("CONFIG SET a b", "ERR unknown subcommand 'SET'. Try CONFIG HELP."),
        ("CLIENT", "ERR wrong number of arguments for 'client' command"),
        ("CLIENT ID x", "ERR wrong number of arguments for 'client|id' command"),
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        ("PING a b", "ERR wrong number of arguments for 'ping' command"),
        ("TIME x", "ERR wrong number of arguments for 'time' command"),
        ("AUTH a b c", "ERR syntax error"),
        ("CLIENT NO-EVICT maybe", "ERR syntax error"),
        ("CLIENT REPLY maybe", "ERR syntax error"),
        ("CLIENT LIST FOO", "ERR syntax error"),
        ("CLIENT LIST ID", "ERR syntax error"),
        ("CLIENT LIST ID x", "ERR Invalid client ID"),
        ("CLIENT LIST TYPE x", "ERR Unknown client type 'x'"),
        ("CLIENT KILL ID x", "ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 0", "ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 1 SKIPME x", "ERR syntax error"),
        ("CLIENT KILL FOO 1", "ERR syntax error"),
        ("CLIENT KILL ID 1 ADDR", "ERR syntax error"),
        ("COMMAND LIST FILTERBY MODULE x", "ERR syntax error"),
        ("COMMAND FOO", "ERR unknown subcommand 'FOO'. Try COMMAND HELP."),
        ("SELECT 1", "ERR DB index is out of range"),
        ("SELECT -1", "ERR DB index is out of range"),
        ("SELECT x", "ERR value is not an integer or out of range"),
        ("GET k", "ERR unknown command 'GET', with args beginning with: 'k' "),
        ("SUBSCRIBE c", "ERR unknown command 'SUBSCRIBE', with args beginning with: 'c' "),
    ];
    for (line, text) in rows {
        assert_eq!(refused(line), text, "{line}");
    }
}

#[test]
fn arities_are_those_of_the_contract() {
    let listed = [
        ("EAPPEND", -3),
        ("EMAPPEND", -4),
        ("EGET", 2),
        ("ESCAN", -4),
        ("EPSCAN", -4),
        ("ESVER", -2),
        ("EPSEQ", 2),
        ("ESUB", -2),
        ("EPSUB", -2),
        ("EACK", 3),
        ("EUNSUB", 2),
        ("HELLO", -1),
        ("AUTH", -2),
        ("PING", -1),
        ("ECHO", 2),
        ("QUIT", -1),
        ("RESET", 1),
        ("SELECT", 2),
        ("TIME", 1),
        ("DBSIZE", 1),
        ("CLIENT", -2),
        ("COMMAND", -1),
        ("INFO", -1),
        ("CONFIG", -2),
        ("ROLE", 1),
    ];
    for (name, arity) in listed {
        let spec = crate::command::table::find(name.as_bytes()).unwrap();
        assert_eq!(spec.arity, arity, "{name}");
    }
}

#[test]
fn only_the_login_commands_run_before_it() {
    let names = |which: fn(&crate::command::Spec) -> bool| -> Vec<&str> {
        let specs = crate::command::table::COMMANDS.iter();
        specs.filter(|spec| which(spec)).map(|spec| spec.name).collect()
    };
    let before_login = names(crate::command::Spec::runs_before_login);
    assert_eq!(before_login, ["AUTH", "HELLO", "QUIT", "RESET"]);
    let subscriber = names(crate::command::Spec::runs_in_subscriber_mode);
    assert_eq!(subscriber, ["EACK", "EPSUB", "ESUB", "EUNSUB", "PING", "QUIT", "RESET"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn connection_commands_are_read_as_they_were_written(
        user in any_bytes(),
        password in any_bytes(),
        name in "[!-~]{0,8}",
        list in prop::collection::vec(any_bytes(), 1..4),
    ) {
        let auth = Auth { user: Some(user), password: password.clone() };
        let hello = Hello {
            version: Some(RespVersion::V3),
            auth: Some(auth.clone()),
            name: Some(Bytes::from(name)),
        };
        assert_round_trip(&Command::Hello(hello));
        assert_round_trip(&Command::Auth(auth));
        assert_round_trip(&Command::Auth(Auth { user: None, password: password.clone() }));
        assert_round_trip(&Command::Ping(Some(password.clone())));
        assert_round_trip(&Command::Echo(password.clone()));
        assert_round_trip(&Command::Info(list.clone()));
        assert_round_trip(&Command::Cluster(list.clone()));
        assert_round_trip(&Command::Config(ConfigQuery::Get(list.clone())));
        assert_round_trip(&Command::Command(CommandQuery::Docs(list.clone())));
        assert_round_trip(&Command::Command(CommandQuery::Info(list)));
        let pattern = Some(password);
        assert_round_trip(&Command::Command(CommandQuery::List { pattern }));
    }
}
