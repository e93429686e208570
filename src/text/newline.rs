//! Newlines in bytes, eight bytes at a time. Pure.

const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const NEWLINES: u64 = 0x0a0a_0a0a_0a0a_0a0a;

/// The highest bit of each byte of a word that is a newline, the first byte lowest.
fn marks(word: [u8; 8]) -> u64 {
    let other = u64::from_le_bytes(word) ^ NEWLINES;
    !((other & LOW).wrapping_add(LOW) | other | LOW)
}

/// Where the first newline is.
pub fn find(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.by_eight();
    for (i, word) in words.enumerate() {
        let found = marks(word);
        if found != 0 {
            return Some(8 * i + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| *byte == b'\n')?;
    Some(bytes.len() - rest.len() + at)
}

/// Where the last newline is.
pub fn find_last(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.by_eight();
    if let Some(at) = rest.iter().rposition(|byte| *byte == b'\n') {
        return Some(bytes.len() - rest.len() + at);
    }
    let (at, found) = words.enumerate().map(|(i, word)| (i, marks(word))).rfind(|(_, found)| *found != 0)?;
    Some(8 * at + 7 - found.leading_zeros() as usize / 8)
}

/// How many there are.
pub fn count(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.by_eight();
    words.map(|word| marks(word).count_ones() as usize).sum::<usize>()
        + rest.iter().filter(|byte| **byte == b'\n').count()
}

/// Whole words, and what is left.
trait Words {
    fn by_eight(&self) -> (impl ExactSizeIterator<Item = [u8; 8]> + DoubleEndedIterator, &[u8]);
}

impl Words for [u8] {
    fn by_eight(&self) -> (impl ExactSizeIterator<Item = [u8; 8]> + DoubleEndedIterator, &[u8]) {
        let chunks = self.chunks_exact(8);
        let rest = chunks.remainder();
        (chunks.map(|chunk| <[u8; 8]>::try_from(chunk).unwrap_or_default()), rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn newlines_are_found_and_counted(
            bytes in prop::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(0x8a), 1 => Just(0x0b)], 0..70),
        ) {
            prop_assert_eq!(find(&bytes), bytes.iter().position(|byte| *byte == b'\n'));
            prop_assert_eq!(find_last(&bytes), bytes.iter().rposition(|byte| *byte == b'\n'));
            prop_assert_eq!(count(&bytes), bytes.iter().filter(|byte| **byte == b'\n').count());
        }
    }
}
