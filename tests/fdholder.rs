//! The fd-holder against s6's: every client with every store, the same commands and the same bytes.
//!
//! Needs s6 (Debian's package). `LINCHPIN` names another binary than the one cargo built, to test that.

use linchpin::sys::{Fd, poll, socket, time, unix};
use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

fn binary() -> PathBuf {
    std::env::var_os("LINCHPIN").map_or_else(|| env!("CARGO_BIN_EXE_linchpin").into(), PathBuf::from)
}

/// Which implementation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Ours,
    S6,
}

/// A store in a process and a directory of its own; its standard error is in the file `err` there.
struct Store {
    dir: PathBuf,
    path: PathBuf,
    process: Child,
}

impl Store {
    fn start(kind: Kind) -> Store {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("linchpin-store-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let err = fs::File::create(dir.join("err")).unwrap();
        let (mut command, path) = match kind {
            Kind::Ours => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "exec \"$1\" svscan -d 3 \"$2\" 3>&1 >/dev/null", "sh"]).arg(binary()).arg(&dir);
                (shell, dir.join("fdholder/s"))
            }
            Kind::S6 => {
                let rules = dir.join("rules/uid/self");
                fs::create_dir_all(rules.join("env")).unwrap();
                fs::write(rules.join("allow"), "").unwrap();
                for right in ["STORE_REGEX", "RETRIEVE_REGEX", "LIST", "GETDUMP", "SETDUMP"] {
                    fs::write(rules.join("env").join(format!("S6_FDHOLDER_{right}")), "\n").unwrap();
                }
                let mut daemon = Command::new("s6-fdholder-daemon");
                daemon.args(["-1", "-i"]).arg(dir.join("rules")).arg(dir.join("s"));
                (daemon, dir.join("s"))
            }
        };
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(err).spawn().expect("s6 is installed");
        let mut ready = String::new();
        process.stdout.take().unwrap().read_to_string(&mut ready).unwrap();
        assert_eq!(ready, "\n", "{}", fs::read_to_string(dir.join("err")).unwrap());
        Store { dir, path, process }
    }

    fn connect(&self) -> Raw {
        let path = CString::new(self.path.to_str().unwrap()).unwrap();
        Raw(unix::connect(&path, deadline()).unwrap())
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.process.id())).unwrap().count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("err")).unwrap()
    }

    /// Runs a client of `kind`; answers its exit code, output and errors.
    fn run(&self, kind: Kind, command: &[&str], operands: &[&str]) -> (Option<i32>, String, String) {
        let run = client(kind, command, &self.path).args(operands).stdin(Stdio::null()).output();
        let output = run.expect("s6 is installed");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn client(kind: Kind, command: &[&str], path: &Path) -> Command {
    let mut words = command.iter();
    let name = words.next().unwrap();
    let mut run = match kind {
        Kind::S6 => Command::new(format!("s6-fdholder-{name}")),
        Kind::Ours => {
            let mut run = Command::new(binary());
            run.arg(format!("s6-fdholder-{name}"));
            run
        }
    };
    run.args(words).arg(path);
    run
}

fn deadline() -> Option<u64> {
    Some(time::boot() + 10 * time::SECOND)
}

/// A connection on which a test writes bytes of its own.
struct Raw(Fd);

impl Raw {
    fn send(&self, bytes: &[u8], fds: &[Fd]) {
        assert_eq!(socket::send(self.0, bytes, fds), Ok(bytes.len()));
    }

    /// The next `n` bytes and the descriptors that come with them; fewer if the connection ends.
    fn receive(&self, n: usize) -> (Vec<u8>, Vec<Fd>) {
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        while bytes.len() < n {
            poll::readable(self.0, deadline()).expect("an answer");
            let (mut buf, mut received) = (vec![0; n - bytes.len()], [Fd::NONE; socket::MAX_FDS]);
            let Ok(got) = socket::receive(self.0, &mut buf, &mut received) else { break };
            fds.extend(&received[..got.fds]);
            bytes.extend(&buf[..got.bytes]);
            if got.bytes == 0 {
                break;
            }
        }
        (bytes, fds)
    }

    /// One whole answer, with the number of descriptors that came; empty if the connection ended.
    fn answer(&self) -> (Vec<u8>, usize) {
        let (mut bytes, fds) = self.receive(6);
        if bytes.len() == 6 {
            let length = u32::from_be_bytes(*bytes.first_chunk().unwrap());
            bytes.extend(self.receive(length as usize).0);
        }
        let count = fds.len();
        for mut fd in fds {
            fd.close();
        }
        (bytes, count)
    }

    fn ended(&self) -> bool {
        self.receive(1).0.is_empty()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.0.close();
    }
}

const LIST: &[u8] = b"\0\0\0\x01\0\0L";

fn store_request(id: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 15 + id.len() as u8, 0, 1, b'S', 0x60, 0, 0, 0, 0x6b, 2, 0xaf, 0x5f, 0, 0, 0, 1];
    bytes.push(id.len() as u8);
    bytes.extend(id);
    bytes.push(0);
    bytes
}

