//! What cannot be done at the moment is done later, and the rest goes on.

use crate::compare::differ;
use crate::stage::{Signal, Stage, even_lines, status_field};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

/// A round of 4000 bytes, with which a file of `s4096 l100` is rotated.
fn round(stage: &Stage, number: u32) {
    let lines: Vec<u8> = (0..40).flat_map(|at| format!("{number} {at:0>97}\n").into_bytes()).collect();
    stage.say(lines);
}

const SCRIPT: &[&str] = &["s4096", "l100", "r20", "./d", "n100", "./other"];

/// Ends it: everything is written by then.
fn over(stage: &mut Stage) {
    stage.eof();
    stage.end();
    stage.complaints_once("stderr");
    stage.look("then");
}

#[test]
fn a_rotation_that_cannot_begin_is_tried_again() {
    differ(|stage| {
        stage.start(SCRIPT);
        stage.until_ready();
        // The log cannot be renamed to this.
        stage.directory("d/previous");
        round(stage, 1);
        stage.until_told("unable to", 2);
        round(stage, 2);
        stage.until_archives("other", 2);
        std::fs::remove_dir(stage.path("d/previous")).unwrap();
        stage.until_archives("d", 2);
        over(stage);
    });
}

#[test]
fn a_log_that_is_gone_cannot_be_rotated() {
    differ(|stage| {
        stage.start(SCRIPT);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        std::fs::rename(stage.path("d/current"), stage.path("d/kept")).unwrap();
        round(stage, 1);
        stage.until_told("unable to rename", 2);
        stage.look("waiting");
        std::fs::rename(stage.path("d/kept"), stage.path("d/current")).unwrap();
        stage.until_archives("d", 1);
        over(stage);
    });
}

#[test]
fn a_directory_that_is_away_for_a_while() {
    differ(|stage| {
        stage.start(SCRIPT);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        std::fs::rename(stage.path("d"), stage.path("away")).unwrap();
        stage.say("two\n");
        stage.until("away/current", "two\n");
        round(stage, 1);
        stage.eventually("it is rotated, or cannot be", || {
            stage.told().lines().count() >= 2 || !stage.archives("away").is_empty()
        });
        stage.say("three\n");
        stage.until("other/current", "three\n");
        stage.note("archives while it was away", stage.archives("away").len());
        std::fs::rename(stage.path("away"), stage.path("d")).unwrap();
        stage.until("d/current", "three\n");
        stage.until_archives("d", 1);
        over(stage);
    });
}

#[test]
fn an_archive_that_cannot_be_removed_is_a_warning() {
    differ(|stage| {
        stage.directory("d/@400000000000000000000001.s");
        stage.start(&["s4096", "l100", "n1", "r20", "./d"]);
        for number in 1..=3 {
            round(stage, number);
            stage.until_told("unable to unlink", number as usize);
        }
        over(stage);
    });
}

/// A logdir whose log is the device that is always full.
fn full(stage: &Stage, directory: &str) {
    stage.file(&format!("{directory}/state"), "");
    let current = stage.path(directory).join("current");
    let made = Command::new("mknod").args(["-m", "744"]).arg(&current).args(["c", "1", "7"]).status().unwrap();
    assert!(made.success(), "needs to be root");
}

#[test]
fn one_of_two_logdirs_cannot_be_written_to() {
    differ(|stage| {
        full(stage, "d");
        stage.start(&["r20", "./d", "s4096", "l100", "./other"]);
        stage.say("one\n");
        stage.until_told("unable to write to ./d/current", 2);
        round(stage, 1);
        stage.until_archives("other", 1);
        stage.say("last\n");
        stage.until("other/current", "last\n");
        stage.signal(Signal::TERM);
        let told = stage.told().lines().count();
        stage.until_told("unable to write to ./d/current", told + 2);
        stage.destroy();
        stage.complaints_once("stderr");
        stage.look("then");
    });
}

#[test]
fn a_silent_logger_says_nothing_of_a_full_disk() {
    differ(|stage| {
        full(stage, "d");
        stage.start(&["-q", "r20", "./d", "./other"]);
        stage.say("one\n");
        stage.until("other/current", "one\n");
        stage.say("two\n");
        stage.until("other/current", "two\n");
        stage.destroy();
        stage.complaints_once("stderr");
        stage.look("then");
    });
}

