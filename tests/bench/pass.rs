//! `pass`: what it costs to hand a descriptor to a store and to get it back, for `scripts/bench fdholder`. It is built as
//! linchpin is, so that starting it costs next to nothing.
//!
//! * `pass server SOCKET` is the floor: it keeps the one descriptor that it was sent last, and gives it to who asks for it.
//!   One system call for each thing that cannot be left out: accept, receive, send, close.
//! * `pass send SOCKET` sends it descriptor 0, `pass receive SOCKET IDENTITY` gets it back: the least that two programs
//!   can do.
//! * `pass is IDENTITY` looks whether descriptor 0 is the one that was stored: what fdholder-retrieve executes.
//! * `pass programs|connections|requests ROUNDS PAIRS (SOCKET STORE RETRIEVE)…` measures stores in turn, `-` for both
//!   programs being the floor: a program for each operation, a connection for each, or one connection for all. It prints a
//!   line for each round: nanoseconds for one pair of operations, store and retrieve, with each of the stores.
//! * `pass answer` writes one byte: what servers run for each connection in `scripts/bench connections`.
//!
//! Two descriptors are stored in turn, and each time the one that comes back must be the one that was stored.
#![no_std]
#![no_main]

#[path = "../../src/arch/entry.rs"]
mod entry;

use core::ffi::CStr;
use core::fmt::Write;
use core::mem::MaybeUninit;
use linchpin::fdholder::client::{Connection, never};
use linchpin::log::Line;
use linchpin::sys::args::{Args, Argv, Env};
use linchpin::sys::time::{self, Nanos, SECOND};
use linchpin::sys::{Fd, fd, file, process, unix};
use linchpin::text::number::parse_u32;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags,
};

/// What the descriptor is held as.
const ID: &CStr = c"unix:/run/service/example/s";
/// Stores that can be measured in one run.
const STORES: usize = 4;
/// Nobody waits longer than this for a store to come up.
const PATIENCE: Nanos = 10 * SECOND;

/// To the floor's server: this is all.
const LAST: u8 = 0;
/// To the floor's server: more will come over this connection.
const MORE: u8 = 1;

const WRONG: &str = "that is not the descriptor that was stored";

type Outcome<T> = Result<T, &'static str>;
/// Device and inode, as text: it goes through command lines.
type Identity = heapless::String<48>;

fn main(args: Args) -> i32 {
    let word = |i| args.get(i).map(CStr::to_bytes).unwrap_or_default();
    let done = match (word(1), args.get(2)) {
        (b"answer", _) => file::write_all(Fd::STDOUT, b".").map_err(|_| "nobody wants the answer"),
        (b"server", Some(socket)) => server(socket),
        (b"send", Some(socket)) => connect(socket).and_then(|fd| put(&fd, Fd::STDIN, LAST)),
        (b"receive", Some(socket)) => connect(socket).and_then(|fd| get(&fd, LAST)).and_then(|fd| is(fd, word(3))),
        (b"is", Some(identity)) => is(Fd::STDIN, identity.to_bytes()),
        (b"programs" | b"connections" | b"requests", Some(rounds)) => measure(args, rounds),
        _ => Err("usage: pass answer|server|send|receive|is|programs|connections|requests ..., see its source"),
    };
    match done {
        Ok(()) => 0,
        Err(why) => {
            say(Fd::STDERR, format_args!("pass: {why}\n"));
            2
        }
    }
}

fn say(to: Fd, text: core::fmt::Arguments<'_>) {
    let mut line = Line::<200>::new();
    let _ = line.write_fmt(text);
    let _ = file::write_all(to, line.finish("").as_bytes());
}

/// Ends with a NUL.
fn text(fd: Fd) -> Outcome<Identity> {
    let (dev, ino) = file::identity(fd).map_err(|_| "cannot fstat a descriptor")?;
    let mut text = Identity::new();
    write!(text, "{dev}:{ino}\0").map_err(|_| "the identity is too long")?;
    Ok(text)
}

fn is(fd: Fd, expected: &[u8]) -> Outcome<()> {
    let found = text(fd)?;
    if found.as_bytes().strip_suffix(b"\0") == Some(expected) { Ok(()) } else { Err(WRONG) }
}

