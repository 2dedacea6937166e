//! libFuzzer binary of `resp_decode`.
#![no_main]
#![expect(clippy::disallowed_types, reason = "the macro of libFuzzer can write files")]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sierradb_fuzz::resp_decode(bytes));
