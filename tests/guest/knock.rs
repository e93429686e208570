//! `knock`: a web server's impatient visitors, for checks inside the guest. It runs where there is no libc, and no time
//! to start a program for each connection, so it is built as linchpin is.
//!
//! * `knock get ADDRESS` asks for the start page once and prints the answer. Exit code 1: there was none.
//! * `knock storm KILLS SERVICEDIR ADDRESS...` keeps visitors coming over all addresses, and meanwhile kills the service
//!   so many times. Exit code 1: somebody was turned away.
//!
//! What process 1 owes a visitor is the queue: a connection that the kernel has taken for a socket that process 1 holds
//! waits there, whatever becomes of the daemon. A connection that the daemon has accepted is the daemon's own, and
//! the kernel resets it when the daemon dies; no supervisor could help that. So that every lost connection is a fault,
//! each kill goes like this:
//!
//! 1. No more visitors come until all are answered: the daemon has accepted nobody whom it has not served.
//! 2. SIGSTOP, and wait until it is stopped: from now on it accepts nobody.
//! 3. Visitors connect and ask. They are all in the queue.
//! 4. SIGKILL. More visitors come while it dies, while it is dead and while it starts.
//! 5. As soon as the supervisor says that it is dead, order it up: that skips the second between two starts.
//! 6. Every visitor must get the whole page, from the next incarnation. Only then the next kill.
#![no_std]
#![no_main]

#[path = "../../src/arch/entry.rs"]
mod entry;
mod victim;

use core::ffi::CStr;
use core::fmt::Write;
use core::time::Duration;
use linchpin::log::Line;
use linchpin::socket::Address;
use linchpin::sys::args::Args;
use linchpin::sys::time::{self, MILLI, Nanos, SECOND};
use linchpin::sys::{Errno, Fd, file, listener};
use linchpin::text::CPath;
use linchpin::text::number::parse_u32;
use linchpin::text::quote::Printable;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{self, SocketAddrUnix};
use victim::Victim;

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// The end of the page in rootfs/var/www: who got it got everything.
const MARKER: &[u8] = b"will be there after it.\n";
/// Addresses that a storm may have.
const ADDRESSES: usize = 4;
/// Visitors at a time while the daemon runs, and again as many before it is killed.
const VISITORS: usize = 8;
/// Those, and as many who come while it is dead.
const CROWD: usize = 2 * VISITORS;
/// Nobody waits longer than this, for a visitor, for the daemon to stop, for the supervisor.
const PATIENCE: Nanos = 10 * SECOND;
/// The whole storm must be over by then.
const STORM: Nanos = 120 * SECOND;

fn main(args: Args) -> i32 {
    let word = |i| args.get(i).map(CStr::to_bytes);
    let done = match (word(1), word(2), args.get(3)) {
        (Some(b"get"), Some(address), None) => get(address),
        (Some(b"storm"), Some(kills), Some(service)) if args.len() > 4 => storm(kills, service, args.skip(4)),
        _ => Err("usage: knock get ADDRESS | knock storm KILLS SERVICEDIR ADDRESS..."),
    };
    done.unwrap_or_else(|why| {
        say(Fd::STDERR, format_args!("{why}"));
        2
    })
}

fn say(to: Fd, text: core::fmt::Arguments<'_>) {
    let mut line = Line::<300>::new();
    let _ = write!(line, "knock: {text}");
    let _ = file::write_all(to, line.finish("\n").as_bytes());
}

fn get(address: &[u8]) -> Result<i32, &'static str> {
    let address = Address::parse(address).map_err(|wrong| wrong.text())?;
    let mut visitor = match Visitor::knock(&address) {
        Ok(visitor) => visitor,
        Err(e) => {
            say(Fd::STDERR, format_args!("{address}: errno {}", e.raw_os_error()));
            return Ok(1);
        }
    };
    let end = loop {
        wait(core::slice::from_ref(&visitor), PATIENCE);
        if let Some(end) = visitor.look() {
            break end;
        }
    };
    let _ = file::write_all(Fd::STDOUT, visitor.answer());
    Ok(i32::from(end != End::Answered))
}

