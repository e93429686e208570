//! `svdt` and `svdt-clear`, beside s6's.

use crate::tree::*;
use std::path::PathBuf;

fn tally(tree: &Tree) -> PathBuf {
    tree.service("a").join("supervise/death_tally")
}

/// Brings about some deaths: two by signal, one by exit.
fn some_deaths(tree: &Tree) {
    for letter in ["t", "k", "1"] {
        assert_eq!(tree.code("svc -wU -T 20000 -o a"), 0);
        assert_eq!(tree.code(&format!("svc -wD -T 20000 -{letter} a")), 0);
    }
}

/// Waits in itself: a child would be left by what kills it, and the end of everything be waited for in vain.
const RUN: &str = "#!/bin/sh\ntrap 'exit 7' USR1\nexec 4<>fifo\necho >&3\nexec 3>&-\nread -r _ <&4\n";

#[test]
fn deaths_are_told_as_s6_tells_them() {
    for tree in Tree::both(&[("a", &[("run", RUN), ("fifo", FIFO), DOWN, NOTIFIES])]) {
        assert_eq!(tree.text("svdt a"), "");
        some_deaths(&tree);
        for options in ["", "-s ", "-S ", "-n 1 ", "-sn2 ", "-n 0 ", "-n 4294967295 ", "-s -S "] {
            assert_eq!(
                tree.text(&format!("svdt {options}a")),
                tree.theirs(&format!("s6-svdt {options}a")),
                "{options}"
            );
        }
        let text = tree.text("svdt a");
        let ends: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(ends, ["signal SIGTERM", "signal SIGKILL", "exitcode 7"]);
    }
}

#[test]
fn a_tally_can_be_cleared() {
    for tree in Tree::both(&[("a", &[("run", RUN), ("fifo", FIFO), DOWN, NOTIFIES])]) {
        some_deaths(&tree);
        assert_eq!(tree.code("svdt-clear a"), 0);
        assert_eq!(std::fs::read(tally(&tree)).unwrap(), b"");
        assert_eq!(tree.text("svdt a"), "");
        some_deaths(&tree);
        assert_eq!(tree.text("svdt a").lines().count(), 3);
    }
}

#[test]
fn a_full_tally_is_told_to_the_last_line() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let records: Vec<u8> = (0..5000u64)
        .flat_map(|i| ((1u64 << 62) + i).to_be_bytes().into_iter().chain([0, 0, 0, i as u8, 0x8f, 15]))
        .collect();
    std::fs::write(tally(&tree), records).unwrap();
    let text = tree.text("svdt a");
    assert_eq!(text, tree.theirs("s6-svdt a"));
    assert_eq!(text.lines().count(), 4096);
}

#[test]
fn a_tally_that_is_malformed_or_missing_is_started_anew() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    std::fs::write(tally(&tree), [7; 13]).unwrap();
    assert_eq!(tree.text("svdt a"), "");
    assert_eq!(std::fs::read(tally(&tree)).unwrap(), b"");
    std::fs::remove_file(tally(&tree)).unwrap();
    assert_eq!(tree.text("svdt a"), "");
    assert_eq!(std::fs::read(tally(&tree)).unwrap(), b"");
}

#[test]
fn a_tally_outlives_its_supervisor() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[("supervise/death_tally", "@@@@@@@@0000\u{7}\0")]);
    assert_eq!(tree.text("svdt .a"), "@404040404040404030303030 exitcode 7\n");
}

#[test]
fn a_service_that_was_never_supervised_has_no_tally() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[]);
    for command in ["svdt .a", "svdt .none", "svdt-clear .a", "svdt-clear .none"] {
        assert_eq!(tree.code(command), 111, "{command}");
    }
}

#[test]
fn wrong_usage_of_svdt_is_100() {
    let dir = std::env::temp_dir();
    for command in ["svdt", "svdt -x .", "svdt -n", "svdt -n x .", "svdt-clear", "svdt-clear -n ."] {
        assert_eq!(ours(&dir, command).status.code(), Some(100), "{command}");
    }
}
