//! What words mean, and what is said of those that mean nothing.

use super::*;
use crate::logd::dir::Interpreter;
use crate::sys::time::{MILLI, SECOND};
use std::string::{String, ToString};
use std::{boxed::Box, ffi::CString, format, vec, vec::Vec};

/// Words that live as long as the process.
fn forever(words: &[&str]) -> Vec<&'static CStr> {
    words.iter().map(|word| &*Box::leak(CString::new(*word).unwrap().into_boxed_c_str())).collect()
}

/// The script that is to be looked at, and what parsing it has said.
fn parsed(words: &[&str]) -> (Box<Script>, Result<Notes, Problem>) {
    let mut script = Box::new(Script::new());
    let result = script.parse(forever(words).into_iter());
    (script, result)
}

fn script(words: &[&str]) -> Box<Script> {
    let (script, result) = parsed(words);
    result.unwrap_or_else(|problem| panic!("{words:?}: {problem}"));
    script
}

/// What is said of wrong words, and whether logdirs in front of it count.
fn problem(words: &[&str]) -> (String, bool) {
    let problem = parsed(words).1.unwrap_err();
    assert_eq!(problem.code(), 100);
    (problem.to_string(), problem.is_late())
}

/// The settings of the only logdir.
fn settings(words: &[&str]) -> Settings {
    let words: Vec<&str> = words.iter().copied().chain(["./d"]).collect();
    *script(&words).dirs.first().unwrap()
}

/// Which actions run for a line.
fn actions(script: &mut Script, line: &str) -> Vec<u16> {
    let mut actions = vec![];
    script.each_action(line.as_bytes(), |number| actions.push(number));
    actions
}

#[test]
fn a_logdir_has_what_the_directives_in_front_of_it_say() {
    let default = Settings { path: c"./d", ..Settings::DEFAULT };
    assert_eq!(settings(&[]), default);
    for (word, expected) in [
        ("n5", Settings { archives: 5, ..default }),
        ("n0", Settings { archives: 0, ..default }),
        ("n4294967295", Settings { archives: u32::MAX, ..default }),
        ("s5000", Settings { size: 5000, ..default }),
        ("s05000", Settings { size: 5000, ..default }),
        ("s0", Settings { size: 4096, ..default }),
        ("s4095", Settings { size: 4096, ..default }),
        ("s268435455", Settings { size: 268_435_455, ..default }),
        ("s4294967295", Settings { size: 268_435_455, ..default }),
        ("S18446744073709551615", Settings { total: u64::MAX, ..default }),
        ("l0", Settings { tolerance: 0, ..default }),
        ("l49999", Settings { tolerance: 49_999, ..default }),
        ("r0", Settings { retry: 0, ..default }),
        ("r2147483647", Settings { retry: 2_147_483_647 * MILLI, ..default }),
        ("R3600", Settings { age: 3600 * SECOND, ..default }),
        ("R4294967295", Settings { age: 4_294_967_295 * SECOND, ..default }),
        ("!gzip -9", Settings { processor: Some((Interpreter::Execline, c"gzip -9")), ..default }),
        ("?a | b", Settings { processor: Some((Interpreter::Shell, c"a | b")), ..default }),
        ("c5s", Settings { gather_time: 5 * SECOND, ..default }),
        ("c500ms", Settings { gather_time: 500 * MILLI, ..default }),
        ("c2m", Settings { gather_time: 120 * SECOND, ..default }),
        ("c4096", Settings { gather_size: 4096, gather_time: ANY_TIME, ..default }),
        ("c64k", Settings { gather_size: 65536, gather_time: ANY_TIME, ..default }),
        ("c1M", Settings { gather_size: 1024 * 1024, gather_time: ANY_TIME, ..default }),
        ("c0", default),
        ("c0s", default),
        ("ram:4096", Settings { ring: 4096, ..default }),
        ("ram:64k", Settings { ring: 65536, ..default }),
        ("ram:64M", Settings { ring: 64 * 1024 * 1024, ..default }),
        ("ram:0", default),
    ] {
        assert_eq!(settings(&[word]), expected, "{word}");
    }
}

#[test]
fn control_directives_hold_until_they_are_given_again() {
    let script = script(&["n1", "!x", "./a", "n2", "./b", "!", "ram:4k", "./c", "ram:0", "?y", "./d", "./e"]);
    let of = |at: usize| {
        let dir = &script.dirs[at];
        (dir.path.to_str().unwrap(), dir.archives, dir.processor.map(|processor| processor.0), dir.ring)
    };
    assert_eq!(of(0), ("./a", 1, Some(Interpreter::Execline), 0));
    assert_eq!(of(1), ("./b", 2, Some(Interpreter::Execline), 0));
    assert_eq!(of(2), ("./c", 2, None, 4096));
    assert_eq!(of(3), ("./d", 2, Some(Interpreter::Shell), 0));
    assert_eq!(of(4), ("./e", 2, Some(Interpreter::Shell), 0), "the shell belongs to the processor");
}

