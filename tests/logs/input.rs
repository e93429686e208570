//! What a line is.

use crate::compare::differ;
use crate::stage::{Stage, even_lines, lines};

/// This input, to standard output and to a logdir.
fn both(stage: &mut Stage, options: &[&str], input: impl AsRef<[u8]>) {
    stage.feed(&[options, &["1", "./d"]].concat(), input);
    stage.look("then");
}

#[test]
fn lines_end_with_newlines_and_nuls() {
    differ(|stage| both(stage, &[], "a\0b\nc\0\0d\n"));
}

#[test]
fn a_nul_behind_a_newline_is_an_empty_line() {
    differ(|stage| both(stage, &[], "a\n\0b\0\n\n\0c\0"));
}

#[test]
fn empty_lines_are_lines() {
    differ(|stage| both(stage, &[], "\n\na\n\n\n"));
}

#[test]
fn no_input_leaves_an_empty_log() {
    differ(|stage| both(stage, &[], ""));
}

#[test]
fn nothing_to_read_at_all() {
    differ(|stage| {
        let mut command = stage.command(&["1", "./d"]);
        command.stdin(std::process::Stdio::null());
        stage.run(command);
        stage.look("then");
    });
}

#[test]
fn a_closed_input_is_no_input() {
    differ(|stage| {
        let mut command = stage.shell("umask 022; exec \"$0\" \"$@\" <&-");
        command.arg(stage.program()).args(["1", "./d"]);
        stage.run(command);
        stage.look("then");
    });
}

#[test]
fn bytes_of_all_values_come_as_they_are() {
    differ(|stage| {
        let mut input: Vec<u8> = (0..=255).collect();
        input.extend((0..=255).rev());
        input.extend("äöü €\n".as_bytes());
        both(stage, &[], input);
    });
}

#[test]
fn the_last_line_needs_no_newline() {
    differ(|stage| both(stage, &[], "x\npart"));
}

#[test]
fn the_only_line_needs_no_newline() {
    differ(|stage| both(stage, &[], "part"));
}

#[test]
fn a_line_of_the_limit_is_whole_and_longer_ones_are_split() {
    differ(|stage| {
        for length in [1, 47, 48, 49, 95, 96, 97, 100, 200] {
            let line: Vec<u8> = (0..length).map(|at| b'a' + at % 26).collect();
            stage.feed(&["-l", "48", "1"], [&line[..], b"\nnext\n"].concat());
        }
    });
}

#[test]
fn small_limits_are_48() {
    differ(|stage| {
        let line = [&[b'x'; 60][..], b"\n"].concat();
        for limit in ["1", "47", "48", "49", "59", "60", "61"] {
            stage.feed(&["-l", limit, "1"], &line);
        }
    });
}

#[test]
fn the_limit_is_8192_if_nothing_is_said() {
    differ(|stage| {
        let mut input = Vec::new();
        for length in [8190, 8191, 8192, 8193, 16384, 16385, 20000] {
            input.extend((0..length).map(|at: u32| b'a' + u8::try_from(at % 26).unwrap()));
            input.push(b'\n');
        }
        both(stage, &[], input);
    });
}

#[test]
fn without_a_limit_lines_of_20_kilobytes_are_whole() {
    differ(|stage| {
        let mut input = Vec::new();
        for at in 0..5_u8 {
            input.extend(vec![b'a' + at; 20_000 + usize::from(at)]);
            input.extend(b"\nshort\n");
        }
        both(stage, &["-l", "0"], input);
    });
}

#[test]
fn without_a_limit_a_line_of_half_a_megabyte_is_whole() {
    differ(|stage| both(stage, &["-l0"], [even_lines(1, 500_000), even_lines(10, 10)].concat()));
}

/// It must be in memory as a whole until it is known where it goes.
#[test]
fn without_a_limit_a_line_of_more_than_a_mebibyte() {
    differ(|stage| {
        let input = [even_lines(1, 1_048_577), even_lines(1, 2_500_001), b"short\n".to_vec()].concat();
        stage.feed(&["-l0", "s99999999", "./d"], input);
        let log = stage.content("d/current");
        let lengths = log.split_inclusive(|byte| *byte == b'\n').map(|line| (line.len() - 1).to_string());
        let lengths = lengths.collect::<Vec<_>>().join(", ");
        stage.note("lengths of lines", lengths);
    });
}

#[test]
fn pieces_of_a_split_line_are_selected_and_stamped_one_by_one() {
    differ(|stage| {
        let input = format!("{}head {}tail {}\n", "x".repeat(46), "y".repeat(43), "z".repeat(20));
        stage.feed(&["-l48", "--", "-tail", "t", "pP", "1", "f", "2", "+", "./d"], input);
        stage.look("then");
    });
}

#[test]
fn a_split_line_with_a_nul_in_it() {
    differ(|stage| both(stage, &["-l50"], [&[b'x'; 70][..], b"\0", &[b'y'; 50], b"\0", &[b'z'; 51], b"\n"].concat()));
}

#[test]
fn some_thousand_lines() {
    differ(|stage| both(stage, &[], lines(3000)));
}

#[test]
fn what_comes_in_pieces_is_put_together() {
    differ(|stage| {
        stage.start(&["1", "./d"]);
        for piece in ["on", "e\ntw", "o", "\n", "th\0re\0e", "\n"] {
            stage.say(piece);
            stage.eventually("it is read", || stage.unread() == 0 || !piece.contains(['\n', '\0']));
        }
        stage.until("d/current", "re\ne\n");
        stage.eof();
        stage.end();
        stage.output("stdout");
        stage.look("then");
    });
}
