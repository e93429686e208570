//! There and back, under load: nothing is lost, and nothing is left over.

use crate::house::{THIS, next, small};
use crate::scandir::{ScanDir, Svscan, eventually};
use linchpin::fdholder::client::never;
use linchpin::sys::{Errno, Fd};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[test]
fn it_goes_on_as_another_version_and_back_and_nobody_notices() {
    let (svscan, names) = small();
    svscan.store("a", TcpListener::bind("127.0.0.1:0").unwrap());
    let before = svscan.sight(&names);
    for binary in [next(), Path::new(THIS), Path::new(THIS), next(), next(), Path::new(THIS)] {
        svscan.upgrade(binary);
        assert_eq!(svscan.binary(), binary);
        svscan.is_as(&names, &before);
    }
    // It supervises on.
    let pid = svscan.pid_of("sleeper");
    linchpin::sys::process::kill(pid, 9).unwrap();
    eventually(|| svscan.try_status("sleeper").is_some_and(|status| status.is_up() && status.pid != pid));
    svscan.add("late", &[("run", crate::scandir::SLEEPER)]);
    svscan.ok("s6-svscanctl -a .");
    eventually(|| svscan.try_status("late").is_some_and(|status| status.is_up()));
}

#[test]
fn without_a_path_the_binary_that_runs_is_entered_again() {
    let (svscan, names) = small();
    let before = svscan.sight(&names);
    let mut command = Command::new(THIS);
    let done = command.args(["reexec", "-s"]).arg(svscan.path("")).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    svscan.until_log("entered again as asked"); // the client is told a moment before
    svscan.is_as(&names, &before);
}

#[test]
fn a_client_in_the_middle_of_a_request_is_answered_by_the_other_version() {
    // It may have to be built first, and no client has so much time for a request.
    let later = next();
    let (svscan, _) = small();
    svscan.store("a", TcpListener::bind("127.0.0.1:0").unwrap());
    let mut idle = svscan.connect();
    let path = svscan.holder();
    let half = std::os::unix::net::UnixStream::connect(path).unwrap();
    let request = b"\0\0\0\x05\0\0R\0\x01a\0";
    std::io::Write::write_all(&mut &half, &request[..7]).unwrap();
    svscan.upgrade(later);
    std::io::Write::write_all(&mut &half, &request[7..9]).unwrap();
    svscan.upgrade(Path::new(THIS));
    std::io::Write::write_all(&mut &half, &request[9..]).unwrap();
    let (mut answer, mut fds) = ([0; 7], [Fd::NONE]);
    let got = linchpin::sys::socket::receive_waiting(Fd(half.as_raw_fd()), &mut answer, &mut fds).unwrap();
    assert_eq!((got.bytes, got.fds, answer), (7, 1, [0, 0, 0, 1, 0, 1, 0]));
    fds[0].close();
    assert_eq!(idle.retrieve(b"b", false), Err(Errno::NOENT));
    idle.retrieve(b"a", true).unwrap().close();
    idle.close();
    assert!(svscan.held().is_empty());
}

/// How often the long test goes there and back.
fn rounds() -> usize {
    std::env::var("LINCHPIN_UPGRADES").map_or(12, |count| count.parse().unwrap())
}

const SERVICES: usize = 20;
const SOCKETS: usize = 10;

/// Counts, and remembers in a file what it has said last.
const COUNTS: &str = "#!/bin/sh\nn=0\nwhile :; do n=$((n+1)); echo $n; sleep 0.2; done\n";
/// Keeps all lines.
const KEEPS: &str = "#!/bin/sh\nexec cat >> kept\n";

