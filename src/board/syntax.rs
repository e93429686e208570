//! TOML, one header or one `key = value` at a time, over toml_parser's lexer. Pure.
//!
//! The grammar is here, not toml_parser's own, so that no token table is needed (a file may be one big array), nesting
//! costs no stack, and a mistake costs the line it is in: what is not closed (a bracket, a multi-line string) ends with
//! its first line instead of swallowing the file. Of arrays the strings are read. Inline tables, arrays in arrays, floats
//! and dates are recognised and skipped: no key of a board wants one.

use super::diagnostic::Mistake;
use super::line::{Fault, Line, Result};
use super::string::{self, Wrong};
use crate::limits::BOARD_ARRAY;
use core::str::from_utf8;
use heapless::Vec;
use toml_parser::lexer::TokenKind;

/// A dotted key or table name, decoded. Only the first parts are kept: none of ours has more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Path<'a> {
    parts: [&'a str; 2],
    count: usize,
}

impl<'a> Path<'a> {
    fn push(&mut self, part: &'a str) {
        if let Some(slot) = self.parts.get_mut(self.count) {
            *slot = part;
        }
        self.count += 1;
    }

    /// The name, if it has one part.
    pub fn one(&self) -> Option<&'a str> {
        if self.count == 1 { Some(self.parts[0]) } else { None }
    }

    /// Both parts, if it has two.
    pub fn two(&self) -> Option<(&'a str, &'a str)> {
        if self.count == 2 { Some((self.parts[0], self.parts[1])) } else { None }
    }
}

/// What follows the `=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// A string, decoded.
    Text(&'a str),
    /// An integer from 0 to 2^32 - 1.
    Number(u32),
    /// `true` or `false`
    Flag(bool),
    /// An array: what is in it is in [`Parser::list`].
    List,
    /// Anything else.
    Other,
}

/// What is in an array.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct List<'a> {
    /// The first [`BOARD_ARRAY`] elements.
    pub elements: Vec<Element<'a>, BOARD_ARRAY>,
    /// There are more.
    pub more: bool,
}

/// An element of an array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// Where it is in the file.
    pub at: usize,
    /// How it is written there.
    pub read: &'a str,
    /// The string that it is, if it is one.
    pub text: Option<&'a str>,
}

/// A piece of the file. `at` counts bytes from its beginning; `read` is how it is written there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// `[path]`, or `[[path]]`
    Header {
        /// Where its brackets begin.
        at: usize,
        /// Two brackets.
        array: bool,
        /// What is in them.
        path: Path<'a>,
        /// See above.
        read: &'a str,
    },
    /// `path = value`
    Pair {
        /// Where the key begins.
        at: usize,
        /// The key.
        path: Path<'a>,
        /// How the key is written.
        read: &'a str,
        /// Where the value begins.
        value_at: usize,
        /// The value.
        value: Value<'a>,
        /// How the value is written.
        value_read: &'a str,
    },
    /// A line that is neither.
    Broken {
        /// Where the mistake is.
        at: usize,
        /// It was to be a header: what table the next lines are for is not known.
        header: bool,
        /// What is wrong.
        mistake: Mistake<'a>,
    },
}

/// The file, being read.
pub struct Parser<'a> {
    text: &'a [u8],
    /// How far it has been read.
    at: usize,
    /// Valid UTF-8 from `base` to the beginning of a line that is not, or to the end.
    segment: &'a str,
    base: usize,
    /// The first byte that is not UTF-8, in the line after the segment.
    bad: Option<usize>,
    /// Room for strings with escapes.
    scratch: &'a mut [u8],
    list: List<'a>,
}

const LINE_IGNORED: &str = "the line is ignored";
const TABLE_IGNORED: &str = "the lines up to the next header are ignored";

