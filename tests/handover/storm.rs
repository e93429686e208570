//! Twenty daemons on twenty held sockets, killed again and again while clients call: nobody is ever refused, and whoever
//! waits in a queue is served by the next daemon.

use crate::holder::engine;
use crate::scandir::*;
use linchpin::sys::{Fd, file, process, signal};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const DAEMONS: usize = 20;
const KILLS: usize = 50;
/// Threads that call, and how many calls each has waiting at a time.
const CALLERS: usize = 4;
const CALLS: usize = 4;

/// What a daemon is run as: this program, asked for one "test".
const AS_DAEMON: &str = "LINCHPIN_TEST_DAEMON";

/// One daemon: answers each caller with its number and its pid. When it is told to be quiet (by a byte in the FIFO `order`) and has answered
/// somebody, it accepts nobody any more, says so and waits for its end: no caller is ever killed with it.
#[test]
#[ignore = "the daemon that the other test starts"]
fn daemon() {
    let Ok(number) = std::env::var(AS_DAEMON) else { return };
    let pid = std::process::id();
    let say = |what: &str| {
        let mut said = OpenOptions::new().write(true).open(std::env::var("SAID").unwrap()).unwrap();
        said.write_all(format!("{what} {number} {pid}\n").as_bytes()).unwrap();
    };
    let listener = match std::env::var("LISTEN_PID") {
        Ok(told) if told == pid.to_string() => Fd(3),
        Ok(told) => return say(&format!("not-me-{told}")),
        Err(_) => Fd(0),
    };
    let order = file::open(Fd::CWD, c"order", OFlags::RDWR | OFlags::NONBLOCK, 0).unwrap();
    say("up");
    let (mut ordered, mut answered) = (false, 0);
    while !ordered || answered == 0 {
        let mut ready = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&order, PollFlags::IN)];
        poll(&mut ready, None).unwrap();
        let [called, told] = ready.map(|fd| !fd.revents().is_empty());
        ordered |= told && file::read_fifo(order, &mut [0]) == Ok(Some(1));
        if called && !(ordered && answered > 0) {
            let mut caller = Fd::from_owned(rustix::net::accept(listener).unwrap());
            assert_eq!(file::read_full(caller, &mut [0]), Ok(1));
            file::write_all(caller, format!("{number} {pid}\n").as_bytes()).unwrap();
            caller.close();
            answered += 1;
        }
    }
    say("quiet");
    loop {
        std::thread::park();
    }
}

enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Calls, and has something to say.
    fn call(&self) -> std::io::Result<Box<dyn Read>> {
        let patience = Some(PATIENCE);
        match self {
            Address::Tcp(address) => {
                let mut stream = TcpStream::connect(address)?;
                stream.set_read_timeout(patience)?;
                stream.write_all(b"?").map(|()| Box::new(stream) as _)
            }
            Address::Unix(path) => {
                let mut stream = UnixStream::connect(path)?;
                stream.set_read_timeout(patience)?;
                stream.write_all(b"?").map(|()| Box::new(stream) as _)
            }
        }
    }
}

/// What has become of calls.
#[derive(Default)]
struct Calls {
    answered: usize,
    /// Which process of which daemon answered.
    by: HashSet<(usize, i32)>,
    refused: Vec<String>,
    lost: Vec<String>,
}

impl Calls {
    /// Calls one daemon after the other, until it is over.
    fn make(first: usize, addresses: &[Address], over: &AtomicBool) -> Calls {
        let mut calls = Calls::default();
        let mut at = first;
        while !over.load(Ordering::Relaxed) {
            let number = at % addresses.len();
            at += 1;
            let waiting: Vec<_> = (0..CALLS).map(|_| addresses[number].call()).collect();
            for call in waiting {
                match call {
                    Ok(stream) => calls.hear(number, stream),
                    Err(e) => calls.refused.push(format!("{number}: {e}")),
                }
            }
        }
        calls
    }

