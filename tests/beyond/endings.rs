//! `kill-leftovers` and `stop-timeout`: nothing outlives what it belongs to.

use crate::scandir::*;
use linchpin::sys::process;
use std::time::{Duration, Instant};

/// Leaves a process behind, of which the first word says the pid, and waits.
const LEAVES: &str = "#!/bin/sh\nsleep 1000 >/dev/null &\necho $! >$SAID\nread x <go\n";
const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM HUP\necho up $1 >$SAID\nwhile :; do sleep 1000; done\n";

fn number(text: &str) -> i32 {
    let pid = text.trim().parse().unwrap();
    assert!(pid > 1);
    pid
}

fn is_alive(pid: i32) -> bool {
    // A zombie that nobody reaps is as good as gone.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn what_a_dead_run_leaves_in_its_group_is_killed_before_finish_runs() {
    // It is dying: that takes a moment. A zombie may stay.
    let finish = "#!/bin/sh
read pid <left
while stat=$(cat /proc/$pid/stat 2>/dev/null); do
    case $stat in *') Z '*) break ;; esac
done
echo gone >$SAID
";
    let run = "#!/bin/sh\nsleep 1000 >/dev/null &\necho $! >left\necho $! >$SAID\nread x <go\n";
    let files: &[(&str, &str)] =
        &[("run", run), ("finish", finish), ("go", FIFO), ("kill-leftovers", ""), ("timeout-finish", "0")];
    let svscan = Svscan::new(&[("a", files)]);
    for _ in 0..2 {
        let left = number(&svscan.hear());
        svscan.push("a/go", "\n");
        assert_eq!(svscan.hear(), "gone");
        assert!(!is_alive(left));
    }
}

#[test]
fn without_the_file_it_is_left_alone_as_s6_leaves_it() {
    let svscan = Svscan::new(&[("a", &[("run", LEAVES), ("go", FIFO)])]);
    let left = number(&svscan.hear());
    svscan.ok("s6-svc -wD -T 20000 -d a");
    assert!(is_alive(left));
    process::kill(left, 9).unwrap();
}

#[test]
fn what_finish_leaves_is_killed_too_and_a_stop_leaves_nothing() {
    let finish = "#!/bin/sh\nsleep 1000 >/dev/null &\necho $! >$SAID\n";
    let run = "#!/bin/sh\nsleep 1000 >/dev/null &\necho $! >$SAID\nread x <go\n";
    let files: &[(&str, &str)] = &[("run", run), ("finish", finish), ("go", FIFO), ("kill-leftovers", "")];
    let mut svscan = Svscan::new(&[("a", files)]);
    let of_run = number(&svscan.hear());
    svscan.signal(libc::SIGTERM);
    let of_finish = number(&svscan.hear());
    assert!(svscan.wait().success());
    eventually(|| !is_alive(of_run) && !is_alive(of_finish));
}

#[test]
fn a_stop_with_a_limit_kills_who_is_left_and_a_second_order_does_not_extend_it() {
    let mut svscan = ScanDir::new(&[("a", &[("run", STUBBORN)])]).script("stop-timeout", "1500\n").start("");
    svscan.hear();
    let begun = Instant::now();
    svscan.signal(libc::SIGTERM);
    // The limit counts from the first order, or this would never end.
    let deadline = begun + Duration::from_secs(20);
    while svscan.children().iter().any(|pid| is_alive(*pid)) && Instant::now() < deadline {
        let _ = svscan.run("s6-svscanctl -t .");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(Instant::now() < deadline, "each order extends it");
    assert!(svscan.wait().success());
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    assert!(svscan.log().contains("service a did not end in time: killed"));
}

#[test]
fn without_a_limit_a_stop_waits_for_ever() {
    let mut svscan = ScanDir::new(&[("a", &[("run", STUBBORN)])]).start("");
    svscan.hear();
    let pid = svscan.pid_of("a");
    svscan.signal(libc::SIGTERM);
    svscan.until_log("stop: stopping 1 services");
    std::thread::sleep(Duration::from_millis(300));
    assert!(is_alive(pid));
    process::kill(pid, 9).unwrap();
    assert!(svscan.wait().success());
}

#[test]
fn a_limit_that_makes_no_sense_is_reported_and_is_none() {
    let mut svscan = ScanDir::new(&[]).script("stop-timeout", "soon").start("");
    svscan.settle();
    svscan.signal(libc::SIGTERM);
    assert!(svscan.wait().success());
    assert!(svscan.log().contains(".s6-svscan/stop-timeout: not a number of milliseconds"));
}
