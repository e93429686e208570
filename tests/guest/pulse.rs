//! `pulse`: how long a supervisor needs to start services and to bring a dead one back, for scripts/bench, inside the guest
//! and on the host. It is built as linchpin is, so that starting it costs next to nothing and what is left is the
//! supervisor's part.
//!
//! * As `./run NAME` it is the service: it says when its first instructions ran, and then waits to be killed.
//! * `pulse supervised ROUNDS SERVICEDIR` kills that service so often; process 1 brings it back.
//! * `pulse struck ROUNDS SERVICEDIR` does that too, but before each kill process 1 is made to fail (`strike`) at the next
//!   thing that it hears of, which is this death.
//! * `pulse floor ROUNDS` does the same to a child of its own, which it brings back with nothing but waitid(2), clone(2)
//!   and execve(2): no supervisor can be faster.
//! * `pulse count NUMBER PROGRAM…` runs a program that starts so many services, and prints how long it took until the last
//!   one ran, how long it then took to end after SIGTERM, and how many services it left behind.
//! * `pulse recover NUMBER ROUNDS PROGRAM…` runs a program that starts so many services, and kills one of them so often,
//!   as it is, and so often with the program made to fail before. It prints the median and the slowest of both.
//! * `pulse spawn NUMBER` starts so many services, without supervising them, and ends them at SIGTERM.
//! * `pulse fault PID WAY` makes a process fail now (x86_64; see `fault`).
//! * `pulse after SCRIPT` runs a shell script when the machine has come to rest; for its first line.
//!
//! A round is from just before kill(2) to the first instructions of the next incarnation, which looks at the clock itself:
//! who runs when after that does not matter. The victim lives for more than a second, so that the second between two
//! starts of a service is over. The two measurements print the median and the slowest of all rounds, in nanoseconds.
#![no_std]
#![no_main]

#[path = "../../src/arch/entry.rs"]
mod entry;
#[cfg(target_arch = "x86_64")]
mod fault;
mod strike;

use core::ffi::CStr;
use core::fmt::Write;
use linchpin::log::Line;
use linchpin::service::status;
use linchpin::sys::args::{Args, Argv, Env};
use linchpin::sys::process::{self, Spawn};
use linchpin::sys::signal::{self, SignalSet, number as sig};
use linchpin::sys::time::{self, MILLI, Nanos, SECOND};
use linchpin::sys::{Errno, Fd, entry as fs_entry, file, poll};
use linchpin::text::number::parse_u32;
use rustix::event::Timespec;
use rustix::fs::OFlags;

/// Where services say that they run, unless `$PULSE` names another place.
const FIFO: &CStr = c"/run/pulse";
/// How long a victim lives: longer than the second between two starts.
const LIFE: Nanos = 1100 * MILLI;
/// Long enough for a machine with ten services to have nothing left to do.
const REST: Nanos = 3 * SECOND;
/// Nobody waits longer than this for a victim to come back.
const PATIENCE: Nanos = 10 * SECOND;
/// Services of `count` and `spawn`, at most.
const SERVICES: usize = 2048;
/// Rounds, at most.
const ROUNDS: usize = 100;

type Outcome = Result<i32, &'static str>;

fn main(args: Args) -> i32 {
    let word = |i| args.get(i).map(CStr::to_bytes).unwrap_or_default();
    let done = match (word(0), word(1), args.get(2)) {
        (b"./run" | b"run", ..) => service(args.env()),
        (_, b"supervised", Some(rounds)) => {
            args.get(3).ok_or("which SERVICEDIR?").and_then(|dir| supervised(rounds, dir, || Ok(())))
        }
        (_, b"struck", Some(rounds)) => {
            args.get(3).ok_or("which SERVICEDIR?").and_then(|dir| supervised(rounds, dir, || strike(1)))
        }
        (_, b"floor", Some(rounds)) => floor(rounds, args.env()),
        (_, b"count", Some(number)) => count(number, args),
        (_, b"recover", Some(number)) => recover(number, args),
        (_, b"spawn", Some(number)) => spawn(number, args.env()),
        #[cfg(target_arch = "x86_64")]
        (_, b"fault", Some(pid)) => fail(pid, word(3)),
        (_, b"after", Some(script)) => after(script, args.env()),
        _ => Err("usage: pulse supervised|struck|floor|count|recover|spawn|fault|after ..., see its source"),
    };
    done.unwrap_or_else(|why| {
        say(Fd::STDERR, format_args!("pulse: {why}\n"));
        2
    })
}

fn say(to: Fd, text: core::fmt::Arguments<'_>) {
    let mut line = Line::<100>::new();
    let _ = line.write_fmt(text);
    let _ = file::write_all(to, line.finish("").as_bytes());
}

