//! `dependencies.d`: who is started after whom, and stopped before whom.

use crate::scandir::*;
use linchpin::sys::process;
use std::time::Duration;

const UP: &str = "#!/bin/sh\necho up $1 >$SAID\nexec sleep 1000\n";
/// Is ready when it has said so: what it says comes before what its dependants say.
const READY: (&str, &str) = ("run", "#!/bin/sh\necho up $1 >$SAID\necho >&3\nexec 3>&- sleep 1000\n");
/// Becomes ready when it is told to.
const GATED: &str = "#!/bin/sh\necho up $1 >$SAID\nread x <go\necho >&3\nexec sleep 1000\n";
/// Says when it is told to end, and ends when it is told that, too.
const TELLS: &str = "#!/bin/sh\ntrap 'trap \"\" TERM; echo down $1 >$SAID; read x <go; exit 0' TERM\necho up $1 >$SAID\necho >&3\nexec 4<>never\nread x <&4\n";

fn waiting(svscan: &Svscan, name: &str) -> String {
    std::fs::read_to_string(svscan.path(name).join("supervise/waiting")).unwrap_or_default().trim_end().to_owned()
}

fn until_waiting(svscan: &Svscan, name: &str, text: &str) {
    eventually(|| waiting(svscan, name) == text);
}

fn is_down(svscan: &Svscan, name: &str) -> bool {
    svscan.status(name).pid == 0
}

#[test]
fn a_service_is_started_when_what_it_needs_is_ready() {
    let gated: &[(&str, &str)] = &[("run", GATED), ("go", FIFO), NOTIFIES];
    let svscan = Svscan::new(&[
        ("a", &[("run", UP), ("dependencies.d/b", ""), ("dependencies.d/c", "")]),
        ("b", gated),
        ("c", gated),
    ]);
    let mut heard = [svscan.hear(), svscan.hear()];
    heard.sort();
    assert_eq!(heard, ["up b", "up c"]);
    eventually(|| ["dependency b not-ready", "dependency c not-ready"].contains(&waiting(&svscan, "a").as_str()));
    svscan.push("b/go", "\n");
    until_waiting(&svscan, "a", "dependency c not-ready");
    assert!(is_down(&svscan, "a"));
    svscan.push("c/go", "\n");
    assert_eq!(svscan.hear(), "up a");
    until_waiting(&svscan, "a", "");
}

#[test]
fn what_cannot_say_that_it_is_ready_need_only_be_up_and_a_chain_starts_in_its_order() {
    let svscan = Svscan::new(&[
        ("a", &[("run", UP), ("dependencies.d/b", "")]),
        ("b", &[("run", UP), ("dependencies.d/c", "")]),
        ("c", &[("run", UP), ("dependencies.d/d", "")]),
        ("d", &[("run", UP)]),
    ]);
    let at = ["d", "c", "b", "a"].map(|name| {
        svscan.pid_of(name);
        nanos(svscan.status(name).stamp)
    });
    assert!(at.is_sorted(), "{at:?}");
}

#[test]
fn what_is_not_wanted_up_is_waited_for() {
    let svscan = Svscan::new(&[("a", &[READY, NOTIFIES, ("dependencies.d/b", "")]), ("b", &[READY, NOTIFIES, DOWN])]);
    until_waiting(&svscan, "a", "dependency b down");
    // An order to start waits too.
    svscan.ok("s6-svc -u a");
    svscan.settle();
    assert!(is_down(&svscan, "a"));
    svscan.ok("s6-svc -u b");
    assert_eq!(svscan.hear(), "up b");
    assert_eq!(svscan.hear(), "up a");
}

#[test]
fn a_service_that_waits_to_be_started_once_is_started_once() {
    let svscan =
        Svscan::new(&[("a", &[READY, NOTIFIES, ("dependencies.d/b", ""), DOWN]), ("b", &[READY, NOTIFIES, DOWN])]);
    svscan.ok("s6-svc -o a");
    until_waiting(&svscan, "a", "dependency b down");
    svscan.ok("s6-svc -u b");
    assert_eq!(svscan.hear(), "up b");
    assert_eq!(svscan.hear(), "up a");
    assert!(!svscan.status("a").want_up);
}

#[test]
fn a_service_that_waits_obeys_orders_and_does_not_hold_up_a_stop() {
    let mut svscan =
        Svscan::new(&[("a", &[READY, NOTIFIES, ("dependencies.d/b", "")]), ("b", &[READY, NOTIFIES, DOWN])]);
    until_waiting(&svscan, "a", "dependency b down");
    svscan.ok("s6-svc -d a");
    until_waiting(&svscan, "a", "");
    svscan.ok("s6-svc -u b");
    assert_eq!(svscan.hear(), "up b");
    svscan.settle();
    assert!(is_down(&svscan, "a"));
    svscan.ok("s6-svc -wD -T 20000 -d b");
    svscan.ok("s6-svc -u a");
    until_waiting(&svscan, "a", "dependency b down");
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    assert_eq!(waiting(&svscan, "a"), "");
}