#[test]
fn what_is_gathered_has_a_time_a_size_or_both() {
    let both = |settings: Settings| (settings.gather_time, settings.gather_size);
    assert_eq!(both(settings(&["c5s", "c64k"])), (5 * SECOND, 65536));
    assert_eq!(both(settings(&["c64k", "c5s"])), (5 * SECOND, 65536));
    assert_eq!(both(settings(&["c64k", "c5s", "c0"])), (0, 0));
}

#[test]
fn stamps_are_for_one_action_and_prefixes_for_all_that_follow() {
    let script = script(&["t", "T", "pa", "1", "2", "p", "t", "t", "=st", "^0", "E7", "2", "=st", "./d"]);
    let head = |tai, local, prefix| Head { tai, local, prefix };
    let expected = [
        Action { head: head(true, true, b"a"), target: Target::Stdout },
        Action { head: head(false, false, b"a"), target: Target::Alert(200) },
        Action { head: head(true, false, b""), target: Target::Status(c"st", 1001) },
        Action { head: Head::default(), target: Target::Alert(7) },
        Action { head: Head::default(), target: Target::Status(c"st", 0) },
        Action { head: Head::default(), target: Target::Dir(0) },
    ];
    assert_eq!(script.actions, expected);
    assert!(script.is_plain());
}

#[test]
fn an_error_in_the_letters_is_found_before_numbers_are_looked_at() {
    for (words, text) in [
        (&["x", "1"][..], "unrecognized directive: x"),
        (&["", "1"], "unrecognized directive: "),
        (&["./d", "nx", "zoo"], "unrecognized directive: zoo"),
        (&["./d", "nx", "ff"], "syntax error at directive: ff"),
        (&["f1", "1"], "syntax error at directive: f1"),
        (&["t1", "1"], "syntax error at directive: t1"),
        (&["T1", "1"], "syntax error at directive: T1"),
        (&["11"], "syntax error at directive: 11"),
        (&["2 "], "syntax error at directive: 2 "),
        (&["="], "syntax error at directive: ="),
        (&["n5"], "no action directive specified"),
        (&["+[", "nx"], "no action directive specified"),
        (&[], "no action directive specified"),
        (&["1", "x\\"], "unrecognized directive: x\\"),
        (&["1", "x\u{1b}["], "unrecognized directive: x\\x1b["),
        (&["1", "é"], "unrecognized directive: é"),
    ] {
        assert_eq!(problem(words), (text.to_string(), false), "{words:?}");
    }
}

#[test]
fn an_error_in_a_value_is_found_behind_the_logdirs_in_front_of_it() {
    for word in [
        "n",
        "nx",
        "n-1",
        "n+1",
        "n 1",
        "n1 ",
        "n4294967296",
        "s",
        "s4294967296",
        "S",
        "S18446744073709551616",
        "l",
        "l-1",
        "r",
        "r2147483648",
        "rx",
        "ram",
        "ram:",
        "ram:x",
        "ram:k",
        "R",
        "R-1",
        "R4294967296",
        "E",
        "Ex",
        "E4294967296",
        "^",
        "^x",
        "c",
        "cx",
        "cs",
        "c1h",
        "c1K",
        "c-1",
        "c1.5s",
        "c99999999999",
        "+[",
        "-(",
        "+a{2,1}",
        "-*",
    ] {
        let (script, result) = parsed(&["./d", word, "./e"]);
        let problem = result.unwrap_err();
        assert_eq!(problem.to_string(), format!("unrecognized directive: {word}"));
        assert!(problem.is_late() && problem.code() == 100 && script.dirs.len() == 1, "{word}");
    }
}

#[test]
fn the_tolerance_is_at_most_half_of_the_size_that_is_known_then() {
    let conflict = |word: &str| (format!("directive {word} conflicts with previous s directive"), true);
    assert_eq!(problem(&["s4096", "l3000", "1"]), conflict("l3000"));
    assert_eq!(problem(&["l50000", "1"]), conflict("l50000"));
    assert_eq!(problem(&["s4097", "l2049", "1"]), conflict("l2049"));
    assert_eq!(problem(&["s1", "l2049", "1"]), conflict("l2049"));
    assert_eq!(settings(&["s4097", "l2048"]).tolerance, 2048);
    assert_eq!(settings(&["s1", "l2048"]).tolerance, 2048);
    let later = settings(&["l3000", "s4096"]);
    assert_eq!((later.tolerance, later.size), (3000, 4096));
}

