//! Named bounds of this crate.

/// First tick at which a voter may stand for election: votes are refused for ten ticks after a heartbeat.
pub const ELECTION_FIRST_TICK: u64 = 11;

/// Ticks the first stands of all voters are spread over; all lie below twice ten ticks, as raft demands.
pub const ELECTION_SPREAD_TICKS: u64 = 9;

/// A node holds at most this many hundredths of its even share of replicas, rounded up.
pub const PLACEMENT_LOAD_PERCENT: u64 = 110;

const _: () = assert!(ELECTION_FIRST_TICK + ELECTION_SPREAD_TICKS <= 20);
const _: () = assert!(PLACEMENT_LOAD_PERCENT >= 100);
