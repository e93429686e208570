//! `resolve`: a name server's impatient clients, over UDP, for checks inside the guest. It is built as linchpin is.
//!
//! * `resolve ask COUNT ADDRESS...` sends so many queries, over all addresses in turn, says that it has, and waits until
//!   each has its answer. Exit code 1: one had none.
//! * `resolve storm KILLS SERVICEDIR ADDRESS...` keeps asking, and meanwhile kills the service so many times. Exit code 1:
//!   a query was lost.
//!
//! Every query is for a name of its own, and is sent once: a resolver would ask again, and hide that a query was lost. What
//! process 1 owes a client is the queue: a datagram that the kernel has put into a socket that process 1 holds waits there,
//! whatever becomes of the daemon. One that the daemon has read dies with it. So that every lost query is a fault, each kill
//! goes like this:
//!
//! 1. No more queries are sent until all are answered: the daemon has read none that it has not answered.
//! 2. SIGSTOP, and wait until it is stopped: from now on it reads nothing.
//! 3. Queries are sent. They are all in the queue.
//! 4. SIGKILL. More queries are sent while it dies, while it is dead and while it starts.
//! 5. Each must get its answer, once, from the next incarnation. Only then the next kill.
#![no_std]
#![no_main]

#[path = "../../src/arch/entry.rs"]
mod entry;
mod victim;

use core::ffi::CStr;
use core::fmt::Write;
use linchpin::log::Line;
use linchpin::socket::Address;
use linchpin::sys::args::Args;
use linchpin::sys::time::{self, MILLI, Nanos, SECOND};
use linchpin::sys::{Errno, Fd, file, listener};
use linchpin::text::number::parse_u32;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net;
use victim::Victim;

/// Under this name there is an address record for whatever is asked: see tests/guest/network/etc/unbound.conf.
const DOMAIN: &[u8] = b"\x05board\x04test\0";
/// That record's address.
const ADDRESS: [u8; 4] = [192, 0, 2, 7];
/// Record type A, class IN.
const A_IN: [u8; 4] = [0, 1, 0, 1];
/// Longest query and answer here; longer ones do not fit into a datagram without extensions.
const DATAGRAM: usize = 512;
/// Addresses that are asked, at most.
const ADDRESSES: usize = 4;
/// Queries that wait at a time, at most: fewer than a socket's queue of the kernel's default size takes.
const CROWD: usize = 256;
/// Those that wait at a time while the daemon runs.
const BUSINESS: usize = 16;
/// Those that are sent before it is killed, and as many again while it is dead.
const QUEUED: usize = CROWD / 4;
/// No query waits longer than this for its answer: a daemon that an emulator starts takes seconds.
const PATIENCE: Nanos = 30 * SECOND;

fn main(args: Args) -> i32 {
    let word = |i| args.get(i).map(CStr::to_bytes);
    let done = match (word(1), word(2), args.get(3)) {
        (Some(b"ask"), Some(count), Some(_)) => ask(count, args.skip(3)),
        (Some(b"storm"), Some(kills), Some(service)) if args.len() > 4 => storm(kills, service, args.skip(4)),
        _ => Err("usage: resolve ask COUNT ADDRESS... | resolve storm KILLS SERVICEDIR ADDRESS..."),
    };
    done.unwrap_or_else(|why| {
        say(format_args!("{why}"));
        2
    })
}

fn say(text: core::fmt::Arguments<'_>) {
    let mut line = Line::<300>::new();
    let _ = write!(line, "resolve: {text}");
    let _ = file::write_all(Fd::STDOUT, line.finish("\n").as_bytes());
}

/// The query of this number: its identifier is the number, and so is the name that it asks for.
fn query(number: u16) -> heapless::Vec<u8, DATAGRAM> {
    let mut label = heapless::String::<8>::new();
    let _ = write!(label, "q{number}");
    let [high, low] = number.to_be_bytes();
    let mut query = heapless::Vec::new();
    // Recursion is desired; one question, nothing else.
    let header = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8];
    for part in [&header, label.as_bytes(), DOMAIN, &A_IN] {
        let _ = query.extend_from_slice(part);
    }
    query
}

/// The number of the query that this is the right answer to.
fn answered(answer: &[u8]) -> Option<u16> {
    let (header, rest) = answer.split_first_chunk::<12>()?;
    let [high, low, flags, code, counts @ ..] = *header;
    let number = u16::from_be_bytes([high, low]);
    let asked = query(number);
    let record = rest.strip_prefix(asked.get(12..)?)?;
    // A whole answer (not cut off), without an error, with one record.
    let good = flags & 0x82 == 0x80 && code & 15 == 0 && counts.starts_with(&[0, 1, 0, 1]);
    // Its name is that of the question, by reference; the record is of the type, and its four bytes are the address.
    let [named, kind, data] = [record.get(..2)?, record.get(2..6)?, record.get(10..)?];
    let right = named == [0xc0, 12] && kind == A_IN && data.strip_prefix(&[0, 4]) == Some(&ADDRESS);
    (good && right).then_some(number)
}

/// All queries, and what became of them.
struct Queries {
    sockets: heapless::Vec<Fd, ADDRESSES>,
    /// Numbers of those without answer.
    waiting: heapless::Vec<u16, CROWD>,
    sent: usize,
    answered: usize,
    /// The kernel has said that nobody listens.
    refused: usize,
    /// Answers to what was not asked, second ones, wrong ones.
    strange: usize,
    /// When something last came.
    heard: Nanos,
}

