//! TOML strings: from the token, quotes included, to the text. Pure. A string without escapes is the file's own bytes;
//! one with escapes is copied into a scratch buffer.

/// What is wrong with a string, and at which byte of the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// The closing quote is missing.
    Open,
    /// A control character, or an escape that there is not.
    Character(usize),
    /// No room left for its copy.
    Full,
}

/// Decodes a string token as the lexer delivers it. What a copy needs is taken from the front of `scratch`.
pub fn decode<'a>(token: &'a str, scratch: &mut &'a mut [u8]) -> Result<&'a str, Wrong> {
    let (quote, multi) = match token.as_bytes() {
        [a, b, c, ..] if a == b && b == c => (&token.as_bytes()[..3], true),
        [_, _, ..] => (&token.as_bytes()[..1], false),
        _ => return Err(Wrong::Open),
    };
    let mut start = quote.len();
    let end = token.len() - quote.len();
    if end < start || !token.as_bytes().ends_with(quote) {
        return Err(Wrong::Open);
    }
    let body = token.get(start..end).unwrap_or_default();
    if multi {
        // A newline right behind the quotes is not part of the string.
        let newline = if body.starts_with('\n') { 1 } else { 2 * usize::from(body.starts_with("\r\n")) };
        start += newline;
    }
    let body = token.get(start..end).unwrap_or_default().as_bytes();
    let basic = quote.first() == Some(&b'"');
    let mut copy = Copy { from: body, escapes: false, buf: core::mem::take(scratch), len: 0 };
    let mut at = 0;
    let mut wrong = None;
    while let Some(byte) = body.get(at) {
        let here = at;
        let allowed = match byte {
            b'\\' if basic => match escape(body.get(at + 1..).unwrap_or_default(), multi) {
                Some((c, used)) => {
                    copy.escape(at, c);
                    at += used;
                    true
                }
                None => false,
            },
            b'\n' => multi,
            b'\r' => multi && body.get(at + 1) == Some(&b'\n'),
            b'\t' => true,
            b'"' => multi || !basic,
            byte => *byte >= b' ' && *byte != 0x7f,
        };
        if !allowed {
            wrong = Some(Wrong::Character(start + here));
            break;
        }
        at += 1;
        if copy.escapes && here + 1 == at {
            copy.push(core::slice::from_ref(byte));
        }
    }
    let Copy { escapes, buf, len, .. } = copy;
    if wrong.is_none() && escapes && len > buf.len() {
        wrong = Some(Wrong::Full);
    }
    let (used, free) = buf.split_at_mut(if wrong.is_none() && escapes { len } else { 0 });
    *scratch = free;
    match wrong {
        Some(wrong) => Err(wrong),
        None if escapes => Ok(core::str::from_utf8(used).unwrap_or_default()),
        None => Ok(core::str::from_utf8(body).unwrap_or_default()),
    }
}

/// The string being copied, from its first escape on.
struct Copy<'a> {
    from: &'a [u8],
    escapes: bool,
    buf: &'a mut [u8],
    /// Larger than `buf` once it did not fit.
    len: usize,
}

