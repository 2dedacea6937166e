//! What a client may get wrong below the level of commands.

/// Bytes that are no request. The connection answers with the text, behind the replies of all earlier requests, and
/// closes. The texts are part of the wire contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An argument of a type that is none.
    #[error("Protocol error: expected '$', got '{}'", char::from(*.got))]
    ArgumentType {
        /// The byte in place of the type.
        got: u8,
    },
    /// The count of arguments is no number, or too large.
    #[error("Protocol error: invalid multibulk length")]
    Count,
    /// The length of an argument is no number, negative, or too large.
    #[error("Protocol error: invalid bulk length")]
    Length,
    /// All arguments together are too large.
    #[error("Protocol error: request too large")]
    RequestTooLarge,
    /// No line end where the argument has to end.
    #[error("Protocol error: invalid bulk terminator")]
    Terminator,
    /// The line with the count does not end.
    #[error("Protocol error: too big mbulk count string")]
    CountTooLong,
    /// The line with a length, or a simple argument, does not end.
    #[error("Protocol error: too big bulk count string")]
    LengthTooLong,
    /// An inline request does not end.
    #[error("Protocol error: too big inline request")]
    InlineTooLong,
    /// Quotes of an inline request are not closed, or something follows them directly.
    #[error("Protocol error: unbalanced quotes in request")]
    Quotes,
    /// Too many arguments for a client that must still log in.
    #[error("Protocol error: unauthenticated multibulk length")]
    CountBeforeAuth,
    /// Too long an argument for a client that must still log in.
    #[error("Protocol error: unauthenticated bulk length")]
    LengthBeforeAuth,
    /// An HTTP request, which a browser was tricked into sending: close without a reply.
    #[error("HTTP is not spoken here")]
    Http,
}

impl ProtocolError {
    /// The text behind `ERR `; `None` where the connection closes without a reply.
    pub fn reply(&self) -> Option<String> {
        (*self != Self::Http).then(|| self.to_string())
    }
}
