//! What control directives change, for which actions.

use crate::compare::differ;
use crate::stage::{Stage, even_lines, lines};

/// This script with these lines of 100 bytes, and what it leaves.
fn script(stage: &mut Stage, words: &[&str], number: usize) {
    stage.feed(words, even_lines(number, 100));
    stage.look("then");
}

#[test]
fn a_prefix_counts_for_all_that_follow() {
    differ(|stage| script(stage, &["1", "pA:", "1", "./d", "pB and C:", "./e", "=status", "2", "p", "1", "./f"], 3));
}

#[test]
fn a_prefix_of_blanks_and_of_other_bytes() {
    differ(|stage| script(stage, &["p ", "1", "p\t\u{e4}\u{1}", "1", "./d"], 2));
}

#[test]
fn directives_count_for_later_logdirs_only() {
    differ(|stage| {
        script(
            stage,
            &["s4096", "l0", "n1", "./a", "n3", "./b", "s8192", "./c", "n0", "./d", "n2", "l4000", "./e"],
            600,
        )
    });
}

#[test]
fn sizes_are_at_least_4096_bytes() {
    differ(|stage| script(stage, &["s1", "l0", "./a", "s4095", "./b", "s4097", "./c", "s0", "./d"], 300));
}

#[test]
fn a_tolerance_rotates_earlier() {
    differ(|stage| {
        script(stage, &["s20000", "l0", "./a", "l10000", "./b", "l5000", "s10000", "./c", "l1", "./d"], 600);
    });
}

#[test]
fn a_tolerance_may_be_greater_than_a_later_size_allows() {
    differ(|stage| script(stage, &["s8192", "l4096", "s4096", "./a"], 300));
}

#[test]
fn the_sum_of_archives_is_limited() {
    differ(|stage| {
        script(stage, &["s4096", "l0", "S20000", "./a", "S1", "./b", "S0", "n2", "./c", "S8300", "n5", "./d"], 600);
    });
}

#[test]
fn the_greatest_numbers_are_taken() {
    differ(|stage| {
        let words = [
            "n4294967295",
            "s268435455",
            "S18446744073709551615",
            "l1000",
            "r2147483647",
            "E4294967295",
            "^4294967295",
        ];
        script(stage, &[&words[..], &["./a", "s4294967295", "./b"]].concat(), 20);
    });
}

#[test]
fn numbers_that_are_too_great_are_refused() {
    differ(|stage| {
        let words =
            ["n4294967296", "s4294967296", "S18446744073709551616", "l4294967296", "r2147483648", "r4294967296"];
        for word in words.into_iter().chain(["E4294967296", "^4294967296"]) {
            stage.feed(&[word, "1"], "line\n");
        }
    });
}

#[test]
fn alerts_are_cut_where_they_are_told() {
    differ(|stage| {
        let mut input = Vec::new();
        for length in [9, 10, 11, 12, 13, 14, 15, 199, 200, 201, 202, 203, 204, 205, 300] {
            input.extend((0..length).map(|at: u32| b'a' + u8::try_from(at % 26).unwrap()));
            input.push(b'\n');
        }
        stage.feed(&["2"], &input);
        stage.feed(&["E10", "2"], &input);
        stage.feed(&["E0", "2"], &input);
        stage.feed(&["E1", "2", "E200", "pP", "t", "2"], &input);
    });
}

#[test]
fn alerts_and_logdirs_take_their_lines_in_order() {
    differ(|stage| {
        stage.feed(&["-", "+error", "2", "f", "1", "+", "./d"], lines(200));
        stage.look("then");
    });
}

#[test]
fn an_alert_may_have_both_stamps_and_a_prefix() {
    differ(|stage| {
        stage.set("TZ", "UTC0");
        stage.feed(&["t", "T", "pP:", "E8", "2", "T", "2", "t", "2"], "one\na longer line\n");
    });
}

#[test]
fn a_logdir_may_be_there_twice() {
    differ(|stage| script(stage, &["./d", "p2:", "./d"], 5));
}

#[test]
fn a_logdir_by_different_paths() {
    differ(|stage| {
        let absolute = stage.path("absolute").to_str().unwrap().to_owned();
        script(stage, &[&absolute, "./a/", "./b/../c", ".", ".hidden"], 2);
    });
}

#[test]
fn a_retry_time_is_no_matter_where_nothing_fails() {
    differ(|stage| script(stage, &["r0", "./a", "r1", "./b", "r100000", "s4096", "l0", "./c"], 100));
}