#[test]
fn a_thousand_times_there_and_back_under_load_nothing_is_lost() {
    let names: Vec<String> = (0..SERVICES).map(|i| format!("s{i}")).collect();
    let files = [("run", COUNTS), ("log/run", KEEPS)];
    let services: Vec<(&str, &[(&str, &str)])> = names.iter().map(|name| (name.as_str(), &files[..])).collect();
    let dir = ScanDir::in_memory(&services);
    let svscan = dir.start("");
    let all: Vec<String> = names.iter().cloned().chain(names.iter().map(|name| format!("{name}/log"))).collect();
    let sockets: Vec<TcpListener> = (0..SOCKETS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let queued: Vec<TcpStream> =
        sockets.iter().map(|socket| TcpStream::connect(socket.local_addr().unwrap()).unwrap()).collect();
    for (i, socket) in sockets.into_iter().enumerate() {
        svscan.store(&format!("tcp{i}"), socket);
    }
    let before = svscan.sight(&all);
    let (over, served, holder) = (AtomicBool::new(false), AtomicUsize::new(0), svscan.holder());
    std::thread::scope(|scope| {
        scope.spawn(|| ours_at_work(&holder, &over, &served));
        scope.spawn(|| s6_at_work(&holder, &over, &served));
        let _end = Ends(&over);
        for round in 0..rounds() {
            svscan.upgrade(next());
            svscan.upgrade(Path::new(THIS));
            if round % 100 == 99 {
                eprintln!("{} upgrades, {} requests", 2 * (round + 1), served.load(Ordering::Relaxed));
            }
        }
    });
    svscan.is_as(&all, &before);
    assert!(served.load(Ordering::Relaxed) > 0);
    for (i, mut waiting) in queued.into_iter().enumerate() {
        let mut connection = svscan.connect();
        let mut fd = connection.retrieve(format!("tcp{i}").as_bytes(), false).unwrap();
        connection.close();
        let accepted = rustix::net::accept(fd).unwrap();
        rustix::io::write(&accepted, b"hello").unwrap();
        std::io::Read::read_exact(&mut waiting, &mut [0; 5]).unwrap();
        fd.close();
    }
    for name in &names {
        let kept = std::fs::read_to_string(svscan.path(&format!("{name}/log/kept"))).unwrap();
        let numbers: Vec<u32> = kept.lines().map(|line| line.parse().unwrap()).collect();
        assert!(!numbers.is_empty() && numbers.iter().zip(1..).all(|(a, b)| *a == b), "{name}: {numbers:?}");
    }
    assert!(!svscan.log().contains("warning"), "{}", svscan.log());
}

/// Sets its flag when it goes, be it because a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Stores, retrieves, deletes, over one connection after the other.
fn ours_at_work(holder: &Path, over: &AtomicBool, served: &AtomicUsize) {
    let path = std::ffi::CString::new(holder.to_str().unwrap()).unwrap();
    let mut null = linchpin::sys::file::open(Fd::CWD, c"/dev/null", rustix::fs::OFlags::RDONLY, 0).unwrap();
    while !over.load(Ordering::Relaxed) {
        let mut connection = linchpin::fdholder::client::Connection::open(&path, None).unwrap();
        for _ in 0..20 {
            connection.store(null, b"ours", never()).unwrap();
            connection.retrieve(b"ours", false).unwrap().close();
            let mut buf = [0; 4096];
            assert!(connection.list(&mut buf).unwrap().any(|id| id == b"ours"));
            connection.delete(b"ours").unwrap();
            served.fetch_add(4, Ordering::Relaxed);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        connection.close();
    }
    null.close();
}

/// The same by s6's clients.
fn s6_at_work(holder: &Path, over: &AtomicBool, served: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        for words in [&["store", "theirs"][..], &["retrieve", "theirs"], &["delete", "theirs"]] {
            let mut client = Command::new(format!("s6-fdholder-{}", words[0]));
            client.args(["-t", "30000"]).arg(holder).arg(words[1]);
            if words[0] == "retrieve" {
                client.arg("true");
            }
            let done = client.stdin(Stdio::null()).output().unwrap();
            assert!(done.status.success(), "{words:?}: {done:?}");
            served.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_stop_goes_on_after_an_upgrade_in_the_middle_of_it() {
    let stubborn = "#!/bin/sh\ntrap '' TERM\necho up > $SAID\nwhile :; do sleep 0.1; done\n";
    let mut svscan = Svscan::new(&[("stubborn", &[("run", stubborn)])]);
    assert_eq!(svscan.hear(), "up");
    let pid = svscan.pid_of("stubborn");
    svscan.ok("s6-svscanctl -t .");
    svscan.until_log("stop");
    svscan.upgrade(next());
    linchpin::sys::process::kill(pid, 9).unwrap();
    assert!(svscan.wait().success());
}