impl Queries {
    /// A socket for each address, which hears from that address only, and that nobody listens there.
    fn to(addresses: Args) -> Result<Queries, &'static str> {
        let mut sockets = heapless::Vec::new();
        for i in 0..addresses.len() {
            let word = addresses.get(i).map(CStr::to_bytes).unwrap_or_default();
            let Address::Udp(host) = Address::parse(word).map_err(|wrong| wrong.text())? else {
                return Err("addresses must be udp:IP:PORT");
            };
            let family = if host.ip.is_ipv4() { listener::Family::V4 } else { listener::Family::V6 };
            let socket =
                listener::create(family, listener::Kind::Datagram, true).map_err(|_| "cannot make a socket")?;
            net::connect(socket, &host.ip).map_err(|_| "there is no way to that address")?;
            sockets.push(socket).map_err(|_| "too many addresses")?;
        }
        let heard = time::boot();
        Ok(Queries { sockets, waiting: heapless::Vec::new(), sent: 0, answered: 0, refused: 0, strange: 0, heard })
    }

    /// Sends one more, to the next address.
    fn ask(&mut self) -> Result<(), &'static str> {
        let number = u16::try_from(self.sent).map_err(|_| "there are no more numbers for queries")?;
        let socket = self.sockets.get(self.sent % self.sockets.len().max(1)).ok_or("no address")?;
        // An error that is told here is that of an earlier query.
        while let Err(e) = net::send(socket, &query(number), net::SendFlags::NOSIGNAL) {
            match e {
                Errno::CONNREFUSED => self.refused += 1,
                _ => return Err("cannot send"),
            }
        }
        self.sent += 1;
        self.waiting.push(number).map_err(|_| "too many queries wait")
    }

    /// Waits until something comes, at most so long, and reads all that has come.
    fn hear(&mut self, limit: Nanos) -> Result<(), &'static str> {
        let mut polled = heapless::Vec::<PollFd<'_>, ADDRESSES>::new();
        for socket in &self.sockets {
            let _ = polled.push(PollFd::new(socket, PollFlags::IN));
        }
        let limit = Timespec { tv_sec: (limit / SECOND) as _, tv_nsec: (limit % SECOND) as _ };
        let _ = rustix::event::poll(&mut polled, Some(&limit));
        drop(polled);
        let mut room = [0; DATAGRAM];
        for socket in &self.sockets {
            loop {
                match net::recv(socket, &mut room, net::RecvFlags::DONTWAIT) {
                    Ok((_, len)) => {
                        let number = room.get(..len).and_then(answered);
                        let at = self.waiting.iter().position(|waiting| Some(*waiting) == number);
                        match at {
                            Some(at) => drop(self.waiting.swap_remove(at)),
                            None => self.strange += 1,
                        }
                        self.answered += usize::from(at.is_some());
                        self.heard = time::boot();
                    }
                    Err(Errno::CONNREFUSED) => self.refused += 1,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    Err(_) => return Err("cannot receive"),
                }
            }
        }
        Ok(())
    }

    /// Until all are answered, one is refused, or nothing comes any more.
    fn settle(&mut self) -> Result<(), &'static str> {
        self.heard = time::boot();
        while !self.waiting.is_empty() && self.refused == 0 && time::boot() < self.heard + PATIENCE {
            self.hear(SECOND)?;
        }
        Ok(())
    }

    fn good(&self) -> bool {
        self.answered == self.sent && self.refused + self.strange == 0
    }

    /// Steps 1 to 5 of the above. Answers how long it took until one was answered again.
    fn kill(&mut self, daemon: &Victim) -> Result<Nanos, &'static str> {
        for _ in 0..4 {
            while self.waiting.len() < BUSINESS {
                self.ask()?;
            }
            self.hear(SECOND)?;
        }
        self.settle()?;
        let pid = daemon.stop()?;
        for _ in 0..QUEUED {
            self.ask()?;
        }
        let before = self.answered;
        let killed = time::boot();
        let mut more = QUEUED;
        daemon.replace(pid, || {
            if more > 0 {
                more -= 1;
                self.ask()?;
            }
            self.hear(MILLI)
        })?;
        for _ in 0..more {
            self.ask()?;
        }
        self.heard = time::boot();
        while self.answered == before && self.refused == 0 && time::boot() < self.heard + PATIENCE {
            self.hear(SECOND)?;
        }
        let gap = time::boot() - killed;
        self.settle().map(|()| gap)
    }

    /// Says what became of them. The exit code.
    fn tell(&self, before: core::fmt::Arguments<'_>) -> i32 {
        let Queries { sent, answered, refused, strange, .. } = self;
        let lost = self.waiting.len();
        say(format_args!(
            "{before}{sent} queries, {answered} answered, {refused} refused, {lost} lost, {strange} answered strangely"
        ));
        i32::from(!self.good())
    }
}

fn ask(count: &[u8], addresses: Args) -> Result<i32, &'static str> {
    let count = parse_u32(count).ok_or("COUNT must be a number")?;
    let mut queries = Queries::to(addresses)?;
    for _ in 0..count {
        queries.ask()?;
    }
    say(format_args!("{count} queries are sent"));
    queries.settle()?;
    Ok(queries.tell(format_args!("")))
}

fn storm(kills: &[u8], service: &CStr, addresses: Args) -> Result<i32, &'static str> {
    let kills = parse_u32(kills).ok_or("KILLS must be a number")?;
    let daemon = Victim::of(service, PATIENCE)?;
    let mut queries = Queries::to(addresses)?;
    let (mut done, mut slowest, mut total) = (0, 0, 0);
    while done < kills && queries.good() {
        let gap = queries.kill(&daemon)?;
        (slowest, total) = (slowest.max(gap), total + gap);
        done += 1;
    }
    let average = total / MILLI / Nanos::from(done.max(1));
    say(format_args!("answered again after {average} ms on average, {} ms at most", slowest / MILLI));
    let code = queries.tell(format_args!("{done} kills, "));
    Ok(if done == kills { code } else { 1 })
}
