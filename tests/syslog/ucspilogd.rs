//! ucspilogd beside Debian's.

use crate::beside::content;
use crate::server::pipe;
use crate::tmp::TempDir;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const STAMP: &str = "@4000000060000000000000ff";

/// Runs one with this input, in pieces of `step` bytes; exit code and output.
fn run(program: &Path, words: &[&str], input: &[u8], step: usize) -> (Option<i32>, Vec<u8>) {
    let mut command = Command::new(program);
    command.args(words).env_clear().env("SET", "value").env("EMPTY", "");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut feed = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || input.chunks(step.max(1)).for_each(|piece| feed.write_all(piece).unwrap()));
        let mut output = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
        (child.wait().unwrap().code(), output)
    })
}

fn theirs() -> &'static Path {
    Path::new("/usr/bin/ucspilogd")
}

/// Both print the same of this input, however it comes.
fn same(dir: &TempDir, words: &[&str], input: &[u8], steps: &[usize]) -> Vec<u8> {
    let expected = run(theirs(), words, input, input.len());
    assert_eq!(expected.0, Some(0));
    for step in steps {
        let ours = run(&dir.path().join("ucspilogd"), words, input, *step);
        assert_eq!(ours.0, Some(0));
        let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(3000).collect::<String>();
        assert!(ours.1 == expected.1, "{words:?} by {step}: {:?}\nnot {:?}", show(&ours.1), show(&expected.1));
    }
    expected.1
}

fn ours() -> TempDir {
    let dir = TempDir::new();
    dir.command("ucspilogd");
    dir
}

#[test]
fn stamp_variables_and_priority_come_in_that_order() {
    let dir = ours();
    let input = format!(
        "<13>a\n{STAMP} <14>b\n{STAMP}<15>c\n{STAMP}\n{STAMP} \n{STAMP}  <13>d\n{} <13>e\n@4000 <13>f\n{STAMP}00 <13>g\n{STAMP}\t<13>h\n<13>{STAMP} i\n{STAMP} {STAMP} <13>j\n\n<13>\n <13>k\n<13><14>l\n<x>m\n<4294967296>n\n<013>o\n<13",
        STAMP.to_uppercase()
    );
    for words in [&[][..], &["SET"], &["SET", "UNSET", "EMPTY"], &["-D", "none", "UNSET", "SET"], &["-D", "", "UNSET"]]
    {
        same(&dir, words, input.as_bytes(), &[1, 7, 10_000]);
    }
    let all = run(&dir.path().join("ucspilogd"), &["SET", "UNSET"], format!("{STAMP} <14>b").as_bytes(), 3).1;
    assert_eq!(String::from_utf8(all).unwrap(), format!("{STAMP} value: <undefined>: user.info: b\n"));
}

#[test]
fn what_only_has_the_length_of_a_stamp_is_none() {
    // Debian's takes any word of that length for one.
    let dir = ours();
    let input = b"@no-stamp-of-hexadecimals <13>x\n";
    let line = "value: @no-stamp-of-hexadecimals <13>x\n";
    assert_eq!(run(&dir.path().join("ucspilogd"), &["SET"], input, 99), (Some(0), line.into()));
    assert_eq!(run(theirs(), &["SET"], input, 99).1, b"@no-stamp-of-hexadecimals value: user.notice: x\n");
}

#[test]
fn every_facility_and_priority_has_its_name() {
    let input: String = (0..1100).map(|n| format!("<{n}>{n}\n")).collect();
    same(&ours(), &[], input.as_bytes(), &[17, 10_000]);
}

#[test]
fn lines_end_with_a_newline_or_a_nul_and_the_last_one_with_neither() {
    let dir = ours();
    assert_eq!(
        same(&dir, &[], b"<13>a\0<13>b\n\0<13>c", &[1, 100]),
        b"user.notice: a\nuser.notice: b\n\nuser.notice: c\n"
    );
    assert_eq!(same(&dir, &["SET"], b"\n", &[1]), b"value: \n");
    for end in [&b""[..], b"<", b"<13>", b"@4000", STAMP.as_bytes(), b"x"] {
        same(&dir, &["SET"], end, &[1, 100]);
    }
}

