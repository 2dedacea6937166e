//! libFuzzer binary of `frame_decode`.
#![no_main]
#![expect(clippy::disallowed_types, reason = "the macro of libFuzzer can write files")]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sierradb_fuzz::frame_decode(bytes));
