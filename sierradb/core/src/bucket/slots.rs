//! The state file of a bucket: term, vote, members, log base and how far the log was certainly durable.
//!
//! Two slots of 4,096 bytes; the older one is overwritten and synced, so one valid slot always remains. All numbers
//! little endian.
//!
//! | Offset | Size | Field | | Offset | Size | Field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 8+2+2 | `SIERSTAT`, major, minor | | 56 | 16 | incarnation |
//! | 12 | 2 | group | | 72 | 8 | conf index |
//! | 14 | 2 | flags: 1 quarantined, 2 repairing, 4 written solo | | 80 | 8+8 | log base index, term |
//! | 16 | 8 | generation | | 96 | 8 | first segment number |
//! | 24 | 8 | term | | 104 | 4 | counts u8: voters, outgoing, learners, learners next |
//! | 32 | 8 | vote (0 none) | | 108 | 1 | auto leave |
//! | 40 | 8 | min(commit, durable index) | | 112 | 8·n | ids in that order (n ≤ 64) |
//! | 48 | 8 | own replica id | | 4092 | 4 | CRC32C of 0..4092 |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sierradb_io::{DiskError, File, Io, OpenOptions};
use uuid::Uuid;

/// File name inside a bucket's directory.
pub(crate) const STATE_NAME: &str = "state";
/// Bytes of one slot.
pub(crate) const SLOT_LEN: usize = 4096;
const SLOT_LEN_U64: u64 = 4096;
const CRC_AT: usize = SLOT_LEN - 4;
const MAGIC: &[u8; 8] = b"SIERSTAT";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
const MAX_IDS: usize = 64;
const FIXED_LEN: usize = 112;
const _: () = assert!(FIXED_LEN + 8 * MAX_IDS <= CRC_AT);

/// Written by the solo driver: a server may take it over as a group of one.
pub(crate) const FLAG_SOLO: u16 = 4;

/// One slot's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) group: u16,
    pub(crate) flags: u16,
    pub(crate) generation: u64,
    pub(crate) term: u64,
    pub(crate) vote: u64,
    /// Every entry up to this index was committed and durable here when the slot was written.
    pub(crate) durable_commit: u64,
    pub(crate) replica_id: u64,
    pub(crate) incarnation: Uuid,
    pub(crate) conf_index: u64,
    pub(crate) base_index: u64,
    pub(crate) base_term: u64,
    pub(crate) first_segment: u64,
    pub(crate) voters: Vec<u64>,
    pub(crate) outgoing: Vec<u64>,
    pub(crate) learners: Vec<u64>,
    pub(crate) learners_next: Vec<u64>,
    pub(crate) auto_leave: bool,
}

/// Why bytes are not a slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SlotError {
    #[error("slot of {len} bytes is shorter than 4096")]
    Short { len: usize },
    #[error("slot checksum mismatch (stored {stored:08x}, actual {actual:08x})")]
    Checksum { stored: u32, actual: u32 },
    #[error("not a state slot")]
    Magic,
    #[error("state format {major}.x is not known, this version reads 1.x")]
    Format { major: u16 },
    #[error("{count} member ids exceed the limit of 64")]
    Members { count: usize },
}

impl State {
    /// The state of a new bucket with this process as its only voter.
    pub(crate) fn solo(group: u16, incarnation: Uuid) -> Self {
        Self {
            group,
            flags: FLAG_SOLO,
            generation: 0,
            term: 1,
            vote: 0,
            durable_commit: 1,
            replica_id: 1,
            incarnation,
            conf_index: 1,
            base_index: 1,
            base_term: 1,
            first_segment: 1,
            voters: vec![1],
            outgoing: Vec::new(),
            learners: Vec::new(),
            learners_next: Vec::new(),
            auto_leave: false,
        }
    }

    /// Whether nobody but this replica votes or learns.
    pub(crate) fn is_alone(&self) -> bool {
        self.voters.len() <= 1
            && self.outgoing.is_empty()
            && self.learners.is_empty()
            && self.learners_next.is_empty()
    }

