//! What the table says, and the exit code.

use crate::scandir::Svscan;
use crate::supervision::*;
use crate::tree::{Tree, ours};
use linchpin::service::waiting::{self, Cause, Reason};
use linchpin::sys::{Fd, file, time};
use std::path::Path;
use std::process::{Command, Output};

const MINUTE: u64 = 60 * time::SECOND;
/// Ends at once, and then waits in finish until it is told to go on.
const FINISHES: &[(&str, &str)] =
    &[("run", "#!/bin/sh\nexit 7\n"), ("finish", "#!/bin/sh\nread x < go\n"), ("timeout-finish", "0\n"), ("go", FIFO)];

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The cells of each line below the heading; columns are at least two blanks apart. The age is left out.
fn cells(output: &Output) -> Vec<Vec<String>> {
    let table = stdout(output);
    let mut lines = table.lines();
    lines.find(|line| line.starts_with("NAME ")).unwrap_or_else(|| panic!("no heading: {output:?}"));
    lines
        .map(|line| {
            let mut cells: Vec<_> =
                line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
            cells.remove(3);
            cells
        })
        .collect()
}

/// The line of one service, without name and age: state, pid, last end, deaths, and what it waits for if anything.
fn line(output: &Output, name: &str) -> Vec<String> {
    let lines = cells(output);
    let mut line = lines.into_iter().find(|line| line[0] == name).unwrap_or_else(|| panic!("no {name}: {output:?}"));
    line.remove(0);
    line
}

/// Says that a service waits, as a supervisor does.
fn wait_for(service: &Path, causes: &[Cause<'_>]) {
    let mut dir = file::open_dir(Fd::CWD, &c_path(service)).unwrap();
    waiting::write(dir, causes.iter().copied()).unwrap();
    dir.close();
}

/// Ends one of [`FINISHES`], so that the tree need not wait for it.
fn end(tree: &Tree, name: &str) {
    assert_eq!(tree.code(&format!("svc -d {name}")), 0);
    std::fs::write(tree.service(name).join("go"), "\n").unwrap();
    assert_eq!(tree.code(&format!("svc -wD -T 20000 {name}")), 0);
}

#[test]
fn services_of_s6_and_their_loggers_are_listed_by_name() {
    let logger = ("log/run", "#!/bin/sh\nexec cat >/dev/null\n");
    let tree = Tree::new(&[
        ("web", &[("run", SLEEPER), logger]),
        ("db", &[("run", READY), NOTIFIES]),
        ("slow", &[("run", SLEEPER), NOTIFIES]),
        ("off", &[("run", SLEEPER), DOWN]),
    ]);
    std::fs::write(tree.path.join("note"), "no service").unwrap();
    for (name, wait) in [("db", "-wU"), ("slow", "-wu"), ("web", "-wu"), ("web/log", "-wu")] {
        assert_eq!(tree.code(&format!("svc {wait} -T 20000 {name}")), 0);
    }
    let pid = |name: &str| tree.theirs(&format!("s6-svstat -o pid {name}")).trim().to_owned();
    let output = tree.ours("status .");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let expected = [
        ["db", "up, ready", &pid("db"), "-", "0"],
        ["off", "never started", "-", "-", "0"],
        ["slow", "up, not ready", &pid("slow"), "-", "0"],
        ["web", "up", &pid("web"), "-", "0"],
        ["web/log", "up", &pid("web/log"), "-", "0"],
    ];
    assert_eq!(cells(&output), expected);
}

#[test]
fn what_is_down_tells_how_it_ended_and_how_often() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)]), ("f", FINISHES)]);
    eventually(|| tree.theirs("s6-svstat f").contains("exitcode 7"));
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_eq!(tree.code("svc -wD -T 20000 -d a"), 0);
    let output = tree.ours("status .");
    assert_eq!(line(&output, "a"), ["down", "-", "SIGTERM", "1"]);
    let finishing = line(&output, "f");
    assert_eq!(
        (finishing[0].as_str(), &finishing[2..]),
        ("finishing", &["exit 7", "1", "wanted up"].map(String::from)[..])
    );
    assert_eq!(output.status.code(), Some(1), "f is wanted up and is not");
    end(&tree, "f");
}

#[test]
fn what_is_up_but_paused_or_not_wanted_is_told() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    assert_eq!(tree.code("svc -pO a"), 0);
    eventually(|| tree.theirs("s6-svstat -o paused,wantedup a") == "true false\n");
    let output = tree.ours("status .");
    let line = line(&output, "a");
    assert_eq!((line[0].as_str(), line[4].as_str()), ("up, paused", "wanted down"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_line_ends_with_the_edge_and_the_deadline_that_the_service_waits_for() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN]), ("b", &[("run", SLEEPER), DOWN])]);
    let now = time::boot();
    let db = Cause::Dependency { name: b"db", reason: Reason::NotReady };
    wait_for(&tree.service("a"), &[db, Cause::Stop(now + 10 * MINUTE)]);
    wait_for(&tree.service("b"), &[Cause::Restart(now)]);
    let output = tree.ours("status .");
    let waits = &line(&output, "a")[4];
    let (edge, deadline) = waits.split_once("; ").unwrap();
    assert_eq!(edge, "waits for db: not ready");
    assert!(["stop given up in 10 min", "stop given up in 9 min"].contains(&deadline), "{waits}");
    assert_eq!(line(&output, "b")[4], "restart now");
}

