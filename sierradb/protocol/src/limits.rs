//! Named bounds of the wire. Each has its one home here; everything else refers to it.

/// Longest stream id in bytes; a longer one is refused.
pub const STREAM_ID_MAX_BYTES: usize = 255;

/// Longest event name in bytes that an append accepts.
pub const EVENT_NAME_MAX_BYTES: usize = 255;

/// Words quoted back in an error are cut to so many bytes, at a character.
pub const QUOTED_MAX_BYTES: usize = 128;

/// Bytes each event counts towards the size of its transaction besides its texts and data.
pub const EVENT_OVERHEAD_BYTES: usize = 128;

/// Largest timestamp in milliseconds whose nanoseconds still fit 63 bits.
pub const TIMESTAMP_MAX_MS: u64 = 9_223_372_036_854;

/// Events a scan returns unless COUNT says otherwise.
pub const SCAN_COUNT_DEFAULT: u64 = 100;

/// Longest word that can be a keyword or a command name; longer ones are not even compared.
pub const KEYWORD_MAX_BYTES: usize = 16;

/// Longest word for which a near keyword is looked for.
pub const SUGGEST_MAX_BYTES: usize = 32;
