//! Table entries of the event commands.

use crate::command::append::{EAppend, EMAppend};
use crate::command::follow::{EAck, EPSub, ESub, EUnsub};
use crate::command::read::{EGet, EPScan, EPSeq, ESVer, EScan};
use crate::command::spec::ArgumentKind::{Block, Integer, OneOf, String, UnixTime};
use crate::command::spec::{Argument, Flag, Spec};

const STREAM_ID: Argument = Argument::new("stream_id", String);
const EVENT_NAME: Argument = Argument::new("event_name", String);
const EVENT_ID: Argument = Argument::option("EVENT_ID", "event_id", String);
const PARTITION_KEY: Argument = Argument::option("PARTITION_KEY", "partition_key", String);
const EXPECTED_VERSION: Argument = Argument::option("EXPECTED_VERSION", "version", String);
const TIMESTAMP: Argument = Argument::option("TIMESTAMP", "timestamp", UnixTime);
const PAYLOAD: Argument = Argument::option("PAYLOAD", "payload", String);
const METADATA: Argument = Argument::option("METADATA", "metadata", String);
const COUNT: Argument = Argument::option("COUNT", "count", Integer);
const WINDOW: Argument = Argument::option("WINDOW", "size", Integer);
const PARTITION: Argument = Argument::new("partition", String);
const SUBSCRIPTION_ID: Argument = Argument::new("subscription_id", String);

const FROM: Argument = Argument::option(
    "FROM",
    "from",
    OneOf(&[
        Argument::token("LATEST", "latest"),
        Argument::new("position", Integer),
        Argument::new(
            "map",
            Block(&[
                Argument::new("source=position", String).multiple(),
                Argument::option("DEFAULT", "default", Integer),
            ]),
        )
        .behind("MAP"),
    ]),
);

const PUSH: Argument = Argument::option(
    "PUSH",
    "kind",
    OneOf(&[Argument::token("MESSAGE", "message"), Argument::token("EVENT", "event")]),
);

/// `EAPPEND`
pub(crate) const EAPPEND: Spec = Spec {
    name: "EAPPEND",
    arity: -3,
    flags: &[Flag::Write],
    group: "event",
    since: "0.3.1",
    summary: "Appends one event to a stream.",
    arguments: &[
        STREAM_ID,
        EVENT_NAME,
        EVENT_ID,
        PARTITION_KEY,
        EXPECTED_VERSION,
        TIMESTAMP,
        PAYLOAD,
        METADATA,
    ],
    subcommands: &[],
    parse: EAppend::parse,
};

/// `EMAPPEND`
pub(crate) const EMAPPEND: Spec = Spec {
    name: "EMAPPEND",
    arity: -4,
    flags: &[Flag::Write],
    group: "event",
    since: "0.3.1",
    summary: "Appends events to streams of one partition, all or none.",
    arguments: &[
        Argument::new("partition_key", String),
        Argument::new(
            "event",
            Block(&[
                STREAM_ID,
                EVENT_NAME,
                EVENT_ID,
                EXPECTED_VERSION,
                TIMESTAMP,
                PAYLOAD,
                METADATA,
            ]),
        )
        .multiple(),
    ],
    subcommands: &[],
    parse: EMAppend::parse,
};

/// `EGET`
pub(crate) const EGET: Spec = Spec {
    name: "EGET",
    arity: 2,
    flags: &[Flag::ReadOnly],
    group: "event",
    since: "0.3.1",
    summary: "Returns the event of an id.",
    arguments: &[Argument::new("event_id", String)],
    subcommands: &[],
    parse: EGet::parse,
};

/// `ESCAN`
pub(crate) const ESCAN: Spec = Spec {
    name: "ESCAN",
    arity: -4,
    flags: &[Flag::ReadOnly],
    group: "event",
    since: "0.3.1",
    summary: "Returns events of a stream between two versions, both included.",
    arguments: &[
        STREAM_ID,
        Argument::new("start_version", String),
        Argument::new("end_version", String),
        PARTITION_KEY,
        COUNT,
    ],
    subcommands: &[],
    parse: EScan::parse,
};

/// `EPSCAN`
pub(crate) const EPSCAN: Spec = Spec {
    name: "EPSCAN",
    arity: -4,
    flags: &[Flag::ReadOnly],
    group: "event",
    since: "0.3.1",
    summary: "Returns events of a partition between two sequences, both included.",
    arguments: &[
        PARTITION,
        Argument::new("start_sequence", String),
        Argument::new("end_sequence", String),
        COUNT,
    ],
    subcommands: &[],
    parse: EPScan::parse,
};

/// `ESVER`
pub(crate) const ESVER: Spec = Spec {
    name: "ESVER",
    arity: -2,
    flags: &[Flag::ReadOnly],
    group: "event",
    since: "0.3.1",
    summary: "Returns the version of the last event of a stream.",
    arguments: &[STREAM_ID, PARTITION_KEY],
    subcommands: &[],
    parse: ESVer::parse,
};

/// `EPSEQ`
pub(crate) const EPSEQ: Spec = Spec {
    name: "EPSEQ",
    arity: 2,
    flags: &[Flag::ReadOnly],
    group: "event",
    since: "0.3.1",
    summary: "Returns the sequence of the last event of a partition.",
    arguments: &[PARTITION],
    subcommands: &[],
    parse: EPSeq::parse,
};

/// `ESUB`
pub(crate) const ESUB: Spec = Spec {
    name: "ESUB",
    arity: -2,
    flags: &[Flag::PubSub],
    group: "subscription",
    since: "0.3.1",
    summary: "Follows streams: past events, then new ones as they are committed.",
    arguments: &[
        Argument::new("source", Block(&[STREAM_ID, PARTITION_KEY])).multiple(),
        FROM,
        WINDOW,
        PUSH,
    ],
    subcommands: &[],
    parse: ESub::parse,
};

/// `EPSUB`
pub(crate) const EPSUB: Spec = Spec {
    name: "EPSUB",
    arity: -2,
    flags: &[Flag::PubSub],
    group: "subscription",
    since: "0.3.1",
    summary: "Follows partitions: past events, then new ones as they are committed.",
    arguments: &[Argument::new("partitions", String), FROM, WINDOW, PUSH],
    subcommands: &[],
    parse: EPSub::parse,
};

/// `EACK`
pub(crate) const EACK: Spec = Spec {
    name: "EACK",
    arity: 3,
    flags: &[Flag::PubSub],
    group: "subscription",
    since: "0.3.1",
    summary: "Acknowledges the events of a subscription up to a cursor.",
    arguments: &[SUBSCRIPTION_ID, Argument::new("cursor", Integer)],
    subcommands: &[],
    parse: EAck::parse,
};

/// `EUNSUB`
pub(crate) const EUNSUB: Spec = Spec {
    name: "EUNSUB",
    arity: 2,
    flags: &[Flag::PubSub],
    group: "subscription",
    since: "0.4.0",
    summary: "Ends a subscription.",
    arguments: &[SUBSCRIPTION_ID],
    subcommands: &[],
    parse: EUnsub::parse,
};
