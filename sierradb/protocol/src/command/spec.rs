//! What the table says about one command: how many words, which flags, what it is for, who parses it.

use crate::args::Args;
use crate::command::request::Command;
use crate::parse_error::ParseError;

/// One command or subcommand.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Name in upper case, without that of the command it belongs to.
    pub name: &'static str,
    /// Number of words with all names included; negative: at least so many.
    pub arity: i64,
    /// What it does to data and connection.
    pub flags: &'static [Flag],
    /// Family it belongs to.
    pub group: &'static str,
    /// First version that had it.
    pub since: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its arguments in grammar order.
    pub arguments: &'static [Argument],
    /// Its subcommands, sorted by name.
    pub subcommands: &'static [Spec],
    /// Reads the words behind its name.
    pub(crate) parse: fn(&mut Args<'_>) -> Result<Command, ParseError>,
}

/// Properties that clients and sessions decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// Changes data.
    Write,
    /// Reads data.
    ReadOnly,
    /// Belongs to subscriptions; also runs in the subscriber mode of RESP2.
    PubSub,
    /// Runs before the login too.
    NoAuth,
    /// Takes the same short time whatever is stored.
    Fast,
    /// For operators.
    Admin,
    /// Runs in the subscriber mode of RESP2 although it is not about subscriptions.
    InSubscriberMode,
}

/// One argument, for documentation and hints.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// What it is called.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// The keyword before it.
    pub token: Option<&'static str>,
    /// May it be left out?
    pub optional: bool,
    /// May it be repeated?
    pub multiple: bool,
}

/// What an argument is.
#[derive(Debug, Clone, Copy)]
pub enum ArgumentKind {
    /// Text or bytes.
    String,
    /// A number.
    Integer,
    /// Milliseconds since 1970.
    UnixTime,
    /// A glob.
    Pattern,
    /// The keyword alone.
    PureToken,
    /// Exactly one of these.
    OneOf(&'static [Argument]),
    /// All of these, in order.
    Block(&'static [Argument]),
}

impl Spec {
    /// True if the command runs on a connection that has not logged in though it must.
    pub fn runs_before_login(&self) -> bool {
        self.flags.contains(&Flag::NoAuth)
    }

    /// True if the command runs on a RESP2 connection that is in subscriber mode.
    pub fn runs_in_subscriber_mode(&self) -> bool {
        self.flags.contains(&Flag::PubSub) || self.flags.contains(&Flag::InSubscriberMode)
    }

    /// The subcommand of this name (upper case).
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Spec> {
        find_in(self.subcommands, name)
    }

    /// True if a request of `words` words, names included, has a fitting number of them.
    pub(crate) fn takes(&self, words: usize) -> bool {
        let bound = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { words >= bound } else { words == bound }
    }
}

/// Binary search by upper-case name.
pub(crate) fn find_in(specs: &'static [Spec], name: &[u8]) -> Option<&'static Spec> {
    let at = specs.binary_search_by(|spec| spec.name.as_bytes().cmp(name)).ok()?;
    specs.get(at)
}

impl Flag {
    /// The word `COMMAND INFO` uses; `None` for what only our sessions know.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Write => Some("write"),
            Self::ReadOnly => Some("readonly"),
            Self::PubSub => Some("pubsub"),
            Self::NoAuth => Some("no_auth"),
            Self::Fast => Some("fast"),
            Self::Admin => Some("admin"),
            Self::InSubscriberMode => None,
        }
    }
}

impl Argument {
    /// A required argument.
    pub(crate) const fn new(name: &'static str, kind: ArgumentKind) -> Self {
        Self { name, kind, token: None, optional: false, multiple: false }
    }

    /// An option: a keyword with one value, to be left out at will.
    pub(crate) const fn option(
        token: &'static str,
        name: &'static str,
        kind: ArgumentKind,
    ) -> Self {
        Self { name, kind, token: Some(token), optional: true, multiple: false }
    }

    /// A keyword alone.
    pub(crate) const fn token(token: &'static str, name: &'static str) -> Self {
        let token = Some(token);
        Self { name, kind: ArgumentKind::PureToken, token, optional: false, multiple: false }
    }

    /// The same, but it may be left out.
    pub(crate) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same, but it may be repeated.
    pub(crate) const fn multiple(self) -> Self {
        Self { multiple: true, ..self }
    }

    /// The same behind a keyword.
    pub(crate) const fn behind(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }
}
