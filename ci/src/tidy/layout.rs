//! Where things lie: the top level, and files that only list others.

use super::finding::Finding;
use super::tokens::Source;
use super::tree::Tree;

/// The document that lists what may lie at the top.
pub(crate) const ARCHITECTURE: &str = "sierradb/docs/ARCHITECTURE.md";

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    check_top_level(tree, findings);
    check_lints_are_on(tree, findings);
    for (path, reason) in &tree.unreadable {
        findings.push(Finding::new("unreadable", path, 0, format!("not Rust: {reason}")));
    }
    for (path, source) in tree.sources() {
        let lists_only = path.ends_with("/mod.rs") || path.ends_with("src/lib.rs");
        if lists_only {
            check_lists_only(path, source, findings);
        }
    }
}

fn check_top_level(tree: &Tree, findings: &mut Vec<Finding>) {
    let listed = tree.text(ARCHITECTURE).and_then(|text| {
        let (_, rest) = text.split_once("Top level, exactly:")?;
        rest.split('`').nth(1)
    });
    let Some(listed) = listed else {
        let text = "has no line \"Top level, exactly: `…`\"";
        findings.push(Finding::new("top-level", ARCHITECTURE, 0, text));
        return;
    };
    let allowed: Vec<&str> =
        listed.split_whitespace().map(|name| name.trim_end_matches('/')).collect();
    for name in tree.top_level().into_iter().filter(|name| !allowed.contains(name)) {
        let text =
            format!("does not belong at the top level; {ARCHITECTURE} section 2 lists what does");
        findings.push(Finding::new("top-level", name, 0, text));
    }
}

/// Docs on public items, bans and casts are the business of rustc and clippy: every package must ask for them.
fn check_lints_are_on(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.ending_with("/Cargo.toml") {
        let asks = text
            .split("[lints]")
            .nth(1)
            .is_some_and(|rest| rest.trim_start().starts_with("workspace = true"));
        if !asks {
            let text =
                "needs `[lints] workspace = true`: without it nothing checks docs, casts and bans";
            findings.push(Finding::new("lints-off", path, 0, text));
        }
    }
}

/// Docs, `mod` lines, re-exports; also `compile_error!` and what only a doctest sees.
fn check_lists_only(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    let mut index = 0;
    while index < source.tokens.len() {
        let start = index;
        let mut only_in_doctests = false;
        while source.skip_attribute(index) != index {
            only_in_doctests |= source.reads(index, &["#", "[", "cfg", "(", "doctest"]);
            index = source.skip_attribute(index);
        }
        if index >= source.tokens.len() {
            return;
        }
        let line = source.line(index);
        if source.at(index) == "pub" {
            index += 1;
            index = if source.at(index) == "(" { source.close(index) + 1 } else { index };
        }
        let end = match source.at(index) {
            // A list in braces ends before its semicolon.
            "use" => {
                (index..source.tokens.len()).find(|end| source.at(*end) == ";").unwrap_or(index)
            }
            _ => source.item_end(start),
        };
        let allowed = match source.at(index) {
            "use" | "extern" | "compile_error" => true,
            "mod" => source.at(index + 2) == ";",
            _ => only_in_doctests,
        };
        if !allowed {
            let text = format!(
                "`{}` is logic: only docs, `mod` lines and re-exports here",
                source.at(index)
            );
            findings.push(Finding::new("logic-in-list", path, line, text));
        }
        index = end + 1;
        while source.at(index) == ";" {
            index += 1;
        }
    }
}
