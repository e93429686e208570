//! An arena with one of everything: `web` (0) and its logger (1), `db` (2), which has a notification socket and a control
//! group, `idle` (3), which is down, `later` (4), which waits for its supervisor; three held descriptors, two clients.

use crate::image::{Image, World};
use linchpin::fdholder::session;
use linchpin::fdholder::table::{New, Origin, Table};
use linchpin::service::kind;
use linchpin::service::machine::{State, Timer, arm};
use linchpin::socket::Address;
use linchpin::socket::options::Values;
use linchpin::socket::pending::{self, Wanted};
use linchpin::state::ledger::What;
use linchpin::state::{Service, Tables};
use linchpin::sys::Fd;
use linchpin::sys::listener::Kind;
use linchpin::sys::socket::Peer;
use linchpin::text::tai::Stamp;

pub const NOW: u64 = 1_000_000_000_000;
pub const STAMP: Stamp = Stamp { sec: (1 << 62) + 1_700_000_000, nano: 5 };

fn service<'a>(tables: &'a mut Tables, world: &mut World, slot: usize, name: &[u8], kind: u8) -> &'a mut Service {
    let (dir, ino) = (100 + 10 * slot as i32, 1000 + 10 * slot as u64);
    let service = &mut tables.services[slot];
    service.kind = kind;
    service.generation = slot as u32 + 1;
    service.partner = -1;
    (service.dev, service.ino) = (7, ino);
    service.set_name(name);
    service.used = 1;
    service.active = 1;
    service.supervised = 1;
    service.state = State::Up as u8;
    service.want_up = 1;
    (service.stamp_sec, service.ready_sec) = (STAMP.sec, STAMP.sec);
    (service.started, service.supervisor_started) = (NOW - 100, NOW - 200);
    (service.dir_fd, service.control_fd, service.lock_fd) = (dir, dir + 1, dir + 2);
    (service.notify_fd, service.pipe_fd, service.cgroup_fd, service.waits_on) = (-1, -1, -1, -1);
    world.open(dir, What::Directory, ino);
    world.open(dir + 1, What::Pipe, ino + 1);
    world.open(dir + 2, What::File, ino + 2);
    world.paths.insert((dir, c"supervise/control".to_owned()), (7, ino + 1));
    world.paths.insert((dir, c"supervise/lock".to_owned()), (7, ino + 2));
    service
}

fn up(service: &mut Service, world: &mut World, pid: i32) {
    service.pid = pid;
    (service.sequence, service.published) = (2, 2);
    world.children.insert(pid);
    world.statuses.insert(service.dir_fd, (pid, false));
}

