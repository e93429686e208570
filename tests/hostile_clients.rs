//! Clients of the fd-holder that do what they must not, all at once and without end, against the engine in a process of
//! its own: the others are served meanwhile, services are supervised, and nothing is left behind.

#[path = "svscan/scandir.rs"]
#[allow(dead_code)] // other tests use the rest
mod scandir;
#[path = "common/supervision.rs"]
#[allow(dead_code)] // other tests use the rest
mod supervision;
#[allow(dead_code)] // other tests use the rest
#[path = "common/tmp.rs"]
mod tmp;

use linchpin::fdholder::client::{Connection, never};
use linchpin::sys::{Errno, Fd, poll, socket, time, unix};
use scandir::*;
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const LIST: &[u8] = b"\0\0\0\x01\0\0L";
/// A store of `it` up to the identifier, which is missing.
const HALF: &[u8] = b"\0\0\0\x11\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0";

fn socket_of(svscan: &Svscan) -> CString {
    c_path(&svscan.path("fdholder/s"))
}

fn in_time() -> Option<u64> {
    Some(time::boot() + 60 * time::SECOND)
}

fn open(path: &CString) -> Connection {
    Connection::open(path, in_time()).unwrap()
}

/// An attacker's connection; closed when it is dropped.
struct Attack(Fd);

impl Attack {
    fn new(path: &CString) -> Option<Attack> {
        unix::connect(path, in_time()).ok().map(Attack)
    }

    fn send(&self, bytes: &[u8], fds: &[Fd]) -> bool {
        socket::send(self.0, bytes, fds) == Ok(bytes.len())
    }

