//! fghack and background-watch: staying in the foreground for daemons that do not.

use crate::beside::*;
use linchpin::sys::process::kill;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

#[test]
fn fghack_ends_when_the_last_descriptor_is_closed() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        let script = "(read line < gate; : > done) & exit 4";
        assert!(Command::new("mkfifo").arg(both.path().join("gate")).status().unwrap().success());
        let mut hack = both.command(whose, "fghack").args(["sh", "-c", script]).spawn().unwrap();
        both.file("gate", "go\n");
        assert_eq!(hack.wait().unwrap().code(), Some(4), "{whose:?}");
        assert!(both.path().join("done").exists(), "{whose:?} ended too early");
        std::fs::remove_file(both.path().join("done")).unwrap();
        std::fs::remove_file(both.path().join("gate")).unwrap();
    }
}

#[test]
fn fghack_gives_many_descriptors_of_one_pipe() {
    let both = Beside::new();
    let count =
        "ls -l /proc/self/fd | sed -n 's/.*pipe:/pipe/p' | sort | uniq -c | sort -n | tail -n 1 | cut -d p -f 1";
    assert_eq!(both.same("fghack", &["sh", "-c", count]).out.trim(), "31");
}

#[test]
fn fghack_says_how_the_program_ended() {
    let both = Beside::new();
    assert_eq!(both.same("fghack", &["sh", "-c", "exit 3"]), Outcome::code(3));
    assert_eq!(both.same("fghack", &["no-such-program"]), Outcome::code(111));
    assert_eq!(both.same("fghack", &[]), Outcome::code(100));
    // Debian's says 111.
    assert_eq!(both.ours("fghack", &["sh", "-c", "kill -9 $$"]), Outcome::code(128 + 9));
}

#[test]
fn fghack_complains_about_who_writes_to_the_pipe() {
    let both = Beside::new();
    // The highest of its numbers that a shell knows by one digit.
    let script = "for n in 3 4 5 6 7 8 9; do case $(readlink /proc/$$/fd/$n) in pipe:*) at=$n ;; esac; done; eval \"echo x >&$at\"";
    assert_eq!(both.same("fghack", &["sh", "-c", script]), Outcome::code(102));
}

