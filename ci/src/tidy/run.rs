//! Runs all rules over the repository.

use super::deps::{self, Workspace};
use super::finding::Finding;
use super::tree::Tree;
use super::{docs, error_texts, layout, size, text};
use crate::error::Failure;
use std::path::Path;

/// Prints every finding; fails if there is one.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    println!("--- tidy");
    let findings = all(&Tree::load(root)?, &Workspace::load(root)?);
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(Failure::Tidy { count }),
    }
}

/// What all rules find, in order of place.
pub(crate) fn all(tree: &Tree, workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    size::check(tree, &mut findings);
    layout::check(tree, &mut findings);
    text::check(tree, &mut findings);
    docs::check(tree, &mut findings);
    error_texts::check(tree, &mut findings);
    deps::check(workspace, &mut findings);
    findings.sort();
    findings
}
