//! A mistake in a board config, as a sentence: what was read, what is wrong with it, what happens now.

use crate::text::quote::Printable;
use core::fmt;

/// A mistake, displayed as `LINE:COLUMN: sentence`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Diagnostic<'a> {
    /// Line, from 1.
    pub line: u32,
    /// Column, in characters, from 1.
    pub column: u32,
    /// The mistake.
    pub mistake: Mistake<'a>,
}

/// A sentence without its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mistake<'a> {
    /// What it is about: a key, or a word like `table`.
    pub subject: &'static str,
    /// What the file says, as it is written there; empty if that does not matter.
    pub read: &'a str,
    /// What is wrong with it.
    pub wrong: &'static str,
    /// What happens now.
    pub now: &'static str,
}

/// Bytes of the file that a sentence quotes at most.
const QUOTED: usize = 60;

impl fmt::Display for Diagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake { subject, read, wrong, now } = self.mistake;
        write!(f, "{}:{}: {subject} ", self.line, self.column)?;
        if !read.is_empty() {
            let bytes = read.as_bytes();
            let line = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len());
            let shown = bytes.get(..line.min(QUOTED)).unwrap_or_default();
            let mark = if shown.len() < bytes.len() { "... " } else { " " };
            // A backslash stands for itself here, as it does in the file.
            for (i, part) in shown.split(|byte| *byte == b'\\').enumerate() {
                write!(f, "{}{}", if i > 0 { "\\" } else { "" }, Printable(part))?;
            }
            f.write_str(mark)?;
        }
        write!(f, "{wrong}; {now}")
    }
}

/// Line and column of byte `at`, from 1; columns count characters (the bytes that begin one).
pub fn position(text: &[u8], at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let column = before[start..].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    (line as u32 + 1, column as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "ab\nné = 1\n".as_bytes();
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, 2), (1, 3));
        assert_eq!(position(text, 3), (2, 1));
        assert_eq!(position(text, 7), (2, 4));
        assert_eq!(position(text, 99), (3, 1));
    }

    #[test]
    fn a_sentence_quotes_one_line_and_not_all_of_it() {
        let show = |read: &str| {
            let mistake = Mistake { subject: "key", read, wrong: "is not known", now: "it is ignored" };
            Diagnostic { line: 3, column: 7, mistake }.to_string()
        };
        assert_eq!(show(""), "3:7: key is not known; it is ignored");
        assert_eq!(show("moed"), "3:7: key moed is not known; it is ignored");
        assert_eq!(show("a\\b\x1b"), "3:7: key a\\b\\x1b is not known; it is ignored");
        assert_eq!(show("a\nb"), "3:7: key a... is not known; it is ignored");
        assert_eq!(show(&"é".repeat(40)).matches("\\xc3\\xa9").count(), 30);
    }
}