pub fn small() -> Image {
    let mut world = World { now: NOW, ..World::default() };
    let mut image = Image::new(World::default());
    let tables = image.tables();

    let header = &mut tables.header;
    (header.started, header.next_generation) = (10, 100);
    (header.boot_progress, header.services_top, header.kill_timeout) = (4, 5, 3_000_000_000);
    (header.arena_fd, header.exe_fd, header.scandir_fd, header.control_fd, header.lock_fd) = (3, 4, 5, 6, 7);
    (header.fdholder_fd, header.null_fd, header.console_fd) = (8, 9, -1);
    for (fd, what) in [
        (3, What::File),
        (4, What::File),
        (5, What::Directory),
        (6, What::Pipe),
        (7, What::File),
        (8, What::Listener),
        (9, What::Other),
        (10, What::Other), // the event queue: nobody names it
    ] {
        world.open(fd, what, fd as u64);
    }
    for (dir, path, ino) in [(Fd::CWD.0, c".", 5), (5, c".s6-svscan/control", 6), (5, c".s6-svscan/lock", 7)] {
        world.paths.insert((dir, path.to_owned()), (7, ino));
    }

    for (slot, name, kind, pid) in [(0, &b"web"[..], kind::SERVICE, 500), (1, b"web", kind::LOGGER, 501)] {
        let service = service(tables, &mut world, slot, name, kind);
        (service.partner, service.pipe_fd) = (1 - slot as i32, 60 + slot as i32);
        service.seal();
        up(service, &mut world, pid);
        world.open(60 + slot as i32, What::Pipe, 60);
        world.reads.insert(60 + slot as i32, slot == 1);
    }
    let db = service(tables, &mut world, 2, b"db", kind::SERVICE);
    up(db, &mut world, 502);
    (db.notified, db.cgroup_fd, db.watchdog, db.extras) = (1, 70, 5_000_000_000, 40);
    arm(db, Timer::Watchdog, NOW + 4_000_000_000);
    world.open(70, What::Directory, 70);
    let notify = &mut tables.notifies[2];
    (notify.used, notify.hidden, notify.generation, notify.fd, notify.stored_max) = (1, 1, 3, 71, 64);
    notify.name_len = 16;
    notify.name[..16].copy_from_slice(b"0123456789abcdef");
    world.open(71, What::Socket, 71);
    let idle = service(tables, &mut world, 3, b"idle", kind::SERVICE);
    (idle.state, idle.want_up, idle.ready) = (State::Down as u8, 0, 1);
    let later = service(tables, &mut world, 4, b"later", kind::SERVICE);
    (later.state, later.supervised) = (State::Gone as u8, 0);
    (later.dir_fd, later.control_fd, later.lock_fd) = (-1, -1, -1);
    arm(later, Timer::Respawn, NOW + 1_000_000_000);
    for fd in 140..143 {
        world.fds.remove(&fd);
    }

    let mut held = Table::new(&mut tables.held, &mut tables.header.held_top);
    for (fd, id) in [(80, &b"unix:/run/a"[..]), (81, b"tcp:0.0.0.0:80"), (82, b"fdstore:db:x")] {
        world.open(fd, What::Listener, fd as u64);
        let limit = Stamp { sec: STAMP.sec + (1 << 60), nano: fd as u32 };
        let (origin, identity) = (Origin::Client, (7, fd as u64));
        held.store(&New { id, limit, fd: Fd(fd), origin, pid: 9, uid: 0, now: NOW - 50, identity, owner: None })
            .unwrap();
    }
    tables.held[2].origin = Origin::Service as u8;
    (tables.held[2].service, tables.held[2].service_generation) = (2, 3);

    for (slot, client) in tables.clients.iter_mut().take(2).enumerate() {
        let fd = 90 + slot as i32;
        session::open(client, 50 + slot as u32, Fd(fd), Peer { pid: 900, uid: 0, gid: 0 }, NOW - 20);
        client.used = 1; // it has its rights
        world.open(fd, What::Socket, fd as u64);
        world.peers.insert(fd, (900, 0, 0));
    }
    let client = &mut tables.clients[1];
    (client.fds_len, client.fds[0], client.fds[1]) = (2, 95, -1);
    world.open(95, What::File, 95);
    tables.header.clients_top = 2;

    let job = &mut tables.jobs[3];
    (job.used, job.kind, job.pid, job.started) = (1, 2, 600, NOW - 70);
    world.children.insert(600);

    let wanted = Wanted {
        name: "late",
        address: "tcp:192.0.2.1:80",
        kind: Kind::Stream,
        nonblocking: false,
        backlog: 7,
        mode: 0o600,
        directory_mode: 0o755,
        uid: None,
        gid: None,
        device: "",
        values: Values::NONE,
    };
    assert!(Address::parse(wanted.address.as_bytes()).is_ok());
    pending::fill(&mut tables.pending[0], &wanted, NOW - 5).unwrap();
    tables.header.pending_top = 1;
    let allow = &mut tables.allows[0];
    (allow.used, allow.id, allow.rights, allow.globs_len) = (1, 1000, 1, 8);
    allow.globs[..8].copy_from_slice(b"sx*\0r*\0\0");
    allow.globs_len = 7;
    allow.globs[7] = 0;

    image.world = world;
    image.kept()
}
