//! What `linchpin exec` takes for words is what a shell takes for them.

use linchpin::text::words::{Mistake, unquote};
use proptest::prelude::*;
use std::process::Command;

fn read(text: &[u8]) -> Result<Vec<Vec<u8>>, (Mistake, usize)> {
    let mut room = text.to_vec();
    room.push(0xff);
    let end = unquote(&mut room, text.len())?.end;
    assert!(end <= text.len() + 1);
    let mut words: Vec<Vec<u8>> = room[..end].split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(words.pop().as_deref(), Some(&b""[..]), "each word ends with a NUL");
    Ok(words)
}

/// What dash makes of the same words, several lines of them.
fn shell(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut script = b"set -f\n".to_vec();
    for line in lines {
        script.extend_from_slice(b"printf '%s\\0' x ");
        script.extend_from_slice(line);
        script.push(b'\n');
    }
    let output = Command::new("/bin/sh").args(["-c", std::str::from_utf8(&script).unwrap()]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{}", script.escape_ascii());
    output.stdout
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Text of which most means something. No end of a line: to a shell it ends the command.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "a", "bc", "=", "b#", "\\#", "'#'", " ", "\t", "\\", "'", "\"", "\\'", "\\\"", "\\$", "$", "`", "&", ";", "''",
        "\"\"", "'a b'", "\\\\", " \"$@\" ",
    ]);
    let end = prop::sample::select(vec![" ", " # it's \"x", " #\\ `"]);
    // A backslash at the end would take the end of the line away.
    (prop::collection::vec(piece, 0..24), end).prop_map(|(pieces, end)| (pieces.concat() + end).into_bytes())
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_shell_reads_every_line_that_is_taken_as_the_same_words(lines in prop::collection::vec(line(), 200)) {
        let taken: Vec<_> = lines.into_iter().filter(|line| read(line).is_ok()).collect();
        prop_assert!(!taken.is_empty());
        let ours = taken.iter().flat_map(|line| [vec![b"x".to_vec()], read(line).unwrap()].concat());
        let ours: Vec<u8> = ours.flat_map(|word| [word, vec![0]].concat()).collect();
        prop_assert_eq!(ours.escape_ascii().to_string(), shell(&taken).escape_ascii().to_string());
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn words_between_single_quotes_come_back_as_they_were(words in prop::collection::vec("[^\0]{0,12}", 0..12)) {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
        let words: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
        prop_assert_eq!(read(quoted.join(" \\\n\t").as_bytes()), Ok(words));
    }

    #[test]
    fn whatever_the_bytes_are_they_are_words_or_a_mistake_in_one_of_their_lines(text in prop::collection::vec(any::<u8>(), 0..200)) {
        match read(&text) {
            Ok(words) => prop_assert!(words.iter().map(|word| word.len() + 1).sum::<usize>() <= text.len() + 1),
            Err((_, line)) => prop_assert!((1..=1 + text.iter().filter(|byte| **byte == b'\n').count()).contains(&line)),
        }
    }
}
