//! One idea per file, one per function.

use super::finding::Finding;
use super::tokens::Source;
use super::tree::Tree;

/// Lines of code of a file, tests apart.
const FILE_LINES_MAX: usize = 500;
/// Lines of code between the braces of a function, as clippy counts them.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of tests that may stand in the file they test.
const INLINE_TEST_LINES_MAX: usize = 300;

pub(crate) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, source) in tree.sources() {
        check_file(path, source, findings);
        check_functions(path, source, findings);
    }
}

fn check_file(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    if path.ends_with("/tests.rs") {
        return;
    }
    let lines = source.code_lines(0, usize::MAX, true);
    if lines > FILE_LINES_MAX {
        let text = format!("{lines} lines of code, at most {FILE_LINES_MAX}: split it by idea");
        findings.push(Finding::new("file-size", path, 0, text));
    }
    let lines = source.test_lines();
    if lines > INLINE_TEST_LINES_MAX {
        let text = format!(
            "{lines} lines of tests, at most {INLINE_TEST_LINES_MAX}: move them to tests.rs"
        );
        findings.push(Finding::new("inline-tests", path, 0, text));
    }
}

fn check_functions(path: &str, source: &Source, findings: &mut Vec<Finding>) {
    for index in 0..source.tokens.len() {
        let name = source.at(index + 1);
        if source.at(index) != "fn" || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue; // also skips the type `fn(u8) -> u8`
        }
        let end = source.item_end(index);
        let Some(open) = (index..end).rev().find(|open| source.close(*open) == end) else {
            continue;
        };
        let lines = source.code_lines(open + 1, end.saturating_sub(1), false);
        if lines > FUNCTION_LINES_MAX {
            let text = format!("`{name}` has {lines} lines of code, at most {FUNCTION_LINES_MAX}");
            findings.push(Finding::new("function-size", path, source.line(index), text));
        }
    }
}
