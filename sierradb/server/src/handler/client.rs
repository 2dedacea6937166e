//! CLIENT: this connection and the others.

use bytes::Bytes;
use sierradb_protocol::command::{
    ClientCommand, ClientFilter, ClientKind, ClientList, LibraryAttribute, ReplyMode as Asked,
    SkipMe,
};
use sierradb_protocol::{Refusal, Value};

use crate::clients::Filter;
use crate::handler::Caller;
use crate::session::Reply;
use crate::session::state::ReplyMode;

/// Runs a CLIENT subcommand.
pub(crate) fn run(caller: &mut Caller<'_>, command: ClientCommand) -> Reply {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    match command {
        ClientCommand::Id => Reply::integer(caller.client.id),
        ClientCommand::GetName => {
            let name = caller.client.named(|named| named.name.clone());
            if name.is_empty() { Reply::Tree(Value::Null) } else { Reply::bulk(name) }
        }
        ClientCommand::SetName(name) => {
            caller.client.named(|named| named.name = text(&name));
            Reply::OK
        }
        ClientCommand::SetInfo { attribute, value } => {
            caller.client.named(|named| match attribute {
                LibraryAttribute::Name => named.lib_name = text(&value),
                LibraryAttribute::Version => named.lib_ver = text(&value),
            });
            Reply::OK
        }
        ClientCommand::Info => Reply::bulk(caller.client.line(caller.now)),
        ClientCommand::List(list) => self::list(caller, list),
        ClientCommand::KillAddress(address) => kill_address(caller, &text(&address)),
        ClientCommand::Kill(filter) => kill(caller, &filter),
        ClientCommand::NoEvict(_) | ClientCommand::NoTouch(_) => Reply::OK,
        ClientCommand::Reply(asked) => {
            caller.state.replies = match asked {
                Asked::On => ReplyMode::On,
                Asked::Off => ReplyMode::Off,
                Asked::Skip => ReplyMode::SkipNext,
            };
            Reply::OK
        }
        ClientCommand::Help => Reply::Help("CLIENT"),
    }
}

fn list(caller: &Caller<'_>, list: ClientList) -> Reply {
    let mut filter =
        Filter { ids: Some(list.ids).filter(|ids| !ids.is_empty()), ..Filter::default() };
    restrict(&mut filter, list.kind);
    let clients = caller.shared.clients.matching(&filter);
    let lines: String = clients.iter().map(|client| client.line(caller.now)).collect();
    Reply::bulk(lines)
}

fn restrict(filter: &mut Filter, kind: Option<ClientKind>) {
    match kind {
        None => {}
        Some(ClientKind::Normal) => filter.is_pubsub = Some(false),
        Some(ClientKind::PubSub) => filter.is_pubsub = Some(true),
        Some(ClientKind::Master | ClientKind::Replica) => filter.nobody = true,
    }
}

fn kill_address(caller: &mut Caller<'_>, address: &str) -> Reply {
    let filter = Filter { addr: Some(address.to_owned()), ..Filter::default() };
    match end(caller, &filter) {
        0 => Refusal::NoSuchClient.into(),
        _ => Reply::OK,
    }
}

fn kill(caller: &mut Caller<'_>, asked: &ClientFilter) -> Reply {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let mut filter = Filter {
        ids: asked.id.map(|id| vec![id]),
        addr: asked.address.as_ref().map(text),
        laddr: asked.local_address.as_ref().map(text),
        nobody: asked.user.as_ref().is_some_and(|user| user.as_ref() != b"default"),
        except: (asked.skip_me != Some(SkipMe::No)).then_some(caller.client.id),
        ..Filter::default()
    };
    restrict(&mut filter, asked.kind);
    Reply::integer(end(caller, &filter))
}

/// Ends those that match; the caller itself only after its answer.
fn end(caller: &mut Caller<'_>, filter: &Filter) -> u64 {
    let clients = caller.shared.clients.matching(filter);
    for client in &clients {
        if client.id == caller.client.id {
            caller.asks_close = true;
        } else {
            client.kill.cancel();
        }
    }
    u64::try_from(clients.len()).unwrap_or(u64::MAX)
}
