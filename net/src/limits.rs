//! Named bounds of this crate.

use std::time::Duration;

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

/// Bytes of unsent replies beyond which no requests are read from their connection.
pub const REPLY_BUDGET_BYTES: usize = 8 << 20;

/// Bytes of pushes waiting on a connection, or one push of any size; then its subscriptions wait.
pub const PUSH_BUDGET_BYTES: usize = 8 << 20;

/// What a waiting push is counted as beside its bytes.
pub const PUSH_OVERHEAD_BYTES: usize = 64;

/// Pieces handed to the socket in one system call; more take another.
pub const WRITE_SLICES: usize = 128;

/// Room made for one read from a quiet connection.
pub const READ_CHUNK_MIN_BYTES: usize = 4 << 10;

/// Room made for one read from a busy connection.
pub const READ_CHUNK_MAX_BYTES: usize = 256 << 10;

/// Bytes of a read that go through memory on the stack, since the buffer can then be as large as what came, and none
/// is needed when nothing came. Larger reads go straight into their buffer.
pub const SMALL_READ_BYTES: usize = 16 << 10;

/// The beginning of a request is moved if it is not longer; a longer one stays where it arrived.
pub const MOVED_REQUEST_BYTES: usize = 16 << 10;

/// Room at the end of a buffer that is worth keeping for what comes next.
pub const WORTH_FILLING_BYTES: usize = 512;

/// Room made at once for replies, if the last ones needed as much; more is made when it is needed.
pub const REPLY_ROOM_MAX_BYTES: usize = 64 << 10;

/// How long nobody is accepted after accepting failed, which means that descriptors ran out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
