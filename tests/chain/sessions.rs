//! setsid: sessions and process groups.

use crate::beside::*;
use std::os::unix::process::CommandExt;

/// Says whether it leads a session, whether it leads a group.
const WHO: &str =
    "set -- $(cut -d ' ' -f 5,6 /proc/$$/stat); [ $2 = $$ ] && echo session; [ $1 = $$ ] && echo group; exit 0";

#[test]
fn a_new_session_is_the_default() {
    let both = Beside::new();
    for options in [&[][..], &["-s"], &["-i"], &["-bs"]] {
        let words: Vec<&str> = options.iter().copied().chain(["sh", "-c", WHO]).collect();
        assert_eq!(both.same("setsid", &words), Outcome::says("session\ngroup\n"), "{options:?}");
    }
}

#[test]
fn a_background_group_stays_in_the_session() {
    let both = Beside::new();
    assert_eq!(both.same("setsid", &["-b", "sh", "-c", WHO]), Outcome::says("group\n"));
    for long in ["--process-group", "--background-process-group"] {
        assert_eq!(both.ours("setsid", &[long, "sh", "-c", WHO]), Outcome::says("group\n"));
    }
}

/// What follows in a process that leads a group already.
fn as_leader(both: &Beside, whose: Whose, words: &[&str]) -> (Outcome, bool) {
    let mut command = both.command(whose, "setsid");
    let output = command.args(words).process_group(0).output().unwrap();
    (outcome_of(&output), !output.stderr.is_empty())
}

#[test]
fn what_cannot_be_done_is_warned_of_or_fatal_or_nothing() {
    let both = Beside::new();
    for whose in [Theirs, Ours] {
        assert_eq!(as_leader(&both, whose, &["echo", "x"]), (Outcome::says("x\n"), true), "{whose:?}");
        assert_eq!(as_leader(&both, whose, &["-q", "echo", "x"]), (Outcome::says("x\n"), false), "{whose:?}");
        assert_eq!(as_leader(&both, whose, &["-i", "echo", "x"]), (Outcome::code(111), true), "{whose:?}");
        assert_eq!(as_leader(&both, whose, &["-iq", "echo", "x"]), (Outcome::says("x\n"), false), "{whose:?}");
    }
    assert_eq!(as_leader(&both, Ours, &["--strict", "echo", "x"]), (Outcome::code(111), true));
    assert_eq!(as_leader(&both, Ours, &["--quiet", "--session", "echo", "x"]), (Outcome::says("x\n"), false));
}

/// Debian's takes standard input for the terminal; s6's later versions open the terminal itself, ours too.
#[test]
fn without_a_terminal_there_is_no_foreground() {
    let both = Beside::new();
    let none = |options: &str| {
        let mut command = both.command(Ours, "setsid");
        outcome(
            command.args(["sh", "-c", &format!("exec s6-setsid-of-ours {options} echo x")]).env("PATH", path(&both)),
        )
    };
    assert_eq!(none("-f"), Outcome::code(111));
    assert_eq!(none("-qg"), Outcome::code(111));
    assert_eq!(none("-qf -d 0"), Outcome::says("x\n"));
    assert_eq!(none("-if -d 0"), Outcome::code(111));
    assert_eq!(none("--foreground --ctty=0"), Outcome::says("x\n"));
}

/// A PATH with our setsid in it under another name (Debian's is called s6-setsid).
fn path(both: &Beside) -> String {
    let dir = both.path().join("path");
    let _ = std::fs::create_dir(&dir);
    let script = format!("#!/bin/sh\nexec {} setsid \"$@\"\n", env!("CARGO_BIN_EXE_linchpin"));
    std::fs::write(dir.join("s6-setsid-of-ours"), script).unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(dir.join("s6-setsid-of-ours"), mode).unwrap();
    format!("{}:{}", dir.display(), std::env::var("PATH").unwrap())
}

/// On a terminal of its own, which script(1) makes. (Debian's `-g` is stopped by SIGTTOU here, like `-f`.)
#[test]
fn a_group_grabs_the_terminal() {
    let both = Beside::new();
    let foreground = "cut -d ' ' -f 5,8 /proc/$$/stat | { read group front; [ $group = $front ] && echo front; }";
    both.file("foreground", foreground);
    for options in ["-g", "-g -d 0", "--grab"] {
        // The shell does not exec the last command: it would be the leader of the session.
        let script = format!("{} setsid {options} sh ./foreground; exit $?", env!("CARGO_BIN_EXE_linchpin"));
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &script, "/dev/null"]).current_dir(both.path()).stdin(std::process::Stdio::null());
        let outcome = outcome(&mut command);
        assert_eq!((outcome.code, outcome.out.trim()), (0, "front"), "{options}");
    }
}
