//! How the engine is started: options, the scan directory's own files, what it finds open.

use crate::scandir::*;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

fn svscan(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linchpin"));
    command.arg("svscan").args(words).stdin(Stdio::null()).output().unwrap()
}

fn code(words: &[&str]) -> Option<i32> {
    svscan(words).status.code()
}

#[test]
fn wrong_usage_is_100() {
    let dir = ScanDir::new(&[]);
    let path = dir.path();
    let path = path.to_str().unwrap();
    for words in [
        &[][..],
        &["-d", "2", path],
        &["-d", "99", path],
        &["-d", "4294967295", path],
        &["-X", "0", path],
        &["-X", "4294967295", path],
        &["-d", "x", path],
        &["-C", "-4", path],
        &["-S", path],
        &["-t"],
    ] {
        assert_eq!(code(words), Some(100), "{words:?}");
    }
    assert!(std::fs::read_dir(path).unwrap().next().is_none(), "nothing is touched");
}

#[test]
fn what_is_in_the_way_of_its_files_is_100_and_what_cannot_be_done_is_111() {
    let dir = ScanDir::new(&[]);
    let (path, control) = (dir.path(), dir.path().join(".s6-svscan"));
    let path = path.to_str().unwrap();
    assert_eq!(code(&["/nonexistent"]), Some(111));
    assert_eq!(code(&["/dev/null"]), Some(111));
    std::fs::write(&control, "").unwrap();
    assert_eq!(code(&[path]), Some(100));
    std::fs::remove_file(&control).unwrap();
    make_service(&control, &[("control", "")]);
    assert_eq!(code(&[path]), Some(100));
    std::fs::remove_dir_all(&control).unwrap();
    let _first = dir.start("");
    let second = svscan(&[path]);
    assert_eq!(second.status.code(), Some(100));
    assert!(String::from_utf8_lossy(&second.stderr).starts_with("svscan: fatal: unable to lock .s6-svscan/lock"));
}

#[test]
fn files_have_their_modes_whatever_the_umask() {
    for (umask, status) in [("077", 0o600), ("000", 0o666), ("027", 0o640)] {
        let dir = ScanDir::new(&[("a", &[("run", SLEEPER)])]);
        let svscan = dir.start_by(&format!("umask {umask}; exec \"$@\""), "");
        svscan.pid_of("a");
        let mode = |path: &str| std::fs::metadata(svscan.path(path)).unwrap().permissions().mode() & 0o7777;
        for (path, expected) in [
            (".s6-svscan", 0o700),
            (".s6-svscan/lock", 0o600),
            (".s6-svscan/control", 0o600),
            ("a/event", 0o3730),
            ("a/supervise", 0o700),
            ("a/supervise/lock", 0o644),
            ("a/supervise/control", 0o600),
            ("a/supervise/status", status),
            ("a/supervise/death_tally", status),
        ] {
            assert_eq!(mode(path), expected, "{path} with umask {umask}");
        }
    }
}

#[test]
fn what_is_there_already_is_left_as_it_is() {
    let dir = ScanDir::new(&[("a", &[("run", SLEEPER), DOWN, ("supervise/death_tally", "garbage"), ("event/x", "")])]);
    std::os::unix::fs::symlink("../elsewhere", dir.path().join("a/.link")).unwrap();
    let svscan = dir.start("");
    svscan.settle();
    let mode = std::fs::metadata(svscan.path("a/event")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755);
    assert_eq!(svscan.text("s6-svdt a"), "");
    assert!(svscan.path("a/event/x").exists());
}

#[test]
fn dangling_links_to_supervise_and_event_are_followed() {
    let dir = ScanDir::new(&[("a", &[("run", SLEEPER)])]);
    for name in ["supervise", "event"] {
        std::os::unix::fs::symlink(format!("../../{name}-of-a"), dir.path().join("a").join(name)).unwrap();
    }
    let svscan = dir.start("");
    svscan.pid_of("a");
    assert!(svscan.base("supervise-of-a/status").exists());
    assert_eq!(std::fs::metadata(svscan.base("event-of-a")).unwrap().permissions().mode() & 0o7777, 0o3730);
}

#[test]
fn standard_descriptors_that_are_closed_become_the_null_device() {
    let run =
        "#!/bin/sh\nfor n in 0 1 2; do eval \"exec 4<&$n\"; readlink /proc/$$/fd/4 >$SAID; done\nexec sleep 1000\n";
    let svscan = ScanDir::new(&[("a", &[("run", run)])]).start_by("exec \"$@\" <&- >&- 2>&-", "");
    for _ in 0..3 {
        assert_eq!(svscan.hear(), "/dev/null");
    }
}

#[test]
fn its_own_control_answers_s6_svscanctl() {
    let svscan = Svscan::new(&[]);
    for option in ["-z", "-a", "-n", "-N"] {
        svscan.ok(&format!("s6-svscanctl {option} ."));
    }
    svscan.settle();
    assert_eq!(svscan.log(), "");
}

#[test]
fn unknown_bytes_are_reported_and_ignored() {
    let svscan = Svscan::new(&[]);
    std::fs::write(svscan.path(".s6-svscan/control"), "?").unwrap();
    svscan.until_log("unknown byte 0x3f on the control FIFO: ignored");
    svscan.settle();
}

#[test]
fn descriptors_that_svscan_was_started_with_are_passed_on_to_its_services() {
    let tells = "#!/bin/sh\necho here >&7\nexec sleep 1000\n";
    let dir = ScanDir::new(&[
        ("a", &[("run", tells)]),
        ("b", &[("run", tells), NOTIFIES, ("lock-fd", "9"), ("log/run", SLEEPER)]),
    ]);
    let svscan = dir.start_by("exec 7<>$SAID; exec \"$@\"", "");
    assert_eq!((svscan.hear(), svscan.hear()), ("here".to_owned(), "here".to_owned()));
}
