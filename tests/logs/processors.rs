//! Processors of archives.

use crate::compare::differ;
use crate::stage::{Signal, Stage};

/// Lines of a round: 4000 bytes, with which a file of `s4096 l100` is rotated.
fn round(number: u32) -> Vec<u8> {
    (0..40).flat_map(|at| format!("{number} {at:0>97}\n").into_bytes()).collect()
}

/// Rounds of lines with this script, in which the logdir `d` has the processor; each is processed before the next comes.
/// (There is another logdir: Debian's does not hand on the file for the new state if there is but one.)
fn rounds(stage: &mut Stage, processor: &str, number: u32) {
    stage.start(&["s4096", "l100", "n100", "r50", processor, "./d", "?", "-", "./other"]);
    for at in 1..=number {
        stage.say(round(at));
        stage.until_archives("d", at as usize);
    }
    stage.look("before the end");
    stage.eof();
    stage.end();
    stage.complaints_once("stderr");
    stage.look("after the end");
}

#[test]
fn what_the_processor_writes_is_the_archive() {
    differ(|stage| rounds(stage, "?sed s/00*/./", 2));
}

#[test]
fn a_processor_that_changes_nothing() {
    differ(|stage| rounds(stage, "?cat", 2));
}

#[test]
fn a_processor_of_execline() {
    differ(|stage| rounds(stage, "!sed s/00*/./", 2));
}

#[test]
fn a_command_of_execline_with_quotes_and_a_comment() {
    differ(|stage| rounds(stage, "!sed -e \"s/ 00*/ ${x} /\" # a comment\n -e s/1/\\\"x/", 2));
}

#[test]
fn a_processor_without_output() {
    differ(|stage| rounds(stage, "?cat >/dev/null", 2));
}

#[test]
fn the_state_goes_from_one_run_to_the_next() {
    differ(|stage| rounds(stage, "?read n <&4; n=$((n+1)); echo $n >&5; echo run $n; tail -n 1", 3));
}

#[test]
fn a_state_that_is_not_written_is_empty() {
    differ(|stage| rounds(stage, "?cat <&4; echo state; test -e ../once || { : >../once; echo first >&5; }", 3));
}

#[test]
fn a_processor_that_fails_is_run_again() {
    differ(|stage| rounds(stage, "?test -e ../once || { echo rubbish; echo x >&5; : >../once; exit 3; }; cat", 2));
}

#[test]
fn a_processor_that_crashes_is_run_again() {
    differ(|stage| rounds(stage, "?test -e ../once || { echo rubbish; : >../once; kill -9 $$; }; cat", 1));
}

#[test]
fn a_processor_that_is_not_found_is_run_again() {
    differ(|stage| {
        stage.file_of_mode("processor", 0o644, "#!/bin/sh\nexec cat\n");
        stage.start(&["s4096", "l100", "r20", "?../processor", "./d"]);
        stage.say(round(1));
        stage.until_told("processor failed in ./d", 3);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(stage.path("processor"), mode).unwrap();
        stage.until_archives("d", 1);
        stage.eof();
        stage.end();
        stage.complaints_once("stderr");
        stage.look("then");
    });
}

#[test]
fn what_a_processor_is_given() {
    differ(|stage| {
        let look = "?readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/4 /proc/self/fd/5; \
                    readlink /proc/self/fd/3 /proc/self/fd/6 /proc/self/fd/7 /proc/self/fd/8 /proc/self/fd/9; \
                    pwd; umask; wc -c; wc -c <&4; exec grep '^Sig[BIC]' /proc/self/status";
        rounds(stage, look, 1);
    });
}

#[test]
fn the_environment_of_a_processor() {
    differ(|stage| {
        stage.set("SOME", "thing");
        rounds(stage, "?env | grep -v ^_ | sort; echo said >&2", 1);
    });
}