impl<'a> Parser<'a> {
    /// Reads `text`; strings with escapes are decoded into `scratch`.
    pub fn new(text: &'a [u8], scratch: &'a mut [u8]) -> Parser<'a> {
        let mut parser = Parser { text, at: 0, segment: "", base: 0, bad: None, scratch, list: List::default() };
        if text.starts_with(b"\xef\xbb\xbf") {
            parser.at = 3;
        }
        parser.open_segment();
        parser
    }

    /// What is in the array that the last pair had as its value.
    pub fn list(&self) -> &List<'a> {
        &self.list
    }

    fn open_segment(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.base = self.at;
        self.bad = None;
        self.segment = from_utf8(rest).unwrap_or_else(|e| {
            let (valid, _) = rest.split_at(e.valid_up_to());
            self.bad = Some(self.base + valid.len());
            let lines = valid.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
            from_utf8(&valid[..lines]).unwrap_or_default()
        });
    }

    /// The line after the segment, if there is one: it is not UTF-8.
    fn bad_line(&mut self) -> Option<Item<'a>> {
        let at = self.bad?;
        let header = looks_like_header(self.text.get(self.at..).unwrap_or_default());
        let rest = self.text.get(at..).unwrap_or_default();
        self.at = at + rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |newline| newline + 1);
        self.open_segment();
        let now = if header { TABLE_IGNORED } else { LINE_IGNORED };
        let mistake = Mistake { subject: "the line", read: "", wrong: "holds a byte that is not UTF-8", now };
        Some(Item::Broken { at, header, mistake })
    }

    /// One header, one pair, or nothing but blanks and a comment; to the end of its line.
    fn item(&mut self, line: &mut Line<'a>, offset: usize) -> Result<'a, Option<Item<'a>>> {
        line.blanks();
        let at = line.start();
        let item = match line.kind() {
            TokenKind::Comment | TokenKind::Newline | TokenKind::Eof => None,
            TokenKind::LeftSquareBracket => {
                line.advance();
                let array = line.kind() == TokenKind::LeftSquareBracket;
                if array {
                    line.advance();
                }
                let path = self.path(line)?;
                for _ in 0..=usize::from(array) {
                    if line.kind() != TokenKind::RightSquareBracket {
                        let wrong = if array { "does not end in ]]" } else { "does not end in ]" };
                        return Err(line.fault("the table header", line.since(at), wrong));
                    }
                    line.advance();
                }
                Some(Item::Header { at: offset + at, array, path, read: line.since(at) })
            }
            _ => {
                let path = self.path(line)?;
                let read = line.since(at);
                if line.kind() != TokenKind::Equals {
                    return Err(line.fault("the key", read, "is not followed by ="));
                }
                line.advance();
                line.blanks();
                let value_at = line.start();
                let value = match line.kind() {
                    TokenKind::LeftSquareBracket => self.array(line, offset)?,
                    _ => self.value(line)?,
                };
                let value_read = line.since(value_at);
                Some(Item::Pair { at: offset + at, path, read, value_at: offset + value_at, value, value_read })
            }
        };
        line.blanks();
        if line.kind() == TokenKind::Comment {
            line.advance();
        }
        match line.kind() {
            TokenKind::Newline | TokenKind::Eof => line.advance(),
            _ => return Err(line.fault("the text", line.rest_of_line(), "does not belong there")),
        }
        Ok(item)
    }

    /// Reads an array into the list. `offset` is where the line begins.
    fn array(&mut self, line: &mut Line<'a>, offset: usize) -> Result<'a, Value<'a>> {
        let at = line.start();
        skip_nested(line)?;
        self.list.elements.clear();
        self.list.more = false;
        let mut inner = Line::new(line.since(at));
        match self.elements(&mut inner, offset + at) {
            Ok(()) => Ok(Value::List),
            Err(fault) => Err(Fault { at: at + fault.at, resume: line.end_of_line(), ..fault }),
        }
    }

    /// Reads what is in brackets that are known to be closed; the first of them is at hand.
    fn elements(&mut self, line: &mut Line<'a>, offset: usize) -> Result<'a, ()> {
        line.advance();
        loop {
            blank_lines(line);
            if line.kind() == TokenKind::RightSquareBracket {
                return Ok(());
            }
            let at = line.start();
            let text = match self.value(line)? {
                Value::Text(text) => Some(text),
                _ => None,
            };
            let element = Element { at: offset + at, read: line.since(at), text };
            self.list.more |= self.list.elements.push(element).is_err();
            blank_lines(line);
            match line.kind() {
                TokenKind::Comma => line.advance(),
                TokenKind::RightSquareBracket => return Ok(()),
                _ => return Err(line.fault("the text", line.rest_of_line(), "does not belong there")),
            }
        }
    }

    /// A value; what is in brackets or braces is skipped.
    fn value(&mut self, line: &mut Line<'a>) -> Result<'a, Value<'a>> {
        match line.kind() {
            TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString => self.string(line).map(Value::Text),
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => skip_nested(line).map(|()| Value::Other),
            TokenKind::Atom | TokenKind::Dot => {
                let at = line.start();
                while matches!(line.kind(), TokenKind::Atom | TokenKind::Dot) {
                    line.advance();
                }
                let word = line.since(at);
                plain(word).ok_or_else(|| Fault {
                    at,
                    ..line.fault("the value", word, "is no value (strings are written in quotes)")
                })
            }
            TokenKind::Newline | TokenKind::Comment | TokenKind::Eof => {
                Err(line.fault("the key", "", "has no value after its ="))
            }
            _ => Err(line.fault("the text", line.rest_of_line(), "is no value")),
        }
    }

    /// Consumes the string token at hand and decodes it.
    fn string(&mut self, line: &mut Line<'a>) -> Result<'a, &'a str> {
        let word = line.word();
        let at = line.start();
        let wrong = match string::decode(word, &mut self.scratch) {
            Ok(text) => {
                line.advance();
                return Ok(text);
            }
            Err(wrong) => wrong,
        };
        if wrong != Wrong::Open {
            line.advance();
        }
        let (offset, wrong) = match wrong {
            // The token may have swallowed the rest of the file: it costs its first line only.
            Wrong::Open => (0, "is not closed"),
            Wrong::Full => (0, "is one too many with escapes"),
            Wrong::Character(offset) => (offset, "has a character or an escape that it may not have"),
        };
        Err(Fault { at: at + offset, ..line.fault("the string", word, wrong) })
    }

    /// A key or table name: parts with dots between them.
    fn path(&mut self, line: &mut Line<'a>) -> Result<'a, Path<'a>> {
        let mut path = Path::default();
        loop {
            line.blanks();
            let word = line.word();
            match line.kind() {
                TokenKind::Atom => {
                    if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                        return Err(line.fault("the key", word, "has characters that need quotes"));
                    }
                    path.push(word);
                    line.advance();
                }
                TokenKind::BasicString | TokenKind::LiteralString => path.push(self.string(line)?),
                _ => return Err(line.fault("the text", line.rest_of_line(), "begins where a key should be")),
            }
            line.blanks();
            if line.kind() != TokenKind::Dot {
                return Ok(path);
            }
            line.advance();
        }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let rest = self.segment.get(self.at - self.base..).unwrap_or_default();
            if rest.is_empty() {
                return self.bad_line();
            }
            let offset = self.at;
            let mut line = Line::new(rest);
            match self.item(&mut line, offset) {
                Ok(item) => {
                    self.at = offset + line.end;
                    if item.is_some() {
                        return item;
                    }
                }
                Err(fault) => {
                    self.at = offset + fault.resume.max(1);
                    let header = looks_like_header(rest.as_bytes());
                    let now = if header { TABLE_IGNORED } else { LINE_IGNORED };
                    let mistake = Mistake { now, ..fault.mistake };
                    return Some(Item::Broken { at: offset + fault.at, header, mistake });
                }
            }
        }
    }
}

