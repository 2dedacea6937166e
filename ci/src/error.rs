//! Why a stage ended without success.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a stage failed. Printed as the last line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program could not be started or talked to.
    #[error("cannot run `{command}`")]
    Start { command: String, source: io::Error },
    /// A program ran and did not like what it saw.
    #[error("`{command}` ended with {status}")]
    Ended { command: String, status: ExitStatus },
    /// A program printed something unexpected.
    #[error("`{command}` printed something that is not understood: {what}")]
    Output { command: String, what: String },
    /// A file could not be read or written.
    #[error("cannot access {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Rules of the source tree are broken; each was printed.
    #[error("{count} findings of tidy")]
    Tidy { count: usize },
    /// A load broke off.
    #[error("the load on {address} broke off: {source}")]
    Load { address: SocketAddr, source: io::Error },
    /// Some ratio lies below its floor.
    #[error("{low} rows below their floor")]
    Floors { low: usize },
    /// The server binary holds, or lacks, what it must not.
    #[error("{} holds {count} times `{needle}`, expected {expected}", path.display())]
    Binary { path: PathBuf, needle: &'static str, count: usize, expected: &'static str },
}

impl Failure {
    /// A closure for `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