#[test]
fn with_one_logdir_the_new_state_is_a_file_too() {
    differ(|stage| {
        stage.start(&["s4096", "l100", "r50", "?echo new 2>/dev/null >&5; cat <&4; wc -c", "./d"]);
        for at in 1..=2 {
            stage.say(round(at));
            stage.until_archives("d", at as usize);
        }
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

#[test]
fn the_interpreter_belongs_to_the_processor() {
    differ(|stage| {
        stage.start(&[
            "s4096",
            "l100",
            "?echo is $((1+1)); cat >/dev/null",
            "./a",
            "1",
            "./b",
            "!echo words",
            "./c",
            "./d",
        ]);
        stage.say(round(1));
        for name in ["a", "b", "c", "d"] {
            stage.until_archives(name, 1);
        }
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

#[test]
fn an_empty_processor_is_none() {
    differ(|stage| {
        stage.start(&[
            "s4096",
            "l100",
            "?echo sh",
            "./a",
            "?",
            "./b",
            "!echo execline",
            "./c",
            "!",
            "./d",
            "?echo x",
            "!",
            "./e",
        ]);
        stage.say(round(1));
        for name in ["a", "b", "c", "d", "e"] {
            stage.until_archives(name, 1);
        }
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

/// A logger whose processor runs and waits for the end of `gate`.
fn waiting(stage: &mut Stage) {
    let gate = std::process::Command::new("mkfifo").arg(stage.path("gate")).status().unwrap();
    assert!(gate.success());
    stage.start(&["s4096", "l100", "r50", "?echo begun; : >../begun; cat ../gate; cat", "./d", "?", "./other"]);
    stage.say(round(1));
    stage.eventually("the processor runs", || stage.path("begun").exists());
}

fn open_gate(stage: &Stage) {
    std::fs::write(stage.path("gate"), "gate\n").unwrap();
}

#[test]
fn while_a_processor_runs_lines_wait_and_another_logdir_does_not() {
    differ(|stage| {
        waiting(stage);
        stage.say("later\n");
        stage.until("other/current", "later\n");
        stage.say("later still\n");
        stage.until("other/current", "still\n");
        stage.look("the processor runs");
        open_gate(stage);
        stage.until("d/current", "later\nlater still\n");
        stage.until_archives("d", 1);
        stage.eof();
        stage.end();
        stage.complaints("stderr");
        stage.look("then");
    });
}

#[test]
fn at_the_end_of_input_the_processor_is_waited_for() {
    differ(|stage| {
        waiting(stage);
        stage.say("last\n");
        stage.eof();
        stage.until("other/current", "last\n");
        stage.at_rest();
        open_gate(stage);
        stage.end();
        stage.look("then");
    });
}

#[test]
fn after_a_signal_the_processor_is_waited_for() {
    differ(|stage| {
        waiting(stage);
        stage.say("last\n");
        stage.until("other/current", "last\n");
        stage.signal(Signal::TERM);
        stage.at_rest();
        open_gate(stage);
        let left = stage.end();
        stage.note("left", left.len());
        stage.look("then");
    });
}

#[test]
fn alarms_while_a_processor_runs_are_ignored() {
    differ(|stage| {
        waiting(stage);
        stage.say("later\n");
        stage.until("other/current", "later\n");
        stage.signal(Signal::ALARM);
        stage.until_archives("other", 2);
        stage.signal(Signal::ALARM);
        stage.say("last\n");
        stage.until("other/current", "last\n");
        open_gate(stage);
        stage.until("d/current", "later\nlast\n");
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

#[test]
fn a_failing_processor_keeps_the_logger_alive() {
    differ(|stage| {
        stage.start(&["s4096", "l100", "r20", "?exit 1", "./d"]);
        stage.say(round(1));
        stage.until_told("processor failed", 1);
        stage.signal(Signal::TERM);
        stage.until_told("processor failed", 4);
        stage.look("then");
        stage.destroy();
        stage.complaints_once("stderr");
    });
}

#[test]
fn after_a_clean_restart_the_state_is_there() {
    differ(|stage| {
        for _ in 0..2 {
            stage.start(&["s4096", "l100", "?cat <&4; wc -l; echo state >&5", "./d", "?", "./other"]);
            stage.say(round(1));
            stage.until_archives("d", 1);
            stage.eof();
            stage.end();
            stage.look("then");
        }
        stage.file_of_mode("d/current", 0o644, "unclean\n");
        stage.feed(&["./d"], "");
        stage.look("after an unclean one");
    });
}

#[test]
fn a_clean_log_without_a_state_can_be_processed() {
    differ(|stage| {
        stage.file_of_mode("d/current", 0o744, "old\n");
        stage.start(&["s4096", "l100", "r20", "?cat <&4; wc -l", "./d", "?", "./other"]);
        stage.say(round(1));
        stage.eventually("it is processed, or cannot be", || {
            !stage.archives("d").is_empty() || stage.told().lines().count() >= 3
        });
        let done = !stage.archives("d").is_empty();
        stage.note("it is processed", done);
        if done {
            stage.eof();
            stage.end();
        } else {
            stage.destroy();
            stage.note("end", "never");
        }
        let first = stage.told().lines().take(2).collect::<Vec<_>>().join("\n");
        stage.note("stderr", first);
    });
}

#[test]
fn an_alarm_has_the_log_processed() {
    differ(|stage| {
        stage.start(&["?sed s/^/x/", "./d", "?", "./other"]);
        stage.say("one\n");
        stage.until("other/current", "one\n");
        stage.until("d/current", "one\n");
        stage.signal(Signal::ALARM);
        stage.until_archives("d", 1);
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

#[test]
fn processed_archives_are_trimmed_too() {
    differ(|stage| {
        stage.start(&["s4096", "l100", "n2", "?tail -n 1", "./d", "S250", "n100", "./e"]);
        for at in 1..=5_u32 {
            stage.say(round(at));
            stage.eventually("it is processed", || {
                ["d", "e"].iter().all(|log| {
                    let archives = stage.archives(log);
                    let last = archives.last().map(|name| stage.content(&format!("{log}/{name}"))).unwrap_or_default();
                    last.starts_with(at.to_string().as_bytes())
                        && archives.len() <= 2
                        && !stage.path(log).join("previous").exists()
                })
            });
        }
        stage.eof();
        stage.end();
        stage.look("then");
    });
}

#[test]
fn with_b_bulk_is_processed_file_by_file() {
    differ(|stage| {
        let input: Vec<u8> = (0..12).flat_map(round).collect();
        stage.feed(&["-b", "s4096", "l0", "n100", "?sed s/00*/./", "./d"], input);
        stage.look("then");
    });
}

#[test]
fn an_archive_may_be_compressed() {
    differ(|stage| rounds(stage, "?gzip -n", 2));
}
