//! How a stop ends it: last, and never too late.

use crate::lines::Lines;
use crate::machine::{End, Machine, eventually};
use crate::{CAT, ECHO, say, with_logger};
use linchpin::sys::inject::FIRST_SIGNAL;
use linchpin::sys::{Fd, poll, process};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

/// Says something when it is told to end, and has a finish script.
const TALKER: &str = "trap 'echo last words; exit 0' TERM; mkfifo /tmp/never; exec 3<>/tmp/never; echo up >/tmp/up; \
                      while :; do read -r _ <&3; done";

/// The log, when the machine has ended.
fn log(machine: &Machine) -> Vec<String> {
    std::fs::read_to_string(machine.root("tmp/log")).unwrap().lines().map(str::to_owned).collect()
}

/// What has stopped, in order.
fn order(machine: &mut Machine) -> Vec<String> {
    machine.log.with(" stopped").iter().map(|line| line["<30>linchpin: ".len()..].to_owned()).collect()
}

/// The pipe, open for writing.
fn open_pipe(machine: &mut Machine) -> File {
    let path = format!("/proc/{}/fd/1", machine.pid());
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}

fn power_off(machine: &mut Machine) -> Duration {
    let asked = Instant::now();
    machine.ask("linchpin poweroff");
    assert_eq!(machine.end(), End::Down);
    asked.elapsed()
}

#[test]
fn it_ends_after_all_services_and_their_loggers_and_has_what_they_said_until_then() {
    let world = with_logger(CAT).service("web", TALKER).service("web/log", "cat >/dev/null; echo logger >&2");
    world.file("etc/linchpin/service/web/finish", 0o755, "#!/bin/sh\necho finish >&2\n");
    world.file("etc/linchpin/service/s6-svscan-log/finish", 0o755, "#!/bin/sh\n: >/tmp/finished\n");
    let mut machine = world.with_console().boot().up();
    machine.await_line("tmp/up");
    machine.await_line("tmp/reads");
    let took = power_off(&mut machine);
    assert_eq!(order(&mut machine), ["service web stopped", "logger web/log stopped", "service s6-svscan-log stopped"]);
    assert_eq!(log(&machine), ["finish", "logger"]);
    assert!(machine.root("tmp/finished").exists());
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(machine.log.complaints(), Vec::<String>::new());
}

#[test]
fn what_is_no_service_is_logged_to_its_end() {
    let stray =
        "(trap 'echo the stray ends; exit' TERM; echo up >/tmp/stray; while :; do sleep 0.05; done) & exec sleep 1000";
    // As s6-log -p: it ends when nobody can write any more.
    let mut machine = with_logger(&format!("trap '' TERM\n{CAT}")).service("web", stray).with_console().boot().up();
    machine.await_line("tmp/stray");
    machine.await_line("tmp/reads");
    power_off(&mut machine);
    // The shell says in between that its child was terminated.
    assert_eq!(log(&machine).last().unwrap(), "the stray ends");
    assert_eq!(order(&mut machine), ["service web stopped", "service s6-svscan-log stopped"]);
    assert_eq!(machine.log.with("are left"), Vec::<String>::new());
}

#[test]
fn one_that_heeds_sigterm_has_read_all_that_was_there_when_it_gets_it() {
    let stray = "(trap '' TERM; echo up >/tmp/stray; exec sleep 1000) & exec sleep 1000";
    let mut machine = with_logger(CAT)
        .service("web", stray)
        .service("talker", TALKER)
        .board("[shutdown]\nkill-timeout = '200ms'\n")
        .boot()
        .up();
    machine.await_line("tmp/stray");
    machine.await_line("tmp/up");
    machine.await_line("tmp/reads");
    power_off(&mut machine);
    assert_eq!(log(&machine), ["last words"]);
    machine.log.until("processes are left after 200 ms: killing them");
}

#[test]
fn before_everybody_is_killed_it_is_hung_up() {
    let stray = "(trap '' TERM; echo up >/tmp/stray; exec sleep 1000) & exec sleep 1000";
    let run = "trap '' TERM\ntrap 'echo hung up >>/tmp/log; exit' HUP\nmkfifo /tmp/never; exec 3<>/tmp/never\n\
               echo reads >>/tmp/reads\nwhile :; do read -r _ <&3; done";
    let board = "[shutdown]\nkill-timeout = '200ms'\n";
    let mut machine = with_logger(run).service("web", stray).board(board).boot().up();
    machine.await_line("tmp/stray");
    machine.await_line("tmp/reads");
    power_off(&mut machine);
    assert_eq!(log(&machine), ["hung up"]);
}

