//! Bytes in texts, looked for a word at a time. Pure.

const WORD: usize = size_of::<usize>();
const ONES: usize = usize::MAX / 255;
const HIGHS: usize = ONES << 7;
const NEWLINES: usize = ONES * b'\n' as usize;

/// Bit 7 of a byte is set in the answer if the byte is zero; above one that is, others may be set too.
const fn zeros(word: usize) -> usize {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// The place of the first byte that `found` marks in words, or that is `wanted`.
#[inline(always)]
fn search(bytes: &[u8], found: impl Fn(usize) -> usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut rest = bytes;
    while let Some((word, more)) = rest.split_first_chunk::<WORD>() {
        let found = found(usize::from_le_bytes(*word));
        if found != 0 {
            // What is marked above the lowest one may be none.
            return Some(bytes.len() - rest.len() + found.trailing_zeros() as usize / 8);
        }
        rest = more;
    }
    rest.iter().position(|byte| wanted(*byte)).map(|place| bytes.len() - rest.len() + place)
}

/// The place of the first `wanted`.
pub fn first(bytes: &[u8], wanted: u8) -> Option<usize> {
    search(bytes, |word| zeros(word ^ (ONES * usize::from(wanted))), |byte| byte == wanted)
}

/// The place of the first newline or NUL.
pub fn line_end(bytes: &[u8]) -> Option<usize> {
    search(bytes, |word| zeros(word) | zeros(word ^ NEWLINES), |byte| matches!(byte, b'\n' | 0))
}

/// The place of the last `wanted`.
pub fn last(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().rposition(|byte| *byte == wanted)
}

/// How many bytes are `wanted`.
pub fn count(bytes: &[u8], wanted: u8) -> usize {
    const LOW: usize = !HIGHS;
    let mut count = 0;
    let mut rest = bytes;
    while let Some((word, more)) = rest.split_first_chunk::<WORD>() {
        let other = usize::from_le_bytes(*word) ^ (ONES * usize::from(wanted));
        // Of exactly those bytes that are zero bit 7 is set: no byte carries into the next.
        count += (!((other & LOW) + LOW | other | LOW)).count_ones() as usize;
        rest = more;
    }
    count + rest.iter().filter(|byte| **byte == wanted).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_end_is_found_wherever_it_is() {
        // None of these is an end, though bits of them look like one.
        let fill = [1, 9, 11, 0x80, 0x8a, 0xff, 0x0b, 0x1a, b'a'];
        for length in 0..70 {
            let text: Vec<u8> = (0..length).map(|i| fill[i * 7 % fill.len()]).collect();
            assert_eq!(line_end(&text), None);
            for place in 0..length {
                for end in [0, b'\n'] {
                    let mut text = text.clone();
                    text[place] = end;
                    assert_eq!(line_end(&text), Some(place), "of {length}");
                    if let Some(later) = text.get_mut(place + 1..) {
                        later.fill(end);
                    }
                    assert_eq!(line_end(&text), Some(place), "of {length}, and more");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_byte_is_found_where_a_plain_search_finds_it(
            bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(8u8..13, 0..40)],
            wanted in prop_oneof![Just(b'\n'), any::<u8>()],
        ) {
            prop_assert_eq!(first(&bytes, wanted), bytes.iter().position(|byte| *byte == wanted));
            prop_assert_eq!(last(&bytes, wanted), bytes.iter().rposition(|byte| *byte == wanted));
            prop_assert_eq!(count(&bytes, wanted), bytes.iter().filter(|byte| **byte == wanted).count());
        }
    }
}
