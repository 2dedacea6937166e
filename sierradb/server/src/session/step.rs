//! One connection without its socket: requests in, replies in order out.
//!
//! A request is understood, checked against login and mode, and started as soon as [`Order`] admits it; one that must
//! wait is kept, and no further request is taken until it has started. Whoever owns the session polls it: replies
//! that are due are encoded into the buffer given.

use std::sync::Arc;
use std::task::Context;

use sierradb::Arrival;
use sierradb_io::{Mono, TaskName};
use sierradb_net::{Outgoing, ProtocolError};
use sierradb_protocol::command::{Command, Spec, table};
use sierradb_protocol::{ErrorCode, ParseError, Refusal, Request, Word};

use crate::clients::Client;
use crate::handler::{self, Caller, Target};
use crate::ids::Ids;
use crate::metrics::{Outcome, Tally};
use crate::session::order::{Order, Ticket, Touches, Work};
use crate::session::state::{ReplyMode, State};
use crate::session::{Prepared, Reply};
use crate::shared::Shared;
use crate::subscription::member::Member;
use crate::subscription::members::Members;
use crate::subscription::task::follow;

/// The session of one connection.
pub(crate) struct Session {
    shared: Arc<Shared>,
    client: Arc<Client>,
    state: State,
    ids: Ids,
    /// When the last append came.
    arrival: Option<Arrival>,
    order: Order,
    members: Members,
    /// Understood, but must wait until something earlier has ended.
    waiting: Option<Waiting>,
    /// A subscription is being made: what follows must find it.
    is_subscribing: bool,
    /// No further request is taken.
    is_closing: bool,
    /// The command started last.
    ran: Option<&'static Spec>,
}

struct Waiting {
    command: Command,
    target: Target,
}

impl Session {
    /// The session of a new connection.
    pub(crate) fn new(shared: Arc<Shared>, client: Arc<Client>) -> Self {
        let state = State::new(&shared.config);
        client.named(|named| named.resp = state.dialect.version());
        Self {
            ids: Ids::new(&shared.io, client.id),
            arrival: None,
            members: Members::new(state.dialect),
            order: Order::default(),
            waiting: None,
            is_subscribing: false,
            is_closing: false,
            ran: None,
            shared,
            client,
            state,
        }
    }

    /// Ends all subscriptions without a frame: nobody reads them any more.
    pub(crate) fn end_subscriptions(&mut self) {
        self.members.end_all();
    }

    /// Whether all subscriptions have sent their last frame; if not, `context` is woken when one has.
    pub(crate) fn subscriptions_ended(&mut self, context: &Context<'_>) -> bool {
        self.members.lane().wake_at_end(context); // before the look: an end in between is not missed
        self.members.count() == 0
    }

    /// Whether a further request may be given to [`Session::request`].
    pub(crate) fn takes_requests(&self) -> bool {
        let is_open = !self.is_closing && !self.is_subscribing;
        is_open && self.waiting.is_none() && self.order.admits(Touches::Nothing)
    }

