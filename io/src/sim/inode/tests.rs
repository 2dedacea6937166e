use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::sim::crash::HalfLands;

#[derive(Debug, Clone)]
enum Step {
    Write(u64, usize),
    Zero(u64, u64),
    SetLen(u64),
    Allocate(u64),
    SettleOlderThan(u64),
    FailSync,
    Evict,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..20_000_u64, 1..6_000_usize).prop_map(|(at, len)| Step::Write(at, len)),
        1 => (0..20_000_u64, 0..9_000_u64).prop_map(|(at, len)| Step::Zero(at, len)),
        1 => (0..20_000_u64).prop_map(Step::SetLen),
        1 => (0..40_000_u64).prop_map(Step::Allocate),
        2 => (0..10_u64).prop_map(Step::SettleOlderThan),
        1 => Just(Step::FailSync),
        1 => Just(Step::Evict),
    ]
}

fn is_zero_beyond(image: &Image) -> bool {
    let mut beyond = [0; 9_000];
    image.read(image.len(), &mut beyond);
    beyond.iter().all(|byte| *byte == 0)
}

proptest! {
    #[test]
    fn the_device_catches_up_with_the_cache_and_nothing_lies_beyond_the_end(
        steps in vec(step(), 1..40),
    ) {
        let mut file = Inode::new(1);
        let mut seq = 0;
        for step in steps {
            seq += 1;
            match step {
                Step::Write(at, len) => {
                    let byte = u8::try_from(seq % 250 + 1).unwrap();
                    file.write(seq, at, Bytes::from(vec![byte; len]), Reach::Device);
                }
                Step::Zero(at, len) => file.zero(seq, at, len),
                Step::SetLen(len) => file.set_len(seq, len),
                Step::Allocate(len) => file.allocate(seq, len),
                Step::SettleOlderThan(age) => file.settle(seq.saturating_sub(age)),
                Step::FailSync => file.fail_sync(seq, 512, &mut HalfLands { key: seq }),
                Step::Evict => file.evict(0, 100_000),
            }
            prop_assert!(is_zero_beyond(file.current()));
            prop_assert!(is_zero_beyond(file.durable()));
        }
        file.evict(0, u64::MAX);
        file.settle(u64::MAX);
        prop_assert!(file.is_clean());
        prop_assert_eq!(file.durable().to_vec(), file.current().to_vec());
    }
}