#[test]
fn both_stores_answer_the_same_bytes() {
    let null = fs::File::open("/dev/null").unwrap();
    let fd = [Fd(null.as_raw_fd()), Fd(null.as_raw_fd())];
    let pair = [store_request(b"r1"), store_request(b"r2")].concat();
    let behind = [LIST, &store_request(b"behind")].concat();
    let (a, b, again) = (store_request(b"unix:a"), store_request(b"tcp:b"), store_request(b"unix:a"));
    let odd = store_request(b"sp ce\n\\\xff");
    let script: [(&[u8], usize, usize); 19] = [
        (LIST, 0, 1),
        (&a, 1, 1),
        (&b, 1, 1),
        (LIST, 0, 1),
        (b"\0\0\0\x0a\0\0R\0\x06unix:a\0", 0, 1),
        (b"\0\0\0\x08\0\0R\0\x04nope\0", 0, 1),
        (&again, 1, 1),
        // In this order, because s6 uses the slot that was freed last, and we the first that is free.
        (b"\0\0\0\x09\0\0R\x07\x05tcp:b\0", 0, 1),
        (b"\0\0\0\x09\0\0R\0\x05tcp:b\0", 0, 1),
        (b"\0\0\0\x09\0\0D\x06unix:a\0", 0, 1),
        (b"\0\0\0\x09\0\0D\x06unix:a\0", 0, 1),
        (&odd, 1, 1),
        (&pair, 2, 2),
        (&behind, 1, 2),
        (LIST, 0, 1),
        (b"\0\0\0\x01\0\0L\0\0\0\x01\0\0L\0\0\0\x05\0\0D\x02r1\0", 0, 3),
        (b"\0\0\0\x06\0\0R\x01\x02r2\0", 0, 1),
        (b"\0\0\0\x05\0\0D\x02r2\0", 0, 1),
        (LIST, 0, 1),
    ];
    let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| {
        let store = Store::start(kind);
        let peer = store.connect();
        let mut said = Vec::new();
        for (bytes, fds, answers) in script {
            peer.send(bytes, &fd[..fds]);
            said.push((0..answers).map(|_| peer.answer()).collect::<Vec<_>>());
        }
        said
    });
    for ((ours, s6), (request, ..)) in ours.iter().zip(&s6).zip(script) {
        assert_eq!(ours, s6, "to {request:x?}");
        assert!(ours.iter().all(|(bytes, _)| !bytes.is_empty()), "no answer to {request:x?}");
    }
}

