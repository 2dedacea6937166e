//! Which package may depend on which: the picture of ARCHITECTURE section 1 as data.

use super::finding::Finding;
use crate::error::Failure;
use crate::shell;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The arrows of the picture. What can be reached along them is allowed, nothing else.
const ARROWS: [(&str, &[&str]); 10] = [
    ("sierradb-fuzz", &["sim"]),
    ("sim", &["sierradb-server"]),
    ("sierradb-server", &["sierradb-cluster", "sierradb-net"]),
    ("sierradb-cluster", &["sierradb"]),
    ("sierradb", &["sierradb-io", "sierradb-protocol"]),
    ("sierradb-net", &["sierradb-io", "sierradb-protocol"]),
    ("sierradb-client", &["sierradb-protocol"]),
    ("sierradb-protocol", &[]),
    ("sierradb-io", &[]),
    ("ci", &[]),
];
/// Arrows for tests alone: the README's client example is a doctest of the server.
const TEST_ARROWS: [(&str, &str); 1] = [("sierradb-server", "sierradb-client")];
/// Crates from outside that have one home.
const HOMES: [(&str, &str); 3] =
    [("raft", "sierradb-cluster"), ("libp2p", "sierradb-net"), ("turmoil", "sim")];
/// Members that a plain `cargo build` leaves out: cargo would unify the simulator's features into the product.
const NOT_DEFAULT: [&str; 3] = ["sim", "sierradb-fuzz", "ci"];
/// Crates that read clocks or chance past the io door, and the packages that must not pull them in.
pub(crate) const HIDDEN_AMBIENT: [&str; 3] = ["futures-timer", "web-time", "fastrand"];
const DETERMINISTIC: [&str; 3] = ["sierradb", "sierradb-cluster", "sierradb-server"];

/// What cargo says about the workspace, as far as the rules need it.
#[derive(Default)]
pub(crate) struct Workspace {
    /// Package → (dependency, "normal" | "dev" | "build").
    pub(crate) packages: BTreeMap<String, Vec<(String, String)>>,
    pub(crate) default_members: BTreeSet<String>,
    /// Package → every crate below it, without tests and without libp2p.
    pub(crate) trees: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    /// Asks `cargo metadata` and `cargo tree`.
    pub(crate) fn load(root: &Path) -> Result<Self, Failure> {
        let text =
            shell::output(root, "cargo", &["metadata", "--no-deps", "--format-version", "1"])?;
        let bad = |what: String| Failure::Output { command: "cargo metadata".to_owned(), what };
        let json: Value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let mut workspace = Self::default();
        let defaults = list(&json, "workspace_default_members");
        for package in list(&json, "packages") {
            let dependencies = list(package, "dependencies").iter().map(|dependency| {
                let kind = word(dependency, "kind").unwrap_or("normal");
                (word(dependency, "name").unwrap_or_default().to_owned(), kind.to_owned())
            });
            let name =
                word(package, "name").ok_or_else(|| bad("a package without name".to_owned()))?;
            workspace.packages.insert(name.to_owned(), dependencies.collect());
            if package.get("id").is_some_and(|id| defaults.contains(id)) {
                workspace.default_members.insert(name.to_owned());
            }
        }
        for package in DETERMINISTIC {
            let flags = ["tree", "--prefix", "none", "--edges", "normal", "--format", "{p}"];
            let flags = [&flags[..], &["--no-default-features", "--package", package]].concat();
            let text = shell::output(root, "cargo", &flags)?;
            let names = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned);
            workspace.trees.insert(package.to_owned(), names.collect());
        }
        Ok(workspace)
    }
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Value::as_str)
}

pub(crate) fn check(workspace: &Workspace, findings: &mut Vec<Finding>) {
    for (package, dependencies) in &workspace.packages {
        if !ARROWS.iter().any(|(name, _)| name == package) {
            let text = "is not in the picture of ARCHITECTURE section 1";
            findings.push(Finding::new("dependency", package, 0, text));
        }
        for (name, kind) in dependencies {
            check_arrow(workspace, package, (name, kind), findings);
            check_outside(package, name, findings);
        }
        let wanted = !NOT_DEFAULT.contains(&package.as_str());
        if workspace.default_members.contains(package) != wanted {
            let text =
                format!("`default-members` must be all packages but {}", NOT_DEFAULT.join(", "));
            findings.push(Finding::new("default-members", package, 0, text));
        }
    }
    for (package, tree) in &workspace.trees {
        for name in HIDDEN_AMBIENT.iter().filter(|name| tree.contains(**name)) {
            let text = format!("pulls in {name}, which reads a clock or chance past the io door");
            findings.push(Finding::new("hidden-ambient", package, 0, text));
        }
    }
}

fn check_arrow(
    workspace: &Workspace,
    package: &str,
    (name, kind): (&str, &str),
    findings: &mut Vec<Finding>,
) {
    let ours = workspace.packages.contains_key(name);
    let in_tests = kind == "dev" && TEST_ARROWS.contains(&(package, name));
    if ours && name != package && !in_tests && !reachable(package).contains(name) {
        let text = format!("must not depend on {name} ({kind})");
        findings.push(Finding::new("dependency", package, 0, text));
    }
}

fn check_outside(package: &str, name: &str, findings: &mut Vec<Finding>) {
    if let Some((_, home)) = HOMES.iter().find(|(guest, home)| *guest == name && *home != package) {
        let text = format!("must not depend on {name}: only {home} knows it");
        findings.push(Finding::new("dependency", package, 0, text));
    }
    if name.starts_with(concat!("memm", "ap")) {
        let text = format!("must not depend on {name}: memory maps turn disk errors into signals");
        findings.push(Finding::new("memory-map", package, 0, text));
    }
}

/// Everything `package` may depend on.
fn reachable(package: &str) -> BTreeSet<&'static str> {
    let targets =
        |from: &str| ARROWS.iter().find(|(name, _)| *name == from).map_or(&[][..], |arrow| arrow.1);
    let mut open: Vec<&'static str> = targets(package).to_vec();
    let mut found = BTreeSet::new();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(targets(next));
        }
    }
    found
}