/// How a visit ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    /// Reset, or closed before the whole page had come.
    Lost,
    TimedOut,
}

/// Somebody who has connected and asked.
struct Visitor {
    fd: Fd,
    since: Nanos,
    answer: [u8; 2048],
    len: usize,
}

impl Visitor {
    /// Connects, which may wait for a place in the queue, and asks.
    fn knock(address: &Address<'_>) -> Result<Visitor, Errno> {
        let family = match address {
            Address::Path(_) | Address::Abstract(_) => listener::Family::Unix,
            Address::Tcp(host) | Address::Udp(host) if host.ip.is_ipv4() => listener::Family::V4,
            _ => listener::Family::V6,
        };
        let mut fd = listener::create(family, listener::Kind::Stream, false)?;
        let done = ask(fd, address);
        if let Err(e) = done {
            fd.close();
            return Err(e);
        }
        Ok(Visitor { fd, since: time::boot(), answer: [0; 2048], len: 0 })
    }

    fn answer(&self) -> &[u8] {
        self.answer.get(..self.len).unwrap_or_default()
    }

    /// Reads what has come. Says how it ended, if it has.
    fn look(&mut self) -> Option<End> {
        let room = self.answer.get_mut(self.len..).unwrap_or_default();
        let end = match rustix::io::read(self.fd, room) {
            Ok(n) if n > 0 => {
                self.len += n;
                return None;
            }
            Err(Errno::AGAIN | Errno::INTR) if time::boot() < self.since + PATIENCE => return None,
            Err(Errno::AGAIN | Errno::INTR) => End::TimedOut,
            Ok(_) if self.answer().ends_with(MARKER) => End::Answered,
            Ok(_) | Err(_) => End::Lost,
        };
        self.fd.close();
        Some(end)
    }
}

fn ask(fd: Fd, address: &Address<'_>) -> Result<(), Errno> {
    set_socket_timeout(fd, Timeout::Send, Some(Duration::from_nanos(PATIENCE)))?;
    match address {
        Address::Path(path) => net::connect(fd, &SocketAddrUnix::new(CPath::<128>::of(&[path]).path()?)?),
        Address::Abstract(name) => net::connect(fd, &SocketAddrUnix::new_abstract_name(name)?),
        Address::Tcp(host) | Address::Udp(host) => net::connect(fd, &host.ip),
        Address::Netlink { .. } => Err(Errno::AFNOSUPPORT),
    }?;
    net::send(fd, REQUEST, net::SendFlags::NOSIGNAL)?;
    fd.set_nonblocking(true)
}

/// Waits until one of these can be looked at, at most so long.
fn wait<'a>(visitors: impl IntoIterator<Item = &'a Visitor>, limit: Nanos) {
    let mut polled = heapless::Vec::<PollFd<'_>, CROWD>::new();
    for visitor in visitors {
        let _ = polled.push(PollFd::new(&visitor.fd, PollFlags::IN));
    }
    let limit = Timespec { tv_sec: (limit / SECOND) as _, tv_nsec: (limit % SECOND) as _ };
    let _ = rustix::event::poll(&mut polled, Some(&limit));
}

/// The visitors, and what became of all who came.
struct Storm<'a> {
    addresses: heapless::Vec<Address<'a>, ADDRESSES>,
    crowd: heapless::Vec<Visitor, CROWD>,
    came: usize,
    answered: usize,
    refused: usize,
    lost: usize,
    timed_out: usize,
    deadline: Nanos,
}

