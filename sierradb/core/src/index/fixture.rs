//! An index file of format 1.0, kept as it was first written: later releases must read it, and write the same.
//!
//! It belongs to the segment kept beside it.

use std::path::Path;

use sierradb_io::OpenOptions;
use sierradb_io::sim::run;
use uuid::Uuid;

use super::hash::{event_id_hash, stream_hash};
use super::sealed::{LogPosition, SealedIndex};
use super::testing::cache;
use crate::bucket::seal::{Request, build};
use crate::segment::reader::read_segment_header;

const SEGMENT: &[u8] = include_bytes!("../../tests/fixtures/v1/0000000001.seg");
const INDEX: &[u8] = include_bytes!("../../tests/fixtures/v1/0000000001.idx");
const SEED: u64 = 0x51e8_8adb;
const STREAM: &[u8] = b"order-42";

#[test]
fn indexes_are_written_as_in_format_1_0() {
    let written = run(1, |host| async move {
        let io = host.boot();
        host.put_file("/1.seg", SEGMENT);
        let file = io.disk().open(Path::new("/1.seg"), OpenOptions::READ).await.unwrap();
        let header = read_segment_header(file.as_ref()).await.unwrap();
        let dir = Path::new("/");
        let (hash_seed, used_len, memory) = (SEED, None, None);
        let request = Request { dir, file, header, hash_seed, used_len, memory };
        build(&io, request).await.unwrap();
        host.current_image("/0000000001.idx").unwrap()
    });
    assert!(written == INDEX, "{} bytes, {} in the fixture", written.len(), INDEX.len());
}

#[test]
fn an_index_of_format_1_0_is_read() {
    run(1, |host| async move {
        let io = host.boot();
        host.put_file("/1.idx", INDEX);
        let index =
            SealedIndex::open(&io, Path::new("/1.idx"), None, cache(1 << 20)).await.unwrap();
        index.check().await.unwrap();
        let footer = index.footer();
        assert_eq!((footer.events, footer.frames, footer.last_term), (3, 3, 3));
        assert_eq!(footer.used_len, u64::try_from(SEGMENT.len()).unwrap());
        assert_eq!(footer.segment_digest, xxhash_rust::xxh3::xxh3_128(SEGMENT));
        let mut offsets = Vec::new();
        for id in 1..=3 {
            let hash = event_id_hash(SEED, &Uuid::from_u128(id));
            offsets.extend(index.event_offsets(hash).await.unwrap());
        }
        assert_eq!(offsets[0], offsets[1], "one transaction");
        let streams = index.stream(stream_hash(SEED, 7, STREAM), 7, 8).await.unwrap();
        assert_eq!(streams[0].versions(), 0..3);
        assert_eq!(index.stream_offsets(&streams[0], 0, 9).await.unwrap(), offsets);
        let partition = index.partition(7).unwrap();
        assert_eq!(index.partition_offsets(&partition, 2, 1).await.unwrap(), offsets[2..]);
        let position = index.log_position(footer.last_index).await.unwrap();
        let last = LogPosition { index: footer.last_index, term: 3, offset: offsets[2] };
        assert_eq!(position, Some(last));
    });
}