/// Clock and pid go through the FIFO in one piece. If nobody measures there is no FIFO, or no reader.
fn service(env: Env) -> Outcome {
    let born = time::boot().to_ne_bytes();
    let mut beat = [0; 12];
    beat[..8].copy_from_slice(&born);
    beat[8..].copy_from_slice(&process::pid().to_ne_bytes());
    if let Ok(mut fifo) = file::open(Fd::CWD, env.get(b"PULSE").unwrap_or(FIFO), OFlags::WRONLY | OFlags::NONBLOCK, 0) {
        let _ = file::write_all(fifo, &beat);
        fifo.close();
    }
    loop {
        rustix::event::pause();
    }
}

fn sleep(time: Nanos) {
    let limit = Timespec { tv_sec: (time / SECOND) as _, tv_nsec: (time % SECOND) as _ };
    let _ = rustix::event::poll(&mut [], Some(&limit));
}

fn after(script: &CStr, env: Env) -> Outcome {
    sleep(REST);
    process::exec_argv(c"/bin/sh", &Argv::<3>::new(&[c"sh", script]), env);
    Err("cannot execute /bin/sh")
}

/// The FIFO, kept open for writing too: it never ends.
fn listen(path: &CStr) -> Result<Fd, &'static str> {
    let _ = fs_entry::remove(Fd::CWD, path);
    file::control_fifo(Fd::CWD, path, 0o600).map_err(|_| "cannot make the FIFO")
}

/// The next beat: when it was, and of whom.
fn hear(fifo: Fd) -> Result<(Nanos, i32), &'static str> {
    hear_within(fifo, PATIENCE)
}

fn hear_within(fifo: Fd, patience: Nanos) -> Result<(Nanos, i32), &'static str> {
    poll::readable(fifo, Some(time::boot() + patience)).map_err(|_| "no beat: it does not come back")?;
    let mut beat = [0; 12];
    file::read_full(fifo, &mut beat).map_err(|_| "cannot read the FIFO")?;
    let [a, b, c, d, e, f, g, h, i, j, k, l] = beat;
    Ok((Nanos::from_ne_bytes([a, b, c, d, e, f, g, h]), i32::from_ne_bytes([i, j, k, l])))
}

fn strike(pid: i32) -> Result<(), &'static str> {
    strike::overwrite(pid).map_err(|_| "cannot make it fail")
}

#[cfg(target_arch = "x86_64")]
fn fail(pid: &CStr, way: &[u8]) -> Outcome {
    let pid = parse_u32(pid.to_bytes()).ok_or("PID must be a number")?;
    fault::fault(pid as i32, way).map(|()| 0).map_err(|_| "cannot make it fail")
}

fn supervised(rounds: &CStr, dir: &CStr, before: impl Fn() -> Result<(), &'static str>) -> Outcome {
    let fifo = listen(FIFO)?;
    // Of one that has just been brought back the status is written after its first instructions.
    sleep(LIFE);
    let dir = file::open_dir(Fd::CWD, dir).map_err(|_| "cannot open the service directory")?;
    match status::read(dir) {
        Ok(status) if status.is_up() => measure(rounds, fifo, status.pid, before, |_| Ok(())).map(|_| 0),
        Ok(_) => Err("the service is not up"),
        Err(_) => Err("cannot read the service's status"),
    }
}

/// Starts this program as a service: with nothing but clone(2) and execve(2), in a session of its own as they all are.
fn start_service(env: Env) -> Result<i32, &'static str> {
    let argv = Argv::<3>::new(&[c"./run", c"floor"]);
    start(c"/proc/self/exe", &argv, env, true)
}

