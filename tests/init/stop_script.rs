//! The board's shutdown script: what a stop begins with.

use crate::machine::{End, Machine, eventually};
use crate::world::World;
use linchpin::sys::process;

const SCRIPT: &str = "[shutdown]\nscript = \"/etc/stop\"\nscript-timeout = \"300ms\"\ntimeout = \"5s\"\n";

/// A machine with a service and with this script.
fn machine(board: &str, script: Option<&str>) -> Machine {
    let world = World::new().board(board).service("web", "exec sleep 1000");
    if let Some(script) = script {
        world.file("etc/stop", 0o755, &format!("#!/bin/sh\n{script}\n"));
    }
    let mut machine = world.boot().up();
    machine.log.until("service web started");
    machine.supervised("web");
    machine
}

#[test]
fn it_is_told_what_is_asked_for_and_services_run_until_it_has_ended() {
    let script =
        "echo $# $1 >/tmp/args; s6-svstat -o up /service/web >/tmp/web; exec <>/tmp/go; read -r _; cat /tmp/web";
    let board = SCRIPT.replace("300ms", "20s");
    for (command, end) in [("poweroff", End::Down), ("reboot", End::Reboot), ("halt", End::Down)] {
        let mut machine = machine(&board, Some(script));
        machine.text("mkfifo /tmp/go");
        machine.ask(&format!("/sbin/{command}"));
        machine.log.until(&format!("{command}: first /etc/stop, for 20000 ms at most"));
        assert_eq!(machine.await_line("tmp/args"), format!("1 {command}\n"));
        assert_eq!(machine.await_line("tmp/web"), "true\n");
        // Everything goes on meanwhile.
        machine.text("s6-svc -wr -r /service/web");
        assert_eq!(machine.log.with("stopping 1 services"), [""; 0]);
        machine.ask("echo >/tmp/go");
        machine.log.until("the shutdown script is done");
        machine.log.until(&format!("{command}: stopping 1 services"));
        machine.log.until("service web stopped");
        assert_eq!(machine.end(), end, "{command}");
    }
}

#[test]
fn its_output_goes_where_that_of_the_init_script_goes() {
    let catch_all = "exec cat >>/tmp/log";
    let world = World::new().board(SCRIPT).service("s6-svscan-log", catch_all);
    world.file("etc/linchpin/service/s6-svscan-log/sockets", 0o644, "0 pipe:s6-svscan-log\n");
    world.file("etc/stop", 0o755, "#!/bin/sh\necho said; echo in anger >&2\n");
    let mut machine = world.boot().up();
    machine.supervised("s6-svscan-log");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
    let log = std::fs::read_to_string(machine.root("tmp/log")).unwrap();
    assert!(log.contains("said\nin anger\n"), "{log}");
}

#[test]
fn one_that_hangs_is_killed_with_what_it_waits_for_and_the_stop_goes_on() {
    let script = "trap '' TERM; sleep 1000 & echo $! >/tmp/child; wait";
    let mut machine = machine(SCRIPT, Some(script));
    machine.ask("/sbin/poweroff");
    machine.log.until("the shutdown script (pid ");
    let line = machine.log.with("has not ended after ")[0].clone();
    assert!(line.contains(" ms: killed"), "{line}");
    machine.log.until("poweroff: stopping 1 services");
    assert_eq!(machine.end(), End::Down);
    assert_eq!(machine.log.with("processes are left"), [""; 0]);
}

#[test]
fn one_that_fails_is_reported_and_keeps_nothing_from_stopping() {
    let mut machine = machine(SCRIPT, Some("exit 3"));
    machine.ask("/sbin/reboot");
    machine.log.until("the shutdown script exited with 3");
    machine.log.until("reboot: stopping 1 services");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn one_that_is_missing_or_no_program_is_reported_and_keeps_nothing_from_stopping() {
    let mut missing = machine(SCRIPT, None);
    missing.ask("/sbin/poweroff");
    missing.log.until("cannot run the shutdown script /etc/stop: No such file or directory");
    missing.log.until("poweroff: stopping 1 services");
    assert_eq!(missing.end(), End::Down);

    let world = World::new().board(SCRIPT);
    world.file("etc/stop", 0o644, "#!/bin/sh\n");
    let mut refused = world.boot().up();
    refused.ask("/sbin/halt");
    refused.log.until("cannot run the shutdown script /etc/stop: Permission denied");
    assert_eq!(refused.end(), End::Down);
}

#[test]
fn a_second_request_changes_what_follows_and_does_not_run_it_again() {
    let script = "echo run $1 >>/tmp/runs; mkfifo /tmp/go; exec <>/tmp/go; echo up >/tmp/up; read -r _; cat /tmp/runs";
    let mut machine = machine(&SCRIPT.replace("300ms", "20s"), Some(script));
    machine.ask("/sbin/poweroff");
    machine.await_line("tmp/up");
    process::kill(machine.pid() as i32, libc::SIGINT).unwrap();
    machine.log.until("reboot: asked for by the kernel");
    machine.ask("echo >/tmp/go");
    machine.log.until("reboot: stopping 1 services");
    assert_eq!(machine.end(), End::Reboot);
    assert_eq!(std::fs::read_to_string(machine.root("tmp/runs")).unwrap(), "run poweroff\n");
}

#[test]
fn an_order_on_the_control_fifo_runs_it_too() {
    let mut machine = machine(SCRIPT, Some("exit 0"));
    machine.ask("s6-svscanctl -t /service");
    machine.log.until("reboot: first /etc/stop");
    machine.log.until("reboot: stopping 1 services");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn handlers_of_signals_leave_room_for_it() {
    let world = World::new().board(SCRIPT);
    world.file("etc/stop", 0o755, "#!/bin/sh\nexit 0\n");
    world.file("etc/handler", 0o755, "#!/bin/sh\necho >>/tmp/handled\nexec sleep 1000\n");
    let mut machine = world.boot().up();
    machine.text("mkdir -p /service/.s6-svscan; cp /etc/handler /service/.s6-svscan/SIGWINCH");
    let mut handled = 0;
    // Signals of one kind that come together are one.
    while machine.log.with("cannot run .s6-svscan/SIGWINCH").is_empty() {
        machine.text("kill -WINCH 1");
        eventually(|| {
            let lines = machine.sh("cat /tmp/handled").stdout.len();
            let next = lines > handled || !machine.log.with("cannot run .s6-svscan/SIGWINCH").is_empty();
            handled = lines;
            next
        });
    }
    assert_eq!(handled, linchpin::limits::JOBS - 2);
    machine.ask("/sbin/poweroff");
    machine.log.until("the shutdown script is done");
    machine.log.until("syncing and unmounting");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn forced_commands_do_not_run_it() {
    let mut machine = machine(SCRIPT, Some("echo run >/tmp/runs"));
    machine.ask("/sbin/poweroff -f");
    assert_eq!(machine.end(), End::Down);
    assert!(!machine.root("tmp/runs").exists());
}
