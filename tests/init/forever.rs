//! Process 1 stays, whatever is done to it, and does not grow.

use crate::machine::{End, eventually};
use crate::world::World;
use linchpin::sys::process;

#[test]
fn signals_that_mean_nothing_change_nothing() {
    let mut machine = World::new().boot().up();
    let pid = machine.pid() as i32;
    let ending = [libc::SIGINT, libc::SIGUSR1, libc::SIGUSR2, libc::SIGPWR, 37, 38, 39];
    // By these a process says that it has failed; builds for tests have some more.
    let failing = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
    let meaningful = |signal| ending.contains(&signal) || failing.contains(&signal) || (50..58).contains(&signal);
    for signal in (1..=64).filter(|signal| !meaningful(*signal)) {
        machine.text(&format!("kill -{signal} 1"));
        if ![libc::SIGKILL, libc::SIGSTOP].contains(&signal) {
            process::kill(pid, signal).unwrap();
        }
    }
    assert_eq!(machine.text("s6-fdholder-list /service/fdholder/s"), "");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn ending_the_scan_is_a_reboot_and_leaving_it_is_refused() {
    let mut machine = World::new().service("web", "exec sleep 1000").boot().up();
    machine.text("s6-svscanctl -b /run/service");
    machine.log.until("process 1 does not leave its loop: the order is ignored");
    machine.ask("s6-svscanctl -t /run/service");
    machine.log.until("service web stopped");
    assert_eq!(machine.end(), End::Reboot);
}

#[test]
fn a_scan_directory_that_is_taken_away_is_no_end() {
    let mut machine = World::new().service("web", "exec sleep 1000").boot().up();
    machine.log.until("service web started");
    machine.text("mv /run/service /run/elsewhere; kill -ALRM 1; kill -HUP 1; rm -r /run/elsewhere; kill -HUP 1");
    machine.ask("/sbin/poweroff");
    assert_eq!(machine.end(), End::Down);
}

#[test]
fn a_thousand_orphans_are_reaped() {
    let mut machine = World::new().boot().up();
    // Each one's parent ends at once.
    machine.text("i=0; while [ $i -lt 1000 ]; do (: &); i=$((i + 1)); done");
    let zombies = "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '";
    eventually(|| machine.sh(zombies).stdout == b"0\n");
    assert!(machine.is_alive());
}

#[test]
fn an_orphan_that_outlives_its_service_is_reaped_when_it_ends() {
    let mut machine = World::new().service("web", "(sleep 0.1; echo over >/tmp/orphan) & exec true").boot().up();
    machine.await_line("tmp/orphan");
    machine.text("s6-svc -d /service/web");
    eventually(|| machine.sh("cat /proc/[0-9]*/stat | grep -c ') Z '").stdout == b"0\n");
}

#[test]
fn no_descriptor_is_left_open_after_a_storm() {
    let board = "[[socket]]\nname = \"unix:/run/a.sock\"\n";
    let mut machine = World::new().board(board).service("web", "exec sleep 1000").boot().up();
    machine.log.until("service web started");
    // Before there is any client: process 1 takes a moment to see that one has gone.
    let before = machine.descriptors();
    machine.text("s6-fdholder-list /service/fdholder/s");
    machine.text(
        "cd /run/service
        for i in 1 2 3 4 5 6 7 8 9 10; do
            mkdir -p s$i/log
            printf '#!/bin/sh\\necho >&3; exec sleep 1000\\n' >s$i/run
            printf '#!/bin/sh\\nexec cat >/dev/null\\n' >s$i/log/run
            chmod +x s$i/run s$i/log/run
            echo 3 >s$i/notification-fd
        done
        mkdir none bad
        echo nonsense >bad/run; chmod +x bad/run
        s6-svscanctl -a .
        for i in 1 2 3 4 5 6 7 8 9 10; do
            s6-svwait -U -t 5000 s$i
            s6-svc -r s$i
            s6-ipcserver-socketbinder /run/s$i.sock s6-fdholder-store /service/fdholder/s unix:/run/s$i.sock
            s6-fdholder-retrieve /service/fdholder/s unix:/run/s$i.sock true
            s6-fdholder-retrieve -D /service/fdholder/s unix:/run/s$i.sock true
            s6-fdholder-store -d 0 /service/fdholder/s null </dev/null
            s6-fdholder-delete /service/fdholder/s null
        done
        mkdir /run/gone
        mv s? s10 none bad /run/gone
        s6-svscanctl -an .",
    );
    eventually(|| machine.log.with(" stopped").len() == 22);
    eventually(|| machine.descriptors().len() == before.len());
    assert_eq!(machine.descriptors(), before);
}

#[test]
fn ten_services_cost_little_memory() {
    let mut world = World::new();
    for i in 0..10 {
        world = world.service(&format!("s{i}"), "exec sleep 1000");
    }
    let mut machine = world.boot().up();
    for _ in 0..10 {
        machine.log.until(" started, pid");
    }
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps", machine.pid())).unwrap();
    let (mut writable, mut private) = (false, [0, 0]);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match (words.next().unwrap(), words.next().unwrap_or("")) {
            ("Private_Clean:" | "Private_Dirty:", kib) => {
                private[usize::from(writable)] += kib.parse::<u32>().unwrap();
            }
            (key, _) if key.ends_with(':') => {}
            (_, permissions) => writable = permissions.contains('w'),
        }
    }
    let [program, memory] = private;
    println!("process 1 with ten services: {memory} KiB of memory; {program} KiB of the binary are nobody else's");
    assert!(memory <= 160, "{maps}");
}
