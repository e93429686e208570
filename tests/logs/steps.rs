//! Lines one at a time, through a pipe: each is in the log before the next one comes.

use crate::compare::differ;
use crate::stage::{Stage, even_lines};

/// Says lines one by one, each when the one before is in the log.
fn one_by_one(stage: &Stage, lines: &[u8]) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        stage.say(line);
        stage.at_rest();
    }
}

/// One logger with this script, for lines of so many bytes.
fn steps(stage: &mut Stage, words: &[&str], number: usize, length: usize) {
    stage.start(words);
    one_by_one(stage, &even_lines(number, length));
    stage.look("before the end");
    stage.eof();
    stage.end();
    stage.complaints("stderr");
    stage.look("after the end");
}

#[test]
fn a_file_of_4096_bytes_has_one_line_more() {
    differ(|stage| steps(stage, &["s4096", "l0", "n100", "./d"], 130, 100));
}

#[test]
fn a_tolerance_of_half_the_size() {
    differ(|stage| steps(stage, &["s4096", "l2000", "n100", "./d"], 100, 100));
}

#[test]
fn lines_that_fill_the_file_exactly() {
    differ(|stage| steps(stage, &["s4096", "l0", "n100", "./d"], 130, 64));
}

#[test]
fn only_one_archive_is_kept() {
    differ(|stage| steps(stage, &["s4096", "l0", "n1", "./d"], 130, 200));
}

#[test]
fn no_archive_is_kept() {
    differ(|stage| steps(stage, &["s4096", "l0", "n0", "./d"], 50, 500));
}

#[test]
fn a_line_greater_than_the_file() {
    differ(|stage| steps(stage, &["s4096", "l0", "n100", "./d"], 5, 5000));
}

#[test]
fn two_logdirs_step_by_step() {
    differ(|stage| steps(stage, &["s4096", "l0", "n100", "./e", "s5000", "pP", "./d"], 100, 150));
}

#[test]
fn a_line_that_comes_in_pieces_is_written_once_whole() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.say("one\nhalf");
        stage.until("d/current", "one\n");
        stage.look("with half a line");
        stage.say(" and half\n");
        stage.until("d/current", "half and half\n");
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

#[test]
fn the_log_of_a_running_logger_is_not_executable() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        stage.look("running");
        stage.eof();
        stage.end();
        stage.look("ended");
    });
}

#[test]
fn several_lines_in_one_write_are_there_together() {
    differ(|stage| {
        stage.start(&["s4096", "l0", "n100", "./d"]);
        for round in 0..10 {
            let lines: Vec<u8> = (0..20).flat_map(|at| format!("{round} {at:0>47}\n").into_bytes()).collect();
            stage.say(lines);
            stage.at_rest();
        }
        stage.eof();
        stage.end();
        stage.look("then");
    });
}
