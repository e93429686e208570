//! Hand-over files of earlier versions, which every later version must read. `LINCHPIN_BLESS=1 cargo nextest run -E
//! 'test(hand_over_files)'` adds the one of this version, if its layout has none yet; those that are there stay.
//!
//! All of them describe the same small house.

use crate::house::next;
use linchpin::state::layout::{MAGIC, State, Tables};
use linchpin::state::stream;
use linchpin::sys::{Fd, sealed};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zerocopy::{FromBytes, IntoBytes};

/// An arena, of which only what is touched takes memory.
struct Image(Vec<u64>);

impl Image {
    fn new() -> Image {
        let mut image = Image(vec![0; size_of::<State>() / 8]);
        let header = &mut image.state().tables.header;
        (header.magic, header.layout) = (MAGIC, State::LAYOUT);
        image
    }

    fn state(&mut self) -> &mut State {
        State::mut_from_bytes(self.0.as_mut_bytes()).unwrap()
    }
}

/// A service with its logger, another one that is down, two held descriptors, a client in the middle of a request, a job.
fn build(tables: &mut Tables) {
    let header = &mut tables.header;
    (header.boot_id, header.incarnation, header.started, header.boot_progress) = (7, 2, 1_000, 4);
    (header.exe_fd, header.arena_fd, header.scandir_fd, header.control_fd) = (20, 21, 22, 23);
    (header.lock_fd, header.fdholder_fd, header.console_fd, header.null_fd) = (24, 25, -1, 26);
    (header.services_top, header.held_top, header.clients_top, header.next_generation) = (3, 2, 1, 9);
    for (slot, name) in ["web", "web", "down"].iter().enumerate() {
        let service = &mut tables.services[slot];
        (service.used, service.supervised, service.active, service.generation) = (1, 1, 1, slot as u32 + 1);
        (service.kind, service.partner) = [(0, 1), (1, 0), (0, -1)][slot];
        (service.dev, service.ino) = (5, 100 + slot as u64);
        (service.pid, service.state, service.want_up) = [(300, 2, 1), (301, 2, 1), (0, 0, 0)][slot];
        let fds = 30 + 10 * slot as i32;
        (service.dir_fd, service.control_fd, service.lock_fd) = (fds, fds + 1, fds + 2);
        (service.notify_fd, service.cgroup_fd, service.waits_on) = (-1, -1, -1);
        service.pipe_fd = if slot < 2 { fds + 3 } else { -1 };
        service.set_name(name.as_bytes());
    }
    for (slot, name) in ["tcp:0.0.0.0:80", "unix:/run/s"].iter().enumerate() {
        let held = &mut tables.held[slot];
        (held.used, held.name_len, held.fd, held.service) = (1, name.len() as u8, 70 + slot as i32, -1);
        (held.limit_sec, held.stored, held.dev, held.ino) = (1 << 62, 5_000, 8, 900 + slot as u64);
        held.name[..name.len()].copy_from_slice(name.as_bytes());
    }
    let client = &mut tables.clients[0];
    (client.used, client.generation, client.fd, client.pid) = (1, 8, 80, 400);
    client.request[..5].copy_from_slice(b"\0\0\0\x05\0");
    (client.request_len, client.fds_len, client.fds[0]) = (5, 1, 81);
    let job = &mut tables.jobs[0];
    (job.used, job.kind, job.pid) = (1, 1, 500);
}

fn check(tables: &Tables) {
    let header = &tables.header;
    assert_eq!((header.boot_id, header.incarnation, header.started, header.boot_progress), (7, 2, 1_000, 4));
    assert_eq!((header.exe_fd, header.scandir_fd, header.lock_fd, header.console_fd), (20, 22, 24, -1));
    assert_eq!((header.services_top, header.held_top, header.clients_top), (3, 2, 1));
    let names: Vec<_> = tables.services[..3].iter().map(|service| service.name_bytes().to_vec()).collect();
    assert_eq!(names, [&b"web"[..], b"web", b"down"]);
    assert!(tables.services[..3].iter().all(|service| service.is_sealed() && service.supervised == 1));
    let numbers = |slot: usize| {
        let service = &tables.services[slot];
        (service.pid, service.partner, service.dir_fd, service.pipe_fd, service.cgroup_fd, service.ino)
    };
    assert_eq!([numbers(0), numbers(1)], [(300, 1, 30, 33, -1, 100), (301, 0, 40, 43, -1, 101)]);
    assert_eq!(numbers(2), (0, -1, 50, -1, -1, 102));
    let held = &tables.held[1];
    assert_eq!((held.fd, &held.name[..held.name_len.into()], held.ino), (71, &b"unix:/run/s"[..], 901));
    let client = &tables.clients[0];
    assert_eq!((client.fd, client.request_len, client.fds_len, client.fds[0]), (80, 5, 1, 81));
    assert_eq!(&client.request[..5], b"\0\0\0\x05\0");
    assert_eq!(tables.jobs[0].pid, 500);
}

fn written() -> Vec<u8> {
    let mut image = Image::new();
    let state = image.state();
    build(&mut state.tables);
    state.ring.write(b"[    1.000000] linchpin: hello\n");
    let mut bytes = Vec::new();
    let mut sink = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Ok(())
    };
    stream::write(&state.tables, Some(&state.ring), &[], &mut sink).unwrap();
    bytes
}

fn fixtures() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade/fixtures");
    let name = format!("{}-{:016x}.handover", linchpin::VERSION, State::LAYOUT);
    if std::env::var_os("LINCHPIN_BLESS").is_some() && !dir.join(&name).exists() {
        std::fs::write(dir.join(name), written()).unwrap();
    }
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|extension| extension == "handover"));
    all.sort();
    all
}

#[test]
fn hand_over_files_of_every_version_are_read() {
    let files = fixtures().into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()));
    let mut count = 0;
    for (name, bytes) in files.chain([("this version".to_owned(), written())]) {
        let mut image = Image::new();
        let State { tables, ring, .. } = image.state();
        let mut said = Vec::new();
        let summary = stream::read(&bytes, tables, ring, &mut |what| said.push(what.to_string()));
        let summary = summary.unwrap_or_else(|problem| panic!("{name}: {problem}"));
        assert!(summary.is_whole() && said.is_empty(), "{name}: {summary:?} {said:?}");
        assert_eq!((summary.services, summary.held, summary.clients), (3, 2, 1), "{name}");
        check(tables);
        count += 1;
    }
    assert!(count > 1, "there is none: make one with LINCHPIN_BLESS=1");
}

#[test]
fn the_later_version_reads_them_too() {
    for path in fixtures() {
        let bytes = std::fs::read(&path).unwrap();
        let handover = sealed::create(c"fixture", |sink| sink(&bytes)).unwrap();
        let mut candidate = Command::new(next());
        let input = std::fs::File::open(format!("/proc/self/fd/{}", handover.0)).unwrap();
        let output = candidate.args(["check", "--hand-over"]).stdin(Stdio::from(input)).output().unwrap();
        close(handover);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {text}", path.display());
        assert!(text.contains("understands 3 services, 2 held descriptors, 1 clients"), "{text}");
    }
}

fn close(mut fd: Fd) {
    fd.close();
}
