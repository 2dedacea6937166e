//! Table entries of the commands every Redis server answers.

use crate::command::redis::{Auth, CommandQuery, ConfigQuery, Hello, ping, rest, select};
use crate::command::request::Command;
use crate::command::spec::ArgumentKind::{Block, Integer, Pattern, String};
use crate::command::spec::{Argument, Flag, Spec};

const LOGIN: &[Flag] = &[Flag::NoAuth, Flag::Fast];
const COMMAND_NAME: Argument = Argument::new("command_name", String).optional().multiple();

/// What most of these entries have in common; not a command itself.
pub(crate) const BASE: Spec = Spec {
    name: "",
    arity: 1,
    flags: &[Flag::Fast],
    group: "server",
    since: "0.4.0",
    summary: "",
    arguments: &[],
    subcommands: &[],
    parse: |args| Err(args.wrong_arity()),
};

/// What the HELP subcommands have in common.
pub(crate) const HELP: Spec =
    Spec { name: "HELP", arity: 2, summary: "Lists the subcommands.", ..BASE };

/// `AUTH`
pub(crate) const AUTH: Spec = Spec {
    name: "AUTH",
    arity: -2,
    flags: LOGIN,
    group: "connection",
    summary: "Logs the connection in.",
    arguments: &[Argument::new("username", String).optional(), Argument::new("password", String)],
    parse: Auth::parse,
    ..BASE
};

/// `CLUSTER`
pub(crate) const CLUSTER: Spec = Spec {
    name: "CLUSTER",
    arity: -2,
    group: "cluster",
    summary: "Refused: every node serves every partition, so clients need no slots.",
    arguments: &[Argument::new("word", String).multiple()],
    parse: |args| Ok(Command::Cluster(rest(args))),
    ..BASE
};

/// `COMMAND`
pub(crate) const COMMAND: Spec = Spec {
    name: "COMMAND",
    arity: -1,
    flags: &[],
    summary: "Describes the commands.",
    subcommands: &[
        Spec {
            name: "COUNT",
            arity: 2,
            summary: "Counts the commands.",
            parse: |_| Ok(Command::Command(CommandQuery::Count)),
            ..BASE
        },
        Spec {
            name: "DOCS",
            arity: -2,
            flags: &[],
            summary: "Documents commands.",
            arguments: &[COMMAND_NAME],
            parse: |args| Ok(Command::Command(CommandQuery::Docs(rest(args)))),
            ..BASE
        },
        Spec { parse: |_| Ok(Command::Command(CommandQuery::Help)), ..HELP },
        Spec {
            name: "INFO",
            arity: -2,
            flags: &[],
            summary: "Describes commands to clients.",
            arguments: &[COMMAND_NAME],
            parse: |args| Ok(Command::Command(CommandQuery::Info(rest(args)))),
            ..BASE
        },
        Spec {
            name: "LIST",
            arity: -2,
            flags: &[],
            summary: "Names the commands.",
            arguments: &[Argument::new(
                "filterby",
                Block(&[Argument::new("pattern", Pattern).behind("PATTERN")]),
            )
            .behind("FILTERBY")
            .optional()],
            parse: CommandQuery::parse_list,
            ..BASE
        },
    ],
    parse: |_| Ok(Command::Command(CommandQuery::All)),
    ..BASE
};

/// `CONFIG`
pub(crate) const CONFIG: Spec = Spec {
    name: "CONFIG",
    arity: -2,
    flags: &[Flag::Admin],
    summary: "Shows the configuration.",
    subcommands: &[
        Spec {
            name: "GET",
            arity: -3,
            flags: &[Flag::Admin],
            summary: "Returns the settings that match a pattern.",
            arguments: &[Argument::new("parameter", Pattern).multiple()],
            parse: |args| Ok(Command::Config(ConfigQuery::Get(rest(args)))),
            ..BASE
        },
        Spec { parse: |_| Ok(Command::Config(ConfigQuery::Help)), ..HELP },
    ],
    ..BASE
};

/// `DBSIZE`
pub(crate) const DBSIZE: Spec = Spec {
    name: "DBSIZE",
    flags: &[Flag::ReadOnly],
    summary: "Counts the streams.",
    parse: |_| Ok(Command::DbSize),
    ..BASE
};

