//! What is a line, and from where they come.

use crate::beside::Whose::{Ours, Theirs};
use crate::beside::{Beside, content, eventually};
use crate::work::*;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

#[test]
fn newlines_and_nuls_end_lines() {
    let both = Beside::new();
    assert_eq!(same(&both, &["1"], "a\0b\nc\0\0d\n"), End::says("a\nb\nc\n\nd\n"));
    assert_eq!(same(&both, &["p>", "1"], "a\0b\nc\0\0d\n"), End::says("> a\n> b\n> c\n> \n> d\n"));
    assert_eq!(same(&both, &["1"], ""), End::says(""));
}

#[test]
fn a_line_that_is_too_long_is_split_into_lines_of_their_own() {
    let both = Beside::new();
    for length in [47, 48, 49, 95, 96, 97, 144, 1000] {
        let line = "123456789 ".repeat(100)[..length].to_owned();
        let expected: String = line.as_bytes().chunks(48).map(|part| String::from_utf8_lossy(part) + "\n").collect();
        assert_eq!(same(&both, &["-l", "48", "1"], line.clone() + "\n").out, expected, "{length}");
        // Each is selected by itself.
        same(&both, &["-l48", "+^1", "p1", "1", "f", "p2", "1"], line + "\nnext\n");
    }
}

#[test]
fn lines_are_of_8192_bytes_unless_it_is_told_otherwise() {
    let both = Beside::new();
    for (words, parts) in [(&["1"][..], 3), (&["-l", "0", "1"], 1), (&["-l", "20000", "1"], 1), (&["-l19999", "1"], 2)]
    {
        let end = same(&both, words, "x".repeat(20_000) + "\n");
        assert_eq!(end.out.lines().count(), parts, "{words:?}");
    }
}

/// Debian's has no limit with `-l 0`; ours is in the limits.
#[test]
fn without_a_limit_a_line_may_have_a_mebibyte() {
    let both = Beside::new();
    let line = "0123456789abcde\t".repeat(65536);
    assert_eq!(line.len(), linchpin::limits::LOG_LINE_MAX);
    assert!(same(&both, &["-l", "0", "1"], line.clone() + "\n") == End::says(&(line.clone() + "\n")));
    let end = run(&both, Ours, &["-l", "0", "1"], format!("{line}rest\n"));
    assert!(end == End::says(&format!("{line}\nrest\n")));
    let end = run(&both, Ours, &["-l", "4294967295", "1"], format!("{line}rest\n"));
    assert!(end == End::says(&format!("{line}\nrest\n")));
}

/// Debian's drops it, as all versions of s6-log do.
#[test]
fn a_last_line_without_an_end_is_kept() {
    let both = Beside::new();
    for (input, kept) in [("x\npart", "x\npart\n"), ("part", "part\n"), ("x\n\0", "x\n\n")] {
        assert_eq!(run(&both, Ours, &["1"], input), End::says(kept));
    }
    assert_eq!(run(&both, Theirs, &["1"], "x\npart"), End::says("x\n"));
    assert_eq!(run(&both, Ours, &["-", "+^pa", "p!", "1"], "x\npart"), End::says("! part\n"));
}

/// Lines of all lengths, also empty ones and some that are too long.
fn lines(count: u32) -> String {
    let mut state = 1u32;
    let mut text = String::new();
    for number in 0..count {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        let length = if state >> 28 == 0 { state >> 12 & 0x7fff } else { state >> 16 & 0x7f };
        text += &"x".repeat(length as usize);
        text += &format!("{number}\n");
    }
    text
}

