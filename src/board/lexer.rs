//! The tokens of TOML: where each ends, and of what kind it is. Pure. What makes no sense is a token too, so that whoever
//! reads them can say what is wrong: a string that is not closed ends with its line, one of several lines with the text.

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // they are TOML's
pub enum TokenKind {
    Dot,
    Equals,
    Comma,
    LeftSquareBracket,
    RightSquareBracket,
    LeftCurlyBracket,
    RightCurlyBracket,
    Whitespace,
    Comment,
    Newline,
    LiteralString,
    BasicString,
    MlLiteralString,
    MlBasicString,
    /// Anything else: a bare key, a number, a date.
    Atom,
    /// The end of the text.
    Eof,
}

/// A token: the text from `start` to `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// See [`TokenKind`].
    pub kind: TokenKind,
    /// Its first byte.
    pub start: usize,
    /// The byte behind its last one.
    pub end: usize,
}

/// What ends an atom. Quotes do not: perhaps only the first one is missing.
const ENDS: &[u8] = b".=,[]{} \t#\r\n";

impl Token {
    /// The token that begins at `start`.
    pub fn at(text: &[u8], start: usize) -> Token {
        let rest = text.get(start..).unwrap_or_default();
        let until = |ends: &[u8]| rest.iter().position(|byte| ends.contains(byte)).unwrap_or(rest.len());
        let (kind, len) = match rest {
            [] => (TokenKind::Eof, 0),
            [b'.', ..] => (TokenKind::Dot, 1),
            [b'=', ..] => (TokenKind::Equals, 1),
            [b',', ..] => (TokenKind::Comma, 1),
            [b'[', ..] => (TokenKind::LeftSquareBracket, 1),
            [b']', ..] => (TokenKind::RightSquareBracket, 1),
            [b'{', ..] => (TokenKind::LeftCurlyBracket, 1),
            [b'}', ..] => (TokenKind::RightCurlyBracket, 1),
            [b'\r', b'\n', ..] => (TokenKind::Newline, 2),
            [b'\r' | b'\n', ..] => (TokenKind::Newline, 1),
            [b'#', ..] => (TokenKind::Comment, until(b"\r\n")),
            [b' ' | b'\t', ..] => {
                let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                (TokenKind::Whitespace, blanks)
            }
            [b'\'', b'\'', b'\'', ..] => (TokenKind::MlLiteralString, lines(rest, b'\'')),
            [b'"', b'"', b'"', ..] => (TokenKind::MlBasicString, lines(rest, b'"')),
            [b'\'', ..] => (TokenKind::LiteralString, string(rest, b'\'')),
            [b'"', ..] => (TokenKind::BasicString, string(rest, b'"')),
            _ => (TokenKind::Atom, until(ENDS)),
        };
        Token { kind, start, end: start + len }
    }
}

/// Length of a string that begins with one quote.
fn string(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\n' => return at,
            byte if *byte == quote => return at + 1,
            _ => at += step(rest, at, quote),
        }
    }
    rest.len()
}

/// Length of a string that begins with three of these quotes. Up to two more, right before the three at its end, are part
/// of what it holds.
fn lines(rest: &[u8], quote: u8) -> usize {
    let mut at = 3;
    while at < rest.len() {
        let quotes = rest.iter().skip(at).take(5).take_while(|byte| **byte == quote).count();
        if quotes >= 3 {
            return at + quotes;
        }
        at += step(rest, at, quote);
    }
    rest.len()
}

/// How many bytes to go on: two, where a backslash takes the meaning from what follows.
fn step(rest: &[u8], at: usize, quote: u8) -> usize {
    match rest.get(at..) {
        Some([b'\\', b'\\' | b'"', ..]) if quote == b'"' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use toml_parser::Source;

    /// Kinds, beginnings and ends.
    fn tokens(text: &str) -> Vec<(String, usize, usize)> {
        let mut tokens = Vec::new();
        let mut at = 0;
        loop {
            let token = Token::at(text.as_bytes(), at);
            tokens.push((format!("{:?}", token.kind), token.start, token.end));
            if token.kind == TokenKind::Eof {
                return tokens;
            }
            assert!(token.end > at && text.is_char_boundary(token.end));
            at = token.end;
        }
    }

    fn reference(text: &str) -> Vec<(String, usize, usize)> {
        let lexer = Source::new(text).lex();
        lexer.map(|token| (format!("{:?}", token.kind()), token.span().start(), token.span().end())).collect()
    }

    #[test]
    fn a_line_is_cut_into_tokens() {
        let text = "[a.b] # c\r\nd = 'e' , {f=\"g\\\"\"}";
        assert_eq!(tokens(text), reference(text));
        assert_eq!(tokens(text).len(), 22);
    }

    #[test]
    fn strings_that_are_not_closed_end_with_their_line_or_with_the_text() {
        for (text, len) in
            [("'a\nb'", 2), ("\"a\\\nb\"", 3), ("'''a\nb''", 8), ("\"\"\"\\\"\"\"", 7), ("\"\"\"\"\"\"\"\"\"", 8)]
        {
            assert_eq!(Token::at(text.as_bytes(), 0).end, len, "{text}");
            assert_eq!(tokens(text), reference(text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn every_text_has_the_tokens_that_toml_parser_finds(text in "[a-c.=,{}é0 \t\r\n#'\"\\[\\]\\\\\\\\''\"\"]{0,24}") {
            prop_assert_eq!(tokens(&text), reference(&text));
        }
    }
}
