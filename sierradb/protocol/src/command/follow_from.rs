//! Where subscriptions start: FROM LATEST, FROM n, FROM MAP … DEFAULT n.

use std::fmt::Display;

use bytes::Bytes;

use crate::args::{Args, Upper, parse_number, set_once};
use crate::command::words::Words;
use crate::parse_error::ParseError;
use crate::quote::Quoted;

/// Why the part before the `=` of a map entry is refused; takes the entry as sent.
pub(crate) type EntryFault = fn(Quoted) -> ParseError;

/// Where each source of a subscription starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FollowFrom<Name> {
    /// Behind the last event committed when the subscription is made.
    #[default]
    Latest,
    /// At this version or sequence, inclusive, also if nothing is there yet.
    At(u64),
    /// Source by source.
    Map {
        /// Positions, at least one; of several for one source the last counts.
        entries: Vec<(Name, u64)>,
        /// Start of the sources not listed; `None` is latest.
        default: Option<u64>,
    },
}

impl<Name> FollowFrom<Name> {
    /// Start of a source that no entry is about; `None` is latest.
    pub fn otherwise(&self) -> Option<u64> {
        match self {
            Self::Latest => None,
            Self::At(position) => Some(*position),
            Self::Map { default, .. } => *default,
        }
    }

    /// The entries of a map.
    pub fn entries(&self) -> &[(Name, u64)] {
        match self {
            Self::Latest | Self::At(_) => &[],
            Self::Map { entries, .. } => entries,
        }
    }

    /// Reads what stands behind `FROM`; `read` makes a name of the part before the `=` of a map entry.
    pub(crate) fn parse(
        args: &mut Args<'_>,
        read: impl Fn(Bytes) -> Result<Name, EntryFault>,
    ) -> Result<Self, ParseError> {
        let word = args.value("FROM")?;
        if let Some(position) = parse_number(&word) {
            return Ok(Self::At(position));
        }
        match Upper::of(&word).as_bytes() {
            b"LATEST" => Ok(Self::Latest),
            b"MAP" => Self::parse_map(args, read),
            _ => Err(ParseError::InvalidFrom { word: Quoted::new(&word) }),
        }
    }

    fn parse_map(
        args: &mut Args<'_>,
        read: impl Fn(Bytes) -> Result<Name, EntryFault>,
    ) -> Result<Self, ParseError> {
        // The first entry is the value of MAP, whatever it looks like; the others end at a keyword.
        let mut entries = vec![entry(args.value("MAP")?.to_bytes(), &read)?];
        while let Some(word) = args.peek()
            && !is_keyword(Upper::of(&word).as_bytes())
        {
            entries.push(entry(args.word()?.to_bytes(), &read)?);
        }
        let mut default = None;
        while args.peek().is_some_and(|word| Upper::of(&word).as_bytes() == b"DEFAULT") {
            args.word()?;
            let fault = |word| ParseError::InvalidNumber { what: "DEFAULT", word };
            let position = args.read("DEFAULT", parse_number, fault)?;
            set_once(&mut default, "DEFAULT", position)?;
        }
        Ok(Self::Map { entries, default })
    }

    pub(crate) fn encode(&self, words: &mut Words)
    where
        Name: Display,
    {
        match self {
            Self::Latest => {}
            Self::At(position) => words.option("FROM", Some(position)),
            Self::Map { entries, default } => {
                words.keyword("FROM");
                words.keyword("MAP");
                entries.iter().for_each(|(name, at)| words.text(format_args!("{name}={at}")));
                words.option("DEFAULT", *default);
            }
        }
    }
}

fn is_keyword(upper: &[u8]) -> bool {
    matches!(upper, b"FROM" | b"WINDOW" | b"PUSH" | b"DEFAULT")
}

/// `<name>=<number>`, split at the last `=`.
fn entry<Name>(
    word: Bytes,
    read: impl Fn(Bytes) -> Result<Name, EntryFault>,
) -> Result<(Name, u64), ParseError> {
    let fault = || ParseError::InvalidMapEntry { word: Quoted::new(&word) };
    let at = word.iter().rposition(|byte| *byte == b'=').ok_or_else(fault)?;
    let number = word.get(at + 1..).and_then(parse_number).ok_or_else(fault)?;
    let name = read(word.slice(..at)).map_err(|fault| fault(Quoted::new(&word)))?;
    Ok((name, number))
}
