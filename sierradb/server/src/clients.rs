//! The connections there are: what `CLIENT LIST` shows and `CLIENT KILL` ends.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sierradb_io::{Mono, Shutdown};
use sierradb_net::PushSender;

/// All connections, by id.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    last_id: AtomicU64,
    by_id: Mutex<BTreeMap<u64, Arc<Client>>>,
}

/// What is known of one connection. Its task writes, `CLIENT` commands of others read.
#[derive(Debug)]
pub(crate) struct Client {
    /// Number of the connection; never used twice by one process.
    pub(crate) id: u64,
    /// The other end.
    pub(crate) addr: SocketAddr,
    /// This end.
    pub(crate) laddr: SocketAddr,
    /// When it was accepted.
    pub(crate) since: Mono,
    /// Cancelled to end the connection.
    pub(crate) kill: Shutdown,
    named: Mutex<Named>,
    gauges: Gauges,
    /// Knows how much its subscriptions have waiting.
    pushes: PushSender,
}

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    /// The other one.
    pub(crate) addr: SocketAddr,
    /// Ours.
    pub(crate) laddr: SocketAddr,
}

/// What changes seldom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    /// Set by `CLIENT SETNAME`.
    pub(crate) name: String,
    /// Set by `CLIENT SETINFO`.
    pub(crate) lib_name: String,
    /// Set by `CLIENT SETINFO`.
    pub(crate) lib_ver: String,
    /// RESP version spoken.
    pub(crate) resp: u64,
}

/// What changes with each wake-up; written without a lock.
#[derive(Debug, Default)]
struct Gauges {
    last_active_ns: AtomicU64,
    last_command: Mutex<&'static str>,
    subscriptions: AtomicU64,
    query_bytes: AtomicU64,
    reply_bytes: AtomicU64,
}

/// Which connections `CLIENT KILL` and `CLIENT LIST` mean; every condition given must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) ids: Option<Vec<u64>>,
    pub(crate) addr: Option<String>,
    pub(crate) laddr: Option<String>,
    /// `None`: any; else `normal` or `pubsub`.
    pub(crate) is_pubsub: Option<bool>,
    /// Matches nobody: a user or kind that no connection has.
    pub(crate) nobody: bool,
    pub(crate) except: Option<u64>,
}

impl Clients {
    /// Enters a new connection.
    pub(crate) fn enter(&self, ends: Ends, pushes: PushSender, now: Mono) -> Arc<Client> {
        let Ends { addr, laddr } = ends;
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client {
            id,
            addr,
            laddr,
            since: now,
            kill: Shutdown::new(),
            named: Mutex::default(),
            gauges: Gauges::default(),
            pushes,
        });
        client.gauges.last_active_ns.store(now.0, Ordering::Relaxed);
        lock(&self.by_id).insert(id, Arc::clone(&client));
        client
    }

    /// Forgets a connection.
    pub(crate) fn leave(&self, id: u64) {
        lock(&self.by_id).remove(&id);
    }

    /// Ends them all.
    pub(crate) fn kill_all(&self) {
        self.all().iter().for_each(|client| client.kill.cancel());
    }

    /// How many have subscriptions.
    pub(crate) fn subscribed_count(&self) -> usize {
        self.all().iter().filter(|client| client.subscriptions() > 0).count()
    }

    /// Subscriptions of all of them.
    pub(crate) fn subscriptions(&self) -> u64 {
        self.all().iter().map(|client| client.subscriptions()).sum()
    }

    /// Connections that fit, by rising id.
    pub(crate) fn matching(&self, filter: &Filter) -> Vec<Arc<Client>> {
        self.all().into_iter().filter(|client| filter.fits(client)).collect()
    }

    fn all(&self) -> Vec<Arc<Client>> {
        lock(&self.by_id).values().cloned().collect()
    }
}

impl Client {
    /// Reads or changes name, library and login.
    pub(crate) fn named<T>(&self, with: impl FnOnce(&mut Named) -> T) -> T {
        with(&mut lock(&self.named))
    }

    /// Notes that the connection sent requests.
    pub(crate) fn active(&self, now: Mono) {
        self.gauges.last_active_ns.store(now.0, Ordering::Relaxed);
    }

    /// Notes the command sent last, by its upper-case name.
    pub(crate) fn runs(&self, command: &'static str) {
        *lock(&self.gauges.last_command) = command;
    }

