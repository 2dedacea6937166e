//! Table entries of CLIENT and its subcommands.

use crate::command::client::{ClientCommand, Switch};
use crate::command::request::Command;
use crate::command::spec::ArgumentKind::{Integer, OneOf, String};
use crate::command::spec::{Argument, Flag, Spec};
use crate::command::specs_redis::{BASE, HELP};

const SWITCH: Argument =
    Argument::new("enabled", OneOf(&[Argument::token("ON", "on"), Argument::token("OFF", "off")]));
const KIND: Argument = Argument::option("TYPE", "type", String);

/// `CLIENT`
pub(crate) const CLIENT: Spec = Spec {
    name: "CLIENT",
    arity: -2,
    flags: &[],
    group: "connection",
    summary: "Shows and changes connections.",
    subcommands: &[
        GETNAME,
        HELP_CLIENT,
        ID,
        INFO,
        KILL,
        LIST,
        NO_EVICT,
        NO_TOUCH,
        REPLY,
        SETINFO,
        SETNAME,
    ],
    ..BASE
};

const HELP_CLIENT: Spec = Spec { parse: |_| Ok(Command::Client(ClientCommand::Help)), ..HELP };

const GETNAME: Spec = Spec {
    name: "GETNAME",
    arity: 2,
    group: "connection",
    summary: "Returns the name of this connection.",
    parse: |_| Ok(Command::Client(ClientCommand::GetName)),
    ..BASE
};

const ID: Spec = Spec {
    name: "ID",
    arity: 2,
    group: "connection",
    summary: "Returns the number of this connection.",
    parse: |_| Ok(Command::Client(ClientCommand::Id)),
    ..BASE
};

const INFO: Spec = Spec {
    name: "INFO",
    arity: 2,
    group: "connection",
    summary: "Describes this connection.",
    parse: |_| Ok(Command::Client(ClientCommand::Info)),
    ..BASE
};

const KILL: Spec = Spec {
    name: "KILL",
    arity: -3,
    flags: &[Flag::Admin],
    group: "connection",
    summary: "Closes connections.",
    arguments: &[
        Argument::new("addr", String).optional(),
        Argument::option("ID", "client_id", Integer),
        Argument::option("ADDR", "addr", String),
        Argument::option("LADDR", "laddr", String),
        KIND,
        Argument::option("USER", "user", String),
        Argument::option(
            "SKIPME",
            "skipme",
            OneOf(&[Argument::token("YES", "yes"), Argument::token("NO", "no")]),
        ),
    ],
    parse: ClientCommand::parse_kill,
    ..BASE
};

const LIST: Spec = Spec {
    name: "LIST",
    arity: -2,
    flags: &[Flag::Admin],
    group: "connection",
    summary: "Describes all connections.",
    arguments: &[KIND, Argument::option("ID", "client_id", Integer).multiple()],
    parse: ClientCommand::parse_list,
    ..BASE
};

const NO_EVICT: Spec = Spec {
    name: "NO-EVICT",
    arity: 3,
    flags: &[Flag::Admin],
    group: "connection",
    summary: "Accepted; no client is ever evicted.",
    arguments: &[SWITCH],
    parse: |args| Ok(Command::Client(ClientCommand::NoEvict(Switch::parse(args)?))),
    ..BASE
};

const NO_TOUCH: Spec = Spec {
    name: "NO-TOUCH",
    arity: 3,
    group: "connection",
    summary: "Accepted; no access times are kept.",
    arguments: &[SWITCH],
    parse: |args| Ok(Command::Client(ClientCommand::NoTouch(Switch::parse(args)?))),
    ..BASE
};

const REPLY: Spec = Spec {
    name: "REPLY",
    arity: 3,
    group: "connection",
    summary: "Says which requests are answered.",
    arguments: &[Argument::new(
        "action",
        OneOf(&[
            Argument::token("ON", "on"),
            Argument::token("OFF", "off"),
            Argument::token("SKIP", "skip"),
        ]),
    )],
    parse: ClientCommand::parse_reply,
    ..BASE
};

const SETINFO: Spec = Spec {
    name: "SETINFO",
    arity: 4,
    group: "connection",
    summary: "Says which library uses this connection.",
    arguments: &[Argument::new(
        "attr",
        OneOf(&[
            Argument::new("libname", String).behind("LIB-NAME"),
            Argument::new("libver", String).behind("LIB-VER"),
        ]),
    )],
    parse: ClientCommand::parse_set_info,
    ..BASE
};

const SETNAME: Spec = Spec {
    name: "SETNAME",
    arity: 3,
    group: "connection",
    summary: "Names this connection.",
    arguments: &[Argument::new("connection_name", String)],
    parse: ClientCommand::parse_set_name,
    ..BASE
};