/// Runs the logger with `d` on a file system of 32 KiB in a place of its own, in which the shell that started it makes room
/// when it is told to, and copies what is there in the end.
#[test]
fn a_full_file_system_loses_nothing() {
    const PLACE: &str = "umask 022; mkdir d && mount -t tmpfs -o size=32k,mode=755 none d && mkdir d/log && cd d && \
                         exec 4<&0 && { \"$0\" \"$@\" <&4 4<&- & } && exec <&- 4<&- && \
                         until test -e ../grow; do sleep 0.01; done; \
                         mount -o remount,size=1m ../d; wait $!; rc=$?; cat log/@* log/current >../all; exit $rc";
    differ(|stage| {
        let mut command = stage.shell("exec unshare -m /bin/sh -c \"$PLACE\" \"$0\" \"$@\"");
        command.env("PLACE", PLACE).arg(stage.program()).args(["r20", "s16384", "l0", "n1000", "./log", "../other"]);
        stage.start_command(command);
        stage.say(even_lines(600, 100));
        stage.until_told("unable to", 2);
        stage.eventually("the other has all", || {
            stage.archives("other").iter().map(|name| stage.content(&format!("other/{name}")).len()).sum::<usize>()
                + stage.content("other/current").len()
                == 60_000
        });
        stage.file("grow", "");
        stage.eof();
        stage.end();
        stage.note("all lines are there once", stage.content("all") == even_lines(600, 100));
        stage.complaints_once("stderr");
    });
}

/// A log that is a FIFO whose reader is slow.
#[test]
fn a_stuck_logdir_holds_up_no_other() {
    differ(|stage| {
        stage.directory("d");
        assert!(Command::new("mkfifo").args(["-m", "744"]).arg(stage.path("d/current")).status().unwrap().success());
        let fifo = std::fs::File::options().read(true).write(true).open(stage.path("d/current")).unwrap();
        stage.start(&["-q", "r20", "s200000", "l0", "./d", "./other"]);
        // More than a pipe holds.
        let text = even_lines(1500, 100);
        for piece in text.chunks(4000) {
            stage.say(piece);
        }
        stage.until("other/current", "1499\n");
        let mut read: Vec<u8> = Vec::new();
        let mut buffer = vec![0; 65_536];
        while read.len() < text.len() {
            let length = std::io::Read::read(&mut &fifo, &mut buffer).unwrap();
            read.extend(&buffer[..length]);
        }
        stage.note("everything comes in order", read == text);
        stage.destroy();
        stage.complaints("stderr");
    });
}

/// How many lines of 100 bytes are taken from the pipe while nothing can be written.
#[test]
fn with_b_nothing_more_is_read_while_a_disk_is_full() {
    differ(|stage| {
        full(stage, "d");
        stage.start(&["-b", "r20", "./d"]);
        stage.stop();
        stage.say(even_lines(600, 100));
        stage.kill(Signal::CONT);
        stage.until_told("unable to write", 3);
        stage.note("lines taken", (60_000 - stage.unread()) / 100);
        stage.destroy();
        stage.complaints_once("stderr");
    });
}

/// A pipe with nothing in it but what fills it.
fn filled() -> (UnixStream, UnixStream, usize) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    let mut number = 0;
    while let Ok(written) = writer.write(&[b'x'; 1024]) {
        number += written;
    }
    writer.set_nonblocking(false).unwrap();
    (reader, writer, number)
}

/// What comes out of a pipe behind that.
fn behind(reader: &UnixStream, number: usize, length: usize) -> String {
    let mut read = vec![0; number + length];
    (&mut &*reader).read_exact(&mut read).unwrap();
    String::from_utf8(read.split_off(number)).unwrap()
}

#[test]
fn with_b_nothing_more_is_read_while_standard_output_is_full() {
    differ(|stage| {
        let (reader, writer, number) = filled();
        let mut command = stage.command(&["-b", "1", "./d"]);
        command.stdout(OwnedFd::from(writer));
        stage.start_command(command);
        stage.stop();
        let text = even_lines(600, 100);
        stage.say(&text);
        stage.kill(Signal::CONT);
        // Of the first chunk.
        stage.until("d/current", "080\n");
        stage.eventually("it waits", || status_field(stage.pid(), "State").starts_with('S'));
        stage.note("lines taken", (60_000 - stage.unread()) / 100);
        stage.note("all comes in the end", behind(&reader, number, 60_000).as_bytes() == text);
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn an_alert_is_waited_for() {
    differ(|stage| {
        let (reader, writer, number) = filled();
        let mut command = stage.command(&["2", "./d"]);
        command.stderr(OwnedFd::from(writer));
        stage.start_command(command);
        stage.until_ready();
        stage.say("one\n");
        // If it did not wait it would be through with the line by then.
        assert!(stage.is_there_after(std::time::Duration::from_millis(50)));
        stage.note("in the log", stage.content("d/current").len());
        stage.note("the alert", behind(&reader, number, "s6-log: alert: one\n".len()));
        stage.until("d/current", "one\n");
        stage.finish();
    });
}
