//! Which services there are: scans, names, identities, limits.

use crate::scandir::*;
use std::os::unix::fs::symlink;

const UP: &str = "#!/bin/sh\necho $1 >$SAID\nexec sleep 1000\n";

fn supervised(svscan: &Svscan, name: &str) -> bool {
    svscan.code(&format!("s6-svok {name}")) == 0
}

#[test]
fn directories_are_services_and_nothing_else_is() {
    let dir = ScanDir::new(&[("a", &[("run", UP)]), (".hidden", &[("run", UP)]), ("empty", &[])]);
    std::fs::write(dir.path().join("file"), "").unwrap();
    let svscan = dir.start("");
    assert_eq!(svscan.hear(), "a");
    svscan.settle();
    assert!(supervised(&svscan, "a") && supervised(&svscan, "empty") && !supervised(&svscan, ".hidden"));
    assert!(!svscan.path(".hidden/supervise").exists());
    assert!(!svscan.log().contains("service file"));
}

#[test]
fn a_new_service_is_found_by_an_order_a_signal_or_in_time() {
    for (options, order) in [("", Some("s6-svscanctl -a .")), ("", None), ("-t 100", Some("true"))] {
        let svscan = Svscan::with_options(options, &[]);
        svscan.add("new", &[("run", UP)]);
        match order {
            Some(order) => svscan.ok(order),
            None => svscan.signal(libc::SIGALRM),
        }
        assert_eq!(svscan.hear(), "new");
    }
}

#[test]
fn what_is_removed_is_left_alone_until_it_is_nuked() {
    let svscan = Svscan::new(&[("a", &[("run", UP)])]);
    svscan.hear();
    svscan.hide("a");
    svscan.ok("s6-svscanctl -n ."); // it was there at the last scan
    svscan.settle();
    svscan.ok("s6-svscanctl -a .");
    svscan.settle();
    assert!(supervised(&svscan, ".a") && svscan.status(".a").is_up());
    let mut events = svscan.listen(".a");
    svscan.ok("s6-svc -k .a");
    svscan.hear(); // its run is started again, its supervisor is not
    svscan.ok("s6-svscanctl -n .");
    events.until(b'x');
    eventually(|| !supervised(&svscan, ".a"));
}

#[test]
fn killing_comes_after_scanning_whatever_their_order() {
    for order in ["s6-svscanctl -an .", "s6-svscanctl -na .", "s6-svscanctl -h .", "s6-svscanctl -aN .", "kill -HUP"] {
        let svscan = Svscan::new(&[("a", &[("run", UP)])]);
        svscan.hear();
        let mut events = svscan.listen("a");
        svscan.hide("a");
        match order {
            "kill -HUP" => svscan.signal(libc::SIGHUP),
            _ => svscan.ok(order),
        }
        events.until(b'x');
    }
}

#[test]
fn a_removed_service_can_come_back_before_and_after_its_end() {
    let svscan = Svscan::new(&[("a", &[("run", UP)])]);
    svscan.hear();
    let pid = svscan.pid_of("a");
    svscan.hide("a");
    svscan.ok("s6-svscanctl -a .");
    svscan.settle();
    svscan.unhide("a");
    svscan.ok("s6-svscanctl -an .");
    svscan.settle();
    assert_eq!(svscan.pid_of("a"), pid, "nothing has happened to it");
    // While it ends it is not taken back, but as soon as it has ended there is a new one, without being told.
    let slow = "#!/bin/sh\necho finish >$SAID\nread x <go\n";
    make_service(&svscan.path("a/new"), &[("finish", slow), ("timeout-finish", "0"), ("go", FIFO)]);
    for name in ["go", "timeout-finish", "finish"] {
        std::fs::rename(svscan.path("a/new").join(name), svscan.path("a").join(name)).unwrap();
    }
    svscan.hide("a");
    svscan.ok("s6-svscanctl -an .");
    assert_eq!(svscan.hear(), "finish");
    svscan.unhide("a");
    svscan.ok("s6-svscanctl -a .");
    svscan.settle();
    let mut events = svscan.listen("a");
    svscan.push("a/go", "\n");
    for event in *b"Dxsu" {
        events.until(event);
    }
    assert_eq!(svscan.hear(), "a");
}

#[test]
fn a_renamed_entry_is_the_same_service_and_its_next_supervisor_finds_it() {
    let svscan =
        Svscan::new(&[("a", &[("run", UP), ("log/run", "#!/bin/sh\necho log $1 >$SAID\nexec cat >/dev/null\n")])]);
    let mut first = [svscan.hear(), svscan.hear()];
    first.sort();
    assert_eq!(first, ["a", "log a/log"]);
    let (pid, log_pid) = (svscan.pid_of("a"), svscan.pid_of("a/log"));
    std::fs::rename(svscan.path("a"), svscan.path("b")).unwrap();
    svscan.ok("s6-svscanctl -an .");
    svscan.settle();
    assert_eq!((svscan.pid_of("b"), svscan.pid_of("b/log")), (pid, log_pid));
    svscan.ok("s6-svc -xt b");
    assert_eq!(svscan.hear(), "b");
    svscan.ok("s6-svc -xt b/log");
    assert_eq!(svscan.hear(), "log b/log");
    // Without a scan in between, too.
    std::fs::rename(svscan.path("b"), svscan.path("c")).unwrap();
    svscan.ok("s6-svc -xt c");
    assert_eq!(svscan.hear(), "c");
}

