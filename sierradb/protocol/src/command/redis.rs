//! What every Redis server answers: HELLO, AUTH, PING, SELECT, COMMAND, CONFIG, INFO and the like.

use bytes::Bytes;

use crate::args::{Args, Upper};
use crate::command::client::check_name;
use crate::command::request::Command;
use crate::command::words::Words;
use crate::parse_error::ParseError;
use crate::quote::Quoted;
use crate::request::Word;

/// Version of the RESP protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RespVersion {
    /// RESP2.
    #[default]
    V2,
    /// RESP3.
    V3,
}

/// `HELLO`: choose the protocol, log in, name the connection; or only ask.
///
/// If one clause fails nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// What to switch to; without it nothing is switched and the clauses below are absent.
    pub version: Option<RespVersion>,
    /// User and password.
    pub auth: Option<Auth>,
    /// Name of the connection; empty takes it away.
    pub name: Option<Bytes>,
}

/// `AUTH`, or the AUTH clause of HELLO.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// `None` in the one-word form of AUTH: the user `default`.
    pub user: Option<Bytes>,
    /// As sent.
    pub password: Bytes,
}

/// `COMMAND …`: which commands there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandQuery {
    /// Alone: infos of all.
    All,
    /// How many.
    Count,
    /// Names, of those that match the glob, if one is given.
    List {
        /// The glob.
        pattern: Option<Bytes>,
    },
    /// Infos of these, or of all if none is named.
    Info(Vec<Bytes>),
    /// Documentation of these, or of all if none is named.
    Docs(Vec<Bytes>),
    /// What else COMMAND can do.
    Help,
}

/// `CONFIG …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigQuery {
    /// Values of the keys that match one of these globs.
    Get(Vec<Bytes>),
    /// What else CONFIG can do.
    Help,
}

impl RespVersion {
    /// 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A password must not get into a log by way of a debug print.
        formatter.debug_struct("Auth").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Hello {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let Some(word) = args.next_word() else { return Ok(Command::Hello(Self::default())) };
        let number = parse_integer(&word).ok_or(ParseError::HelloVersionNumber)?;
        let version = match number {
            2 => RespVersion::V2,
            3 => RespVersion::V3,
            _ => return Err(ParseError::HelloVersion),
        };
        let mut hello = Self { version: Some(version), auth: None, name: None };
        while let Some(word) = args.next_word() {
            let fault = || ParseError::HelloOption { word: Quoted::new(&word) };
            match Upper::of(&word).as_bytes() {
                b"AUTH" => {
                    let user = Some(args.next_word().ok_or_else(fault)?.to_bytes());
                    let password = args.next_word().ok_or_else(fault)?.to_bytes();
                    hello.auth = Some(Auth { user, password });
                }
                b"SETNAME" => {
                    let name = args.next_word().ok_or_else(fault)?;
                    check_name(&name, "Client names")?;
                    hello.name = Some(name.to_bytes());
                }
                _ => return Err(fault()),
            }
        }
        Ok(Command::Hello(hello))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        let Some(version) = self.version else { return };
        words.text(version.number());
        if let Some(Auth { user, password }) = &self.auth {
            words.keyword("AUTH");
            words.bytes(user.clone().unwrap_or(Bytes::from_static(b"default")));
            words.bytes(password.clone());
        }
        words.option_bytes("SETNAME", self.name.as_ref());
    }
}

impl Auth {
    pub(crate) fn parse(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let first = args.word()?.to_bytes();
        let auth = match args.next_word() {
            None => Self { user: None, password: first },
            Some(password) => Self { user: Some(first), password: password.to_bytes() },
        };
        if args.is_empty() { Ok(Command::Auth(auth)) } else { Err(ParseError::Syntax) }
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        self.user.iter().for_each(|user| words.bytes(user.clone()));
        words.bytes(self.password.clone());
    }
}

impl CommandQuery {
    pub(crate) fn parse_list(args: &mut Args<'_>) -> Result<Command, ParseError> {
        let Some(word) = args.next_word() else {
            return Ok(Command::Command(Self::List { pattern: None }));
        };
        let is = |word: &[u8], keyword: &[u8]| Upper::of(word).as_bytes() == keyword;
        let kind = args.next_word().ok_or(ParseError::Syntax)?;
        let pattern = args.next_word().ok_or(ParseError::Syntax)?;
        if !is(&word, b"FILTERBY") || !is(&kind, b"PATTERN") || !args.is_empty() {
            return Err(ParseError::Syntax);
        }
        Ok(Command::Command(Self::List { pattern: Some(pattern.to_bytes()) }))
    }

    pub(crate) fn encode(&self, words: &mut Words) {
        match self {
            Self::All => {}
            Self::Count => words.keyword("COUNT"),
            Self::List { pattern } => {
                words.keyword("LIST");
                if let Some(pattern) = pattern {
                    words.keyword("FILTERBY");
                    words.option_bytes("PATTERN", Some(pattern));
                }
            }
            Self::Info(names) => {
                words.keyword("INFO");
                words.all(names);
            }
            Self::Docs(names) => {
                words.keyword("DOCS");
                words.all(names);
            }
            Self::Help => words.keyword("HELP"),
        }
    }
}

impl ConfigQuery {
    pub(crate) fn encode(&self, words: &mut Words) {
        match self {
            Self::Get(patterns) => {
                words.keyword("GET");
                words.all(patterns);
            }
            Self::Help => words.keyword("HELP"),
        }
    }
}

/// `PING [msg]`
pub(crate) fn ping(args: &mut Args<'_>) -> Result<Command, ParseError> {
    let message = args.next_word().map(Word::to_bytes);
    args.finish()?;
    Ok(Command::Ping(message))
}

/// `SELECT 0`: there is one database.
pub(crate) fn select(args: &mut Args<'_>) -> Result<Command, ParseError> {
    match parse_integer(&args.word()?) {
        Some(0) => Ok(Command::Select),
        Some(_) => Err(ParseError::DbIndex),
        None => Err(ParseError::NotInteger),
    }
}

/// All words that are left.
pub(crate) fn rest(args: &mut Args<'_>) -> Vec<Bytes> {
    std::iter::from_fn(|| args.next_word()).map(Word::to_bytes).collect()
}

/// A number as Redis' own commands take it: signed, 64 bits.
fn parse_integer(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
