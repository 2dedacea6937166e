//! Cost of frames with one event of 256 bytes: made, read as events, read as index keys.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sierradb::codecs::{FrameRow, scan_events, scan_keys};

const EVENTS: u64 = 100;
const PAYLOAD: [u8; 256] = [0x5a; 256];

fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame_256B");
    group.throughput(Throughput::Elements(1));
    let mut row = FrameRow::new(1 << 20);
    group.bench_function("encode", |b| b.iter(|| row.push(&PAYLOAD)));

    let mut row = FrameRow::new(1 << 20);
    (0..EVENTS).for_each(|_| row.push(&PAYLOAD));
    let bytes = row.into_bytes();
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("decode_100_events", |b| b.iter(|| scan_events(bytes.clone())));
    group.bench_function("decode_100_keys", |b| b.iter(|| scan_keys(bytes.clone())));
    group.finish();
}

criterion_group!(benches, frame);
criterion_main!(benches);
