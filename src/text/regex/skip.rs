//! Skipping what cannot be the beginning of a match, eight bytes at a time.

/// What a match begins with, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skip {
    /// With too many bytes.
    Nothing,
    /// With one of these (of which some may be the same).
    Byte([u8; 3]),
    /// With these two.
    Pair(u8, u8),
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The byte, eight times.
fn eight(byte: u8) -> u64 {
    u64::from(byte) * LOW
}

/// The high bits of bytes that are zero; above the lowest of them, of some others too.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Eight bytes of `text` from `at` on.
fn word(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

impl Skip {
    /// Where the next match may begin, from `at` on. `None`: nowhere.
    pub fn find(self, text: &[u8], at: usize) -> Option<usize> {
        match self {
            Skip::Nothing => Some(at),
            Skip::Byte([a, b, c]) if a == b && b == c => {
                let a8 = eight(a);
                scan(text, at, |at| Some(zeros(word(text, at)? ^ a8)), |at| text.get(at) == Some(&a))
            }
            Skip::Byte(bytes) => {
                let [a8, b8, c8] = bytes.map(eight);
                let eight = |at| {
                    let word = word(text, at)?;
                    Some(zeros(word ^ a8) | zeros(word ^ b8) | zeros(word ^ c8))
                };
                scan(text, at, eight, |at| text.get(at).is_some_and(|byte| bytes.contains(byte)))
            }
            Skip::Pair(a, b) => {
                let (a8, b8) = (eight(a), eight(b));
                let eight = |at| Some(zeros((word(text, at)? ^ a8) | (word(text, at + 1)? ^ b8)));
                scan(text, at, eight, |at| text.get(at) == Some(&a) && text.get(at + 1) == Some(&b))
            }
        }
    }
}

/// The first place from `at` on where `one` holds. `eight` looks at eight of them: the lowest bit is of the first.
#[inline(always)]
fn scan(
    text: &[u8],
    mut at: usize,
    eight: impl Fn(usize) -> Option<u64>,
    one: impl Fn(usize) -> bool,
) -> Option<usize> {
    while let Some(hits) = eight(at) {
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    (at..text.len()).find(|at| one(*at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_is_the_first(
            text in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(2), Just(128), Just(129), Just(255)], 0..40),
            bytes in prop::sample::subsequence(vec![0u8, 1, 2, 128, 129, 255], 3),
            at in 0usize..40,
        ) {
            let at = at.min(text.len());
            let first = |test: &dyn Fn(usize) -> bool| (at..text.len()).find(|at| test(*at));
            let [a, b, c] = bytes[..] else { unreachable!() };
            prop_assert_eq!(Skip::Byte([a; 3]).find(&text, at), first(&|at| text[at] == a));
            prop_assert_eq!(Skip::Byte([a, b, b]).find(&text, at), first(&|at| text[at] == a || text[at] == b));
            prop_assert_eq!(Skip::Byte([c, a, b]).find(&text, at), first(&|at| bytes.contains(&text[at])));
            for (a, b) in [(a, b), (b, a), (a, a)] {
                prop_assert_eq!(Skip::Pair(a, b).find(&text, at), first(&|at| text[at..].starts_with(&[a, b])));
            }
            prop_assert_eq!(Skip::Nothing.find(&text, at), Some(at));
        }
    }
}
