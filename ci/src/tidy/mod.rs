//! The rules of `sierradb/docs/STYLE.md`, section T4, which neither rustc nor clippy knows.
//! A rule is a function from the tree (or from cargo's view of it) to findings; nothing here changes a file.

mod deps;
mod docs;
mod error_texts;
mod finding;
mod layout;
mod run;
mod size;
mod text;
mod tokens;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use run::run;
