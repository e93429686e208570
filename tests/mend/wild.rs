//! Wild stores: the arena of an engine at work is written to from outside, and it fails at once, wherever it is. At most the
//! record that was hit is reset, in a line that names it; everybody else does not notice; and afterwards everything works.

use crate::engine::returns;
use crate::image::record_at;
use crate::scandir::Svscan;
use crate::snapshots::{arena_of, busy_engine};
use crate::supervision::*;
use linchpin::state::layout::State;
use linchpin::state::schema::Schema;
use linchpin::state::{Client, Epitaph, Header, Held, Inbox, Job, Notify, Pending, Redo, Service, Tables, Transfer};
use linchpin::sys::Fd;
use std::io::{Read, Write};
use std::mem::{offset_of, size_of};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

/// What a wild store may write.
const FILLS: [u8; 3] = [0xff, 0, 0xa5];

/// Where each field of a record begins, and how long it is. There is no padding.
fn fields<R: Schema>() -> Vec<(usize, usize)> {
    let mut at = 0;
    let place = |field: &linchpin::state::schema::Field| {
        let size = field.unpack().size();
        at += size;
        (at - size, size)
    };
    let fields: Vec<_> = R::FIELDS.iter().map(place).collect();
    assert_eq!(at, size_of::<R>(), "{}", R::NAME);
    fields
}

fn at(offset: usize) -> usize {
    offset_of!(State, tables) + offset
}

/// An engine with a service that has a logger, one that notifies through a pipe, one through a socket, two that nobody hits,
/// a held socket, and a client of the fd-holder.
struct World {
    svscan: Svscan,
    arena: Fd,
    client: UnixStream,
}

const NAMES: [&str; 6] = ["bystander", "logged", "logged/log", "other", "ready", "speaking"];

impl World {
    fn new() -> World {
        let logger = "#!/bin/sh\nexec cat >/dev/null\n";
        let svscan = Svscan::new(&[
            ("bystander", &[("run", SLEEPER)]),
            ("logged", &[("run", SLEEPER), ("log/run", logger)]),
            ("other", &[("run", SLEEPER)]),
            ("ready", &[("run", READY), NOTIFIES]),
            ("speaking", &[("run", SLEEPER), ("notify-socket", "watchdog=600s\n")]),
        ]);
        let listener = UnixListener::bind(svscan.base("held")).unwrap();
        let stdin: Stdio = OwnedFd::from(listener).into();
        let mut store = Command::new("s6-fdholder-store");
        store.arg(svscan.path("fdholder/s")).arg("unix:held").stdin(stdin);
        assert!(store.status().unwrap().success(), "{}", svscan.log());
        drop(store);
        let client = UnixStream::connect(svscan.path("fdholder/s")).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        svscan.ok("s6-svwait -U -t 30000 ready");
        NAMES.iter().for_each(|name| {
            svscan.pid_of(name);
        });
        svscan.settle();
        World { arena: arena_of(svscan.pid()), svscan, client }
    }

    fn pids(&self) -> Vec<i32> {
        NAMES.iter().map(|name| self.svscan.pid_of(name)).collect()
    }

    fn read(&self, at: usize, buf: &mut [u8]) {
        assert_eq!(rustix::io::pread(self.arena, &mut *buf, at as u64).unwrap(), buf.len());
    }

    /// Where the record of a service is, and its slot.
    fn service(&self, name: &str) -> (usize, usize) {
        let (entry, kind) = name.strip_suffix("/log").map_or((name, 0), |entry| (entry, 1));
        for slot in 0..64 {
            let start = at(offset_of!(Tables, services)) + slot * size_of::<Service>();
            let (mut found, mut head) = ([0; 32], [0; 2]);
            self.read(start + offset_of!(Service, name), &mut found);
            self.read(start, &mut head);
            if head == [1, kind] && found.starts_with(entry.as_bytes()) && found[entry.len()] == 0 {
                return (start, slot);
            }
        }
        panic!("no record of {name}");
    }