#[test]
fn when_a_dependency_dies_its_dependants_go_on() {
    let svscan = Svscan::new(&[("a", &[READY, NOTIFIES, ("dependencies.d/b", "")]), ("b", &[READY, NOTIFIES])]);
    assert_eq!((svscan.hear(), svscan.hear()), ("up b".into(), "up a".into()));
    let pid = svscan.pid_of("a");
    svscan.ok("s6-svc -wD -T 20000 -d b");
    svscan.settle();
    assert_eq!(svscan.status("a").pid, pid);
    // But it does not come back without it.
    process::kill(pid, 9).unwrap();
    until_waiting(&svscan, "a", "dependency b down");
}

#[test]
fn a_name_that_nobody_has_is_reported_once_and_waited_for_without_holding_others() {
    let files: &[(&str, &str)] = &[READY, NOTIFIES, ("dependencies.d/nobody", ""), ("dependencies.d/b", "")];
    let dir = ScanDir::new(&[("a", files), ("b", &[READY, NOTIFIES])]);
    let svscan = dir.start("-t 20");
    assert_eq!(svscan.hear(), "up b");
    until_waiting(&svscan, "a", "dependency nobody missing");
    svscan.settle();
    assert_eq!(svscan.log().matches("service a depends on nobody, and there is no such service").count(), 1);
    svscan.add("nobody", &[READY, NOTIFIES]);
    assert_eq!(svscan.hear(), "up nobody");
    assert_eq!(svscan.hear(), "up a");
}

#[test]
fn a_circle_is_reported_once_and_holds_nobody_else() {
    let svscan = ScanDir::new(&[
        ("a", &[READY, NOTIFIES, ("dependencies.d/b", "")]),
        ("b", &[READY, NOTIFIES, ("dependencies.d/c", "")]),
        ("c", &[READY, NOTIFIES, ("dependencies.d/a", "")]),
        ("self", &[READY, NOTIFIES, ("dependencies.d/self", "")]),
        ("other", &[READY, NOTIFIES]),
        ("after", &[READY, NOTIFIES, ("dependencies.d/other", "")]),
    ])
    .start("-t 20");
    let mut heard = [svscan.hear(), svscan.hear()];
    heard.sort();
    assert_eq!(heard, ["up after", "up other"]);
    for (name, on) in [("a", "b"), ("b", "c"), ("c", "a"), ("self", "self")] {
        until_waiting(&svscan, name, &format!("dependency {on} cycle"));
    }
    svscan.settle();
    let log = svscan.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("in a circle")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let three = ["a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"];
    assert!(lines.iter().any(|line| three.iter().any(|circle| line.contains(circle))), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("self -> self")), "{lines:?}");
    // Mended, it starts.
    std::fs::remove_file(svscan.path("c/dependencies.d/a")).unwrap();
    let heard = [svscan.hear(), svscan.hear(), svscan.hear()];
    assert_eq!(heard, ["up c", "up b", "up a"]);
}

#[test]
fn a_stop_ends_services_before_what_they_depend_on() {
    for how in ["s6-svscanctl -t .", "s6-svscanctl -q ."] {
        let files: &[(&str, &str)] =
            &[("run", TELLS), NOTIFIES, ("go", FIFO), ("never", FIFO), ("log/run", "#!/bin/sh\ncat\n")];
        let with = |name: &'static str| [files, &[(name, "")]].concat();
        let (a, b) = (with("dependencies.d/b"), with("dependencies.d/c"));
        let mut svscan = Svscan::new(&[("a", &a), ("b", &b), ("c", files)]);
        for name in ["c", "b", "a"] {
            assert_eq!(svscan.hear(), format!("up {name}"));
        }
        svscan.ok(how);
        for (name, later) in [("a", Some("b")), ("b", Some("c")), ("c", None)] {
            assert_eq!(svscan.hear(), format!("down {name}"));
            if let Some(later) = later {
                until_waiting(&svscan, later, &format!("after {name}"));
                // A second order does not change the order.
                let _ = svscan.run(how);
            }
            svscan.push(&format!("{name}/go"), "\n");
        }
        assert!(svscan.wait().success());
        for name in ["a", "b", "c"] {
            assert_eq!(waiting(&svscan, name), "");
        }
    }
}

