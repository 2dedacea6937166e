//! CONFIG GET: our settings, and those of Redis that clients ask for.

use std::collections::BTreeMap;

use bytes::Bytes;
use sierradb_protocol::{Value, glob_matches};

use crate::handler::Caller;
use crate::session::Reply;
use crate::shared::Shared;

/// Settings whose names match one of `patterns`.
pub(crate) fn get(caller: &Caller<'_>, patterns: &[Bytes]) -> Reply {
    let known = settings(caller.shared);
    let wanted = known
        .into_iter()
        .filter(|(name, _)| patterns.iter().any(|pattern| glob_matches(pattern, name.as_bytes())));
    let bulk = |text: String| Value::Bulk(text.into());
    let entries = wanted.map(|(name, value)| (bulk(name.to_owned()), bulk(value)));
    Reply::Tree(Value::Map(entries.collect()))
}

fn settings(shared: &Shared) -> BTreeMap<&'static str, String> {
    let network = &shared.config.network;
    let mut all = shared.config.shown.clone();
    let fixed = [
        ("save", ""),
        ("appendonly", "yes"),
        ("databases", "1"),
        ("timeout", "0"),
        ("tcp-keepalive", "300"),
        ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"),
        ("replica-read-only", "yes"),
    ];
    all.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    all.insert("maxclients", network.max_clients.to_string());
    all.insert("proto-max-bulk-len", network.max_request_bytes.to_string());
    all.insert("port", shared.addr.port().to_string());
    all.insert("bind", shared.addr.ip().to_string());
    all
}