#[test]
fn two_links_to_one_directory_are_one_service() {
    let dir = ScanDir::new(&[(".real", &[("run", UP)])]);
    for name in ["one", "two"] {
        symlink(".real", dir.path().join(name)).unwrap();
    }
    let svscan = dir.start("");
    let name = svscan.hear();
    svscan.settle();
    assert_eq!(svscan.children().len(), 1);
    // Without the link that it was named after it goes on under the other.
    let pid = svscan.pid_of(".real");
    std::fs::remove_file(svscan.path(&name)).unwrap();
    svscan.ok("s6-svscanctl -an .");
    svscan.settle();
    assert_eq!(svscan.pid_of(".real"), pid);
    svscan.ok("s6-svc -xt .real");
    assert_ne!(svscan.hear(), name);
}

#[test]
fn a_dangling_link_is_reported_once_and_keeps_nobody_else_out() {
    let dir = ScanDir::new(&[]);
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    let svscan = dir.start("-t 20");
    svscan.until_log("dangling: No such file or directory; skipped");
    svscan.add("a", &[("run", UP)]);
    assert_eq!(svscan.hear(), "a");
    assert_eq!(svscan.log().matches("dangling").count(), 1);
    svscan.add(".nowhere", &[("run", UP)]);
    std::fs::rename(svscan.path(".nowhere"), svscan.path("nowhere")).unwrap();
    svscan.hear();
}

#[test]
fn a_link_in_a_circle_is_reported_and_what_bears_its_name_is_kept() {
    let svscan = Svscan::new(&[("a", &[("run", UP)])]);
    svscan.hear();
    let pid = svscan.pid_of("a");
    svscan.hide("a");
    symlink("a", svscan.path("a")).unwrap();
    svscan.ok("s6-svscanctl -an .");
    svscan.until_log("a: Too many levels of symbolic links; skipped for now");
    svscan.settle();
    assert_eq!(svscan.pid_of(".a"), pid);
}

#[test]
fn a_name_that_is_too_long_is_skipped_and_reported_once() {
    let long = "long-name-of-a-service";
    let dir = ScanDir::new(&[(long, &[("run", UP)]), ("eleven-char", &[("run", UP)])]);
    let svscan = dir.start("-L 5 -t 20"); // 11 is the least
    assert_eq!(svscan.hear(), "eleven-char");
    svscan.settle();
    assert_eq!(svscan.log().matches("the name is longer than 11; skipped").count(), 1);
    assert!(!supervised(&svscan, long));
    let longest = "n".repeat(251);
    let svscan = ScanDir::new(&[(&longest, &[("run", UP), ("log/run", UP)]), (&"m".repeat(252), &[])]).start("");
    let mut said = [svscan.hear(), svscan.hear()];
    said.sort();
    assert_eq!(said, [longest.clone(), format!("{longest}/log")]);
    svscan.until_log("the name is longer than 251; skipped");
}

#[test]
fn of_too_many_services_those_are_started_that_fit() {
    let dir = ScanDir::new(&[("a", &[("run", UP)]), ("b", &[("run", UP)]), ("c", &[("run", UP)])]);
    let svscan = dir.start("-C 4");
    for _ in 0..3 {
        svscan.hear();
    }
    // Its logger does not fit, so it is not started either: nobody would read what it says.
    svscan.add("logged", &[("run", UP), ("log/run", UP)]);
    svscan.ok("s6-svscanctl -a .");
    svscan.until_log("1 entries have no supervisor: there is room for 4, loggers included");
    assert!(!supervised(&svscan, "logged"));
    // As soon as there is room it is, without being told.
    svscan.hide("b");
    svscan.ok("s6-svscanctl -an .");
    let mut said = [svscan.hear(), svscan.hear()];
    said.sort();
    assert_eq!(said, ["logged", "logged/log"]);
}

#[test]
fn without_its_scan_directory_it_goes_on_with_what_it_has() {
    let mut svscan = Svscan::new(&[("a", &[("run", UP)])]);
    svscan.hear();
    let elsewhere = svscan.base("elsewhere");
    std::fs::rename(svscan.path("a"), &elsewhere).unwrap();
    std::fs::remove_dir_all(svscan.path("")).unwrap();
    svscan.signal(libc::SIGHUP);
    svscan.until_log("cannot read the scan directory: No such file or directory");
    let service = elsewhere.to_str().unwrap();
    assert!(std::process::Command::new("s6-svc").args(["-k", service]).status().unwrap().success());
    svscan.hear();
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
}

#[test]
fn a_service_directory_that_is_deleted_is_supervised_until_it_is_nuked() {
    let svscan = Svscan::new(&[("a", &[("run", UP)])]);
    svscan.hear();
    let pid = svscan.children()[0];
    std::fs::remove_dir_all(svscan.path("a")).unwrap();
    svscan.ok("s6-svscanctl -a .");
    svscan.settle();
    assert_eq!(svscan.children(), [pid]);
    svscan.ok("s6-svscanctl -an .");
    eventually(|| svscan.children().is_empty());
    svscan.add("a", &[("run", UP)]);
    svscan.ok("s6-svscanctl -a .");
    svscan.hear();
}

#[test]
fn a_service_that_somebody_else_supervises_is_taken_over_when_that_ends() {
    let dir = ScanDir::new(&[("a", &[("run", UP), DOWN])]);
    let mut events = Listener::new(&dir.path().join("a"));
    let mut other = std::process::Command::new("s6-supervise").arg(dir.path().join("a")).spawn().unwrap();
    events.until(b's');
    let svscan = dir.start("");
    svscan.until_log("service a has no supervisor: unable to lock supervise/lock");
    other.kill().unwrap();
    other.wait().unwrap();
    events.until(b's');
    svscan.ok("s6-svc -wu -T 20000 -u a");
}
