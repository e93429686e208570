//! Which lines which action gets.

use crate::beside::*;
use crate::same;

/// What both write for a script, as lines.
fn lines(both: &Beside, words: &[&str], input: &str) -> Vec<String> {
    let ended = same(both, words, input.as_bytes());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{words:?}");
    ended.out.lines().map(str::to_owned).collect()
}

#[test]
fn a_group_gets_what_is_selected_and_the_rest_is_what_nobody_had() {
    let both = Beside::new();
    let script = ["--", "-", "+foo", "-bar", "p1:", "1", "f", "p2:", "1"];
    assert_eq!(lines(&both, &script, "foo\nbar\nfoobar\nbaz\n"), ["1: foo", "2: bar", "2: foobar", "2: baz"]);
}

#[test]
fn selections_go_on_from_group_to_group() {
    let both = Beside::new();
    let script = ["--", "-a", "p1", "1", "+b", "p2", "1", "+", "p3", "1", "-", "p4", "1"];
    assert_eq!(lines(&both, &script, "x\na\nab\n"), ["1 x", "2 x", "3 x", "3 a", "2 ab", "3 ab"]);
}

#[test]
fn the_rest_looks_at_what_was_done_and_not_at_what_is_selected() {
    let both = Beside::new();
    // Deselected behind an action, it is not taken up again.
    assert_eq!(lines(&both, &["p1", "1", "-", "f", "p2", "1"], "x\n"), ["1 x"]);
    // Selected in front of none, it is.
    assert_eq!(lines(&both, &["--", "-", "f", "p1", "1", "f", "p2", "1"], "x\n"), ["1 x"]);
    // An `f` in front of everything changes nothing; one in front of another neither.
    assert_eq!(lines(&both, &["f", "f", "p1", "1", "f", "f", "p2", "1"], "x\n"), ["1 x"]);
    // Selected lines that were had are deselected by it.
    assert_eq!(lines(&both, &["p1", "1", "f", "p2", "1", "+", "p3", "1"], "x\n"), ["1 x", "3 x"]);
}

#[test]
fn an_empty_expression_is_every_line_and_empty_lines_are_lines() {
    let both = Beside::new();
    assert_eq!(lines(&both, &["--", "-", "1"], "a\n\nb\n"), [""; 0]);
    assert_eq!(lines(&both, &["--", "-", "+", "1"], "a\n\nb\n"), ["a", "", "b"]);
    assert_eq!(lines(&both, &["--", "-", "+^$", "1"], "a\n\nb\n"), [""]);
    assert_eq!(lines(&both, &["--", "-^$", "1"], "a\n\nb\n"), ["a", "b"]);
}

#[test]
fn every_action_of_a_group_runs_in_its_order() {
    let both = Beside::new();
    assert_eq!(lines(&both, &["+", "p1", "1", "p2", "1", "p", "1"], "x\ny\n"), ["1 x", "2 x", "x", "1 y", "2 y", "y"]);
}

#[test]
fn expressions_see_the_line_without_what_is_put_in_front_of_it() {
    let both = Beside::new();
    assert_eq!(lines(&both, &["--", "-", "+^foo", "pbar", "1", "-bar", "1"], "foo\n"), ["bar foo", "bar foo"]);
}

#[test]
fn an_expression_may_be_used_many_times() {
    let both = Beside::new();
    let script = ["--", "-a", "p1", "1", "+a", "p2", "1", "-a", "p3", "1", "+a", "p4", "1"];
    assert_eq!(lines(&both, &script, "a\nb\n"), ["2 a", "4 a", "1 b", "2 b", "3 b", "4 b"]);
}
