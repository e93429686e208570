//! `outlast`: has process 1 fail, again and again, and looks whether anybody has noticed; for checks inside the guest. It is
//! built as linchpin is.
//!
//! * `outlast faults PROGRAM KIND…` has process 1, which runs PROGRAM, fail in these ways, one after the other, and prints
//!   a finding for each, as tests/guest/root/usr/lib/linchpin/words does. Exit code 1: somebody noticed.
//! * `outlast write` writes numbered lines to its standard output until it is told to end; the last one is `end NUMBER`.
//!
//! A KIND is the name of a signal, without SIG, that is sent; or that of a way to fail that only a build with faults on
//! demand has (`sys::inject`). Each goes like this:
//!
//! 1. Clients of the fd-holder connect. One says nothing yet, three send a part of a request (one with the descriptor that
//!    is to be held), one asks and does not read the answer. Process 1 has as many descriptors more.
//! 2. Process 1 is made to fail.
//! 3. At once a client connects to every held socket, and says the number of the round.
//! 4. The clients of the fd-holder send the rest of their requests. All must get the right answer.
//! 5. Process 1 is the same program in its next incarnation. It has exactly the descriptors that it had, first with, then
//!    without the clients; nothing in it was reset; every service has the process that it had, and a status that is true.
//!
//! At the end all sockets are retrieved: in each one's queue must be the clients of all rounds, in their order.
#![no_std]
#![no_main]

#[path = "../../src/arch/entry.rs"]
mod entry;

use core::ffi::CStr;
use core::fmt::Write;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use linchpin::fdholder::client::{self, Connection};
use linchpin::fdholder::wire::{self, Entry, HEADER, Request};
use linchpin::limits::STATE_FILE;
use linchpin::log::Line;
use linchpin::service::status::Status;
use linchpin::socket::Address;
use linchpin::svscan::published;
use linchpin::sys::args::Args;
use linchpin::sys::signal::{self, SignalSet, number as sig};
use linchpin::sys::time::{self, MILLI, Nanos, SECOND};
use linchpin::sys::{Errno, Fd, dir, file, listener, poll, process, socket, unix};
use linchpin::text::CPath;
use linchpin::text::number::{Decimal, parse_u32};
use linchpin::text::quote::Printable;
use rustix::event::Timespec;
use rustix::net::{self, SocketAddrUnix};

const SERVICES: &CStr = c"/service";
const HOLDER: &CStr = c"/service/fdholder/s";
/// Nobody waits longer than this.
const PATIENCE: Nanos = 10 * SECOND;
/// Services and held sockets, at most.
const MANY: usize = 128;

/// Ways to fail: a signal that is sent, or one that a build with faults on demand understands.
const KINDS: [(&[u8], i32); 13] = [
    (b"SEGV", 11),
    (b"BUS", 7),
    (b"ABRT", 6),
    (b"ILL", 4),
    (b"FPE", 8),
    (b"null", 50),
    (b"stack", 51),
    (b"illegal", 52),
    (b"division", 53),
    (b"arithmetic", 54),
    (b"index", 55),
    (b"assertion", 56),
    (b"write", 57),
];

/// Why a round is lost.
type Outcome<T> = Result<T, &'static str>;

fn main(args: Args) -> i32 {
    let word = |i| args.get(i).map(CStr::to_bytes).unwrap_or_default();
    let done = match (word(1), args.get(2)) {
        (b"faults", Some(program)) => faults(program, args.skip(3)),
        (b"write", None) => lines(),
        _ => Err("usage: outlast faults PROGRAM KIND... | outlast write"),
    };
    done.unwrap_or_else(|why| {
        tell("FAIL", format_args!("{why}"));
        2
    })
}

/// A finding, for the report.
fn tell(verdict: &str, text: core::fmt::Arguments<'_>) {
    let mut line = Line::<400>::new();
    let now = time::boot() / (10 * MILLI);
    let _ = write!(line, "check: {verdict} {}.{:02} {text}", now / 100, now % 100);
    let _ = file::write_all(Fd::STDOUT, line.finish("\n").as_bytes());
}