/// A file, a socket, a pipe that is fed in bits, a FIFO that everybody may write to: the same comes of all.
#[test]
fn lines_come_from_anything_that_can_be_read() {
    let both = Beside::new();
    let text = lines(20_000);
    let expected = run(&both, Theirs, &["-l", "1000", "1"], text.clone());
    assert!(expected.code == 0 && expected.out.len() > text.len());
    let ours = || {
        let mut command = both.command(Ours, "log");
        command.args(["-l", "1000", "1"]).stderr(Stdio::piped()).stdout(Stdio::piped());
        command
    };
    both.file("text", &text);
    let file = std::fs::File::open(both.path().join("text")).unwrap();
    assert!(End::of(&ours().stdin(file).output().unwrap()) == expected, "a file");

    let (mut end, stdin) = UnixStream::pair().unwrap();
    let child = ours().stdin(Stdio::from(OwnedFd::from(stdin))).spawn().unwrap();
    let bytes = text.clone();
    let writer = std::thread::spawn(move || end.write_all(bytes.as_bytes()).unwrap());
    assert!(End::of(&child.wait_with_output().unwrap()) == expected, "a socket");
    writer.join().unwrap();

    for most in [1, 100, 5000, 100_000] {
        let (stdin, mut end) = pipe();
        let child = ours().stdin(stdin).spawn().unwrap();
        let bytes = if most == 1 { lines(500) } else { text.clone() };
        let expected = run(&both, Theirs, &["-l", "1000", "1"], bytes.clone());
        let writer = std::thread::spawn(move || {
            let (mut left, mut state) = (bytes.as_bytes(), 1u32);
            while !left.is_empty() {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
                let count = (1 + (state >> 8) as usize % most).min(left.len());
                end.write_all(&left[..count]).unwrap();
                left = &left[count..];
            }
        });
        assert!(End::of(&child.wait_with_output().unwrap()) == expected, "a pipe, {most} bytes at a time");
        writer.join().unwrap();
    }
}

