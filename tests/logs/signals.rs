//! What signals do.

use crate::compare::differ;
use crate::stage::{Signal, Stage};
use std::time::Duration;

/// A logger with one line in its log, at rest.
fn running(stage: &mut Stage, words: &[&str]) {
    stage.start(words);
    stage.say("one\n");
    stage.until("d/current", "one\n");
    stage.at_rest();
}

/// The same, with a partial line in its hands.
fn holding(stage: &mut Stage, words: &[&str]) {
    running(stage, words);
    stage.say("part");
    stage.at_rest();
}

/// Notes the logger's end, what it has left unread, and what it has written.
fn over(stage: &mut Stage) {
    let left = stage.end();
    stage.note("left in the pipe", String::from_utf8(left).unwrap());
    stage.output("stdout");
    stage.complaints("stderr");
    stage.look("then");
}

macro_rules! ending {
    ($($name:ident: $signal:ident;)*) => {$(
        #[test]
        fn $name() {
            differ(|stage| {
                running(stage, &["./d", "1"]);
                stage.signal(Signal::$signal);
                over(stage);
            });
        }
    )*};
}

ending! {
    sigterm_ends_the_logger: TERM;
    sighup_ends_the_logger: HUP;
    sigint_kills_the_logger: INT;
    sigquit_kills_the_logger: QUIT;
    sigusr1_kills_the_logger: USR1;
}

#[test]
fn sigterm_before_anything_was_read() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.signal(Signal::TERM);
        over(stage);
    });
}

fn unread(stage: &mut Stage, signal: Signal, after: &str) {
    running(stage, &["./d", "1"]);
    stage.stop();
    stage.say(after);
    stage.kill(signal);
    stage.kill(Signal::CONT);
    over(stage);
}

#[test]
fn what_sigterm_finds_in_the_pipe_stays_there() {
    differ(|stage| unread(stage, Signal::TERM, "two\nthree\n"));
}

#[test]
fn what_sighup_finds_in_the_pipe_stays_there() {
    differ(|stage| unread(stage, Signal::HUP, "two\nthr"));
}

#[test]
fn sigpipe_and_sigcont_do_nothing() {
    differ(|stage| {
        running(stage, &["./d"]);
        stage.signal(Signal::PIPE);
        stage.signal(Signal::CONT);
        stage.signal(Signal::CHILD);
        stage.say("two\n");
        stage.until("d/current", "two\n");
        stage.finish();
        stage.look("then");
    });
}

/// A partial line, a signal, and what comes then.
fn completed(stage: &mut Stage, options: &[&str], signal: Signal, more: &str) {
    holding(stage, &[options, &["./d", "1"]].concat());
    stage.signal(signal);
    stage.eventually("it has its signal", || pending(stage) == 0);
    stage.say(more);
    over(stage);
}

/// Signals that wait to be taken.
fn pending(stage: &Stage) -> u64 {
    let set = |name| u64::from_str_radix(&crate::stage::status_field(stage.pid(), name), 16).unwrap();
    set("ShdPnd") | set("SigPnd")
}

#[test]
fn after_sigterm_a_partial_line_is_completed() {
    differ(|stage| completed(stage, &[], Signal::TERM, "ial\nnext\n"));
}

#[test]
fn after_sighup_a_partial_line_is_completed() {
    differ(|stage| completed(stage, &[], Signal::HUP, "ial\nnext\nmore"));
}

#[test]
fn a_nul_completes_a_partial_line() {
    differ(|stage| completed(stage, &[], Signal::TERM, "ial\0next\n"));
}

#[test]
fn a_newline_alone_completes_a_partial_line() {
    differ(|stage| completed(stage, &[], Signal::TERM, "\n\n"));
}

