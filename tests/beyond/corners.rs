//! Corners of what s6 does that are easily forgotten.

use crate::scandir::*;
use linchpin::sys::process;
use std::time::Duration;

const UP: &str = "#!/bin/sh\necho up $1 >$SAID\nexec sleep 1000\n";
/// Ignores the signal to go down.
const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM\necho up >$SAID\nexec sleep 1000\n";

fn supervised(svscan: &Svscan, name: &str) -> bool {
    svscan.code(&format!("s6-svok {name}")) == 0
}

#[test]
fn the_old_option_counts_a_service_and_its_logger_as_one() {
    let logged: &[(&str, &str)] = &[("run", UP), ("log/run", UP)];
    let svscan = ScanDir::new(&[("a", logged), ("b", logged)]).start("-c 2");
    for _ in 0..4 {
        svscan.hear();
    }
    svscan.add("c", &[("run", UP)]);
    svscan.ok("s6-svscanctl -a .");
    svscan.until_log("1 entries have no supervisor: there is room for 2, loggers not counted");
    assert!(!supervised(&svscan, "c"));
}

#[test]
fn a_name_may_be_as_long_as_a_file_name_if_that_is_asked_for() {
    let name = "n".repeat(255);
    let svscan = ScanDir::new(&[(&name, &[("run", UP), ("log/run", UP)])]).start("-L 1019");
    let mut said = [svscan.hear(), svscan.hear()];
    said.sort();
    assert_eq!(said, [format!("up {name}"), format!("up {name}/log")]);
}

#[test]
fn a_logger_whose_directory_vanishes_is_kept_and_that_is_said_once() {
    let svscan = Svscan::new(&[("a", &[("run", UP), ("log/run", UP)])]);
    svscan.hear();
    svscan.hear();
    let pid = svscan.pid_of("a/log");
    std::fs::rename(svscan.path("a/log"), svscan.path("a/gone")).unwrap();
    svscan.settle();
    svscan.settle();
    assert_eq!(svscan.log().matches("a/log is gone: its logger is kept").count(), 1);
    process::kill(pid, 0).unwrap();
}

#[test]
fn a_signal_with_a_script_never_has_its_action_even_if_there_is_no_room_for_another_script() {
    let slow = "#!/bin/sh\necho handling >$SAID\nread x <go\n";
    let svscan = ScanDir::new(&[]).script("SIGTERM", slow).start("");
    svscan.ok("mkfifo go");
    for _ in 0..linchpin::limits::JOBS {
        svscan.signal(libc::SIGTERM);
        svscan.hear();
    }
    svscan.signal(libc::SIGTERM);
    svscan.until_log("cannot run .s6-svscan/SIGTERM: ");
    svscan.settle();
    for pid in svscan.children() {
        process::kill(pid, 9).unwrap();
    }
}

#[test]
fn a_hangup_of_the_scanner_ends_what_is_gone_and_starts_what_is_new() {
    let svscan = Svscan::new(&[("old", &[("run", UP)])]);
    assert_eq!(svscan.hear(), "up old");
    svscan.hide("old");
    svscan.add("new", &[("run", UP)]);
    svscan.signal(libc::SIGHUP);
    assert_eq!(svscan.hear(), "up new");
    eventually(|| !supervised(&svscan, ".old"));
}

#[test]
fn what_ignores_the_order_to_go_down_is_killed_in_time() {
    let files: &[(&str, &str)] = &[("run", STUBBORN), ("timeout-kill", "100")];
    let svscan = Svscan::new(&[("a", files)]);
    svscan.hear();
    svscan.ok("s6-svc -wD -T 20000 -d a");
    assert_eq!(svscan.text("s6-svstat -o signal a"), "SIGKILL");
    assert_eq!(svscan.log().matches("did not end in time: killed").count(), 1);
}

#[test]
fn an_order_to_exit_while_up_gives_finish_the_null_device() {
    let finish = "#!/bin/sh\necho \"$(readlink /proc/$$/fd/0) $(readlink /proc/$$/fd/1)\" >$SAID\n";
    let files: &[(&str, &str)] = &[("run", UP), ("finish", finish), ("log/run", "#!/bin/sh\nexec cat >/dev/null\n")];
    let svscan = Svscan::new(&[("a", files)]);
    svscan.hear();
    svscan.ok("s6-svc -xd a");
    assert_eq!(svscan.hear(), "/dev/null /dev/null");
}

#[test]
fn a_death_with_a_core_dump_is_on_record_without_its_flag() {
    let crash = "#!/bin/sh\nulimit -c unlimited\necho up >$SAID\nkill -SEGV $$\n";
    let svscan = Svscan::new(&[("a", &[("run", crash), DOWN])]);
    let mut events = svscan.listen("a");
    svscan.ok("s6-svc -o a");
    events.until(b'D');
    assert_eq!(svscan.text("s6-svstat -o exitcode,signal a"), "-1 SIGSEGV");
    let tally = std::fs::read(svscan.path("a/supervise/death_tally")).unwrap();
    assert_eq!(tally[12..], [128 + 11, 11]);
}

#[test]
fn a_service_told_to_terminate_during_finish_ends_it_first() {
    let finish = "#!/bin/sh\necho finishing >$SAID\nread x <go\n";
    let files: &[(&str, &str)] = &[("run", UP), ("finish", finish), ("timeout-finish", "0"), ("go", FIFO)];
    let mut svscan = Svscan::new(&[("a", files)]);
    let mut events = svscan.listen("a");
    svscan.hear();
    svscan.ok("s6-svc -r a");
    assert_eq!(svscan.hear(), "finishing");
    svscan.signal(libc::SIGTERM);
    // Nothing comes before the end of finish.
    std::thread::sleep(Duration::from_millis(100));
    assert!(!events.has(b'D'));
    svscan.push("a/go", "\n");
    events.until(b'D');
    events.until(b'x');
    assert!(svscan.wait().success());
}
