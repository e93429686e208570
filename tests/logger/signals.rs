//! Signals, and how it ends.

use crate::beside::Whose::{self, Ours, Theirs};
use crate::beside::{Beside, content, eventually};
use crate::work::*;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A logger that finds this text and this signal when it goes on.
fn finds_both(whose: Whose, words: &[&str], text: &str, signal: i32) -> Logger {
    let mut logger = Logger::start(whose, words);
    logger.signal(libc::SIGSTOP);
    eventually(|| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", logger.child.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    });
    logger.write(text);
    logger.signal(signal);
    logger.signal(libc::SIGCONT);
    logger
}

#[test]
fn without_a_line_that_has_begun_nothing_more_is_read() {
    for whose in BOTH {
        for signal in [libc::SIGTERM, libc::SIGHUP] {
            let mut logger = finds_both(whose, &["1", "./d"], "one\ntwo\nthr", signal);
            assert_eq!(logger.wait(), End::says(""));
            assert_eq!(logger.left(), "one\ntwo\nthr");
            // It is closed as it should be.
            assert!(logger.files("d").contains(&("current".into(), 0o744, String::new())), "{:?}", logger.files("d"));
        }
    }
}

#[test]
fn a_line_that_has_begun_is_read_to_its_end_and_no_further() {
    for (whose, signal, rest, line) in [
        (Theirs, libc::SIGTERM, "def\nrest\n", "abcdef\n"),
        (Ours, libc::SIGTERM, "def\nrest\n", "abcdef\n"),
        (Ours, libc::SIGHUP, "\nrest", "abc\n"),
        // Debian's does not take a NUL for an end here.
        (Ours, libc::SIGHUP, "\0\0", "abc\n"),
    ] {
        let mut logger = Logger::start(whose, &["1", "./d"]);
        logger.feed("first\nabc");
        logger.says("first\n");
        logger.signal(signal);
        logger.write(rest);
        assert_eq!(logger.wait(), End::says(&format!("first\n{line}")), "{whose:?}");
        assert_eq!(logger.left(), rest.split_once(['\n', '\0']).unwrap().1, "{whose:?}");
        assert_eq!(content(&logger.both.path().join("d/current")), format!("first\n{line}"));
    }
}

#[test]
fn the_rest_comes_in_bits() {
    for whose in BOTH {
        let mut logger = Logger::start(whose, &["1"]);
        logger.feed("a");
        logger.signal(libc::SIGTERM);
        for bit in ["b", "c", "de", "f"] {
            logger.feed(bit);
            assert!(logger.is_running());
        }
        // Another one changes nothing.
        logger.signal(libc::SIGHUP);
        logger.feed("g");
        assert!(logger.is_running());
        logger.write("\n");
        assert_eq!(logger.wait(), End::says("abcdefg\n"));
    }
}

#[test]
fn a_line_that_the_end_of_input_ends_after_a_signal_is_kept() {
    for whose in BOTH {
        let mut logger = Logger::start(whose, &["1"]);
        logger.feed("abc");
        logger.signal(libc::SIGTERM);
        logger.feed("d");
        logger.close();
        assert_eq!(logger.wait(), End::says("abcd\n"));
    }
}

/// Debian's has no -t and waits for ever.
#[test]
fn the_rest_of_a_line_is_not_waited_for_for_ever() {
    for (words, least, most) in [(&["-t300", "1"][..], 300, 2000), (&["1"], 2000, 20_000)] {
        let mut logger = Logger::start(Ours, words);
        logger.feed("abc");
        let begin = Instant::now();
        logger.signal(libc::SIGTERM);
        logger.feed("d");
        assert_eq!(logger.wait(), End::says("abcd\n"));
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(least) && took < Duration::from_millis(most), "{words:?}: {took:?}");
    }
    for (whose, words) in [(Ours, &["-t0", "1"][..]), (Theirs, &["1"])] {
        let mut logger = Logger::start(whose, words);
        logger.feed("abc");
        logger.signal(libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(2500));
        assert!(logger.is_running());
        logger.write("\n");
        assert_eq!(logger.wait(), End::says("abc\n"));
    }
}

