//! A command line as people write it, without a shell behind it: words, separated by blanks and ends of lines.
//!
//! `'…'` takes everything as it is; in `"…"` a `\` takes the meaning from `"`, `\`, `$` and `` ` `` and is gone at the end of
//! a line; elsewhere it takes it from any character. `#` at the beginning of a word begins a comment. The word `"$@"` stands
//! for the words that the line is given. What a shell would do more for is refused unless it is quoted, so that nobody believes it is done: a line that is taken here means
//! the same to a shell (but for `*`, `?`, `[`, `~` and `=`, which are ordinary characters here).

/// What is wrong with a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// The file ends between quotes: these.
    Open(u8),
    /// A character that only a shell has a meaning for, or a second `"$@"`.
    Shell(u8),
    /// A NUL: it cannot be in a word.
    Nul,
}

/// What only a shell can do.
const SHELL: &[u8] = b"$`&|;<>()";

/// What a line is given.
const GIVEN: &[u8] = b"\"$@\"";
/// What ends a word.
const BLANKS: &[u8] = b" \t\r\n";

/// What has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// How many bytes the words take.
    pub end: usize,
    /// Behind how many of them the words come that the line is given, if it wants them.
    pub given: Option<usize>,
}

/// Where the reader is.
#[derive(Clone, Copy)]
enum Inside {
    Nothing,
    Word,
    Quotes(u8),
    Comment,
}

/// Reads the words that the first `len` bytes of `text` hold, and writes them to its beginning, a NUL behind each. There must
/// be one byte more than `len`. The error is what is wrong, and in which line.
pub fn unquote(text: &mut [u8], len: usize) -> Result<Line, (Mistake, usize)> {
    let mut given = None;
    let (mut at, mut end, mut line, mut inside) = (0, 0, 1, Inside::Nothing);
    let mut opened = line;
    while at < len {
        let Some(&byte) = text.get(at) else { break };
        let next = text.get(at + 1).copied().filter(|_| at + 1 < len);
        at += 1;
        // What becomes part of a word.
        let mut kept = None;
        match (inside, byte) {
            (_, 0) => return Err((Mistake::Nul, line)),
            (Inside::Comment, b'\n') => inside = Inside::Nothing,
            (Inside::Comment, _) => {}
            (Inside::Quotes(quote), _) if byte == quote => inside = Inside::Word,
            (Inside::Quotes(b'\''), _) => kept = Some(byte),
            (Inside::Quotes(_), b'\\') => match next {
                Some(b'"' | b'\\' | b'$' | b'`') => {
                    kept = next;
                    at += 1;
                }
                Some(b'\n') => {
                    line += 1;
                    at += 1;
                }
                _ => kept = Some(byte),
            },
            (Inside::Quotes(_), b'$' | b'`') => return Err((Mistake::Shell(byte), line)),
            (Inside::Quotes(_), _) => kept = Some(byte),
            (_, b'\\') => match next {
                Some(b'\n') => {
                    line += 1;
                    at += 1;
                }
                Some(0) => {}
                Some(_) => {
                    kept = next;
                    at += 1;
                }
                None => kept = Some(byte),
            },
            (Inside::Nothing, b'"') if given.is_none() && wants_given(text.get(at - 1..len)) => {
                given = Some(end);
                at += GIVEN.len() - 1;
            }
            (_, b'\'' | b'"') => {
                inside = Inside::Quotes(byte);
                opened = line;
            }
            (Inside::Nothing, b'#') => inside = Inside::Comment,
            (Inside::Word, byte) if BLANKS.contains(&byte) => {
                end = put(text, end, 0);
                inside = Inside::Nothing;
            }
            (Inside::Nothing, byte) if BLANKS.contains(&byte) => {}
            _ if SHELL.contains(&byte) => return Err((Mistake::Shell(byte), line)),
            _ => kept = Some(byte),
        }
        if let Some(kept) = kept {
            end = put(text, end, kept);
            inside = if matches!(inside, Inside::Nothing) { Inside::Word } else { inside };
        }
        line += usize::from(byte == b'\n');
    }
    match inside {
        Inside::Quotes(quote) => Err((Mistake::Open(quote), opened)),
        Inside::Word => Ok(Line { end: put(text, end, 0), given }),
        Inside::Nothing | Inside::Comment => Ok(Line { end, given }),
    }
}

/// Whether the text begins with that word.
fn wants_given(text: Option<&[u8]>) -> bool {
    let after = text.and_then(|text| text.strip_prefix(GIVEN));
    after.is_some_and(|after| after.first().is_none_or(|byte| BLANKS.contains(byte)))
}

