//! Named bounds of this crate.

/// Arguments of one request; more are a protocol error.
pub const REQUEST_MAX_ARGS: usize = 1_048_576;

/// Bytes of one request unless configured otherwise; more are a protocol error.
pub const REQUEST_MAX_BYTES: usize = 64 << 20;

/// Bytes of a line (count, length, inline request, simple argument) with its end; longer is a protocol error.
pub const LINE_MAX_BYTES: usize = 64 << 10;

/// Arguments of one request from a client that must still log in; more are a protocol error.
pub const BEFORE_AUTH_MAX_ARGS: usize = 10;

/// Bytes of one argument from a client that must still log in; more are a protocol error.
pub const BEFORE_AUTH_MAX_ARG_BYTES: usize = 16 << 10;

/// Places for argument positions kept from one request to the next; a request with more gives them back.
pub const KEPT_SPANS: usize = 1_024;
