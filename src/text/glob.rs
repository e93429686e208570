//! Patterns of identifiers, glob(7), over bytes: what a board config or a service directory names many held descriptors
//! with. `*` is any bytes, also none and also slashes; `?` is one byte; `[a-f_]` is one of a set, `[!a-f_]` (or with a
//! `^`) one that is not in it, where a `]` at the beginning is one of the set; `\` takes away the meaning of what
//! follows, also in a set. A pattern that is no such thing (a set without its end, a `\` at the end) matches nothing.
//!
//! Identifiers like `tcp:[::1]:80` have brackets in them. So a pattern that is the text itself, byte for byte, matches
//! it, whatever else it may mean.

/// One piece of a pattern.
enum Piece<'a> {
    /// Any bytes.
    Star,
    /// A byte.
    Any,
    /// This byte.
    Byte(u8),
    /// A byte that is in it, or (`true`) is not.
    Set(&'a [u8], bool),
}

/// Whether the whole of `text` is what `pattern` describes. It takes at most about as many steps as the product of both
/// lengths, whatever the pattern.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    pattern == text || fits(pattern, text)
}

/// Whether all of `pattern` has a meaning.
pub fn is_sound(pattern: &[u8]) -> bool {
    let mut left = pattern;
    while !left.is_empty() {
        match take(left) {
            Some((_, rest)) => left = rest,
            None => return false,
        }
    }
    true
}

/// Only the last star is ever asked to take one byte more: what an earlier one took was as little as could be, so that
/// there is nothing to be found that this would miss.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    if !is_sound(pattern) {
        return false;
    }
    let (mut left, mut rest) = (pattern, text);
    let mut star = None;
    loop {
        let next = take(left);
        if let Some((Piece::Star, after)) = next {
            left = after;
            star = Some((after, rest));
            continue;
        }
        match (next, rest.split_first()) {
            (None, None) => return true,
            (Some((piece, after)), Some((byte, more))) if piece.fits(*byte) => (left, rest) = (after, more),
            _ => {
                let Some((after, [_, more @ ..])) = star else { return false };
                star = Some((after, more));
                (left, rest) = (after, more);
            }
        }
    }
}

/// The first piece of a pattern and what follows it. `None`: there is none, or it has no end.
fn take(pattern: &[u8]) -> Option<(Piece<'_>, &[u8])> {
    let (first, rest) = pattern.split_first()?;
    match first {
        b'*' => Some((Piece::Star, rest)),
        b'?' => Some((Piece::Any, rest)),
        b'\\' => rest.split_first().map(|(byte, rest)| (Piece::Byte(*byte), rest)),
        b'[' => {
            let (not, set) = match rest {
                [b'!' | b'^', set @ ..] => (true, set),
                _ => (false, rest),
            };
            let mut end = 0;
            loop {
                match set.get(end)? {
                    b']' if end > 0 => break,
                    b'\\' => end += 2,
                    _ => end += 1,
                }
            }
            Some((Piece::Set(set.get(..end)?, not), set.get(end + 1..)?))
        }
        byte => Some((Piece::Byte(*byte), rest)),
    }
}

impl Piece<'_> {
    fn fits(&self, byte: u8) -> bool {
        match self {
            Piece::Star | Piece::Any => true,
            Piece::Byte(wanted) => *wanted == byte,
            Piece::Set(set, not) => holds(set, byte) != *not,
        }
    }
}

/// Whether `byte` is in what stands between the brackets.
fn holds(set: &[u8], byte: u8) -> bool {
    let mut left = set;
    while let Some((from, rest)) = member(left) {
        // A hyphen at the end stands for itself.
        let (to, rest) = match rest {
            [b'-', end @ ..] => member(end).unwrap_or((from, rest)),
            _ => (from, rest),
        };
        if (from..=to).contains(&byte) {
            return true;
        }
        left = rest;
    }
    false
}

