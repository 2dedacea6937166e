//! Bytes of a connection to requests.

use bytes::Bytes;
use sierradb_net::{Access, Decoder, ProtocolError};
use sierradb_protocol::Word;

/// Small, so that the search meets the limit.
const MAX_REQUEST_BYTES: usize = 4096;

/// Takes the first byte as a way to cut the others into pieces, and these as what a client sends.
///
/// # Panics
///
/// If the requests depend on how the bytes are cut, hold more than was sent, or go on after an error.
pub fn resp_decode(bytes: &[u8]) {
    let Some((first, sent)) = bytes.split_first() else { return };
    let access = if first & 0x80 == 0 { Access::Granted } else { Access::BeforeAuth };
    let piece = usize::from(first & 0x7f) + 1;
    let whole = decode(&[sent], access);
    let pieces: Vec<_> = sent.chunks(piece).collect();
    assert_eq!(decode(&pieces, access), whole, "pieces of {piece} bytes");
    let (requests, _) = whole;
    let held = requests.iter().flatten().fold(0, |sum, word| sum + word.len());
    assert!(held <= sent.len(), "{held} bytes out of {}", sent.len());
    assert!(requests.iter().all(|request| !request.is_empty()), "empty requests are skipped");
}

fn decode(pieces: &[&[u8]], access: Access) -> (Vec<Vec<Bytes>>, Option<ProtocolError>) {
    let mut decoder = Decoder::new(MAX_REQUEST_BYTES);
    decoder.set_access(access);
    let mut requests = Vec::new();
    for piece in pieces {
        decoder.input().extend_from_slice(piece);
        loop {
            match decoder.next() {
                Ok(Some(request)) => requests.push(request.words().map(Word::to_bytes).collect()),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(), Err(error), "an error is the end");
                    return (requests, Some(error));
                }
            }
        }
    }
    (requests, None)
}
