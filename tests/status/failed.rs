//! Which services `failed` lists, and which it does not.

use crate::scandir::Svscan;
use crate::supervision::*;
use std::path::Path;
use std::process::{Command, Output};

const DIES: &str = "#!/bin/sh\nexit 3\n";
const LATER: (&str, &str) = ("restart-delay", "200s 300s");

fn failed(dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("failed").arg(dir).output().unwrap()
}

/// The lines, without the times and numbers in them, and the exit code.
fn list(svscan: &Svscan) -> (Vec<String>, i32) {
    let output = failed(&svscan.path(""));
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let shorten = |line: &str| {
        let words = line.split(' ').filter(|word| word.parse::<u32>().is_err());
        words.collect::<Vec<_>>().join(" ")
    };
    (text.lines().map(shorten).collect(), output.status.code().unwrap())
}

fn until(svscan: &Svscan, lines: &[&str]) {
    let mut last = (Vec::new(), 0);
    let mut tries = 0;
    eventually(|| {
        last = list(svscan);
        tries += 1;
        if tries % 1000 == 0 {
            eprintln!("{last:?}");
        }
        last.0 == lines && last.1 == i32::from(!lines.is_empty())
    });
}

#[test]
fn nothing_is_listed_when_all_is_as_somebody_wants_it() {
    let svscan = Svscan::new(&[
        ("up", &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat >/dev/null\n")]),
        ("ready", &[("run", READY), NOTIFIES]),
        ("starting", &[("run", SLEEPER), NOTIFIES]),
        ("behind", &[("run", SLEEPER), ("dependencies.d/starting", "")]),
        ("further", &[("run", SLEEPER), ("dependencies.d/behind", "")]),
        ("off", &[("run", SLEEPER), DOWN]),
        ("once", &[("run", DIES), DOWN]),
        ("told", &[("run", SLEEPER)]),
    ]);
    for orders in ["-wU -T 20000 ready", "-wu -T 20000 told", "-wd -T 20000 -d told", "-wu -T 20000 up"] {
        svscan.ok(&format!("s6-svc {orders}"));
    }
    svscan.ok("s6-svc -wD -T 20000 -o once");
    until(&svscan, &[]);
    // One that is told to start again is none that has failed.
    svscan.ok("s6-svc -wr -r up");
    until(&svscan, &[]);
}

#[test]
fn who_has_died_and_waits_for_its_next_start_is_listed_until_it_is_up() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)]), ("weak", &[("run", DIES), LATER])]);
    until(&svscan, &["weak: down for s, to be started in min; last end: exit 3; death"]);
    svscan.ok("s6-svc -d weak");
    until(&svscan, &[]);
}

#[test]
fn who_dies_again_and_again_is_listed_even_while_it_is_up() {
    let svscan = Svscan::new(&[("loops", &[("run", "#!/bin/sh\nsleep 0.3\nexit 1\n")])]);
    eventually(|| svscan.deaths("loops").len() >= 3);
    until(&svscan, &["loops: up for s, but dies again and again; last end: exit 1; deaths"]);
    until(&svscan, &["loops: down for s; last end: exit 1; deaths"]);
}

#[test]
fn who_was_given_up_is_listed_until_somebody_says_otherwise() {
    let svscan =
        Svscan::new(&[("bad", &[("run", DIES), ("finish", "#!/bin/sh\nexit 125\n")]), ("a", &[("run", SLEEPER)])]);
    until(&svscan, &["bad: given up s ago, its finish exited with 125; last end: exit 3; death"]);
    let status = Command::new(env!("CARGO_BIN_EXE_linchpin")).arg("status").arg(svscan.path("")).output().unwrap();
    assert!(String::from_utf8(status.stdout).unwrap().contains("given up: its finish exited with 125\n"));
    svscan.ok("s6-svc -d bad");
    until(&svscan, &[]);
}

#[test]
fn who_waits_for_what_does_not_come_is_listed_with_it() {
    let svscan = Svscan::new(&[
        ("db", &[("run", SLEEPER), DOWN]),
        ("web", &[("run", SLEEPER), ("dependencies.d/db", "")]),
        ("front", &[("run", SLEEPER), ("dependencies.d/web", "")]),
        ("lost", &[("run", SLEEPER), ("dependencies.d/nobody", "")]),
        ("poor", &[("run", SLEEPER), ("sockets", "unix:/run/none\n")]),
    ]);
    until(
        &svscan,
        &[
            "front: waits for web: down",
            "lost: waits for nobody: there is none",
            "poor: waits for unix:/run/none: it is not held",
            "web: waits for db: down",
        ],
    );
    svscan.ok("s6-svc -u db");
    until(&svscan, &["lost: waits for nobody: there is none", "poor: waits for unix:/run/none: it is not held"]);
}

#[test]
fn where_nobody_supervises_what_is_normally_up_is_listed() {
    let dir = crate::tmp::TempDir::new();
    make_service(&dir.path().join("a"), &[("run", SLEEPER)]);
    make_service(&dir.path().join("b"), &[("run", SLEEPER), DOWN]);
    let output = failed(dir.path());
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"a: not supervised\n"[..]));
}

#[test]
fn it_tells_its_usage_and_what_it_counts_and_that_there_is_no_such_directory() {
    let output = Command::new(env!("CARGO_BIN_EXE_linchpin")).args(["failed", "--help"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("usage: failed [scandir]\n"), "{text}");
    assert!(text.contains("has died three times within the last ten seconds"), "{text}");
    let output = failed(Path::new("/nowhere/at/all"));
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(111), &b""[..]));
}