    fn hear(&mut self, number: usize, mut stream: impl Read) {
        let mut text = String::new();
        let end = stream.read_to_string(&mut text);
        let mut words = text.trim_end().split(' ').map(str::parse::<i32>);
        match (end, words.next(), words.next()) {
            (Ok(_), Some(Ok(told)), Some(Ok(pid))) if told == number as i32 => {
                self.answered += 1;
                self.by.insert((number, pid));
            }
            (end, ..) => self.lost.push(format!("{number}: {end:?} {text:?}")),
        }
    }

    fn add(mut self, other: Calls) -> Calls {
        self.answered += other.answered;
        self.by.extend(other.by);
        self.refused.extend(other.refused);
        self.lost.extend(other.lost);
        self
    }
}

/// Says that it is over when it goes: if something fails, the callers are not to go on for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn twenty_daemons_are_killed_fifty_times_each_and_no_call_is_refused_or_lost() {
    let program = std::env::current_exe().unwrap();
    let how = "--exact storm::daemon --ignored --nocapture --test-threads=1 >/dev/null";
    let names: Vec<String> = (0..DAEMONS).map(|number| format!("daemon{number}")).collect();
    let runs: Vec<String> = (0..DAEMONS)
        .map(|number| format!("#!/bin/sh\n{AS_DAEMON}={number} exec '{}' {how}\n", program.display()))
        .collect();
    // Half of them in sd's way, half in s6's.
    let sockets: Vec<String> =
        (0..DAEMONS).map(|n| if n % 4 < 2 { format!("s{n}\n") } else { format!("0 s{n}\n") }).collect();
    let files: Vec<[(&str, &str); 4]> = runs
        .iter()
        .zip(&sockets)
        .map(|(run, sockets)| {
            [("run", run.as_str()), ("sockets", sockets.as_str()), ("order", FIFO), crate::holder::AT_ONCE]
        })
        .collect();
    let services: Vec<Service<'_>> =
        names.iter().zip(&files).map(|(name, files)| (name.as_str(), &files[..])).collect();
    let svscan = engine(&services);
    let addresses: Vec<Address> = (0..DAEMONS)
        .map(|number| {
            let id = format!("s{number}");
            if number % 2 == 0 {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                svscan.store(&id, listener);
                return Address::Tcp(address);
            }
            let path = svscan.base(&id);
            svscan.store(&id, UnixListener::bind(&path).unwrap());
            Address::Unix(path)
        })
        .collect();
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let (mut kills, mut alive) = ([0; DAEMONS], 0);
    let calls = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|n| (n * DAEMONS / CALLERS, &addresses, &over))
            .map(|(first, addresses, over)| scope.spawn(move || Calls::make(first, addresses, over)))
            .collect();
        let ends = Over(&over);
        // Each daemon on its own: told to be quiet when it is up, killed when it is quiet, up again.
        while alive < DAEMONS {
            let line = svscan.hear();
            let [what, number, pid] = words(&line)[..] else { panic!("{line}") };
            let (number, pid): (usize, i32) = (number.parse().unwrap(), pid.parse().unwrap());
            assert!(pid > 1);
            match what {
                "up" if kills[number] == KILLS => alive += 1,
                "up" => assert!(svscan.write(&format!("{}/order", names[number]), b"q")),
                "quiet" => {
                    kills[number] += 1;
                    process::kill(pid, signal::number::KILL).unwrap();
                }
                _ => panic!("{line}"),
            }
        }
        // The last ones answer too.
        std::thread::sleep(Duration::from_millis(50));
        drop(ends);
        callers.into_iter().map(|caller| caller.join().unwrap()).reduce(Calls::add).unwrap()
    });
    let (dead, took) = (kills.iter().sum::<usize>(), began.elapsed());
    let (refused, lost) = (calls.refused.len(), calls.lost.len());
    println!(
        "{DAEMONS} daemons killed {dead} times in {took:.1?}: {} calls answered by {} processes, {refused} refused, {lost} lost",
        calls.answered,
        calls.by.len()
    );
    assert_eq!((&calls.refused[..], &calls.lost[..]), (&[][..], &[][..]));
    assert_eq!(kills, [KILLS; DAEMONS]);
    assert!(
        calls.answered >= calls.by.len() && calls.by.len() >= DAEMONS * KILLS,
        "each of them has answered somebody"
    );
    assert_eq!(svscan.held().len(), DAEMONS);
}
