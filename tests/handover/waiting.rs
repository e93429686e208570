//! What is not held yet is waited for.

use crate::holder::*;
use crate::scandir::*;

fn says(svscan: &Svscan, text: &str) -> usize {
    svscan.log().matches(text).count()
}

fn waiting(svscan: &Svscan, name: &str) -> String {
    std::fs::read_to_string(svscan.path(&format!("{name}/supervise/waiting"))).unwrap_or_default()
}

#[test]
fn a_service_waits_for_what_is_not_held_and_starts_when_the_last_of_it_is_stored() {
    let svscan = engine(&[("web", &[("run", RUN), ("sockets", "a\nb\n")])]);
    svscan.until_log("service web waits: its file sockets: nothing is held as a\n");
    let a = svscan.store_socket("a");
    svscan.until_log("service web waits: its file sockets: nothing is held as b\n");
    eventually(|| waiting(&svscan, "web") == "descriptor b\n");
    let status = svscan.run(&format!("{} status .", env!("CARGO_BIN_EXE_linchpin")));
    let table = String::from_utf8(status.stdout).unwrap();
    assert!(table.contains("waits for b: it is not held"), "{table}");
    svscan.store_socket("c"); // which is nobody's
    svscan.settle();
    assert_eq!(svscan.status("web").pid, 0);
    let b = svscan.store_socket("b");
    let pid = svscan.sleeping("web");
    has_only(pid, &[&a, &b]);
    eventually(|| !svscan.path("web/supervise/waiting").exists());
    assert_eq!((says(&svscan, "held as a"), says(&svscan, "held as b"), svscan.deaths("web").len()), (1, 1, 0));
}

#[test]
fn what_is_taken_away_is_missed_at_the_next_start_and_not_before() {
    let svscan = engine(&[("web", &[("run", RUN), ("sockets", "a\n"), AT_ONCE])]);
    svscan.store_socket("a");
    let pid = svscan.sleeping("web");
    svscan.delete("a");
    svscan.settle();
    assert_eq!(svscan.status("web").pid, pid);
    linchpin::sys::process::kill(pid, 9).unwrap();
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
    let again = svscan.store_socket("a");
    has_only(svscan.sleeping("web"), &[&again]);
}

#[test]
fn who_can_do_without_does() {
    let svscan = engine(&[("web", &[("run", RUN), ("sockets", "-a\n-0 b\n-c*\n"), AT_ONCE])]);
    let pid = svscan.sleeping("web");
    has_only(pid, &[]);
    assert_eq!(told(pid).len(), 0);
    let a = svscan.store_socket("a");
    svscan.settle();
    assert_eq!(svscan.status("web").pid, pid);
    has_only(svscan.next("web", pid), &[&a]);
}

#[test]
fn all_that_wait_for_one_are_started_and_others_go_on_waiting() {
    let wants: &[(&str, &str)] = &[("run", RUN), ("sockets", "a\n")];
    let names: Vec<String> = (0..10).map(|n| format!("web{n}")).collect();
    let mut services: Vec<Service<'_>> = names.iter().map(|name| (name.as_str(), wants)).collect();
    services.push(("other", &[("run", RUN), ("sockets", "z\n")]));
    let svscan = engine(&services);
    names.iter().for_each(|name| eventually(|| waiting(&svscan, name) == "descriptor a\n"));
    let a = svscan.store_socket("a");
    for name in &names {
        has_only(svscan.sleeping(name), &[&a]);
    }
    assert_eq!((waiting(&svscan, "other").as_str(), svscan.status("other").pid), ("descriptor z\n", 0));
}

#[test]
fn one_that_waits_obeys_orders() {
    let svscan = engine(&[("web", &[("run", RUN), ("sockets", "a\n"), DOWN])]);
    svscan.ok("s6-svc -o web");
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
    svscan.ok("s6-svc -d web");
    eventually(|| waiting(&svscan, "web").is_empty());
    svscan.store_socket("a");
    svscan.settle();
    assert_eq!(svscan.status("web").pid, 0);
    svscan.delete("a");
    svscan.ok("s6-svc -o web");
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
    svscan.store_socket("a");
    svscan.sleeping("web");
    assert!(!svscan.status("web").want_up);
    svscan.delete("a");
    svscan.ok("s6-svc -k web");
    svscan.ok("s6-svc -u web");
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
    svscan.ok("s6-svc -xd web");
    svscan.hide("web");
    svscan.ok("s6-svscanctl -an .");
    eventually(|| svscan.code("s6-svok .web") != 0);
}

#[test]
fn dependencies_come_first_and_then_the_descriptors() {
    let svscan = engine(&[
        ("db", &[("run", RUN), DOWN]),
        ("web", &[("run", RUN), ("sockets", "a\n"), ("dependencies.d/db", "")]),
    ]);
    eventually(|| waiting(&svscan, "web") == "dependency db down\n");
    svscan.ok("s6-svc -u db");
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
    let a = svscan.store_socket("a");
    has_only(svscan.sleeping("web"), &[&a]);
}

#[test]
fn a_stop_ends_the_waiting() {
    let mut svscan = engine(&[("web", &[("run", RUN), ("sockets", "a\n"), ("log/run", "#!/bin/cat\n")])]);
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
    svscan.ok("s6-svscanctl -t .");
    assert_eq!(svscan.wait().code(), Some(0));
}

#[test]
fn what_expires_is_not_given_any_more() {
    let svscan = engine(&[("web", &[("run", RUN), ("sockets", "a\n"), DOWN])]);
    let store = format!("s6-ipcserver-socketbinder {} s6-fdholder-store -T 1 fdholder/s a", svscan.base("a").display());
    svscan.ok(&store);
    eventually(|| svscan.held().is_empty());
    svscan.ok("s6-svc -u web");
    eventually(|| waiting(&svscan, "web") == "descriptor a\n");
}
