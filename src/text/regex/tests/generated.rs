//! Patterns that are right, made of everything that a pattern can have, and lines of a log that they may match.

use super::*;

/// Bytes that patterns and lines share, so that matches are likely; some are not ASCII.
const BYTES: [u8; 8] = [b'a', b'b', b'c', b'A', b'0', b' ', 0x80, 0xff];

/// One byte in a pattern, as it is or with a backslash.
fn byte() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => prop::sample::select(&BYTES[..]).prop_map(|byte| vec![byte]),
        1 => prop::sample::select(&b".[(*+?{|^$\\"[..]).prop_map(|byte| vec![b'\\', byte]),
    ]
}

/// What is in brackets, without them.
fn bracketed() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(&BYTES[..]).prop_map(|byte| vec![byte]),
        3 => prop::sample::select(vec!["a-b", "b-c", "a-c", "A-Z", "0-9", "!-~", "[:alpha:]", "[:digit:]", "[:upper:]",
            "[:lower:]", "[:alnum:]", "[:punct:]", "[:space:]", "[:blank:]", "[:print:]", "[:graph:]", "[:cntrl:]",
            "[:xdigit:]", "[=a=]", "[.b.]", "[.-.]"]).prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    let first = prop::sample::select(vec!["", "]", "-", "^"]).prop_map(|piece| piece.as_bytes().to_vec());
    let last = prop::sample::select(vec!["", "-"]).prop_map(|piece| piece.as_bytes().to_vec());
    (any::<bool>(), first, prop::collection::vec(piece, 1..4), last).prop_map(|(negated, first, pieces, last)| {
        // A `^` in front would negate, and a `]` alone end nothing.
        let first = if !negated && first == b"^" { vec![] } else { first };
        let negation = if negated { &b"^"[..] } else { b"" };
        [negation, &first, &pieces.concat(), &last].concat()
    })
}

/// Whether there may be an anchor in a pattern. glibc forgets those of a part that it copies: for it `(.$){2}` matches "aa".
fn has_anchor(pattern: &[u8]) -> bool {
    let mut before = b' ';
    pattern.iter().any(|byte| {
        let anchor = matches!(byte, b'^' | b'$') && !matches!(before, b'[' | b'\\');
        before = *byte;
        anchor
    })
}

/// Whole patterns.
fn pattern() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        10 => byte(),
        1 => Just(b".".to_vec()),
        3 => bracketed().prop_map(|inner| [b"[", &inner[..], b"]"].concat()),
        1 => prop::sample::select(vec!["\\w", "\\W", "\\s", "\\S"]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::sample::select(vec!["^", "$", "(^)", "($)", "()"]).prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let group = inner.clone().prop_map(|inner| [b"(", &inner[..], b")"].concat());
        let repeated = (group.clone(), prop::sample::select(vec![
            "*", "+", "?", "{0}", "{1}", "{2}", "{3}", "{0,1}", "{1,3}", "{2,4}", "{,2}", "{0,}", "{2,}", "{,}", "**", "+?",
        ]));
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 1..5).prop_map(|pieces| pieces.concat()),
            1 => prop::collection::vec(prop_oneof![4 => inner, 1 => Just(vec![])], 2..4).prop_map(|pieces| pieces.join(&b'|')),
            2 => repeated.prop_map(|(group, how)| if has_anchor(&group) { group } else { [&group, how.as_bytes()].concat() }),
            1 => group,
        ]
    })
}

/// A line: no byte that ends one.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        12 => prop::sample::select(&BYTES[..]),
        1 => any::<u8>().prop_filter("a line has none", |byte| *byte != 0 && *byte != b'\n'),
    ];
    prop::collection::vec(byte, 0..16)
}

/// So many cases; those that fail are told, not written into the source tree.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn an_anchor_in_a_repeated_part_is_one_each_time() {
    let lines = ["a", "aa", "xa", "xaa"];
    assert_eq!(own(b"(.$){2}", &lines), Ok(vec![false; 4]));
    assert_eq!(own(b"(^a){2}", &lines), Ok(vec![false; 4]));
    assert_eq!(own(b"(^|x)a{2}$", &lines), Ok(vec![false, true, false, true]));
    assert_eq!(own(b"x(a$)+", &lines), Ok(vec![false, false, true, false]));
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn a_line_of_a_log_matches_as_in_the_c_library(pattern in pattern(), lines in prop::collection::vec(line(), 8)) {
        match own(&pattern, &lines) {
            Err(Error::TooLarge) => {}
            ours => {
                let theirs = reference(&pattern, &lines, libc::REG_NEWLINE);
                prop_assert_eq!(ours.ok(), theirs, "{}", pattern.escape_ascii());
            }
        }
    }

    #[test]
    fn a_range_of_bytes_that_are_no_ascii_is_the_c_librarys(from in 1u8.., to in 1u8.., negated: bool, text in 1u8..) {
        prop_assume!(text != b'\n' && ![from, to].iter().any(|byte| b"[]^-\\".contains(byte)));
        let pattern = [if negated { &b"x[^"[..] } else { b"x[" }, &[from, b'-', to], b"]"].concat();
        let lines = [[b'x', text], [b'x', from], [b'x', to], [b'x', from.wrapping_sub(1).max(1)], [b'x', to.wrapping_add(1).max(1)]];
        let lines = lines.iter().filter(|line| line[1] != b'\n').collect::<Vec<_>>();
        prop_assert_eq!(own(&pattern, &lines).ok(), reference(&pattern, &lines, libc::REG_NEWLINE));
    }

}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn an_automaton_that_has_hardly_any_memory_says_the_same(
        pattern in pattern(),
        lines in prop::collection::vec(line(), 8),
        more in 0usize..400,
    ) {
        let Ok(regex) = Regex::new(&pattern) else { return Ok(()) };
        // The least that is enough, and some more.
        let mut memory = vec![0; Automaton::MOST];
        let least = (0..memory.len()).step_by(40).find(|size| Automaton::new(&pattern, &mut memory[..*size]).is_ok());
        let size = (least.unwrap() + more).min(memory.len());
        let mut automaton = Automaton::new(&pattern, &mut memory[..size]).unwrap();
        for line in &lines {
            prop_assert_eq!(automaton.is_match(line), regex.is_match(line), "{} in {}", pattern.escape_ascii(), line.escape_ascii());
        }
        prop_assert!(automaton.used() <= size);
    }

    #[test]
    fn a_long_text_is_no_different(pattern in pattern(), text in prop::collection::vec(line(), 0..60)) {
        let text = text.concat();
        own(&pattern, &[text]).ok();
    }
}
