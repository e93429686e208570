//! TAI64N time stamps: the labels that s6 writes to disk and wire.

use super::number::Decimal;

/// TAI is ahead of UTC by 10 s and the 27 leap seconds inserted since 1972 (the last in 2017): the label of a unix time
/// is 2^62 + 37 + time. s6 applies the same constant to all times since 2017.
const OFFSET: u64 = (1 << 62) + 37;

/// A stamp: label seconds, nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Stamp {
    /// TAI64 label: 2^62 is the beginning of 1970 TAI.
    pub sec: u64,
    /// Nanoseconds, below 10^9.
    pub nano: u32,
}

impl Stamp {
    /// Size on disk.
    pub const SIZE: usize = 12;

    /// The stamp of a wall-clock time.
    pub fn from_unix(sec: u64, nano: u32) -> Stamp {
        Stamp { sec: sec.wrapping_add(OFFSET), nano }
    }

    /// Now.
    pub fn now() -> Stamp {
        let (sec, nano) = crate::sys::time::wall();
        Stamp::from_unix(sec, nano)
    }

    /// Later by `nanos`.
    pub fn plus(self, nanos: u64) -> Stamp {
        let total = u64::from(self.nano) + nanos % 1_000_000_000;
        Stamp {
            sec: self.sec.saturating_add(nanos / 1_000_000_000).saturating_add(total / 1_000_000_000),
            nano: (total % 1_000_000_000) as u32,
        }
    }

    /// Whole seconds from `earlier` to this, 0 if it is in the future.
    pub fn seconds_since(self, earlier: Stamp) -> u64 {
        match self.sec.checked_sub(earlier.sec) {
            Some(s) if self.nano >= earlier.nano => s,
            Some(s) => s.saturating_sub(1),
            None => 0,
        }
    }

    /// Twelve bytes, big-endian.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        out[..8].copy_from_slice(&self.sec.to_be_bytes());
        out[8..].copy_from_slice(&self.nano.to_be_bytes());
        out
    }

    /// From twelve bytes, big-endian. Nanoseconds are taken as they are.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Stamp {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        Stamp { sec: u64::from_be_bytes([a, b, c, d, e, f, g, h]), nano: u32::from_be_bytes([i, j, k, l]) }
    }

    /// From the text form at the beginning of `text`; as s6 does, it does not mind what follows. `None`: there is none,
    /// or it has a billion nanoseconds or more.
    pub fn from_text(text: &[u8]) -> Option<Stamp> {
        let mut bytes = [0; Self::SIZE];
        let digits = text.strip_prefix(b"@")?.get(..2 * Self::SIZE)?;
        for (byte, digits) in bytes.iter_mut().zip(digits.chunks(2)) {
            for digit in digits {
                *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
            }
        }
        Some(Stamp::from_bytes(&bytes)).filter(|stamp| stamp.nano < 1_000_000_000)
    }

    /// The text form: `@` and 24 lower-case hex digits.
    pub fn to_text(self) -> [u8; 25] {
        let mut out = [b'@'; 25];
        for (i, byte) in self.to_bytes().iter().enumerate() {
            out[1 + 2 * i] = b"0123456789abcdef"[usize::from(byte >> 4)];
            out[2 + 2 * i] = b"0123456789abcdef"[usize::from(byte & 15)];
        }
        out
    }
}

/// Nanoseconds as seconds with six decimals, the way the kernel stamps its log: `12.345678`.
pub fn kernel_style(nanos: u64) -> ([u8; 24], usize) {
    let mut out = [0u8; 24];
    let whole = Decimal::new(nanos / 1_000_000_000);
    let n = whole.as_bytes().len().min(16);
    out[..n].copy_from_slice(&whole.as_bytes()[..n]);
    out[n] = b'.';
    let mut micros = nanos % 1_000_000_000 / 1000;
    for i in (0..6).rev() {
        out[n + 1 + i] = b'0' + (micros % 10) as u8;
        micros /= 10;
    }
    (out, n + 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_label_is_37_seconds_ahead_of_unix_time() {
        assert_eq!(Stamp::from_unix(1_795_339_528, 0x0126_b974).to_text(), *b"@400000006b02b52d0126b974");
    }

    #[test]
    fn a_text_is_a_stamp_if_it_begins_with_all_digits() {
        let stamp = Some(Stamp { sec: 0x4000_0000_6b09_8bdd, nano: 0x2bfa_5d34 });
        for text in ["@400000006b098bdd2bfa5d34", "@400000006B098BDD2BFA5D34", "@400000006b098bdd2bfa5d34 and more"] {
            assert_eq!(Stamp::from_text(text.as_bytes()), stamp, "{text}");
        }
        let over = "@400000006b098bdd3b9aca00"; // a billion
        for text in ["", "@", "400000006b098bdd2bfa5d34", "@400000006b098bdd2bfa5d3", "@40000000zb098bdd2bfa5d34", over]
        {
            assert_eq!(Stamp::from_text(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn kernel_style_has_six_decimals() {
        let (text, n) = kernel_style(12_000_345_999);
        assert_eq!(&text[..n], b"12.000345");
    }

    proptest! {
        #[test]
        fn bytes_read_back(sec: u64, nano in 0u32..1_000_000_000) {
            let stamp = Stamp { sec, nano };
            prop_assert_eq!(Stamp::from_bytes(&stamp.to_bytes()), stamp);
            prop_assert_eq!(Stamp::from_text(&stamp.to_text()), Some(stamp));
        }

        #[test]
        fn plus_and_seconds_since_agree(sec in 0u64..1 << 62, nano in 0u32..1_000_000_000, delta in 0u64..1 << 60) {
            let stamp = Stamp { sec, nano };
            prop_assert_eq!(stamp.plus(delta).seconds_since(stamp), delta / 1_000_000_000);
            prop_assert!(stamp.plus(delta).nano < 1_000_000_000);
        }
    }
}
