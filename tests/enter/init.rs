//! Process 1.

use crate::engine::{inheritable, open_in};
use crate::machine::{End, Machine, eventually};
use crate::world::World;
use linchpin::sys::inject::FIRST_SIGNAL;
use linchpin::sys::process;

/// A machine of which process 1 may fail as often as it does.
fn world() -> World {
    World::new().with_setup("export LINCHPIN_FAULT_LIMIT=0")
}

/// Makes process 1 fail, and waits until it is back.
fn fail(machine: &mut Machine) {
    let pid = machine.pid() as i32;
    process::kill(pid, FIRST_SIGNAL).unwrap();
    machine.log.until("back after");
}

fn pids(machine: &mut Machine, names: &str) -> String {
    machine.text(&format!("for name in {names}; do s6-svstat -o up,ready,pid /service/$name; done"))
}

#[test]
fn fifty_services_and_the_sockets_of_the_board_are_as_they_were_a_hundred_times_in_a_row() {
    let mut made = world().with_console();
    let names: Vec<String> = (0..50).map(|n| format!("s{n:02}")).collect();
    for name in &names {
        made = made.service(name, "exec sleep 1000");
        made.file(&format!("etc/linchpin/service/{name}/log/run"), 0o755, "#!/bin/sh\nexec cat >/dev/null\n");
    }
    made.file("etc/rc.init", 0o755, "#!/bin/sh\necho run >>/run/init-runs\n");
    let mut machine = made
        .board("[board]\nhostname = \"pin\"\n[boot]\ninit = \"/etc/rc.init\"\n[[socket]]\nname = \"unix:/run/a\"\n[[mount]]\ntarget = \"/mnt\"\nsource = \"tmpfs\"\ntype = \"tmpfs\"\n")
        .boot()
        .up();
    machine.log.until("the init script is done");
    let all = names.join(" ");
    machine.text(&format!("cd /service && s6-svwait -a -u -t 60000 {all}"));
    let mounts = machine.text("cat /proc/mounts");
    let shown = pids(&mut machine, &all);
    let pid = machine.pid() as i32;
    let open = open_in(pid);
    for round in 1..=100 {
        fail(&mut machine);
        assert_eq!(open_in(pid), open, "after {round}");
    }
    assert_eq!(machine.text("cat /proc/mounts"), mounts);
    assert_eq!(pids(&mut machine, &all), shown);
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "unix:/run/a\n");
    assert_eq!(machine.read("/run/init-runs"), "run\n");
    assert_eq!(machine.log.with("booted in").len(), 1);
    let mut complaints = machine.log.complaints();
    complaints.retain(|line| !line.contains("which is survived"));
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(inheritable(pid), []);
    machine.text("s6-svc -rwr -T 30000 /service/s00");
    assert_ne!(pids(&mut machine, &all), shown);
    machine.ask("linchpin reboot");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn a_shutdown_that_is_under_way_goes_on() {
    let slow = "trap 'sleep 1; exit' TERM; echo >/run/there; while :; do sleep 0.1; done";
    let mut machine = world().service("slow", slow).boot().up();
    machine.await_line("run/there");
    machine.ask("linchpin poweroff");
    machine.log.until("poweroff: stopping");
    fail(&mut machine);
    assert_eq!(machine.end(), End::Down);
    assert_eq!(machine.log.with("stopping 1 services").len(), 1);
}

#[test]
fn what_the_config_said_holds_although_it_says_something_else_now() {
    let board = "[boot]\nsignals = \"busybox\"\n";
    let mut machine = world().service("web", "exec sleep 1000").board(board).boot().up();
    machine.supervised("web");
    machine.text("echo >/etc/linchpin/board.toml");
    fail(&mut machine);
    // With s6's meaning it would be ignored.
    process::kill(machine.pid() as i32, 15).unwrap();
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn orphans_are_reaped() {
    let mut machine = world().service("web", "exec sleep 1000").boot().up();
    machine.supervised("web");
    machine.text("(sleep 1 & echo $! >/run/orphan)");
    fail(&mut machine);
    let orphan = machine.await_line("run/orphan");
    eventually(|| !machine.sh(&format!("kill -0 {orphan}")).status.success());
}
