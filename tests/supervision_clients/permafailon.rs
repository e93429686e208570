//! `permafailon`, beside s6-permafailon.

use crate::tree::*;
use std::time::{SystemTime, UNIX_EPOCH};

/// A tally with deaths of these ages (seconds), exit codes and signals.
fn tally(deaths: &[(u64, u8, u8)]) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 37 + (1 << 62);
    deaths
        .iter()
        .flat_map(|(age, code, signal)| (now - age).to_be_bytes().into_iter().chain([0; 4]).chain([*code, *signal]))
        .collect()
}

#[test]
fn too_many_deaths_are_a_permanent_failure() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[("supervise/death_tally", "")]);
    let deaths = tally(&[(5000, 1, 0), (1000, 3, 0), (500, 143, 15), (400, 7, 0)]);
    std::fs::write(tree.service(".a/supervise/death_tally"), deaths).unwrap();
    for (words, code) in [
        ("2000 1 7", 125),
        ("2000 1 SIGTERM", 125),
        ("2000 1 term", 125),
        ("2000 1 143", 125),
        ("2000 1 SIG15", 125),
        ("2000 2 3-7", 125),
        ("2000 3 0-255", 125),
        ("2000 2 3,7,TERM", 125),
        ("20000 1 1", 125),
        ("2000 1 1", 3),
        ("2000 1 15", 3),
        ("2000 3 3-7", 3),
        ("2000 4 0-255", 3),
        ("2000 5000 7", 3),
        ("0 1 7", 3),
        ("2000 1 ''", 3),
        ("x 1 7", 100),
        ("2000 0 7", 100),
        ("2000 1 256", 100),
        ("2000 1 7-3", 100),
        ("2000 1 foo", 100),
        ("2000 1 SIG99", 100),
    ] {
        for program in ["linchpin permafailon", "s6-permafailon"] {
            let (exit, _, _) = tree.shell(&format!("cd .a; {program} {words} sh -c 'exit 3'"));
            assert_eq!(exit, code, "{program} {words}");
        }
    }
    assert_eq!(tree.shell("cd .a; linchpin permafailon 2000 2 '3;7 TERM\t9\n'").0, 125);
}

#[test]
fn a_tally_that_cannot_be_read_fails_nobody() {
    let tree = Tree::new(&[]);
    make_service(&tree.service(".a"), &[("supervise/death_tally", "123")]);
    make_service(&tree.service(".b"), &[]);
    for dir in [".a", ".b"] {
        let (code, _, error) = tree.shell(&format!("cd {dir}; linchpin permafailon 60 1 0-255 sh -c 'exit 3'"));
        assert_eq!(code, 3);
        assert!(error.contains("warning"), "{error}");
    }
}

#[test]
fn finish_sees_the_death_that_it_follows_and_the_service_is_given_up() {
    let finish = format!("#!/bin/sh\nexec {} permafailon 1000 3 7 true\n", env!("CARGO_BIN_EXE_linchpin"));
    for tree in Tree::both(&[("a", &[("run", "#!/bin/sh\nexit 7\n"), ("finish", &finish), DOWN, NOTIFIES])]) {
        assert_eq!(tree.code("svc -wU -T 20000 -u a"), 1);
        eventually(|| tree.theirs("s6-svstat -o up,wantedup,ready a") == "false false false\n");
        assert_eq!(tree.text("svdt a").lines().count(), 3);
    }
}

#[test]
fn wrong_usage_of_permafailon_is_100_and_no_program_is_0() {
    let tree = Tree::new(&[]);
    for words in ["", "60", "60 1", "-x 60 1 1"] {
        assert_eq!(tree.shell(&format!("linchpin permafailon {words}")).0, 100, "{words}");
    }
    assert_eq!(tree.shell("linchpin permafailon 60 1 1").0, 0);
    assert_eq!(tree.shell("linchpin permafailon 60 1 1 /nonexistent").0, 127);
}