    /// Writes while the engine is stopped, and makes it fail before it does anything else. Answers what it said of it.
    fn hit(&self, at: usize, bytes: &[u8]) -> String {
        let log = self.svscan.log();
        let before = returns(&log);
        self.svscan.signal(libc::SIGSTOP);
        eventually(|| crate::engine::state_of(self.svscan.pid()) == 'T');
        assert_eq!(rustix::io::pwrite(self.arena, bytes, at as u64).unwrap(), bytes.len());
        self.svscan.signal(libc::SIGTRAP);
        self.svscan.signal(libc::SIGCONT);
        eventually(|| returns(&self.svscan.log()) > before);
        self.svscan.log()[log.len()..].to_owned()
    }

    /// Everybody is as he was: services run as they did, and nothing runs twice; who connects to the held socket is not
    /// refused.
    fn is_undisturbed(&self, pids: &[i32], what: &str) {
        assert_eq!(self.pids(), pids, "{what}");
        let is_one = |pid: &i32| crate::engine::state_of(*pid) != 'Z';
        eventually(|| self.svscan.children().iter().filter(|pid| is_one(pid)).count() <= pids.len());
        for listener in [self.svscan.base("held"), self.svscan.path("fdholder/s")] {
            UnixStream::connect(&listener).unwrap_or_else(|e| panic!("{}: {e}; {what}", listener.display()));
        }
    }

    /// Orders are obeyed, every service is started again, new ones are found, what is held is given out.
    fn works(mut self) {
        for name in NAMES {
            let old = self.svscan.pid_of(name);
            self.svscan.ok(&format!("s6-svc -r {name}"));
            eventually(|| self.svscan.try_status(name).is_some_and(|status| status.is_up() && status.pid != old));
        }
        self.svscan.ok("s6-svwait -U -t 30000 ready");
        self.svscan.settle();
        let listed = self.svscan.text("s6-fdholder-list fdholder/s");
        assert_eq!(listed.lines().filter(|line| *line == "unix:held").count(), 1, "{listed}");
        let mut retrieve = Command::new("s6-fdholder-retrieve");
        retrieve.arg(self.svscan.path("fdholder/s")).args(["unix:held", "true"]);
        assert!(retrieve.status().unwrap().success());
        self.svscan.ok("s6-svscanctl -t .");
        assert!(self.svscan.wait().success());
        self.arena.close();
    }
}

/// The lines of mending.
fn resets(said: &str) -> Vec<&str> {
    let told = |line: &&str| line.contains(": error: ") && !line.contains("which is survived");
    said.lines().filter(told).collect()
}

#[test]
fn recovery_from_faults_that_have_damaged_nothing_resets_nothing() {
    let (svscan, _clients) = busy_engine(3);
    for _ in 0..20 {
        let before = returns(&svscan.log());
        svscan.signal(libc::SIGTRAP);
        eventually(|| returns(&svscan.log()) > before);
        svscan.send("plain0", b"k");
    }
    // What was open only for a moment, such as a directory that is read, is closed; no record is concerned.
    assert_eq!(resets(&svscan.log()), [""; 0]);
}

/// Hits every field of the record of a service with everything.
fn every_field_of(name: &str) {
    let world = World::new();
    let pids = world.pids();
    for fill in FILLS {
        for (offset, size) in fields::<Service>() {
            world.svscan.settle(); // a record that was given up is made anew
            let (start, slot) = world.service(name);
            let mut was = vec![0; size];
            world.read(start + offset, &mut was);
            let said = world.hit(start + offset, &vec![fill; size]);
            let what = format!("{name}, byte {offset}, {fill:#x}, was {was:x?}: {said}");
            let names = [name.trim_end_matches("/log").to_owned(), format!("slot {slot}")];
            let is_named =
                |line: &&str| names.iter().any(|name| line.contains(name)) || line.contains("number of its records");
            assert!(resets(&said).iter().all(is_named), "{what}");
            world.is_undisturbed(&pids, &what);
        }
    }
    world.works();
}

#[test]
fn every_field_of_a_service() {
    every_field_of("other");
}

#[test]
fn every_field_of_a_service_that_has_a_logger() {
    every_field_of("logged");
}

#[test]
fn every_field_of_a_logger() {
    every_field_of("logged/log");
}

#[test]
fn every_field_of_a_service_that_says_that_it_is_ready() {
    every_field_of("ready");
}

#[test]
fn every_field_of_a_service_with_a_notification_socket() {
    every_field_of("speaking");
}

