//! Expressions on lines: the C library's, whole.

use crate::beside::*;
use crate::same;

/// Lines of a log, and some that are not.
const LINES: &[u8] = b"foo\nbar\nfoobar\nFOO\n\nkernel: usb 1-1: new device found\n10.0.0.17: connection closed after 12 ms\n\
    a.b\na*b\na+b\n(x)\n[y]\n{z}\n$5\n^up\nback\\slash\n\ttab\nsp ace\n\xc3\xa9t\xc3\xa9\n\xff\x80\naaaaaaaaaaaaaaaaaaaaaaaa\n";

#[test]
fn lines_match_as_in_the_c_library() {
    let both = Beside::new();
    let mut some = false;
    for expression in [
        &b"foo"[..],
        b"^foo",
        b"foo$",
        b"^foo$",
        b"^$",
        b".",
        b"..$",
        b"fo*",
        b"fo+b",
        b"fo?b",
        b"fo{2}",
        b"^.{3}$",
        b"(foo|bar)",
        b"^(foo|bar)+$",
        b"foo|",
        b"()",
        b"[[:digit:]]+ ms",
        b"[^a-z]",
        b"^[^ ]* [^ ]* [0-9]",
        b"[0-9]+\\.[0-9]+",
        b"a\\.b",
        b"a\\*b",
        b"a\\+b",
        b"a.b",
        b"\\(x\\)",
        b"\\[y\\]",
        b"[[]",
        b"[]]",
        b"\\{z",
        b"\\$5",
        b"[$]",
        b"\\^up",
        b"[\\]",
        b"\\\\",
        b"[[:space:]]",
        b"[[:blank:]]",
        b"[[:upper:]]",
        b"\\w+",
        b"^\\W",
        b"\\s",
        b"^\\S+$",
        b"\xc3\xa9",
        b"[\x80-\xff]",
        b"^[^\x01-\x7f]+$",
        b"\xff",
        b"^.{4}t",
        b"(a*)*b",
        b"(a+)+$",
        b"(a|aa)+$",
        b"^(a{3}){8}$",
        b"a{25}",
        b"x)",
        b"b]",
        b"z}",
        b"connection.*ms",
        b"(.*)(.*)ms$",
    ] {
        let words = [b"--".to_vec(), b"-".to_vec(), [b"+", expression].concat(), b"1".to_vec()];
        let ended = same(&both, &words, LINES);
        assert_eq!(ended.code, Some(0), "{}", expression.escape_ascii());
        some |= !ended.out.is_empty();
    }
    assert!(some);
}

#[test]
fn a_bytes_value_decides_and_not_its_character() {
    let both = Beside::new();
    // Two bytes: one dot is not enough, whatever the locale.
    let ended = same(&both, &["--", "-", "+^.$", "1"], "é\nx\n".as_bytes());
    assert_eq!(ended.out, "x\n");
}

#[test]
fn a_hostile_expression_stalls_nobody() {
    let both = Beside::new();
    // As a line of the longest length, with expressions that others take exponential time for.
    let line = [&[b'a'; 8000][..], b"\n"].concat();
    for expression in ["(a*)*b", "(a|aa)+b", "(a|a)*b$", "(.*)(.*)(.*)(.*)(.*)b", "[ab]*a[ab]{60}c"] {
        let ended = crate::log(&both, Ours, &["--", "-", &format!("+{expression}"), "1"], &line.repeat(20));
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{expression}");
    }
}
