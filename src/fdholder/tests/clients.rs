//! Clients that wait, in threads and processes of their own, against a server that runs its loop.

use super::{Peer, Store, Witness};
use crate::fdholder::client::{Connection, never};
use crate::fdholder::records::Now;
use crate::fdholder::server::Settings;
use crate::sys::time::{self, MILLI, SECOND};
use crate::sys::{Errno, Fd, unix};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A store whose loop runs in a thread.
struct Running {
    path: CString,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn new() -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let mut store = Store::with_settings(Settings::default());
        let path = store.path.clone();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                store.now = Now::read();
                store.pass(0);
                let limit = store.due().unwrap_or(SECOND).min(SECOND);
                crate::sys::poll::readable(store.epoll.fd(), Some(time::boot() + limit)).ok();
                store.turn();
            }
        });
        Running { path, stop, thread: Some(thread) }
    }

    fn open(&self) -> Connection {
        Connection::open(&self.path, Some(time::boot() + 10 * SECOND)).unwrap()
    }

    fn debian(&self, command: &str, args: &[&str], stdin: Stdio) -> Output {
        let mut run = Command::new(format!("s6-fdholder-{command}"));
        let (options, rest) = args.split_at(args.iter().take_while(|arg| arg.starts_with('-')).count());
        run.args(options).arg(self.path.to_str().unwrap()).args(rest).stdin(stdin);
        run.output().expect("s6 is installed")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = unix::connect(&self.path, None).map(|mut fd| fd.close()); // wakes the loop
        self.thread.take().unwrap().join().unwrap();
    }
}

fn stdio(fd: Fd) -> Stdio {
    // SAFETY: a duplicate of ours, which nobody else owns.
    #[allow(unsafe_code)]
    unsafe { OwnedFd::from_raw_fd(fd.duplicate(3).unwrap().0) }.into()
}

#[test]
fn our_client_stores_lists_retrieves_and_deletes() {
    let running = Running::new();
    let mut witness = Witness::new();
    let mut client = running.open();
    client.store(witness.write, b"one", never()).unwrap();
    client.store(witness.write, &[b'x'; 255], never()).unwrap();
    assert_eq!(client.store(witness.write, b"one", never()), Err(Errno::BUSY));
    assert_eq!(client.store(witness.write, &[b'x'; 256], never()), Err(Errno::NAMETOOLONG));
    let mut buf = [0; 1000];
    let names: Vec<_> = client.list(&mut buf).unwrap().collect();
    assert_eq!(names, [b"one".as_slice(), &[b'x'; 255]]);
    assert_eq!(client.list(&mut [0; 100]).map(|_| ()), Err(Errno::MSGSIZE));
    client.close();
    let mut client = running.open();
    assert!(witness.is(client.retrieve(b"one", false).unwrap()));
    assert!(witness.is(client.retrieve(&[b'x'; 255], true).unwrap()));
    assert_eq!(client.retrieve(&[b'x'; 255], true), Err(Errno::NOENT));
    client.delete(b"one").unwrap();
    assert_eq!(client.delete(b"one"), Err(Errno::NOENT));
    assert!(witness.alone());
    assert_eq!(client.delete(b""), Err(Errno::PIPE));
    client.close();
}

#[test]
fn debians_clients_store_list_retrieve_and_delete() {
    let running = Running::new();
    let mut witness = Witness::new();
    let odd = "a b\"c\\\n\u{1}\u{7}\u{e9}\u{7f}";
    for id in ["unix:a", odd] {
        let done = running.debian("store", &[id], stdio(witness.write));
        assert!(done.status.success(), "{done:?}");
    }
    let again = running.debian("store", &["unix:a"], Stdio::null());
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(again.stderr, b"s6-fdholder-store: fatal: unable to store fd: Device or resource busy\n");
    let list = running.debian("list", &[], Stdio::null());
    assert_eq!(list.stdout, b"unix:a\na b\"c\\\\\\n\\0x01\\a\\0xc3\\0xa9\\0x7f\n");
    let ran = running.debian("retrieve", &["unix:a", "sh", "-c", "echo hello >&0"], Stdio::null());
    assert!(ran.status.success(), "{ran:?}");
    let mut said = [0; 6];
    assert_eq!(rustix::io::read(witness.read, &mut said), Ok(6));
    assert_eq!(&said, b"hello\n");
    let ran = running.debian("retrieve", &["-D", odd, "true"], Stdio::null());
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(running.debian("delete", &["unix:a"], Stdio::null()).status.code(), Some(0));
    assert_eq!(running.debian("delete", &["unix:a"], Stdio::null()).status.code(), Some(1));
    assert!(witness.alone());
}