fn lines() -> Outcome<i32> {
    let end = SignalSet::of(&[sig::TERM]);
    end.block();
    let signals = signal::open_signalfd(end).map_err(|_| "cannot listen for signals")?;
    let mut number = 0;
    loop {
        let mut text = heapless::String::<64>::new();
        for _ in 0..4 {
            number += 1;
            let _ = writeln!(text, "{number}");
        }
        // It waits while the pipe is full.
        file::write_all(Fd::STDOUT, text.as_bytes()).map_err(|_| "cannot write")?;
        if poll::readable(signals, Some(time::boot() + 10 * MILLI)).is_ok() {
            break;
        }
    }
    let mut text = heapless::String::<64>::new();
    let _ = writeln!(text, "end {number}");
    file::write_all(Fd::STDOUT, text.as_bytes()).map_err(|_| "cannot write")?;
    Ok(0)
}

fn faults(program: &CStr, kinds: Args) -> Outcome<i32> {
    let mut world = World::look(program)?;
    world.look_at_sockets()?;
    world.quiet = settled()?;
    let (mut lost, mut back, mut answered) = (0, Times::new(), Times::new());
    for word in kinds.iter() {
        let kind = KINDS.iter().find(|row| row.0 == word).ok_or("there is no such KIND")?;
        let name = Printable(word);
        match world.round(kind.1) {
            Ok(round) => {
                let Round { back_after, answered_after, .. } = round;
                let _ = (back.push(back_after), answered.push(answered_after));
                tell(
                    "ok",
                    format_args!(
                        "{name}: back after {back_after} us, first answer after {answered_after} us; {} services with their \
                         processes, {} sockets, {} descriptors",
                        world.services.len(),
                        world.sockets.len(),
                        world.quiet
                    ),
                );
            }
            Err(why) => {
                tell("FAIL", format_args!("{name}: {why}"));
                lost += 1;
                // What went wrong once must not count again.
                let sockets = core::mem::take(&mut world.sockets);
                world = World { sockets, rounds: world.rounds, ..World::look(program)? };
            }
        }
    }
    let ((back, most), (answered, latest)) = (middle_and_most(&mut back), middle_and_most(&mut answered));
    tell(
        "note",
        format_args!(
            "back after {back} us in the median, {most} us at most; first answer after {answered} us, {latest} us at most"
        ),
    );
    match world.empty_queues() {
        Ok(clients) => tell("ok", format_args!("all {clients} clients were in the queues of their sockets")),
        Err(why) => {
            tell("FAIL", format_args!("{why}"));
            lost += 1;
        }
    }
    Ok(i32::from(lost > 0))
}

/// Microseconds of each round.
type Times = heapless::Vec<u64, MANY>;

/// The median, and the longest.
fn middle_and_most(times: &mut Times) -> (u64, u64) {
    times.sort_unstable();
    (times.get(times.len() / 2).copied().unwrap_or(0), times.last().copied().unwrap_or(0))
}

/// A service as it must stay.
struct Service {
    path: CPath<96>,
    record: [u8; Status::SIZE],
}

/// A held socket, and the client that waits in its queue from the beginning.
struct Socket {
    id: heapless::Vec<u8, 64>,
    /// st_dev and st_ino.
    identity: (u64, u64),
    client: Fd,
}

/// What must not change.
struct World<'a> {
    program: &'a CStr,
    comm: Comm,
    scandir: Fd,
    services: heapless::Vec<Service, MANY>,
    sockets: heapless::Vec<Socket, MANY>,
    /// Descriptors of process 1 when it has no client.
    quiet: usize,
    /// Rounds so far.
    rounds: u32,
}

/// What was measured.
struct Round {
    /// Microseconds.
    back_after: u64,
    answered_after: u64,
}