/// What is written is never more than what has been read, but for the last NUL.
fn put(text: &mut [u8], end: usize, byte: u8) -> usize {
    if let Some(place) = text.get_mut(end) {
        *place = byte;
    }
    end + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, (Mistake, usize)> {
        let mut room = text.as_bytes().to_vec();
        room.push(b'?');
        let line = unquote(&mut room, text.len())?;
        let mut words: Vec<String> =
            room[..line.end].split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
        assert_eq!(words.pop().as_deref(), Some(""), "each word ends with a NUL");
        Ok(words)
    }

    fn words(text: &str) -> Vec<String> {
        read(text).unwrap()
    }

    #[test]
    fn words_are_separated_by_blanks_and_ends_of_lines() {
        assert_eq!(words("a bc\t d\r\n\n e"), ["a", "bc", "d", "e"]);
        assert!(words("").is_empty());
        assert!(words(" \n\t").is_empty());
    }

    #[test]
    fn comments_begin_with_a_word_and_end_with_the_line() {
        assert_eq!(words("#!/sbin/linchpin exec\n# it's a comment $\na # b\nc#d '#' \\#e\n#"), ["a", "c#d", "#", "#e"]);
    }

    #[test]
    fn single_quotes_take_everything_as_it_is() {
        assert_eq!(
            words(
                r#"'a  b\' '$(")' 'x
y'"#
            ),
            [r"a  b\", "$(\")", "x\ny"]
        );
        assert_eq!(words("'' a''b ''"), ["", "ab", ""]);
    }

    #[test]
    fn double_quotes_take_everything_but_backslashes_before_what_means_something() {
        assert_eq!(words(r#""a 'b' \"\\\$\` \n #""#), [r#"a 'b' "\$` \n #"#]);
        assert_eq!(words("\"a\\\nb\" \"\""), ["ab", ""]);
        assert_eq!(words(r#"a"b c"d'e f'"#), ["ab cde f"]);
    }

    #[test]
    fn a_backslash_takes_the_meaning_of_one_character_and_joins_lines() {
        assert_eq!(words("a\\ b \\'c \\\\ \\$x a\\\nb \\\n c"), ["a b", "'c", "\\", "$x", "ab", "c"]);
        assert_eq!(words("a\\"), ["a\\"]);
    }

    #[test]
    fn what_only_a_shell_does_is_refused_in_its_line() {
        for byte in SHELL {
            let text = format!("a\nb 'c\n' {}", char::from(*byte));
            assert_eq!(read(&text), Err((Mistake::Shell(*byte), 3)), "{text}");
            assert!(read(&format!("'{0}' \\{0}", char::from(*byte))).is_ok());
        }
        assert_eq!(read("\\\n\"\\\n$x\""), Err((Mistake::Shell(b'$'), 3)));
        assert_eq!(words("\"&|;<>()\""), ["&|;<>()"]);
    }

    #[test]
    fn quotes_that_are_not_closed_are_told_with_the_line_in_which_they_begin() {
        assert_eq!(read("a\n'b\nc"), Err((Mistake::Open(b'\''), 2)));
        assert_eq!(read("\"b\\\""), Err((Mistake::Open(b'"'), 1)));
    }

    #[test]
    fn the_words_that_a_line_is_given_have_their_place_once() {
        let place = |text: &str| unquote(&mut format!("{text}?").into_bytes(), text.len()).map(|line| line.given);
        assert_eq!(place("a b"), Ok(None));
        assert_eq!(place("a \"$@\""), Ok(Some(2)));
        assert_eq!(place("a 'b c' \"$@\" d"), Ok(Some(6)));
        assert_eq!(place("\"$@\"\na"), Ok(Some(0)));
        assert_eq!(place("a '\"$@\"'"), Ok(None));
        for text in ["\"$@\" \"$@\"", "\"$@\"a", "a\"$@\"", "\" $@\"", "$@", "\"$*\"", "\"$@"] {
            assert_eq!(place(text), Err((Mistake::Shell(b'$'), 1)), "{text}");
        }
        assert_eq!(words("a \"$@\" b # \"$@\""), ["a", "b"]);
    }

    #[test]
    fn a_nul_is_refused_wherever_it_is() {
        for text in ["a\0", "'\0'", "# \0", "\"\0\"", "\\\0", "\"\\\0\""] {
            assert_eq!(read(text), Err((Mistake::Nul, 1)), "{text:?}");
        }
    }
}
