//! Standard output: it may be slow, stuck, or gone.

use crate::beside::Whose::{Ours, Theirs};
use crate::beside::{Beside, content, eventually};
use crate::work::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

fn line(number: u32) -> String {
    format!("{number:099}\n")
}

fn text(count: u32) -> String {
    (0..count).map(line).collect()
}

/// How many loggers wait when nobody reads what one of them says: it keeps so much in memory, and reads no more.
#[test]
fn a_reader_that_stops_stops_the_logger_only_when_its_memory_is_full() {
    let (mut read, write) = pipe();
    let mut logger = Logger::start_with(Ours, &["1", "./d"], |command| {
        command.stdout(write);
    });
    let mut input = logger.input.take().unwrap();
    // More than is kept, and than three pipes hold.
    let text = text(80_000);
    let all = text.clone();
    let writer = std::thread::spawn(move || input.write_all(all.as_bytes()).unwrap());
    let size = || logger.files("d").iter().map(|(_, _, text)| text.len()).sum::<usize>();
    eventually(|| size() > 0);
    // It comes to rest: nothing moves for a while.
    let mut last = 0;
    eventually(|| {
        let before = std::mem::replace(&mut last, unread(&logger.rest));
        std::thread::sleep(std::time::Duration::from_millis(200));
        before > 0 && before == last && unread(&logger.rest) == last && unread(&read) > 0
    });
    assert!(!writer.is_finished());
    let mut out = String::new();
    let reader = std::thread::spawn(move || {
        read.read_to_string(&mut out).unwrap();
        out
    });
    assert_eq!(logger.wait().code, 0);
    writer.join().unwrap();
    assert!(reader.join().unwrap() == text);
}

/// s6-log's -b: what is in memory must be gone before anything is read.
#[test]
fn with_b_nothing_is_read_while_anything_waits() {
    for whose in BOTH {
        for waits in [true, false] {
            let (mut read, write) = pipe();
            let words: &[&str] = if waits { &["-b", "1"] } else { &["1"] };
            let mut logger = Logger::start_with(whose, words, |command| {
                command.stdout(write);
            });
            let mut input = logger.input.take().unwrap();
            let mut accepted = 0;
            eventually(|| {
                let before = accepted;
                accepted += fill(&mut input, line(7).as_bytes(), 400_000 - accepted);
                std::thread::sleep(std::time::Duration::from_millis(200));
                before == accepted && unread(&read) > 30_000 && (waits || unread(&logger.rest) == 0)
            });
            // Two pipes, and what is on its way between them.
            assert!(if waits { accepted < 150_000 } else { accepted == 400_000 }, "{whose:?} {waits}: {accepted}");
            drop(input);
            let mut out = String::new();
            read.read_to_string(&mut out).unwrap();
            assert!(out == line(7).repeat(accepted / 100), "{whose:?} {waits}");
            assert_eq!(logger.wait().code, 0);
        }
    }
}

#[test]
fn a_reader_that_is_gone_is_said_once_and_logs_go_on() {
    for whose in BOTH {
        for quiet in ["-q", "-v"] {
            let (read, write) = pipe();
            let mut logger = Logger::start_with(whose, &[quiet, "1", "./d", "1"], |command| {
                command.stdout(write);
            });
            drop(read);
            for number in 0..100 {
                logger.feed(&line(number));
            }
            logger.close();
            let end = logger.wait();
            let warning = "s6-log: warning: unable to write to stdout, closing the stream - error was: Broken pipe\n";
            assert_eq!((end.code, end.err.as_str()), (0, warning), "{whose:?}");
            assert_eq!(content(&logger.both.path().join("d/current")), text(100));
        }
    }
}

#[test]
fn what_was_standard_output_is_closed_and_no_file_takes_its_place() {
    let (read, write) = pipe();
    let mut logger = Logger::start_with(Ours, &["s4096", "1", "./d"], |command| {
        command.stdout(write);
    });
    drop(read);
    logger.feed("x\n");
    let link = format!("/proc/{}/fd/1", logger.child.id());
    eventually(|| std::fs::read_link(&link).is_ok_and(|target| target.to_str() == Some("/dev/null")));
    // Rotations open files.
    for number in 0..200 {
        logger.feed(&line(number));
    }
    assert_eq!(std::fs::read_link(&link).unwrap().to_str(), Some("/dev/null"));
    logger.close();
    assert_eq!(logger.wait().code, 0);
}

