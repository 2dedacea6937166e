//! `CLIENT …`: connections, their names and properties.

use bytes::Bytes;

use crate::args::{Args, Upper, parse_number};
use crate::command::redis::rest;
use crate::command::request::Command;
use crate::command::words::Words;
use crate::parse_error::ParseError;
use crate::quote::Quoted;

/// `CLIENT …`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCommand {
    /// Number of this connection.
    Id,
    /// Its name.
    GetName,
    /// Name it; empty takes the name away.
    SetName(Bytes),
    /// Say which library it is used through.
    SetInfo {
        /// What is said.
        attribute: LibraryAttribute,
        /// As sent: printable, no blanks.
        value: Bytes,
    },
    /// The line of [`ClientCommand::List`] about this connection.
    Info,
    /// A line for each connection.
    List(ClientList),
    /// Close the connection from this address.
    KillAddress(Bytes),
    /// Close the connections for which all of this holds.
    Kill(ClientFilter),
    /// Accepted; we evict no clients.
    NoEvict(Switch),
    /// Accepted; we keep no access times.
    NoTouch(Switch),
    /// Which requests are answered.
    Reply(ReplyMode),
    /// What else CLIENT can do.
    Help,
}

/// What a library says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LibraryAttribute {
    /// `LIB-NAME`
    Name,
    /// `LIB-VER`
    Version,
}

/// Which connections `CLIENT LIST` shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientList {
    /// Only these.
    pub kind: Option<ClientKind>,
    /// Only these numbers; empty is all.
    pub ids: Vec<u64>,
}

/// Which connections `CLIENT KILL` closes: those for which all that is given holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientFilter {
    /// Its number, from 1.
    pub id: Option<u64>,
    /// Where it comes from.
    pub address: Option<Bytes>,
    /// Where it came to.
    pub local_address: Option<Bytes>,
    /// What it does.
    pub kind: Option<ClientKind>,
    /// Who it is.
    pub user: Option<Bytes>,
    /// `No` includes the connection that asks; without it, it is spared.
    pub skip_me: Option<SkipMe>,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// Requests and replies.
    Normal,
    /// Follows us by the protocol of Redis; we have none of these.
    Master,
    /// Is followed by the protocol of Redis; we have none of these.
    Replica,
    /// Has subscriptions.
    PubSub,
}

/// `yes` or `no`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipMe {
    /// Spare the connection that asks.
    Yes,
    /// Close it too.
    No,
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// `on`
    On,
    /// `off`
    Off,
}

/// Which requests of a connection are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyMode {
    /// All.
    On,
    /// None.
    Off,
    /// All but this and the next.
    Skip,
}

impl ClientCommand {
    pub(crate) fn parse_set_name(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let name = args.word()?.to_bytes();
        check_name(&name, "Client names")?;
        Ok(Command::Client(Self::SetName(name)))
    }

    pub(crate) fn parse_set_info(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let (word, value) = (args.word()?, args.word()?);
        let (attribute, what) = match Upper::of(&word).as_bytes() {
            b"LIB-NAME" => (LibraryAttribute::Name, "lib-name"),
            b"LIB-VER" => (LibraryAttribute::Version, "lib-ver"),
            _ => return Err(ParseError::SetInfoOption { word: Quoted::new(&word) }),
        };
        check_name(&value, what)?;
        Ok(Command::Client(Self::SetInfo { attribute, value: value.to_bytes() }))
    }

    pub(crate) fn parse_list(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let mut list = ClientList::default();
        while let Some(word) = args.next_word() {
            match Upper::of(&word).as_bytes() {
                b"TYPE" => list.kind = Some(kind(&args.next_word().ok_or(ParseError::Syntax)?)?),
                b"ID" if !args.is_empty() => {
                    let id = |word: Bytes| parse_number(&word).filter(|id| *id > 0);
                    let ids = rest(args).into_iter().map(id).collect::<Option<Vec<_>>>();
                    list.ids = ids.ok_or(ParseError::InvalidClientId)?;
                }
                _ => return Err(ParseError::Syntax),
            }
        }
        Ok(Command::Client(Self::List(list)))
    }