fn start<const N: usize>(path: &CStr, argv: &Argv<'_, N>, env: Env, session: bool) -> Result<i32, &'static str> {
    let spawn = Spawn {
        path,
        argv,
        env,
        given: None,
        dir: Fd::NONE,
        stdio: [Fd::NONE; 3],
        extra: &[],
        session,
        new_pidns: false,
        cgroup: Fd::NONE,
        nofile: None,
    };
    let mut pid = 0;
    spawn.start(&mut pid).map(|()| pid).map_err(|_| "cannot start a child")
}

fn floor(rounds: &CStr, env: Env) -> Outcome {
    // On the host it is anywhere, and so is the FIFO.
    let (path, env, fifo) = match env.get(b"PULSE") {
        Some(fifo) => (c"/proc/self/exe", env, fifo),
        None => (c"/usr/bin/pulse", Env::EMPTY, FIFO),
    };
    let fifo = listen(fifo)?;
    let argv = Argv::<3>::new(&[c"./run", c"floor"]);
    let start = || start(path, &argv, env, false);
    start()?;
    let (_, pid) = hear(fifo)?;
    let again = |pid| {
        process::wait_for(pid).map_err(|_| "cannot wait for the child")?;
        start().map(drop)
    };
    let last = measure(rounds, fifo, pid, || Ok(()), again)?;
    // It has our standard output: who reads that would wait for it.
    process::kill(last, sig::KILL).map_err(|_| "cannot kill the last child")?;
    Ok(0)
}

/// A program with its services, all of which run.
struct Tree {
    program: i32,
    fifo: Fd,
    pids: heapless::Vec<i32, SERVICES>,
    begin: Nanos,
    last: Nanos,
}

impl Tree {
    /// Starts the program that the arguments from `at` on name, and waits for so many services.
    fn start(number: &CStr, args: Args, at: usize) -> Result<Tree, &'static str> {
        let wanted = parse_u32(number.to_bytes()).ok_or("NUMBER must be a number")? as usize;
        let path = args.get(at).ok_or("which PROGRAM?")?;
        let mut argv = Argv::<32>::new(&[]);
        for word in (at..args.len()).filter_map(|i| args.get(i)) {
            argv.push(word);
        }
        let fifo = listen(args.env().get(b"PULSE").unwrap_or(FIFO))?;
        let begin = time::boot();
        let program = start(path, &argv, args.env(), false)?;
        let mut tree = Tree { program, fifo, pids: heapless::Vec::new(), begin, last: begin };
        while tree.pids.len() < wanted.clamp(1, SERVICES) {
            let (born, pid) = hear(fifo)?;
            tree.last = tree.last.max(born);
            let _ = tree.pids.push(pid);
        }
        Ok(tree)
    }

    /// Ends the program; says how long that took, and how many services are left.
    fn end(self) -> Result<(Nanos, usize), &'static str> {
        let told = time::boot();
        process::kill(self.program, sig::TERM).map_err(|_| "the program is gone")?;
        process::wait_for(self.program).map_err(|_| "cannot wait for the program")?;
        let ended = time::boot();
        Ok((ended - told, self.pids.iter().filter(|pid| process::kill(**pid, 0).is_ok()).count()))
    }
}

fn count(number: &CStr, args: Args) -> Outcome {
    let tree = Tree::start(number, args, 3)?;
    sleep(SECOND);
    let started = tree.last - tree.begin;
    let (ended, left) = tree.end()?;
    say(Fd::STDOUT, format_args!("{started} {ended} {left}\n"));
    Ok(0)
}

fn recover(number: &CStr, args: Args) -> Outcome {
    let rounds = args.get(3).ok_or("how many ROUNDS?")?;
    let mut tree = Tree::start(number, args, 4)?;
    let fifo = tree.fifo;
    let victim = tree.pids.pop().ok_or("no services?")?;
    let victim = measure(rounds, fifo, victim, || Ok(()), |_| Ok(()))?;
    let victim = measure(rounds, fifo, victim, || strike(tree.program), |_| Ok(()))?;
    // Nobody else was started again, and nobody was lost.
    if hear_within(fifo, 0).is_ok() || tree.pids.iter().any(|pid| process::kill(*pid, 0).is_err()) {
        return Err("another service was started again");
    }
    let _ = tree.pids.push(victim);
    let (_, left) = tree.end()?;
    if left > 0 { Err("services were left") } else { Ok(0) }
}

fn spawn(number: &CStr, env: Env) -> Outcome {
    let wanted = parse_u32(number.to_bytes()).ok_or("NUMBER must be a number")? as usize;
    let end = SignalSet::of(&[sig::TERM]);
    end.block();
    let signals = signal::open_signalfd(end).map_err(|_| "cannot listen for signals")?;
    let mut pids = heapless::Vec::<i32, SERVICES>::new();
    for _ in 0..wanted.min(SERVICES) {
        let _ = pids.push(start_service(env)?);
    }
    poll::readable(signals, None).map_err(|_| "cannot wait for a signal")?;
    for pid in &pids {
        let _ = process::kill(*pid, sig::TERM);
    }
    for pid in &pids {
        let _ = process::wait_for(*pid);
    }
    Ok(0)
}

/// Kills `pid` and its successors, each after `before`, prints how that went, and answers the last one's pid. `restart` is what is to be done
/// here to have a successor.
fn measure(
    rounds: &CStr,
    fifo: Fd,
    first: i32,
    before: impl Fn() -> Result<(), &'static str>,
    restart: impl Fn(i32) -> Result<(), &'static str>,
) -> Result<i32, &'static str> {
    let wanted = parse_u32(rounds.to_bytes()).ok_or("ROUNDS must be a number")? as usize;
    let mut pid = first;
    let mut took = heapless::Vec::<Nanos, ROUNDS>::new();
    while took.len() < wanted.clamp(1, ROUNDS) {
        sleep(LIFE);
        before()?;
        let killed = time::boot();
        process::kill(pid, sig::KILL)
            .map_err(|e: Errno| if e == Errno::SRCH { "it is gone" } else { "cannot kill it" })?;
        restart(pid)?;
        let (born, next) = hear(fifo)?;
        pid = next;
        let _ = took.push(born.saturating_sub(killed));
    }
    took.sort_unstable();
    let slowest = took.last().copied().unwrap_or(0);
    let median = took.get(took.len() / 2).copied().unwrap_or(0);
    say(Fd::STDOUT, format_args!("{median} {slowest}\n"));
    Ok(pid)
}
