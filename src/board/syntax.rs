//! TOML, one header or one `key = value` at a time, over toml_parser's lexer and string decoder. Pure.
//!
//! The grammar is here, not toml_parser's own, so that no token table is needed (a file may be one big array), nesting
//! costs no stack, and a mistake costs the line it is in: what is not closed (a bracket, a multi-line string) ends with
//! its first line instead of swallowing the file. Arrays, inline tables, floats and dates are recognised and skipped:
//! no key of a board wants one.

use super::diagnostic::Mistake;
use core::str::from_utf8;
use toml_parser::Source;
use toml_parser::decoder::StringBuilder;
use toml_parser::lexer::{Lexer, Token, TokenKind};

/// A dotted key or table name, decoded, or empty if it cannot be one of ours (too long, dots inside a quoted part).
pub type Path = heapless::String<64>;

/// What follows the `=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// A string, decoded.
    Text(&'a str),
    /// An integer from 0 to 2^32 - 1.
    Number(u32),
    /// `true` or `false`
    Flag(bool),
    /// Anything else.
    Other,
}

/// A piece of the file. `at` counts bytes from its beginning; `read` is how it is written there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// `[path]`, or `[[path]]`
    Header {
        /// Where its brackets begin.
        at: usize,
        /// Two brackets.
        array: bool,
        /// What is in them.
        path: Path,
        /// See above.
        read: &'a str,
    },
    /// `path = value`
    Pair {
        /// Where the key begins.
        at: usize,
        /// The key.
        path: Path,
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
}

/// Why a line is [`Item::Broken`]; all offsets are within the segment.
struct Fault<'a> {
    at: usize,
    mistake: Mistake<'a>,
    /// Where to go on.
    resume: usize,
}

type Result<'a, T> = core::result::Result<T, Fault<'a>>;

const LINE_IGNORED: &str = "the line is ignored";
const TABLE_IGNORED: &str = "the lines up to the next header are ignored";