#[test]
fn wrong_words_are_refused() {
    let dir = ours();
    for program in [theirs(), &dir.path().join("ucspilogd")] {
        assert_eq!(run(program, &["-d", "x"], b"", 1).0, Some(100));
        assert_eq!(run(program, &["-D"], b"", 1).0, Some(100));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_print_the_same(
        parts in proptest::collection::vec(
            prop_oneof![
                Just(STAMP.as_bytes().to_vec()), Just(b" ".to_vec()), Just(b"\n".to_vec()), Just(vec![0]), Just(b"<".to_vec()),
                Just(b">".to_vec()), (0u32..300).prop_map(|n| format!("<{n}>").into_bytes()),
                proptest::collection::vec(any::<u8>(), 0..20),
                // No newline, and longer than whatever is read and written at once.
                (0usize..20_000).prop_map(|n| vec![b'z'; n]),
            ], 0..40),
        step in 1usize..9000,
        with_variable: bool,
    ) {
        let input = parts.concat();
        // A word of a stamp's length that is none is Debian's alone.
        let odd = |line: &[u8]| line.first() == Some(&b'@') && line.get(25) == Some(&b' ') && !line.starts_with(STAMP.as_bytes());
        prop_assume!(!input.split(|byte| matches!(byte, 0 | b'\n')).any(odd));
        let words: &[&str] = if with_variable { &["SET"] } else { &[] };
        same(&ours(), words, &input, &[step]);
    }
}

#[test]
fn a_line_of_any_length_stays_one_in_constant_memory() {
    let dir = ours();
    let mut command = Command::new(dir.path().join("ucspilogd"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut feed, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    const SIZE: usize = 64 << 20;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            feed.write_all(b"<13>").unwrap();
            let piece = vec![b'x'; 1 << 16];
            (0..SIZE / piece.len()).for_each(|_| feed.write_all(&piece).unwrap());
            feed.write_all(b"\n<14>next").unwrap();
        });
        let mut first = *b"user.notice: ";
        output.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"user.notice: ");
        let mut piece = vec![0; 1 << 16];
        let (mut left, mut peak) = (SIZE, None);
        while left > 0 {
            // In the middle, when it certainly runs.
            if left <= SIZE / 4 && peak.is_none() {
                let status = content(format!("/proc/{}/status", child.id()).as_ref());
                let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
                peak = line.trim().strip_suffix(" kB").unwrap().parse::<u64>().ok();
            }
            let n = left.min(piece.len());
            let n = output.read(&mut piece[..n]).unwrap();
            assert!(n > 0 && piece[..n].iter().all(|byte| *byte == b'x'));
            left -= n;
        }
        let peak = peak.unwrap();
        println!("VmHWM {peak} kB in a line of {SIZE} bytes");
        assert!(peak < 8192, "{peak} kB");
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "\nuser.info: next\n");
    });
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn lines_of_many_clients_do_not_mix_in_one_pipe() {
    let dir = ours();
    let (read, write) = pipe();
    let sizes = [1usize, 50, 700, 3000, 4000];
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut text = String::new();
            (&read).read_to_string(&mut text).unwrap();
            text
        });
        let clients: Vec<_> = ('a'..='f')
            .map(|letter| {
                let mut command = Command::new(dir.path().join("ucspilogd"));
                let output = Stdio::from(write.try_clone().unwrap());
                let mut child = command.stdin(Stdio::piped()).stdout(output).spawn().unwrap();
                let mut feed = child.stdin.take().unwrap();
                scope.spawn(move || {
                    for n in 0..300 {
                        let text = letter.to_string().repeat(sizes[n % sizes.len()]);
                        feed.write_all(format!("<13>{text}\n").as_bytes()).unwrap();
                    }
                    drop(feed);
                    assert_eq!(child.wait().unwrap().code(), Some(0));
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        drop(write);
        let text = reader.join().unwrap();
        assert_eq!(text.lines().count(), 6 * 300);
        for line in text.lines() {
            let body = line.strip_prefix("user.notice: ").unwrap_or_else(|| panic!("{line}"));
            let letter = body.chars().next().unwrap();
            assert!(sizes.contains(&body.len()) && body.chars().all(|other| other == letter), "{line}");
        }
    });
}