impl World<'_> {
    fn look(program: &CStr) -> Outcome<World<'_>> {
        let scandir = file::open_dir(Fd::CWD, SERVICES).map_err(|_| "cannot open the scan directory")?;
        let mut world = World {
            program,
            comm: comm(),
            scandir,
            services: heapless::Vec::new(),
            sockets: heapless::Vec::new(),
            quiet: 0,
            rounds: 0,
        };
        if !world.is_program() {
            return Err("process 1 is another program");
        }
        let services = &mut world.services;
        let mut note = |path: CPath<96>| {
            if let Some(record) = record(scandir, &path) {
                let _ = services.push(Service { path, record });
            }
        };
        dir::visit(scandir, c".", |name, _| {
            if !name.to_bytes().starts_with(b".") {
                note(CPath::of(&[name.to_bytes()]));
                note(CPath::of(&[name.to_bytes(), b"/log"]));
            }
            ControlFlow::Continue(())
        })
        .map_err(|_| "cannot read the scan directory")?;
        world.quiet = settled()?;
        Ok(world)
    }

    fn look_at_sockets(&mut self) -> Outcome<()> {
        let mut holder = holder()?;
        let mut buf = [0; 8192];
        for id in holder.list(&mut buf).map_err(|_| "cannot list what is held")? {
            if !matches!(Address::parse(id), Ok(Address::Path(_) | Address::Tcp(_))) {
                continue;
            }
            let id = heapless::Vec::from_slice(id).map_err(|()| "an identifier is too long")?;
            let identity = identity_of(&id)?;
            let client = knock(&id, self.rounds)?;
            let _ = self.sockets.push(Socket { id, identity, client });
        }
        holder.close();
        Ok(())
    }

    fn is_program(&self) -> bool {
        let mut buf = [MaybeUninit::<u8>::uninit(); 256];
        rustix::fs::readlinkat_raw(Fd::CWD, c"/proc/1/exe", &mut buf[..])
            .is_ok_and(|(name, _)| *name == *self.program.to_bytes())
    }

    /// The incarnation, and what was found on entering it: records that were reset, microseconds.
    fn incarnation(&self) -> Outcome<(u32, u32, u64)> {
        let mut buf = [0; STATE_FILE];
        match published::read(self.scandir, &mut buf) {
            Ok(Some(said)) => Ok((said.incarnation, said.found.reset, said.found.back_after)),
            _ => Err("process 1 does not say how it is"),
        }
    }

    fn round(&mut self, kill: i32) -> Outcome<Round> {
        let (before, ..) = self.incarnation()?;
        let id = |of: usize| self.sockets.get(of % self.sockets.len().max(1)).map(|socket| &socket.id[..]);
        let id = id(self.rounds as usize).ok_or("nothing is held")?;
        let (mut held, mut other) = Fd::pipe().map_err(|_| "cannot make a pipe")?;
        let limit = client::never();
        let mut stored = heapless::String::<32>::new();
        let _ = write!(stored, "stored in round {}", self.rounds);
        let stored = stored.as_bytes();
        let mut silent = Client::new(&Request::List, 0, None)?;
        let mut list = Client::new(&Request::List, 3, None)?;
        let mut retrieve = Client::new(&Request::Retrieve(id, false), HEADER + 5, None)?;
        let mut store = Client::new(&Request::Store(Entry { limit, id: stored }), HEADER + 7, Some(held))?;
        let mut whole = Client::new(&Request::Retrieve(id, false), usize::MAX, None)?;
        // Five connections, and what is to be stored.
        let busy = self.quiet + 6;
        until(|| descriptors() == busy).map_err(|_| "the clients are not accepted, or more descriptors are open")?;

        let began = time::boot();
        process::kill(1, kill).map_err(|_| "cannot send the signal")?;
        self.rounds += 1;
        for socket in &self.sockets {
            knock(&socket.id, self.rounds)?.close();
        }
        let mut buf = [0; 8192];
        let held_now = wire::identifiers(silent.finish(&mut buf)?.0).map_err(|_| "a list is none")?.count();
        let answered_after = (time::boot() - began) / 1000;
        let mut now = (before, 0, 0);
        until(|| {
            now = self.incarnation().unwrap_or(now);
            now.0 != before
        })
        .map_err(|_| "it did not fail, or does not say that it was entered again")?;
        if now.0 != before + 1 {
            return Err("it failed more than once");
        }
        if now.1 > 0 {
            return Err("records were reset");
        }
        if descriptors() != busy {
            return Err("it has not the descriptors that it had, with its clients");
        }
        let listed = wire::identifiers(list.finish(&mut buf)?.0).map_err(|_| "a list is none")?.count();
        if listed < self.sockets.len() || listed != held_now {
            return Err("not everything is held any more");
        }
        let expected = identity_of_socket(&self.sockets, id);
        for client in [&mut retrieve, &mut whole] {
            let mut given = client.finish(&mut buf)?.1.ok_or("a client got no descriptor")?;
            if file::identity(given).ok() != expected {
                return Err("a client got another descriptor");
            }
            given.close();
        }
        store.finish(&mut buf)?;
        let mut holder = holder()?;
        let mut back = holder.retrieve(stored, true).map_err(|_| "what was stored is not held")?;
        if file::identity(back) != file::identity(held) {
            return Err("something else is held than was stored");
        }
        holder.close();
        for fd in [&mut back, &mut held, &mut other] {
            fd.close();
        }
        for client in [&mut silent, &mut list, &mut retrieve, &mut store, &mut whole] {
            client.fd.close();
        }
        let quiet = self.quiet;
        until(|| descriptors() == quiet).map_err(|_| "it has not the descriptors that it had, without clients")?;
        self.compare()?;
        Ok(Round { back_after: now.2, answered_after })
    }

    /// Whether program and services are as they were.
    fn compare(&self) -> Outcome<()> {
        if !self.is_program() {
            return Err("process 1 is another program");
        }
        if comm() != self.comm {
            return Err("process 1 has another name");
        }
        for service in &self.services {
            if record(self.scandir, &service.path) != Some(service.record) {
                return Err("a service has another status");
            }
            let pid = Status::decode(&service.record).map_or(0, |status| status.pid);
            if pid > 0 && process::parent(pid) != Some(1) {
                return Err("a service has lost its process");
            }
        }
        Ok(())
    }

    /// Accepts all who wait at the sockets: a client for each round, and the one that was there before. Answers how many.
    fn empty_queues(&mut self) -> Outcome<usize> {
        let mut count = 0;
        for socket in &mut self.sockets {
            let mut listener = retrieve(&socket.id)?;
            for round in 0..=self.rounds {
                let mut client = unix::accept(listener).map_err(|_| "a client is not in the queue of its socket")?;
                let mut said = [0; 16];
                let len = poll::readable(client, Some(time::boot() + PATIENCE))
                    .and_then(|()| rustix::io::read(client, &mut said))
                    .map_err(|_| "what a client said is lost")?;
                if said.get(..len).and_then(parse_u32) != Some(round) {
                    return Err("the queue of a socket is not in its order");
                }
                if round == 0 {
                    socket::send(client, b"at last", &[]).map_err(|_| "a client that waited is gone")?;
                    let len = poll::readable(socket.client, Some(time::boot() + PATIENCE))
                        .and_then(|()| rustix::io::read(socket.client, &mut said));
                    if len != Ok(7) {
                        return Err("a client that waited has no answer");
                    }
                }
                client.close();
                count += 1;
            }
            socket.client.close();
            listener.close();
        }
        Ok(count)
    }
}