impl<'a> Parser<'a> {
    /// Reads `text`; strings with escapes are decoded into `scratch`.
    pub fn new(text: &'a [u8], scratch: &'a mut [u8]) -> Parser<'a> {
        let mut parser = Parser { text, at: 0, segment: "", base: 0, bad: None, scratch };
        if text.starts_with(b"\xef\xbb\xbf") {
            parser.at = 3;
        }
        parser.open_segment();
        parser
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
        let line = self.text.get(self.at..).unwrap_or_default();
        let header = line.iter().find(|byte| !matches!(byte, b' ' | b'\t')) == Some(&b'[');
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
                let path = path(line)?;
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
                let path = path(line)?;
                let read = line.since(at).trim_end_matches([' ', '\t']);
                if line.kind() != TokenKind::Equals {
                    return Err(line.fault("the key", read, "is not followed by ="));
                }
                line.advance();
                line.blanks();
                let value_at = line.start();
                let value = self.value(line)?;
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
                plain_value(word).ok_or_else(|| Fault {
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

    /// The string token at hand, decoded.
    fn string(&mut self, line: &mut Line<'a>) -> Result<'a, &'a str> {
        let buf = core::mem::take(&mut self.scratch);
        let mut text = Text { plain: "", buf, len: 0, copied: false, full: false };
        let decoded = line.decode(&mut text, |raw, out, sink| {
            let _ = raw.decode_scalar(out, sink);
        });
        let Text { plain, buf, len, copied, full } = text;
        let used = if decoded.is_ok() && copied && !full { len } else { 0 };
        let (used, free) = buf.split_at_mut(used);
        self.scratch = free;
        decoded?;
        match full {
            true => Err(line.fault("the string", "", "and those before it have too many escapes")),
            false if copied => Ok(from_utf8(used).unwrap_or_default()),
            false => Ok(plain),
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
            let header = rest.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('[');
            match self.item(&mut line, offset) {
                Ok(item) => {
                    self.at = offset + line.end;
                    if item.is_some() {
                        return item;
                    }
                }
                Err(fault) => {
                    self.at = offset + fault.resume.max(1);
                    let now = if header { TABLE_IGNORED } else { LINE_IGNORED };
                    let mistake = Mistake { now, ..fault.mistake };
                    return Some(Item::Broken { at: offset + fault.at, header, mistake });
                }
            }
        }
    }
}

/// A key or table name: parts with dots between them.
fn path<'a>(line: &mut Line<'a>) -> Result<'a, Path> {
    let mut key = Key { path: Path::new(), part: 0, ours: true };
    loop {
        line.blanks();
        match line.kind() {
            TokenKind::Atom => {
                let word = line.word();
                if !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                    return Err(line.fault("the key", word, "has characters that need quotes"));
                }
                key.push(word);
                line.advance();
            }
            TokenKind::BasicString | TokenKind::LiteralString => {
                line.decode(&mut key, |raw, out, sink| raw.decode_key(out, sink))?;
                key.ours &= !key.path.get(key.part..).unwrap_or_default().contains('.');
            }
            _ => return Err(line.fault("the text", line.rest_of_line(), "begins where a key should be")),
        }
        line.blanks();
        if line.kind() != TokenKind::Dot {
            return Ok(if key.ours { key.path } else { Path::new() });
        }
        line.advance();
        key.push(".");
        key.part = key.path.len();
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

/// A value without quotes or brackets: `None` if it is none at all.
fn plain_value<'a>(word: &str) -> Option<Value<'a>> {
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
    Some(integer(word).map_or(Value::Other, Value::Number))
}

/// TOML's integers: `+17`, `1_000`, `0x1f`, `0o17`, `0b1`. `None`: something else, or too large, or negative.
fn integer(word: &str) -> Option<u32> {
    let (digits, radix) = match word.as_bytes() {
        [b'0', b'x', ..] => (&word[2..], 16),
        [b'0', b'o', ..] => (&word[2..], 8),
        [b'0', b'b', ..] => (&word[2..], 2),
        [b'0', _, ..] | [b'+', b'0', _, ..] => return None,
        [b'+', ..] => (&word[1..], 10),
        _ => (word, 10),
    };
    let mut after_digit = false;
    let mut sum = 0u32;
    for c in digits.chars() {
        if c == '_' && after_digit {
            after_digit = false;
            continue;
        }
        sum = sum.checked_mul(radix)?.checked_add(c.to_digit(radix)?)?;
        after_digit = true;
    }
    after_digit.then_some(sum)
}

/// The tokens of a line (or of several, where a value has them), one of them at hand. Offsets are within `source`.
struct Line<'a> {
    source: Source<'a>,
    lexer: Lexer<'a>,
    token: Option<Token>,
    /// End of the last token that was consumed.
    end: usize,
}

impl<'a> Line<'a> {
    fn new(text: &'a str) -> Line<'a> {
        let source = Source::new(text);
        let mut lexer = source.lex();
        let token = lexer.next();
        Line { source, lexer, token, end: 0 }
    }

    fn kind(&self) -> TokenKind {
        self.token.map_or(TokenKind::Eof, |token| token.kind())
    }

    fn start(&self) -> usize {
        self.token.map_or(self.end, |token| token.span().start())
    }

    fn word(&self) -> &'a str {
        self.token.and_then(|token| self.source.get(token)).map_or("", |raw| raw.as_str())
    }

    fn advance(&mut self) {
        if let Some(token) = self.token {
            self.end = token.span().end();
            self.token = self.lexer.next();
        }
    }

    fn blanks(&mut self) {
        while self.kind() == TokenKind::Whitespace {
            self.advance();
        }
    }