/// `ECHO`
pub(crate) const ECHO: Spec = Spec {
    name: "ECHO",
    arity: 2,
    group: "connection",
    summary: "Returns what it is given.",
    arguments: &[Argument::new("message", String)],
    parse: |args| Ok(Command::Echo(args.word()?.to_bytes())),
    ..BASE
};

/// `HELLO`
pub(crate) const HELLO: Spec = Spec {
    name: "HELLO",
    arity: -1,
    flags: LOGIN,
    group: "connection",
    since: "0.3.1",
    summary: "Chooses the protocol version and describes the server.",
    arguments: &[Argument::new(
        "arguments",
        Block(&[
            Argument::new("protover", Integer),
            Argument::new(
                "auth",
                Block(&[Argument::new("username", String), Argument::new("password", String)]),
            )
            .behind("AUTH")
            .optional(),
            Argument::option("SETNAME", "clientname", String),
        ]),
    )
    .optional()],
    parse: Hello::parse,
    ..BASE
};

/// `INFO`
pub(crate) const INFO: Spec = Spec {
    name: "INFO",
    arity: -1,
    flags: &[],
    summary: "Describes the state of the server.",
    arguments: &[Argument::new("section", String).optional().multiple()],
    parse: |args| Ok(Command::Info(rest(args))),
    ..BASE
};

/// `MODULE`
pub(crate) const MODULE: Spec = Spec {
    name: "MODULE",
    arity: -2,
    flags: &[Flag::Admin],
    summary: "There are no modules.",
    subcommands: &[
        Spec { parse: |_| Ok(Command::ModuleHelp), ..HELP },
        Spec {
            name: "LIST",
            arity: 2,
            flags: &[Flag::Admin],
            summary: "Lists no modules.",
            parse: |_| Ok(Command::ModuleList),
            ..BASE
        },
    ],
    ..BASE
};

/// `PING`
pub(crate) const PING: Spec = Spec {
    name: "PING",
    arity: -1,
    flags: &[Flag::Fast, Flag::InSubscriberMode],
    group: "connection",
    since: "0.3.1",
    summary: "Shows that the server answers.",
    arguments: &[Argument::new("message", String).optional()],
    parse: ping,
    ..BASE
};

/// `QUIT`
pub(crate) const QUIT: Spec = Spec {
    name: "QUIT",
    arity: -1,
    flags: &[Flag::NoAuth, Flag::Fast, Flag::InSubscriberMode],
    group: "connection",
    summary: "Closes the connection.",
    parse: |_| Ok(Command::Quit),
    ..BASE
};

/// `READONLY`
pub(crate) const READONLY: Spec = Spec {
    name: "READONLY",
    group: "cluster",
    summary: "Refused: every node serves every partition.",
    parse: |_| Ok(Command::ReadOnly),
    ..BASE
};

/// `READWRITE`
pub(crate) const READWRITE: Spec = Spec {
    name: "READWRITE",
    group: "cluster",
    summary: "Refused: every node serves every partition.",
    parse: |_| Ok(Command::ReadWrite),
    ..BASE
};

/// `RESET`
pub(crate) const RESET: Spec = Spec {
    name: "RESET",
    flags: &[Flag::NoAuth, Flag::Fast, Flag::InSubscriberMode],
    group: "connection",
    summary: "Puts the connection back to how it started.",
    parse: |_| Ok(Command::Reset),
    ..BASE
};

/// `ROLE`
pub(crate) const ROLE: Spec = Spec {
    name: "ROLE",
    summary: "Returns the role as Redis clients understand it.",
    parse: |_| Ok(Command::Role),
    ..BASE
};

/// `SELECT`
pub(crate) const SELECT: Spec = Spec {
    name: "SELECT",
    arity: 2,
    group: "connection",
    summary: "Accepts database 0, the only one.",
    arguments: &[Argument::new("index", Integer)],
    parse: select,
    ..BASE
};

/// `TIME`
pub(crate) const TIME: Spec = Spec {
    name: "TIME",
    summary: "Returns the time of the server.",
    parse: |_| Ok(Command::Time),
    ..BASE
};
