//! A fault of process 1 at every step of the shutdown script: it is run once, and what was asked for follows.

use crate::machine::End;
use crate::world::World;

const BOARD: &str = "[fault]\nlimit = 0\n[shutdown]\nscript = \"/etc/stop\"\nscript-timeout = \"20s\"\n";

/// Powers a machine off that fails at these points, with this at the end of its script.
fn interrupted_at(points: &str, script: &str) {
    let world = World::new().board(BOARD).service("web", "exec sleep 1000");
    world.file("etc/stop", 0o755, &format!("#!/bin/sh\necho run $1 >>/tmp/runs\n{script}\n"));
    let world = world.with_setup(&format!("export LINCHPIN_FAULT_LIMIT=0 LINCHPIN_FAULTS={points}"));
    let mut machine = world.boot().up();
    machine.log.until("service web started");
    machine.supervised("web");
    machine.ask("linchpin poweroff");
    machine.log.until("service web stopped");
    machine.log.until("poweroff now");
    assert_eq!(machine.end(), End::Down, "{points}");
    let log = machine.log.with("").join("\n");
    assert_eq!(machine.log.with("which is survived").len(), points.split(',').count(), "{points}:\n{log}");
    let runs = std::fs::read_to_string(machine.root("tmp/runs")).unwrap();
    assert_eq!(runs, "run poweroff\n", "{points}:\n{log}");
    assert_eq!(machine.log.with("did not end in time"), [""; 0], "{points}");
}

#[test]
fn before_it_is_started() {
    interrupted_at("script.asked", "");
    interrupted_at("job.before", "");
}

#[test]
fn while_it_runs() {
    for point in ["job.after", "script.started"] {
        interrupted_at(point, "sleep 0.2");
        interrupted_at(point, "");
    }
    // It is at work, and process 1 fails again and again.
    interrupted_at("script.started,turn,turn:2,turn:3", "sleep 0.2");
}

#[test]
fn when_it_has_ended() {
    for point in ["script.ended", "script.over", "stop.begin", "stop.begun", "stop.told"] {
        interrupted_at(point, "");
    }
}

#[test]
fn again_and_again() {
    interrupted_at("script.asked,job.before,job.after,script.ended,script.over,stop.begin", "");
}

#[test]
fn one_that_cannot_be_run_is_passed_over() {
    let world = World::new().board(BOARD).service("web", "exec sleep 1000");
    let plan = "export LINCHPIN_FAULT_LIMIT=0 LINCHPIN_FAULTS=script.asked,job.after";
    let mut machine = world.with_setup(plan).boot().up();
    machine.log.until("service web started");
    machine.ask("linchpin reboot");
    machine.log.until("cannot run the shutdown script /etc/stop: No such file or directory");
    machine.log.until("reboot: stopping 1 services");
    assert_eq!(machine.end(), End::Reboot);
    assert_eq!(machine.log.with("which is survived").len(), 2);
}
