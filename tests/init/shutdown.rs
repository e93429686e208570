//! From the request to the end of the machine.

use crate::machine::{End, Machine};
use crate::world::{World, is_root};
use linchpin::sys::process;
use std::time::{Duration, Instant};

const DEAF: &str = "trap '' TERM; exec sleep 1000";
/// Leaves a deaf process behind, whose parent is process 1 then.
const STRAY: &str = "(trap '' TERM; echo up >/tmp/stray; exec sleep 1000) >/dev/null 2>&1 &";

/// Runs `request` on a machine with a service; answers what process 1 then says it does, and how the machine ends.
fn request(board: &str, request: impl FnOnce(&mut Machine)) -> (String, End) {
    let mut machine = World::new().board(board).service("web", "exec sleep 1000").boot().up();
    machine.log.until("service web started");
    request(&mut machine);
    machine.log.until("stopping 1 services");
    machine.log.until("service web stopped");
    let line = machine.log.until(" now");
    let end = machine.end();
    (line["<29>linchpin: ".len()..line.len() - " now".len()].to_owned(), end)
}

fn plan(what: &str, end: End) -> (String, End) {
    (what.to_owned(), end)
}

#[test]
fn commands_power_off_reboot_and_halt() {
    for (command, end) in [("poweroff", End::Down), ("reboot", End::Reboot), ("halt", End::Down)] {
        let outcome = request("", |machine| machine.ask(&format!("/sbin/{command}")));
        assert_eq!(outcome, plan(command, end));
    }
}

#[test]
fn signals_mean_what_they_mean_to_s6() {
    for (signal, what, end) in [
        ("USR1", "poweroff", End::Down),
        ("PWR", "poweroff", End::Down),
        ("USR2", "halt", End::Down),
        ("INT", "reboot", End::Reboot),
    ] {
        let outcome = request("", |machine| machine.ask(&format!("kill -TERM 1; kill -{signal} 1")));
        assert_eq!(outcome, plan(what, end), "{signal}");
    }
}

#[test]
fn signals_mean_what_they_mean_to_busybox_if_the_board_says_so() {
    for (signal, what, end) in [
        ("USR1", "halt", End::Down),
        ("USR2", "poweroff", End::Down),
        ("PWR", "poweroff", End::Down),
        ("TERM", "reboot", End::Reboot),
        ("INT", "reboot", End::Reboot),
    ] {
        let board = "[boot]\nsignals = \"busybox\"\n";
        let outcome = request(board, |machine| machine.ask(&format!("kill -{signal} 1")));
        assert_eq!(outcome, plan(what, end), "{signal}");
    }
}

#[test]
fn ctrl_alt_del_reboots() {
    // It comes from outside of the namespace, as it comes from the kernel.
    let outcome = request("", |machine| {
        process::kill(machine.pid() as i32, libc::SIGINT).unwrap();
        machine.log.until("reboot: asked for by the kernel (ctrl-alt-del, power)");
    });
    assert_eq!(outcome, plan("reboot", End::Reboot));
}

#[test]
fn a_shutdown_asked_for_in_the_first_moment_happens() {
    let world = World::new().with_setup("(while kill -USR1 1; do :; done) 2>/dev/null &");
    let mut machine = world.boot().up();
    machine.log.until("poweroff: asked for by pid");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn services_end_before_their_loggers_and_their_last_words_are_logged() {
    // All by itself: a child of it would hold its pipe, too.
    let talker = "trap 'echo last words; exit 0' TERM; mkfifo /tmp/never; exec 3<>/tmp/never; echo first; \
                  echo up >/tmp/up; while :; do read -r _ <&3; done";
    let world = World::new().service("web", talker).service("web/log", "exec cat >>/tmp/log");
    let mut machine = world.boot().up();
    machine.await_line("tmp/up");
    machine.ask("/sbin/poweroff");
    machine.log.until("poweroff: stopping 2 services");
    machine.log.until("service web stopped");
    machine.log.until("logger web/log stopped");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(std::fs::read_to_string(machine.root("tmp/log")).unwrap(), "first\nlast words\n");
    assert_eq!(machine.log.with("did not end in time"), Vec::<String>::new(), "{}", machine.log.with("").join("\n"));
}

#[test]
fn a_service_that_does_not_end_is_killed_when_its_time_is_over() {
    let world = World::new().service("deaf", DEAF).board("[shutdown]\ntimeout = \"300ms\"\n");
    let mut machine = world.boot().up();
    let pid = machine.log.until("service deaf started, pid ").rsplit(' ').next().unwrap().to_owned();
    crate::machine::eventually(|| machine.read(&format!("proc/{pid}/comm")) == "sleep\n");
    let asked = Instant::now();
    machine.ask("/sbin/poweroff");
    machine.log.until("service deaf did not end in time: killed");
    assert_eq!(machine.end(), End::Down);
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn who_is_no_service_and_ignores_the_request_is_killed_too() {
    let mut machine = World::new().board("[shutdown]\nkill-timeout = \"200ms\"\n").boot().up();
    machine.text(STRAY);
    machine.await_line("tmp/stray");
    machine.ask("/sbin/poweroff");
    machine.log.until("processes are left after 200 ms: killing them");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn a_second_request_changes_what_happens_at_the_end() {
    let world = World::new().service("deaf", DEAF).board("[shutdown]\ntimeout = \"500ms\"\n");
    let mut machine = world.boot().up();
    machine.log.until("service deaf started");
    machine.ask("/sbin/poweroff");
    machine.log.until("poweroff: stopping");
    machine.ask("/sbin/reboot");
    machine.log.until("reboot now");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn a_second_request_counts_even_when_all_services_are_stopped() {
    let mut machine = World::new().board("[shutdown]\nkill-timeout = \"600ms\"\n").boot().up();
    machine.text(STRAY);
    machine.await_line("tmp/stray");
    machine.ask("/sbin/poweroff");
    machine.log.until("poweroff: stopping 0 services");
    process::kill(machine.pid() as i32, libc::SIGINT).unwrap();
    machine.log.until("reboot now");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn forced_commands_ask_nobody() {
    for (command, end) in [("poweroff -f", End::Down), ("reboot -f -n", End::Reboot)] {
        let mut machine = World::new().service("deaf", DEAF).boot().up();
        machine.log.until("service deaf started");
        machine.ask(&format!("/sbin/{command}"));
        assert_eq!(machine.end(), end);
        assert_eq!(machine.log.with("stopping"), Vec::<String>::new());
    }
}

#[test]
fn who_may_not_ask_is_told_why() {
    if !is_root() {
        return; // there is only one user in the namespace
    }
    let mut machine = World::new().boot().up();
    for command in ["poweroff", "reboot", "halt"] {
        let output = machine.sh(&format!("exec setpriv --reuid 7 --clear-groups /sbin/{command}"));
        assert_eq!(output.status.code(), Some(111));
        let said = String::from_utf8(output.stderr).unwrap();
        let wanted = "fatal: unable to signal process 1 (you are not root): Operation not permitted";
        assert_eq!(said, format!("{command}: {wanted}\n"));
    }
}