impl Storm<'_> {
    /// One more comes, through the next door.
    fn come(&mut self) {
        let Some(address) = self.addresses.get(self.came % self.addresses.len().max(1)) else { return };
        if self.crowd.is_full() {
            return;
        }
        match Visitor::knock(address) {
            Ok(visitor) => drop(self.crowd.push(visitor)),
            Err(Errno::AGAIN | Errno::INPROGRESS) => self.timed_out += 1,
            Err(Errno::CONNRESET | Errno::PIPE) => self.lost += 1,
            Err(e) => {
                say(Fd::STDERR, format_args!("{address}: errno {}", e.raw_os_error()));
                self.refused += 1;
            }
        }
        self.came += 1;
    }

    /// Waits for something to happen, at most so long, and sees to those who have an answer.
    fn attend(&mut self, limit: Nanos) -> Result<(), &'static str> {
        wait(&self.crowd, limit);
        let mut at = 0;
        while let Some(visitor) = self.crowd.get_mut(at) {
            match visitor.look() {
                None => {
                    at += 1;
                    continue;
                }
                Some(End::Answered) => self.answered += 1,
                Some(End::Lost) => self.lost += 1,
                Some(End::TimedOut) => self.timed_out += 1,
            }
            let _ = self.crowd.swap_remove(at);
        }
        if time::boot() > self.deadline { Err("the storm lasts too long") } else { Ok(()) }
    }

    /// Ordinary business: visitors keep coming until so many were answered.
    fn business(&mut self, count: usize) -> Result<(), &'static str> {
        let enough = self.answered + count;
        while self.answered < enough {
            if self.failures() > 0 {
                return Ok(());
            }
            if self.crowd.len() < VISITORS { self.come() } else { self.attend(PATIENCE)? }
        }
        Ok(())
    }

    /// Nobody comes until all are gone.
    fn drain(&mut self) -> Result<(), &'static str> {
        while !self.crowd.is_empty() {
            self.attend(PATIENCE)?;
        }
        Ok(())
    }

    /// Steps 1 to 5 of the above. Answers how long it took until somebody was answered again.
    fn kill(&mut self, daemon: &Victim) -> Result<Nanos, &'static str> {
        self.drain()?;
        let pid = daemon.stop()?;
        for _ in 0..VISITORS {
            self.come();
        }
        let killed = time::boot();
        daemon.replace(pid, || {
            self.come();
            self.attend(MILLI)
        })?;
        let before = self.answered;
        while self.answered == before && !self.crowd.is_empty() {
            self.come();
            self.attend(10 * MILLI)?;
        }
        Ok(time::boot() - killed)
    }

    fn failures(&self) -> usize {
        self.refused + self.lost + self.timed_out
    }
}

fn storm(kills: &[u8], service: &CStr, words: Args) -> Result<i32, &'static str> {
    let kills = parse_u32(kills).ok_or("KILLS must be a number")?;
    let begin = time::boot();
    let mut storm = Storm {
        addresses: heapless::Vec::new(),
        crowd: heapless::Vec::new(),
        came: 0,
        answered: 0,
        refused: 0,
        lost: 0,
        timed_out: 0,
        deadline: begin + STORM,
    };
    for i in 0..words.len() {
        let word = words.get(i).map(CStr::to_bytes).unwrap_or_default();
        let address = Address::parse(word).map_err(|wrong| wrong.text())?;
        storm.addresses.push(address).map_err(|_| "too many addresses")?;
    }
    let daemon = Victim::of(service, PATIENCE)?;
    let (mut done, mut slowest, mut total) = (0, 0, 0);
    let mut trouble = "";
    for _ in 0..kills {
        match storm.business(VISITORS).and_then(|()| storm.kill(&daemon)) {
            Ok(gap) => {
                (slowest, total) = (slowest.max(gap), total + gap);
                done += 1;
            }
            Err(why) => trouble = why,
        }
        if storm.failures() > 0 || !trouble.is_empty() {
            break;
        }
    }
    if let (Err(why), true) = (storm.drain(), trouble.is_empty()) {
        trouble = why;
    }
    if !trouble.is_empty() {
        say(Fd::STDERR, format_args!("{}", Printable(trouble.as_bytes())));
    }
    let average = total / MILLI / Nanos::from(done.max(1));
    say(Fd::STDOUT, format_args!("answered again after {average} ms on average, {} ms at most", slowest / MILLI));
    let Storm { came, answered, refused, lost, timed_out, .. } = storm;
    say(
        Fd::STDOUT,
        format_args!(
            "{done} kills, {came} connections, {answered} answered, {refused} refused, {lost} lost, {timed_out} timed out"
        ),
    );
    let good = done == kills && answered == came && trouble.is_empty();
    Ok(i32::from(!good))
}