    /// Takes all that is there, and closes what came with it.
    fn take(&self) {
        let (mut bytes, mut fds) = ([0; 4096], [Fd::NONE; socket::MAX_FDS]);
        while let Ok(got) = socket::receive(self.0, &mut bytes, &mut fds) {
            fds[..got.fds].iter_mut().for_each(Fd::close);
            if got.bytes == 0 {
                break;
            }
        }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What attackers do, over and over.
type Deed = fn(&CString, Fd);

const DEEDS: [(&str, Deed); 9] = [
    ("300 descriptors for nothing", |path, fd| {
        let Some(one) = Attack::new(path) else { return };
        one.send(LIST, &[fd; 253]);
        one.send(LIST, &[fd; 47]);
        one.take();
    }),
    ("descriptors for requests that never end", |path, fd| {
        let many: Vec<_> = (0..20).filter_map(|_| Attack::new(path)).collect();
        many.iter().for_each(|one| {
            one.send(HALF, &[fd]);
            one.send(b"\x02", &[fd; 253]);
        });
    }),
    ("byte by byte", |path, fd| {
        let Some(one) = Attack::new(path) else { return };
        for (i, byte) in [HALF, b"\x02it\0"].concat().iter().enumerate() {
            one.send(&[*byte], &[fd][..usize::from(i == 0)]);
        }
        one.send(b"\0\0\0\x05\0\0D\x02it\0", &[]);
        one.take();
    }),
    ("a flood of connections that say nothing", |path, _| {
        let many: Vec<_> = (0..300).filter_map(|_| Attack::new(path)).collect();
        drop(many);
    }),
    ("a flood of connections that leave at once", |path, _| {
        (0..100).for_each(|_| drop(Attack::new(path)));
    }),
    ("answers that nobody reads", |path, _| {
        let Some(one) = Attack::new(path) else { return };
        let many = [LIST, b"\0\0\0\x01\0\0?"].concat().repeat(200);
        for _ in 0..100 {
            if socket::send(one.0, &many, &[]) != Ok(many.len()) {
                break;
            }
        }
    }),
    ("messages that are too long, too short or none", |path, fd| {
        for bytes in [
            &b"\x10\0\0\0\0\0"[..],
            b"\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\0\0\0",
            b"\0\0\0\x02\0\0Lx",
            b"GET / HTTP/1.1\r\n\r\n",
        ] {
            let Some(one) = Attack::new(path) else { return };
            one.send(bytes, &[fd; 9]);
            one.take();
        }
    }),
    ("identifiers of 0 and 256 bytes, and with a NUL", |path, fd| {
        let longer = [&b"\0\0\x01\x0f\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\0"[..], &[b'x'; 256], b"\0"].concat();
        for bytes in [&b"\0\0\0\x0f\0\x01S\x60\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], &longer, b"\0\0\0\x07\0\0D\x04e\0bc\0"] {
            let Some(one) = Attack::new(path) else { return };
            one.send(bytes, &[fd]);
            one.take();
        }
    }),
    ("dumps that never come", |path, fd| {
        let many: Vec<_> = (0..9).filter_map(|_| Attack::new(path)).collect();
        for one in &many {
            one.send(b"\0\0\0\x05\0\0!\0\0\0\xfd", &[]);
            one.send(&[b"\0\0\x0f\xd1\0\xfd.", &[7; 500][..]].concat(), &[fd; 253]);
        }
    }),
];

/// One store, retrieve and delete by a client that behaves; how long the slowest of them took.
fn serve_one(path: &CString, fd: Fd) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut timed = |deed: &mut dyn FnMut()| {
        let begin = Instant::now();
        deed();
        slowest = slowest.max(begin.elapsed());
    };
    let mut client = None;
    timed(&mut || client = Some(open(path)));
    let mut client = client.unwrap();
    timed(&mut || client.store(fd, b"good", never()).unwrap());
    timed(&mut || client.retrieve(b"good", true).unwrap().close());
    timed(&mut || assert_eq!(client.delete(b"good"), Err(Errno::NOENT)));
    client.close();
    slowest
}

/// One of them stores `it`, and may be gone before its request to delete that is read.
fn forget_what_attackers_stored(mut client: Connection) {
    let _ = client.delete(b"it");
    client.close();
}

/// Does it over and over, with a little rest: one that takes the processor from everybody is not what this is about.
fn attack(deed: Deed, path: &CString, fd: Fd, stop: &AtomicBool, deeds: &AtomicUsize) {
    while !stop.load(SeqCst) {
        deed(path, fd);
        deeds.fetch_add(1, SeqCst);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// No client may have to wait for longer because of another.
const LIMIT: Duration = Duration::from_millis(50);

/// Ends the attacks, also when the test fails.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn hostile_clients_delay_nobody_and_leave_nothing_behind() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let path = socket_of(&svscan);
    let null = std::fs::File::open("/dev/null").unwrap();
    let fd = Fd(null.as_raw_fd());
    let mut client = open(&path);
    for i in 0..100 {
        client.store(fd, format!("held {i}").as_bytes(), never()).unwrap();
    }
    client.close();
    svscan.settle();
    let before = svscan.fds();
    let mut slowest_of_each = Vec::new();
    for (name, deed) in DEEDS {
        let (stop, deeds) = (AtomicBool::new(false), AtomicUsize::new(0));
        let attempts = std::thread::scope(|scope| {
            let _stopper = Stopper(&stop);
            scope.spawn(|| attack(deed, &path, fd, &stop, &deeds));
            eventually(|| deeds.load(SeqCst) > 0);
            // A busy machine may make anybody wait; the store must not. So of many attempts one must succeed.
            let mut attempts = Vec::new();
            while attempts.len() < 100 && attempts.last().is_none_or(|slowest| *slowest >= LIMIT) {
                // In each attempt the deed is done at least twice.
                let until = deeds.load(SeqCst) + 3;
                let mut slowest = Duration::ZERO;
                while deeds.load(SeqCst) < until {
                    slowest = slowest.max(serve_one(&path, fd));
                }
                attempts.push(slowest);
            }
            attempts
        });
        assert!(attempts.last().is_some_and(|slowest| *slowest < LIMIT), "{name}: {attempts:?}");
        slowest_of_each.push((name, attempts.len(), attempts.into_iter().min().unwrap()));
    }
    eprintln!("{slowest_of_each:?}");
    let mut client = open(&path);
    let mut buf = vec![0; 100_000];
    let left = client.list(&mut buf).unwrap().filter(|id| id.starts_with(b"held ")).count();
    assert_eq!(left, 100);
    forget_what_attackers_stored(client);
    eventually(|| svscan.fds() == before);
}

#[test]
fn hostile_clients_all_at_once_do_not_stop_supervision() {
    let svscan = Svscan::new(&[("a", &[("run", SLEEPER)])]);
    let path = socket_of(&svscan);
    let null = std::fs::File::open("/dev/null").unwrap();
    let fd = Fd(null.as_raw_fd());
    svscan.settle();
    let before = svscan.fds();
    let (stop, deeds) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stopper = Stopper(&stop);
        for (_, deed) in DEEDS {
            let (stop, deeds, path) = (&stop, &deeds, &path);
            scope.spawn(move || attack(deed, path, fd, stop, deeds));
        }
        eventually(|| deeds.load(SeqCst) > 2 * DEEDS.len());
        let mut events = svscan.listen("a");
        for _ in 0..3 {
            linchpin::sys::process::kill(svscan.pid_of("a"), 9).unwrap();
            events.until(b'd');
            events.until(b'u');
            serve_one(&path, fd);
        }
    });
    forget_what_attackers_stored(open(&path));
    eventually(|| svscan.fds() == before);
}

