//! `svc` without waiting.

use crate::tree::*;

#[test]
fn each_signal_letter_reaches_the_service() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for (letter, signal) in [
        ("a", "SIGALRM"),
        ("b", "SIGABRT"),
        ("q", "SIGQUIT"),
        ("h", "SIGHUP"),
        ("k", "SIGKILL"),
        ("t", "SIGTERM"),
        ("i", "SIGINT"),
        ("1", "SIGUSR1"),
        ("2", "SIGUSR2"),
        ("r", "SIGTERM"),
        ("d", "SIGTERM"),
    ] {
        assert_eq!(tree.code("svc -wu -T 20000 -o a"), 0);
        assert_eq!(tree.code(&format!("svc -wD -T 20000 -{letter} a")), 0);
        assert_eq!(tree.theirs("s6-svstat -o signal a"), format!("{signal}\n"));
    }
}

#[test]
fn letters_that_only_later_supervisors_know_reach_them() {
    let run = "#!/bin/sh\ntrap 'kill $child; exit 5' HUP\nsleep 1000 & child=$!\necho $child >child\necho >&3\nwait\n";
    let tree = Tree::own(&[("a", &[("run", run), DOWN, NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 -o a"), 0);
    assert_eq!(tree.code("svc -wD -T 20000 -l a"), 0);
    assert_eq!(tree.theirs("s6-svstat -o exitcode a"), "5\n");
    assert_eq!(tree.code("svc -wU -T 20000 -o a"), 0);
    assert_eq!(tree.code("svc -P a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "true\n");
    assert_eq!(tree.code("svc -C a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "false\n");
    let child: i32 = std::fs::read_to_string(tree.service("a/child")).unwrap().trim().parse().unwrap();
    assert!(child > 1);
    assert_eq!(tree.code("svc -wD -T 20000 -K a"), 0);
    eventually(|| linchpin::sys::process::kill(child, 0).is_err());
}

#[test]
fn a_signal_can_be_given_by_name() {
    let winch = "#!/bin/sh\nsleep 1000 & child=$!\ntrap 'kill $child; exit 28' WINCH\necho >&3\nwait\n";
    let tree = Tree::new(&[("a", &[("run", winch), DOWN, NOTIFIES])]);
    assert_eq!(tree.code("svc -wU -T 20000 -o a"), 0);
    assert_eq!(tree.code("svc -wD -T 20000 -s winch a"), 0);
    assert_eq!(tree.theirs("s6-svstat -o exitcode a"), "28\n");
    assert_eq!(tree.code("svc -s SEGV a"), 100);
}

#[test]
fn pausing_and_continuing_shows_in_the_status() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_eq!(tree.code("svc -p a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "true\n");
    assert_eq!(tree.code("svc -c a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "false\n");
}

#[test]
fn what_is_wanted_can_be_changed_for_now_and_for_good() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    assert_eq!(tree.code("svc -wu -T 20000 -U a"), 0);
    assert!(!tree.service("a").join("down").exists());
    assert_eq!(tree.theirs("s6-svstat -o up,wantedup,normallyup a"), "true true true\n");
    assert_eq!(tree.code("svc -O a"), 0);
    eventually(|| tree.theirs("s6-svstat -o up,wantedup a") == "true false\n");
    assert_eq!(tree.code("svc -wD -T 20000 -D a"), 0);
    assert!(tree.service("a").join("down").exists());
    std::fs::remove_file(tree.service("a").join("down")).unwrap();
    assert_eq!(tree.code("svc -Q a"), 0);
    eventually(|| tree.service("a").join("down").exists());
}

#[test]
fn the_supervisor_exits_on_request() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut events = tree.listen("a");
    assert_eq!(tree.code("svc -x a"), 0);
    events.until(b'x');
}

#[test]
fn several_services_get_the_same_commands() {
    let service: &[(&str, &str)] = &[("run", READY), DOWN, NOTIFIES];
    let tree = Tree::new(&[("a", service), ("b", service), ("c", service)]);
    assert_eq!(tree.code("svc -wU -T 20000 -u a b c"), 0);
    for name in ["a", "b", "c"] {
        assert_eq!(tree.theirs(&format!("s6-svstat -o up,ready {name}")), "true true\n");
    }
    assert_eq!(tree.code("svc -dwD -T 20000 -- a b c"), 0);
    assert_eq!(tree.theirs("s6-svstat -o up c"), "false\n");
}

#[test]
fn one_that_is_not_supervised_does_not_keep_the_others_from_their_commands() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN]), ("b", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".off"), &[]);
    let mut events = tree.listen("b");
    assert_eq!(tree.code("svc -u a .off b"), 102);
    events.until(b'u');
}

#[test]
fn without_commands_svc_finds_out_whether_somebody_listens() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".off"), &[]);
    make_service(&tree.service(".odd"), &[]);
    std::fs::create_dir(tree.service(".odd/supervise")).unwrap();
    assert_eq!(tree.code("svc a"), 0);
    assert_eq!(tree.code("svc .off"), 102);
    assert_eq!(tree.code("svc .odd"), 1);
    assert_eq!(tree.code("svc .none"), 111);
}

#[test]
fn wrong_usage_of_svc_is_100() {
    let dir = std::env::temp_dir();
    for command in ["svc", "svc -Z .", "svc -wx .", "svc -w", "svc -T x .", "svc --up .", "svc -u "] {
        assert_eq!(ours(&dir, command).status.code(), Some(100), "{command}");
    }
    let many = "a".repeat(63);
    assert_eq!(ours(&dir, &format!("svc -{many} .")).status.code(), Some(100));
}
