//! Words that are right and words that are wrong.

use crate::beside::*;
use crate::{log, same};

/// Both refuse these words, in the same words.
fn refused(both: &Beside, words: &[&str], text: &str) {
    let ended = same(both, words, b"x\n");
    assert_eq!((ended.code, ended.err.as_str()), (Some(100), &*format!("s6-log: fatal: {text}\n")), "{words:?}");
    assert_eq!(ended.out, "");
}

/// Both take these words, and say nothing.
fn taken(both: &Beside, words: &[&str]) {
    let ended = same(both, words, b"x\n");
    assert_eq!((ended.code, ended.err.as_str(), ended.out.as_str()), (Some(0), "", "x\n"), "{words:?}");
}

#[test]
fn a_number_that_is_missing_malformed_or_too_large_is_unrecognized() {
    let both = Beside::new();
    for word in [
        "n",
        "nx",
        "n-1",
        "n+1",
        "n 1",
        "n1 ",
        "n1x",
        "n4294967296",
        "s",
        "sx",
        "s4294967296",
        "s99999999999",
        "S",
        "Sx",
        "S-1",
        "S18446744073709551616",
        "l",
        "l-1",
        "lx",
        "l4294967296",
        "r",
        "rx",
        "r-1",
        "r2147483648",
        "E",
        "Ex",
        "E4294967296",
        "^",
        "^x",
        "^4294967296",
    ] {
        refused(&both, &[word, "1"], &format!("unrecognized directive: {word}"));
        refused(&both, &["1", word], &format!("unrecognized directive: {word}"));
    }
}

#[test]
fn numbers_at_the_ends_of_their_ranges_are_taken() {
    let both = Beside::new();
    for word in [
        "n0",
        "n05",
        "n4294967295",
        "s0",
        "s4095",
        "s268435455",
        "s268435456",
        "s4294967295",
        "S0",
        "S18446744073709551615",
        "l0",
        "l49999",
        "r0",
        "r2147483647",
        "E0",
        "E4294967295",
        "^0",
        "^1",
        "^4294967295",
        "p",
        "!",
        "?",
        "!x",
        "?x",
    ] {
        taken(&both, &[word, "1"]);
        taken(&both, &["1", word]);
    }
}

#[test]
fn letters_that_mean_nothing_are_unrecognized() {
    let both = Beside::new();
    for word in ["", "x", "a", "3", "0", "F", "N", "P", "x\\", "~/log", "log", " 1", "e200"] {
        refused(&both, &[word, "1"], &format!("unrecognized directive: {word}"));
        refused(&both, &["1", word], &format!("unrecognized directive: {word}"));
    }
}

#[test]
fn nothing_may_follow_some_letters_and_something_must_follow_another() {
    let both = Beside::new();
    for word in ["ff", "f1", "tt", "t1", "T1", "11", "12", "1 ", "22", "2x", "="] {
        refused(&both, &[word, "1"], &format!("syntax error at directive: {word}"));
        refused(&both, &["1", word], &format!("syntax error at directive: {word}"));
    }
}

#[test]
fn a_script_needs_an_action() {
    let both = Beside::new();
    for words in [&["n5"][..], &["+a"], &["f"], &["t"], &["+a", "n5", "p"], &["nx"], &["+["], &["--", "-a"]] {
        refused(&both, words, "no action directive specified");
    }
}

#[test]
fn a_tolerance_is_compared_with_the_size_that_is_known_then() {
    let both = Beside::new();
    for (words, word) in [
        (["s4096", "l3000", "1"], "l3000"),
        (["s4096", "l2049", "1"], "l2049"),
        (["s4097", "l2049", "1"], "l2049"),
        (["s1", "l2049", "1"], "l2049"),
        (["1", "n1", "l50000"], "l50000"),
        (["s4294967295", "l134217728", "1"], "l134217728"),
    ] {
        refused(&both, &words, &format!("directive {word} conflicts with previous s directive"));
    }
    for words in [["l3000", "s4096", "1"], ["s4096", "l2048", "1"], ["s4097", "l2048", "1"], ["s1", "l2048", "1"]] {
        taken(&both, &words);
    }
}

#[test]
fn an_expression_that_is_none_is_unrecognized() {
    let both = Beside::new();
    for word in ["+[", "+(", "+*", "+a{2,1}", "+a{1", "+[b-a]", "+\\", "+[[:nope:]]"] {
        refused(&both, &[word, "1"], &format!("unrecognized directive: {word}"));
        refused(
            &both,
            &["--", &word.replace('+', "-"), "1"],
            &format!("unrecognized directive: {}", word.replace('+', "-")),
        );
    }
}

#[test]
fn selections_behind_the_last_action_are_a_warning() {
    let both = Beside::new();
    let warning = "s6-log: warning: ignoring extraneous non-action directives\n";
    for words in [&["1", "+a"][..], &["1", "f"], &["1", "-a", "n5"], &["1", "n5", "+a", "-b"]] {
        let ended = same(&both, words, b"x\n");
        assert_eq!((ended.code, ended.err.as_str(), ended.out.as_str()), (Some(0), warning, "x\n"), "{words:?}");
    }
    for words in [&["1", "n5"][..], &["1", "t", "T"], &["+", "1"], &["-q", "1", "+a"], &["-q", "1", "f"]] {
        taken(&both, words);
    }
}

