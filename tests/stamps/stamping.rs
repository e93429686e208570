//! tai64n: a stamp in front of each line.

use crate::beside::*;
use crate::{Filtered, Numbers, filter};
use linchpin::text::tai::Stamp;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

/// The output with its stamps taken off, each of which must be of between the two times.
fn unstamped(output: &[u8], since: Stamp, until: Stamp) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut last = since;
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        let stamp = Stamp::from_text(line).unwrap_or_else(|| panic!("no stamp: {:?}", String::from_utf8_lossy(line)));
        assert_eq!(stamp.to_text(), line[..25], "its digits are lower-case");
        assert_eq!(line[25], b' ');
        assert!(last <= stamp && stamp <= until, "{last:?} {stamp:?} {until:?}");
        last = stamp;
        plain.extend_from_slice(&line[26..]);
    }
    plain
}

/// Both, whose stamps must be right; what is left of their output.
fn both(input: &[u8]) -> Filtered {
    let both = Beside::new();
    let [theirs, ours] = [Theirs, Ours].map(|whose| {
        let since = Stamp::now();
        let filtered = filter(&mut both.command(whose, "tai64n"), input);
        // s6 adds half a microsecond to what the clock says.
        Filtered { out: unstamped(&filtered.out, since, Stamp::now().plus(500)), ..filtered }
    });
    assert_eq!(ours, theirs);
    ours
}

#[test]
fn each_line_gets_a_stamp_and_the_last_one_its_newline() {
    for (input, output) in [
        (&b""[..], &b""[..]),
        (b"\n", b"\n"),
        (b"a\n", b"a\n"),
        (b"a", b"a\n"),
        (b"a\n\nb", b"a\n\nb\n"),
        (b"a\0b\nc\0", b"a\0b\nc\0\n"),
        (b"@400000006b098bdd2bfa5d34 stamped\n", b"@400000006b098bdd2bfa5d34 stamped\n"),
        (b"\xff\xfe\r\n", b"\xff\xfe\r\n"),
    ] {
        assert_eq!(both(input), Filtered { code: 0, out: output.to_vec() });
    }
}

#[test]
fn hundreds_of_generated_lines_are_stamped_as_debians_stamps_them() {
    let mut numbers = Numbers(7);
    let mut input = Vec::new();
    for _ in 0..900 {
        let most = if numbers.below(10) == 0 { 3000 } else { 120 };
        let length = numbers.below(most);
        input.extend((0..length).map(|_| b"abc \0\t@\xe9"[numbers.below(8) as usize]));
        input.push(b'\n');
    }
    assert_eq!(both(&input).out, input);
}

#[test]
fn lines_around_the_size_of_the_buffer_are_stamped_once() {
    for length in [65_534, 65_535, 65_536, 65_537, 131_072, 131_073, 1_000_000] {
        let line = vec![b'x'; length];
        let input = [&b"before\n"[..], &line, b"\nbetween\n", &line].concat();
        assert_eq!(both(&input).out, [&input[..], b"\n"].concat(), "{length}");
        assert_eq!(both(&line).out, [&line[..], b"\n"].concat(), "{length}");
    }
}

#[test]
fn a_line_is_passed_on_when_it_is_whole_and_before_it_is_waited_for_more() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let mut child = both.command(whose, "tai64n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut next = |written: &[u8]| {
            let since = Stamp::now();
            stdin.write_all(written).unwrap();
            let mut line = Vec::new();
            stdout.read_until(b'\n', &mut line).unwrap();
            unstamped(&line, since, Stamp::now().plus(500))
        };
        assert_eq!(next(b"one\ntw"), b"one\n");
        assert_eq!(next(b"o\n"), b"two\n", "its stamp is of when its end came");
        assert_eq!(next(b"three\n"), b"three\n");
        stdin.write_all(b"four").unwrap();
        drop(stdin);
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).unwrap();
        assert_eq!(rest[26..], *b"four\n");
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn words_are_not_looked_at() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        for words in [&["-x"][..], &["--help"], &["a", "b"]] {
            assert_eq!(both.run(whose, "tai64n", words), Outcome::says(""), "{words:?}");
        }
    }
}

#[test]
fn what_tai64n_stamps_tai64nlocal_shows() {
    let both = Beside::new();
    let stamped = filter(&mut both.command(Ours, "tai64n"), b"a line\n").out;
    let shown = filter(both.command(Ours, "tai64nlocal").env("TZ", "Asia/Tokyo"), &stamped);
    assert_eq!(shown, filter(both.command(Theirs, "tai64nlocal").env("TZ", "Asia/Tokyo"), &stamped));
    assert_eq!(shown.out.len(), "2026-11-22 09:25:06.988537991 a line\n".len());
}
