//! The C library judges: what it takes for a pattern we do, and what matches there matches here. And both of our matchers
//! say the same.

use super::program::STEPS;
use super::*;
use crate::limits::REGEX_DEPTH;
use proptest::prelude::*;
use std::ffi::CString;
use std::{vec, vec::Vec};

/// The C library's answer for each text; `None` if it refuses the pattern.
#[allow(unsafe_code)]
fn reference<T: AsRef<[u8]>>(pattern: &[u8], texts: &[T], flags: i32) -> Option<Vec<bool>> {
    let pattern = CString::new(pattern).unwrap();
    // SAFETY: regcomp fills the structure, which regexec reads and regfree empties.
    unsafe {
        let mut compiled: libc::regex_t = std::mem::zeroed();
        if libc::regcomp(&raw mut compiled, pattern.as_ptr(), libc::REG_EXTENDED | libc::REG_NOSUB | flags) != 0 {
            return None;
        }
        let answers = texts.iter().map(|text| {
            let text = CString::new(text.as_ref()).unwrap();
            libc::regexec(&raw const compiled, text.as_ptr(), 0, std::ptr::null_mut(), 0) == 0
        });
        let answers = answers.collect();
        libc::regfree(&raw mut compiled);
        Some(answers)
    }
}

/// What both of our matchers say for each text.
fn own<T: AsRef<[u8]>>(pattern: &[u8], texts: &[T]) -> Result<Vec<bool>, Error> {
    let regex = Regex::new(pattern)?;
    // What is in the memory does not matter.
    let mut memory = vec![0xaaaa; 16_384];
    let mut automaton = Automaton::new(pattern, &mut memory)?;
    let answers = texts.iter().map(|text| {
        let text = text.as_ref();
        let answer = regex.is_match(text);
        assert_eq!(automaton.is_match(text), answer, "the automaton: {pattern:?} in {text:?}");
        answer
    });
    Ok(answers.collect())
}

const TEXTS: [&str; 24] = [
    "", "a", "b", "ab", "ba", "aab", "abab", "aaa", "bbb", "abc", "-", "]", "^", "a-b", "a]", "\n", "a\nb", "x y",
    "A1_", "{", "a{1}", "*", "\\", "aaaaaaaa",
];

#[test]
fn what_the_c_library_takes_we_take_and_the_same_matches() {
    for pattern in [
        "",
        "a",
        "ab",
        "a|b",
        "a|",
        "|a",
        "a||b",
        "()",
        "(|a)",
        "(a|b)*",
        "^a$",
        "^$",
        "$^",
        "a^b",
        "a$b",
        "(^a)",
        "(a$)",
        "(^|a)b",
        "a*",
        "a+",
        "a?",
        "a**",
        "a+*?",
        "a{2}",
        "a{2,}",
        "a{2,3}",
        "a{,2}",
        "a{,}",
        "a{0}b",
        "(ab){2}",
        "(a|b){3}",
        "(a{2}){2}",
        "a{0,0}",
        "(){3}",
        "()*",
        "(a*)*",
        "(a*)+b",
        "(a?){3}b",
        "[ab]",
        "[^ab]",
        "[]a]",
        "[^]a]",
        "[a-c]",
        "[-a]",
        "[a-]",
        "[+--]",
        "[--/]",
        "[[:alpha:]]",
        "[^[:space:]]",
        "[[:digit:]_]",
        "[[.a.]]",
        "[[.-.]]",
        "[[=a=]b]",
        "[[.a.]-c]",
        "[a-[.c.]]",
        "[\\]",
        "[\\n]",
        "[a[]",
        "[a[b]",
        "[:a]",
        "[.]",
        "[*]",
        "[$]",
        "\\.",
        "\\*",
        "\\\\",
        "\\(",
        "\\{",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "\\a",
        "\\-",
        "a)",
        ")",
        "}",
        "a}",
        "]",
        "x*y",
        "^*",
        "$*",
        "*",
        "+",
        "?",
        "{",
        "a|*",
        "(*a)",
        "(+)",
        "(",
        "(a",
        "a{",
        "a{1",
        "a{1,",
        "a{x}",
        "a{2,1}",
        "a{1,2,3}",
        "a{-1}",
        "a{ 1}",
        "a{99999}",
        "[",
        "[a",
        "[]",
        "[^]",
        "[b-a]",
        "[a-c-e]",
        "[[:nope:]]",
        "[[:alpha]",
        "[[:alpha:]-z]",
        "[a-[:alpha:]]",
        "\\",
        "a\\",
        "[[.ab.]]",
        "a|b|ab|^$",
        "((a)|(b))(c|)",
        "^(a|ab)(c|bcd)*$",
        "a.b",
        ".*",
        "^.$",
        "^[^a]*$",
        "(a|b|)c",
        "(^$)|b",
        "^(.{3})$",
        "^(^a)",
        "b$|^a",
        "a{1}{2}",
        "[a-b-]",
    ] {
        match (own(pattern.as_bytes(), &TEXTS), reference(pattern.as_bytes(), &TEXTS, 0)) {
            (Ok(ours), Some(theirs)) => assert_eq!(ours, theirs, "{pattern:?} in {TEXTS:?}"),
            (Err(Error::Bad), None) => {}
            (ours, theirs) => panic!("{pattern:?}: {ours:?}, the C library: {theirs:?}"),
        }
    }
}

