//! One repository with exactly one violation of every rule, and one without any.

use super::deps::Workspace;
use super::layout::ARCHITECTURE;
use super::run::all;
use super::tree::Tree;
use std::collections::BTreeSet;

const LISTED: &str = "Top level, exactly: `Cargo.toml README.md sierradb/ io/ sim/`.";
const MANIFEST: &str = "[package]\n\n[lints]\nworkspace = true\n";

fn tree(files: &[(&str, &str)]) -> Tree {
    Tree::from_files(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
}

fn workspace(arrows: &[(&str, &str, &str)]) -> Workspace {
    let mut workspace = Workspace::default();
    for name in ["sierradb-io", "sierradb-protocol", "sierradb", "sim"] {
        workspace.packages.insert(name.to_owned(), Vec::new());
        if name != "sim" {
            workspace.default_members.insert(name.to_owned());
        }
    }
    for (from, to, kind) in arrows {
        let list = workspace.packages.entry((*from).to_owned()).or_default();
        list.push(((*to).to_owned(), (*kind).to_owned()));
    }
    workspace
}

/// (rule, path, text) of files that break exactly this rule.
fn broken_files() -> Vec<(&'static str, &'static str, String)> {
    let lines = |count: usize| "    a();\n".repeat(count);
    vec![
        ("file-size", "io/src/long.rs", "const A: u8 = 1;\n".repeat(501)),
        (
            "inline-tests",
            "io/src/tested.rs",
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const A: u8 = 1;\n".repeat(300)),
        ),
        ("function-size", "io/src/function.rs", format!("fn long() {{\n{}}}\n", lines(71))),
        ("logic-in-list", "io/src/lib.rs", "//! Doc.\npub mod a;\npub fn logic() {}\n".into()),
        ("unreadable", "io/src/half.rs", "fn a( {}\n".into()),
        ("lints-off", "io/Cargo.toml", "[package]\n".into()),
        ("top-level", "junk/file.txt", String::new()),
        (
            "select-biased",
            "io/src/choose.rs",
            "fn a() { tokio::select! { _ = b() => {} } }\n".into(),
        ),
        ("no-limit", "io/src/queue.rs", format!("fn a() {{ let q = {}bounded(); }}\n", "un")),
        ("memory-map", "io/src/map.rs", format!("fn a() {{ let m = {}ap(); }}\n", "mm")),
        ("raft-room", "sierradb/core/src/raft.rs", "use raft::Config;\n".into()),
        ("bare-bound", "io/src/bound.rs", "fn a() { mpsc::channel::<Vec<u8>>(16); }\n".into()),
        ("unfinished", "io/src/later.rs", format!("// {}DO: later\n", "TO")),
        ("guarantee", "README.md", "## What is guaranteed\n| x | `io/src/a.rs` `gone` |\n".into()),
        (
            "error-text",
            "sierradb/protocol/src/refusal.rs",
            "enum Refusal { #[error(\"nobody knows\")] Unlisted }\n".into(),
        ),
        ("broken-link", "sierradb/docs/WIRE.md", "See [there](../nowhere.md).\n".into()),
    ]
}

#[test]
fn each_broken_rule_is_reported_once_and_at_its_place() {
    for (rule, path, text) in broken_files() {
        let tree = tree(&[("Cargo.toml", ""), (ARCHITECTURE, LISTED), (path, &text)]);
        let found = all(&tree, &workspace(&[]));
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        assert_eq!(
            (found[0].rule, found[0].place.split('/').next()),
            (rule, path.split('/').next())
        );
    }
}

#[test]
fn all_violations_of_one_repository_are_reported_together() {
    let mut files = vec![("Cargo.toml".to_owned(), String::new())];
    let map = "## 2. Map\n```text\nio/src/  io\n  gone  not there\n  later (+)  not yet\n```\n";
    files.push((ARCHITECTURE.to_owned(), format!("{LISTED}\n{map}")));
    files.extend(broken_files().into_iter().map(|(_, path, text)| (path.to_owned(), text)));
    let mut broken = workspace(&[("sierradb-io", "sierradb-protocol", "normal")]);
    broken.default_members.insert("sim".to_owned());
    broken.trees.insert("sierradb".to_owned(), BTreeSet::from(["fastrand".to_owned()]));
    let found: BTreeSet<&str> =
        all(&Tree::from_files(files), &broken).iter().map(|finding| finding.rule).collect();
    let mut wanted: BTreeSet<&str> = broken_files().iter().map(|(rule, _, _)| *rule).collect();
    wanted.extend(["file-map", "dependency", "default-members", "hidden-ambient"]);
    assert_eq!(found, wanted);
}

#[test]
fn a_repository_that_keeps_the_rules_has_no_findings() {
    let map = "## 2. Map\n```text\nio/src/  io\n  lib, good  there\n```\n";
    let good = "//! Doc with an un\u{62}ounded word and select! { }.\nuse crate::message::{raft::A, b};\n\
        fn a() { tokio::select! { biased; _ = b() => {} } mpsc::channel(QUEUE_MAX); super::raft::c(); }\n\
        #[cfg(test)]\nmod tests { fn t() { mpsc::channel(1); } }\n";
    let lib = "//! Doc.\n#![forbid(unsafe_code)]\nmod good;\npub use good::{a, b};\n#[cfg(not(x))]\ncompile_error!(\"x\");\n\
        #[cfg(doctest)]\n#[doc = \"x\"]\nstruct Readme;\n";
    let link = "[Map](ARCHITECTURE.md#2-map), [web](https://x.y), `[no](link)`\n";
    let files = [
        ("Cargo.toml", ""),
        ("io/Cargo.toml", MANIFEST),
        ("io/src/lib.rs", lib),
        ("io/src/good.rs", good),
        ("sierradb/docs/WIRE.md", link),
        ("README.md", "## What is guaranteed\n| x | `io/src/good.rs` `a` |\n"),
        (ARCHITECTURE, &format!("{LISTED}\n{map}")),
    ];
    let arrows = [("sierradb", "sierradb-io", "normal"), ("sierradb", "sierradb-protocol", "dev")];
    assert_eq!(all(&tree(&files), &workspace(&arrows)), []);
}

#[test]
fn the_simulator_may_reach_everything_below_it_but_nobody_reaches_it() {
    let down = workspace(&[("sim", "sierradb-io", "normal"), ("sim", "turmoil", "normal")]);
    assert_eq!(all(&tree(&[(ARCHITECTURE, LISTED)]), &down), []);
    for arrow in
        [("sierradb", "sim", "dev"), ("sierradb", "turmoil", "normal"), ("sierradb", "raft", "dev")]
    {
        let found = all(&tree(&[(ARCHITECTURE, LISTED)]), &workspace(&[arrow]));
        assert_eq!(found.len(), 1, "{arrow:?}: {found:?}");
    }
}