    /// Whether the connection is to be closed once everything is answered.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether every request taken is answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_none() && self.order.is_empty()
    }

    /// Bytes of the appends in work.
    pub(crate) fn append_bytes(&self) -> usize {
        self.order.append_bytes()
    }

    /// Whether full-size requests are allowed.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.state.is_authenticated
    }

    /// The server stops: no further request is taken, those that wait are dropped, those in work are answered, and
    /// subscriptions end with a frame.
    pub(crate) fn stop(&mut self) {
        self.is_closing = true;
        self.waiting = None;
        self.members.announce_end();
    }

    /// Takes one request.
    pub(crate) fn request(&mut self, request: &Request<'_>, now: Mono) {
        match Command::parse(request) {
            Ok(command) => match self.refuse(&command) {
                Some(refusal) => {
                    let error = (refusal.code(), refusal.to_string());
                    self.reject(error, Some(command.spec()), now);
                }
                None => {
                    let target = handler::target(&self.shared.database, &command);
                    if self.order.admits(target.touches()) {
                        self.start(command, target, now);
                    } else {
                        self.waiting = Some(Waiting { command, target });
                    }
                }
            },
            Err(error) => {
                let name = request.words().next().map(Word::as_bytes).unwrap_or_default();
                let error = self.hide(&error, name);
                self.reject(error, table::find(name), now);
            }
        }
    }

    /// Answers bytes that are no request, and closes.
    pub(crate) fn protocol_error(&mut self, error: ProtocolError, now: Mono) {
        self.is_closing = true;
        if let Some(text) = error.reply() {
            let ticket = Ticket { is_muted: false, ..self.ticket(None, now) };
            self.order.push(ticket, Work::Done(Reply::Rejected(ErrorCode::Err, text)));
        }
    }

    /// Before the login, faults of other commands are not told apart.
    fn hide(&self, error: &ParseError, name: &[u8]) -> (ErrorCode, String) {
        let is_open =
            matches!(error, ParseError::UnknownCommand { .. } | ParseError::WrongArity { .. })
                || table::find(name).is_some_and(|spec| spec.runs_before_login());
        if self.state.is_authenticated || is_open {
            return (error.code(), error.to_string());
        }
        (Refusal::NotLoggedIn.code(), Refusal::NotLoggedIn.to_string())
    }

    fn refuse(&mut self, command: &Command) -> Option<Refusal> {
        let spec = command.spec();
        if !self.state.is_authenticated && !spec.runs_before_login() {
            return Some(Refusal::NotLoggedIn);
        }
        let is_subscriber = self.state.is_subscriber(|| self.members.count());
        if is_subscriber && !spec.runs_in_subscriber_mode() {
            return Some(Refusal::SubscriberMode { command: spec.name });
        }
        None
    }

    fn reject(
        &mut self,
        (code, text): (ErrorCode, String),
        command: Option<&'static Spec>,
        now: Mono,
    ) {
        let ticket = self.ticket(command, now);
        self.order.push(ticket, Work::Done(Reply::Rejected(code, text)));
    }

    fn ticket(&mut self, command: Option<&'static Spec>, started: Mono) -> Ticket {
        let is_muted = self.state.next_is_muted();
        Ticket { command, started, dialect: self.state.dialect, is_muted }
    }

    /// Starts the request that waits, if it may; true if it did.
    fn start_waiting(&mut self, now: Mono) -> bool {
        let order = &self.order;
        let Some(waiting) = self.waiting.take_if(|it| order.admits(it.target.touches())) else {
            return false;
        };
        self.start(waiting.command, waiting.target, now);
        true
    }

    /// Starts a request that may be in work beside those before it.
    fn start(&mut self, command: Command, target: Target, now: Mono) {
        let spec = command.spec();
        let before = self.ticket(Some(spec), now);
        let replies_before = self.state.replies;
        let mut caller = Caller {
            shared: &self.shared,
            client: &self.client,
            state: &mut self.state,
            ids: &mut self.ids,
            members: &mut self.members,
            now,
            arrival: &mut self.arrival,
            asks_close: false,
        };
        if self.ran.is_none_or(|ran| !std::ptr::eq(ran, spec)) {
            self.ran = Some(spec);
            caller.client.runs(spec.name);
        }
        let work = handler::run(&mut caller, command, target);
        self.is_closing |= caller.asks_close;
        if self.client.subscriptions() > 0 {
            self.client.set_subscriptions(self.members.count());
        }
        self.is_subscribing |= matches!(work, Work::Subscribe { .. });
        // HELLO answers in the version it switched to; CLIENT REPLY is itself answered as it says.
        let is_muted = if self.state.replies == replies_before {
            before.is_muted
        } else {
            self.state.replies != ReplyMode::On
        };
        self.order.push(Ticket { dialect: self.state.dialect, is_muted, ..before }, work);
    }

    /// Drives requests in work and writes replies that are due; true if anything moved.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, out: &mut Outgoing) -> bool {
        self.order.poll_reads(context);
        let first = self.order.next_due(context);
        if first.is_none() && self.waiting.is_none() {
            return false;
        }
        let now = self.shared.io.clock().now();
        let has_replied = first.is_some();
        if let Some(first) = first {
            self.deliver(first, context, out, now);
        }
        self.start_waiting(now) || has_replied
    }

    /// Writes `first` and the replies that are due behind it, as far as there is room.
    fn deliver(
        &mut self,
        first: (Ticket, Reply),
        context: &mut Context<'_>,
        out: &mut Outgoing,
        now: Mono,
    ) {
        let mut tally = Tally::new(now);
        let mut replies = out.replies();
        let mut due = Some(first);
        let mut subscribed = None;
        while let Some((ticket, reply)) = due {
            let Ticket { command, started, dialect, is_muted } = ticket;
            tally.add(&self.shared.metrics, Outcome { command, started, ended: reply.ended() });
            if !is_muted {
                reply.write(replies.to(dialect));
            }
            match reply {
                Reply::Subscribed(prepared) => {
                    subscribed = Some(prepared);
                    break;
                }
                Reply::Failed(..) => self.is_subscribing = false,
                _ => {}
            }
            if replies.is_over_budget() {
                break;
            }
            due = self.order.next_due(context);
        }
        drop(replies);
        tally.count(&self.shared.metrics);
        if let Some(prepared) = subscribed {
            self.is_subscribing = false;
            self.subscribe(*prepared, out);
        }
    }

    /// Lets the frames of a subscription begin, behind the reply with its id.
    fn subscribe(&mut self, prepared: Prepared, out: &Outgoing) {
        let Prepared { id, sources, window, kind } = prepared;
        let lane = Arc::clone(self.members.lane());
        let member = Arc::new(Member::new(id, kind, window, lane, out.push_sender()));
        if self.is_closing {
            member.ends.cancel(); // the server began to stop while this was being made
        }
        self.members.enter(Arc::clone(&member));
        let count = self.members.count();
        self.client.set_subscriptions(count);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let name = TaskName { role: "subscription", key: self.client.id };
        let body = follow(Arc::clone(&self.shared), member, sources, count);
        self.shared.io.spawner().spawn(name, Box::pin(body));
    }
}
