//! `svwait`.

use crate::tree::*;

#[test]
fn a_state_that_is_there_is_not_waited_for() {
    for tree in Tree::both(&[("a", &[("run", READY), DOWN, NOTIFIES]), ("b", &[("run", READY), DOWN, NOTIFIES])]) {
        assert_eq!(tree.code("svwait -D a b"), 0);
        assert_eq!(tree.code("svwait -d a b"), 0);
        assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
        assert_eq!(tree.code("svwait a"), 0);
        assert_eq!(tree.code("svwait -U a"), 0);
        assert_eq!(tree.code("svwait -ou a b"), 0);
    }
}

#[test]
fn svwait_waits_for_what_others_do() {
    for tree in Tree::both(&[("a", &[("run", READY), DOWN, NOTIFIES]), ("b", &[("run", READY), DOWN, NOTIFIES])]) {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| tree.code("svwait -U -t 20000 a b"));
            eventually(|| is_heard(&tree.service("a")) && is_heard(&tree.service("b")));
            assert_eq!(tree.code("svc -u a"), 0);
            assert_eq!(tree.code("svc -u b"), 0);
            assert_eq!(waiting.join().unwrap(), 0);
            let waiting = scope.spawn(|| tree.code("svwait -R -t 20000 b"));
            eventually(|| is_heard(&tree.service("b")));
            assert_eq!(tree.code("svc -r b"), 0);
            assert_eq!(waiting.join().unwrap(), 0);
        });
    }
}

#[test]
fn svwait_gives_up_after_its_timeout_with_99_and_leaves_no_fifo() {
    for tree in Tree::both(&[("a", &[("run", SLEEPER), DOWN])]) {
        assert_eq!(tree.code("svwait -u -t 20 a"), 99);
        assert_eq!(tree.code("svwait -r -t 20 a"), 99);
        assert_eq!(fifos(&tree.service("a")), 0);
    }
}

#[test]
fn services_that_fail_for_good_are_counted() {
    let failing: &[(&str, &str)] =
        &[("run", "#!/bin/sh\nexit 1\n"), ("finish", "#!/bin/sh\nexit 125\n"), DOWN, NOTIFIES];
    for tree in Tree::both(&[("a", failing), ("b", failing), ("c", &[("run", SLEEPER), DOWN])]) {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| tree.code("svwait -U -t 20000 a b"));
            eventually(|| is_heard(&tree.service("a")) && is_heard(&tree.service("b")));
            assert_eq!(tree.code("svc -u a b"), 0);
            assert_eq!(waiting.join().unwrap(), 2);
            let waiting = scope.spawn(|| tree.code("svwait -u -t 20000 c"));
            eventually(|| is_heard(&tree.service("c")));
            assert_eq!(tree.code("svc -x c"), 0);
            assert_eq!(waiting.join().unwrap(), 1);
        });
    }
}

#[test]
fn nothing_to_wait_for_is_over_at_once() {
    let dir = std::env::temp_dir();
    assert_eq!(ours(&dir, "svwait").status.code(), Some(0));
    assert_eq!(ours(&dir, "svwait -R -o").status.code(), Some(0));
}

#[test]
fn svwait_needs_a_status_to_begin_with() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[]);
    assert_eq!(tree.code("svwait .none"), 111);
    assert_eq!(tree.code("svwait .a"), 111);
    assert_eq!(fifos(&tree.service(".a")), 0);
}

#[test]
fn wrong_usage_of_svwait_is_100() {
    let dir = std::env::temp_dir();
    for options in ["-x", "-t", "-t x", "-t -1", "-t 3s", "--up", "-T 5"] {
        assert_eq!(ours(&dir, &format!("svwait {options} .")).status.code(), Some(100), "{options}");
    }
}
