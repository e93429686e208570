//! Where lines begin and end: at a newline or a NUL, and where they get too long. Pure.

use crate::text::find::line_end;

/// A line, or a part of one that is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its first byte.
    pub from: usize,
    /// Behind its last.
    pub to: usize,
    /// There is a newline behind it; else the line goes on, as another one.
    pub ended: bool,
}

/// A walk over bytes, line by line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lines {
    start: usize,
    scanned: usize,
    limit: usize,
}

impl Lines {
    /// Begins with a line at byte 0, whose first `scanned` bytes do not end it. A line of more than `limit` bytes is split.
    pub fn new(scanned: usize, limit: usize) -> Lines {
        Lines { start: 0, scanned, limit }
    }

    /// Where the next line begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// The next line that is whole, or too long, within the first `upto` bytes. Behind one that has ended there is a
    /// newline afterwards, also if a NUL has ended it. `None`: the rest is the beginning of a line.
    pub fn next(&mut self, bytes: &mut [u8], upto: usize) -> Option<Piece> {
        let from = self.start;
        let window = self.start.saturating_add(self.limit).saturating_add(1).min(upto).min(bytes.len());
        let found = line_end(bytes.get(self.scanned..window).unwrap_or_default());
        if let Some(place) = found {
            let to = self.scanned + place;
            if let Some(end) = bytes.get_mut(to) {
                *end = b'\n';
            }
            (self.start, self.scanned) = (to + 1, to + 1);
            return Some(Piece { from, to, ended: true });
        }
        self.scanned = self.scanned.max(window);
        if window.saturating_sub(from) <= self.limit {
            return None;
        }
        self.start = from + self.limit;
        Some(Piece { from, to: self.start, ended: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes of a text that comes in these portions.
    fn split(text: &[u8], limit: usize, portions: &[usize]) -> (Vec<(Vec<u8>, bool)>, Vec<u8>) {
        let mut bytes = text.to_vec();
        let (mut lines, mut got, mut upto) = (Lines::new(0, limit), Vec::new(), 0);
        for portion in portions.iter().copied().chain([text.len()]) {
            upto = (upto + portion).min(text.len());
            while let Some(piece) = lines.next(&mut bytes, upto) {
                assert!(!piece.ended || bytes[piece.to] == b'\n');
                got.push((bytes[piece.from..piece.to].to_vec(), piece.ended));
            }
        }
        (got, bytes[lines.start()..].to_vec())
    }

    fn text(lines: &[(Vec<u8>, bool)]) -> Vec<String> {
        let of = |(line, ended): &(Vec<u8>, bool)| {
            format!("{}{}", String::from_utf8_lossy(line), if *ended { "" } else { "…" })
        };
        lines.iter().map(of).collect()
    }

    #[test]
    fn newlines_and_nuls_end_lines() {
        let (lines, rest) = split(b"a\0b\nc\0\0d\nrest", 100, &[]);
        assert_eq!(
            (text(&lines), rest),
            (vec!["a".into(), "b".into(), "c".into(), "".into(), "d".into()], b"rest".into())
        );
    }

    #[test]
    fn a_line_is_split_when_it_is_known_to_be_longer_than_the_limit() {
        assert_eq!(text(&split(b"12345\n", 5, &[]).0), ["12345"]);
        assert_eq!(text(&split(b"123456\n", 5, &[]).0), ["12345…", "6"]);
        assert_eq!(text(&split(b"1234512345\n", 5, &[]).0), ["12345…", "12345"]);
        assert_eq!(text(&split(b"12345123451\n", 5, &[]).0), ["12345…", "12345…", "1"]);
        let (lines, rest) = split(b"1234512345", 5, &[]);
        assert_eq!((text(&lines), rest), (vec!["12345…".to_string()], b"12345".to_vec()));
        assert_eq!(split(b"", 5, &[]), (vec![], vec![]));
    }

    #[test]
    fn without_a_limit_nothing_is_split() {
        let (lines, rest) = split(&[b'x'; 5000], usize::MAX, &[10, 10]);
        assert_eq!((lines.len(), rest.len()), (0, 5000));
    }

    /// The same, told simply.
    fn expected(text: &[u8], limit: usize) -> (Vec<(Vec<u8>, bool)>, Vec<u8>) {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        for byte in text {
            if matches!(byte, 0 | b'\n') {
                lines.push((std::mem::take(&mut line), true));
                continue;
            }
            if line.len() == limit {
                lines.push((std::mem::take(&mut line), false));
            }
            line.push(*byte);
        }
        (lines, line)
    }

    proptest! {
        #[test]
        fn however_bytes_come_the_same_lines_come_out(
            text in proptest::collection::vec(prop_oneof![Just(0u8), Just(b'\n'), Just(b'a'), Just(b'b'), Just(0x8a)], 0..300),
            limit in 1usize..40,
            portions in proptest::collection::vec(0usize..50, 0..20),
        ) {
            prop_assert_eq!(split(&text, limit, &portions), expected(&text, limit));
        }
    }
}