    pub(crate) fn parse_kill(args: &mut Args<'_>) -> Result<Command, ParseError> {
        if args.len() == 1 {
            return Ok(Command::Client(Self::KillAddress(args.word()?.to_bytes())));
        }
        let mut filter = ClientFilter::default();
        while let Some(word) = args.next_word() {
            let value = args.next_word().ok_or(ParseError::Syntax)?;
            match Upper::of(&word).as_bytes() {
                b"ID" => {
                    let id = parse_number(&value).filter(|id| *id > 0);
                    filter.id = Some(id.ok_or(ParseError::ClientId)?);
                }
                b"ADDR" => filter.address = Some(value.to_bytes()),
                b"LADDR" => filter.local_address = Some(value.to_bytes()),
                b"TYPE" => filter.kind = Some(kind(&value)?),
                b"USER" => filter.user = Some(value.to_bytes()),
                b"SKIPME" => {
                    filter.skip_me = Some(match Upper::of(&value).as_bytes() {
                        b"YES" => SkipMe::Yes,
                        b"NO" => SkipMe::No,
                        _ => return Err(ParseError::Syntax),
                    });
                }
                _ => return Err(ParseError::Syntax),
            }
        }
        Ok(Command::Client(Self::Kill(filter)))
    }

    pub(crate) fn parse_reply(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let mode = match Upper::of(&args.word()?).as_bytes() {
            b"ON" => ReplyMode::On,
            b"OFF" => ReplyMode::Off,
            b"SKIP" => ReplyMode::Skip,
            _ => return Err(ParseError::Syntax),
        };
        Ok(Command::Client(Self::Reply(mode)))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        match self {
            Self::Id => words.keyword("ID"),
            Self::GetName => words.keyword("GETNAME"),
            Self::SetName(name) => words.option_bytes("SETNAME", Some(name)),
            Self::SetInfo { attribute, value } => {
                words.keyword("SETINFO");
                let name = match attribute {
                    LibraryAttribute::Name => "LIB-NAME",
                    LibraryAttribute::Version => "LIB-VER",
                };
                words.option_bytes(name, Some(value));
            }
            Self::Info => words.keyword("INFO"),
            Self::List(list) => list.encode(words),
            Self::KillAddress(address) => words.option_bytes("KILL", Some(address)),
            Self::Kill(filter) => filter.encode(words),
            Self::NoEvict(switch) => words.option("NO-EVICT", Some(switch.as_str())),
            Self::NoTouch(switch) => words.option("NO-TOUCH", Some(switch.as_str())),
            Self::Reply(mode) => words.option("REPLY", Some(mode.as_str())),
            Self::Help => words.keyword("HELP"),
        }
    }
}

impl ClientList {
    fn encode(&self, words: &mut Words) {
        words.keyword("LIST");
        words.option("TYPE", self.kind.map(ClientKind::as_str));
        if !self.ids.is_empty() {
            words.keyword("ID");
            self.ids.iter().for_each(|id| words.text(id));
        }
    }
}

impl ClientFilter {
    fn encode(&self, words: &mut Words) {
        words.keyword("KILL");
        words.option("ID", self.id);
        words.option_bytes("ADDR", self.address.as_ref());
        words.option_bytes("LADDR", self.local_address.as_ref());
        words.option("TYPE", self.kind.map(ClientKind::as_str));
        words.option_bytes("USER", self.user.as_ref());
        words.option("SKIPME", self.skip_me.map(SkipMe::as_str));
    }
}

impl ClientKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Master => "master",
            Self::Replica => "replica",
            Self::PubSub => "pubsub",
        }
    }
}

impl SkipMe {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

impl Switch {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }

    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Self, ParseError> {
        match Upper::of(&args.word()?).as_bytes() {
            b"ON" => Ok(Self::On),
            b"OFF" => Ok(Self::Off),
            _ => Err(ParseError::Syntax),
        }
    }
}

impl ReplyMode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "ON",
            Self::Off => "OFF",
            Self::Skip => "SKIP",
        }
    }
}

/// Names stand in blank-separated lines, so they hold printable ASCII without blanks.
pub(crate) fn check_name(name: &[u8], what: &'static str) -> Result<(), ParseError> {
    if name.iter().all(u8::is_ascii_graphic) {
        Ok(())
    } else {
        Err(ParseError::ClientName { what })
    }
}

fn kind(word: &[u8]) -> Result<ClientKind, ParseError> {
    match Upper::of(word).as_bytes() {
        b"NORMAL" => Ok(ClientKind::Normal),
        b"MASTER" => Ok(ClientKind::Master),
        b"REPLICA" | b"SLAVE" => Ok(ClientKind::Replica),
        b"PUBSUB" => Ok(ClientKind::PubSub),
        _ => Err(ParseError::ClientType { word: Quoted::new(word) }),
    }
}
