//! All commands. Parsing, `COMMAND` and the documentation read this one list.

use crate::command::spec::Spec;
use crate::command::specs_client as client;
use crate::command::specs_event as event;
use crate::command::specs_redis as redis;
use crate::keyword::upper_key;

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

/// Names as numbers in the order of [`COMMANDS`]: a look-up is five comparisons of integers.
static KEYS: [u128; COMMANDS.len()] = keys();

/// The command of this name, in any case.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    position(name).and_then(|at| COMMANDS.get(at))
}

/// Where the command of this name, in any case, stands in [`COMMANDS`].
pub fn position(name: &[u8]) -> Option<usize> {
    let at = KEYS.binary_search(&upper_key(name)?).ok()?;
    // A NUL at the end of a name looks like none.
    COMMANDS.get(at).is_some_and(|spec| spec.name.len() == name.len()).then_some(at)
}

const fn keys() -> [u128; COMMANDS.len()] {
    let mut keys = [0; COMMANDS.len()];
    let mut specs = COMMANDS;
    let mut rest = keys.as_mut_slice();
    while let (Some((spec, other_specs)), Some((first, others))) =
        (specs.split_first(), rest.split_first_mut())
    {
        *first = upper_key(spec.name.as_bytes()).expect("names have at most 16 bytes");
        (specs, rest) = (other_specs, others);
    }
    keys
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
        assert!(find(b"PING\0").is_none());
        assert!(find(&[b'x'; 16]).is_none());
        assert!(find(&[b'x'; 17]).is_none());
    }

    #[test]
    fn every_command_is_documented() {
        for spec in COMMANDS.iter().flat_map(|spec| std::iter::once(spec).chain(spec.subcommands)) {
            assert!(spec.summary.ends_with('.'), "{}", spec.name);
            assert!(!spec.group.is_empty() && !spec.since.is_empty(), "{}", spec.name);
        }
    }
}