#[test]
fn a_descriptor_with_a_life_time_is_closed_when_it_is_over() {
    let running = Running::new();
    let mut witness = Witness::new();
    let mut client = running.open();
    let limit = crate::text::tai::Stamp::now().plus(50 * MILLI);
    client.store(witness.write, b"brief", limit).unwrap();
    witness.write.close();
    // The reading end becomes readable when the last writing end is closed.
    crate::sys::poll::readable(witness.read, Some(time::boot() + 10 * SECOND)).unwrap();
    assert!(witness.alone());
    client.close();
}

#[test]
fn many_clients_at_once_are_all_served() {
    let running = Running::new();
    let workers: Vec<_> = (0..80)
        .map(|i| {
            let path = running.path.clone();
            std::thread::spawn(move || {
                let witness = Witness::new();
                let id = format!("worker {i}").into_bytes();
                for _ in 0..20 {
                    let mut client = Connection::open(&path, Some(time::boot() + 60 * SECOND)).unwrap();
                    client.store(witness.write, &id, never()).unwrap();
                    assert!(witness.is(client.retrieve(&id, true).unwrap()));
                    client.close();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    let mut client = running.open();
    assert_eq!(client.list(&mut [0; 4096]).unwrap().count(), 0);
    client.close();
}

/// A listener that answers its first client's first request with `answer`, and then waits until it is gone.
fn impostor(name: &str, answer: &'static [u8], fds: usize) -> (CString, JoinHandle<()>) {
    let path = CString::new(format!("/tmp/linchpin-impostor-{name}-{}", std::process::id())).unwrap();
    let mut listener = unix::listen(&path, 0o600).unwrap();
    let served = path.clone();
    let thread = std::thread::spawn(move || {
        crate::sys::poll::readable(listener, None).unwrap();
        let peer = Peer(unix::accept(listener).unwrap());
        crate::sys::poll::readable(peer.0, None).unwrap();
        peer.receive(400).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let _ = peer.send(answer, &vec![Fd(file.as_raw_fd()); fds]);
        if !answer.is_empty() {
            crate::sys::poll::readable(peer.0, None).unwrap();
        }
        listener.close();
        std::fs::remove_file(served.to_str().unwrap()).unwrap();
    });
    (path, thread)
}

#[test]
fn our_client_believes_nothing_that_is_no_answer() {
    let retrieve = |client: &mut Connection| client.retrieve(b"it", false).map(|mut fd| fd.close());
    let list = |client: &mut Connection| client.list(&mut [0; 100]).map(|_| ());
    type Ask<'a> = &'a dyn Fn(&mut Connection) -> Result<(), Errno>;
    let cases: [(&str, &'static [u8], usize, Ask<'_>, Errno); 9] = [
        ("nofd", b"\0\0\0\x01\0\x01\0", 0, &retrieve, Errno::PROTO),
        ("longer", b"\0\0\0\x02\0\x01\0\0", 1, &retrieve, Errno::PROTO),
        ("two", b"\0\0\0\x01\0\x02\0", 2, &retrieve, Errno::PROTO),
        ("echo", b"\0\0\0\x01\0\0L", 0, &list, Errno::from_raw_os_error(76)),
        ("fds", b"\0\0\0\x05\0\x01\0\0\0\0\0", 1, &list, Errno::PROTO),
        ("count", b"\0\0\0\x07\0\0\0\0\0\0\x02a\0", 0, &list, Errno::PROTO),
        ("empty", b"\0\0\0\0\0\0", 0, &list, Errno::PROTO),
        ("gone", b"", 0, &list, Errno::PIPE),
        ("huge", b"\xff\xff\xff\xff\0\0\0", 0, &list, Errno::MSGSIZE),
    ];
    for (name, answer, fds, ask, why) in cases {
        let (path, thread) = impostor(name, answer, fds);
        let mut client = Connection::open(&path, Some(time::boot() + 10 * SECOND)).unwrap();
        assert_eq!(ask(&mut client), Err(why), "{name}");
        client.close();
        thread.join().unwrap();
    }
}

#[test]
fn our_client_waits_no_longer_than_its_deadline() {
    let (path, thread) = impostor("slow", b"\0\0\0", 0);
    let mut client = Connection::open(&path, Some(time::boot() + 50 * MILLI)).unwrap();
    assert_eq!(client.delete(b"it"), Err(Errno::TIMEDOUT));
    client.close();
    thread.join().unwrap();
}
