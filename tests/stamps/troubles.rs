//! Filters whose input or output fails, and what they need.

use crate::beside::*;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

const LINE: &[u8] = b"@400000006b098bdd2bfa5d34 and more\n";

#[test]
fn a_directory_for_input_is_a_read_error() {
    let both = Beside::new();
    for name in ["tai64n", "tai64nlocal"] {
        for whose in [Theirs, Ours] {
            assert_eq!(outcome(both.command(whose, name).stdin(File::open("/").unwrap())), Outcome::code(111));
        }
        let output = both.command(Ours, name).stdin(File::open("/").unwrap()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("s6-{name}: fatal: unable to read from standard input: Is a directory\n"));
    }
}

#[test]
fn a_full_device_for_output_is_a_write_error() {
    let both = Beside::new();
    for name in ["tai64n", "tai64nlocal"] {
        for whose in [Theirs, Ours] {
            let mut command = both.command(whose, name);
            command.stdout(File::create("/dev/full").unwrap()).stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // It may have ended when there is more.
            let _ = child.stdin.take().unwrap().write_all(&LINE.repeat(3000));
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(111), "{whose:?}");
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                whose == Ours,
                said == format!("s6-{name}: fatal: unable to write to standard output: No space left on device\n")
            );
        }
    }
}

#[test]
fn a_reader_that_goes_ends_it() {
    let both = Beside::new();
    for name in ["tai64n", "tai64nlocal"] {
        for whose in [Theirs, Ours] {
            let (reader, writer) = UnixStream::pair().unwrap();
            drop(reader);
            let mut child =
                both.command(whose, name).stdout(OwnedFd::from(writer)).stdin(Stdio::piped()).spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(LINE);
            assert_eq!(outcome_of(&child.wait_with_output().unwrap()), Outcome::code(1000 + 13), "{name} {whose:?}");
        }
    }
}

#[test]
fn closed_descriptors_are_errors() {
    let both = Beside::new();
    for name in ["tai64n", "tai64nlocal"] {
        for whose in [Theirs, Ours] {
            let run = |redirection: &str| {
                let program = both.command(whose, name).get_program().to_owned();
                let script = format!("echo line | {{ \"$0\" {redirection}; }}");
                outcome(std::process::Command::new("sh").args(["-c", &script]).arg(program)).code
            };
            assert_eq!([run("<&-"), run(">&-"), run("")], [111, 111, 0], "{name} {whose:?}");
        }
    }
}

#[test]
fn descriptors_that_do_not_block_are_waited_for() {
    // Debian's fail: a logger leaves the pipe that it shares with others that way.
    let both = Beside::new();
    let lines = LINE.repeat(50_000);
    for (name, added) in [("tai64n", 26), ("tai64nlocal", 4)] {
        let (mut to, input) = UnixStream::pair().unwrap();
        let (mut from, output) = UnixStream::pair().unwrap();
        for end in [&input, &output] {
            end.set_nonblocking(true).unwrap();
        }
        let mut command = both.command(Ours, name);
        let mut child = command.stdin(OwnedFd::from(input)).stdout(OwnedFd::from(output)).spawn().unwrap();
        drop(command); // it has our copies of the child's descriptors
        let (begun, rest) = lines.split_at(100 * LINE.len() + 7);
        to.write_all(begun).unwrap();
        let mut first = vec![0; 100 * (LINE.len() + added)];
        from.read_exact(&mut first).unwrap(); // there is nothing left to read for it then
        let rest = rest.to_vec();
        let writer = std::thread::spawn(move || to.write_all(&rest).unwrap());
        let mut all = first;
        // It begins only when the output is full.
        eventually(|| is_asleep_writing(child.id()));
        from.read_to_end(&mut all).unwrap();
        writer.join().unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(all.len(), 50_000 * (LINE.len() + added));
        assert!(all.split_inclusive(|byte| *byte == b'\n').all(|line| line.ends_with(b" and more\n")));
    }
}

/// Whether a process waits in poll(2).
fn is_asleep_writing(pid: u32) -> bool {
    let current = content(format!("/proc/{pid}/syscall").as_ref());
    current.starts_with(&format!("{} ", libc::SYS_ppoll))
}

#[test]
fn a_line_of_any_length_needs_the_same_memory() {
    let both = Beside::new();
    for name in ["tai64n", "tai64nlocal"] {
        let peak = |length: usize| {
            let mut child = both.command(Ours, name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let writer = std::thread::spawn(move || {
                stdin.write_all(LINE).unwrap();
                stdin.write_all(&vec![b'x'; length]).unwrap();
                stdin.write_all(b"\n").unwrap();
                stdin
            });
            let shown = if name == "tai64n" { 2 * 26 + LINE.len() } else { LINE.len() + 4 };
            let mut all = vec![0; shown + length + 1];
            stdout.read_exact(&mut all).unwrap();
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let peak =
                status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().trim_end_matches(" kB");
            drop(writer.join().unwrap());
            assert!(child.wait().unwrap().success());
            peak.parse::<u64>().unwrap()
        };
        let (some, more) = (peak(200_000), peak(20_000_000));
        assert!(more <= some + 64, "{name}: {some} KiB, then {more} KiB");
    }
}

#[test]
fn wrong_options_are_refused() {
    let both = Beside::new();
    for words in [&["-x"][..], &["-gx"], &["--wrong"]] {
        assert_eq!(both.same("tai64nlocal", words).code, 100, "{words:?}");
    }
    for words in [&["-g", "-g"][..], &["--", "-x"], &["words", "are", "not", "read"]] {
        assert_eq!(both.same("tai64nlocal", words), Outcome::says(""), "{words:?}");
    }
}