    /// What was consumed from `at` on.
    fn since(&self, at: usize) -> &'a str {
        self.source.input().get(at..self.end).unwrap_or_default()
    }

    fn rest_of_line(&self) -> &'a str {
        self.source.input().get(self.start()..self.end_of_line()).unwrap_or_default().trim_end()
    }

    /// Where the line of the token at hand ends, its newline included.
    fn end_of_line(&self) -> usize {
        let input = self.source.input();
        let rest = input.get(self.start()..).unwrap_or_default();
        rest.find('\n').map_or(input.len(), |newline| self.start() + newline + 1)
    }

    /// False if the token at hand is a string that is not closed.
    fn string_is_closed(&self) -> bool {
        let quote = match self.kind() {
            TokenKind::LiteralString => "'",
            TokenKind::BasicString => "\"",
            TokenKind::MlLiteralString => "'''",
            TokenKind::MlBasicString => "\"\"\"",
            _ => return true,
        };
        let word = self.word();
        word.len() >= 2 * quote.len() && word.ends_with(quote)
    }

    /// Decodes the string token at hand into `out` and consumes it.
    fn decode<B: StringBuilder<'a>>(
        &mut self,
        out: &mut B,
        decode: fn(toml_parser::Raw<'a>, &mut dyn StringBuilder<'a>, &mut dyn toml_parser::ErrorSink),
    ) -> Result<'a, ()> {
        let at = self.start();
        let first = self.fault("the string", self.word(), "is not closed");
        if !self.string_is_closed() {
            // The token may have swallowed the rest of the file.
            return Err(first);
        }
        let mut error = None;
        if let Some(raw) = self.token.and_then(|token| self.source.get(token)) {
            decode(raw, out, &mut error);
        }
        self.advance();
        match error {
            None => Ok(()),
            Some(error) => {
                let at = error.unexpected().map_or(at, |span| span.start());
                Err(Fault {
                    at,
                    ..self.fault("the string", self.since(first.at), "has a character or escape it may not have")
                })
            }
        }
    }

    /// A mistake at the token at hand, which costs its line.
    fn fault(&self, subject: &'static str, read: &'a str, wrong: &'static str) -> Fault<'a> {
        let mistake = Mistake { subject, read, wrong, now: "" };
        Fault { at: self.start(), mistake, resume: self.end_of_line() }
    }
}

/// Takes the parts of a key.
struct Key {
    path: Path,
    /// Where the current part begins.
    part: usize,
    /// False once it cannot be a key of a board.
    ours: bool,
}

impl Key {
    fn push(&mut self, text: &str) {
        self.ours &= self.path.push_str(text).is_ok();
    }
}

impl<'s> StringBuilder<'s> for Key {
    fn clear(&mut self) {}

    fn push_str(&mut self, append: &'s str) -> bool {
        self.push(append);
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.ours &= self.path.push(append).is_ok();
        true
    }
}

/// Takes a string: the file's own bytes as long as it is in one piece there, else a copy.
struct Text<'a> {
    plain: &'a str,
    buf: &'a mut [u8],
    len: usize,
    copied: bool,
    full: bool,
}

impl Text<'_> {
    fn append(&mut self, bytes: &[u8]) {
        match self.buf.get_mut(self.len..self.len + bytes.len()) {
            Some(room) if !self.full => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.full = true,
        }
    }

    fn copy(&mut self) {
        if !self.copied {
            self.copied = true;
            self.append(self.plain.as_bytes());
        }
    }
}

impl<'a> StringBuilder<'a> for Text<'a> {
    fn clear(&mut self) {
        self.plain = "";
        self.len = 0;
        self.copied = false;
    }

    fn push_str(&mut self, append: &'a str) -> bool {
        if self.plain.is_empty() && !self.copied {
            self.plain = append;
        } else if !append.is_empty() {
            self.copy();
            self.append(append.as_bytes());
        }
        true
    }

    fn push_char(&mut self, append: char) -> bool {
        self.copy();
        self.append(append.encode_utf8(&mut [0; 4]).as_bytes());
        true
    }
}
