//! envdir: variables that are files.

use crate::beside::*;

const VALUES: &str = "printf '<%s>' \"${A-unset}\" \"${B-unset}\"";

fn with_files(files: &[(&str, &[u8])]) -> Beside {
    let both = Beside::new();
    std::fs::create_dir(both.path().join("e")).unwrap();
    for (name, content) in files {
        both.file(&format!("e/{name}"), content);
    }
    both
}

fn words<'a>(options: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    options.iter().chain(rest).copied().collect()
}

#[test]
fn the_first_line_is_the_value_without_the_blanks_at_its_end() {
    let both = with_files(&[("A", b"one \t\r\ntwo\n"), ("B", b"no newline")]);
    assert_eq!(both.same("envdir", &["e", "sh", "-c", VALUES]), Outcome::says("<one><no newline>"));
    assert_eq!(both.same("envdir", &["-n", "e", "sh", "-c", VALUES]), Outcome::says("<one \t\r><no newline>"));
}

#[test]
fn an_empty_file_unsets_and_a_newline_sets_to_nothing() {
    let both = with_files(&[("A", b""), ("B", b"\n")]);
    for whose in [Theirs, Ours] {
        let mut command = both.command(whose, "envdir");
        command.env("A", "old").env("B", "old").args(["e", "sh", "-c", VALUES]);
        assert_eq!(outcome(&mut command), Outcome::says("<unset><>"), "{whose:?}");
    }
}

#[test]
fn a_whole_file_is_the_value_if_asked_for() {
    let both = with_files(&[("A", b"one \ntwo\n\n"), ("B", b"x")]);
    assert_eq!(both.same("envdir", &["-f", "e", "sh", "-c", VALUES]), Outcome::says("<one \ntwo\n><x>"));
    assert_eq!(both.same("envdir", &["-fn", "e", "sh", "-c", VALUES]), Outcome::says("<one \ntwo\n\n><x>"));
}

#[test]
fn nuls_become_newlines_or_what_they_are_told() {
    let both = with_files(&[("A", b"a\0b\0 \n"), ("B", b"\0")]);
    for options in [&[][..], &["-c", "_"], &["-cxy"], &["-f"], &["-nc", " "], &["-c", " "], &["-c", "\t"]] {
        both.same("envdir", &words(options, &["e", "sh", "-c", VALUES]));
    }
    assert_eq!(both.ours("envdir", &["-c", "_", "e", "sh", "-c", VALUES]), Outcome::says("<a_b_><_>"));
    assert_eq!(both.same("envdir", &["-c", "", "e", "true"]), Outcome::code(111));
}

#[test]
fn without_l_4095_bytes_count() {
    let both = with_files(&[("A", &[b'x'; 10_000])]);
    let length = ["e", "sh", "-c", "printf %s \"$A\" | wc -c"];
    for (options, expected) in [(&[][..], 4095), (&["-f"], 4095), (&["-Ln"], 10_000), (&["-fL"], 10_000)] {
        assert_eq!(both.same("envdir", &words(options, &length)), Outcome::says(&format!("{expected}\n")));
    }
}

/// Debian's, and s6's latest, lose the value of a file that does not end in a newline.
#[test]
fn with_l_a_last_line_without_a_newline_counts() {
    let both = with_files(&[("A", b"kept"), ("B", b"  ")]);
    assert_eq!(both.ours("envdir", &["-L", "e", "sh", "-c", VALUES]), Outcome::says("<kept><>"));
}

#[test]
fn a_file_that_is_larger_than_all_variables_may_be_is_refused() {
    let both = with_files(&[("A", &vec![b'x'; linchpin::limits::ENV_BYTES + 10])]);
    assert_eq!(both.ours("envdir", &["-L", "e", "true"]), Outcome::code(111));
    assert_eq!(both.ours("envdir", &["-I", "e", "true"]), Outcome::code(0), "4095 bytes of it are");
}

#[test]
fn hidden_files_and_names_with_an_equals_sign_are_passed_over() {
    let both = with_files(&[(".A", b"x"), ("A=B", b"x"), ("B", b"y")]);
    assert_eq!(both.same("envdir", &["e", "sh", "-c", VALUES]), Outcome::says("<unset><y>"));
}

#[test]
fn other_variables_stay() {
    let both = with_files(&[("A", b"x")]);
    for whose in [Theirs, Ours] {
        let mut command = both.command(whose, "envdir");
        command.env("AA", "1").env("B", "2").args(["e", "sh", "-c", "echo $A $AA $B"]);
        assert_eq!(outcome(&mut command), Outcome::says("x 1 2\n"), "{whose:?}");
    }
}

#[test]
fn a_missing_directory_is_fine_only_if_asked_for() {
    let both = with_files(&[]);
    both.file("file", "x");
    assert_eq!(both.same("envdir", &["none", "echo", "x"]), Outcome::code(111));
    assert_eq!(both.same("envdir", &["-I", "none", "echo", "x"]), Outcome::says("x\n"));
    assert_eq!(both.same("envdir", &["-Ii", "none", "echo", "x"]), Outcome::code(111));
    assert_eq!(both.same("envdir", &["-I", "file", "echo", "x"]), Outcome::code(111));
}

#[test]
fn a_directory_inside_is_an_error() {
    let both = with_files(&[]);
    std::fs::create_dir(both.path().join("e/A")).unwrap();
    assert_eq!(both.same("envdir", &["e", "true"]), Outcome::code(111));
}

#[test]
fn what_cannot_be_executed_is_126_or_127() {
    let both = with_files(&[]);
    both.file("plain", "x");
    assert_eq!(both.same("envdir", &["e", "no-such-program"]), Outcome::code(127));
    assert_eq!(both.same("envdir", &["e", "./plain"]), Outcome::code(126));
    assert_eq!(both.same("envdir", &["e"]), Outcome::code(100));
    assert_eq!(both.same("envdir", &["-x", "e", "true"]), Outcome::code(100));
}
