//! All commands. Parsing, `COMMAND` and the documentation read this one list.

use crate::args::Upper;
use crate::command::spec::{Spec, find_in};
use crate::command::specs_client as client;
use crate::command::specs_event as event;
use crate::command::specs_redis as redis;

/// Every command we know, sorted by name.
pub static COMMANDS: &[Spec] = &[
    redis::AUTH,
    client::CLIENT,
    redis::CLUSTER,
    redis::COMMAND,
    redis::CONFIG,
    redis::DBSIZE,
    event::EACK,
    event::EAPPEND,
    redis::ECHO,
    event::EGET,
    event::EMAPPEND,
    event::EPSCAN,
    event::EPSEQ,
    event::EPSUB,
    event::ESCAN,
    event::ESUB,
    event::ESVER,
    event::EUNSUB,
    redis::HELLO,
    redis::INFO,
    redis::MODULE,
    redis::PING,
    redis::QUIT,
    redis::READONLY,
    redis::READWRITE,
    redis::RESET,
    redis::ROLE,
    redis::SELECT,
    redis::TIME,
];

/// The command of this name, in any case.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    find_in(COMMANDS, Upper::of(name).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_sorted(specs: &[Spec]) {
        assert!(specs.is_sorted_by(|a, b| a.name < b.name), "binary search needs order");
        specs.iter().for_each(|spec| assert_sorted(spec.subcommands));
    }

    #[test]
    fn names_are_sorted_and_found_in_any_case() {
        assert_sorted(COMMANDS);
        for spec in COMMANDS {
            assert_eq!(find(spec.name.to_lowercase().as_bytes()).unwrap().name, spec.name);
        }
        assert!(find(b"").is_none());
        assert!(find(b"EAPPENDX").is_none());
    }

    #[test]
    fn every_command_is_documented() {
        for spec in COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
            assert!(spec.summary.ends_with('.'), "{}", spec.name);
            assert!(!spec.group.is_empty() && !spec.since.is_empty(), "{}", spec.name);
        }
    }
}