#[test]
fn every_class_is_the_c_librarys() {
    for class in
        ["alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph", "cntrl", "xdigit"]
    {
        for byte in 1..128u8 {
            let (pattern, text) = (format!("[[:{class}:]]"), char::from(byte).to_string());
            let (ours, theirs) = (own(pattern.as_bytes(), &[&text]).ok(), reference(pattern.as_bytes(), &[&text], 0));
            assert_eq!(ours, theirs, "{class} {byte}");
        }
    }
}

#[test]
fn what_is_not_supported_is_refused() {
    for pattern in ["(a)\\1", "\\<a", "a\\b", "\\`a"] {
        assert_eq!(own::<&str>(pattern.as_bytes(), &[]), Err(Error::Bad), "{pattern}");
    }
}

#[test]
fn a_pattern_that_is_too_large_is_an_error_and_not_a_long_wait() {
    for pattern in [
        "a".repeat(REGEX_CODE),
        "a{1000}{1000}".to_owned(),
        "((a{100}){100}){100}".to_owned(),
        "(a?){32767}".to_owned(),
        "(".repeat(REGEX_DEPTH + 1) + &")".repeat(REGEX_DEPTH + 1),
        (0..=REGEX_SETS).map(|i| format!("[{}]", char::from(b'0' + i as u8))).collect(),
    ] {
        assert_eq!(Regex::new(pattern.as_bytes()).err(), Some(Error::TooLarge), "{pattern}");
    }
    assert!(Regex::new("a".repeat(REGEX_CODE - 1).as_bytes()).is_ok());
    assert!(Regex::new(("(".repeat(REGEX_DEPTH) + &")".repeat(REGEX_DEPTH)).as_bytes()).is_ok());
}

#[test]
fn no_pattern_makes_a_search_explode() {
    let regex = Regex::new(b"(a|aa|a*)*(a*)*(a?){200}b$").unwrap();
    assert!(!regex.is_match(&[b'a'; 10_000]));
}

#[test]
fn a_text_that_grows_matches_where_the_whole_does() {
    let regex = Regex::new(b"^su(U)?$|x").unwrap();
    let mut search = regex.search();
    assert!(!regex.go_on(&mut search, b"s"));
    assert!(regex.go_on(&mut search, b"u"));
    assert!(regex.go_on(&mut search, b"U"));
    assert!(!regex.go_on(&mut search, b"d"), "the end is elsewhere now");
    assert!(regex.go_on(&mut search, b"yxz"));
    assert!(regex.go_on(&mut search, b"..."), "this match stays");
}

/// Patterns that are right more often than not.
fn pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[ab]",
        2 => prop::sample::select(vec![".", "[ab]", "[^a]", "[a-c]", "[[:alpha:]]", "\\.", "-", "^", "$"]).prop_map(String::from),
        2 => prop::sample::select(vec!["*", "+", "?", "{2}", "{1,2}", "{0,1}", "{,2}", "{2,}", "{0}"]).prop_map(String::from),
        3 => prop::sample::select(vec!["(", ")", "|", "(|", "(a|b)", "(ab)*"]).prop_map(String::from),
        1 => prop::sample::select(vec!["[", "]", "{", "}", "[^", "[]", "-]", "[a", "\\", "\\\\", ",", "1"]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn any_pattern_matches_what_it_matches_in_the_c_library(pattern in pattern(), texts in prop::collection::vec("[abc.\\-]{0,8}", 8)) {
        // The C library has back references and anchors that we have not.
        prop_assume!(!pattern.contains("\\1") && !pattern.contains("\\b"));
        match own(pattern.as_bytes(), &texts) {
            Err(Error::TooLarge) => {}
            ours => prop_assert_eq!(ours.ok(), reference(pattern.as_bytes(), &texts, 0), "{}", pattern),
        }
    }

    #[test]
    fn pieces_of_a_text_match_as_the_whole(pattern in pattern(), text in "[abc]{0,12}", cut in 0usize..12) {
        if let Ok(regex) = Regex::new(pattern.as_bytes()) {
            let (first, second) = text.split_at(cut.min(text.len()));
            let mut search = regex.search();
            prop_assert_eq!(regex.go_on(&mut search, first.as_bytes()), regex.is_match(first.as_bytes()));
            prop_assert_eq!(regex.go_on(&mut search, second.as_bytes()), regex.is_match(text.as_bytes()));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(pattern in prop::collection::vec(any::<u8>(), 0..40), text in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(regex) = Regex::new(&pattern) {
            regex.is_match(&text);
        }
    }
}

mod generated;
mod hostile;
