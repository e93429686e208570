//! What follows when a process fails too often.

use crate::FIRST_SIGNAL;
use crate::machine::{End, Machine, eventually};
use crate::scandir::{SLEEPER, ScanDir};
use crate::world::World;
use linchpin::sys::process;

/// A machine that gives up at the second fault; it has had the first.
fn machine(then: &str) -> Machine {
    let world = World::new().board(&format!("[fault]\nlimit = 2\n{then}\n")).service("web", "exec sleep 1000");
    world.file("etc/rescue", 0o755, "#!/bin/sh\necho $PPID >>/tmp/rescued\nread line </tmp/end\n");
    let mut machine = world.boot().up();
    machine.log.until("service web started");
    machine.text("mkfifo /tmp/end; touch /tmp/rescued");
    machine.text(&format!("kill -{FIRST_SIGNAL} 1"));
    machine.log.until("back after a fault");
    machine
}

#[test]
fn the_machine_is_rebooted_where_nothing_else_is_said() {
    let mut machine = machine("");
    machine.ask(&format!("kill -{FIRST_SIGNAL} 1"));
    machine.log.until("fault 2, one of 2 in 60 s, which are too many: SIGSEGV");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn the_rescue_command_runs_again_and_again_beside_the_services() {
    let mut machine = machine("then = 'rescue'\nrescue = '/etc/rescue'");
    let web = machine.text("s6-svstat -o pid /service/web");
    machine.text(&format!("kill -{FIRST_SIGNAL} 1"));
    machine.log.until("process 1 has given up: it runs /etc/rescue and reaps what ends");
    let times = |machine: &mut Machine| machine.text("cat /tmp/rescued");
    eventually(|| times(&mut machine) == "1\n");
    machine.text("echo >/tmp/end");
    eventually(|| times(&mut machine) == "1\n1\n");
    machine.text(&format!("kill -0 {web}"));
    machine.text("(sh -c 'exit' &); :");
    eventually(|| machine.text("cat /proc/[0-9]*/stat | grep -c ') Z ' || :") == "0\n");
    // What fails now is not survived by entering again, but by a reboot.
    machine.ask("kill -SEGV 1");
    assert!(machine.is_alive()); // it was only sent
}

#[test]
fn it_reaps_and_does_nothing_else() {
    let mut machine = machine("then = 'reap'");
    machine.text(&format!("kill -{FIRST_SIGNAL} 1"));
    machine.log.until("process 1 has given up: it reaps what ends, and does nothing else");
    let web = machine.text("pgrep sleep");
    machine.text(&format!("kill {web}"));
    eventually(|| machine.text("cat /proc/[0-9]*/stat | grep -c sleep || :") == "0\n");
    assert!(machine.is_alive());
}

#[test]
fn signals_that_are_sent_are_no_sign_of_it() {
    let mut machine = machine("");
    for _ in 0..4 {
        machine.text("kill -BUS 1");
        machine.log.until("back after a fault");
    }
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn svscan_exits_with_111_and_leaves_the_services_as_they_are() {
    let dir = ScanDir::new(&[("web", &[("run", SLEEPER)])]);
    let mut svscan = dir.start_by("export LINCHPIN_FAULT_LIMIT=2,60; exec \"$@\"", "");
    let web = svscan.pid_of("web");
    svscan.signal(FIRST_SIGNAL);
    svscan.until_log("back after a fault");
    svscan.signal(FIRST_SIGNAL + 4);
    assert_eq!(svscan.wait().code(), Some(111));
    assert!(svscan.log().contains("giving up: exit 111; services are left as they are"), "{}", svscan.log());
    process::kill(web, 0).unwrap();
    process::kill(web, 9).unwrap();
}
