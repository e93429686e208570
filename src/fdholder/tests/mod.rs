//! Tests of the store as a whole: a real server on a real socket, turned by hand, with the time of the test's choice.

mod capacity;
mod clients;
mod dumps;
#[cfg(feature = "faults")]
mod faults;
mod hostile;
mod info;
mod requests;
mod rights;
mod wire;

use super::records::{Now, Records};
use super::server::{CLIENT_KIND, LISTENER_KIND, Server, Settings, listen};
use super::wire::{Entry, HEADER, Request, header};
use crate::state::{Tables, arena};
use crate::sys::args::Env;
use crate::sys::epoll::{Epoll, Events};
use crate::sys::{Errno, Fd, socket, unix};
use crate::text::tai::Stamp;
use std::ffi::CString;
use std::sync::atomic::{AtomicU32, Ordering};

/// So many clients of [`Store::new`] may be connected: fewer than in life, for there are tests that connect them all.
pub const PLACES: usize = 32;

/// A store in an arena of its own.
pub struct Store {
    pub tables: &'static mut Tables,
    pub path: CString,
    pub now: Now,
    /// Held slots that are used.
    pub capacity: usize,
    pub epoll: Epoll,
    listener: Fd,
    #[cfg(feature = "faults")]
    settings: Settings,
    server: Server,
}

impl Store {
    pub fn new() -> Store {
        Store::with_settings(Settings { clients_max: PLACES, ..Settings::default() })
    }

    pub fn with_settings(settings: Settings) -> Store {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = CString::new(format!("/tmp/linchpin-fdholder-{}-{number}", std::process::id())).unwrap();
        let tables = arena::open(Env::EMPTY).unwrap().0.tables;
        let epoll = Epoll::new().unwrap();
        let listener = listen(&path).unwrap();
        let now = Now { boot: 1_000_000_000, wall: Stamp::from_unix(1_700_000_000, 0) };
        let server = Server::new(listener, settings, &mut Records::of(tables), &epoll, &now).unwrap();
        Store {
            tables,
            path,
            now,
            capacity: usize::MAX,
            epoll,
            listener,
            #[cfg(feature = "faults")]
            settings,
            server,
        }
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Server, &mut Records, &Epoll, &Now) -> T) -> T {
        let header = &mut self.tables.header;
        let capacity = self.capacity.min(self.tables.held.len());
        let mut records = Records {
            held: super::table::Table::new(&mut self.tables.held[..capacity], &mut header.held_top),
            clients: &mut self.tables.clients,
            top: &mut header.clients_top,
            next_generation: &mut header.next_generation,
            allows: &self.tables.allows,
            rules: None,
            pending: &[],
            transfer: &mut self.tables.transfer,
        };
        work(&mut self.server, &mut records, &self.epoll, &self.now)
    }

    /// One turn of the loop, without waiting; answers how many events there were.
    pub fn turn(&mut self) -> usize {
        let mut events = Events::new();
        let n = self.epoll.wait(&mut events, Some(0)).unwrap();
        for (token, _) in &events[..n] {
            self.with(|server, records, epoll, now| match token.kind {
                LISTENER_KIND => server.accept(records, epoll, now),
                CLIENT_KIND => {
                    server.client_ready(token.slot, token.generation, records, epoll, now);
                }
                other => panic!("an event of kind {other}"),
            });
        }
        n
    }

    /// Turns until nothing is left to do but to wait.
    pub fn settle(&mut self) {
        let mut turns = 0;
        while self.turn() > 0 {
            turns += 1;
            assert!(turns < 100_000, "the loop spins");
        }
    }

    /// Lets time pass on both clocks.
    pub fn pass_without_events(&mut self, nanos: u64) {
        self.now.boot += nanos;
        self.now.wall = self.now.wall.plus(nanos);
    }

    /// Lets time pass on both clocks, and does what is due then.
    pub fn pass(&mut self, nanos: u64) {
        self.pass_without_events(nanos);
        self.with(|server, records, epoll, now| server.expire(records, epoll, now));
        self.settle();
    }

    /// Nanoseconds until something is due.
    pub fn due(&mut self) -> Option<u64> {
        self.with(|server, records, _, now| server.next_deadline(records, now).map(|at| at.saturating_sub(now.boot)))
    }

    /// Pages that the arena has.
    pub fn pages(&self) -> u64 {
        rustix::fs::fstat(Fd(self.tables.header.arena_fd)).unwrap().st_blocks as u64 / 8
    }

    pub fn clients(&self) -> usize {
        self.tables.clients.iter().take(self.tables.header.clients_top as usize).filter(|c| c.used != 0).count()
    }

    pub fn held(&mut self) -> Vec<Vec<u8>> {
        self.with(|_, records, _, _| records.held.iter().map(|(_, held)| super::table::name(held).to_vec()).collect())
    }

    pub fn connect(&mut self) -> Peer {
        let peer = Peer(unix::connect(&self.path, None).unwrap());
        self.settle();
        peer
    }

    /// A limit so many seconds from now.
    pub fn limit(&self, seconds: u64) -> Stamp {
        Stamp { sec: self.now.wall.sec + seconds, nano: self.now.wall.nano }
    }

    /// Lets `peer` ask, and answers what it is answered: the payload.
    pub fn ask(&mut self, peer: &Peer, request: &Request<'_>, fds: &[Fd]) -> Vec<u8> {
        peer.request(request, fds);
        self.settle();
        peer.answer().0
    }

    /// Stores `fd` for good.
    pub fn store(&mut self, peer: &Peer, id: &[u8], fd: Fd) -> u8 {
        let limit = self.limit(1 << 40);
        self.ask(peer, &Request::Store(Entry { limit, id }), &[fd])[0]
    }

    /// Makes a client's queue full: has it send lists until no answer comes; answers how many. It is the last that
    /// connected.
    pub fn clog(&mut self, peer: &Peer) -> usize {
        let mut asked = 0;
        let slot = self.tables.clients.iter().rposition(|client| client.used != 0).unwrap();
        while self.tables.clients[slot].reply_len == 0 {
            peer.send(b"\0\0\0\x01\0\0L", &[]).unwrap();
            asked += 1;
            self.settle();
        }
        asked
    }

    /// Deletes everything, as a client.
    pub fn let_go_of_all(&mut self) {
        let peer = self.connect();
        for id in self.held() {
            assert_eq!(self.ask(&peer, &Request::Delete(&id), &[]), [0]);
        }
    }

    /// Whether the store still works for others.
    pub fn works(&mut self) -> bool {
        let peer = self.connect();
        self.ask(&peer, &Request::Delete(b"no such name"), &[]) == [2]
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for client in &self.tables.clients[..self.tables.header.clients_top as usize] {
            if client.used != 0 {
                Fd(client.fd).close();
            }
        }
        for mut fd in [self.listener, self.epoll.fd(), Fd(self.tables.header.arena_fd)] {
            fd.close();
        }
        // Its memory stays mapped.
        crate::sys::memory::release(zerocopy::IntoBytes::as_mut_bytes(self.tables));
        let _ = std::fs::remove_file(self.path.to_str().unwrap());
    }
}

