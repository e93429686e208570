//! What is no script.

use crate::compare::differ;
use crate::stage::{Stage, how};
use std::process::Stdio;

/// Scripts, each with one line of input.
fn scripts(stage: &mut Stage, scripts: &[&[&str]]) {
    for words in scripts {
        stage.note("script", words.join(" "));
        stage.feed(words, "line\n");
    }
    stage.look("then");
}

#[test]
fn actions_without_arguments_have_none() {
    differ(|stage| {
        scripts(
            stage,
            &[&["fx", "1"], &["f", "tx", "1"], &["T ", "1"], &["12"], &["1", "2x"], &["1", "1 "], &["=", "1"]],
        );
    });
}

#[test]
fn letters_that_are_no_directive() {
    differ(|stage| {
        scripts(stage, &[&["x", "1"], &["", "1"], &[" 1"], &["1", "d"], &["N3", "1"], &["L", "1"], &["#", "1"]])
    });
}

#[test]
fn numbers_that_are_none() {
    differ(|stage| {
        let words = [
            "n", "nx", "n-1", "n1x", "n 1", "n+1", "n0x10", "s", "sx", "S", "S-", "l", "l-1", "r", "r1s", "E", "E ",
            "^", "^x",
        ];
        for word in words {
            scripts(stage, &[&[word, "1"]]);
        }
    });
}

#[test]
fn a_number_may_begin_with_zeros() {
    differ(|stage| scripts(stage, &[&["n007", "s0004096", "l00", "E0003", "2", "./d"]]));
}

#[test]
fn expressions_that_are_none() {
    differ(|stage| {
        for word in
            ["+[", "+(", "+a)", "-[z-a]", "+a{2,1}", "+[[:none:]]", "+\\", "+a{1", "+*", "+a**", "+()", "+[[.x.]]"]
        {
            scripts(stage, &[&["--", word, "1"]]);
        }
    });
}

#[test]
fn a_script_without_an_action() {
    differ(|stage| scripts(stage, &[&["n3"], &["+foo"], &["f"], &["t", "T"], &["n3", "s4096", "pX"], &["!cat"]]));
}

#[test]
fn selections_behind_the_last_action_are_ignored_with_a_warning() {
    differ(|stage| {
        scripts(
            stage,
            &[&["1", "+x"], &["1", "--", "-x"], &["./e", "f", "-x"], &["1", "+x", "+y", "f", "n3"], &["1", "f"]],
        );
        scripts(stage, &[&["1", "n3", "t", "T", "px"], &["-q", "1", "+x"], &["-qv", "1", "+x"], &["-v", "1", "+x"]]);
    });
}

#[test]
fn a_tolerance_that_conflicts_with_the_size() {
    differ(|stage| {
        scripts(stage, &[&["s4096", "l3000", "1"], &["l3000", "s4096", "./a"], &["l50000", "./b"], &["l49999", "./c"]]);
        scripts(
            stage,
            &[
                &["s4096", "l2048", "./e"],
                &["s4096", "l2049", "./f"],
                &["s1", "l2048", "./g"],
                &["s5001", "l2501", "1"],
            ],
        );
    });
}

#[test]
fn no_script_at_all() {
    differ(|stage| scripts(stage, &[&[], &["--"], &["-q"]]));
}

#[test]
fn the_usage_is_told() {
    differ(|stage| {
        let mut command = stage.command(&[]);
        command.output().unwrap();
        let told = stage.told();
        stage.note("told", told);
    });
}

#[test]
fn a_script_with_an_error_is_not_warned_about() {
    differ(|stage| scripts(stage, &[&["./d", "+["], &["1", "-x"]]));
}

#[test]
fn options_that_are_none() {
    differ(|stage| {
        scripts(
            stage,
            &[&["-x", "1"], &["-bar", "1"], &["-l", "1"], &["-lx", "1"], &["-d", "x", "1"], &["-l-1", "1"], &["-l"]],
        );
    });
}

#[test]
fn options_and_directives_that_debians_does_not_have() {
    differ(|stage| {
        for words in [&["-t", "300", "1"][..], &["R5", "1"], &["c5s", "c64k", "1"], &["ram:64k", "ram:0", "1"]] {
            let mut command = stage.command(words);
            command.stdin(stage.input(b"line\n")).stdout(Stdio::piped());
            let done = command.output().unwrap();
            let said = format!("{}: {}", how(done.status), String::from_utf8_lossy(&done.stdout));
            stage.note(&words.join(" "), said);
        }
    });
}

#[test]
fn options_end_where_the_script_begins() {
    differ(|stage| {
        scripts(
            stage,
            &[&["-q", "-v", "-b", "-p", "-l", "100", "1"], &["-qvbpl100", "1"], &["1", "-q"], &["-b", "--", "-q", "1"]],
        );
    });
}

#[test]
fn a_descriptor_that_cannot_be_notified() {
    differ(|stage| {
        scripts(stage, &[&["-d", "0", "1"], &["-d2", "1"], &["-d", "9", "1"], &["-d", "9", "./d"]]);
    });
}

#[test]
fn directories_that_cannot_be_made_or_opened() {
    differ(|stage| {
        stage.file("plain", "");
        stage.directory("lockdir/lock");
        stage.directory("currentdir/current");
        stage.file("currentdir/state", "");
        scripts(
            stage,
            &[&["./none/d"], &["./plain"], &["./plain/d"], &["./lockdir"], &["./currentdir"], &["./a", "./none/d"]],
        );
    });
}

#[test]
fn an_error_in_the_script_is_found_before_anything_is_made() {
    differ(|stage| scripts(stage, &[&["./d", "x"], &["./d", "fx", "1"], &["./d", "=", "1"]]));
}

#[test]
fn errors_of_the_second_look_come_when_they_come() {
    differ(|stage| scripts(stage, &[&["./a", "+[", "1"], &["./b", "s4096", "l3000", "1"], &["./c", "nx", "1"]]));
}
