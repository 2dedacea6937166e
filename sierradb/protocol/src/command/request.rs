//! One request as a type, read from words and written as words.

use bytes::Bytes;

use crate::args::{Args, Upper};
use crate::command::append::{EAppend, EMAppend};
use crate::command::client::ClientCommand;
use crate::command::follow::{EAck, EPSub, ESub, EUnsub};
use crate::command::read::{EGet, EPScan, EPSeq, ESVer, EScan};
use crate::command::redis::{Auth, CommandQuery, ConfigQuery, Hello};
use crate::command::spec::Spec;
use crate::command::specs_client as client;
use crate::command::specs_event as event;
use crate::command::specs_redis as redis;
use crate::command::table;
use crate::command::words::Words;
use crate::parse_error::ParseError;
use crate::quote::Quoted;
use crate::request::{Request, RequestWords, Span, Word};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Append one event.
    EAppend(EAppend),
    /// Append events to several streams, all or none.
    EMAppend(EMAppend),
    /// Read an event by id.
    EGet(EGet),
    /// Read events of a stream.
    EScan(EScan),
    /// Read events of a partition.
    EPScan(EPScan),
    /// Version of the last event of a stream.
    ESVer(ESVer),
    /// Sequence of the last event of a partition.
    EPSeq(EPSeq),
    /// Follow streams.
    ESub(ESub),
    /// Follow partitions.
    EPSub(EPSub),
    /// Acknowledge events of a subscription.
    EAck(EAck),
    /// End a subscription.
    EUnsub(EUnsub),
    /// Choose the protocol, log in, name the connection.
    Hello(Hello),
    /// Log in.
    Auth(Auth),
    /// Answer, with the message if there is one.
    Ping(Option<Bytes>),
    /// Answer with the message.
    Echo(Bytes),
    /// The time of the server.
    Time,
    /// Number of streams.
    DbSize,
    /// Answer, then close.
    Quit,
    /// Put the connection back to how it started.
    Reset,
    /// Database 0, the only one.
    Select,
    /// Connections.
    Client(ClientCommand),
    /// Which commands there are.
    Command(CommandQuery),
    /// Sections of the state of the server, as sent; none is the default ones.
    Info(Vec<Bytes>),
    /// Settings.
    Config(ConfigQuery),
    /// Role as Redis clients understand it.
    Role,
    /// Modules: none.
    ModuleList,
    /// What MODULE can do.
    ModuleHelp,
    /// Refused; the words behind CLUSTER.
    Cluster(Vec<Bytes>),
    /// Refused.
    ReadOnly,
    /// Refused.
    ReadWrite,
}

impl Command {
    /// Understands the words of one request. Payloads, names and the like share its memory, nothing is copied.
    ///
    /// # Errors
    ///
    /// [`ParseError`], with the exact text of the wire contract; then nothing has been done. No words at all are the
    /// unknown command of no name.
    pub fn parse(request: &Request<'_>) -> Result<Self, ParseError> {
        let mut words = request.words();
        let name = words.next().map(Word::as_bytes).unwrap_or_default();
        let Some(spec) = table::find(name) else { return Err(unknown_command(name, words)) };
        let mut args = Args::new(spec.name, words);
        if !spec.takes(args.len() + 1) {
            return Err(args.wrong_arity());
        }
        if !spec.subcommands.is_empty()
            && let Some(word) = args.next_word()
        {
            return parse_subcommand(spec, &word, &mut args);
        }
        (spec.parse)(&mut args)
    }

    /// As [`Command::parse`], of words that lie apart; they are copied.
    ///
    /// # Errors
    ///
    /// As [`Command::parse`].
    pub fn from_args(words: &[Bytes]) -> Result<Self, ParseError> {
        let mut start = 0;
        let span = |word: &Bytes| {
            let span = Span { start, end: start + word.len() };
            start = span.end;
            span
        };
        let spans: Vec<_> = words.iter().map(span).collect();
        Self::parse(&Request::new(&words.concat().into(), &spans))
    }

