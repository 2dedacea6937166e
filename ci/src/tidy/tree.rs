//! The files of the repository, as git sees them, read once.

use super::tokens::Source;
use crate::error::Failure;
use crate::shell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every file that is tracked or could be added, by its path from the root with `/`.
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
    /// Rust files that do not parse as tokens, with the reason.
    pub(crate) unreadable: Vec<(String, String)>,
}

impl Tree {
    /// Reads the tree under `root`. Files that are no text keep an empty text: only their names matter.
    pub(crate) fn load(root: &Path) -> Result<Self, Failure> {
        let names = shell::output(
            root,
            "git",
            &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        )?;
        let mut files = Vec::new();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            let path = root.join(name);
            if !path.is_file() {
                continue; // deleted, but not yet in the index
            }
            let bytes = std::fs::read(&path).map_err(Failure::file(&path))?;
            files.push((name.to_owned(), String::from_utf8(bytes).unwrap_or_default()));
        }
        Ok(Self::from_files(files))
    }

    /// A tree of the given paths and texts.
    pub(crate) fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: BTreeMap<String, String> = files.into_iter().collect();
        let (mut sources, mut unreadable) = (BTreeMap::new(), Vec::new());
        for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".rs")) {
            match Source::parse(text) {
                Ok(source) => drop(sources.insert(path.clone(), source)),
                Err(reason) => unreadable.push((path.clone(), reason)),
            }
        }
        Self { files, sources, unreadable }
    }

    /// Path and text of every file whose name ends with `suffix`.
    pub(crate) fn ending_with(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(suffix))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file that could be split into tokens.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// True for a file, and for a folder that holds one.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(next, _)| next.starts_with(&folder))
    }

    /// Names directly under the root.
    pub(crate) fn top_level(&self) -> BTreeSet<&str> {
        self.files.keys().filter_map(|path| path.split('/').next()).collect()
    }
}