#[test]
fn a_whole_record_is_made_anew_and_nothing_runs_twice() {
    let world = World::new();
    let pids = world.pids();
    for fill in FILLS {
        for name in NAMES {
            let (start, _) = world.service(name);
            let said = world.hit(start, &[fill; size_of::<Service>()]);
            let what = format!("{name}, {fill:#x}: {said}");
            assert!(fill == 0 || !resets(&said).is_empty(), "{what}");
            world.svscan.settle(); // one of zeros is found to be missing by a scan only
            world.is_undisturbed(&pids, &what);
        }
    }
    world.works();
}

#[test]
fn what_a_record_has_lost_is_opened_again() {
    let world = World::new();
    let pids = world.pids();
    let (start, _) = world.service("other");
    let none = (-1i32).to_ne_bytes();
    for offset in [offset_of!(Service, dir_fd), offset_of!(Service, control_fd), offset_of!(Service, lock_fd)] {
        let open = world.svscan.fds();
        let said = world.hit(start + offset, &none);
        assert!(said.contains("other: what its record had lost is open again"), "{said}");
        let mut number = [0; 4];
        world.read(start + offset, &mut number);
        assert!(i32::from_ne_bytes(number) > 2);
        assert_eq!(world.svscan.fds(), open);
    }
    for offset in [
        offset_of!(Header, scandir_fd),
        offset_of!(Header, control_fd),
        offset_of!(Header, lock_fd),
        offset_of!(Header, null_fd),
    ] {
        let open = world.svscan.fds();
        let said = world.hit(at(offset_of!(Tables, header)) + offset, &none);
        assert!(said.contains("had lost is open again"), "{said}");
        assert_eq!(world.svscan.fds(), open);
    }
    world.is_undisturbed(&pids, "everything was lost");
    world.works();
}

#[test]
fn every_field_of_a_notification_socket() {
    let world = World::new();
    let pids = world.pids();
    for fill in FILLS {
        for (offset, size) in fields::<Notify>() {
            let (_, slot) = world.service("speaking");
            let start = at(offset_of!(Tables, notifies)) + slot * size_of::<Notify>();
            let said = world.hit(start + offset, &vec![fill; size]);
            let what = format!("byte {offset}, {fill:#x}: {said}");
            assert!(resets(&said).iter().all(|line| line.contains("speaking") || line.contains("slot")), "{what}");
            world.is_undisturbed(&pids, &what);
        }
    }
    world.works();
}

#[test]
fn every_field_of_what_is_in_progress_and_of_jobs_and_pending_sockets() {
    let world = World::new();
    let pids = world.pids();
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut add = |start: usize, fields: Vec<(usize, usize)>| {
        places.extend(fields.iter().map(|(offset, size)| (at(start) + offset, *size)));
    };
    add(offset_of!(Tables, epitaph), fields::<Epitaph>());
    add(offset_of!(Tables, redo), fields::<Redo>());
    add(offset_of!(Tables, inbox), fields::<Inbox>());
    add(offset_of!(Tables, transfer), fields::<Transfer>());
    add(offset_of!(Tables, jobs), fields::<Job>());
    add(offset_of!(Tables, pending), fields::<Pending>());
    for fill in FILLS {
        for (start, size) in &places {
            let said = world.hit(*start, &vec![fill; *size]);
            world.is_undisturbed(&pids, &format!("{} at {start}, {fill:#x}: {said}", record_at(*start)));
        }
    }
    world.works();
}

#[test]
fn every_field_of_the_header_but_those_that_make_the_arena_ours() {
    let world = World::new();
    let pids = world.pids();
    for fill in FILLS {
        for (offset, size) in fields::<Header>() {
            // Without these there is no way back to the arena; a limit of faults that is reached is obeyed.
            let vital = [
                offset_of!(Header, magic),
                offset_of!(Header, layout),
                offset_of!(Header, exe_fd),
                offset_of!(Header, arena_fd),
                offset_of!(Header, fault_limit),
            ];
            if vital.contains(&offset) {
                continue;
            }
            let said = world.hit(at(offset_of!(Tables, header)) + offset, &vec![fill; size]);
            world.is_undisturbed(&pids, &format!("byte {offset}, {fill:#x}: {said}"));
        }
    }
    world.works();
}

