//! PING, AUTH, RESET, TIME and the like: commands about the connection and the server as such.

use bytes::Bytes;
use sierradb_net::Dialect;
use sierradb_protocol::command::{Auth, Hello, RespVersion};
use sierradb_protocol::reply::HelloReply;
use sierradb_protocol::{Refusal, Value};

use crate::handler::Caller;
use crate::session::Reply;
use crate::session::state::State;

/// The only user there is.
const USER: &[u8] = b"default";

/// PING. In the subscriber mode of RESP2 the answer looks like a frame, as clients expect.
pub(crate) fn ping(caller: &mut Caller<'_>, message: Option<Bytes>) -> Reply {
    if caller.state.is_subscriber(|| caller.members.count()) {
        let pong = Value::Bulk(Bytes::from_static(b"pong"));
        return Reply::Tree(Value::Array(vec![pong, Value::Bulk(message.unwrap_or_default())]));
    }
    message.map_or(Reply::Word("PONG"), Reply::bulk)
}

/// TIME: seconds and microseconds since 1970.
pub(crate) fn time(caller: &Caller<'_>) -> Reply {
    let micros = caller.shared.io.clock().wall_ns() / 1_000;
    let part = |number: u64| Value::Bulk(number.to_string().into());
    Reply::Tree(Value::Array(vec![part(micros / 1_000_000), part(micros % 1_000_000)]))
}

/// AUTH.
pub(crate) fn auth(caller: &mut Caller<'_>, auth: &Auth) -> Reply {
    match check(caller, auth) {
        Ok(()) => {
            caller.state.is_authenticated = true;
            Reply::OK
        }
        Err(refusal) => refusal.into(),
    }
}

fn check(caller: &Caller<'_>, auth: &Auth) -> Result<(), Refusal> {
    let is_user = auth.user.as_ref().is_none_or(|user| user.as_ref() == USER);
    match (&caller.shared.config.password, &auth.user) {
        (None, None) => Err(Refusal::NoPasswordConfigured),
        (None, Some(_)) if is_user => Ok(()),
        (Some(password), _) if is_user && is_same(password.as_bytes(), &auth.password) => Ok(()),
        _ => Err(Refusal::WrongLogin),
    }
}

/// Compares in a time that does not tell how many bytes agree.
fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let different = expected.iter().zip(given).fold(0, |sum, (a, b)| sum | (a ^ b));
    different == 0 && expected.len() == given.len()
}

/// HELLO: all of its clauses or none.
pub(crate) fn hello(caller: &mut Caller<'_>, hello: &Hello) -> Reply {
    if let Some(auth) = &hello.auth
        && let Err(refusal) = check(caller, auth)
    {
        return refusal.into();
    }
    if hello.auth.is_none() && !caller.state.is_authenticated {
        return Refusal::HelloNotLoggedIn.into();
    }
    caller.state.is_authenticated = true;
    if let Some(version) = hello.version {
        let dialect = match version {
            RespVersion::V2 => Dialect::Resp2,
            RespVersion::V3 => Dialect::Resp3,
        };
        caller.state.dialect = dialect;
        caller.members.lane().set_dialect(dialect);
    }
    let proto = match caller.state.dialect {
        Dialect::Resp2 | Dialect::Resp2Unasked => RespVersion::V2,
        Dialect::Resp3 => RespVersion::V3,
    };
    caller.client.named(|named| {
        named.resp = u64::from(proto.number());
        if let Some(name) = &hello.name {
            named.name = String::from_utf8_lossy(name).into_owned();
        }
    });
    Reply::Hello(Box::new(HelloReply {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        proto,
        id: caller.client.id,
        peer_id: caller.shared.peer_id.clone(),
        num_partitions: caller.shared.database.partition_count(),
    }))
}

/// RESET: as after connecting. Subscriptions end without a frame.
pub(crate) fn reset(caller: &mut Caller<'_>) -> Reply {
    caller.members.end_all();
    *caller.state = State::new(&caller.shared.config);
    caller.members.lane().set_dialect(caller.state.dialect);
    let resp = caller.state.dialect.version();
    caller.client.named(|named| {
        named.resp = resp;
        named.name.clear();
    });
    Reply::Word("RESET")
}

/// QUIT.
pub(crate) fn quit(caller: &mut Caller<'_>) -> Reply {
    caller.asks_close = true;
    Reply::OK
}

/// DBSIZE: the number of streams.
pub(crate) fn db_size(caller: &Caller<'_>) -> Reply {
    Reply::integer(caller.shared.database.stats().streams())
}

/// ROLE, as a Redis server without replicas answers.
pub(crate) fn role() -> Reply {
    let master = Value::Bulk(Bytes::from_static(b"master"));
    Reply::Tree(Value::Array(vec![master, Value::Integer(0), Value::Array(vec![])]))
}