/// A client of the fd-holder that sends its request in two parts.
struct Client {
    fd: Fd,
    message: heapless::Vec<u8, 300>,
    sent: usize,
}

impl Client {
    /// Connects, and sends that much of the request, and the descriptor.
    fn new(request: &Request<'_>, part: usize, fd: Option<Fd>) -> Outcome<Client> {
        let mut buf = [0; 300];
        let message = request.encode(&mut buf).ok_or("a request is too long")?;
        let message = heapless::Vec::from_slice(message).map_err(|()| "a request is too long")?;
        let connection =
            unix::connect(HOLDER, Some(time::boot() + PATIENCE)).map_err(|_| "cannot connect to the fd-holder")?;
        let mut client = Client { fd: connection, message, sent: 0 };
        let part = part.min(client.message.len());
        client.send(part, fd)?;
        Ok(client)
    }

    fn send(&mut self, upto: usize, fd: Option<Fd>) -> Outcome<()> {
        let part = self.message.get(self.sent..upto).unwrap_or_default();
        self.sent = upto;
        match part.is_empty() {
            true => Ok(()),
            false => socket::send_waiting(self.fd, part, fd.as_slice())
                .map(drop)
                .map_err(|_| "process 1 has closed the connection of a client"),
        }
    }

    /// Sends the rest; returns what follows the status 0 of the answer, and the descriptor that came with it.
    fn finish<'b>(&mut self, buf: &'b mut [u8]) -> Outcome<(&'b [u8], Option<Fd>)> {
        self.send(self.message.len(), None)?;
        let (mut len, mut given) = (0, None);
        loop {
            if let Some((length, _)) = wire::header(buf.get(..len).unwrap_or_default()) {
                if len >= HEADER + length {
                    let payload = buf.get(HEADER..HEADER + length).unwrap_or_default();
                    return wire::answer(payload).map(|rest| (rest, given)).map_err(|_| "a client is refused");
                }
            }
            poll::readable(self.fd, Some(time::boot() + PATIENCE)).map_err(|_| "a client gets no answer")?;
            let mut fds = [Fd::NONE];
            let room = buf.get_mut(len..).unwrap_or_default();
            match socket::receive(self.fd, room, &mut fds) {
                Ok(got) if got.bytes > 0 => len += got.bytes,
                Err(Errno::AGAIN | Errno::INTR) => {}
                _ => return Err("process 1 has closed the connection of a client"),
            }
            given = given.or((fds[0].is_some()).then_some(fds[0]));
        }
    }
}

