//! `svstat`, beside s6-svstat.

use crate::tree::*;
use std::os::unix::fs::symlink;
use std::process::Command;

/// Our line without the process group, which the s6 of Debian does not tell yet.
fn without_pgid(line: &str) -> String {
    match line.split_once(" pgid ") {
        Some((before, after)) => format!("{before}{}", &after[after.find(')').unwrap()..]),
        None => line.to_owned(),
    }
}

/// All that s6-svstat can tell.
fn assert_same_in_every_field(tree: &Tree, name: &str) {
    let fields =
        "up,wantedup,normallyup,ready,paused,pid,exitcode,signal,signum,updownsince,readysince,updownfor,readyfor";
    tree.assert_same_status(&format!("-o {fields}"), name, str::to_owned);
    for field in fields.split(',') {
        tree.assert_same_status(&format!("-o {field}"), name, str::to_owned);
    }
    tree.assert_same_status("-uwNrpest", name, str::to_owned);
    tree.assert_same_status("-t -o ready,pid -n -w", name, str::to_owned);
    tree.assert_same_status("-n", name, without_pgid);
    tree.assert_same_status("--", name, without_pgid);
}

#[test]
fn a_service_looks_the_same_to_both_svstats_in_all_its_states() {
    let finish = "#!/bin/sh\ntest -e go || exit 0\nread x < go\n";
    let files: &[(&str, &str)] = &[("run", READY), ("finish", finish), ("timeout-finish", "0\n"), DOWN, NOTIFIES];
    let tree = Tree::new(&[("a", files)]);
    // Down since the beginning; up and ready; up though not wanted; paused.
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.code("svc -wU -T 20000 -u a"), 0);
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.code("svc -O a"), 0);
    eventually(|| tree.theirs("s6-svstat -o wantedup a") == "false\n");
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.code("svc -p a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused a") == "true\n");
    assert_same_in_every_field(&tree, "a");
    // In finish; after it.
    let go = tree.service("a").join("go");
    Command::new("mkfifo").arg(&go).status().unwrap();
    assert_eq!(tree.code("svc -wd -T 20000 -k a"), 0);
    assert_same_in_every_field(&tree, "a");
    std::fs::write(&go, "\n").unwrap();
    assert_eq!(tree.code("svc -wD -T 20000 a"), 0);
    assert_same_in_every_field(&tree, "a");
}

#[test]
fn a_service_that_is_not_ready_looks_the_same_to_both() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), NOTIFIES])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_same_in_every_field(&tree, "a");
}

#[test]
fn a_service_that_exits_looks_the_same_to_both() {
    let tree = Tree::new(&[("a", &[("run", "#!/bin/sh\nexit 7\n"), DOWN])]);
    let mut events = tree.listen("a");
    assert_eq!(tree.code("svc -o a"), 0);
    events.until(b'D');
    assert_same_in_every_field(&tree, "a");
    assert_eq!(tree.text("svstat -e a"), "7\n");
}

#[test]
fn the_process_group_is_the_pid() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    let pid = tree.theirs("s6-svstat -o pid a");
    let pid = pid.trim();
    assert_eq!(tree.text("svstat -o pgid a"), format!("{pid}\n"));
    assert_eq!(tree.text("svstat -pg a"), format!("{pid} {pid}\n"));
    assert!(tree.text("svstat a").starts_with(&format!("up (pid {pid} pgid {pid}) ")));
}

#[test]
fn svstat_answers_1_when_nobody_supervises() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service(".off"), &[("file", "")]);
    for name in [".none", ".off"] {
        let output = tree.ours(&format!("svstat {name}"));
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b""[..]));
    }
    assert_eq!(tree.code("svstat .off/file"), 111);
}

#[test]
fn wrong_usage_of_svstat_is_100() {
    let dir = std::env::temp_dir();
    let many = "-o up,up,up,up,up,up,up,up,up,up,up,up,up,up,up,up,up";
    for options in ["-Z", "-o u", "-o up,,pid", "-o pidx", "--up", many] {
        assert_eq!(ours(&dir, &format!("svstat {options} .")).status.code(), Some(100), "{options}");
    }
    assert_eq!(ours(&dir, "svstat").status.code(), Some(100));
}

#[test]
fn both_names_of_a_command_work_as_links_too() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    for name in ["svstat", "s6-svstat"] {
        let link = tree.path.join(format!(".{name}"));
        std::fs::create_dir(&link).unwrap();
        symlink(env!("CARGO_BIN_EXE_linchpin"), link.join(name)).unwrap();
        let output = Command::new(link.join(name)).args(["-u", "a"]).current_dir(&tree.path).output().unwrap();
        assert_eq!(output.stdout, b"false\n");
    }
}