/// The first byte of a set, without the backslash that quotes it.
fn member(set: &[u8]) -> Option<(u8, &[u8])> {
    match set {
        [b'\\', byte, rest @ ..] | [byte, rest @ ..] => Some((*byte, rest)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pattern: &str, fitting: &[&str], others: &[&str]) {
        for text in fitting {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} should match {text}");
        }
        for text in others {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn a_pattern_without_signs_is_the_text() {
        all("unix:/run/x", &["unix:/run/x"], &["unix:/run/xy", "unix:/run/", "", "aunix:/run/x"]);
        all("", &[""], &["a"]);
    }

    #[test]
    fn a_star_is_any_bytes_slashes_too() {
        all("*", &["", "a", "unix:/a/b"], &[]);
        all("unix:*", &["unix:", "unix:/a/b"], &["unix", "tcp:unix:"]);
        all("*.sock", &[".sock", "/a.sock", "a.sock.sock"], &["a.sock/", "sock"]);
        all("a*b*c", &["abc", "aXbYc", "abcbc", "abbcc"], &["ab", "acb", "abcd"]);
        all("**", &["", "ab"], &[]);
    }

    #[test]
    fn a_question_mark_is_one_byte() {
        all("a?c", &["abc", "a?c", "a/c"], &["ac", "abbc"]);
        all("*?", &["a", "ab"], &[""]);
    }

    #[test]
    fn a_set_is_one_byte_of_it_or_one_that_is_not_in_it() {
        all("tty[0-3a]", &["tty0", "tty3", "ttya"], &["tty4", "tty", "tty-", "tty01"]);
        all("[!a-c]", &["d", "-", "!"], &["a", "b", "c", ""]);
        all("[^a]", &["b", "^"], &["a"]);
        all("[]x]", &["]", "x"], &["[", ""]);
        all("[!]x]", &["a"], &["]", "x"]);
        all("[a-]", &["a", "-"], &["b"]);
        all("[-a]", &["a", "-"], &["b"]);
        all("[c-a]", &[], &["a", "b", "c", "-"]);
        all("[*?]", &["*", "?"], &["a"]);
    }

    #[test]
    fn a_backslash_takes_a_meaning_away() {
        all(r"a\*", &["a*"], &["ab", r"a\b"]);
        all(r"\[a]", &["[a]"], &["a"]);
        all(r"[\]\-a]", &["]", "-", "a"], &[r"\", "b"]);
        all(r"\\", &[r"\"], &["a"]);
    }

    #[test]
    fn what_is_no_pattern_matches_nothing_but_itself() {
        for pattern in ["[", "[]", "[!]", "[a", "a[b-", r"a\", r"[a\]", "*[", r"*\"] {
            assert!(!is_sound(pattern.as_bytes()), "{pattern}");
            all(pattern, &[pattern], &["", "b", "ab", "[x", "]"]);
        }
        assert!(is_sound(b"tcp:[::1]:80"));
    }

    #[test]
    fn an_identifier_with_brackets_is_its_own_pattern() {
        all("tcp:[::1]:80", &["tcp:[::1]:80", "tcp:1:80"], &["tcp:[::2]:80"]);
        all(r"tcp:\[::1]:*", &["tcp:[::1]:80"], &["tcp:1:80"]);
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        // With a step back for each star this would take more than 2^200 steps.
        let pattern = [&b"a*".repeat(400)[..], b"b"].concat();
        let text = b"a".repeat(255);
        assert!(!matches(&pattern, &text));
        let sets = [&b"*[a-z]".repeat(160)[..], b"!"].concat();
        assert!(!matches(&sets, &text));
        let open = [&b"*"[..], &b"[".repeat(900)].concat();
        assert!(!matches(&open, &text));
    }

    /// Says the same in the plainest way: every way to share the text out is tried.
    fn plain(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', after @ ..] => (0..=text.len()).any(|n| plain(after, &text[n..])),
            [b'?', after @ ..] => !text.is_empty() && plain(after, &text[1..]),
            [b'\\', byte, after @ ..] => text.first() == Some(byte) && plain(after, &text[1..]),
            [b'[', ..] => {
                let not = matches!(pattern.get(1), Some(b'!' | b'^'));
                let mut at = if not { 2 } else { 1 };
                let mut members = Vec::new();
                while pattern[at] != b']' || members.is_empty() {
                    let quoted = pattern[at] == b'\\';
                    at += usize::from(quoted);
                    members.push((pattern[at], quoted));
                    at += 1;
                }
                let mut bytes = Vec::new();
                let mut i = 0;
                while i < members.len() {
                    if i + 2 < members.len() && members[i + 1] == (b'-', false) {
                        bytes.extend(members[i].0..=members[i + 2].0);
                        i += 3;
                    } else {
                        bytes.push(members[i].0);
                        i += 1;
                    }
                }
                text.first().is_some_and(|byte| bytes.contains(byte) != not) && plain(&pattern[at + 1..], &text[1..])
            }
            [byte, after @ ..] => text.first() == Some(byte) && plain(after, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_agrees_with_trying_everything(pattern in r"([ab]|\*|\?|\\[ab*]|\[[!^]?[]abc-][abc!-]{0,3}\]){0,8}",
                                            text in "[abc*!-]{0,8}") {
            prop_assert!(is_sound(pattern.as_bytes()), "{}", pattern);
            let expected = pattern == text || plain(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected);
        }

        #[test]
        fn any_bytes_may_be_a_pattern(pattern in prop::collection::vec(any::<u8>(), 0..40), text in prop::collection::vec(any::<u8>(), 0..40)) {
            matches(&pattern, &text);
            prop_assert!(matches(&pattern, &pattern));
            prop_assert!(matches(b"*", &text));
        }
    }
}
