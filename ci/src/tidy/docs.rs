//! Documents must not promise files that are not there.

use super::finding::Finding;
use super::layout::ARCHITECTURE;
use super::tree::Tree;

const README: &str = "README.md";

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in tree.ending_with(".md") {
        check_links(tree, path, text, findings);
    }
    check_file_map(tree, findings);
    check_guarantees(tree, findings);
}

/// Relative links of one Markdown file, outside code.
fn check_links(tree: &Tree, path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut in_fence = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
        }
        if in_fence {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for target in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            if !elsewhere && !resolve(path, file).is_some_and(|found| tree.has(&found)) {
                let text = format!("the link to {target} leads nowhere");
                findings.push(Finding::new("broken-link", path, number + 1, text));
            }
        }
    }
}

/// `target` as seen from the file `from`, as a path from the root; `None` above the root.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The file map of ARCHITECTURE section 2, in its `text` fences: a line `folder/  words`, below it indented
/// lines `name, name  words`. `(+)` behind the names marks room that is reserved, not yet filled.
fn check_file_map(tree: &Tree, findings: &mut Vec<Finding>) {
    let Some(text) = tree.text(ARCHITECTURE) else { return };
    let (mut in_map, mut folder, mut in_section) = (false, "", false);
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            in_section = line.starts_with("## 2.");
        }
        if line.starts_with("```") {
            in_map = in_section && line == "```text";
            continue;
        }
        if !in_map || line.trim().is_empty() {
            continue;
        }
        let names = line.trim_start().split("  ").next().unwrap_or_default();
        if !line.starts_with(' ') {
            folder = names;
            if !tree.has(folder) {
                findings.push(Finding::new(
                    "file-map",
                    ARCHITECTURE,
                    number + 1,
                    format!("{folder} does not exist"),
                ));
            }
            continue;
        }
        if names.ends_with("(+)") {
            continue;
        }
        for name in names.split(',').map(str::trim) {
            let found =
                ["", ".rs", "/mod.rs"].iter().any(|end| tree.has(&format!("{folder}{name}{end}")));
            if !found {
                let text = format!("{folder}{name} does not exist: correct it, or mark it (+)");
                findings.push(Finding::new("file-map", ARCHITECTURE, number + 1, text));
            }
        }
    }
}

/// The README's section of guarantees: rows `| promise | \`file\` \`test\` … |`. A promise whose test is gone is none.
fn check_guarantees(tree: &Tree, findings: &mut Vec<Finding>) {
    let Some(text) = tree.text(README) else { return };
    let (mut inside, mut file) = (false, "");
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            inside = line == "## What is guaranteed";
        }
        let tests =
            line.rsplit('|').nth(1).filter(|_| inside && line.starts_with('|')).unwrap_or_default();
        for name in tests.split('`').skip(1).step_by(2) {
            if name.contains('/') {
                file = name;
            } else if !tree.text(file).is_some_and(|text| text.contains(&format!("fn {name}("))) {
                let text = format!("{file} has no test {name}: a guarantee needs one");
                findings.push(Finding::new("guarantee", README, number + 1, text));
            }
        }
    }
}