fn server(path: &CStr) -> Outcome<()> {
    let listener = unix::listen(path, 0o600).map_err(|_| "cannot make the socket")?;
    listener.set_nonblocking(false).map_err(|_| "cannot wait on the socket")?;
    let mut held = None;
    loop {
        let client = rustix::net::accept_with(listener, SocketFlags::CLOEXEC).map_err(|_| "cannot accept")?;
        while let (Some(how), fd) = receive(&client)? {
            match fd {
                Some(fd) => {
                    held = Some(fd);
                    send(&client, how, None)?;
                }
                None => send(&client, how, held.take().as_ref().map(OwnedFd::as_fd))?,
            }
            if how == LAST {
                break;
            }
        }
    }
}

/// One byte, and perhaps a descriptor.
fn send(to: &impl AsFd, byte: u8, fd: Option<BorrowedFd<'_>>) -> Outcome<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = fd.map(|fd| [fd]);
    if let Some(fds) = &fds {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    let sent = rustix::net::sendmsg(to, &[IoSlice::new(&[byte])], &mut control, SendFlags::NOSIGNAL);
    sent.map(drop).map_err(|_| "cannot send")
}

fn receive(from: &impl AsFd) -> Outcome<(Option<u8>, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = rustix::net::recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
        .map_err(|_| "cannot receive")?;
    let mut fd = None;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = part {
            fd = fds.next();
        }
    }
    Ok(((got.bytes > 0).then_some(byte[0]), fd))
}

fn connect(path: &CStr) -> Outcome<OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
    let address = SocketAddrUnix::new(path).map_err(|_| "the socket's path is too long")?;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|_| "cannot make a socket")?;
    rustix::net::connect(&fd, &address).map_err(|_| "cannot connect")?;
    Ok(fd)
}

/// Has the floor's server keep `fd`.
fn put(server: &OwnedFd, fd: Fd, how: u8) -> Outcome<()> {
    send(server, how, Some(fd.as_fd()))?;
    match receive(server)? {
        (Some(_), None) => Ok(()),
        _ => Err("the server did not answer"),
    }
}

/// Gets it back.
fn get(server: &OwnedFd, how: u8) -> Outcome<Fd> {
    send(server, how, None)?;
    receive(server)?.1.map(Fd::from_owned).ok_or("the server gave no descriptor")
}

/// A store to be measured.
#[derive(Clone, Copy)]
struct Store {
    socket: &'static CStr,
    /// The programs, unless it is the floor.
    programs: Option<[&'static CStr; 2]>,
}

/// What is stored, and who it is: in words for programs.
struct Sample {
    fd: Fd,
    identity: (u64, u64),
    text: Identity,
}

fn number(word: &CStr) -> Outcome<usize> {
    parse_u32(word.to_bytes()).map(|n| n as usize).ok_or("ROUNDS and PAIRS must be numbers")
}

fn measure(args: Args, rounds: &CStr) -> Outcome<()> {
    let pairs = number(args.get(3).ok_or("how many PAIRS?")?)?.max(1);
    let mut stores = heapless::Vec::<Store, STORES>::new();
    let mut words = args.skip(4);
    while let (Some(socket), Some(store), Some(retrieve)) = (words.get(0), words.get(1), words.get(2)) {
        let programs = (store != c"-").then_some([store, retrieve]);
        stores.push(Store { socket, programs }).map_err(|_| "too many stores")?;
        wait_for(socket)?;
        words = words.skip(3);
    }
    let mut samples = heapless::Vec::<Sample, 2>::new();
    for _ in 0..2 {
        let (read, _) = fd::pipe().map_err(|_| "cannot make a pipe")?;
        let identity = file::identity(read).map_err(|_| "cannot fstat a descriptor")?;
        let _ = samples.push(Sample { fd: read, identity, text: text(read)? });
    }
    let how: fn(&Run<'_>) -> Outcome<()> = match args.get(1).map(CStr::to_bytes) {
        Some(b"programs") => programs,
        Some(b"connections") => connections,
        _ => requests,
    };
    for round in 0..number(rounds)? + 1 {
        let mut line = Line::<200>::new();
        for store in &stores {
            let run = Run {
                store: *store,
                pairs,
                samples: &mut samples,
                me: args.get(0).unwrap_or_default(),
                env: args.env(),
            };
            let begin = time::boot();
            how(&run)?;
            let _ = write!(line, "{} ", (time::boot() - begin) / pairs as u64);
        }
        // The first one warms up.
        if round > 0 {
            let _ = file::write_all(Fd::STDOUT, line.finish("\n").as_bytes());
        }
    }
    Ok(())
}

fn wait_for(socket: &CStr) -> Outcome<()> {
    let end = time::boot() + PATIENCE;
    while connect(socket).is_err() {
        if time::boot() > end {
            return Err("a store does not come up");
        }
        rustix::thread::sched_yield();
    }
    Ok(())
}

/// Pairs of operations with one store.
struct Run<'a> {
    store: Store,
    pairs: usize,
    samples: &'a [Sample],
    me: &'static CStr,
    env: Env,
}