#[test]
fn one_that_is_killed_while_everything_stops_is_back_for_the_last_words() {
    let slow = "trap 'echo stopping >>/tmp/stopping; read -r _ </tmp/go; echo last words; exit' TERM\n\
                mkfifo /tmp/go /tmp/never; exec 3<>/tmp/never; echo up >/tmp/up; while :; do read -r _ <&3; done";
    let mut machine = with_logger(CAT).service("slow", slow).boot().up();
    machine.await_line("tmp/up");
    machine.await_line("tmp/reads");
    machine.ask("linchpin poweroff");
    machine.await_line("tmp/stopping");
    machine.text("s6-svc -k /service/s6-svscan-log");
    machine.text("echo >/tmp/go");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(log(&machine), ["last words"]);
    assert_eq!(order(&mut machine), ["service slow stopped", "service s6-svscan-log stopped"]);
}

#[test]
fn a_fault_of_process_1_while_everything_stops_changes_nothing() {
    let slow = "trap 'echo stopping >>/tmp/stopping; read -r _ </tmp/go; echo last words; exit' TERM\n\
                mkfifo /tmp/go /tmp/never; exec 3<>/tmp/never; echo up >/tmp/up; while :; do read -r _ <&3; done";
    let world = with_logger(CAT).service("slow", slow).with_setup("export LINCHPIN_FAULT_LIMIT=0");
    let mut machine = world.boot().up();
    machine.await_line("tmp/up");
    machine.await_line("tmp/reads");
    machine.ask("linchpin poweroff");
    machine.await_line("tmp/stopping");
    let pid = machine.pid() as i32;
    process::kill(pid, FIRST_SIGNAL).unwrap();
    machine.log.until("back after");
    machine.text("echo >/tmp/go");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(log(&machine), ["last words"]);
    assert_eq!(order(&mut machine), ["service slow stopped", "service s6-svscan-log stopped"]);
}

#[test]
fn who_waits_because_nobody_reads_does_not_keep_the_machine_up() {
    // More than the pipe holds.
    let flood = "echo up >/tmp/flood; i=0; while [ $i -lt 9000 ]; do echo \"$i and some forty bytes that are nobody's\"; \
                 i=$((i + 1)); done; echo over >/tmp/flood; exec sleep 1000";
    for run in ["exec sleep 1000", "trap '' TERM HUP; sleep 1000", "exit 1", ""] {
        let world = with_logger(run).service("flood", flood).board("[shutdown]\nkill-timeout = '300ms'\n");
        if run.is_empty() {
            world.file("etc/linchpin/service/s6-svscan-log/run", 0o755, "#!/no/such/interpreter\n");
        }
        let mut machine = world.boot().up();
        assert_eq!(machine.await_line("tmp/flood"), "up\n");
        // It waits for somebody to read.
        let pipe = open_pipe(&mut machine);
        eventually(|| poll::writable(Fd(pipe.as_raw_fd()), Some(0)).is_err());
        drop(pipe);
        let took = power_off(&mut machine);
        assert!(took < Duration::from_secs(15), "{run}: {took:?}");
        let lost = machine.log.until("bytes for s6-svscan-log are lost: it has not read them");
        assert!(lost.contains(" 26") || lost.contains(" 25"), "{run}: {lost}");
    }
}

#[test]
fn it_may_depend_on_others_which_end_before_it() {
    let world = with_logger(CAT).service("mount", TALKER);
    world.file("etc/linchpin/service/s6-svscan-log/dependencies.d/mount", 0o644, "");
    let mut machine = world.boot().up();
    machine.await_line("tmp/reads");
    let took = power_off(&mut machine);
    assert_eq!(order(&mut machine), ["service mount stopped", "service s6-svscan-log stopped"]);
    assert_eq!(log(&machine), ["last words"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn one_that_is_removed_from_the_scan_directory_ends_and_its_lines_wait_for_the_next() {
    let mut machine = with_logger(CAT).service("web", ECHO).boot().up();
    machine.await_line("tmp/reads");
    machine.text("mv /run/service/s6-svscan-log /run/away && s6-svscanctl -an /run/service");
    machine.log.until("service s6-svscan-log stopped");
    say(&mut machine, "web", "nobody reads");
    machine.text("mv /run/away /run/service/s6-svscan-log && s6-svscanctl -a /run/service");
    crate::logged(&mut machine, "nobody reads");
    power_off(&mut machine);
}

#[test]
fn what_comes_after_it_goes_to_the_console() {
    // Its finish script is the last that process 1 starts of it; what it says is not for its own pipe.
    let world = with_logger(CAT).with_console();
    world.file("etc/linchpin/service/s6-svscan-log/finish", 0o755, "#!/bin/sh\necho over and out >&2\n");
    let mut machine = world.boot().up();
    machine.await_line("tmp/reads");
    let mut console = Lines::of(machine.console.take().unwrap());
    machine.ask("linchpin poweroff");
    console.until("over and out");
    assert_eq!(machine.end(), End::Down);
}