/// Runs our background-watch; what the shell script gets is not known to Debian's version yet.
fn watch(both: &Beside, options: &[&str], script: &str) -> Child {
    let mut command = both.command(Ours, "background-watch");
    command.args(options).args(["pid", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap()
}

fn ends(child: Child) -> Outcome {
    outcome_of(&child.wait_with_output().unwrap())
}

/// A daemon that says `up` when it runs, and ends with the line that it reads from `gate`, as exit code.
const DAEMON: &str = "{ sh -c 'echo up; read code < gate; exit $code' & } && echo $! > pid";

fn gate(both: &Beside) {
    assert!(Command::new("mkfifo").arg(both.path().join("gate")).status().unwrap().success());
}

/// Waits until the daemon says that it runs.
fn up(child: &mut Child) {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
}

/// Waits until the daemon is the only child: its parent has ended then, and been buried.
fn known(both: &Beside, child: &Child) {
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    eventually(|| {
        let daemon = content(&both.path().join("pid"));
        !daemon.is_empty() && content(children.as_ref()).trim() == daemon.trim()
    });
}

#[test]
fn it_ends_with_the_daemon_and_its_exit_code() {
    let both = Beside::new();
    gate(&both);
    let mut child = watch(&both, &[], DAEMON);
    up(&mut child);
    known(&both, &child);
    both.file("gate", "7\n");
    assert_eq!(ends(child), Outcome::code(7));
    assert!(both.path().join("pid").exists(), "it is the daemon's to remove");
}

#[test]
fn the_daemon_may_be_the_child_of_a_child() {
    let both = Beside::new();
    gate(&both);
    // The one in the middle outlives the parent, then leaves the daemon to us.
    let script = format!("mkfifo middle; ( {{ {DAEMON}; }}; echo > middle; read x < last ) & read x < middle; exit 0");
    assert!(Command::new("mkfifo").arg(both.path().join("last")).status().unwrap().success());
    let mut child = watch(&both, &[], &script);
    up(&mut child);
    both.file("last", "go\n");
    known(&both, &child);
    both.file("gate", "9\n");
    assert_eq!(ends(child), Outcome::code(9));
}

#[test]
fn signals_are_passed_on_to_the_daemon() {
    // (A shell cannot trap INT and QUIT in the background.)
    for signal in [1, 10, 12, 14, 15, 34] {
        let both = Beside::new();
        let script =
            format!("{{ sh -c 'trap \"exit 4\" {signal}; echo up; while :; do sleep 0.01; done' & }}; echo $! > pid");
        let mut child = watch(&both, &[], &script);
        up(&mut child);
        known(&both, &child);
        kill(child.id() as i32, signal).unwrap();
        assert_eq!(ends(child), Outcome::code(4), "signal {signal}");
    }
}

#[test]
fn a_daemon_that_a_signal_ends_is_128_and_its_number() {
    let both = Beside::new();
    gate(&both);
    let mut child = watch(&both, &[], DAEMON);
    up(&mut child);
    known(&both, &child);
    kill(child.id() as i32, 15).unwrap();
    assert_eq!(ends(child), Outcome::code(128 + 15));
}

#[test]
fn a_signal_that_comes_before_the_daemon_is_known_is_the_parents() {
    let both = Beside::new();
    let mut child = watch(&both, &[], "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done");
    up(&mut child);
    kill(child.id() as i32, 15).unwrap();
    assert_eq!(ends(child), Outcome::code(5));
}

#[test]
fn a_parent_that_fails_is_the_end_and_the_pidfile_goes() {
    let both = Beside::new();
    for (script, code) in [("echo 1234567 > pid; exit 5", 5), ("echo 1234567 > pid; kill -9 $$", 128 + 9)] {
        assert_eq!(ends(watch(&both, &[], script)), Outcome::code(code));
        assert!(!both.path().join("pid").exists());
    }
    assert_eq!(ends(watch(&both, &[], "exit 6")), Outcome::code(6));
}

#[test]
fn a_pidfile_that_names_nobody_is_104() {
    let both = Beside::new();
    assert_eq!(ends(watch(&both, &[], "exit 0")), Outcome::code(104));
    for text in ["", "x", "1", "0", "-1", "12x", "99999999999", "4194304"] {
        assert_eq!(ends(watch(&both, &[], &format!("printf '%s' '{text}' > pid"))), Outcome::code(104), "{text:?}");
    }
}

#[test]
fn a_daemon_that_is_dead_already_is_asked_for_its_exit_code() {
    let both = Beside::new();
    gate(&both);
    // It ends when it is nobody's child but ours; then, when it is a zombie, its parent.
    let script = "(sh -c 'read x < gate; exit 8' & echo $! > pid); echo go > gate
        until grep -q 'State:.Z' /proc/$(cat pid)/status 2>/dev/null; do :; done";
    assert_eq!(ends(watch(&both, &[], script)), Outcome::code(8));
}

#[test]
fn a_parent_that_takes_too_long_is_killed() {
    let both = Beside::new();
    let before = std::time::Instant::now();
    let child = watch(&both, &["-t", "100"], "echo 1234567 > pid; exec sleep 1000");
    assert_eq!(ends(child), Outcome::code(128 + 9));
    assert!(before.elapsed() >= std::time::Duration::from_millis(100));
    assert!(!both.path().join("pid").exists());
    // One that is in time is not.
    gate(&both);
    let mut child = watch(&both, &["--timeout-ready=60000"], DAEMON);
    up(&mut child);
    known(&both, &child);
    both.file("gate", "0\n");
    assert_eq!(ends(child), Outcome::code(0));
}

#[test]
fn a_newline_says_that_the_daemon_is_known() {
    let both = Beside::new();
    gate(&both);
    let mut command = both.command(Ours, "background-watch");
    let script = "exec 9>ready; exec \"$0\" -d 9 pid sh -c \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(command.get_program()).arg(DAEMON).current_dir(both.path());
    let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    up(&mut child);
    known(&both, &child);
    eventually(|| content(&both.path().join("ready")) == "\n");
    let daemon = content(&both.path().join("pid"));
    for pid in [child.id().to_string(), daemon.trim().to_owned()] {
        let fd = std::fs::read_link(format!("/proc/{pid}/fd/9"));
        assert!(fd.is_err(), "{pid} has it still: {fd:?}");
    }
    both.file("gate", "0\n");
    assert_eq!(ends(child), Outcome::code(0));
    for number in ["0", "2", "77", "x"] {
        assert_eq!(outcome(command.args(["-d", number, "pid", "true"])), Outcome::code(100), "{number}");
        command = both.command(Ours, "background-watch");
    }
}

#[test]
fn other_orphans_are_buried_while_the_daemon_lives() {
    let both = Beside::new();
    gate(&both);
    let script = format!("for i in 1 2 3 4 5; do (true &) ; done; {DAEMON}");
    let mut child = watch(&both, &[], &script);
    up(&mut child);
    known(&both, &child);
    both.file("gate", "0\n");
    assert_eq!(ends(child), Outcome::code(0));
}

#[test]
fn the_daemon_starts_with_the_signals_that_we_had() {
    let both = Beside::new();
    gate(&both);
    let script = "{ sh -c 'grep Sig[BI] /proc/self/status; echo up; read x < gate' & } && echo $! > pid";
    let mut child = watch(&both, &[], script);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = String::new();
    while !lines.ends_with("up\n") {
        assert_ne!(out.read_line(&mut lines).unwrap(), 0);
    }
    known(&both, &child);
    both.file("gate", "go\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // In the background a shell lets its children ignore INT and QUIT.
    let plain = "{ sh -c 'grep Sig[BI] /proc/self/status; echo up' & }; wait";
    let plain = Command::new("sh").args(["-c", plain]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(lines, String::from_utf8(plain.stdout).unwrap());
}

#[test]
fn what_cannot_be_executed_is_126_or_127() {
    let both = Beside::new();
    both.file("plain", "x");
    assert_eq!(both.ours("background-watch", &["pid", "no-such-program"]), Outcome::code(127));
    assert_eq!(both.ours("background-watch", &["pid", "./plain"]), Outcome::code(126));
    assert_eq!(both.ours("background-watch", &["pid"]), Outcome::code(100));
    assert_eq!(both.ours("background-watch", &["-t", "x", "pid", "true"]), Outcome::code(100));
}
