//! Bytes in texts. Pure.

/// Where `wanted` is in `bytes` first. It looks at a word at a time.
pub fn first(bytes: &[u8], wanted: u8) -> Option<usize> {
    const SIZE: usize = size_of::<usize>();
    const ONES: usize = usize::MAX / 255;
    const HIGH: usize = ONES << 7;
    let (words, rest) = bytes.split_at(bytes.len() / SIZE * SIZE);
    for (i, word) in words.chunks_exact(SIZE).enumerate() {
        // Zero where it is. A borrow can mark bytes above the first zero wrongly, never below.
        let word = usize::from_le_bytes(word.try_into().unwrap_or_default()) ^ (ONES * usize::from(wanted));
        let zeros = word.wrapping_sub(ONES) & !word & HIGH;
        if zeros != 0 {
            return Some(i * SIZE + zeros.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|byte| *byte == wanted).map(|at| words.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_place_is_found() {
        for length in 0..40 {
            let mut bytes = vec![b'x'; length];
            assert_eq!(first(&bytes, b'\n'), None);
            for at in (0..length).rev() {
                bytes[at] = b'\n';
                assert_eq!(first(&bytes, b'\n'), Some(at));
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_where_a_plain_search_finds_it(bytes in prop::collection::vec(any::<u8>(), 0..300), wanted: u8) {
            prop_assert_eq!(first(&bytes, wanted), bytes.iter().position(|byte| *byte == wanted));
        }

        #[test]
        fn bytes_that_differ_in_one_bit_are_not_taken_for_it(bytes in prop::collection::vec(8u8..13, 0..40)) {
            prop_assert_eq!(first(&bytes, b'\n'), bytes.iter().position(|byte| *byte == b'\n'));
        }
    }
}
