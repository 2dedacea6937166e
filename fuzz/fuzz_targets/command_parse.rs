//! libFuzzer binary of `command_parse`.
#![no_main]
#![expect(clippy::disallowed_types, reason = "the macro of libFuzzer can write files")]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sierradb_fuzz::command_parse(bytes));