#[test]
fn what_is_out_of_range_is_told_with_the_range() {
    for (word, range) in [
        ("ram:4095", "a ring in memory has 4096 bytes to 64M"),
        ("ram:65M", "a ring in memory has 4096 bytes to 64M"),
        ("c1048577", "at most 1M may be gathered"),
        ("c4095M", "at most 1M may be gathered"),
        (&format!("p{}", "x".repeat(1025)), "a prefix has at most 1024 bytes"),
    ] {
        assert_eq!(problem(&[word, "./d"]).0, format!("directive {word} is out of range: {range}"));
    }
    assert_eq!(script(&[&format!("p{}", "x".repeat(1024)), "1"]).actions[0].head.prefix.len(), 1024);
}

#[test]
fn selections_behind_the_last_action_are_looked_at_and_left_out() {
    let notes = |words: &[&str]| parsed(words).1.unwrap();
    assert!(notes(&["1", "+a"]).extraneous && notes(&["1", "f", "n5"]).extraneous);
    assert!(!notes(&["1", "n5"]).extraneous && !notes(&["-a", "1", "t"]).extraneous);
    let script = script(&["1", "+a", "-b", "f"]);
    assert!(script.is_plain());
    assert_eq!(script.steps, [Step::Act(0)]);
    assert_eq!(problem(&["1", "+["]).0, "unrecognized directive: +[");
}

#[test]
fn lines_go_where_the_selections_let_them() {
    let mut chosen = script(&["-", "+foo", "-bar", "p1:", "1", "f", "p2:", "1"]);
    assert!(!chosen.is_plain());
    let lines = ["foo", "bar", "foobar", "baz", ""].map(|line| actions(&mut chosen, line));
    assert_eq!(lines, [vec![0], vec![1], vec![1], vec![1], vec![1]]);
}

#[test]
fn a_selection_holds_for_all_groups_behind_it() {
    let mut chosen = script(&["-a", "1", "+b", "1", "+", "1", "-", "1", "f", "1", "+", "1"]);
    assert_eq!(actions(&mut chosen, "x"), [0, 1, 2, 5]);
    assert_eq!(actions(&mut chosen, "a"), [2, 5]);
    assert_eq!(actions(&mut chosen, "ab"), [1, 2, 5]);
}

#[test]
fn the_rest_is_what_no_action_has_had_and_not_what_is_not_selected() {
    // It is selected again, behind the action.
    let mut chosen = script(&["1", "f", "1", "-", "f", "1"]);
    assert_eq!(actions(&mut chosen, "x"), [0]);
    // It is deselected, and has had no action.
    let mut chosen = script(&["-", "f", "1", "f", "1"]);
    assert_eq!(actions(&mut chosen, "x"), [0]);
}

#[test]
fn the_same_logdir_twice_is_two() {
    let script = script(&["./d", "n3", "./d"]);
    assert_eq!(script.dirs.iter().map(|dir| dir.archives).collect::<Vec<_>>(), [10, 3]);
    assert_eq!(script.actions.iter().map(|action| action.target).collect::<Vec<_>>(), [Target::Dir(0), Target::Dir(1)]);
}

#[test]
fn what_there_is_no_room_for_is_told() {
    let words: Vec<String> = (0..65).map(|i| format!("+{i}")).chain(["1".to_string()]).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(problem(&words).0, "more than 64 different expressions at directive +64");
    let words: Vec<String> = (0..300).map(|i| format!("+{}", i % 60)).chain(["1".to_string()]).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(problem(&words).0, "more than 256 selections and actions at directive +16");
    assert_eq!(problem(&["./d"; 33]).0, "more than 32 logdirs at directive ./d");
    let hostile = "+((a{1,100}){1,100}){1,100}";
    let text =
        format!("the expression of directive {hostile} is too large: use several directives, or smaller repetitions");
    assert_eq!(problem(&[hostile, "1"]).0, text);
}

#[test]
fn a_script_can_be_parsed_into_the_room_of_another() {
    let mut script = script(&["-a", "t", "./d", "+b", "1"]);
    assert_eq!(script.parse(forever(&["1"]).into_iter()), Ok(Notes::default()));
    assert!(script.is_plain() && script.dirs.is_empty() && script.actions.len() == 1);
}