#[test]
fn a_script_that_begins_with_a_deselection_needs_two_hyphens() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        // `-x` is an option that there is not; `-bar` are three.
        for words in [&["-x", "1"][..], &["-bar", "1"], &[], &["--"], &["-b"]] {
            let ended = log(&both, whose, words, b"x\n");
            assert_eq!(ended.code, Some(100), "{whose:?} {words:?}");
            assert!(ended.err.starts_with("s6-log: usage: s6-log "), "{whose:?} {words:?}: {}", ended.err);
        }
    }
    assert_eq!(same(&both, &["--", "-bar", "1"], b"foo\nbar\n").out, "foo\n");
    assert_eq!(same(&both, &["+", "-bar", "1"], b"foo\nbar\n").out, "foo\n");
}

/// What is in the directory afterwards; it is taken away.
fn made(both: &Beside, whose: Whose, words: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let ended = log(both, whose, words, b"");
    let mut names: Vec<String> = std::fs::read_dir(both.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .inspect(|name| std::fs::remove_dir_all(both.path().join(name)).unwrap())
        .collect();
    names.sort();
    (ended.code, ended.err, names)
}

#[test]
fn letters_are_looked_at_before_any_directory_is_touched() {
    let both = Beside::new();
    for words in [&["./a", "nx", "zoo"][..], &["./a", "+[", "ff"], &["./a", "./b", "="]] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| made(&both, whose, words));
        assert_eq!(ours, theirs, "{words:?}");
        assert_eq!((ours.0, ours.2.len()), (Some(100), 0), "{words:?}");
    }
}

#[test]
fn values_are_looked_at_when_the_logdirs_in_front_of_them_are_open() {
    let both = Beside::new();
    for (words, dirs) in [
        (&["./a", "+["][..], &["a"][..]),
        (&["./a", "nx", "./b"], &["a"]),
        (&["./a", "./b", "s4096", "l2049", "./c"], &["a", "b"]),
        (&["nx", "./a"], &[]),
    ] {
        let [theirs, ours] = [Theirs, Ours].map(|whose| made(&both, whose, words));
        // Debian's warns of what comes behind the last action although it does not come to it.
        let fatal =
            |err: &str| err.lines().filter(|line| line.contains("fatal")).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((ours.0, fatal(&ours.1), &ours.2), (theirs.0, fatal(&theirs.1), &theirs.2), "{words:?}");
        assert_eq!(
            (ours.0, ours.2.as_slice()),
            (Some(100), dirs.iter().map(|dir| (*dir).to_owned()).collect::<Vec<_>>().as_slice())
        );
    }
    // The directory is what is wrong first.
    let [theirs, ours] = [Theirs, Ours].map(|whose| log(&both, whose, &["./no/a", "+[", "1"], b""));
    assert_eq!(ours, theirs);
    assert_eq!(ours.code, Some(111));
}

#[test]
fn directives_that_s6_has_not_or_not_yet_are_taken() {
    let both = Beside::new();
    for word in ["R3600", "R0", "c5s", "c500ms", "c2m", "c64k", "c4096", "c1M", "c0", "ram:64k", "ram:4096", "ram:0"] {
        let ended = log(&both, Ours, &[word, "1"], b"x\n");
        assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "x\n", ""), "{word}");
        let ended = log(&both, Theirs, &[word, "1"], b"x\n");
        assert_eq!((ended.code, ended.err), (Some(100), format!("s6-log: fatal: unrecognized directive: {word}\n")));
    }
    for word in ["R", "Rx", "R4294967296", "c", "cx", "c1h", "c1.5s", "c-1", "ram", "ram:", "ram:x", "ram:-1"] {
        refused(&both, &[word, "1"], &format!("unrecognized directive: {word}"));
    }
    for (word, range) in [
        ("ram:100", "a ring in memory has 4096 bytes to 64M"),
        ("ram:65M", "a ring in memory has 4096 bytes to 64M"),
        ("c8M", "at most 1M may be gathered"),
    ] {
        let ended = log(&both, Ours, &[word, "1"], b"x\n");
        let text = format!("s6-log: fatal: directive {word} is out of range: {range}\n");
        assert_eq!((ended.code, ended.err), (Some(100), text));
    }
}

#[test]
fn what_is_too_much_is_refused_with_what_to_do() {
    let both = Beside::new();
    // Debian's needs gigabytes for the first.
    let ended = log(&both, Ours, &["+((((a{1,30}){1,30}){1,30}){1,30})", "1"], b"x\n");
    assert_eq!(ended.code, Some(100));
    assert!(ended.err.ends_with("is too large: use several directives, or smaller repetitions\n"), "{}", ended.err);
    let many: Vec<String> = (0..65).map(|i| format!("+{i}")).chain(["1".to_owned()]).collect();
    let ended = log(&both, Ours, &many, b"x\n");
    assert_eq!(
        (ended.code, ended.err.as_str()),
        (Some(100), "s6-log: fatal: more than 64 different expressions at directive +64\n")
    );
}
