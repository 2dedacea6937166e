//! From a command to its handler, and to what it reads or writes.

use sierradb::{Database, DefaultKey};
use sierradb_protocol::command::{Command, ConfigQuery};
use sierradb_protocol::{PartitionId, PartitionSelector, Refusal, StreamId, Value, id};
use uuid::Uuid;

use crate::handler::append::AppendKey;
use crate::handler::{Caller, append, client, config_get, follow, info, read, system};
use crate::session::order::Touches;
use crate::session::{Reply, Work};

/// Where a command goes, found out once.
pub(crate) enum Target {
    /// An append with this key, to this partition.
    Append(AppendKey, PartitionId),
    /// A read of this partition.
    Read(PartitionId),
    /// A read of any partition.
    ReadAny,
    /// Nothing others could notice.
    Nothing,
    /// Changes or shows what everything else depends on.
    Everything,
    /// Nowhere.
    Refused(Refusal),
}

impl Target {
    /// What must not be in work beside it.
    pub(crate) fn touches(&self) -> Touches {
        match self {
            Self::Append(_, partition) => Touches::Write(*partition),
            Self::Read(partition) => Touches::Read(*partition),
            Self::ReadAny => Touches::ReadAny,
            Self::Nothing | Self::Refused(_) => Touches::Nothing,
            Self::Everything => Touches::Everything,
        }
    }
}

/// Where `command` goes.
pub(crate) fn target(database: &Database, command: &Command) -> Target {
    let stream = |stream_id: &StreamId, key: Option<Uuid>| {
        let key = key.unwrap_or_else(|| id::default_partition_key(stream_id.as_bytes()));
        Target::Read(database.partition_of_key(key))
    };
    let append = |key: AppendKey| {
        let partition = database.partition_of_key(key.partition_key());
        Target::Append(key, partition)
    };
    let selected = |selector: PartitionSelector| match selector.resolve(database.partition_count())
    {
        Ok(partition) => Target::Read(partition),
        Err(error) => Target::Refused(error.into()),
    };
    match command {
        Command::EAppend(command) => {
            let default = || AppendKey::Default(DefaultKey::of(&command.event.stream_id));
            append(command.partition_key.map_or_else(default, AppendKey::Chosen))
        }
        Command::EMAppend(command) => append(AppendKey::Chosen(command.partition_key)),
        Command::EGet(_) => Target::ReadAny,
        Command::EScan(scan) => stream(&scan.stream_id, scan.partition_key),
        Command::EPScan(scan) => selected(scan.partition),
        Command::ESVer(version) => stream(&version.stream_id, version.partition_key),
        Command::EPSeq(sequence) => selected(sequence.partition),
        Command::Ping(_) | Command::Echo(_) | Command::Time | Command::Select => Target::Nothing,
        Command::EAck(_) | Command::Client(_) | Command::Command(_) => Target::Nothing,
        _ => Target::Everything,
    }
}

/// Starts `command`, whose target was found before.
pub(crate) fn run(caller: &mut Caller<'_>, command: Command, target: Target) -> Work {
    // Before all others: a command is large, and each match of two values by value moves it.
    let command = match (command, &target) {
        (Command::EAppend(append), Target::Append(key, at)) => {
            return append::one(caller, key, *at, append);
        }
        (command, _) => command,
    };
    match (command, target) {
        (_, Target::Refused(refusal)) => Work::Done(refusal.into()),
        (Command::EMAppend(append), Target::Append(_, at)) => append::many(caller, at, append),
        (Command::EScan(scan), Target::Read(at)) => read::stream(caller, at, scan),
        (Command::EPScan(scan), Target::Read(at)) => read::partition(caller, at, scan),
        (Command::ESVer(version), Target::Read(at)) => read::version(caller, at, version),
        (Command::EPSeq(_), Target::Read(at)) => read::sequence(caller, at),
        (Command::EGet(get), _) => read::event(caller, get),
        (Command::ESub(command), _) => follow::streams(caller, command),
        (Command::EPSub(command), _) => follow::partitions(caller, &command),
        (Command::Info(sections), _) => info::info(caller, &sections),
        (command, _) => Work::Done(run_at_once(caller, command)),
    }
}

/// Commands that read and write no events.
fn run_at_once(caller: &mut Caller<'_>, command: Command) -> Reply {
    match command {
        Command::EAck(command) => follow::acknowledge(caller, command),
        Command::EUnsub(command) => follow::end(caller, command),
        Command::Hello(hello) => system::hello(caller, &hello),
        Command::Auth(auth) => system::auth(caller, &auth),
        Command::Ping(message) => system::ping(caller, message),
        Command::Echo(message) => Reply::bulk(message),
        Command::Time => system::time(caller),
        Command::DbSize => system::db_size(caller),
        Command::Quit => system::quit(caller),
        Command::Reset => system::reset(caller),
        Command::Select => Reply::OK,
        Command::Client(command) => client::run(caller, command),
        Command::Command(query) => Reply::Commands(query),
        Command::Config(ConfigQuery::Get(patterns)) => config_get::get(caller, &patterns),
        Command::Config(ConfigQuery::Help) => Reply::Help("CONFIG"),
        Command::Role => system::role(),
        Command::ModuleList => Reply::Tree(Value::Array(vec![])),
        Command::ModuleHelp => Reply::Help("MODULE"),
        Command::Cluster(_) | Command::ReadOnly | Command::ReadWrite => {
            Refusal::NoClusterSupport.into()
        }
        other => unreachable!("{} is started elsewhere", other.spec().name),
    }
}
