//! Lines on their way to a pipe that others write to as well: a line that fits what the kernel writes in one piece is
//! written in one piece. So no other's line comes between, and who is killed leaves no half of one.

use crate::limits::PIPE_PIECE;

/// What has not been written yet.
pub struct Whole {
    bytes: [u8; PIPE_PIECE],
    length: usize,
    /// How much of it is whole lines, or the end of one of which a part is written already.
    whole: usize,
}

impl Whole {
    /// Nothing.
    pub const fn new() -> Whole {
        Whole { bytes: [0; PIPE_PIECE], length: 0, whole: 0 }
    }

    /// Adds bytes, with the newlines that are in them. `write` is to write all that it is given, at most [`PIPE_PIECE`]
    /// bytes; its errors are passed on.
    pub fn put<E>(&mut self, mut bytes: &[u8], write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.length == PIPE_PIECE {
                // A line that does not fit goes as it comes.
                let piece = if self.whole > 0 { self.whole } else { PIPE_PIECE };
                self.write(piece, write)?;
            }
            let room = self.bytes.get_mut(self.length..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            room.get_mut(..count).unwrap_or_default().copy_from_slice(now);
            if let Some(newline) = now.iter().rposition(|byte| *byte == b'\n') {
                self.whole = self.length + newline + 1;
            }
            self.length += count;
            bytes = later;
        }
        Ok(())
    }

    /// Writes the lines that are whole. See [`Whole::put`].
    pub fn flush<E>(&mut self, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        if self.whole == 0 { Ok(()) } else { self.write(self.whole, write) }
    }

    fn write<E>(&mut self, count: usize, write: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        write(self.bytes.get(..count).unwrap_or_default())?;
        self.bytes.copy_within(count..self.length, 0);
        self.length -= count;
        self.whole = self.whole.saturating_sub(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(input: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut whole, mut written) = (Whole::new(), Vec::new());
        let mut write = |piece: &[u8]| -> Result<(), ()> {
            written.push(piece.to_vec());
            Ok(())
        };
        for bytes in input {
            whole.put(bytes, &mut write).unwrap();
        }
        whole.flush(&mut write).unwrap();
        assert!(whole.length == 0 || !input.concat().ends_with(b"\n"));
        written
    }

    #[test]
    fn many_lines_are_one_piece_and_half_a_line_waits() {
        assert_eq!(pieces(&[b"a\nb\n", b"c"]), [b"a\nb\n"]);
        assert_eq!(pieces(&[b"a"]), [[0u8; 0]; 0]);
    }

    #[test]
    fn a_line_longer_than_a_piece_goes_as_it_comes() {
        let long = vec![b'x'; 2 * PIPE_PIECE + 5];
        let written = pieces(&[b"a\n", &long, b"\nb\n"]);
        let lengths: Vec<usize> = written.iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, PIPE_PIECE, PIPE_PIECE, 8]);
    }

    proptest! {
        #[test]
        fn all_is_written_once_and_lines_that_fit_in_one_piece(
            lengths in proptest::collection::vec(0usize..6000, 1..12), step in 1usize..5000,
        ) {
            let lines: Vec<Vec<u8>> = lengths.iter().zip(b'a'..).map(|(n, byte)| [vec![byte; *n], vec![b'\n']].concat()).collect();
            let all = lines.concat();
            let written = pieces(&all.chunks(step).collect::<Vec<_>>());
            prop_assert_eq!(&written.concat(), &all);
            prop_assert!(written.iter().all(|piece| piece.len() <= PIPE_PIECE));
            let mut ends = Vec::new();
            written.iter().fold(0, |at, piece| { ends.push(at + piece.len()); at + piece.len() });
            let mut at = 0;
            for line in &lines {
                let end = at + line.len();
                if line.len() <= PIPE_PIECE {
                    prop_assert!(!ends.iter().any(|cut| (at + 1..end).contains(cut)), "a line was cut");
                }
                at = end;
            }
        }
    }
}
