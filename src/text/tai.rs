//! TAI64N time stamps: the labels that s6 writes to disk and wire.

use super::number::Decimal;

/// The label of a unix time, less that time and the leap seconds inserted before it: TAI was ahead of UTC by 10 s when
/// leap seconds began.
const OFFSET: u64 = (1 << 62) + 10;

/// The unix times that began right after an inserted second: 1972-07-01, ..., 2017-01-01. s6 has the same. A new
/// one needs a new build; since 2016 none has been announced, and there is to be none after 2035.
#[rustfmt::skip]
const LEAPS: [u32; 27] = [
    78_796_800, 94_694_400, 126_230_400, 157_766_400, 189_302_400, 220_924_800, 252_460_800, 283_996_800, 315_532_800,
    362_793_600, 394_329_600, 425_865_600, 489_024_000, 567_993_600, 631_152_000, 662_688_000, 709_948_800, 741_484_800,
    773_020_800, 820_454_400, 867_715_200, 915_148_800, 1_136_073_600, 1_230_768_000, 1_341_100_800, 1_435_708_800,
    1_483_228_800,
];

/// How many leap seconds were inserted before a unix time.
fn leaps_before(unix: u64) -> u64 {
    if unix >= u64::from(LEAPS[LEAPS.len() - 1]) {
        return LEAPS.len() as u64;
    }
    LEAPS.iter().take_while(|leap| unix >= u64::from(**leap)).count() as u64
}

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
        Stamp { sec: sec.wrapping_add(OFFSET + leaps_before(sec)), nano }
    }

    /// The unix time of its seconds, and whether they are the inserted one after that: 23:59:60 in UTC. `None`: it is
    /// before 1970 UTC, or no TAI64 label (2^63 and more).
    pub fn to_unix(self) -> Option<(u64, bool)> {
        let since = self.since_1970().filter(|since| *since < 1 << 62)?;
        // Each entry is reached as many seconds later as there were leap seconds before it.
        let reached = |(i, leap): (u64, &u32)| since >= u64::from(*leap) + i;
        let inserted = (0..).zip(&LEAPS).take_while(|entry| reached(*entry)).count() as u64;
        let unix = since - inserted;
        let is_leap = inserted > 0 && leaps_before(unix) < inserted;
        Some((unix, is_leap))
    }

    /// Seconds since 1970, leap seconds included: what the clock of a machine counts whose zone is one of `right/`.
    pub fn since_1970(self) -> Option<u64> {
        self.sec.checked_sub(OFFSET)
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
    fn times_before_2017_have_as_many_leap_seconds_as_were_inserted_then() {
        for (unix, ahead) in [(0, 10), (78_796_799, 10), (78_796_800, 11), (1_483_228_799, 36), (1_483_228_800, 37)] {
            assert_eq!(Stamp::from_unix(unix, 0).sec, (1 << 62) + unix + ahead, "{unix}");
        }
        for (i, leap) in (0..).zip(LEAPS) {
            let (before, after) = (Stamp::from_unix(u64::from(leap) - 1, 0), Stamp::from_unix(leap.into(), 0));
            assert_eq!(after.sec - before.sec, 2, "an inserted second lies between");
            assert_eq!(before.sec, (1 << 62) + 10 + u64::from(leap) - 1 + i);
            let between = Stamp { sec: before.sec + 1, nano: 0 };
            assert_eq!(between.to_unix(), Some((u64::from(leap) - 1, true)));
            assert_eq!(leap % 86_400, 0, "they are inserted at midnight");
        }
    }

    #[test]
    fn a_label_before_1970_or_beyond_the_last_is_no_unix_time() {
        let unix = |sec| Stamp { sec, nano: 0 }.to_unix();
        for sec in [0, 1 << 62, (1 << 62) + 9, u64::MAX] {
            assert_eq!(unix(sec), None, "{sec:x}");
        }
        assert_eq!(unix((1 << 62) + 10), Some((0, false)));
        assert_eq!(unix((1 << 63) - 1), Some(((1 << 62) - 1 - 37, false)));
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
        fn a_unix_time_reads_back(sec in prop_oneof![0u64..1 << 31, 0u64..(1 << 62) - 37]) {
            prop_assert_eq!(Stamp::from_unix(sec, 0).to_unix(), Some((sec, false)));
        }

        #[test]
        fn plus_and_seconds_since_agree(sec in 0u64..1 << 62, nano in 0u32..1_000_000_000, delta in 0u64..1 << 60) {
            let stamp = Stamp { sec, nano };
            prop_assert_eq!(stamp.plus(delta).seconds_since(stamp), delta / 1_000_000_000);
            prop_assert!(stamp.plus(delta).nano < 1_000_000_000);
        }
    }
}
