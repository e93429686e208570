//! Where a line ends.

const WORD: usize = size_of::<usize>();
const ONES: usize = usize::MAX / 255;
const HIGHS: usize = ONES << 7;
const NEWLINES: usize = ONES * b'\n' as usize;

/// Bit 7 of a byte is set in the answer if the byte is zero; above one that is, others may be set too.
const fn zeros(word: usize) -> usize {
    word.wrapping_sub(ONES) & !word & HIGHS
}

fn word(bytes: &[u8]) -> usize {
    bytes.try_into().map_or(0, usize::from_ne_bytes)
}

fn ends(byte: &u8) -> bool {
    matches!(byte, b'\n' | 0)
}

/// The place of the first newline or NUL.
pub fn line_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Two words a turn.
    let mut pairs = bytes.chunks_exact(2 * WORD);
    for pair in &mut pairs {
        let (first, second) = pair.split_at(WORD);
        let (first, second) = (word(first), word(second));
        if (zeros(first) | zeros(first ^ NEWLINES) | zeros(second) | zeros(second ^ NEWLINES)) != 0 {
            return pair.iter().position(ends).map(|place| at + place);
        }
        at += 2 * WORD;
    }
    pairs.remainder().iter().position(ends).map(|place| at + place)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
