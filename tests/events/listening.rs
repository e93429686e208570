//! ftrig-wait, ftrig-listen1, ftrig-listen. Debian's tell events to ours; where Debian's own listeners differ (they print
//! the last byte of the match, know no anchors, end `ftrig-wait` with 1 in time), s6's later ones do as ours.

use crate::beside::*;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};

fn fifodir() -> Beside {
    let both = Beside::new();
    for name in ["f", "g"] {
        assert_eq!(both.ours("mkfifodir", &[name]).code, 0);
    }
    both
}

fn listeners(both: &Beside, name: &str) -> usize {
    std::fs::read_dir(both.path().join(name)).unwrap().count()
}

/// Starts our command; returns once it listens in `f`.
fn listening(both: &Beside, name: &str, words: &[&str]) -> Child {
    let child = both.command(Ours, name).args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Its FIFO is hidden until it can be written to.
    eventually(|| {
        let names = std::fs::read_dir(both.path().join("f")).unwrap();
        names.map(|entry| entry.unwrap().file_name()).any(|name| name.to_string_lossy().starts_with("ftrig1:"))
    });
    child
}

fn ends(child: Child) -> Outcome {
    outcome_of(&child.wait_with_output().unwrap())
}

#[test]
fn waiting_ends_with_a_match_and_says_all_that_came() {
    for notifier in [Theirs, Ours] {
        let both = fifodir();
        let waiting = listening(&both, "ftrig-wait", &["f", "[xy]z?$"]);
        for message in ["a", "bc", "y"] {
            assert_eq!(both.run(notifier, "ftrig-notify", &["f", message]).code, 0);
        }
        assert_eq!(ends(waiting), Outcome::says("abcy\n"), "{notifier:?}");
        assert_eq!(listeners(&both, "f"), 0);
    }
}

#[test]
fn anchors_are_the_begin_and_the_end_of_all_that_came() {
    let both = fifodir();
    for (pattern, matches) in [("^abc$", true), ("^a", true), ("c$", true), ("b$", false), ("^b", false), ("a.c", true)]
    {
        let timeout = if matches { "0" } else { "300" };
        let words = ["-t", timeout, "f", pattern, "s6-ftrig-notify", "f", "abc"];
        let expected = if matches { Outcome::says("abc\n") } else { Outcome::code(1) };
        assert_eq!(both.ours("ftrig-listen1", &words), expected, "{pattern}");
    }
}

/// (Debian's say the same for the others, unless the machine is so busy that their helper is late: then 111.)
#[test]
fn timing_out_is_99_for_wait_and_1_for_the_others() {
    let both = fifodir();
    assert_eq!(both.ours("ftrig-wait", &["-t", "50", "f", "a"]), Outcome::code(99));
    assert_eq!(both.ours("ftrig-wait", &["--timeout=50", "f", "a"]), Outcome::code(99));
    assert_eq!(both.ours("ftrig-listen1", &["-t", "50", "f", "x", "s6-ftrig-notify", "f", "abc"]), Outcome::code(1));
    assert_eq!(both.ours("ftrig-listen", &["-t", "50", "f", "x", "", "true"]), Outcome::code(1));
    assert_eq!(listeners(&both, "f"), 0);
}

#[test]
fn what_the_program_sets_off_is_not_missed() {
    let both = fifodir();
    for _ in 0..20 {
        assert_eq!(both.ours("ftrig-listen1", &["f", "b", "s6-ftrig-notify", "f", "b"]), Outcome::says("b\n"));
    }
    assert_eq!(both.same("ftrig-listen1", &["f", "b", "s6-ftrig-notify", "f", "b"]), Outcome::says("b\n"));
    assert_eq!(both.same("ftrig-listen", &["f", "b", "", "s6-ftrig-notify", "f", "abc"]), Outcome::code(0));
}

#[test]
fn the_program_is_not_waited_for() {
    let both = fifodir();
    let script = "s6-ftrig-notify f b; exec >&- 2>&-; read line < gate; : > done";
    assert!(std::process::Command::new("mkfifo").arg(both.path().join("gate")).status().unwrap().success());
    assert_eq!(both.ours("ftrig-listen1", &["f", "b", "sh", "-c", script]), Outcome::says("b\n"));
    assert!(!both.path().join("done").exists());
    both.file("gate", "go\n");
    eventually(|| both.path().join("done").exists());
}

#[test]
fn the_program_starts_with_the_signals_that_we_had() {
    let both = fifodir();
    let status = ["sh", "-c", "grep Sig[BI] /proc/self/status; s6-ftrig-notify f b"];
    let plain = std::process::Command::new("sh").args(["-c", "grep Sig[BI] /proc/self/status"]).output().unwrap();
    let words = ["f", "b"].iter().chain(&status).copied().collect::<Vec<_>>();
    let outcome = both.ours("ftrig-listen1", &words);
    assert_eq!(outcome.out, String::from_utf8(plain.stdout).unwrap() + "b\n");
}

#[test]
fn all_or_one_of_several_must_match() {
    let both = fifodir();
    let notify = ["sh", "-c", "s6-ftrig-notify g xyz; s6-ftrig-notify f abc"];
    let with = |options: &[&'static str], pairs: &[&'static str]| {
        let words: Vec<&str> = options.iter().chain(pairs).chain(&[""]).chain(&notify).copied().collect();
        // Debian's cannot be given little time: see above.
        if options.contains(&"-t") { both.ours("ftrig-listen", &words) } else { both.same("ftrig-listen", &words) }
    };
    assert_eq!(with(&[], &["f", "b", "g", "y"]), Outcome::code(0));
    assert_eq!(with(&["-a"], &["f", "b", "f", "c", "g", "y"]), Outcome::code(0));
    assert_eq!(with(&["-o"], &["f", "b", "g", "b"]), Outcome::code(0));
    assert_eq!(with(&["-o", "-t", "100"], &["f", "z", "g", "b"]), Outcome::code(1));
    assert_eq!(with(&["-oa", "-t", "100"], &["f", "b", "g", "b"]), Outcome::code(1));
}

