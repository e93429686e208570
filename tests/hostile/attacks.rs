//! What hostile clients do, each until it is told to stop. They have all rights: what only strangers try is refused at once.

use crate::supervision::c_path;
use linchpin::fdholder::client::never;
use linchpin::fdholder::wire::{Entry, Request};
use linchpin::sys::{Fd, socket, time, unix};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// An attack, by name. It is run by several threads at a time, each with a number of its own.
pub type Attack = (&'static str, fn(&Attacker<'_>));

/// All of them.
pub const ALL: &[Attack] = &[
    ("oversized messages", oversized),
    ("truncated messages", truncated),
    ("wrong numbers of descriptors", wrong_counts),
    ("300 descriptors in one message", three_hundred),
    ("slow senders", slow),
    ("connect floods", connect_flood),
    ("silent clients in all places", silent),
    ("clients that never read", never_reading),
    ("identifiers of 0, 255 and 256 bytes, and of any", identifiers),
    ("pinned descriptors", pinned),
    ("clients that die inside a dump", dying_in_a_dump),
    ("endless dumps and lists", greedy),
];

/// One who attacks.
pub struct Attacker<'a> {
    pub path: &'a Path,
    pub stop: &'a AtomicBool,
    /// Counts what was done, so that a test knows that something was.
    pub done: &'a AtomicU64,
    pub number: usize,
}

impl Attacker<'_> {
    /// Does it again and again, on a new connection each time.
    fn repeat(&self, mut body: impl FnMut(&Connection, u64)) {
        for round in 0.. {
            if self.stop.load(Relaxed) {
                break;
            }
            if let Some(connection) = self.connect() {
                body(&connection, round);
                self.done.fetch_add(1, Relaxed);
            }
        }
    }

    fn connect(&self) -> Option<Connection> {
        unix::connect(&c_path(self.path), Some(time::boot() + 200 * time::MILLI)).ok().map(Connection)
    }

    /// A name that the honest do not use.
    fn name(&self, round: u64) -> Vec<u8> {
        format!("evil {} {}", self.number, round % 200).into_bytes()
    }
}

/// A connection, closed when it is dropped.
struct Connection(Fd);

impl Connection {
    fn send(&self, bytes: &[u8], fds: &[Fd]) -> bool {
        socket::send(self.0, bytes, fds).is_ok_and(|sent| sent == bytes.len())
    }

