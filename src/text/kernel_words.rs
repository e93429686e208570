//! The kernel's command line, word by word, as the kernel itself reads it: words are separated by blanks, except between
//! double quotes, which may stand around a word or a value.

/// `name` or `name=value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'a> {
    /// What is before the first `=`.
    pub name: &'a [u8],
    /// What is behind it, if there is one.
    pub value: Option<&'a [u8]>,
}

impl<'a> Word<'a> {
    /// A word without the blanks around it.
    pub fn of(word: &'a [u8]) -> Word<'a> {
        let quoted = word.first() == Some(&b'"');
        let word = if quoted { word.get(1..).unwrap_or_default() } else { word };
        let bare = |text: &'a [u8]| text.strip_suffix(b"\"").unwrap_or(text);
        match word.iter().position(|byte| *byte == b'=') {
            // The kernel takes one that begins with it for a name.
            None | Some(0) => Word { name: if quoted { bare(word) } else { word }, value: None },
            Some(at) => {
                let (name, value) = (word.get(..at).unwrap_or_default(), word.get(at + 1..).unwrap_or_default());
                let value = match value.strip_prefix(b"\"") {
                    Some(inside) => bare(inside),
                    None if quoted => bare(value),
                    None => value,
                };
                Word { name, value: Some(value) }
            }
        }
    }
}

/// The words of a command line, up to a `--`: what follows is for process 1 alone, which has it among its arguments.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = line;
    core::iter::from_fn(move || {
        let start = rest.iter().position(|byte| !is_blank(*byte))?;
        rest = rest.get(start..)?;
        let mut quoted = false;
        let ends = |byte: &u8| {
            quoted ^= *byte == b'"';
            !quoted && is_blank(*byte)
        };
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        rest = after;
        (word != b"--").then_some(word)
    })
    .fuse()
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b || byte == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<(String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        words(line.as_bytes()).map(Word::of).map(|word| (text(word.name), word.value.map(text))).collect()
    }

    fn word(name: &str, value: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn words_have_values_and_quotes_hold_blanks_together() {
        assert_eq!(
            read(" ro root=\"PARTLABEL=my root\"  \"a b=c d\" x=  \"y\" z=a\"b c\"d\t=e\n"),
            [
                word("ro", None),
                word("root", Some("PARTLABEL=my root")),
                word("a b", Some("c d")),
                word("x", Some("")),
                word("y", None),
                word("z", Some("a\"b c\"d")),
                word("=e", None),
            ]
        );
    }

    #[test]
    fn two_dashes_end_it_and_an_open_quote_does_not_hurt() {
        assert_eq!(read("quiet -- root=/dev/x"), [word("quiet", None)]);
        assert_eq!(read("a=\"b c"), [word("a", Some("b c"))]);
        assert_eq!(read("\""), [word("", None)]);
        assert_eq!(read(""), []);
    }
}
