//! Space ahead of the log.

/// How space is made ready before frames are written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preallocate {
    /// Write zeros and sync them: later syncs need not change the file system's own records. Doubles the bytes
    /// written.
    #[default]
    Zero,
    /// Only reserve the space: fewer bytes written, slower syncs.
    Reserve,
}
