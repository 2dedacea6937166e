//! Bytes of the log to segments, frames, entries and events.

/// Gives the bytes to every codec of the log, and once more as the body of a frame whose checksums hold: random
/// bytes never pass a checksum, and lengths that lead astray would stay untried otherwise.
///
/// # Panics
///
/// If a codec panics, or bytes that nobody sealed are taken for a frame.
pub fn frame_decode(bytes: &[u8]) {
    let (_, frames) = sierradb::codecs::decode_anything(bytes);
    assert!(frames == 0 || bytes.starts_with(b"SFR1"), "{frames} events out of nothing");
}
