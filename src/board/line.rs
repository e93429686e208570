//! The tokens of a line of TOML, one at a time, and where they are. Pure.

use super::diagnostic::Mistake;
use toml_parser::Source;
use toml_parser::lexer::{Lexer, Token, TokenKind};

/// Why a line is [`Item::Broken`](super::syntax::Item::Broken); offsets are those of the line.
pub struct Fault<'a> {
    /// Where.
    pub at: usize,
    /// What; what it costs is yet to be said.
    pub mistake: Mistake<'a>,
    /// Where to go on.
    pub resume: usize,
}

/// Result of reading a part of a line.
pub type Result<'a, T> = core::result::Result<T, Fault<'a>>;

/// The tokens of a line (or of several, where a value has them), one of them at hand. Offsets are within `source`.
pub struct Line<'a> {
    source: Source<'a>,
    lexer: Lexer<'a>,
    token: Option<Token>,
    /// End of the last token that was consumed, blanks apart.
    pub end: usize,
}

impl<'a> Line<'a> {
    /// The tokens of `text`.
    pub fn new(text: &'a str) -> Line<'a> {
        let source = Source::new(text);
        let mut lexer = source.lex();
        let token = lexer.next();
        Line { source, lexer, token, end: 0 }
    }

    /// Kind of the token at hand; at the end, `Eof`.
    pub fn kind(&self) -> TokenKind {
        self.token.map_or(TokenKind::Eof, |token| token.kind())
    }

    /// Where the token at hand begins.
    pub fn start(&self) -> usize {
        self.token.map_or(self.end, |token| token.span().start())
    }

    /// The token at hand as it is written.
    pub fn word(&self) -> &'a str {
        self.token.and_then(|token| self.source.get(token)).map_or("", |raw| raw.as_str())
    }

    /// Goes on to the next token.
    pub fn advance(&mut self) {
        if let Some(token) = self.token {
            self.end = token.span().end();
            self.token = self.lexer.next();
        }
    }

    /// Passes over blanks.
    pub fn blanks(&mut self) {
        while self.kind() == TokenKind::Whitespace {
            self.token = self.lexer.next();
        }
    }

    /// What was consumed from `at` on.
    pub fn since(&self, at: usize) -> &'a str {
        self.source.input().get(at..self.end).unwrap_or_default()
    }

    /// What is left of the line, the token at hand included.
    pub fn rest_of_line(&self) -> &'a str {
        let rest = self.source.input().get(self.start()..).unwrap_or_default();
        let end = rest.bytes().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Where the line of the token at hand ends, its newline included.
    pub fn end_of_line(&self) -> usize {
        let input = self.source.input();
        let mut rest = input.bytes().enumerate().skip(self.start());
        rest.find(|(_, byte)| *byte == b'\n').map_or(input.len(), |(newline, _)| newline + 1)
    }

    /// False if the token at hand is a string that is not closed.
    pub fn string_is_closed(&self) -> bool {
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

    /// A mistake at the token at hand, which costs its line.
    pub fn fault(&self, subject: &'static str, read: &'a str, wrong: &'static str) -> Fault<'a> {
        let mistake = Mistake { subject, read, wrong, now: "" };
        Fault { at: self.start(), mistake, resume: self.end_of_line() }
    }
}