/// Debian's cuts one byte later, and takes off what comes next.
#[test]
fn a_last_line_that_is_too_long_is_cut() {
    let long = "input line too long, stopping before the end";
    let warning = format!("s6-log: warning: {long}\n");
    let mut logger = Logger::start(Ours, &["-l48", "1"]);
    logger.feed(&"x".repeat(40));
    logger.signal(libc::SIGTERM);
    logger.write(&"y".repeat(20));
    let end = logger.wait();
    assert_eq!((end.code, end.out, end.err), (0, "x".repeat(40) + &"y".repeat(8) + "\n", warning.clone()));
    assert_eq!(logger.left(), "y".repeat(12));
    // One that is exactly so long is no longer than that.
    let mut logger = Logger::start(Ours, &["-l48", "1"]);
    logger.feed(&"x".repeat(48));
    logger.signal(libc::SIGTERM);
    logger.write("\nrest\n");
    assert_eq!(logger.wait(), End::says(&("x".repeat(48) + "\n")));
    assert_eq!(logger.left(), "rest\n");

    let mut logger = Logger::start(Theirs, &["-l48", "1"]);
    logger.feed(&"x".repeat(40));
    logger.signal(libc::SIGTERM);
    logger.write(&"y".repeat(20));
    let end = logger.wait();
    assert_eq!((end.code, end.out, end.err), (0, "x".repeat(40) + &"y".repeat(9) + "\n", warning));
}

/// What cannot be looked at is read byte by byte then.
#[test]
fn of_a_socket_no_more_than_the_line_is_read() {
    for whose in BOTH {
        let (mut end, stdin) = UnixStream::pair().unwrap();
        let mut rest = stdin.try_clone().unwrap();
        let mut logger = Logger::start_with(whose, &["1"], |command| {
            command.stdin(Stdio::from(OwnedFd::from(stdin)));
        });
        end.write_all(b"one\ntw").unwrap();
        logger.says("one\n");
        eventually(|| unread(&rest) == 0);
        logger.signal(libc::SIGTERM);
        end.write_all(b"o\nthree\n").unwrap();
        assert_eq!(logger.wait(), End::says("one\ntwo\n"));
        drop(end);
        let mut left = String::new();
        rest.read_to_string(&mut left).unwrap();
        assert_eq!(left, "three\n", "{whose:?}");
    }
    // The line limit is where it stops, too.
    let (mut end, stdin) = UnixStream::pair().unwrap();
    let mut rest = stdin.try_clone().unwrap();
    let mut logger = Logger::start_with(Ours, &["-l48", "1"], |command| {
        command.stdin(Stdio::from(OwnedFd::from(stdin)));
    });
    end.write_all(b"x").unwrap();
    eventually(|| unread(&rest) == 0);
    logger.signal(libc::SIGTERM);
    end.write_all(&[b'y'; 100]).unwrap();
    let ended = logger.wait();
    assert_eq!(ended.out, "x".to_owned() + &"y".repeat(47) + "\n");
    assert!(ended.err.ends_with("input line too long, stopping before the end\n"));
    drop(end);
    let mut left = String::new();
    rest.read_to_string(&mut left).unwrap();
    assert_eq!(left.len(), 53);
}

#[test]
fn with_p_sigterm_does_nothing_and_sighup_ends_it() {
    for whose in BOTH {
        let mut logger = finds_both(whose, &["-p", "1"], "a\n", libc::SIGTERM);
        logger.says("a\n");
        logger.feed("b\nc");
        logger.signal(libc::SIGTERM);
        logger.feed("d\ne");
        logger.says("a\nb\ncd\n");
        eventually(|| unread(&logger.rest) == 0);
        logger.signal(libc::SIGHUP);
        logger.write("f\ng");
        assert_eq!(logger.wait(), End::says("a\nb\ncd\nef\n"));
        assert_eq!(logger.left(), "g");
    }
}

#[test]
fn sigalrm_rotates_what_is_not_empty() {
    for whose in BOTH {
        let mut logger = Logger::start(whose, &["./d", "-", "+second", "./e"]);
        let names = |logger: &Logger, dir: &str| -> String {
            logger
                .files(dir)
                .into_iter()
                .filter(|(name, ..)| name.starts_with('@'))
                .map(|(.., text)| text + "|")
                .collect()
        };
        logger.feed("first\n");
        logger.signal(libc::SIGALRM);
        eventually(|| names(&logger, "d") == "first\n|");
        logger.signal(libc::SIGALRM);
        logger.feed("second\n");
        eventually(|| content(&logger.both.path().join("e/current")) == "second\n");
        logger.signal(libc::SIGALRM);
        eventually(|| names(&logger, "d") == "first\n|second\n|" && names(&logger, "e") == "second\n|");
        logger.close();
        assert_eq!(logger.wait(), End::says(""));
        assert_eq!(content(&logger.both.path().join("d/current")), "");
    }
}