#[test]
fn both_stores_end_the_connection_for_the_same_reasons() {
    let null = fs::File::open("/dev/null").unwrap();
    let fd = [Fd(null.as_raw_fd()); 3];
    let [ours, s6] = [Kind::Ours, Kind::S6].map(Store::start);
    let before = ours.descriptors();
    for (bytes, fds) in [
        (&b"\0\0\0\0\0\0"[..], 0),
        (b"\0\0\0\x01\0\0X", 0),
        (b"\0\0\0\x02\0\0Lx", 0),
        (b"\x10\0\0\x01\0\0", 0),
        (b"\0\0\0\x03\0\0D\0\0", 0),
        (b"\0\0\0\x04\0\0D\x01ab", 0),
        (b"\0\0\0\x05\0\0D\x01a\0b", 0),
        (b"\0\0\0\x01\0\x01L", 1),
        (b"\0\0\0\x10\0\0S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 0),
        (b"\0\0\0\x10\0\x02S\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 2),
        (b"\0\0\0\x10\0\x01.\x60\0\0\0\0\0\0\0\0\0\0\0\x01a\0", 1),
    ] {
        for store in [&ours, &s6] {
            let peer = store.connect();
            peer.send(bytes, &fd[..fds]);
            assert!(peer.ended(), "{bytes:x?} to {}", store.path.display());
        }
    }
    // Answered first: the request was complete, and what came along with it belongs to none.
    for store in [&ours, &s6] {
        let peer = store.connect();
        peer.send(LIST, &fd);
        assert_eq!(peer.answer().0.len(), 11);
        assert!(peer.ended());
    }
    assert_eq!(ours.descriptors(), before);
}

#[test]
fn every_client_sees_the_same_from_every_store() {
    let long = "x".repeat(255);
    let longer = "x".repeat(256);
    let odd = "a b\"c'\\\n\t\u{1}\u{7}\u{b}\u{1f}\u{7f}\u{e9}";
    let script: [(&[&str], &[&str]); 26] = [
        (&["list"], &[]),
        (&["store"], &["one"]),
        (&["store"], &["one"]),
        (&["store", "-d", "0"], &[&long]),
        (&["store"], &[&longer]),
        (&["store"], &[odd]),
        (&["store", "-d", "77"], &["closed"]),
        (&["store"], &[""]),
        (&["store", "-T", "1"], &["brief"]),
        (&["store", "-T", "3600000"], &["hour"]),
        (&["delete"], &["hour"]),
        (&["retrieve"], &["one", "readlink", "/proc/self/fd/0"]),
        (&["retrieve"], &["one", "sh", "-c", "ls /proc/self/fd | wc -l; exit 7"]),
        (&["retrieve"], &["nope", "true"]),
        (&["retrieve"], &[&longer, "true"]),
        (&["retrieve"], &["one", "/nonexistent"]),
        (&["retrieve"], &["one", "/dev"]),
        (&["retrieve", "-D"], &["one", "true"]),
        (&["retrieve", "-Dt", "5000"], &[odd, "true"]),
        (&["retrieve"], &["one", "true"]),
        (&["retrieve"], &["one"]),
        (&["delete"], &[&long]),
        (&["list", "-t", "1000"], &[]),
        (&["list", "-q"], &[]),
        (&["list", "-t", "x"], &[]),
        (&["store", "-d", "x"], &["one"]),
    ];
    let combinations = [Kind::S6, Kind::Ours].map(|store| [Kind::S6, Kind::Ours].map(|client| (store, client)));
    let mut expected = Vec::new();
    for (which, client) in combinations.as_flattened() {
        let store = Store::start(*which);
        let path = store.path.to_str().unwrap();
        let seen: Vec<_> = script
            .iter()
            .map(|(command, operands)| {
                let (code, out, err) = store.run(*client, command, operands);
                if command[0] == "list" && code == Some(0) {
                    // "brief" is gone, or is not yet.
                    return (code, out.replace("brief\n", ""), err);
                }
                // How a usage is written is each one's own.
                let err = err.split_inclusive(": usage: ").next().unwrap_or_default();
                (code, out, err.replace(path, "PATH"))
            })
            .collect();
        if expected.is_empty() {
            expected = seen;
            continue;
        }
        for ((ours, s6), command) in seen.iter().zip(&expected).zip(script) {
            assert_eq!(ours, s6, "{client:?} client of {which:?} store: {command:x?}");
        }
    }
}

#[test]
fn every_client_tells_that_it_cannot_reach_a_store() {
    let nowhere = std::env::temp_dir().join("linchpin-no-such-socket");
    for command in [&["list"][..], &["delete"], &["store"], &["retrieve"]] {
        let [ours, s6] = [Kind::Ours, Kind::S6].map(|kind| {
            let run = client(kind, command, &nowhere).args(["id", "true"]).output().unwrap();
            (run.status.code(), String::from_utf8(run.stderr).unwrap())
        });
        assert_eq!(ours, s6);
        assert_eq!(ours.0, Some(111));
    }
}

#[test]
fn our_client_names_what_it_could_not_delete() {
    let store = Store::start(Kind::Ours);
    let (code, _, err) = store.run(Kind::Ours, &["delete"], &["nope"]);
    assert_eq!(code, Some(1));
    assert_eq!(err, "s6-fdholder-delete: fatal: unable to delete fd for id nope: No such file or directory\n");
}

#[test]
fn strangers_are_refused_and_named() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become somebody else");
    }
    let store = Store::start(Kind::Ours);
    let open = "chmod 711 \"$1\"; exec s6-setuidgid nobody s6-fdholder-list \"$2\"";
    let run = Command::new("sh").args(["-c", open, "sh"]).arg(&store.dir).arg(&store.path).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let log = store.log();
    assert!(log.contains("fdholder: client pid ") && log.contains(" uid 65534 is refused"), "{log}");
    assert_eq!(store.run(Kind::S6, &["list"], &[]).0, Some(0));
}

