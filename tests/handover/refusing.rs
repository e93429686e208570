//! What cannot be given is refused with a sentence that tells what to do, and nothing else suffers.

use crate::holder::*;
use crate::scandir::*;
use crate::tmp::TempDir;
use std::process::{Command, Stdio};

/// What the engine says of a service `web` with these files when `a` and `b` are held, after `its file sockets: `.
fn said_of(files: &[(&str, &str)]) -> String {
    let mut all = vec![("run", RUN), DOWN];
    all.extend(files);
    let svscan = engine(&[("web", &all), ("other", &[("run", RUN), ("sockets", "a\n"), DOWN])]);
    let [a, _] = ["a", "b"].map(|id| svscan.store_socket(id));
    let before = svscan.settled_fds();
    for _ in 0..2 {
        svscan.ok("s6-svc -u web");
        assert_eq!((svscan.settled_fds(), svscan.status("web").pid), (before, 0));
    }
    svscan.ok("s6-svc -u other");
    has_only(svscan.sleeping("other"), &[&a]);
    let log = svscan.log();
    let mut said = log.split("service web cannot be started: its file sockets: ");
    let text = said.nth(1).unwrap_or_else(|| panic!("{log}")).lines().next().unwrap().to_owned();
    assert_eq!(said.next(), None, "told once: {log}");
    text.strip_suffix("; tried again every 60 s").unwrap().to_owned()
}

#[test]
fn a_readiness_descriptor_in_between_is_refused_and_so_is_a_lock() {
    let both = ("sockets", "a\nb\n");
    let text = "a held descriptor becomes 3, and its file notification-fd says 3 too: make that 5";
    assert_eq!(said_of(&[both, ("notification-fd", "3\n")]), text);
    let text = "a held descriptor becomes 4, and its file lock-fd says 4 too: make that 5";
    assert_eq!(said_of(&[both, ("lock-fd", "4\n"), ("notification-fd", "5\n")]), text);
    let text = "a held descriptor becomes 0, and its file notification-fd says 0 too: make that 3";
    assert_eq!(said_of(&[("sockets", "0 a\n"), ("notification-fd", "0\n")]), text);
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let text = said_of(&[("sockets", "a\n# b\nb http\n")]);
    assert!(text.starts_with("line 3: all that may follow the identifier is name=NAME"), "{text}");
}

#[test]
fn a_file_that_is_none_is_told() {
    assert_eq!(said_of(&[("sockets/x", "")]), "it cannot be read: Is a directory");
}

#[test]
fn a_supervisor_without_an_fd_holder_says_so() {
    let dir = TempDir::new();
    make_service(&dir.path().join("web"), &[("run", RUN), ("sockets", "a\n")]);
    let log = dir.path().join("log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_linchpin"))
        .args(["supervise", "web"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let text = "the service cannot be started: its file sockets: there is no fd-holder here, only process 1 and svscan \
                have one: its run can ask another with s6-fdholder-retrieve; tried again every 60 s";
    eventually(|| std::fs::read_to_string(&log).unwrap().contains(text));
    std::fs::remove_file(dir.path().join("web/sockets")).unwrap();
    assert!(Command::new("s6-svc").args(["-uwu", "-T20000"]).arg(dir.path().join("web")).status().unwrap().success());
    assert!(Command::new("s6-svc").arg("-xd").arg(dir.path().join("web")).status().unwrap().success());
    assert!(end_of(&mut child).unwrap().success());
}

#[test]
fn an_engine_whose_scan_directory_has_an_fd_holder_of_its_own_says_so() {
    let svscan = engine(&[("fdholder", &[("run", RUN)]), ("web", &[("run", RUN), ("sockets", "a\n")])]);
    svscan.until_log("service web cannot be started: its file sockets: there is no fd-holder here");
}
