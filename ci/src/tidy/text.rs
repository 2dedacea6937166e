//! Words that must not stand in the source.

use super::finding::Finding;
use super::tokens::Source;
use super::tree::Tree;

/// Files that may name the crate `raft`.
const RAFT_ROOM: [&str; 5] = [
    "sierradb/cluster/src/replica/",
    "sierradb/cluster/src/log_storage",
    "sierradb/cluster/src/entry",
    "sierradb/cluster/src/state",
    "sierradb/cluster/src/message/raft",
];
/// Calls whose first argument is a bound.
const BOUNDED_CALLS: [&str; 4] = ["channel", "sync_channel", "bounded", "duplex"];
/// Types with a constructor whose first argument is a bound.
const BOUNDED_TYPES: [(&str, &str); 3] =
    [("Semaphore", "new"), ("BufReader", "with_capacity"), ("BufWriter", "with_capacity")];
/// Marks of unfinished work; written apart, or this file would find itself.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, source) in tree.sources() {
        check_select(path, source, findings);
        check_names(path, source, findings);
        check_raft(path, source, findings);
        check_bounds(path, source, findings);
    }
    for suffix in [".rs", ".toml", ".sh", ".yml", ".ci/run"] {
        for (path, text) in tree.ending_with(suffix) {
            check_unfinished(path, text, findings);
        }
    }
}

/// Without `biased;` the arms start in random order, from a generator that no seed reaches.
fn check_select(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    for index in 0..source.tokens.len() {
        let is_macro = source.at(index) == "select" && source.at(index + 1) == "!";
        let opens = source.close(index + 2) != index + 2;
        if is_macro && opens && !source.reads(index + 3, &["biased", ";"]) {
            let text = "`select!` must begin with `biased;`";
            findings.push(Finding::new("select-biased", path, source.line(index), text));
        }
    }
}

fn check_names(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    for token in source
        .tokens
        .iter()
        .filter(|token| token.text.starts_with(|c: char| c.is_alphabetic() || c == '_'))
    {
        if token.text.contains(concat!("un", "bounded")) {
            let text = format!("`{}`: every queue has a limit", token.text);
            findings.push(Finding::new("no-limit", path, token.first_line, text));
        }
        if token.text.to_lowercase().contains(concat!("mm", "ap")) {
            let text = format!("`{}`: memory maps turn disk errors into signals", token.text);
            findings.push(Finding::new("memory-map", path, token.first_line, text));
        }
    }
}

/// Reports `raft::…` and `use raft…`, but not a module of ours such as `message::raft`.
fn check_raft(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    if RAFT_ROOM.iter().any(|room| path.starts_with(room)) {
        return;
    }
    let mut ours = 0; // up to here we are inside `path::{…}`
    for index in 0..source.tokens.len() {
        if source.reads(index, &[":", ":", "{"]) {
            ours = ours.max(source.close(index + 2));
        }
        let names_it = source.at(index) == "raft" && source.reads(index + 1, &[":", ":"])
            || source.reads(index, &["use", "raft"]);
        let below_ours = index <= ours || index >= 2 && source.reads(index - 2, &[":", ":"]);
        if names_it && !below_ours {
            let text = "the crate raft stays inside cluster's replica, log_storage, entry, state, message/raft";
            findings.push(Finding::new("raft-room", path, source.line(index), text));
        }
    }
}

fn check_bounds(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    for index in 0..source.tokens.len() {
        if source.tokens.get(index).is_some_and(|token| token.in_test) || is_test_file(path) {
            continue;
        }
        let by_call =
            BOUNDED_CALLS.contains(&source.at(index)) && source.at(index.wrapping_sub(1)) != "fn";
        let by_type =
            BOUNDED_TYPES.iter().find(|(name, new)| source.reads(index, &[name, ":", ":", new]));
        let open = match (by_call, by_type) {
            (true, _) => behind_generics(source, index + 1),
            (false, Some(_)) => index + 4,
            (false, None) => continue,
        };
        if source.at(open) == "(" && source.at(open + 1).starts_with(|c: char| c.is_ascii_digit()) {
            let text = format!("the bound {} needs a name in limits.rs", source.at(open + 1));
            findings.push(Finding::new("bare-bound", path, source.line(index), text));
        }
    }
}

/// Behind `::<…>` at `index`, or `index`.
fn behind_generics(source: &Source, index: usize) -> usize {
    if !source.reads(index, &[":", ":", "<"]) {
        return index;
    }
    let mut depth = 0_usize;
    for at in index + 2..source.tokens.len() {
        match source.at(at) {
            "<" => depth += 1,
            ">" if depth == 1 => return at + 1,
            ">" => depth -= 1,
            _ => {}
        }
    }
    index
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.contains("/benches/")
}

fn check_unfinished(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for word in UNFINISHED {
            let Some((_, rest)) = line.split_once(word) else { continue };
            let issue = rest.strip_prefix("(#").and_then(|rest| rest.split_once(')'));
            let names_issue = issue.is_some_and(|(digits, _)| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            if word != UNFINISHED[0] || !names_issue {
                let text = format!(
                    "`{word}` without an issue: finish it, or write {}(#number)",
                    UNFINISHED[0]
                );
                findings.push(Finding::new("unfinished", path, number + 1, text));
            }
        }
    }
}
