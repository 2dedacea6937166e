//! Words to commands and back.

use bytes::Bytes;
use sierradb_protocol::{Command, Value};

/// Longest text of an error: some words cut to 128 bytes, each byte replaced by three at worst, and our own words.
const ERROR_MAX_BYTES: usize = 2048;

/// Takes the lines of `bytes` as the words of one request.
///
/// # Panics
///
/// If a command is not read back as it was written, or a refusal is longer than it may be.
pub fn command_parse(bytes: &[u8]) {
    let words: Vec<_> = bytes.split(|byte| *byte == b'\n').map(Bytes::copy_from_slice).collect();
    match Command::from_args(&words) {
        Ok(command) => {
            let written = command.to_args();
            assert_eq!(
                Command::from_args(&written).as_ref(),
                Ok(&command),
                "parse ∘ write = identity"
            );
        }
        Err(error) => {
            let reply = Value::collect(|sink| error.write_to(sink));
            let Value::Error { text, .. } = reply else { panic_not_an_error() };
            assert!(text.len() <= ERROR_MAX_BYTES, "{} bytes: {text}", text.len());
        }
    }
}

#[expect(clippy::panic, reason = "a broken promise ends a fuzz target")]
fn panic_not_an_error() -> ! {
    panic!("a refusal is written as an error")
}
