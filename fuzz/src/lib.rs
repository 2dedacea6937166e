//! Byte-level search for SierraDB: bodies of the fuzz targets and replay of their corpora.
//!
//! A body takes any bytes and panics if a promise is broken. libFuzzer calls it from `fuzz_targets/` (feature
//! `libfuzzer`); on stable, `tests/corpus.rs` calls it with the files of `corpus/<name>/` and with inputs derived
//! from them. Input that broke something becomes a file there and stays.

mod command_parse;
mod frame_decode;
mod input;
mod resp_decode;

pub use command_parse::command_parse;
pub use frame_decode::frame_decode;
pub use input::{Mutator, TARGETS, Target};
pub use resp_decode::resp_decode;