fn holder() -> Outcome<Connection> {
    Connection::open(HOLDER, Some(time::boot() + PATIENCE)).map_err(|_| "cannot connect to the fd-holder")
}

fn retrieve(id: &[u8]) -> Outcome<Fd> {
    let mut holder = holder()?;
    let fd = holder.retrieve(id, false).map_err(|_| "cannot retrieve a socket");
    holder.close();
    fd
}

fn identity_of(id: &[u8]) -> Outcome<(u64, u64)> {
    let mut fd = retrieve(id)?;
    let identity = file::identity(fd).map_err(|_| "a held socket is none");
    fd.close();
    identity
}

fn identity_of_socket(sockets: &[Socket], id: &[u8]) -> Option<(u64, u64)> {
    sockets.iter().find(|socket| socket.id == id).map(|socket| socket.identity)
}

/// Connects to a held socket, and says a number.
fn knock(id: &[u8], number: u32) -> Outcome<Fd> {
    let address = Address::parse(id).map_err(|_| "a held socket has no address")?;
    let family = match address {
        Address::Path(_) | Address::Abstract(_) => listener::Family::Unix,
        Address::Tcp(host) | Address::Udp(host) if host.ip.is_ipv4() => listener::Family::V4,
        _ => listener::Family::V6,
    };
    let fd = listener::create(family, listener::Kind::Stream, false).map_err(|_| "cannot make a socket")?;
    let connected = match address {
        Address::Path(path) => CPath::<128>::of(&[path])
            .path()
            .and_then(SocketAddrUnix::new)
            .and_then(|address| net::connect(fd, &address)),
        Address::Tcp(host) => net::connect(fd, &host.ip),
        _ => Err(Errno::AFNOSUPPORT),
    };
    connected.map_err(|_| "a held socket refuses a client")?;
    socket::send(fd, Decimal::new(number.into()).as_bytes(), &[]).map_err(|_| "a held socket loses a client")?;
    Ok(fd)
}

/// The status record of a service.
fn record(scandir: Fd, path: &CPath<96>) -> Option<[u8; Status::SIZE]> {
    let path = CPath::<128>::of(&[path.as_bytes(), b"/supervise/status"]);
    let mut buf = [0; Status::SIZE + 1];
    file::read(scandir, path.get()?, &mut buf).ok()?.try_into().ok()
}

/// Open descriptors of process 1.
fn descriptors() -> usize {
    let mut count = 0;
    let read = dir::visit(Fd::CWD, c"/proc/1/fd", |_, _| {
        count += 1;
        ControlFlow::Continue(())
    });
    if read.is_ok() { count } else { 0 }
}

type Comm = heapless::Vec<u8, 16>;

/// The same, once whoever has just asked for something is gone.
fn settled() -> Outcome<usize> {
    let mut last = 0;
    until(|| {
        let now = descriptors();
        core::mem::replace(&mut last, now) == now
    })?;
    Ok(last)
}

/// The name of process 1.
fn comm() -> Comm {
    let mut buf = [0; 17];
    let name = file::read(Fd::CWD, c"/proc/1/comm", &mut buf).unwrap_or_default();
    heapless::Vec::from_slice(name).unwrap_or_default()
}

fn until(mut done: impl FnMut() -> bool) -> Outcome<()> {
    let deadline = time::boot() + PATIENCE;
    while !done() {
        if time::boot() > deadline {
            return Err("it takes too long");
        }
        let a_moment = Timespec { tv_sec: 0, tv_nsec: MILLI as _ };
        let _ = rustix::event::poll(&mut [], Some(&a_moment));
    }
    Ok(())
}
