//! The process has no more descriptors, or no more address space, or the kernel says no: what was held is held, who is
//! connected is served, services come back; and everybody else is served later.

use crate::attacks::{ALL, Attack};
use crate::sieges::under_attack;
use crate::supervision::eventually;
use crate::world::{SERVICES, World, honest_name};
use linchpin::fdholder::client::never;
use linchpin::sys::{Errno, Fd};
use std::process::Command;

fn attack(name: &str) -> Attack {
    *ALL.iter().find(|attack| attack.0.contains(name)).unwrap()
}

/// Sets a soft limit of the process; the hard one stays.
fn limit(world: &World, option: &str, soft: &str) {
    let pid = world.svscan.pid().to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--{option}={soft}:")]).status().unwrap();
    assert!(done.success());
}

fn hard_limit(world: &World) -> String {
    let pid = world.svscan.pid().to_string();
    let told = Command::new("prlimit").args(["--pid", &pid, "--nofile", "--noheadings", "--output", "HARD"]).output();
    String::from_utf8(told.unwrap().stdout).unwrap().trim().to_owned()
}

/// The lowest number that is not open.
fn lowest_free(world: &World) -> usize {
    let is_free = |n: &usize| std::fs::symlink_metadata(format!("/proc/{}/fd/{n}", world.svscan.pid())).is_err();
    (0..).find(is_free).unwrap()
}

/// As root it could lift its limit again.
const TIGHT: &str = "ulimit -n 400; exec setpriv --bounding-set -sys_resource -- \"$@\"";

#[test]
fn whoever_sends_descriptors_in_vain_leaves_enough_for_others_and_for_services() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can give up the right to lift limits");
    }
    let world = World::started_by(TIGHT);
    for attack in ["pinned", "300", "wrong numbers", "slow"].map(attack) {
        let ((), done) = under_attack(&world.socket(), attack, || {
            for round in 0..3 {
                let mut honest = world.connect();
                for n in 0..100 {
                    honest.retrieve(honest_name(n).as_bytes(), false).unwrap().close();
                }
                honest.close();
                println!("{}: services back after {:?}, round {round}", attack.0, world.kill_services());
            }
        });
        assert!(done > 10, "{}: hardly an attack: {done}", attack.0);
        world.check();
    }
}

#[test]
fn without_a_single_descriptor_left_nothing_is_lost_and_services_come_back() {
    let world = World::new();
    let mut kept = world.connect();
    kept.retrieve(honest_name(0).as_bytes(), false).unwrap().close();
    let hard = hard_limit(&world);
    limit(&world, "nofile", &lowest_free(&world).to_string());
    assert!(kept.store(Fd::STDERR, b"evil", never()).is_err(), "there is no number for it");
    let mut other = world.connect(); // waits in the backlog
    kept.close();
    eventually(|| lowest_free(&world) > 0 && other.retrieve(honest_name(1).as_bytes(), false).is_ok());
    let ((), _) = under_attack(&world.socket(), attack("pinned"), || {
        for n in 0..300 {
            other.retrieve(honest_name(n % 100).as_bytes(), false).unwrap().close();
        }
        restart(&world, &world.pids());
    });
    other.close();
    limit(&world, "nofile", &hard);
    world.check();
    // Status files take a descriptor to be written: those that could not be are written now.
    let children = world.svscan.children();
    eventually(|| world.pids().iter().all(|pid| children.contains(pid)));
}

/// Kills these processes of all services, and waits until there is another one of each.
fn restart(world: &World, before: &[i32]) {
    assert_eq!(before.len(), SERVICES);
    for pid in before {
        assert!(*pid > 1);
        linchpin::sys::process::kill(*pid, 9).unwrap();
    }
    eventually(|| {
        let children = world.svscan.children();
        children.len() == SERVICES && children.iter().all(|pid| !before.contains(pid))
    });
}

#[test]
fn nothing_needs_more_address_space() {
    let world = World::new();
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.svscan.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kibibytes: u64 = size.split_whitespace().next().unwrap().parse().unwrap();
    limit(&world, "as", &(kibibytes * 1024).to_string());
    for attack in ["oversized", "never read", "inside a dump", "endless"].map(attack) {
        let ((), done) = under_attack(&world.socket(), attack, || {
            let mut honest = world.connect();
            for n in 0..100 {
                honest.retrieve(honest_name(n).as_bytes(), false).unwrap().close();
            }
            honest.close();
            world.kill_services();
        });
        assert!(done > 10, "{}: hardly an attack: {done}", attack.0);
        world.check();
    }
}

/// Has the kernel answer this to every third of these system calls, while `meanwhile` runs.
fn with_errors(world: &World, calls: &str, errno: &str, meanwhile: impl FnOnce()) {
    let inject = format!("inject={calls}:error={errno}:when=3+3");
    let pid = world.svscan.pid().to_string();
    let mut tracer =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "-e", &inject, "-p", &pid]).spawn().unwrap();
    let traced = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    };
    eventually(traced);
    meanwhile();
    let _ = linchpin::sys::process::kill(tracer.id() as i32, 15); // it lets go of the process
    tracer.wait().unwrap();
    eventually(|| !traced());
}

#[test]
fn errors_of_the_kernel_lose_nothing_that_is_held() {
    if Command::new("strace").arg("-V").output().is_err() {
        return eprintln!("skipped: there is no strace");
    }
    let world = World::new();
    for (calls, errno) in [
        ("accept4", "ENFILE"),
        ("accept4", "ENOMEM"),
        ("recvmsg", "ENOMEM"),
        ("sendmsg", "ENOMEM"),
        ("sendmsg", "ENOBUFS"),
        ("sendmsg", "ETOOMANYREFS"),
        ("epoll_ctl", "ENOSPC"),
        ("epoll_ctl", "ENOMEM"),
        ("getsockopt", "ENOMEM"),
    ] {
        with_errors(&world, calls, errno, || {
            let mut answered = 0;
            for n in 0..30 {
                let mut client = world.connect();
                // It may be told that it cannot be done, or be cut off: never is it given what it did not ask for.
                match client.retrieve(honest_name(n).as_bytes(), false) {
                    Ok(mut fd) => {
                        answered += 1;
                        fd.close();
                    }
                    Err(Errno::PIPE | Errno::CONNRESET | Errno::NOMEM | Errno::NOBUFS | Errno::TOOMANYREFS) => {}
                    Err(e) => panic!("{calls} {errno}: {e}"),
                }
                let _ = client.store(Fd::STDERR, format!("evil {n}").as_bytes(), never());
                client.close();
            }
            println!("{calls} {errno}: {answered} of 30 answered");
            assert!(answered >= 10, "{calls} {errno}: {answered} of 30 answered");
        });
        world.kill_services();
        world.check();
    }
}
