//! Beginnings and ends: the lock, the notification, descriptors, modes.

use crate::compare::differ;
use crate::stage::{Signal, Stage, even_lines, lines};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// Its standard output is a pipe that nobody reads.
fn without_reader(stage: &mut Stage, words: &[&str]) {
    let input = stage.input(&lines(500));
    let mut command = stage.command(words);
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    command.stdin(input).stdout(OwnedFd::from(writer));
    stage.run(command);
    stage.look("then");
}

#[test]
fn without_a_reader_of_standard_output_the_logdirs_go_on() {
    differ(|stage| without_reader(stage, &["1", "s4096", "l0", "./d", "1"]));
}

#[test]
fn that_nobody_reads_standard_output_is_told_in_any_case() {
    differ(|stage| without_reader(stage, &["-q", "1", "./d"]));
}

#[test]
fn the_reader_of_standard_output_goes_away() {
    differ(|stage| {
        let (reader, writer) = UnixStream::pair().unwrap();
        let mut command = stage.command(&["1", "./d"]);
        command.stdout(OwnedFd::from(writer.try_clone().unwrap()));
        stage.start_command(command);
        stage.say("one\n");
        let mut line = [0; 4];
        (&reader).read_exact(&mut line).unwrap();
        stage.note("read", String::from_utf8_lossy(&line));
        drop(reader);
        // The other direction ends when nobody has the reader any more.
        stage.eventually("nobody reads", || matches!((&writer).read(&mut line), Ok(0)));
        for line in ["two\n", "three\n"] {
            stage.say(line);
            stage.until("d/current", line);
        }
        stage.until_told("closing the stream", 1);
        stage.finish();
        stage.complaints("stderr");
        stage.look("then");
    });
}

#[test]
fn a_closed_standard_output_takes_everything() {
    differ(|stage| {
        let mut command = stage.shell("umask 022; exec \"$0\" \"$@\" >&-");
        command.arg(stage.program()).args(["1", "./d"]).stdin(stage.input(&lines(100)));
        stage.run(command);
        stage.look("then");
    });
}

#[test]
fn all_standard_descriptors_closed() {
    differ(|stage| {
        let mut command = stage.shell("umask 022; \"$0\" \"$@\" <&- >&- 2>&-; echo $?");
        command.arg(stage.program()).args(["1", "2", "./d"]);
        stage.run(command);
        stage.look("then");
    });
}

#[test]
fn a_second_logger_in_the_same_directory_is_refused() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        stage.feed(&["./before", "./d", "./behind"], "two\n");
        stage.look("then");
        stage.finish();
        stage.feed(&["./d"], "three\n");
        stage.look("after the end of the first");
    });
}

#[test]
fn a_killed_logger_holds_no_lock() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.until_ready();
        stage.destroy();
        stage.feed(&["./d"], "two\n");
        stage.look("then");
    });
}

/// The logger may notify descriptor 3, a file.
fn notifying(stage: &mut Stage, words: &[&str]) {
    let mut command = stage.shell("umask 022; exec \"$0\" \"$@\" 3>notified");
    command.arg(stage.program()).args(words).stdin(stage.input(b"line\n"));
    stage.run(command);
    stage.look("then");
}

#[test]
fn the_notification_is_a_newline() {
    differ(|stage| notifying(stage, &["-d", "3", "./d"]));
}

#[test]
fn without_d_nobody_is_notified() {
    differ(|stage| notifying(stage, &["./d"]));
}

#[test]
fn a_logger_that_cannot_start_notifies_nobody() {
    differ(|stage| notifying(stage, &["-d3", "./d", "./none/d"]));
}

#[test]
fn a_logger_with_an_error_in_its_script_notifies_nobody() {
    differ(|stage| notifying(stage, &["-d3", "./d", "+[", "1"]));
}

#[test]
fn a_refused_logger_notifies_nobody() {
    differ(|stage| {
        stage.start(&["./d"]);
        stage.until_ready();
        notifying(stage, &["-d3", "./d"]);
        stage.finish();
    });
}

#[test]
fn the_notification_comes_after_recovery() {
    differ(|stage| {
        for (name, mode) in [("current", 0o644), ("state", 0o644), ("newstate", 0o644)] {
            stage.file_of_mode(&format!("d/{name}"), mode, "left\n");
        }
        for at in 0..20 {
            stage.file(&format!("d/@4000000000000000000000{at:02}.s"), "old\n");
        }
        let mut command = stage.shell("umask 022; exec \"$0\" \"$@\" 3>&1");
        let (reader, writer) = UnixStream::pair().unwrap();
        command.arg(stage.program()).args(["-d3", "n3", "./d"]).stdout(OwnedFd::from(writer));
        stage.start_command(command);
        let mut byte = [0; 1];
        (&reader).read_exact(&mut byte).unwrap();
        stage.look("notified");
        stage.feed(&["./d"], "another logger\n");
        stage.finish();
    });
}