/// The other end of a connection.
pub struct Peer(pub Fd);

impl Peer {
    pub fn send(&self, bytes: &[u8], fds: &[Fd]) -> Result<usize, Errno> {
        socket::send(self.0, bytes, fds)
    }

    pub fn request(&self, request: &Request<'_>, fds: &[Fd]) {
        let mut buf = [0; 400];
        let bytes = request.encode(&mut buf).unwrap();
        assert_eq!(self.send(bytes, fds), Ok(bytes.len()));
    }

    /// What is there, up to `n` bytes; EAGAIN: nothing.
    pub fn receive(&self, n: usize) -> Result<(Vec<u8>, Vec<Fd>), Errno> {
        let (mut bytes, mut fds) = (vec![0; n], [Fd::NONE; socket::MAX_FDS]);
        let got = socket::receive(self.0, &mut bytes, &mut fds)?;
        assert!(!got.fds_lost);
        bytes.truncate(got.bytes);
        Ok((bytes, fds[..got.fds].to_vec()))
    }

    /// One answer that is there: its payload and descriptors.
    pub fn answer(&self) -> (Vec<u8>, Vec<Fd>) {
        let (head, fds) = self.receive(HEADER).expect("an answer");
        let (length, takes) = header(&head).expect("not the end of the connection");
        assert_eq!(takes, fds.len());
        let mut payload = Vec::new();
        while payload.len() < length {
            let (more, none) = self.receive(length - payload.len()).expect("all of an answer");
            assert!(!more.is_empty() && none.is_empty());
            payload.extend(more);
        }
        (payload, fds)
    }

    /// Whether the store has closed the connection, and all it sent before is read.
    pub fn ended(&self) -> bool {
        match self.receive(1) {
            Ok((bytes, _)) => bytes.is_empty(),
            Err(e) => e == Errno::CONNRESET,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A pipe whose writing end is given away: its reading end tells whether anybody still has it.
pub struct Witness {
    read: Fd,
    pub write: Fd,
}

impl Witness {
    pub fn new() -> Witness {
        let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
        let (read, write) = rustix::pipe::pipe_with(flags).unwrap();
        Witness { read: Fd::from_owned(read), write: Fd::from_owned(write) }
    }

    /// Whether every writing end but our own is closed. Our own is closed from now on.
    pub fn alone(&mut self) -> bool {
        self.write.close();
        rustix::io::read(self.read, &mut [0; 1]) == Ok(0)
    }

    /// Whether `fd` is a writing end of this very pipe; closes it.
    pub fn is(&self, mut fd: Fd) -> bool {
        let wrote = rustix::io::write(fd, b"!");
        fd.close();
        wrote == Ok(1) && rustix::io::read(self.read, &mut [0; 1]) == Ok(1)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.read.close();
        self.write.close();
    }
}
