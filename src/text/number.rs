//! Numbers as s6 reads them: digits only, the whole word, no sign, no blanks.

/// A decimal number that fits 32 bits.
pub fn parse_u32(word: &[u8]) -> Option<u32> {
    u32::try_from(parse(word, 10)?).ok()
}

/// A decimal number that fits 64 bits.
pub fn parse_u64(word: &[u8]) -> Option<u64> {
    parse(word, 10)
}

/// An octal number (a file mode) that fits 32 bits.
pub fn parse_octal(word: &[u8]) -> Option<u32> {
    u32::try_from(parse(word, 8)?).ok()
}

fn parse(word: &[u8], radix: u32) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u64, |sum, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        sum.checked_mul(radix.into())?.checked_add(digit.into())
    })
}

/// A number written in decimal, without the formatting machinery.
pub struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    /// The digits of `n`.
    pub fn new(mut n: u64) -> Decimal {
        let mut out = Decimal { digits: [0; 20], start: 20 };
        loop {
            out.start -= 1;
            out.digits[out.start] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                return out;
            }
        }
    }

    /// The digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signs_blanks_and_overflow_are_refused() {
        for bad in ["", " 3", "3 ", "-3", "+3", "4294967296", "4294967299", "3x", "0x3"] {
            assert_eq!(parse_u32(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_u32(b"4294967295"), Some(u32::MAX));
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["", "-1", "18446744073709551616", "1 "] {
            assert_eq!(parse_u64(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_octal(b"0770"), Some(0o770));
        assert_eq!(parse_octal(b"8"), None);
    }

    proptest! {
        #[test]
        fn a_printed_number_reads_back(n: u32) {
            prop_assert_eq!(parse_u32(Decimal::new(n.into()).as_bytes()), Some(n));
        }

        #[test]
        fn a_printed_long_number_reads_back(n: u64) {
            prop_assert_eq!(parse_u64(Decimal::new(n).as_bytes()), Some(n));
        }

        #[test]
        fn decimal_prints_as_the_standard_library_does(n: u64) {
            let expected = n.to_string();
            let decimal = Decimal::new(n);
            prop_assert_eq!(decimal.as_bytes(), expected.as_bytes());
        }
    }
}
