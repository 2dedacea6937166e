//! Takes connections in until the server stops, and gives each its task.

use std::sync::Arc;

use sierradb_io::TaskName;
use sierradb_net::{Acceptor, Client, Connection};

use crate::clients::Ends;
use crate::conn::task::serve;
use crate::limits::KEEP_ALIVE_SECS;
use crate::shared::Shared;

/// Accepts until the server stops.
pub(crate) async fn accept(shared: Arc<Shared>, acceptor: Acceptor) {
    loop {
        let accepted = tokio::select! {
            biased; // the end first: no connection is taken once the server stops
            () = shared.stopping.cancelled() => return,
            accepted = acceptor.next() => accepted,
        };
        admit(&shared, accepted);
    }
}

fn admit(shared: &Arc<Shared>, accepted: Client) {
    let Client { stream, peer, place } = accepted;
    stream.set_nodelay(true);
    stream.set_keepalive_secs(KEEP_ALIVE_SECS);
    let ends = Ends { addr: peer, laddr: stream.local_addr() };
    let mut connection = Connection::new(stream, shared.config.network.max_request_bytes);
    let pushes = connection.outgoing().push_sender();
    let client = shared.clients.enter(ends, pushes, shared.io.clock().now());
    let name = TaskName { role: "connection", key: client.id };
    let (id, owner) = (client.id, Arc::clone(shared));
    let body = async move {
        serve(Arc::clone(&owner), client, connection).await;
        owner.clients.leave(id);
        drop(place);
    };
    shared.io.spawner().spawn(name, Box::pin(body));
}