#[test]
fn pairs_are_a_block_of_execline() {
    let both = fifodir();
    assert_eq!(both.same("ftrig-listen", &[" f", " b", "", "s6-ftrig-notify", "f", "abc"]), Outcome::code(0));
    for whose in [Theirs, Ours] {
        let program = both.command(whose, "ftrig-listen").get_program().to_str().unwrap().to_owned();
        let script = format!("{program} {{ f b g z }} foreground {{ s6-ftrig-notify f b }} s6-ftrig-notify g z");
        let mut command = std::process::Command::new("execlineb");
        command.args(["-Pc", &script]).current_dir(both.path()).stdin(Stdio::null());
        assert_eq!(outcome(&mut command), Outcome::code(0), "{whose:?}");
    }
}

#[test]
fn what_cannot_be_is_an_error_and_leaves_no_fifo() {
    let both = fifodir();
    both.file("plain", "");
    for (name, words) in [
        ("ftrig-wait", &["f", "("][..]),
        ("ftrig-wait", &["f", "*"]),
        ("ftrig-wait", &["none", "a"]),
        ("ftrig-wait", &["plain", "a"]),
        ("ftrig-listen1", &["f", "a{2,1}", "true"]),
        ("ftrig-listen1", &["none", "a", "true"]),
        ("ftrig-listen1", &["f", "a", "no-such-program"]),
        ("ftrig-listen1", &["f", "a", "./plain"]),
        ("ftrig-listen", &["f", "a", "g", "[", "", "true"]),
        ("ftrig-listen", &["f", "a", "none", "a", "", "true"]),
        ("ftrig-listen", &["f", "a", "", "no-such-program"]),
    ] {
        assert_eq!(both.same(name, words), Outcome::code(111), "{name} {words:?}");
        assert_eq!(listeners(&both, "f"), 0, "{name} {words:?}");
    }
}

#[test]
fn wrong_usage_is_100() {
    let both = fifodir();
    for (name, words) in [
        ("ftrig-wait", &["f"][..]),
        ("ftrig-wait", &["-t", "x", "f", "a"]),
        ("ftrig-listen1", &["f", "a"]),
        ("ftrig-listen", &["", "true"]),
        ("ftrig-listen", &["f", "", "true"]),
        ("ftrig-listen", &["f", "a"]),
        ("ftrig-listen", &["f", "a", ""]),
        ("ftrig-listen", &["f", "a", "g", "", "true"]),
    ] {
        assert_eq!(both.same(name, words), Outcome::code(100), "{name} {words:?}");
    }
}

#[test]
fn who_is_told_to_end_takes_the_fifo_away_first() {
    let both = fifodir();
    for signal in [1, 2, 3, 15] {
        let waiting = listening(&both, "ftrig-wait", &["f", "a"]);
        linchpin::sys::process::kill(waiting.id() as i32, signal).unwrap();
        let output = waiting.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal));
        assert_eq!(listeners(&both, "f"), 0);
    }
}

#[test]
fn a_signal_that_was_ignored_still_is() {
    let both = fifodir();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" ftrig-wait f a", env!("CARGO_BIN_EXE_linchpin")]);
    let waiting = command.current_dir(both.path()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    eventually(|| listeners(&both, "f") == 1);
    linchpin::sys::process::kill(waiting.id() as i32, 1).unwrap();
    // The signal is gone or waiting for ever; events are taken all the same. (The FIFO may have its hidden name yet.)
    eventually(|| both.ours("ftrig-notify", &["f", "a"]).code == 0 && listeners(&both, "f") == 0);
    assert_eq!(ends(waiting).code, 0);
}

#[test]
fn of_very_many_events_the_last_are_shown() {
    let both = fifodir();
    let mut waiting = listening(&both, "ftrig-wait", &["f", "z"]);
    let much = "x".repeat(4000);
    let mut sent = 0;
    let mut out = waiting.stdout.take().unwrap();
    // Enough is lost when the reader is slow; go on until it has had more than it keeps.
    while sent < 3 * linchpin::limits::FTRIG_KEPT {
        assert_eq!(both.ours("ftrig-notify", &["f", &much]).code, 0);
        sent += much.len();
        eventually(|| drained(&both));
    }
    assert_eq!(both.ours("ftrig-notify", &["f", "yz"]).code, 0);
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(waiting.wait().unwrap().success());
    assert_eq!(text.len(), linchpin::limits::FTRIG_KEPT + 1);
    assert!(text.starts_with("xxx") && text.ends_with("xyz\n"));
}

/// Whether the listener has read what was sent.
fn drained(both: &Beside) -> bool {
    std::fs::read_dir(both.path().join("f")).unwrap().all(|entry| {
        let path = std::ffi::CString::new(entry.unwrap().path().to_str().unwrap()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK;
        let mut fifo = linchpin::sys::file::open(linchpin::sys::Fd::CWD, &path, flags, 0).unwrap();
        let waiting = rustix::io::ioctl_fionread(fifo).unwrap();
        fifo.close();
        waiting == 0
    })
}
