//! Named bounds of this crate.

use std::num::NonZeroU32;
use std::time::Duration;

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for a reply. A server waits up to 8 s for a leader and 8 s for the commit; who gives up earlier than
/// it never learns the outcome.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// Events a subscription may have under way unless it says otherwise; the server waits for acknowledgements then.
pub const SUBSCRIPTION_WINDOW: NonZeroU32 = NonZeroU32::new(1024).expect("1024 is not zero");