#[test]
fn a_stop_of_everything_is_told_with_its_deadline() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    let mut scandir = file::open_dir(Fd::CWD, &c_path(&tree.path)).unwrap();
    waiting::write_stopping(scandir, "poweroff", 0).unwrap();
    let warning = |text: &str| format!("status: warning: poweroff: everything is being stopped{text}\n");
    assert_eq!(stderr(&tree.ours("status .")), warning(""));
    waiting::write_stopping(scandir, "poweroff", 1).unwrap();
    assert_eq!(stderr(&tree.ours("status .")), warning("; who is left is killed now"));
    scandir.close();
}

#[test]
fn only_those_that_are_named_are_shown_and_only_they_count() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)]), ("b", &[("run", SLEEPER), DOWN]), ("c", FINISHES)]);
    assert_eq!(tree.code("svc -wu -T 20000 a"), 0);
    eventually(|| tree.theirs("s6-svstat c").contains("exitcode 7"));
    let names = |output: &Output| cells(output).into_iter().map(|line| line[0].clone()).collect::<Vec<_>>();
    let output = tree.ours("status . b a");
    assert_eq!((names(&output), output.status.code()), (vec!["b".into(), "a".into()], Some(0)));
    let output = tree.ours("status . c");
    assert_eq!((names(&output), output.status.code()), (vec!["c".into()], Some(1)));
    // Service directories by their paths need no scan directory.
    let path = tree.service("a").to_str().unwrap().to_owned();
    let output = tree.ours(&format!("status ./b {path}"));
    assert_eq!((names(&output), output.status.code()), (vec!["./b".into(), path], Some(0)));
    end(&tree, "c");
}

#[test]
fn a_name_that_is_none_is_refused_before_anything_is_printed() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    let output = tree.ours("status . a db");
    assert_eq!((output.status.code(), stdout(&output)), (Some(100), String::new()));
    assert_eq!(stderr(&output), "status: fatal: there is no service db: without names, all are listed\n");
    let output = tree.ours("status ./nonexistent");
    assert_eq!(output.status.code(), Some(111));
    assert_eq!(stderr(&output), "status: fatal: unable to open ./nonexistent: No such file or directory\n");
}

#[test]
fn without_a_supervisor_what_is_normally_up_is_missed() {
    let dir = crate::tmp::TempDir::new();
    make_service(&dir.path().join("off"), &[("run", SLEEPER), DOWN]);
    let output = ours(dir.path(), "status .");
    assert_eq!(
        (line(&output, "off"), output.status.code()),
        (["not supervised", "-", "-", "-"].map(String::from).into(), Some(0))
    );
    assert_eq!(stderr(&output), "status: warning: nobody scans this directory: svscan does\n");
    make_service(&dir.path().join("on"), &[("run", SLEEPER)]);
    assert_eq!(ours(dir.path(), "status .").status.code(), Some(1));
}

#[test]
fn a_service_that_the_scanner_has_not_seen_is_told_with_what_to_do() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER)])]);
    make_service(&tree.service("new"), &[("run", SLEEPER)]);
    let output = tree.ours("status .");
    assert_eq!(line(&output, "new")[0], "not supervised");
    let hint = "status: warning: some are not supervised: svscanctl -a makes the scanner look for new services\n";
    assert_eq!(stderr(&output), hint);
}

#[test]
fn a_service_that_cannot_be_read_is_shown_with_the_reason() {
    let tree = Tree::new(&[("a", &[("run", SLEEPER), DOWN])]);
    make_service(&tree.service("odd"), &[("run", SLEEPER), ("supervise", "a file")]);
    let output = tree.ours("status .");
    assert_eq!(line(&output, "odd"), ["unreadable", "-", "-", "-", "Not a directory"]);
    assert_eq!(line(&output, "a")[0], "never started");
    assert_eq!(output.status.code(), Some(111));
}

#[test]
fn an_empty_scan_directory_has_no_table() {
    let dir = crate::tmp::TempDir::new();
    let output = ours(dir.path(), "status .");
    assert_eq!((output.status.code(), stdout(&output)), (Some(0), String::new()));
    assert!(stderr(&output).starts_with("status: warning: there is no service in the scan directory\n"));
}