    /// The words of the request, command name first. Options with their default value are left out.
    pub fn to_args(&self) -> Vec<Bytes> {
        let mut words = Words::new(self.spec().name);
        match self {
            Self::EAppend(command) => command.encode(&mut words),
            Self::EMAppend(command) => command.encode(&mut words),
            Self::EGet(command) => command.encode(&mut words),
            Self::EScan(command) => command.encode(&mut words),
            Self::EPScan(command) => command.encode(&mut words),
            Self::ESVer(command) => command.encode(&mut words),
            Self::EPSeq(command) => command.encode(&mut words),
            Self::ESub(command) => command.encode(&mut words),
            Self::EPSub(command) => command.encode(&mut words),
            Self::EAck(command) => command.encode(&mut words),
            Self::EUnsub(command) => command.encode(&mut words),
            Self::Hello(command) => command.encode(&mut words),
            Self::Auth(command) => command.encode(&mut words),
            Self::Ping(message) => message.iter().for_each(|word| words.bytes(word.clone())),
            Self::Echo(message) => words.bytes(message.clone()),
            Self::Client(command) => command.encode(&mut words),
            Self::Command(query) => query.encode(&mut words),
            Self::Config(query) => query.encode(&mut words),
            Self::Info(list) | Self::Cluster(list) => words.all(list),
            Self::Select => words.text(0),
            Self::ModuleList => words.keyword("LIST"),
            Self::ModuleHelp => words.keyword("HELP"),
            Self::Time
            | Self::DbSize
            | Self::Quit
            | Self::Reset
            | Self::Role
            | Self::ReadOnly
            | Self::ReadWrite => {}
        }
        words.finish()
    }

    /// The entry of the table this request was read by; of a subcommand, the command it belongs to.
    pub fn spec(&self) -> &'static Spec {
        match self {
            Self::EAppend(_) => &event::EAPPEND,
            Self::EMAppend(_) => &event::EMAPPEND,
            Self::EGet(_) => &event::EGET,
            Self::EScan(_) => &event::ESCAN,
            Self::EPScan(_) => &event::EPSCAN,
            Self::ESVer(_) => &event::ESVER,
            Self::EPSeq(_) => &event::EPSEQ,
            Self::ESub(_) => &event::ESUB,
            Self::EPSub(_) => &event::EPSUB,
            Self::EAck(_) => &event::EACK,
            Self::EUnsub(_) => &event::EUNSUB,
            Self::Hello(_) => &redis::HELLO,
            Self::Auth(_) => &redis::AUTH,
            Self::Ping(_) => &redis::PING,
            Self::Echo(_) => &redis::ECHO,
            Self::Time => &redis::TIME,
            Self::DbSize => &redis::DBSIZE,
            Self::Quit => &redis::QUIT,
            Self::Reset => &redis::RESET,
            Self::Select => &redis::SELECT,
            Self::Client(_) => &client::CLIENT,
            Self::Command(_) => &redis::COMMAND,
            Self::Info(_) => &redis::INFO,
            Self::Config(_) => &redis::CONFIG,
            Self::Role => &redis::ROLE,
            Self::ModuleList | Self::ModuleHelp => &redis::MODULE,
            Self::Cluster(_) => &redis::CLUSTER,
            Self::ReadOnly => &redis::READONLY,
            Self::ReadWrite => &redis::READWRITE,
        }
    }
}

fn parse_subcommand(spec: &Spec, word: &[u8], args: &mut Args<'_>) -> Result<Command, ParseError> {
    let Some(found) = spec.subcommand(Upper::of(word).as_bytes()) else {
        let subcommand = Quoted::new(word);
        return Err(ParseError::UnknownSubcommand { command: spec.name, subcommand });
    };
    args.enter(found.name);
    if !found.takes(args.len() + 2) {
        return Err(args.wrong_arity());
    }
    (found.parse)(args)
}

/// As Redis words it, with the arguments until they fill 128 bytes.
fn unknown_command(name: &[u8], words: RequestWords<'_>) -> ParseError {
    use crate::limits::QUOTED_MAX_BYTES;
    use crate::quote::cut;

    let mut arguments = String::new();
    for word in words {
        let Some(room) = QUOTED_MAX_BYTES.checked_sub(arguments.len()).filter(|room| *room > 0)
        else {
            break;
        };
        arguments.push_str(&Quoted::new(cut(&word, room)).to_string());
        arguments.push(' ');
    }
    ParseError::UnknownCommand { name: Quoted::new(name), arguments: arguments.into() }
}

#[cfg(test)]
mod tests;
