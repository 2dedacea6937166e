//! Decimal digits without a loop.

/// The longest line: sixteen digits, CR, LF.
pub(super) const LINE_BYTES: usize = 18;

/// Writes a number and CR, LF to the start of `place`; returns how many bytes these are. What lies behind them there is
/// of no meaning. `None` if the number has more than sixteen digits.
///
/// Eight digits are made at once, in the bytes of one integer: halves of four digits, then of two, then single ones.
/// Divisions by a hundred and by ten are multiplications by rounded reciprocals, exact in these ranges.
#[inline]
pub(super) fn write_line(value: u64, place: &mut [u8; LINE_BYTES]) -> Option<usize> {
    let (high, low) = (value / EIGHT_DIGITS, value % EIGHT_DIGITS);
    let len = if high == 0 {
        let (digits, len) = significant(eight_digits(low));
        *place.first_chunk_mut()? = digits;
        len
    } else if high < EIGHT_DIGITS {
        let (digits, len) = significant(eight_digits(high));
        *place.first_chunk_mut()? = digits;
        *place.get_mut(len..)?.first_chunk_mut()? = text(eight_digits(low)).to_le_bytes();
        len + 8
    } else {
        return None;
    };
    *place.get_mut(len..)?.first_chunk_mut()? = *b"\r\n";
    Some(len + 2)
}

/// The least number of nine digits.
const EIGHT_DIGITS: u64 = 100_000_000;

/// The digits of a number of at most eight, the first in the lowest byte. Nothing wraps for such a number; where
/// that cannot be seen, checking it would take longer than the work.
#[inline]
fn eight_digits(value: u64) -> u64 {
    debug_assert!(value < EIGHT_DIGITS, "{value}");
    let (high, low) = (value / 10_000, value % 10_000);
    let fours = high | low << 32;
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | fours.wrapping_sub(hundreds.wrapping_mul(100)) << 16;
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    tens | twos.wrapping_sub(tens.wrapping_mul(10)) << 8
}

/// The digits as text from the first that is no zero, and how many they are; at least the last.
#[inline]
fn significant(eight: u64) -> ([u8; 8], usize) {
    let zero_bits = (eight | 1 << 56).trailing_zeros() & 56;
    let zeros = usize::try_from(zero_bits / 8).unwrap_or(0);
    ((text(eight) >> zero_bits).to_le_bytes(), 8 - zeros)
}

#[inline]
fn text(eight: u64) -> u64 {
    eight | 0x3030_3030_3030_3030
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: u64) -> Option<String> {
        let mut bytes = [b'x'; LINE_BYTES];
        let len = write_line(value, &mut bytes)?;
        let text = bytes[..len].strip_suffix(b"\r\n").expect("a line has its end");
        Some(String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn all_numbers_of_few_digits_are_exact() {
        for value in (0..200_000).chain(9_990_000..10_010_000).chain(99_990_000..100_010_000) {
            assert_eq!(written(value), Some(value.to_string()));
        }
        // Each pair of halves: the reciprocals are exact wherever four digits stand.
        for half in 0..10_000 {
            for value in [half * 10_000 + 1, half * 10_000 + half, half * 1_000_010_000 + half] {
                assert_eq!(written(value), Some(value.to_string()));
            }
        }
    }

    #[test]
    fn numbers_are_exact_around_every_power_of_ten() {
        for power in 1..20 {
            for value in [10_u64.pow(power) - 1, 10_u64.pow(power), 10_u64.pow(power) + 1] {
                let expected = (value < 10_u64.pow(16)).then(|| value.to_string());
                assert_eq!(written(value), expected);
            }
        }
        assert_eq!(written(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn any_number_is_its_digits(value in 0..10_u64.pow(16), shift in 0..53_u32) {
            let value = value >> shift;
            prop_assert_eq!(written(value), Some(value.to_string()));
        }
    }
}
