//! What a request costs between socket and parser, and a reply on its way back.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use redis_protocol::resp2::decode::decode_bytes;
use sierradb_net::{Decoder, Dialect, Encoder};
use sierradb_protocol::Sink;

/// Requests per buffer: what 64 clients with 16 requests each leave in one wake-up of the server.
const REQUESTS: usize = 1_024;

fn request(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.put_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.put_slice(arg);
        bytes.put_slice(b"\r\n");
    }
    bytes
}

fn decode(c: &mut Criterion) {
    let payload = vec![b'x'; 256];
    let three = request(&[b"EAPPEND", b"user-123", b"UserCreated"]);
    let nine = request(&[
        b"EAPPEND",
        b"user-123",
        b"UserCreated",
        b"EVENT_ID",
        b"01929f2d-5040-71a2-bb95-4a1b2c3d4e5f",
        b"EXPECTED_VERSION",
        b"41",
        b"PAYLOAD",
        &payload,
    ]);
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(REQUESTS as u64));
    for (name, one) in [("3 arguments", three), ("9 arguments", nine)] {
        let many = Bytes::from(one.repeat(REQUESTS));
        group.bench_function(name, |b| {
            let fill = || {
                let mut decoder = Decoder::new(64 << 20);
                decoder.input().put_slice(&many);
                decoder
            };
            let drain = |mut decoder: Decoder| {
                while let Ok(Some(request)) = decoder.next() {
                    black_box(request);
                }
            };
            b.iter_batched(fill, drain, BatchSize::LargeInput);
        });
        group.bench_function(format!("{name}, redis-protocol alone"), |b| {
            let drain = |mut rest: Bytes| {
                while let Ok(Some((frame, len))) = decode_bytes(&rest) {
                    black_box(frame);
                    rest = rest.slice(len..);
                }
            };
            b.iter_batched(|| many.clone(), drain, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(1));
    group.bench_function("reply of EAPPEND", |b| {
        let mut out = BytesMut::with_capacity(4_096);
        b.iter(|| {
            out.clear();
            let mut sink = Encoder::new(&mut out, Dialect::Resp3);
            sink.map(6);
            for key in ["event_id", "partition_key"] {
                sink.word(key);
                sink.word("01929f2d-5040-71a2-bb95-4a1b2c3d4e5f");
            }
            for key in ["partition_id", "partition_sequence", "stream_version", "timestamp"] {
                sink.word(key);
                sink.integer(black_box(1_729_247_400_000));
            }
            drop(sink);
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