#[test]
fn the_notified_descriptor_is_closed_before_there_is_input() {
    differ(|stage| {
        let mut command = stage.shell("umask 022; exec \"$0\" \"$@\" 3>&1");
        let (reader, writer) = UnixStream::pair().unwrap();
        command.arg(stage.program()).args(["-d3", "./d"]).stdout(OwnedFd::from(writer));
        stage.start_command(command);
        let mut byte = [0; 1];
        (&reader).read_exact(&mut byte).unwrap();
        stage.note("notified", format!("{byte:?}"));
        stage.eventually("3 is closed, or something else", || {
            let link = std::fs::read_link(format!("/proc/{}/fd/3", stage.pid()));
            !link.is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
        });
        stage.look("then");
        stage.finish();
    });
}

macro_rules! umasks {
    ($($name:ident: $umask:literal;)*) => {$(
        #[test]
        fn $name() {
            differ(|stage| {
                stage.umask($umask);
                stage.start(&["s4096", "l0", "n2", "./d", "-", "+last", "=status"]);
                for line in even_lines(12, 1000).chunks(1000) {
                    stage.say(line);
                }
                stage.say("last\n");
                stage.until("d/current", "last\n");
                stage.until("status", "last\n");
                stage.until_archives("d", 1);
                stage.note("archives", "at least one");
                stage.finish();
                // How much was read at once is a matter of chance.
                let modes = modes(stage);
                stage.note("modes", modes);
            });
        }
    )*};
}

/// The modes of all that was made, with one of the archives.
fn modes(stage: &Stage) -> String {
    let mode = |name: &str| {
        let data = stage.path(name).metadata().unwrap();
        format!("{name} {:o}\n", std::os::unix::fs::PermissionsExt::mode(&data.permissions()))
    };
    let archives = stage.archives("d");
    let archive = mode(&format!("d/{}", archives[0])).replace(&archives[0], "archive");
    ["d", "d/lock", "d/current", "d/state", "status"].iter().map(|name| mode(name)).chain([archive]).collect()
}

umasks! {
    modes_with_umask_022: "022";
    modes_with_umask_077: "077";
    modes_with_umask_027: "027";
    modes_without_umask: "000";
}

#[test]
fn modes_of_processed_archives_with_umask_077() {
    differ(|stage| {
        stage.umask("077");
        stage.feed(&["-b", "s4096", "l0", "?cat; echo state >&5", "./d", "?", "./other"], even_lines(50, 100));
        stage.look("then");
    });
}

#[test]
fn running_modes_with_umask_077() {
    differ(|stage| {
        stage.umask("077");
        stage.start(&["./d"]);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        stage.look("running");
        stage.finish();
        stage.look("then");
    });
}

#[test]
fn flags_of_standard_input_and_output_after_the_end() {
    differ(|stage| {
        // A shell looks at them when the logger has ended: 4000 is O_NONBLOCK.
        let script = "umask 022; \"$0\" 1; for fd in 0 1; do grep ^flags: /proc/$$/fdinfo/$fd >&2; done";
        let mut command = stage.shell(script);
        let (reader, mut writer) = UnixStream::pair().unwrap();
        writer.write_all(b"line\n").unwrap();
        drop(writer);
        command.arg(stage.program()).stdin(OwnedFd::from(reader));
        stage.run(command);
    });
}

#[test]
fn input_from_a_socket() {
    differ(|stage| {
        let (reader, mut writer) = UnixStream::pair().unwrap();
        writer.write_all(&lines(100)).unwrap();
        drop(writer);
        let mut command = stage.command(&["1", "t", "./d"]);
        command.stdin(OwnedFd::from(reader));
        stage.run(command);
        stage.look("then");
    });
}

#[test]
fn input_from_a_named_fifo() {
    differ(|stage| {
        assert!(std::process::Command::new("mkfifo").arg(stage.path("fifo")).status().unwrap().success());
        let fifo = File::options().read(true).write(true).open(stage.path("fifo")).unwrap();
        let mut command = stage.command(&["1", "./d"]);
        command.stdin(File::open(stage.path("fifo")).unwrap());
        stage.start_reading(command);
        (&fifo).write_all(b"one\ntwo\n").unwrap();
        stage.until("d/current", "two\n");
        drop(fifo);
        stage.end();
        stage.output("stdout");
        stage.look("then");
    });
}

#[test]
fn input_that_cannot_be_read() {
    differ(|stage| {
        let mut command = stage.command(&["1", "./d"]);
        command.stdin(File::open(stage.here()).unwrap());
        stage.run(command);
        let mut command = stage.command(&["1", "./d"]);
        command.stdin(File::create(stage.path("written")).unwrap());
        stage.run(command);
        stage.look("then");
    });
}

#[test]
fn the_writer_goes_away_after_its_last_line() {
    differ(|stage| {
        stage.start(&["1", "./d"]);
        stage.say("one\n");
        stage.until("d/current", "one\n");
        stage.eof();
        stage.end();
        stage.output("stdout");
        stage.look("then");
    });
}

#[test]
fn a_signal_while_the_script_is_long() {
    differ(|stage| {
        let script: Vec<String> = (0..20).flat_map(|at| [format!("p{at}"), format!("./{at:02}")]).collect();
        let script: Vec<&str> = script.iter().map(String::as_str).collect();
        stage.start(&script);
        stage.say("one\n");
        stage.until("19/current", "one\n");
        stage.signal(Signal::HUP);
        stage.end();
        stage.look("then");
    });
}
