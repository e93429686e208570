//! One fault at each point at which serving a client can be interrupted.

use crate::raw::*;
use crate::store::*;
use linchpin::sys::inject::{KINDS, POINTS};
use linchpin::sys::{Fd, fd, file};

/// Runs a client that is to succeed; answers what it prints.
fn succeeds(store: &Store, kind: Kind, command: &[&str], operands: &[&str]) -> String {
    let (code, out, err) = store.run(kind, command, operands);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{kind:?} {command:?} {operands:?}: {}", store.log());
    out
}

fn refused(store: &Store, kind: Kind, command: &[&str], operands: &[&str], why: &str) {
    let (code, _, err) = store.run(kind, command, operands);
    assert!(code == Some(1) && err.ends_with(why), "{kind:?} {command:?} {operands:?}: {code:?} {err}{}", store.log());
}

/// Programs, of which each does one thing.
fn programs(store: &Store, kind: Kind) {
    let show = ["readlink", "/proc/self/fd/0"];
    succeeds(store, kind, &["store"], &["a"]);
    succeeds(store, kind, &["store"], &["b"]);
    refused(store, kind, &["store"], &["a"], "Device or resource busy\n");
    assert_eq!(succeeds(store, kind, &["list"], &[]), "a\nb\n");
    assert_eq!(succeeds(store, kind, &["retrieve"], &[&["a"], &show[..]].concat()), "/dev/null\n");
    assert_eq!(succeeds(store, kind, &["retrieve", "-D"], &[&["b"], &show[..]].concat()), "/dev/null\n");
    refused(store, kind, &["retrieve"], &["b", "true"], "No such file or directory\n");
    succeeds(store, kind, &["store"], &["c"]);
    let ids = "printf '%s %s %s\\n' \"${S6_FD#}\" \"$S6_FDID_0\" \"$S6_FDID_1\"; env | grep -c S6_FDID_";
    assert!(succeeds(store, kind, &["getdump"], &["sh", "-c", ids]).ends_with("2\n"));
    succeeds(store, kind, &["delete"], &["c"]);
    refused(store, kind, &["delete"], &["c"], "No such file or directory\n");
    succeeds(store, kind, &["delete"], &["a"]);
    assert_eq!(succeeds(store, kind, &["list"], &[]), "");
}

/// One connection, with all that a client can ask, in pieces too.
pub fn connection(store: &Store) {
    let peer = store.connect();
    let ask = |payload: &[u8], fds: &[Fd]| {
        let said = peer.ask(payload, fds);
        assert!(said != Said::End, "{payload:?}: it is cut off: {}", store.log());
        said
    };
    let (mut read, mut write) = fd::pipe().unwrap();
    let pipe = file::identity(write).unwrap();
    assert_eq!(ask(&self::store(b"a"), &[write]), status(OK));
    assert_eq!(ask(&self::store(b"a"), &[write]), status(EBUSY));
    let all = [message(&self::store(b"b"), 1), message(&retrieve(b"a", 1), 0), message(&delete(b"a"), 0)].concat();
    let (first, rest) = all.split_at(40);
    peer.send(first, &[write]);
    peer.send(rest, &[]);
    assert_eq!(peer.said(), status(OK));
    assert_eq!(peer.said(), Said::Answer(vec![OK], vec![pipe]));
    assert_eq!(peer.said(), status(ENOENT));
    // A dump of two messages; "b" is replaced.
    let names: Vec<Vec<u8>> = (0..263).map(|i| format!("{i}").into_bytes()).chain([b"b".to_vec()]).collect();
    let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    assert_eq!(ask(&announce(264), &[]), Said::Answer(vec![OK, 0, 0, 0, 2], vec![]));
    assert_eq!(ask(&dump(&names[..253]), &[write; 253]), status(EAGAIN));
    assert_eq!(ask(&dump(&names[253..]), &[write; 11]), status(OK));
    assert_eq!(ask(b"?", &[]), Said::Answer(vec![0, 0, 0, 0, 2, 0, 0, 1, 8], vec![]));
    for count in [253, 11] {
        let Said::Answer(_, came) = peer.said() else { panic!("it is cut off: {}", store.log()) };
        assert_eq!(came, vec![pipe; count]);
    }
    let Said::Answer(list, _) = ask(b"L", &[]) else { panic!("it is cut off: {}", store.log()) };
    assert_eq!(list[..5], [OK, 0, 0, 1, 8]);
    for name in &names {
        assert_eq!(ask(&delete(name), &[]), status(OK));
    }
    assert_eq!(ask(b"L", &[]), Said::Answer(vec![0; 5], vec![]));
    write.close();
    drop(peer);
    assert_eq!(read_end(read), Ok(0), "somebody has the pipe still: {}", store.log());
    read.close();
}

/// Waits for the end of a pipe.
fn read_end(fd: Fd) -> Result<usize, linchpin::sys::Errno> {
    linchpin::sys::poll::readable(fd, deadline()).unwrap();
    rustix::io::read(fd, &mut [0; 1])
}

fn points() -> impl Iterator<Item = (usize, &'static str)> {
    let all = POINTS.iter().flat_map(|group| group.iter().copied());
    all.filter(|name| name.starts_with("holder.")).enumerate()
}

/// As many are open as at first, when the last client is gone.
fn until_open(store: &Store, count: usize) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while store.descriptors() != count {
        let list = std::process::Command::new("ls").args(["-l", &format!("/proc/{}/fd", store.process.id())]).output();
        let list = String::from_utf8(list.unwrap().stdout).unwrap();
        assert!(std::time::Instant::now() < until, "{} instead of {count}: {list}{}", store.descriptors(), store.log());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// How many are open when it waits: it scans its directory once when it has said that it is ready.
pub fn open_at_rest(store: &Store) -> usize {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", store.process.id())).unwrap();
        if stat.rsplit(") ").next().unwrap().starts_with('S') {
            return store.descriptors();
        }
        assert!(std::time::Instant::now() < until, "it does not come to rest: {stat}{}", store.log());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Has `live` interrupted at each point, at these passages, each in another way.
fn interrupted(passages: &[usize], live: impl Fn(&Store)) {
    let mut met = 0;
    for (number, point) in points() {
        for (at, nth) in passages.iter().enumerate() {
            let plan = format!("{point}:{nth}:{}", KINDS[(number + at) % KINDS.len()].0);
            eprintln!("LINCHPIN_FAULTS={plan}");
            let store = Store::start_to_fail(&plan);
            let before = open_at_rest(&store);
            live(&store);
            until_open(&store, before);
            met += usize::from(store.log().contains("which is survived"));
        }
    }
    assert!(met >= 15, "{met} faults");
}

#[test]
fn our_programs_notice_nothing() {
    interrupted(&[1], |store| programs(store, Kind::Ours));
}

#[test]
fn our_programs_notice_nothing_of_a_later_fault() {
    interrupted(&[4], |store| programs(store, Kind::Ours));
}

#[test]
fn programs_of_s6_notice_nothing() {
    interrupted(&[1], |store| programs(store, Kind::S6));
}

#[test]
fn programs_of_s6_notice_nothing_of_a_later_fault() {
    interrupted(&[4], |store| programs(store, Kind::S6));
}

#[test]
fn a_connection_goes_on() {
    interrupted(&[1, 2, 3], connection);
}

#[test]
fn a_connection_goes_on_after_a_later_fault() {
    interrupted(&[5, 9, 200], connection);
}