impl Run<'_> {
    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().cycle().take(self.pairs)
    }
}

/// A program for each operation.
fn programs(run: &Run<'_>) -> Outcome<()> {
    for sample in run.samples() {
        let identity = CStr::from_bytes_until_nul(sample.text.as_bytes()).unwrap_or_default();
        sample.fd.place(0).map_err(|_| "cannot move a descriptor to 0")?;
        let socket = run.store.socket;
        match run.store.programs {
            None => {
                execute(run, &[run.me, c"send", socket])?;
                execute(run, &[run.me, c"receive", socket, identity])?;
            }
            Some([store, retrieve]) => {
                execute(run, &[store, socket, ID])?;
                execute(run, &[retrieve, c"-D", socket, ID, run.me, c"is", identity])?;
            }
        }
    }
    Ok(())
}

fn execute(run: &Run<'_>, words: &[&CStr]) -> Outcome<()> {
    let argv = Argv::<8>::new(words);
    let path = words.first().copied().unwrap_or_default();
    let started = process::spawn_with(&mut || process::exec_argv(path, &argv, run.env));
    let death = process::wait_for(started.map_err(|_| "cannot start a client")?);
    if death.is_ok_and(|death| death.wstat == 0) { Ok(()) } else { Err("a client failed") }
}

/// A connection for each operation.
fn connections(run: &Run<'_>) -> Outcome<()> {
    let socket = run.store.socket;
    for sample in run.samples() {
        if run.store.programs.is_none() {
            put(&connect(socket)?, sample.fd, LAST)?;
            check(sample, get(&connect(socket)?, LAST)?)?;
            continue;
        }
        let mut store = open(socket)?;
        store.store(sample.fd, ID.to_bytes(), never()).map_err(|_| "the store did not take it")?;
        store.close();
        let mut store = open(socket)?;
        let fd = retrieve(&mut store);
        store.close();
        check(sample, fd?)?;
    }
    Ok(())
}

/// One connection for all operations.
fn requests(run: &Run<'_>) -> Outcome<()> {
    if run.store.programs.is_none() {
        let server = connect(run.store.socket)?;
        for sample in run.samples() {
            put(&server, sample.fd, MORE)?;
            check(sample, get(&server, MORE)?)?;
        }
        return Ok(());
    }
    let mut store = open(run.store.socket)?;
    for sample in run.samples() {
        store.store(sample.fd, ID.to_bytes(), never()).map_err(|_| "the store did not take it")?;
        check(sample, retrieve(&mut store)?)?;
    }
    store.close();
    Ok(())
}

fn open(socket: &CStr) -> Outcome<Connection> {
    Connection::open(socket, None).map_err(|_| "cannot connect to the store")
}

fn retrieve(store: &mut Connection) -> Outcome<Fd> {
    store.retrieve(ID.to_bytes(), true).map_err(|_| "the store did not give it")
}

/// Whether the descriptor is the one that was stored; closes it.
fn check(sample: &Sample, mut got: Fd) -> Outcome<()> {
    let same = file::identity(got) == Ok(sample.identity);
    got.close();
    if same { Ok(()) } else { Err(WRONG) }
}
