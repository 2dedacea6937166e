//! Frames of a scan, brought into the processor's caches together.
//!
//! The events of a stream lie far apart. Decoded one by one, each begins with a wait for main memory, and the next
//! wait cannot begin before this frame is understood. Here a byte of every cache line is read first, of all frames
//! one after another: these reads depend on nothing, so the processor has many of them under way at a time.
//!
//! Nothing is decided here. Frames that the block cache does not hold are left to whoever reads them.

use std::hint::black_box;

use bytes::{Buf, Bytes};

use crate::index::lookup::Place;
use crate::segment::frame::FRAME_HEADER_LEN;

/// Bytes that come from memory at once.
const CACHE_LINE: usize = 64;

/// Of a longer body only the start is brought: the rest follows it in memory, which processors notice by themselves.
const MAX_TOUCHED_BYTES: usize = 1 << 10;

/// Where a header has the length of the body.
const BODY_LEN_OFFSET: usize = 12;

/// Gives each place its bytes where the block cache has them, and touches them.
pub(crate) fn fetch_ahead(places: &mut [Place]) {
    if places.len() < 2 {
        return;
    }
    for place in places.iter_mut().filter(|place| place.bytes.is_none()) {
        place.bytes = place.file.data.cached_from(place.offset);
    }
    let bytes = || places.iter().filter_map(|place| place.bytes.as_ref());
    let headers: usize =
        bytes().map(|bytes| usize::from(bytes.first().copied().unwrap_or(0))).sum();
    black_box(headers);
    let bodies: usize = bytes().map(touch_body).sum();
    black_box(bodies);
}

/// Reads a byte of each cache line of a body. The length is not verified yet: it only bounds what is touched.
fn touch_body(bytes: &Bytes) -> usize {
    let mut len = bytes.get(BODY_LEN_OFFSET..).unwrap_or_default();
    if len.remaining() < size_of::<u32>() {
        return 0;
    }
    let body_len = usize::try_from(len.get_u32_le()).unwrap_or(usize::MAX).min(MAX_TOUCHED_BYTES);
    let body = bytes.get(FRAME_HEADER_LEN..).unwrap_or_default();
    let body = body.get(..body_len).unwrap_or(body);
    body.iter().step_by(CACHE_LINE).map(|byte| usize::from(*byte)).sum()
}
