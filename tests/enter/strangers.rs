//! Children and records that have lost each other: the test takes away what the record says.

use crate::engine::returns;
use crate::scandir::Svscan;
use crate::supervision::*;
use linchpin::state::layout::State;
use linchpin::state::{Header, Service, Tables};
use std::fs::OpenOptions;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::FileExt;

/// Where the arena is.
fn arena(svscan: &Svscan) -> std::fs::File {
    let dir = format!("/proc/{}/fd", svscan.pid());
    let is = |path: &std::path::PathBuf| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:linchpin"))
    };
    let path = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).find(is).unwrap();
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// The record of a service: where it begins.
fn record(file: &std::fs::File, name: &str) -> u64 {
    let services = offset_of!(State, tables) + offset_of!(Tables, services);
    for slot in 0..100 {
        let at = (services + slot * size_of::<Service>()) as u64;
        let mut found = [0; 32];
        file.read_exact_at(&mut found, at + offset_of!(Service, name) as u64).unwrap();
        if found.starts_with(name.as_bytes()) && found[name.len()] == 0 {
            return at;
        }
    }
    panic!("no record of {name}");
}

/// Writes into the record while the engine is stopped, and makes it fail.
fn spoil(svscan: &Svscan, name: &str, changes: &[(usize, &[u8])]) {
    svscan.fail_while(|| {
        let file = arena(svscan);
        let at = record(&file, name);
        for (offset, bytes) in changes {
            file.write_all_at(bytes, at + *offset as u64).unwrap();
        }
    });
}

fn only_one(svscan: &Svscan, pid: i32) {
    let runs = svscan.children().into_iter().filter(|child| *child != pid).collect::<Vec<_>>();
    assert_eq!(runs, [], "{}", svscan.log());
}

const NO_PID: [(usize, &[u8]); 3] =
    [(offset_of!(Service, pid), &[0; 4]), (offset_of!(Service, state), &[0]), (offset_of!(Service, want_up), &[1])];

#[test]
fn a_service_whose_record_has_lost_its_process_gets_it_back() {
    let svscan = Svscan::new(&[("a", &[("run", READY), NOTIFIES])]);
    let pid = svscan.pid_of("a");
    svscan.ok("s6-svwait -U -t 30000 a");
    let before = svscan.status("a");
    spoil(&svscan, "a", &NO_PID);
    assert_eq!(svscan.status("a"), before);
    only_one(&svscan, pid);
    svscan.ok("s6-svc -rwR -T 30000 a");
    assert_ne!(svscan.pid_of("a"), pid);
}

#[test]
fn a_service_that_is_not_ready_yet_can_say_so_afterwards() {
    let run = "#!/bin/sh\nread -r line <>fifo\necho >&3\nexec 3>&-\nexec sleep 1000\n";
    let svscan = Svscan::new(&[("a", &[("run", run), NOTIFIES, ("fifo", FIFO)])]);
    let pid = svscan.pid_of("a");
    let mut changes = NO_PID.to_vec();
    let none = (-1i32).to_ne_bytes();
    changes.push((offset_of!(Service, notify_fd), &none));
    spoil(&svscan, "a", &changes);
    svscan.push("a/fifo", "go\n");
    svscan.ok("s6-svwait -U -t 30000 a");
    only_one(&svscan, pid);
}

#[test]
fn a_finish_script_is_known_as_one() {
    let finish = "#!/bin/sh\necho finishing >$SAID\nread -r line <>fifo\n";
    let files = [("run", "#!/bin/sh\nexit 0\n"), ("finish", finish), ("timeout-finish", "0\n"), ("fifo", FIFO)];
    let svscan = Svscan::new(&[("a", &files)]);
    assert_eq!(svscan.hear(), "finishing");
    spoil(&svscan, "a", &NO_PID);
    svscan.push("a/fifo", "go\n");
    assert_eq!(svscan.hear(), "finishing"); // of the next run
}

#[test]
fn a_service_whose_whole_record_is_gone_is_found_by_a_scan_and_keeps_its_process() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)]), ("b", &[("run", SLEEPER)])]);
    let pids = ["a", "b"].map(|name| svscan.pid_of(name));
    svscan.fail_while(|| {
        let file = arena(&svscan);
        file.write_all_at(&[0; size_of::<Service>()], record(&file, "a")).unwrap();
        let header = offset_of!(State, tables) + offset_of!(Tables, header) + offset_of!(Header, scan_deadline);
        file.write_all_at(&1u64.to_ne_bytes(), header as u64).unwrap();
    });
    svscan.until_log("runs: it is supervised again");
    assert_eq!(["a", "b"].map(|name| svscan.pid_of(name)), pids);
    assert_eq!(svscan.children().len(), 2);
    svscan.ok("s6-svc -dwD -T 30000 a");
}

#[test]
fn a_service_of_which_nobody_tells_any_more_is_known_by_the_directory_in_which_it_runs() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let pid = svscan.pid_of("a");
    std::fs::remove_file(svscan.path("a/supervise/status")).unwrap();
    spoil(&svscan, "a", &NO_PID);
    svscan.until_log("runs: it is supervised again");
    assert_eq!(svscan.pid_of("a"), pid);
    only_one(&svscan, pid);
    svscan.ok("s6-svc -dwD -T 30000 a");
}

#[test]
fn a_process_that_is_no_child_of_ours_is_not_the_services() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let pid = svscan.pid_of("a");
    std::fs::remove_file(svscan.path("a/supervise/status")).unwrap();
    let wrong = 0x3fff_fff0i32.to_ne_bytes();
    spoil(&svscan, "a", &[(offset_of!(Service, pid), &wrong)]);
    assert_eq!(svscan.pid_of("a"), pid);
    only_one(&svscan, pid);
    assert_eq!(returns(&svscan.log()), 1);
}