/// s6-log leaves O_NONBLOCK behind on it.
#[test]
fn standard_output_is_as_it_was() {
    for whose in BOTH {
        for words in [&["1"][..], &["2"]] {
            let (mut read, write) = pipe();
            let shared = write.try_clone().unwrap();
            let mut logger = Logger::start_with(whose, words, |command| {
                command.stdout(write);
            });
            logger.feed("x\n");
            logger.close();
            assert_eq!(logger.wait().code, 0);
            assert_eq!(is_nonblocking(&shared), whose == Theirs, "{whose:?} {words:?}");
            drop(shared);
            let mut out = String::new();
            read.read_to_string(&mut out).unwrap();
            assert_eq!(out, if words == ["1"] { "x\n" } else { "" });
        }
    }
}

#[test]
fn it_may_be_a_socket_a_file_or_something_that_takes_anything() {
    let both = Beside::new();
    let (mut end, stdout) = UnixStream::pair().unwrap();
    let shared = stdout.try_clone().unwrap();
    let mut logger = Logger::start_with(Ours, &["1"], |command| {
        command.stdout(OwnedFd::from(stdout));
    });
    let text = text(30_000);
    let mut input = logger.input.take().unwrap();
    let all = text.clone();
    let writer = std::thread::spawn(move || input.write_all(all.as_bytes()).unwrap());
    let mut out = vec![0; text.len()];
    end.read_exact(&mut out).unwrap();
    assert!(out == text.as_bytes() && !is_nonblocking(&shared));
    writer.join().unwrap();
    assert_eq!(logger.wait().code, 0);

    // The other side of a socket is gone.
    let (end, stdout) = UnixStream::pair().unwrap();
    let mut logger = Logger::start_with(Ours, &["1"], |command| {
        command.stdout(OwnedFd::from(stdout));
    });
    drop(end);
    logger.feed("x\n");
    logger.close();
    let end = logger.wait();
    assert!(end.code == 0 && end.err.contains("closing the stream - error was: Broken pipe"), "{}", end.err);

    let file = File::create(both.path().join("out")).unwrap();
    let null = File::options().write(true).open("/dev/null").unwrap();
    for file in [file, null] {
        let mut logger = Logger::start_with(Ours, &["1"], |command| {
            command.stdout(file.try_clone().unwrap());
        });
        logger.feed("a\nb\n");
        logger.close();
        assert_eq!(logger.wait().code, 0);
        assert!(!is_nonblocking(&file));
    }
    assert_eq!(content(&both.path().join("out")), "a\nb\n");
}

/// A user who may not open it anew, because it is somebody else's.
#[test]
fn it_may_be_a_pipe_of_another_user() {
    let both = Beside::new();
    both.copy("log");
    let (mut read, write) = pipe();
    let shared = write.try_clone().unwrap();
    let (stdin, mut input) = pipe();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups"]);
    command.arg(both.command(Ours, "log").get_program()).arg("1").stdin(stdin).stdout(write);
    let mut child = command.spawn().unwrap();
    drop(command);
    input.write_all(b"a\nb\n").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    assert!(!is_nonblocking(&shared));
    drop(shared);
    let mut out = String::new();
    read.read_to_string(&mut out).unwrap();
    assert_eq!(out, "a\nb\n");
}

/// A disk that is full ends it as a reader that is gone does.
#[test]
fn a_full_device_closes_it() {
    for whose in [Theirs, Ours] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut logger = Logger::start_with(whose, &["1", "./d"], |command| {
            command.stdout(full);
        });
        logger.feed("x\n");
        logger.close();
        let end = logger.wait();
        let warning = "unable to write to stdout, closing the stream - error was: No space left on device\n";
        assert_eq!((end.code, end.err), (0, format!("s6-log: warning: {warning}")), "{whose:?}");
        assert_eq!(content(&logger.both.path().join("d/current")), "x\n");
    }
}
