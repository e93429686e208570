//! What is on a disk, as far as it must be known to find a file system there: its partitions' ids and names, and those of
//! the file systems. Pure: the disk is read by the caller.

pub mod filesystem;
pub mod partition;

use heapless::Vec;

/// Reads the disk: fills `room` from byte `offset` on; `false`: it cannot be read there.
pub type Read<'r> = dyn FnMut(u64, &mut [u8]) -> bool + 'r;

/// An id or a name, UTF-8 or whatever bytes its maker wrote. Longer ones are not found by their names.
pub type Text = Vec<u8, 128>;

/// A number from little-endian bytes; 0 where there are none.
fn little(bytes: &[u8], at: usize, len: usize) -> u64 {
    let bytes = bytes.get(at..at + len).unwrap_or_default();
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Appends a byte in hexadecimal.
fn push_hex(text: &mut Text, byte: u8, upper: bool) {
    for nibble in [byte >> 4, byte & 15] {
        let digit = char::from_digit(nibble.into(), 16).unwrap_or('0') as u8;
        let _ = text.push(if upper { digit.to_ascii_uppercase() } else { digit });
    }
}

/// Sixteen bytes as an id: `01234567-89ab-cdef-0123-456789abcdef`.
fn uuid(bytes: impl Iterator<Item = u8>) -> Text {
    let mut text = Text::new();
    for (at, byte) in bytes.take(16).enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            let _ = text.push(b'-');
        }
        push_hex(&mut text, byte, false);
    }
    text
}

/// A name in UTF-16, little-endian, up to its first zero. What is no UTF-16 becomes the replacement character.
fn utf16(bytes: &[u8]) -> Text {
    let units = bytes.chunks_exact(2).map(|unit| little(unit, 0, 2) as u16).take_while(|unit| *unit != 0);
    let mut text = Text::new();
    for read in char::decode_utf16(units) {
        let mut room = [0; 4];
        let bytes = read.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut room);
        if text.extend_from_slice(bytes.as_bytes()).is_err() {
            return Text::new(); // half a name is another one
        }
    }
    text
}

/// The CRC-32 of zlib, GPT and many others, of several pieces.
fn crc32(pieces: &[&[u8]]) -> u32 {
    let mut crc = !0u32;
    for byte in pieces.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
    }

    #[test]
    fn names_in_utf16_end_at_their_first_zero_and_are_never_cut() {
        let encode = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<std::vec::Vec<u8>>();
        assert_eq!(utf16(&encode("böot\0x")), "böot".as_bytes());
        assert_eq!(utf16(&[0x00, 0xd8, b'a', 0]), "\u{fffd}a".as_bytes());
        assert_eq!(utf16(&encode(&"é".repeat(64))).len(), 128);
        assert_eq!(utf16(&encode(&"é".repeat(65))).len(), 0);
    }
}
