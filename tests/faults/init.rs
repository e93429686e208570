//! Process 1.

use crate::lines::PATIENCE;
use crate::machine::{End, Machine, eventually};
use crate::world::World;
use crate::{FIRST_SIGNAL, SAID, SIGNALS};

const BACK: &str = "back after a fault";

fn machine() -> Machine {
    let world = World::new().board("[fault]\nlimit = 0\n").service("web", "exec sleep 1000");
    let mut machine = world.boot().up();
    machine.log.until("service web started");
    machine.supervised("web");
    machine
}

fn pid_of(machine: &mut Machine, name: &str) -> String {
    let mut text = String::new();
    eventually(|| {
        text = machine.text(&format!("s6-svstat -o up,pid /service/{name}"));
        text.starts_with("true ")
    });
    text
}

fn fds(machine: &mut Machine) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", machine.pid())).unwrap().count()
}

#[test]
fn it_survives_every_way_in_which_code_fails() {
    let mut machine = machine();
    let (web, open) = (pid_of(&mut machine, "web"), fds(&mut machine));
    for (signal, said) in (FIRST_SIGNAL..).zip(SAID) {
        machine.text(&format!("kill -{signal} 1"));
        let line = machine.log.until("which is survived");
        assert!(line.contains(said), "{said}: {line}");
        machine.log.until(BACK);
    }
    assert_eq!((pid_of(&mut machine, "web"), fds(&mut machine)), (web, open));
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn it_survives_every_signal_that_says_so_and_sigabrt() {
    let mut machine = machine();
    let (web, open) = (pid_of(&mut machine, "web"), fds(&mut machine));
    for (signal, name) in SIGNALS.into_iter().chain([(libc::SIGABRT, "SIGABRT")]) {
        let sender = machine.text(&format!("echo $$; kill -{signal} 1"));
        machine.log.until(&format!("{name} was sent by pid {}, uid 0", sender.trim()));
        machine.log.until(BACK);
    }
    assert_eq!((pid_of(&mut machine, "web"), fds(&mut machine)), (web, open));
    machine.ask("/sbin/reboot");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn faults_without_a_break_do_not_end_it() {
    let mut machine = machine();
    let web = pid_of(&mut machine, "web");
    let pid = machine.pid() as i32;
    for round in 0..300 {
        linchpin::sys::process::kill(pid, SIGNALS[round % SIGNALS.len()].0).unwrap();
        if round % 7 == 0 {
            std::thread::sleep(PATIENCE / 20_000);
        }
    }
    assert_eq!(pid_of(&mut machine, "web"), web);
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}
