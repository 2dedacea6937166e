//! Replies of COMMAND, made from the table of commands.

use crate::command::table::{COMMANDS, find};
use crate::command::{Argument, ArgumentKind, CommandQuery, Flag, Spec};
use crate::glob::glob_matches;
use crate::value::Sink;

/// Writes the reply of COMMAND and its subcommands.
pub fn write_command_reply<S: Sink + ?Sized>(sink: &mut S, query: &CommandQuery) {
    match query {
        CommandQuery::All => write_infos(sink),
        CommandQuery::Count => sink.integer(u64::try_from(COMMANDS.len()).unwrap_or(u64::MAX)),
        CommandQuery::List { pattern } => write_names(sink, pattern.as_deref()),
        CommandQuery::Info(names) if names.is_empty() => write_infos(sink),
        CommandQuery::Info(names) => {
            sink.array(names.len());
            for name in names {
                match Named::find(name) {
                    Some(named) => named.write_info(sink),
                    None => sink.null(),
                }
            }
        }
        CommandQuery::Docs(names) if names.is_empty() => write_docs(sink, &Named::all()),
        CommandQuery::Docs(names) => {
            let found: Vec<_> = names.iter().filter_map(|name| Named::find(name)).collect();
            write_docs(sink, &found);
        }
        CommandQuery::Help => write_help(sink, "COMMAND"),
    }
}

/// Writes the reply of the HELP subcommand of `command`: its subcommands with their sentences.
pub fn write_help<S: Sink + ?Sized>(sink: &mut S, command: &str) {
    let subcommands = find(command.as_bytes()).map_or(&[][..], |spec| spec.subcommands);
    sink.array(1 + 2 * subcommands.len());
    sink.simple(&format!("{command} <subcommand> [<arg> [value] ...]. Subcommands are:"));
    for spec in subcommands {
        sink.simple(spec.name);
        sink.simple(&format!("    {}", spec.summary));
    }
}

fn write_infos<S: Sink + ?Sized>(sink: &mut S) {
    sink.array(COMMANDS.len());
    Named::all().iter().for_each(|named| named.write_info(sink));
}

fn write_docs<S: Sink + ?Sized>(sink: &mut S, commands: &[Named]) {
    sink.map(commands.len());
    commands.iter().for_each(|named| named.write_docs(sink));
}

fn write_names<S: Sink + ?Sized>(sink: &mut S, pattern: Option<&[u8]>) {
    let with_subcommands = Named::all()
        .into_iter()
        .flat_map(|named| std::iter::once(named).chain(named.subcommands()));
    let names: Vec<_> = with_subcommands
        .map(Named::name)
        .filter(|name| pattern.is_none_or(|glob| glob_matches(glob, name.as_bytes())))
        .collect();
    sink.array(names.len());
    names.iter().for_each(|name| sink.bulk(name.as_bytes()));
}

/// A command, or a subcommand with the command it belongs to.
#[derive(Clone, Copy)]
struct Named {
    parent: Option<&'static Spec>,
    spec: &'static Spec,
}

impl Named {
    fn all() -> Vec<Self> {
        COMMANDS.iter().map(|spec| Self { parent: None, spec }).collect()
    }

    /// By name, in any case; a subcommand as `client|id`.
    fn find(name: &[u8]) -> Option<Self> {
        let mut parts = name.splitn(2, |byte| *byte == b'|');
        let spec = find(parts.next()?)?;
        match parts.next() {
            None => Some(Self { parent: None, spec }),
            Some(part) => {
                let subcommand = spec.subcommand(&part.to_ascii_uppercase())?;
                Some(Self { parent: Some(spec), spec: subcommand })
            }
        }
    }

    fn subcommands(self) -> impl Iterator<Item = Self> {
        self.spec.subcommands.iter().map(move |spec| Self { parent: Some(self.spec), spec })
    }