/// Passes over what may be between the elements of an array.
fn blank_lines(line: &mut Line<'_>) {
    while matches!(line.kind(), TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment) {
        line.advance();
    }
}

/// Skips an array or inline table. If it is not closed, or a `key =` comes inside an array, it ends with its first line.
fn skip_nested<'a>(line: &mut Line<'a>) -> Result<'a, ()> {
    let at = line.start();
    let resume = line.end_of_line();
    let (mut brackets, mut braces) = (0usize, 0usize);
    loop {
        let mut closed = true;
        match line.kind() {
            TokenKind::LeftSquareBracket => brackets += 1,
            TokenKind::LeftCurlyBracket => braces += 1,
            TokenKind::RightSquareBracket => brackets = brackets.saturating_sub(1),
            TokenKind::RightCurlyBracket => braces = braces.saturating_sub(1),
            TokenKind::Equals => closed = braces > 0,
            TokenKind::Eof => closed = false,
            _ => closed = line.string_is_closed(),
        }
        if !closed {
            return Err(Fault { at, resume, ..line.fault("the value", line.since(at), "is not closed") });
        }
        line.advance();
        if brackets + braces == 0 {
            return Ok(());
        }
    }
}

/// Whether a broken line may have been meant as a header: a bracket comes before what ends a key.
fn looks_like_header(line: &[u8]) -> bool {
    line.iter().find(|byte| b"[]=#\n".contains(byte)).is_some_and(|byte| matches!(byte, b'[' | b']'))
}

/// A value without quotes or brackets: `None` if it is none at all.
fn plain(word: &str) -> Option<Value<'static>> {
    match word {
        "true" => return Some(Value::Flag(true)),
        "false" => return Some(Value::Flag(false)),
        "inf" | "nan" => return Some(Value::Other),
        _ => {}
    }
    let first = *word.as_bytes().first()?;
    if !first.is_ascii_digit() && first != b'+' && first != b'-' {
        return None;
    }
    Some(integer(word.as_bytes()).map_or(Value::Other, Value::Number))
}

/// TOML's integers: `+17`, `1_000`, `0x1f`, `0o17`, `0b1`. `None`: something else, or too large, or negative.
fn integer(word: &[u8]) -> Option<u32> {
    let (digits, radix) = match word {
        [b'0', b'x', digits @ ..] => (digits, 16),
        [b'0', b'o', digits @ ..] => (digits, 8),
        [b'0', b'b', digits @ ..] => (digits, 2),
        [b'0', _, ..] | [b'+', b'0', _, ..] => return None,
        [b'+', digits @ ..] => (digits, 10),
        digits => (digits, 10),
    };
    let mut after_digit = false;
    let mut sum = 0u32;
    for byte in digits {
        if *byte == b'_' && after_digit {
            after_digit = false;
            continue;
        }
        sum = sum.checked_mul(radix)?.checked_add(char::from(*byte).to_digit(radix)?)?;
        after_digit = true;
    }
    after_digit.then_some(sum)
}
