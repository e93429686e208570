//! `linchpin kmsg`, in a mount namespace where /dev/kmsg is a file.

use crate::tmp::TempDir;
use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// It, in a directory whose file `kmsg` stands for the kernel's log.
fn command(dir: &TempDir, words: &[&str]) -> Command {
    let file = dir.path().join("kmsg");
    fs::write(&file, "").unwrap();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-ec", "mount --bind \"$1\" /dev/kmsg; shift; exec \"$@\"", "sh"]);
    command.arg(&file).args([env!("CARGO_BIN_EXE_linchpin"), "kmsg"]).args(words);
    command
}

/// What it writes, and how it ends.
fn log(words: &[&str], input: &[u8]) -> (Vec<u8>, Output) {
    let dir = TempDir::new();
    let mut child = command(&dir, words).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    (fs::read(dir.path().join("kmsg")).unwrap(), output)
}

fn logged(words: &[&str], input: &[u8]) -> String {
    let (written, output) = log(words, input);
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    String::from_utf8(written).unwrap()
}

#[test]
fn every_line_is_a_record_with_its_priority_and_its_tag() {
    assert_eq!(logged(&["hello"], b"one\n\ntwo\nthree"), "<30>hello: one<30>hello: two<30>hello: three");
    assert_eq!(logged(&["-p", "12"], b"one\n"), "<12>one");
    assert_eq!(logged(&[], b""), "");
}

#[test]
fn a_long_line_goes_on_in_the_next_record() {
    let most = linchpin::limits::KMSG_LINE - "<30>a: ".len();
    let whole = format!("<30>a: {}", "x".repeat(most));
    let line = |length: usize| format!("{}\ny\n", "x".repeat(length)).into_bytes();
    assert_eq!(logged(&["a"], &line(most)), format!("{whole}<30>a: y"));
    assert_eq!(logged(&["a"], &line(most + 1)), format!("{whole}<30>a: x<30>a: y"));
}

#[test]
fn what_is_no_priority_is_refused() {
    for words in [&["-p", "192"][..], &["-p", "x"], &["a", "b"], &["-x"]] {
        let (written, output) = log(words, b"a\n");
        assert_eq!((output.status.code(), written), (Some(100), vec![]), "{words:?}");
    }
    assert_eq!(logged(&["-p", "191"], b"a\n"), "<191>a");
}

#[test]
fn it_serves_the_socket_of_the_syslog() {
    let dir = TempDir::new();
    let path = dir.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut child = command(&dir, &["-s", "log"]).stdin(Stdio::from(OwnedFd::from(socket))).spawn().unwrap();
    let client = UnixDatagram::unbound().unwrap();
    client.connect(&path).unwrap();
    for message in [&b"<12>Jan  1 00:00:00 cron: hello\n\0"[..], b"", b"plain", &[b'x'; 2000], b"<13>last\n"] {
        client.send(message).unwrap();
    }
    let expected = format!("<12>Jan  1 00:00:00 cron: hello<30>log: plain<30>log: {}<13>last", "x".repeat(951));
    let written = || fs::read_to_string(dir.path().join("kmsg")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while written() != expected {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "{}", written());
        sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