#[test]
fn a_partial_line_is_completed_in_pieces() {
    differ(|stage| {
        holding(stage, &["./d"]);
        stage.signal(Signal::TERM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        for piece in ["i", "al", " line"] {
            stage.say(piece);
            stage.eventually("it is read", || stage.unread() == 0);
        }
        stage.say(" at last\nand not this\n");
        over(stage);
    });
}

#[test]
fn the_end_of_input_completes_a_partial_line() {
    differ(|stage| {
        holding(stage, &["./d", "1"]);
        stage.signal(Signal::TERM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        stage.eof();
        over(stage);
    });
}

#[test]
fn the_end_of_input_after_more_of_a_partial_line() {
    differ(|stage| {
        holding(stage, &["./d"]);
        stage.signal(Signal::TERM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        stage.say("ial");
        stage.eventually("it is read", || stage.unread() == 0);
        stage.eof();
        over(stage);
    });
}

#[test]
fn a_completed_line_is_selected_and_stamped() {
    differ(|stage| {
        holding(stage, &["--", "./d", "-", "+^partial$", "t", "pP:", "1", "=status", "2", "f", "p", "./rest"]);
        stage.signal(Signal::TERM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        stage.say("ial\nnext\n");
        over(stage);
    });
}

#[test]
fn a_partial_line_that_comes_to_the_limit_ends_there() {
    differ(|stage| completed(stage, &["-l48"], Signal::TERM, &format!("{}\n", "x".repeat(100))));
}

#[test]
fn without_completion_the_partial_line_is_logged_after_a_while() {
    differ(|stage| {
        holding(stage, &["./d"]);
        stage.signal(Signal::TERM);
        // Ours waits for two seconds, and Debian's for ever.
        let patience = if stage.maker == crate::stage::Maker::Debian {
            Duration::from_millis(2500)
        } else {
            crate::stage::PATIENCE
        };
        let there = stage.is_there_after(patience);
        stage.note("it waits for ever", there);
        if there {
            stage.say("ial\n");
        }
        over(stage);
    });
}

#[test]
fn with_p_sigterm_does_nothing() {
    differ(|stage| {
        running(stage, &["-p", "./d"]);
        stage.signal(Signal::TERM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        stage.say("two\n");
        stage.until("d/current", "two\n");
        stage.signal(Signal::TERM);
        stage.eof();
        over(stage);
    });
}

#[test]
fn with_p_sighup_ends_the_logger() {
    differ(|stage| {
        running(stage, &["-p", "./d"]);
        stage.signal(Signal::TERM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        stage.signal(Signal::HUP);
        over(stage);
    });
}

#[test]
fn a_second_signal_changes_nothing() {
    differ(|stage| {
        holding(stage, &["./d"]);
        for signal in [Signal::TERM, Signal::TERM, Signal::HUP, Signal::ALARM] {
            stage.signal(signal);
            stage.eventually("it has its signal", || pending(stage) == 0);
        }
        stage.say("ial\nnext\n");
        let left = stage.end();
        stage.note("left in the pipe", String::from_utf8(left).unwrap());
        stage.note("one", crate::stage::contains(&all(stage), b"one\n"));
        stage.note("partial", crate::stage::contains(&all(stage), b"partial\n"));
    });
}

/// What is in the logdir's files.
fn all(stage: &Stage) -> Vec<u8> {
    let archives = stage.archives("d").into_iter().map(|name| stage.content(&format!("d/{name}")));
    archives.chain([stage.content("d/current")]).flatten().collect()
}

#[test]
fn sigalrm_rotates() {
    differ(|stage| {
        running(stage, &["./d"]);
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 1);
        stage.say("two\n");
        stage.until("d/current", "two\n");
        stage.look("in between");
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 2);
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn sigalrm_does_not_rotate_an_empty_log() {
    differ(|stage| {
        stage.start(&["./d", "-two", "./e"]);
        stage.signal(Signal::ALARM);
        stage.eventually("it has its signal", || pending(stage) == 0);
        stage.say("one\n");
        stage.until("e/current", "one\n");
        stage.signal(Signal::ALARM);
        stage.until_archives("e", 1);
        stage.say("two\n");
        stage.until("d/current", "two\n");
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 2);
        stage.look("running");
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn two_alarms_make_one_archive() {
    differ(|stage| {
        running(stage, &["./d"]);
        stage.stop();
        stage.kill(Signal::ALARM);
        stage.kill(Signal::ALARM);
        stage.kill(Signal::CONT);
        stage.until_archives("d", 1);
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn sigalrm_with_a_partial_line() {
    differ(|stage| {
        holding(stage, &["./d"]);
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 1);
        stage.say("ial\n");
        stage.until("d/current", "partial\n");
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn sigalrm_rotates_after_a_clean_start() {
    differ(|stage| {
        stage.feed(&["./d"], "of before\n");
        stage.start(&["./d"]);
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 1);
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn sigterm_then_the_end_of_input() {
    differ(|stage| {
        running(stage, &["./d"]);
        stage.stop();
        stage.say("two\n");
        stage.kill(Signal::TERM);
        stage.eof();
        stage.kill(Signal::CONT);
        over(stage);
    });
}

#[test]
fn sigalrm_and_sigterm_at_once() {
    differ(|stage| {
        running(stage, &["./d"]);
        stage.stop();
        stage.kill(Signal::TERM);
        stage.kill(Signal::ALARM);
        stage.kill(Signal::CONT);
        over(stage);
    });
}