#[test]
fn without_a_word_the_scan_directory_of_the_machine_is_shown() {
    // Only root may have a /run of its own.
    let script = "mount -t tmpfs none /run && mkdir -p /run/service/db && exec \"$0\" status";
    let output =
        Command::new("unshare").args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_linchpin")]).output().unwrap();
    assert_eq!(line(&output, "db")[0], "not supervised");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn hundreds_of_services_are_listed_in_order_and_in_columns() {
    let dir = crate::tmp::TempDir::new();
    let mut names: Vec<String> = (0..300).map(|i| format!("service-{:x}", i * 7919)).collect();
    names.iter().for_each(|name| std::fs::create_dir(dir.path().join(name)).unwrap());
    names.sort();
    let output = ours(dir.path(), "status .");
    assert_eq!(cells(&output).into_iter().map(|line| line[0].clone()).collect::<Vec<_>>(), names);
    let table = stdout(&output);
    let mut columns = table.lines().map(|line| line.find("STATE").or_else(|| line.find("not supervised")).unwrap());
    let first = columns.next().unwrap();
    assert!(columns.all(|column| column == first));
}

#[test]
fn what_the_scanner_says_of_itself_comes_first_unless_services_are_named_or_nobody_scans() {
    let mut svscan = Svscan::new(&[("db", &[("run", SLEEPER)])]);
    svscan.ok("s6-svc -wu -T 20000 db");
    let state = "pid=77\nversion=1.2.3\nincarnation=2\nfaults=2\nwhy=fault\nstarted=1\nentered=2\nback-after=812\n\
                 fault-at=2\nfault=SIGSEGV \x1b[2J\n";
    std::fs::write(svscan.path(".s6-svscan/state"), state).unwrap();
    let dir = svscan.path("").to_owned();
    let table = stdout(&ours(&dir, "status ."));
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("svscan is linchpin 1.2.3, process 77, up for "), "{table}");
    assert!(lines[1].starts_with("this incarnation has run for "), "{table}");
    assert!(lines[1].ends_with(" UTC: entered after a fault, back after 812 us"), "{table}");
    assert_eq!(lines[2], "2 faults survived, 0 upgrades");
    assert!(lines[3].starts_with("last fault ") && lines[3].ends_with(" ago: SIGSEGV \\x1b[2J"), "{table}");
    assert!(lines[4].is_empty() && lines[5].starts_with("NAME ") && lines[6].starts_with("db "), "{table}");
    assert!(stdout(&ours(&dir, "status . db")).starts_with("NAME "));
    svscan.ok("s6-svscanctl -t .");
    svscan.wait();
    std::fs::write(svscan.path(".s6-svscan/state"), state).unwrap();
    assert!(stdout(&ours(&dir, "status .")).starts_with("NAME "));
}

#[test]
fn it_tells_its_own_usage() {
    for option in ["--help", "-h"] {
        let output = ours(Path::new("/"), &format!("status {option}"));
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
        let text = stdout(&output);
        assert!(text.starts_with("usage: status [scandir] [name...]\nshows "), "{text}");
        assert!(text.contains("A scandir begins with / or a dot, names do not."), "{text}");
    }
}

#[test]
fn our_own_supervisor_tells_the_same() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES]), ("b", &[("run", SLEEPER), DOWN]), ("c", FINISHES)]);
    let status = || ours(&svscan.path(""), "status .");
    eventually(|| line(&status(), "a")[0] == "up, ready" && line(&status(), "c")[0] == "finishing");
    let output = status();
    assert_eq!(line(&output, "b"), ["never started", "-", "-", "0"]);
    assert_eq!(line(&output, "c")[2..], ["exit 7", "1", "wanted up"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(1), String::new()), "{}", stdout(&output));
}

#[test]
fn our_own_supervisor_tells_what_a_service_waits_for() {
    let stubborn = "#!/bin/sh\ntrap '' TERM\necho >&3\nexec 3>&-\nwhile :; do sleep 1000; done\n";
    let svscan = Svscan::new(&[
        ("db", &[("run", SLEEPER), NOTIFIES]),
        ("web", &[("run", SLEEPER), ("dependencies.d/db", "")]),
        ("front", &[("run", SLEEPER), ("dependencies.d/web", "")]),
        ("lost", &[("run", SLEEPER), ("dependencies.d/nobody", "")]),
        ("weak", &[("run", "#!/bin/sh\nexit 1\n"), ("restart-delay", "200s 300s")]),
        ("stubborn", &[("run", stubborn), NOTIFIES, ("timeout-kill", "100000")]),
    ]);
    svscan.ok("s6-svc -wU -T 20000 stubborn");
    svscan.ok("s6-svc -d stubborn");
    let waits = |name: &str| line(&ours(&svscan.path(""), "status ."), name).get(4).cloned().unwrap_or_default();
    eventually(|| waits("web") == "wanted up; waits for db: not ready");
    eventually(|| waits("front") == "wanted up; waits for web: down");
    eventually(|| waits("lost") == "wanted up; waits for nobody: there is none");
    eventually(|| ["wanted up; restart in 3 min", "wanted up; restart in 2 min"].contains(&waits("weak").as_str()));
    eventually(|| waits("stubborn").starts_with("wanted down; killed in "));
    assert_eq!(ours(&svscan.path(""), "status . web").status.code(), Some(1));
}
