//! `svc -w`: waiting for what comes of the commands.

use crate::tree::*;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn waiting_for_readiness_waits_for_it() {
    let slow = "#!/bin/sh\nread x < go\necho >&3\nexec 3>&-\nexec sleep 1000\n";
    let tree = Tree::new(&[("a", &[("run", slow), DOWN, NOTIFIES])]);
    let go = tree.service("a").join("go");
    Command::new("mkfifo").arg(&go).status().unwrap();
    assert_eq!(tree.code("svc -wU -T 100 -u a"), 99);
    assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true false\n");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| tree.code("svc -wU -T 20000 a"));
        // Once the client listens its status is read: let the service become ready then.
        eventually(|| is_heard(&tree.service("a")));
        std::fs::write(&go, "\n").unwrap();
        assert_eq!(waiting.join().unwrap(), 0);
    });
    assert_eq!(tree.theirs("s6-svstat -o up,ready a"), "true true\n");
}

#[test]
fn waiting_for_the_end_waits_for_finish() {
    let finish = "#!/bin/sh\nread x < go\n";
    let tree = Tree::new(&[("a", &[("run", SLEEPER), ("finish", finish), ("timeout-finish", "0\n")])]);
    Command::new("mkfifo").arg(tree.service("a").join("go")).status().unwrap();
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wd -T 20000 -d a"), 0);
    assert_eq!(tree.code("svc -wD -T 100 a"), 99);
    std::fs::write(tree.service("a").join("go"), "\n").unwrap();
    assert_eq!(tree.code("svc -wD -T 20000 a"), 0);
    assert_eq!(tree.theirs("s6-svstat -o up,wantedup a"), "false false\n");
}

#[test]
fn waiting_for_a_restart_sees_the_next_process() {
    let service: &[(&str, &str)] = &[("run", READY), NOTIFIES];
    let tree = Tree::new(&[("a", service), ("b", service)]);
    assert_eq!(tree.code("svc -wU -T 20000 a b"), 0);
    let before = tree.theirs("s6-svstat -o pid a");
    assert_eq!(tree.code("svc -wR -T 20000 -r a b"), 0);
    assert_ne!(tree.theirs("s6-svstat -o pid a"), before);
    assert_eq!(tree.theirs("s6-svstat -o ready b"), "true\n");
    let before = tree.theirs("s6-svstat -o pid a");
    assert_eq!(tree.code("svc -wr -T 20000 -k a"), 0);
    assert_ne!(tree.theirs("s6-svstat -o pid a"), before);
}

#[test]
fn a_restart_that_nobody_asked_for_times_out() {
    let tree = Tree::new(&[("a", &[("run", READY), NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wR -T 50 a"), 99);
    assert_eq!(tree.code("svc -wd -T 50 a"), 99);
}

#[test]
fn what_is_so_already_is_not_waited_for() {
    let tree = Tree::new(&[("a", &[("run", READY), NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wU -u a"), 0);
    assert_eq!(tree.code("svc -wu a"), 0);
}

#[test]
fn without_a_notification_fd_readiness_is_not_waited_for() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let output = tree.ours("svc -wU -T 20000 -u a");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("warning"));
}

#[test]
fn a_service_that_fails_for_good_is_counted_and_the_others_are_waited_for() {
    let failing: &[(&str, &str)] =
        &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN, NOTIFIES];
    let tree = Tree::new(&[("a", failing), ("b", &[("run", READY), DOWN, NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 -u a b"), 1);
    assert_eq!(tree.theirs("s6-svstat -o up,ready b"), "true true\n");
    assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
}

#[test]
fn who_is_not_supervised_is_not_waited_for() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = tree.listen("a");
    assert_eq!(tree.code("svc -x a"), 0);
    events.until(b'x');
    std::fs::rename(tree.service("a"), tree.service(".a")).unwrap();
    eventually(|| tree.code("svc .a") == 102);
    assert_eq!(tree.code("svc -wu -u .a"), 102);
}

#[test]
fn no_transition_is_missed_however_fast_it_is() {
    let tree = Tree::new(&[("a", &[("run", READY), DOWN, NOTIFIES])]);
    for _ in 0..60 {
        assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
        assert_eq!(tree.code("svc -wD -T 20000 -d a"), 0);
    }
}

#[test]
fn waiting_leaves_no_fifo_behind() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    assert_eq!(tree.code("svc -wu -T 10 a"), 99);
    assert_eq!(tree.code("svc -wu -T 20000 -u a"), 0);
    assert_eq!(tree.code("svc -wd -T 10 a"), 99);
    assert_eq!(fifos(&tree.service("a")), 0);
}

#[test]
fn waiting_makes_a_missing_fifodir_whatever_the_umask() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[]);
    let command = format!("umask 077; exec {} svc -wu .a", env!("CARGO_BIN_EXE_linchpin"));
    let code = Command::new("sh").args(["-c", &command]).current_dir(&tree.path).status().unwrap().code();
    assert_eq!(code, Some(111), "there is no status to be read");
    let mode = std::fs::metadata(tree.service(".a/event")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o3730);
}