#[test]
fn what_dies_while_it_waits_for_its_turn_to_end_is_not_started_again() {
    let files: &[(&str, &str)] = &[("run", TELLS), NOTIFIES, ("go", FIFO), ("never", FIFO), ("dependencies.d/b", "")];
    let mut svscan = Svscan::new(&[("a", files), ("b", &[READY, NOTIFIES])]);
    assert_eq!((svscan.hear(), svscan.hear()), ("up b".into(), "up a".into()));
    let pid = svscan.pid_of("b");
    std::thread::sleep(Duration::from_millis(1100)); // it would come back at once
    svscan.signal(libc::SIGTERM);
    assert_eq!(svscan.hear(), "down a");
    process::kill(pid, 9).unwrap();
    eventually(|| svscan.code("s6-svok b") != 0);
    svscan.push("a/go", "\n");
    assert!(svscan.wait().success());
}

#[test]
fn a_circle_that_came_about_later_ends_together() {
    let svscan = Svscan::new(&[("a", &[READY, NOTIFIES, ("dependencies.d/b", "")]), ("b", &[READY, NOTIFIES])]);
    assert_eq!((svscan.hear(), svscan.hear()), ("up b".into(), "up a".into()));
    std::fs::create_dir(svscan.path("b/dependencies.d")).unwrap();
    std::fs::write(svscan.path("b/dependencies.d/a"), "").unwrap();
    let mut svscan = svscan;
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    assert!(svscan.log().contains("in a circle are stopped all at once"));
}

#[test]
fn to_terminate_and_leave_tells_everybody_at_once() {
    let tells =
        "#!/bin/sh\ntrap 'echo down $1 >$SAID; exit 0' TERM\necho up $1 >$SAID\necho >&3\nexec 4<>never\nread x <&4\n";
    let files: &[(&str, &str)] = &[("run", tells), NOTIFIES, ("never", FIFO)];
    let mut svscan = Svscan::new(&[("a", &[files, &[("dependencies.d/b", "")]].concat()), ("b", files)]);
    assert_eq!((svscan.hear(), svscan.hear()), ("up b".into(), "up a".into()));
    svscan.ok("s6-svscanctl -tb .");
    let mut heard = [svscan.hear(), svscan.hear()];
    heard.sort();
    assert_eq!(heard, ["down a", "down b"]);
    assert!(svscan.wait().success());
}

#[test]
fn a_long_chain_starts_and_stops_in_order() {
    let names: Vec<String> = (0..60).map(|n| format!("s{n:02}")).collect();
    let files: Vec<Vec<(String, &str)>> = (0..60)
        .map(|n| {
            let mut files = vec![(READY.0.to_owned(), READY.1), (NOTIFIES.0.to_owned(), NOTIFIES.1)];
            files.extend((n > 0).then(|| (format!("dependencies.d/s{:02}", n - 1), "")));
            files
        })
        .collect();
    let files: Vec<Vec<(&str, &str)>> =
        files.iter().map(|files| files.iter().map(|(name, text)| (name.as_str(), *text)).collect()).collect();
    let services: Vec<Service<'_>> =
        names.iter().zip(&files).map(|(name, files)| (name.as_str(), &files[..])).collect();
    let mut svscan = ScanDir::new(&services).start("");
    for name in &names {
        assert_eq!(svscan.hear(), format!("up {name}"));
    }
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    let at: Vec<u128> = names.iter().map(|name| svscan.deaths(name)[0]).collect();
    assert!(at.iter().rev().is_sorted(), "{at:?}");
}

#[test]
fn status_tells_the_edge_and_the_deadline_that_a_service_waits_for() {
    let crashes = "#!/bin/sh\necho up $1 >$SAID\nexit 1\n";
    let svscan = Svscan::new(&[
        ("a", &[READY, NOTIFIES, ("dependencies.d/b", "")]),
        ("b", &[READY, NOTIFIES, DOWN]),
        ("c", &[READY, NOTIFIES, ("dependencies.d/nobody", "")]),
        ("d", &[READY, NOTIFIES, ("dependencies.d/d", "")]),
        ("e", &[("run", crashes), ("restart-delay", "500s")]),
    ]);
    let told = |name: &str| {
        let table = svscan.run(&format!("{} status .", env!("CARGO_BIN_EXE_linchpin"))).stdout;
        let table = String::from_utf8(table).unwrap();
        table.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default().to_owned()
    };
    for (name, text) in [
        ("a", "waits for b: down"),
        ("c", "waits for nobody: there is none"),
        ("d", "waits for d: it waits for this one (a cycle)"),
        ("e", "restart in 8 min"),
    ] {
        eventually(|| told(name).contains(text));
    }
}