    fn name(self) -> String {
        let name = self.spec.name.to_ascii_lowercase();
        match self.parent {
            Some(parent) => format!("{}|{name}", parent.name.to_ascii_lowercase()),
            None => name,
        }
    }

    /// Ten elements: name, arity, flags, three key positions (none), categories, tips, keys, subcommands.
    fn write_info<S: Sink + ?Sized>(self, sink: &mut S) {
        sink.array(10);
        sink.bulk(self.name().as_bytes());
        sink.integer_i64(self.spec.arity);
        write_words(sink, self.spec.flags.iter().filter_map(|flag| flag.as_str()));
        sink.integer(0);
        sink.integer(0);
        sink.integer(0);
        write_words(sink, categories(self.spec));
        sink.array(0);
        sink.array(0);
        sink.array(self.spec.subcommands.len());
        self.subcommands().for_each(|named| named.write_info(sink));
    }

    fn write_docs<S: Sink + ?Sized>(self, sink: &mut S) {
        let Self { spec, .. } = self;
        sink.bulk(self.name().as_bytes());
        sink.map(4 + usize::from(!spec.subcommands.is_empty()));
        sink.bulk(b"summary");
        sink.bulk(spec.summary.as_bytes());
        sink.bulk(b"since");
        sink.bulk(spec.since.as_bytes());
        sink.bulk(b"group");
        sink.bulk(spec.group.as_bytes());
        sink.bulk(b"arguments");
        write_arguments(sink, spec.arguments);
        if !spec.subcommands.is_empty() {
            sink.bulk(b"subcommands");
            sink.map(spec.subcommands.len());
            self.subcommands().for_each(|named| named.write_docs(sink));
        }
    }
}

fn write_words<S: Sink + ?Sized>(sink: &mut S, words: impl Iterator<Item = &'static str>) {
    let words: Vec<_> = words.collect();
    sink.array(words.len());
    words.into_iter().for_each(|word| sink.word(word));
}

fn categories(spec: &Spec) -> impl Iterator<Item = &'static str> {
    let of_flag = |flag: &Flag| match flag {
        Flag::Write => Some("@write"),
        Flag::ReadOnly => Some("@read"),
        Flag::PubSub => Some("@pubsub"),
        Flag::Admin => Some("@admin"),
        Flag::NoAuth | Flag::Fast | Flag::InSubscriberMode => None,
    };
    let speed = if spec.flags.contains(&Flag::Fast) { "@fast" } else { "@slow" };
    let connection = (spec.group == "connection").then_some("@connection");
    spec.flags.iter().filter_map(of_flag).chain([speed]).chain(connection)
}

fn write_arguments<S: Sink + ?Sized>(sink: &mut S, arguments: &[Argument]) {
    sink.array(arguments.len());
    arguments.iter().for_each(|argument| write_argument(sink, argument));
}

