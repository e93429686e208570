//! `svlisten` and `svlisten1`.

use crate::tree::*;

const READY_DOWN: &[(&str, &str)] = &[("run", READY), DOWN, NOTIFIES];
const FAILING: &[(&str, &str)] = &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN, NOTIFIES];

#[test]
fn what_the_program_sets_off_is_waited_for() {
    for tree in Tree::both(&[("a", READY_DOWN), ("b", READY_DOWN)]) {
        let (code, _, error) = tree.shell("linchpin svlisten1 -U -t 20000 a s6-svc -u a");
        assert_eq!((code, &error[..]), (0, ""));
        assert_eq!(tree.theirs("s6-svstat -o ready a"), "true\n");
        assert_eq!(tree.shell("linchpin svlisten -U -t 20000 a b '' s6-svc -u b").0, 0);
        assert_eq!(tree.theirs("s6-svstat -o ready b"), "true\n");
        assert_eq!(tree.shell("linchpin svlisten -R -t 20000 a b '' sh -c 's6-svc -r a; s6-svc -r b'").0, 0);
        assert_eq!(tree.shell("linchpin svlisten -do -t 20000 a b '' s6-svc -d b").0, 0);
        assert_eq!(tree.theirs("s6-svstat -o up a"), "true\n");
        assert_eq!(fifos(&tree.service("a")) + fifos(&tree.service("b")), 0);
    }
}

#[test]
fn nothing_is_missed_however_fast_it_is() {
    for tree in Tree::both(&[("a", READY_DOWN)]) {
        for _ in 0..40 {
            assert_eq!(tree.shell("linchpin svlisten1 -U -t 20000 a s6-svc -u a").0, 0);
            assert_eq!(tree.shell("linchpin svlisten1 -D -t 20000 a s6-svc -d a").0, 0);
        }
    }
}

#[test]
fn a_service_that_fails_for_good_is_counted() {
    for tree in Tree::both(&[("a", FAILING), ("b", FAILING)]) {
        assert_eq!(tree.shell("linchpin svlisten1 -U -t 20000 a s6-svc -u a").0, 1);
        assert_eq!(tree.shell("linchpin svlisten1 -u -t 20000 a s6-svc -u a").0, 0);
        assert_eq!(tree.shell("linchpin svlisten -U -t 20000 a b '' sh -c 's6-svc -u a; s6-svc -u b'").0, 2);
    }
}

#[test]
fn a_timeout_is_99() {
    let tree = Tree::new(&[("a", READY_DOWN)]);
    assert_eq!(tree.shell("linchpin svlisten1 -u -t 20 a true").0, 99);
    assert_eq!(tree.shell("linchpin svlisten -u -t 20 a '' true").0, 99);
}

#[test]
fn the_exit_code_of_the_program_does_not_count() {
    let tree = Tree::new(&[("a", READY_DOWN)]);
    assert_eq!(tree.shell("linchpin svlisten1 -d a sh -c 'exit 7'").0, 0);
    assert_eq!(tree.shell("linchpin svlisten -d a '' sh -c 'exit 7'").0, 0);
}

#[test]
fn a_program_that_cannot_be_run_is_111() {
    let tree = Tree::new(&[("a", READY_DOWN)]);
    for command in ["svlisten1 -d a /nonexistent", "svlisten -d a '' no-such-program-anywhere", "svlisten1 -d a /"] {
        let (code, _, error) = tree.shell(&format!("linchpin {command}"));
        assert_eq!(code, 111, "{command}");
        assert!(error.contains("unable to spawn"), "{error}");
    }
    assert_eq!(fifos(&tree.service("a")), 0);
}

#[test]
fn the_directories_may_be_quoted_as_execline_does() {
    let tree = Tree::new(&[("a", READY_DOWN), (" b", READY_DOWN)]);
    assert_eq!(tree.shell("linchpin svlisten -d ' a' a '  b' '' true").0, 0);
    assert_eq!(tree.shell("linchpin svlisten -d '  a' '' true").0, 111);
    assert_eq!(tree.shell("execlineb -Pc 's6-svlisten -d { a } true'").0, 0);
    let script = format!("execlineb -Pc '{} svlisten -U -t 20000 {{ a }} s6-svc -u a'", env!("CARGO_BIN_EXE_linchpin"));
    assert_eq!(tree.shell(&script).0, 0);
}

#[test]
fn a_restart_of_any_is_a_restart_of_all() {
    let tree = Tree::new(&[("a", READY_DOWN), ("b", READY_DOWN)]);
    assert_eq!(tree.code("svc -wU -T 20000 -u a b"), 0);
    let (code, _, error) = tree.shell("linchpin svlisten -ro -t 100 a b '' s6-svc -r a");
    assert_eq!(code, 99);
    assert!(error.contains("warning"), "{error}");
}

#[test]
fn without_directories_svlisten_becomes_the_program() {
    let tree = Tree::new(&[]);
    assert_eq!(tree.shell("linchpin svlisten -U '' echo hello"), (0, "hello\n".to_owned(), String::new()));
    assert_eq!(tree.shell("linchpin svlisten '' /nonexistent x").0, 127);
}

#[test]
fn the_program_inherits_everything() {
    let tree = Tree::new(&[("a", READY_DOWN)]);
    let command = "linchpin svlisten1 -U -t 20000 a sh -c 'echo $HERE >&7; s6-svc -u a' 7>.out";
    assert_eq!(tree.shell(&format!("HERE=env; export HERE; {command}")).0, 0);
    assert_eq!(std::fs::read_to_string(tree.path.join(".out")).unwrap(), "env\n");
}

#[test]
fn wrong_usage_of_the_listeners_is_100() {
    let tree = Tree::new(&[("a", READY_DOWN)]);
    for command in [
        "svlisten",
        "svlisten a true",
        "svlisten a ''",
        "svlisten '' true",
        "svlisten -x a '' true",
        "svlisten1",
        "svlisten1 a",
        "svlisten1 -a a true",
        "svlisten1 -o a true",
    ] {
        assert_eq!(tree.shell(&format!("linchpin {command}")).0, 100, "{command}");
    }
}