    /// Reads what is there and closes what came with it; whether the connection is still good.
    fn drain(&self) -> bool {
        let (mut buf, mut fds) = ([0; 4096], [Fd::NONE; socket::MAX_FDS]);
        let got = socket::receive(self.0, &mut buf, &mut fds);
        fds.iter_mut().for_each(Fd::close);
        match got {
            Ok(got) => got.bytes > 0,
            Err(e) => e == linchpin::sys::Errno::AGAIN,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn header(length: u32, fds: u16) -> Vec<u8> {
    [&length.to_be_bytes()[..], &fds.to_be_bytes()].concat()
}

fn message(request: &Request<'_>) -> Vec<u8> {
    request.encode(&mut vec![0; 100_000]).unwrap().to_vec()
}

fn store(id: &[u8]) -> Vec<u8> {
    message(&Request::Store(Entry { limit: never(), id }))
}

/// A message of a dump with so many entries.
fn dump(attacker: &Attacker<'_>, count: usize) -> Vec<u8> {
    let mut payload = b".".to_vec();
    for n in 0..count {
        let id = format!("evil {} dump {n}", attacker.number);
        payload.extend(never().to_bytes());
        payload.push(id.len() as u8);
        payload.extend(id.as_bytes());
        payload.push(0);
    }
    [header(payload.len() as u32, count as u16), payload].concat()
}

fn pause() {
    std::thread::sleep(Duration::from_millis(1));
}

fn oversized(attacker: &Attacker<'_>) {
    let filler = vec![b'x'; 60_000];
    attacker.repeat(|connection, round| {
        let length = [u32::MAX, 1 << 28, (1 << 28) + 1, 68_060, 68_059, 0][round as usize % 6];
        connection.send(&header(length, 0), &[]);
        while connection.send(&filler, &[]) && connection.drain() {}
    });
}

fn truncated(attacker: &Attacker<'_>) {
    let whole = [store(b"evil"), message(&Request::List), message(&Request::Delete(b"evil")), dump(attacker, 3)];
    attacker.repeat(|connection, round| {
        let message = &whole[round as usize % 4];
        let end = 1 + (round as usize / 4) % (message.len() - 1);
        connection.send(&message[..end], &[Fd(0)][..usize::from(round % 3 == 0)]);
        if round % 5 == 0 {
            connection.drain();
        }
    });
}

fn wrong_counts(attacker: &Attacker<'_>) {
    let fds = [Fd(0); socket::MAX_FDS];
    attacker.repeat(|connection, round| {
        let mut bytes = store(&attacker.name(round));
        match round % 5 {
            0 => connection.send(&bytes, &[]),
            1 => connection.send(&bytes, &fds[..2]),
            2 => connection.send(&message(&Request::List), &fds),
            3 => {
                bytes[4..6].copy_from_slice(&253u16.to_be_bytes());
                connection.send(&bytes, &fds)
            }
            _ => {
                bytes[4..6].copy_from_slice(&u16::MAX.to_be_bytes());
                connection.send(&bytes, &fds)
            }
        };
        connection.drain();
    });
}

fn three_hundred(attacker: &Attacker<'_>) {
    let fds = [Fd(0); 150];
    attacker.repeat(|connection, round| {
        let count = [300, 253][round as usize % 2];
        let bytes = dump(attacker, 253);
        let start = [header(4, 0), b"!\0\0\x01".to_vec(), vec![0x2c]].concat();
        let mut first = bytes[..bytes.len() / 2].to_vec();
        first[4..6].copy_from_slice(&(count as u16).to_be_bytes());
        if round % 3 > 0 {
            connection.send(&[header(5, 0), b"!\0\0\x01\x2c".to_vec()].concat(), &[]);
        } else {
            connection.send(&start, &[]);
        }
        connection.send(&first, &fds);
        connection.send(&bytes[bytes.len() / 2..], &fds);
        connection.drain();
    });
}

fn slow(attacker: &Attacker<'_>) {
    let bytes = dump(attacker, 253);
    let fds = [Fd(0); 100];
    while !attacker.stop.load(Relaxed) {
        let mut connections: Vec<_> = (0..6).filter_map(|_| attacker.connect()).collect();
        connections.iter().for_each(|connection| {
            connection.send(&[header(5, 0), b"!\0\0\x01\0".to_vec()].concat(), &[]);
        });
        for (n, byte) in bytes.iter().enumerate() {
            connections.retain(|connection| connection.send(&[*byte], if n == 0 { &fds } else { &[] }));
            attacker.done.fetch_add(1, Relaxed);
            if attacker.stop.load(Relaxed) || connections.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

fn connect_flood(attacker: &Attacker<'_>) {
    let mut held = Vec::new();
    for round in 0u64.. {
        if attacker.stop.load(Relaxed) {
            break;
        }
        held.extend(attacker.connect());
        if held.len() > 10 {
            held.drain(..if round % 64 == 0 { 11 } else { 1 });
        }
        attacker.done.fetch_add(1, Relaxed);
    }
}

/// More connections than the store has places, on which nothing is said.
fn silent(attacker: &Attacker<'_>) {
    let mut held = Vec::new();
    while !attacker.stop.load(Relaxed) {
        held.extend(attacker.connect());
        if held.len() > 200 {
            held.remove(0);
            pause();
        }
        attacker.done.fetch_add(1, Relaxed);
    }
}

fn never_reading(attacker: &Attacker<'_>) {
    let mut requests = Vec::new();
    for _ in 0..50 {
        requests.extend(message(&Request::List));
        requests.extend(message(&Request::Retrieve(b"honest 1", false)));
        requests.extend(message(&Request::GetDump));
    }
    while !attacker.stop.load(Relaxed) {
        let connections: Vec<_> = (0..6).filter_map(|_| attacker.connect()).collect();
        for _ in 0..100 {
            connections.iter().for_each(|connection| {
                connection.send(&requests, &[]);
            });
            attacker.done.fetch_add(1, Relaxed);
            if attacker.stop.load(Relaxed) {
                break;
            }
            pause();
        }
    }
}

fn identifiers(attacker: &Attacker<'_>) {
    attacker.repeat(|connection, round| {
        let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let random: Vec<u8> = (0..255).map(|_| byte()).collect();
        let limit = never().to_bytes();
        let raw = |length: u8, id: &[u8]| {
            let payload = [&b"S"[..], &limit, &[length], id, &[0]].concat();
            [header(payload.len() as u32, 1), payload].concat()
        };
        let bytes = match round % 6 {
            0 => raw(0, b""),
            1 => raw(255, &random),
            2 => raw(255, &[&random[..], b"x"].concat()),
            3 => raw(1, b"\0"),
            4 => store(&[&b"evil "[..], &random[..200].iter().map(|b| b | 1).collect::<Vec<_>>()].concat()),
            _ => [message(&Request::Delete(&[b'e'; 255])), raw(5, &random[..5])].concat(),
        };
        connection.send(&bytes, &[Fd(0), Fd(0)][..1]);
        connection.drain();
    });
}

fn pinned(attacker: &Attacker<'_>) {
    let fds = [Fd(0); socket::MAX_FDS];
    while !attacker.stop.load(Relaxed) {
        let connections: Vec<_> = (0..8).filter_map(|_| attacker.connect()).collect();
        for connection in &connections {
            // All descriptors of a message of which the end never comes, and those of the next.
            connection.send(&[header(5, 0), b"!\0\0\x01\0".to_vec()].concat(), &[]);
            let bytes = dump(attacker, 253);
            connection.send(&bytes[..bytes.len() - 1], &fds);
            connection.drain();
            attacker.done.fetch_add(1, Relaxed);
        }
        for _ in 0..50 {
            if attacker.stop.load(Relaxed) {
                break;
            }
            pause();
        }
    }
}

fn dying_in_a_dump(attacker: &Attacker<'_>) {
    let fds = [Fd(0); socket::MAX_FDS];
    attacker.repeat(|connection, round| {
        match round % 3 {
            0 => {
                connection.send(&[header(5, 0), b"!\0\0\x01\x2c".to_vec()].concat(), &[]);
                let bytes = dump(attacker, 200);
                connection.send(&bytes, &fds[..200]);
                connection.send(&bytes[..bytes.len() / 2], &fds[..100]);
            }
            1 => {
                connection.send(&message(&Request::GetDump), &[]);
                connection.drain();
            }
            _ => {
                connection.send(&message(&Request::GetDump).repeat(20), &[]);
            }
        };
    });
}

fn greedy(attacker: &Attacker<'_>) {
    let requests =
        [message(&Request::GetDump), message(&Request::List), message(&Request::Info(0))].concat().repeat(20);
    attacker.repeat(|connection, _| {
        connection.send(&requests, &[]);
        for _ in 0..200 {
            if attacker.stop.load(Relaxed) || !connection.drain() {
                break;
            }
        }
    });
}