    /// Notes how many bytes wait: requests received and not run, replies not sent.
    pub(crate) fn buffered(&self, query_bytes: usize, reply_bytes: usize) {
        self.gauges.query_bytes.store(to_u64(query_bytes), Ordering::Relaxed);
        self.gauges.reply_bytes.store(to_u64(reply_bytes), Ordering::Relaxed);
    }

    /// Notes how many subscriptions it has.
    pub(crate) fn set_subscriptions(&self, count: usize) {
        self.gauges.subscriptions.store(to_u64(count), Ordering::Relaxed);
    }

    /// How many subscriptions it has.
    pub(crate) fn subscriptions(&self) -> u64 {
        self.gauges.subscriptions.load(Ordering::Relaxed)
    }

    /// The line of `CLIENT LIST`, ended by LF.
    pub(crate) fn line(&self, now: Mono) -> String {
        let named = lock(&self.named).clone();
        let gauges = &self.gauges;
        let get = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        let idle = now.since(Mono(get(&gauges.last_active_ns))).as_secs();
        let command = *lock(&gauges.last_command);
        let mut line = String::with_capacity(256);
        // Writing into a String cannot fail.
        let written = writeln!(
            line,
            "id={} addr={} laddr={} name={} age={} idle={idle} flags={} db=0 sub=0 psub=0 esub={} \
             qbuf={} omem={} cmd={} user=default resp={} lib-name={} lib-ver={}",
            self.id,
            self.addr,
            self.laddr,
            named.name,
            now.since(self.since).as_secs(),
            if self.subscriptions() > 0 { 'P' } else { 'N' },
            self.subscriptions(),
            get(&gauges.query_bytes),
            get(&gauges.reply_bytes).saturating_add(to_u64(self.pushes.waiting_bytes())),
            if command.is_empty() { "NULL".to_owned() } else { command.to_ascii_lowercase() },
            named.resp,
            named.lib_name,
            named.lib_ver,
        );
        written.map_or_else(|_| String::new(), |()| line)
    }
}

impl Filter {
    fn fits(&self, client: &Client) -> bool {
        let same = |wanted: &Option<String>, addr: SocketAddr| {
            wanted.as_ref().is_none_or(|wanted| *wanted == addr.to_string())
        };
        !self.nobody
            && self.except != Some(client.id)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&client.id))
            && same(&self.addr, client.addr)
            && same(&self.laddr, client.laddr)
            && self.is_pubsub.is_none_or(|wanted| wanted == (client.subscriptions() > 0))
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A thread that panicked while it held the lock has left nothing half done here: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sierradb_net::Outgoing;

    use super::*;

    fn enter(clients: &Clients, port: u16) -> Arc<Client> {
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ends = Ends { addr: addr(port), laddr: addr(9090) };
        clients.enter(ends, Outgoing::new().push_sender(), Mono(0))
    }

    #[test]
    fn a_line_has_every_field_in_order() {
        let clients = Clients::default();
        let client = enter(&clients, 5);
        client.named(|named| {
            named.name = "n".into();
            named.resp = 3;
        });
        client.active(Mono(2_000_000_000));
        client.runs("CLIENT");
        client.buffered(7, 8);
        assert_eq!(
            client.line(Mono(5_000_000_000)),
            "id=1 addr=127.0.0.1:5 laddr=127.0.0.1:9090 name=n age=5 idle=3 flags=N db=0 sub=0 psub=0 \
             esub=0 qbuf=7 omem=8 cmd=client user=default resp=3 lib-name= lib-ver=\n"
        );
    }

    #[test]
    fn filters_join_their_conditions() {
        let clients = Clients::default();
        let (one, two) = (enter(&clients, 1), enter(&clients, 2));
        two.set_subscriptions(1);
        let ids = |filter: &Filter| -> Vec<u64> {
            clients.matching(filter).iter().map(|client| client.id).collect()
        };
        assert_eq!(ids(&Filter::default()), [1, 2]);
        assert_eq!(ids(&Filter { except: Some(one.id), ..Filter::default() }), [2]);
        assert_eq!(ids(&Filter { is_pubsub: Some(true), ..Filter::default() }), [2]);
        let mixed = Filter {
            laddr: Some("127.0.0.1:9090".into()),
            addr: Some("127.0.0.1:1".into()),
            ..Filter::default()
        };
        assert_eq!(ids(&mixed), [1]);
        assert!(ids(&Filter { nobody: true, ..Filter::default() }).is_empty());
        clients.leave(1);
        assert_eq!((clients.subscriptions(), clients.subscribed_count()), (1, 1));
    }
}