impl Copy<'_> {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.buf.get_mut(self.len..self.len + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.len += bytes.len();
    }

    fn escape(&mut self, at: usize, c: Option<char>) {
        if !self.escapes {
            self.escapes = true;
            self.push(self.from.get(..at).unwrap_or_default());
        }
        if let Some(c) = c {
            self.push(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// The character that the bytes after a backslash stand for (none, for the end of a line), and how many bytes those are.
fn escape(after: &[u8], multi: bool) -> Option<(Option<char>, usize)> {
    let c = match after.first()? {
        b'b' => '\x08',
        b't' => '\t',
        b'n' => '\n',
        b'f' => '\x0c',
        b'r' => '\r',
        b'e' => '\x1b',
        b'"' => '"',
        b'\\' => '\\',
        b'x' => return hex(after, 2),
        b'u' => return hex(after, 4),
        b'U' => return hex(after, 8),
        b' ' | b'\t' | b'\r' | b'\n' if multi => {
            // At the end of a line: it, and all blanks and newlines that follow, are not there.
            let blanks = after.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
            let first = after.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
            return (first == Some(&b'\n')).then_some((None, blanks));
        }
        _ => return None,
    };
    Some((Some(c), 1))
}

fn hex(after: &[u8], digits: usize) -> Option<(Option<char>, usize)> {
    let mut sum = 0u32;
    for byte in after.get(1..=digits)? {
        sum = sum << 4 | char::from(*byte).to_digit(16)?;
    }
    char::from_u32(sum).map(|c| (Some(c), 1 + digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use toml_parser::Source;
    use toml_parser::decoder::StringBuilder;
    use toml_parser::lexer::TokenKind;

    struct Out(String);
    impl<'s> StringBuilder<'s> for Out {
        fn clear(&mut self) {
            self.0.clear();
        }
        fn push_str(&mut self, append: &'s str) -> bool {
            self.0.push_str(append);
            true
        }
        fn push_char(&mut self, append: char) -> bool {
            self.0.push(append);
            true
        }
    }

    /// What toml_parser's own decoder makes of the first token; `None` if that is not one string.
    fn reference(text: &str) -> Option<Result<String, ()>> {
        use TokenKind::*;
        let source = Source::new(text);
        let token = source.lex().next()?;
        if !matches!(token.kind(), LiteralString | BasicString | MlLiteralString | MlBasicString) {
            return None;
        }
        let raw = source.get(token)?;
        (raw.as_str() == text).then(|| {
            let (mut out, mut error) = (Out(String::new()), None);
            let _ = raw.decode_scalar(&mut out, &mut error);
            error.map_or(Ok(out.0), |_| Err(()))
        })
    }

    fn decode_with(text: &str, room: usize) -> Result<String, Wrong> {
        let mut buf = vec![0; room];
        let mut scratch = &mut buf[..];
        decode(text, &mut scratch).map(str::to_owned)
    }

    #[test]
    fn a_string_without_escapes_needs_no_room() {
        assert_eq!(decode_with("\"/run/x\"", 0).unwrap(), "/run/x");
        assert_eq!(decode_with("'C:\\x'", 0).unwrap(), "C:\\x");
        assert_eq!(decode_with("\"\"\"\na\nb\"\"\"", 0).unwrap(), "a\nb");
        assert_eq!(decode_with("\"\"", 0).unwrap(), "");
    }

    #[test]
    fn room_is_taken_from_the_front_and_only_by_what_is_kept() {
        let mut buf = [0; 8];
        let mut scratch = &mut buf[..];
        assert_eq!(decode("\"a\\tb\"", &mut scratch), Ok("a\tb"));
        assert_eq!(scratch.len(), 5);
        assert_eq!(decode("\"123\\t56\"", &mut scratch), Err(Wrong::Full));
        assert_eq!(decode("\"\\u00e9\\q\"", &mut scratch), Err(Wrong::Character(7)));
        assert_eq!(decode("\"\\u20ac\"", &mut scratch), Ok("€"));
        assert_eq!(scratch.len(), 2);
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(decode_with("\"abc", 9), Err(Wrong::Open));
        assert_eq!(decode_with("\"", 9), Err(Wrong::Open));
        assert_eq!(decode_with("'''abc''", 9), Err(Wrong::Open));
        assert_eq!(decode_with("\"abc\\\"", 9), Err(Wrong::Character(4)));
        assert_eq!(decode_with("'a\x07'", 9), Err(Wrong::Character(2)));
        assert_eq!(decode_with("\"\\ud800\"", 9), Err(Wrong::Character(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_string_is_what_toml_parser_says_it_is(
            quote in prop::sample::select(vec!["'", "\"", "'''", "\"\"\""]),
            body in "([a-f0-9éxuUntbre \t\n'\"\\\\\\\\\\\\]|\\\\u[0-9a-f]{4}|\\\\x[0-9a-f]{2}|\\\\\n|\x07|\r\n){0,12}",
        ) {
            let text = format!("{quote}{body}{quote}");
            if let Some(expected) = reference(&text) {
                let got = decode_with(&text, 200);
                prop_assert_eq!(got.clone().map_err(drop), expected, "{:?} {:?}", text, got);
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in "['\"\\\\a\n\r]{0,10}", room in 0usize..4) {
            let _ = decode_with(&text, room);
        }
    }
}