#[test]
fn each_kind_of_hostile_client_leaves_nothing_behind() {
    let svscan = Svscan::new(&[]);
    let path = socket_of(&svscan);
    let null = std::fs::File::open("/dev/null").unwrap();
    let fd = Fd(null.as_raw_fd());
    svscan.settle();
    let before = svscan.fds();
    for (name, deed) in DEEDS {
        deed(&path, fd);
        serve_one(&path, fd);
        forget_what_attackers_stored(open(&path));
        let deadline = Instant::now() + PATIENCE;
        while svscan.fds() != before {
            assert!(Instant::now() < deadline, "{name}: {} descriptors, {before} before", svscan.fds());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What s6-fdholderd dies of.
#[test]
fn when_descriptors_run_out_clients_are_refused_and_nothing_is_lost() {
    let svscan = ScanDir::new(&[("a", &[("run", SLEEPER)])]).start_by("ulimit -n 100; exec \"$@\"", "");
    let path = socket_of(&svscan);
    let null = std::fs::File::open("/dev/null").unwrap();
    let fd = Fd(null.as_raw_fd());
    let mut client = open(&path);
    let mut stored = 0;
    // One by one: the store is full before its process is.
    let why = loop {
        match client.store(fd, format!("{stored}").as_bytes(), never()) {
            Ok(()) => stored += 1,
            Err(e) => break e,
        }
    };
    assert_eq!(why, Errno::MFILE, "after {stored}");
    assert!(stored > 40);
    // Many at a time, for requests that are not there: the process has numbers for some of them only.
    let pins: Vec<_> = (0..4).filter_map(|_| Attack::new(&path)).collect();
    for pin in &pins {
        pin.send(b"\0\0\0\x05\0\0!\0\0\0\xfd", &[]);
        pin.send(&[b"\0\0\x0f\xd1\0\xfd.", &[7; 500][..]].concat(), &[fd; 253]);
    }
    assert_eq!(client.store(fd, b"more", never()), Err(Errno::MFILE));
    assert_eq!(client.list(&mut [0; 4096]).unwrap().count(), stored);
    // New clients are served, and services are started.
    for _ in 0..20 {
        let mut other = open(&path);
        assert_eq!(other.store(fd, b"more", never()), Err(Errno::MFILE));
        other.retrieve(b"0", false).unwrap().close();
        other.close();
    }
    let mut events = svscan.listen("a");
    linchpin::sys::process::kill(svscan.pid_of("a"), 9).unwrap();
    events.until(b'd');
    events.until(b'u');
    drop(pins);
    client.delete(b"1").unwrap();
    client.store(fd, b"more", never()).unwrap();
    assert_eq!(client.list(&mut [0; 4096]).unwrap().count(), stored);
    client.close();
}

/// Another thing that s6-fdholderd dies of: no number is left for a connection.
#[test]
fn when_no_connection_can_be_accepted_silent_clients_make_room() {
    let svscan = ScanDir::new(&[]).start_by("ulimit -n 40; exec \"$@\"", "");
    let path = socket_of(&svscan);
    let mut many: Vec<_> = (0..60).filter_map(|_| Attack::new(&path)).collect();
    assert_eq!(many.len(), 60);
    let last = many.pop().unwrap();
    last.send(LIST, &[]);
    svscan.until_log("unable to accept clients, they have to wait: Too many open files");
    assert!(poll::readable(last.0, in_time()).is_ok());
    let mut answer = [0; 20];
    assert_eq!(socket::receive(last.0, &mut answer, &mut []).unwrap().bytes, 11);
    drop(many);
}