    /// The slot's 4,096 bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(SLOT_LEN);
        out.put_slice(MAGIC);
        out.put_u16_le(MAJOR);
        out.put_u16_le(MINOR);
        out.put_u16_le(self.group);
        out.put_u16_le(self.flags);
        for number in [self.generation, self.term, self.vote, self.durable_commit, self.replica_id]
        {
            out.put_u64_le(number);
        }
        out.put_slice(self.incarnation.as_bytes());
        for number in [self.conf_index, self.base_index, self.base_term, self.first_segment] {
            out.put_u64_le(number);
        }
        let members = [&self.voters, &self.outgoing, &self.learners, &self.learners_next];
        let count: usize = members.iter().map(|ids| ids.len()).sum();
        assert!(count <= MAX_IDS, "{count} member ids exceed the slot's limit");
        for ids in members {
            out.put_u8(u8::try_from(ids.len()).expect("at most 64, checked above"));
        }
        out.put_u8(u8::from(self.auto_leave));
        out.put_bytes(0, 3);
        for id in members.into_iter().flatten() {
            out.put_u64_le(*id);
        }
        out.resize(CRC_AT, 0);
        let crc = crc32c::crc32c(&out);
        out.put_u32_le(crc);
        out.freeze()
    }

    /// Reads a slot.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, SlotError> {
        let short = SlotError::Short { len: bytes.len() };
        let (mut body, mut crc) =
            bytes.get(..SLOT_LEN).and_then(|slot| slot.split_at_checked(CRC_AT)).ok_or(short)?;
        let (stored, actual) = (crc.get_u32_le(), crc32c::crc32c(body));
        if stored != actual {
            return Err(SlotError::Checksum { stored, actual });
        }
        let mut magic = [0u8; 8];
        body.copy_to_slice(&mut magic);
        if &magic != MAGIC {
            return Err(SlotError::Magic);
        }
        let major = body.get_u16_le();
        if major != MAJOR {
            return Err(SlotError::Format { major });
        }
        body.advance(2);
        let (group, flags) = (body.get_u16_le(), body.get_u16_le());
        let (generation, term, vote) = (body.get_u64_le(), body.get_u64_le(), body.get_u64_le());
        let (durable_commit, replica_id) = (body.get_u64_le(), body.get_u64_le());
        let mut incarnation = [0u8; 16];
        body.copy_to_slice(&mut incarnation);
        let (conf_index, base_index) = (body.get_u64_le(), body.get_u64_le());
        let (base_term, first_segment) = (body.get_u64_le(), body.get_u64_le());
        let counts = [body.get_u8(), body.get_u8(), body.get_u8(), body.get_u8()].map(usize::from);
        let auto_leave = body.get_u8() != 0;
        body.advance(3);
        let count = counts.iter().sum();
        if count > MAX_IDS {
            return Err(SlotError::Members { count });
        }
        let [voters, outgoing, learners, learners_next] =
            counts.map(|count| (0..count).map(|_| body.get_u64_le()).collect());
        Ok(Self {
            group,
            flags,
            generation,
            term,
            vote,
            durable_commit,
            replica_id,
            incarnation: Uuid::from_bytes(incarnation),
            conf_index,
            base_index,
            base_term,
            first_segment,
            voters,
            outgoing,
            learners,
            learners_next,
            auto_leave,
        })
    }
}

/// The open state file.
pub(crate) struct Slots {
    file: Arc<dyn File>,
    path: PathBuf,
    /// What the newer valid slot holds.
    current: State,
}

/// What the two slots held at the start.
pub(crate) enum Found {
    /// A new bucket.
    Nothing,
    /// The newer valid slot; the other may be of any quality.
    State(State),
    /// Both slots were written once and neither is readable.
    BothDamaged,
}

impl Slots {
    /// Reads the state file of the bucket in `dir`.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn read(io: &Io, dir: &Path) -> Result<Found, DiskError> {
        let path = dir.join(STATE_NAME);
        let file = io.disk().open(&path, OpenOptions::OPEN_OR_CREATE).await?;
        let (bytes, read) = file.read_at(BytesMut::zeroed(2 * SLOT_LEN), 0).await;
        read?;
        let (first, second) = bytes.split_at_checked(SLOT_LEN).unwrap_or((&bytes, &[]));
        let newest = [first, second]
            .into_iter()
            .filter_map(|slot| State::decode(slot).ok())
            .max_by_key(|state| state.generation);
        Ok(match newest {
            Some(state) => Found::State(state),
            None if bytes.iter().all(|byte| *byte == 0) => Found::Nothing,
            None => Found::BothDamaged,
        })
    }

    /// Opens the file for writing, with `current` as what it holds (or shall hold after the first save).
    ///
    /// # Errors
    /// The disk's.
    pub(crate) async fn open(io: &Io, dir: &Path, current: State) -> Result<Self, DiskError> {
        let path = dir.join(STATE_NAME);
        let file = io.disk().open(&path, OpenOptions::OPEN_OR_CREATE).await?;
        Ok(Self { file, path, current })
    }

    /// Overwrites the older slot with `change` applied to the current state. Durable on return.
    ///
    /// # Errors
    /// The disk's; the current state then stays what it was.
    pub(crate) async fn save(&mut self, change: impl FnOnce(&mut State)) -> Result<(), DiskError> {
        let mut next = self.current.clone();
        change(&mut next);
        next.generation = self.current.generation.saturating_add(1);
        let slot = next.generation % 2;
        self.file.write_all_at(vec![next.encode()], slot * SLOT_LEN_U64).await?;
        self.file.sync_data().await?;
        self.current = next;
        Ok(())
    }

    /// What the newest slot holds.
    pub(crate) fn current(&self) -> &State {
        &self.current
    }
}

impl std::fmt::Debug for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slots").field("path", &self.path).field("current", &self.current).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> State {
        State {
            vote: 3,
            generation: 9,
            voters: vec![1, 2, 3],
            learners: vec![1000],
            auto_leave: true,
            ..State::solo(5, Uuid::from_u128(0x0102))
        }
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(State::decode(&sample().encode()), Ok(sample()));
        assert_eq!(sample().encode().len(), SLOT_LEN);
    }

    #[test]
    fn the_first_bytes_never_change() {
        let encoded = State::solo(5, Uuid::from_u128(0x0102)).encode();
        let head: String = encoded[..120].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            head,
            "5349455253544154010000000500040000000000000000000100000000000000000000000000000001000000\
             0000000001000000000000000000000000000000000000000000010201000000000000000100000000000000\
             0100000000000000010000000000000001000000000000000100000000000000"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_flipped_bit_is_noticed(bit in 0usize..SLOT_LEN * 8) {
            let mut bytes = sample().encode().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(State::decode(&bytes).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            prop_assert!(State::decode(&bytes).is_err());
        }
    }
}