#[test]
fn other_signals_end_it_at_once() {
    for whose in BOTH {
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1] {
            let mut logger = Logger::start(whose, &["./d"]);
            logger.feed("x\n");
            eventually(|| content(&logger.both.path().join("d/current")) == "x\n");
            logger.signal(signal);
            assert_eq!(logger.wait().code, 1000 + signal);
            // It was not closed.
            assert!(logger.files("d").contains(&("current".into(), 0o644, "x\n".into())));
        }
    }
}

/// Whoever is ignored by its parent is not by the logger, and the other way round, as in s6.
#[test]
fn what_its_parent_ignores_does_not_confuse_it() {
    for whose in BOTH {
        let both = Beside::new();
        let mut command = std::process::Command::new("sh");
        let script = "trap '' CHLD PIPE; printf 'a\\nb\\n' | \"$@\"";
        command.args(["-c", script, "sh"]).arg(both.command(whose, "log").get_program());
        command.args(["?cat", "s4096", "./d"]).current_dir(both.path());
        assert_eq!(End::of(&command.output().unwrap()), End::says(""));
        let mut command = std::process::Command::new("sh");
        let script = "trap '' CHLD PIPE; head -c 5000 /dev/zero | tr '\\0' '\\n' | \"$@\"";
        command.args(["-c", script, "sh"]).arg(both.command(whose, "log").get_program());
        command.args(["?wc -c", "s4096", "l0", "./d"]).current_dir(both.path());
        assert_eq!(End::of(&command.output().unwrap()), End::says(""));
        let archives: Vec<_> = files(&both, "d").into_iter().filter(|(name, ..)| name == "@.s").collect();
        assert_eq!(archives.len(), 1, "{archives:?}");
    }
}

/// Who writes to it learns at once that nobody reads any more, however long the logger needs to end.
#[test]
fn the_end_waits_for_a_processor_and_input_is_closed_meanwhile() {
    for whose in BOTH {
        for signal in [Some(libc::SIGTERM), None] {
            let both = Beside::new();
            assert!(std::process::Command::new("mkfifo").arg(both.path().join("gate")).status().unwrap().success());
            // Another open end, so that nobody waits for another side.
            let gate = std::fs::File::options().read(true).write(true).open(both.path().join("gate")).unwrap();
            let processor = format!("?read x < {}/gate; cat", both.path().display());
            let mut logger = Logger::start_in(both, whose, &["n1", "s4096", "l0", &processor, "./d", "1"], |_| {});
            let line = "x".repeat(99) + "\n";
            logger.feed(&line.repeat(41));
            let path = logger.both.path();
            eventually(|| path.join("d/previous").exists());
            logger.feed(&line);
            match signal {
                Some(signal) => logger.signal(signal),
                None => logger.close(),
            }
            // Our own copy of the end to read from is the only one then.
            let link = format!("/proc/{}/fd/0", logger.child.id());
            let pipe = |target: std::path::PathBuf| target.to_string_lossy().starts_with("pipe:");
            eventually(|| !std::fs::read_link(&link).is_ok_and(pipe));
            assert!(logger.is_running());
            (&gate).write_all(b"\n").unwrap();
            let end = logger.wait();
            assert_eq!((end.code, end.out.len(), end.err.as_str()), (0, 4200, ""), "{whose:?} {signal:?}");
            let files = logger.files("d");
            let of =
                |name: &str| files.iter().find(|(other, ..)| other == name).map(|(_, mode, text)| (*mode, text.len()));
            assert_eq!((of("@.s"), of("current")), (Some((0o744, 4100)), Some((0o744, 100))), "{whose:?} {files:?}");
        }
    }
}