/// As many bytes as a pipe can have, if somebody makes it larger: more than the logger looks at once.
#[test]
fn a_large_pipe_and_a_small_one_are_read_alike() {
    let both = Beside::new();
    let text = lines(20_000);
    let expected = run(&both, Theirs, &["-l", "1000", "1"], text.clone());
    for size in [4096, 1 << 20] {
        let (stdin, mut end) = pipe();
        rustix::pipe::fcntl_setpipe_size(linchpin::sys::Fd(std::os::fd::AsRawFd::as_raw_fd(&end)), size).unwrap();
        let mut command = both.command(Ours, "log");
        command.args(["-l", "1000", "1"]).stdin(stdin).stderr(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        drop(command);
        let text = text.clone();
        let writer = std::thread::spawn(move || end.write_all(text.as_bytes()).unwrap());
        assert!(End::of(&child.wait_with_output().unwrap()) == expected, "{size}");
        writer.join().unwrap();
    }
}

/// A user who has used up what pipes he may have gets pipes of a page or two.
#[test]
fn a_user_who_may_have_no_more_pipes_still_has_a_logger() {
    const USER: u32 = 54321;
    let both = Beside::new();
    both.copy("log");
    let text = lines(5000);
    let expected = run(&both, Theirs, &["-l", "1000", "1"], text.clone());
    let mut command = both.command(Ours, "log");
    command.args(["-l", "1000", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let poor = std::thread::spawn(move || {
        become_user(USER);
        let size = |end: &std::fs::File, size| {
            rustix::pipe::fcntl_setpipe_size(linchpin::sys::Fd(std::os::fd::AsRawFd::as_raw_fd(end)), size)
        };
        let (stdin, mut end) = pipe();
        // Until they are used up; where there is no limit, never.
        let pipes: Vec<_> = (0..200).map(|_| pipe()).take_while(|(_, write)| size(write, 1 << 20).is_ok()).collect();
        let used_up =
            (0..200).map(|_| pipe()).take_while(|(_, write)| size(write, 1 << 16).is_ok()).collect::<Vec<_>>();
        let child = command.stdin(stdin).spawn().unwrap();
        drop(command);
        let writer = std::thread::spawn(move || end.write_all(text.as_bytes()).unwrap());
        let end = End::of(&child.wait_with_output().unwrap());
        writer.join().unwrap();
        println!("{} large pipes, {} others", pipes.len(), used_up.len());
        end
    });
    assert!(poor.join().unwrap() == expected);
}

#[test]
fn what_cannot_be_read_is_said_and_ends_it() {
    let both = Beside::new();
    let [theirs, ours] = BOTH.map(|whose| {
        let mut command = both.command(whose, "log");
        let dir = std::fs::File::open("/").unwrap();
        End::of(&command.arg("1").stdin(dir).stderr(Stdio::piped()).output().unwrap())
    });
    assert_eq!(ours, theirs);
    assert_eq!((ours.code, ours.err.as_str()), (0, "s6-log: warning: unable to read from stdin: Is a directory\n"));
}

/// s6-log leaves O_NONBLOCK behind, on whatever others share with it.
#[test]
fn standard_input_is_as_it_was() {
    for whose in BOTH {
        let mut logger = Logger::start(whose, &["1"]);
        logger.feed("x\n");
        logger.says("x\n");
        assert_eq!(is_nonblocking(&logger.rest), whose == Theirs);
        logger.close();
        assert_eq!(logger.wait(), End::says("x\n"));
        assert_eq!(is_nonblocking(&logger.rest), whose == Theirs);
    }
    // One that does not block is as good.
    let mut logger = Logger::start(Ours, &["1"]);
    set_nonblocking(&logger.rest, true);
    for line in ["a", "bc\n", "d\ne"] {
        logger.feed(line);
    }
    logger.says("abc\nd\n");
    logger.close();
    assert_eq!(logger.wait(), End::says("abc\nd\ne\n"));
    assert!(is_nonblocking(&logger.rest));
}

/// Until a batch is written it can be read by somebody else.
#[test]
fn lines_are_taken_off_a_pipe_when_they_are_written() {
    let mut logger = Logger::start(Ours, &["./d"]);
    let current = logger.both.path().join("d/current");
    logger.feed("one\ntwo\nthr");
    assert_eq!(content(&current), "one\ntwo\n");
    logger.write("ee\nfour\n");
    eventually(|| content(&current) == "one\ntwo\nthree\nfour\n");
    // Killed in between, which is a matter of luck here: whatever is not in the file is in the pipe.
    logger.signal(libc::SIGSTOP);
    logger.write("five\n");
    logger.signal(libc::SIGKILL);
    assert_eq!(logger.wait().code, 1009);
    assert_eq!(logger.left(), "five\n");
}

/// The beginning of a line is whole for the next logger, if the one that has seen it is killed soon.
#[test]
fn the_beginning_of_a_line_stays_in_the_pipe_for_a_while() {
    // On a machine that is slow the while may be over.
    let mut left = String::new();
    for _ in 0..10 {
        let mut logger = Logger::start(Ours, &["./d"]);
        logger.write("one\nthr");
        eventually(|| content(&logger.both.path().join("d/current")) == "one\n" && unread(&logger.rest) <= 3);
        logger.signal(libc::SIGKILL);
        assert_eq!(logger.wait().code, 1009);
        left = logger.left();
        if !left.is_empty() {
            break;
        }
    }
    assert_eq!(left, "thr");
    // Nobody waits for the rest for ever, nor asks for it all the time.
    let mut logger = Logger::start(Ours, &["1"]);
    let wakes = |logger: &Logger| -> u32 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", logger.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let before = wakes(&logger);
    logger.feed("one\nthr");
    assert!(wakes(&logger) < before + 60, "{} times", wakes(&logger) - before);
    logger.write("ee\nf");
    logger.says("one\nthree\n");
    logger.close();
    assert_eq!(logger.wait(), End::says("one\nthree\nf\n"));
}

/// The bytes behind those that were read first are not lost with them: a file's offset is where the logger stopped.
#[test]
fn a_file_is_read_to_its_end() {
    let both = Beside::new();
    both.file("text", "1\n2\n3");
    let mut file = std::fs::File::open(both.path().join("text")).unwrap();
    let mut command = both.command(Ours, "log");
    let end = End::of(&command.arg("1").stdin(file.try_clone().unwrap()).output().unwrap());
    assert_eq!(end, End::says("1\n2\n3\n"));
    assert_eq!((file.stream_position().unwrap(), file.read(&mut [0]).unwrap()), (5, 0));
}
