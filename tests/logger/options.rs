//! Options, what is refused, and when it is ready.

use crate::beside::{Beside, Ours, content};
use crate::work::*;

#[test]
fn wrong_usage_is_100() {
    let both = Beside::new();
    let wrong: [&[&str]; 7] =
        [&[], &["-z", "1"], &["-l", "x", "1"], &["-l", "-3", "1"], &["-d", "x", "1"], &["-d"], &["-bar", "1"]];
    for words in wrong {
        for whose in BOTH {
            let end = run(&both, whose, words, "");
            assert_eq!((end.code, end.out.as_str()), (100, ""), "{words:?}");
            assert!(end.err.starts_with("s6-log: usage: s6-log "), "{words:?}: {}", end.err);
        }
    }
    // Debian's does not know -t.
    assert_eq!(run(&both, Ours, &["-t", "x", "1"], "").code, 100);
    assert_eq!(run(&both, Ours, &["-t", "5", "1"], ""), End::says(""));
}

#[test]
fn options_end_at_the_first_directive() {
    let both = Beside::new();
    assert_eq!(same(&both, &["-q", "--", "-bar", "1"], "foo\nbar\n"), End::says("foo\n"));
    assert_eq!(same(&both, &["1", "-q"], "a\n").code, 0);
    assert_eq!(same(&both, &["1", "-d", "9"], "a\n").code, 100);
}

#[test]
fn a_notification_descriptor_must_be_3_or_more_and_open() {
    let both = Beside::new();
    let end = same(&both, &["-d", "2", "1"], "");
    assert_eq!((end.code, end.err.as_str()), (100, "s6-log: fatal: notification fd must be 3 or more\n"));
    let end = same(&both, &["-d", "1000", "1"], "");
    assert_eq!((end.code, end.err.as_str()), (100, "s6-log: fatal: invalid notification fd: Bad file descriptor\n"));
    let end = run(&both, Ours, &["-d", "4294967295", "1"], "");
    assert_eq!((end.code, end.err.as_str()), (100, "s6-log: fatal: invalid notification fd: Bad file descriptor\n"));
}

#[test]
fn readiness_is_told_when_logdirs_are_open_and_not_if_they_cannot_be() {
    for whose in BOTH {
        let mut first = Logger::start(whose, &["./d"]);
        let path = first.both.path();
        assert!(path.join("d/current").exists() && path.join("d/lock").exists());
        // The descriptor is closed then.
        let open = std::fs::read_dir(format!("/proc/{}/fd", first.child.id())).unwrap();
        let targets = open.map(|entry| std::fs::read_link(entry.unwrap().path()).unwrap());
        assert!(!targets.into_iter().any(|target| target.ends_with("ready")));
        let second = first.both.command(whose, "log");
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", "exec \"$@\" 5>second", "sh"]).arg(second.get_program()).args(["-d", "5", "./d"]);
        let end = End::of(&sh.current_dir(&path).stdin(std::process::Stdio::null()).output().unwrap());
        assert_eq!(end.code, 111);
        assert!(end.err.contains("unable to lock ./d/lock: Device or resource busy"), "{}", end.err);
        assert_eq!(content(&path.join("second")), "");
        first.close();
        assert_eq!(first.wait(), End::says(""));
    }
}

#[test]
fn the_limit_of_a_line_is_48_at_least() {
    let both = Beside::new();
    for limit in ["1", "47", "48"] {
        let end = same(&both, &["-l", limit, "1"], "x".repeat(49) + "\n");
        assert_eq!(end.out, "x".repeat(48) + "\nx\n", "-l {limit}");
    }
}

#[test]
fn silence_is_for_warnings_only() {
    let both = Beside::new();
    let words: [&[&str]; 4] = [&["1", "=no/st"], &["-q", "1", "=no/st"], &["-q", "2"], &["-qv", "1", "=no/st"]];
    let warning = "s6-log: warning: unable to write status file no/st: No such file or directory\n";
    for (words, expected) in words.into_iter().zip([warning, "", "s6-log: alert: x\n", warning]) {
        assert_eq!(same(&both, words, "x\n").err, expected, "{words:?}");
    }
}

#[test]
fn a_script_that_is_wrong_is_refused_when_the_logdirs_before_are_open() {
    for whose in BOTH {
        let both = Beside::new();
        for (words, made) in [(&["f1", "./d"][..], false), (&["./d", "nx", "./e"], true)] {
            let end = run(&both, whose, words, "x\n");
            assert_eq!((end.code, both.path().join("d").exists()), (100, made), "{words:?}");
            assert!(!both.path().join("e").exists());
        }
        assert_eq!(
            run(&both, whose, &["1", "+x"], "").err,
            "s6-log: warning: ignoring extraneous non-action directives\n"
        );
    }
}

#[test]
fn descriptors_that_are_closed_are_nothing() {
    // How it is called, whether it reads something, whether that is seen.
    let ways = [("<&-", false, false), ("<&- >&- 2>&-", false, false), (">&-", true, false), ("2>&-", true, true)];
    for whose in BOTH {
        for (closed, reads, shows) in ways {
            let both = Beside::new();
            let mut command = std::process::Command::new("sh");
            let logger = both.command(whose, "log");
            command.args(["-c", &format!("printf 'x\\n' | \"$@\" {closed}"), "sh"]).arg(logger.get_program());
            let end = End::of(&command.args(["1", "2", "./d"]).current_dir(both.path()).output().unwrap());
            // No file of the logger's gets what is meant for the one that is closed.
            let line = |there| if there { "x\n" } else { "" };
            assert_eq!((end.code, end.out.as_str()), (0, line(shows)), "{closed}");
            assert_eq!(content(&both.path().join("d/current")), line(reads), "{closed}");
        }
    }
}

#[test]
fn nobody_needs_to_hear_that_it_is_ready() {
    // The reader of the notification is gone.
    let both = Beside::new();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "mkfifo f; exec 6<>f 5>f 6<&-; printf 'x\\n' | \"$@\"", "sh"]);
    command.arg(both.command(Ours, "log").get_program()).args(["-d", "5", "1"]).current_dir(both.path());
    assert_eq!(End::of(&command.output().unwrap()), End::says("x\n"));
}