fn write_argument<S: Sink + ?Sized>(sink: &mut S, argument: &Argument) {
    let (kind, parts) = match argument.kind {
        ArgumentKind::String => ("string", None),
        ArgumentKind::Integer => ("integer", None),
        ArgumentKind::UnixTime => ("unix-time", None),
        ArgumentKind::Pattern => ("pattern", None),
        ArgumentKind::PureToken => ("pure-token", None),
        ArgumentKind::OneOf(parts) => ("oneof", Some(parts)),
        ArgumentKind::Block(parts) => ("block", Some(parts)),
    };
    let flags = [argument.optional.then_some("optional"), argument.multiple.then_some("multiple")];
    let has_flags = flags.iter().any(Option::is_some);
    let entries = [argument.token.is_some(), has_flags, parts.is_some()];
    sink.map(2 + entries.into_iter().filter(|present| *present).count());
    sink.bulk(b"name");
    sink.bulk(argument.name.as_bytes());
    sink.bulk(b"type");
    sink.bulk(kind.as_bytes());
    if let Some(token) = argument.token {
        sink.bulk(b"token");
        sink.bulk(token.as_bytes());
    }
    if has_flags {
        // redis-cli insists on simple strings here and on bulk strings everywhere else.
        sink.bulk(b"flags");
        write_words(sink, flags.into_iter().flatten());
    }
    if let Some(parts) = parts {
        sink.bulk(b"arguments");
        write_arguments(sink, parts);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::reply::fields::Fields;
    use crate::value::Value;

    fn reply(query: CommandQuery) -> Value {
        Value::collect(|sink| write_command_reply(sink, &query))
    }

    fn names(words: &[&'static str]) -> Vec<Bytes> {
        words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect()
    }

    #[test]
    fn infos_have_ten_elements_and_nothing_for_unknown_names() {
        let value = reply(CommandQuery::Info(names(&["eappend", "get", "CLIENT|id"])));
        let [append, get, id] = value.items().unwrap() else { panic!("three") };
        let append = append.items().unwrap();
        assert_eq!(append.len(), 10);
        assert_eq!(append[0], Value::Bulk("eappend".into()));
        assert_eq!(append[1], Value::Integer(-3));
        assert_eq!(append[2], Value::Array(vec![Value::Simple("write".into())]));
        assert_eq!(append[3..6], [Value::Integer(0), Value::Integer(0), Value::Integer(0)]);
        assert_eq!(*get, Value::Null);
        assert_eq!(id.items().unwrap()[0], Value::Bulk("client|id".into()));
    }

    #[test]
    fn all_infos_are_as_many_as_counted() {
        let Value::Integer(count) = reply(CommandQuery::Count) else { panic!("a number") };
        for query in [CommandQuery::All, CommandQuery::Info(vec![])] {
            assert_eq!(i64::try_from(reply(query).items().unwrap().len()), Ok(count));
        }
        let docs = reply(CommandQuery::Docs(vec![]));
        assert_eq!(i64::try_from(Fields::of(&docs).unwrap().keys().count()), Ok(count));
    }

    #[test]
    fn lists_are_filtered_by_glob() {
        let pattern = Some(Bytes::from_static(b"EP*"));
        let value = reply(CommandQuery::List { pattern });
        let names: Vec<_> = value.items().unwrap().iter().map(|v| v.text().unwrap()).collect();
        assert_eq!(names, ["epscan", "epseq", "epsub"]);
    }

    #[test]
    fn docs_tell_each_command_with_its_arguments() {
        let value = reply(CommandQuery::Docs(names(&["ESCAN", "nosuch"])));
        let docs = Fields::of(&value).unwrap();
        let escan = Fields::of(docs.get("escan").unwrap()).unwrap();
        let keys: Vec<_> = escan.keys().collect();
        assert_eq!(keys, ["summary", "since", "group", "arguments"]);
        let arguments = escan.get("arguments").unwrap().items().unwrap();
        let last = Fields::of(arguments.last().unwrap()).unwrap();
        assert_eq!(last.get("token").unwrap(), &Value::Bulk("COUNT".into()));
        let optional = Value::Array(vec![Value::Simple("optional".into())]);
        assert_eq!(last.get("flags").unwrap(), &optional);
    }

    #[test]
    fn containers_document_their_subcommands() {
        let value = reply(CommandQuery::Docs(names(&["client"])));
        let docs = Fields::of(&value).unwrap();
        let client = Fields::of(docs.get("client").unwrap()).unwrap();
        let subcommands = Fields::of(client.get("subcommands").unwrap()).unwrap();
        assert!(subcommands.get("client|setinfo").is_ok());
    }

    #[test]
    fn help_names_every_subcommand() {
        let value = Value::collect(|sink| write_help(sink, "CONFIG"));
        let lines: Vec<_> = value.items().unwrap().iter().map(|v| v.text().unwrap()).collect();
        assert_eq!(
            lines,
            [
                "CONFIG <subcommand> [<arg> [value] ...]. Subcommands are:",
                "GET",
                "    Returns the settings that match a pattern.",
                "HELP",
                "    Lists the subcommands.",
            ]
        );
    }
}