#[test]
fn a_processor_that_always_fails_keeps_it_from_ending() {
    for whose in BOTH {
        let mut logger = Logger::start(whose, &["r50", "s4096", "l0", "?exit 3", "./d"]);
        logger.feed(&("x".repeat(99) + "\n").repeat(41));
        logger.close();
        let failures = |logger: &Logger| logger.err().matches("processor failed in ./d").count();
        eventually(|| failures(&logger) > 3);
        logger.signal(libc::SIGTERM);
        let before = failures(&logger);
        eventually(|| failures(&logger) > before + 2);
        assert!(logger.is_running());
        logger.signal(libc::SIGKILL);
        assert_eq!(logger.wait().code, 1009);
    }
}

/// What has been gathered is written then, and what has been asked for is done.
#[test]
fn nothing_waits_for_company_when_it_ends() {
    for signal in [Some(libc::SIGTERM), None] {
        let mut logger = Logger::start(Ours, &["c10m", "./d", "1"]);
        logger.feed("a\nb\n");
        logger.says("a\nb\n");
        assert_eq!(content(&logger.both.path().join("d/current")), "");
        match signal {
            Some(signal) => logger.signal(signal),
            None => logger.close(),
        }
        assert_eq!(logger.wait(), End::says("a\nb\n"));
        assert_eq!(content(&logger.both.path().join("d/current")), "a\nb\n");
    }
}

/// `-b` waits for what cannot be written, not for what need not be written yet.
#[test]
fn gathering_does_not_keep_it_from_reading() {
    let mut logger = Logger::start(Ours, &["-b", "c10m", "./d", "1"]);
    logger.feed("a\n");
    logger.says("a\n");
    logger.feed("b\n");
    logger.says("a\nb\n");
    logger.close();
    assert_eq!(logger.wait().code, 0);
    assert_eq!(content(&logger.both.path().join("d/current")), "a\nb\n");
}

/// Told to end in the middle of a line while there is no room for more: nothing is lost.
#[test]
fn it_ends_when_there_was_no_room_and_there_is_some_again() {
    for stdin_is_a_pipe in [true, false] {
        let (mut read, write) = pipe();
        let (mut end, stdin) = UnixStream::pair().unwrap();
        let mut logger = Logger::start_with(Ours, &["p:", "1"], |command| {
            command.stdout(write);
            if !stdin_is_a_pipe {
                command.stdin(Stdio::from(OwnedFd::from(stdin)));
            }
        });
        let mut input = logger.input.take().unwrap();
        let text: String = (0..600_000).map(|number| format!("line {number}\n")).collect();
        let total = text.len();
        let writer = std::thread::spawn(move || {
            // It stops reading at some time, and what it has not read it leaves.
            let _ = if stdin_is_a_pipe { input.write_all(text.as_bytes()) } else { end.write_all(text.as_bytes()) };
            text
        });
        // Its memory is full when what it reads is, and nothing moves.
        let status = || std::fs::read_to_string(format!("/proc/{}/io", logger.child.id())).unwrap();
        let mut last = String::new();
        eventually(|| {
            let before = std::mem::replace(&mut last, status());
            std::thread::sleep(Duration::from_millis(200));
            before == status() && unread(&read) > 60_000
        });
        assert!(!writer.is_finished());
        logger.signal(libc::SIGTERM);
        let mut out = String::new();
        read.read_to_string(&mut out).unwrap();
        assert_eq!(logger.wait().code, 0);
        if stdin_is_a_pipe {
            // The test holds the other end open: the writer is to be let go.
            let rest = logger.rest.try_clone().unwrap();
            let drain = std::thread::spawn(move || {
                let mut rest = rest;
                let mut left = String::new();
                rest.read_to_string(&mut left).unwrap();
                left
            });
            let text = writer.join().unwrap();
            let left = drain.join().unwrap();
            let logged: String = out.lines().map(|line| line.strip_prefix(": ").unwrap().to_owned() + "\n").collect();
            assert!(logged.len() < total && logged + &left == text);
        } else {
            let text = writer.join().unwrap();
            let logged: String = out.lines().map(|line| line.strip_prefix(": ").unwrap().to_owned() + "\n").collect();
            // Whole lines, from the beginning on.
            assert!(logged.len() < total && text.starts_with(&logged) && logged.len() > 3 << 20, "{}", logged.len());
        }
    }
}