#[test]
fn what_a_record_names_is_never_left_to_children() {
    let world = World::new();
    let pids = world.pids();
    let header = at(offset_of!(Tables, header));
    let is_ours = |world: &World, fd: i32| {
        let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{fd}", world.svscan.pid())).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        i32::from_str_radix(flags.trim(), 8).unwrap() & libc::O_CLOEXEC != 0
    };
    for (offset, bytes) in [
        (offset_of!(Header, inherited), [0xff; size_of::<[u64; 16]>()].as_slice()),
        (offset_of!(Header, own_from), &i32::MAX.to_ne_bytes()),
    ] {
        let said = world.hit(header + offset, bytes);
        let what = format!("byte {offset}: {said}");
        world.is_undisturbed(&pids, &what);
        let mut named = vec![header + offset_of!(Header, control_fd), header + offset_of!(Header, fdholder_fd)];
        for name in NAMES {
            let (start, _) = world.service(name);
            named.extend([start + offset_of!(Service, dir_fd), start + offset_of!(Service, control_fd)]);
        }
        for at in named {
            let mut number = [0; 4];
            world.read(at, &mut number);
            assert!(is_ours(&world, i32::from_ne_bytes(number)), "{number:?}, {what}");
        }
    }
    world.works();
}

#[test]
fn every_field_of_a_client_of_the_fd_holder_costs_at_most_its_connection() {
    let mut world = World::new();
    let pids = world.pids();
    for fill in FILLS {
        for (offset, size) in fields::<Client>() {
            let size = size.min(4096);
            world.client = UnixStream::connect(world.svscan.path("fdholder/s")).unwrap();
            world.client.set_read_timeout(Some(PATIENCE)).unwrap();
            let start = at(offset_of!(Tables, clients));
            let is_there = |slot: usize| {
                let mut used = [0];
                world.read(start + slot * size_of::<Client>(), &mut used);
                used == [1]
            };
            eventually(|| (0..8).any(is_there));
            let slot = (0..8).find(|slot| is_there(*slot)).unwrap();
            let said = world.hit(start + slot * size_of::<Client>() + offset, &vec![fill; size]);
            let what = format!("byte {offset}, {fill:#x}: {said}");
            assert!(resets(&said).iter().all(|line| line.contains("client")), "{what}");
            world.is_undisturbed(&pids, &what);
            // It is cut off, or served.
            let _ = world.client.write_all(b"L");
            let _ = world.client.shutdown(std::net::Shutdown::Write);
            let _ = world.client.read_to_end(&mut Vec::new());
        }
    }
    world.works();
}

#[test]
fn every_field_of_a_held_descriptor_costs_at_most_that() {
    let world = World::new();
    let pids = world.pids();
    for fill in FILLS {
        for (offset, size) in fields::<Held>() {
            let listener = UnixListener::bind(world.svscan.base("b")).unwrap();
            let stdin: Stdio = OwnedFd::from(listener).into();
            let mut store = Command::new("s6-fdholder-store");
            store.arg(world.svscan.path("fdholder/s")).arg("unix:b").stdin(stdin);
            assert!(store.status().unwrap().success(), "{}", world.svscan.log());
            drop(store);
            let table = at(offset_of!(Tables, held));
            let is_it = |slot: &usize| {
                let (mut head, mut name) = ([0; 2], [0; 6]);
                world.read(table + slot * size_of::<Held>(), &mut head);
                world.read(table + slot * size_of::<Held>() + offset_of!(Held, name), &mut name);
                head == [1, 6] && &name == b"unix:b"
            };
            let slot = (0..64).find(is_it).unwrap();
            let said = world.hit(table + slot * size_of::<Held>() + offset, &vec![fill; size]);
            let what = format!("byte {offset}, {fill:#x}: {said}");
            let is_named = |line: &&str| line.contains("held descriptor") || line.contains("number of its records");
            assert!(resets(&said).iter().all(is_named), "{what}");
            world.is_undisturbed(&pids, &what);
            let _ = world.svscan.run("s6-fdholder-delete fdholder/s unix:b");
            std::fs::remove_file(world.svscan.base("b")).unwrap();
        }
    }
    world.works();
}