/// Limits the numbers of descriptors that the store may have; `None` lifts that.
fn limit(store: &Store, soft: Option<usize>) {
    let pid = store.process.id().to_string();
    let limits = Command::new("prlimit").args(["--pid", &pid, "--nofile", "--noheadings", "--output", "HARD"]).output();
    let hard = String::from_utf8(limits.unwrap().stdout).unwrap();
    let soft = soft.map_or(hard.trim().to_owned(), |soft| soft.to_string());
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).status().unwrap();
    assert!(done.success());
}

/// The lowest number that is not open.
fn lowest_free(store: &Store) -> usize {
    (0..).find(|n| fs::symlink_metadata(format!("/proc/{}/fd/{n}", store.process.id())).is_err()).unwrap()
}

#[test]
fn a_store_that_has_run_out_of_descriptors_lives_and_serves_those_who_wait_later() {
    let store = Store::start(Kind::Ours);
    let early = store.connect();
    early.send(&store_request(b"kept"), &[Fd(0)]);
    assert_eq!(early.answer().0, b"\0\0\0\x01\0\0\0");
    limit(&store, Some(lowest_free(&store)));
    let late = store.connect();
    late.send(LIST, &[]);
    // Those who are in are served meanwhile.
    for _ in 0..200 {
        early.send(LIST, &[]);
        assert_eq!(early.answer().0.len(), 16);
    }
    let losing = early; // its next descriptor cannot be received
    losing.send(&store_request(b"lost"), &[Fd(0)]);
    assert!(losing.ended());
    drop(losing);
    limit(&store, None);
    assert_eq!(late.answer().0, b"\0\0\0\x0a\0\0\0\0\0\0\x01kept\0");
    let log = store.log();
    assert_eq!(log.matches("unable to accept").count(), 1, "{log}");
}

#[test]
fn no_client_leaves_a_descriptor_behind() {
    let store = Store::start(Kind::Ours);
    let last = store.connect();
    let served = || {
        last.send(LIST, &[]);
        assert_eq!(last.answer().0, b"\0\0\0\x05\0\0\0\0\0\0\0");
    };
    served();
    let before = store.descriptors();
    for i in 0..50u8 {
        let peer = store.connect();
        peer.send(&store_request(&[b'n', b'a' + i % 26]), &[Fd(0)]);
        peer.answer();
        let piece = usize::from(i) % 20 + 1;
        peer.send(&store_request(b"unfinished")[..piece], &[Fd(0), Fd(0)][..usize::from(i % 3)]);
    }
    for i in 0..26u8 {
        let id = [b'n', b'a' + i];
        assert_eq!(store.run(Kind::Ours, &["delete"], &[std::str::from_utf8(&id).unwrap()]).0, Some(0));
    }
    // What happened before on other connections is seen before, or in the same turn.
    served();
    served();
    assert_eq!(store.descriptors(), before);
}
