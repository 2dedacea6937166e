//! ESUB, EPSUB, EACK and EUNSUB.

use sierradb_protocol::Refusal;
use sierradb_protocol::command::{EAck, EPSub, ESub, EUnsub};

use crate::handler::Caller;
use crate::limits::MAX_SUBSCRIPTIONS;
use crate::session::{Prepared, Reply, Work};
use crate::subscription::selector;
use crate::subscription::window::Window;

/// ESUB. Where a stream ends may have to be read from disk, so this takes a while.
pub(crate) fn streams(caller: &mut Caller<'_>, command: ESub) -> Work {
    if let Err(refusal) = one_more(caller) {
        return Work::Done(refusal.into());
    }
    let database = caller.shared.database.clone();
    let id = caller.ids.subscription_id();
    let window = Window::new(command.window.map(|limit| u64::from(limit.get())));
    let future = Box::pin(async move {
        match selector::streams(&database, &command).await {
            Ok(sources) => {
                let kind = command.push;
                Reply::Subscribed(Box::new(Prepared { id, sources, window, kind }))
            }
            Err(refusal) => refusal.into(),
        }
    });
    Work::Subscribe { future }
}

/// EPSUB.
pub(crate) fn partitions(caller: &mut Caller<'_>, command: &EPSub) -> Work {
    let sources =
        one_more(caller).and_then(|()| selector::partitions(&caller.shared.database, command));
    let sources = match sources {
        Ok(sources) => sources,
        Err(refusal) => return Work::Done(refusal.into()),
    };
    let id = caller.ids.subscription_id();
    let window = Window::new(command.window.map(|limit| u64::from(limit.get())));
    let kind = command.push;
    let reply = Reply::Subscribed(Box::new(Prepared { id, sources, window, kind }));
    Work::Subscribe { future: Box::pin(std::future::ready(reply)) }
}

fn one_more(caller: &mut Caller<'_>) -> Result<(), Refusal> {
    if caller.members.count() < MAX_SUBSCRIPTIONS {
        return Ok(());
    }
    Err(Refusal::TooManySubscriptions { limit: MAX_SUBSCRIPTIONS })
}

/// EACK.
pub(crate) fn acknowledge(caller: &Caller<'_>, command: EAck) -> Reply {
    match caller.members.acknowledge(command.subscription_id, command.cursor) {
        Ok(()) => Reply::OK,
        Err(refusal) => refusal.into(),
    }
}

/// EUNSUB.
pub(crate) fn end(caller: &mut Caller<'_>, command: EUnsub) -> Reply {
    match caller.members.end(command.subscription_id) {
        Ok(()) => Reply::OK,
        Err(refusal) => refusal.into(),
    }
}
