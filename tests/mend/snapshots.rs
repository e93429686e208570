//! Arenas of engines at work, taken at any moment: nothing is wrong with them.

use crate::image::{Image, World};
use crate::scandir::{ScanDir, Svscan, eventually};
use crate::supervision::{DOWN, NOTIFIES, READY, SLEEPER};
use linchpin::service::status;
use linchpin::state::ledger::{Look, What};
use linchpin::sys::{Fd, time};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

/// A descriptor of another process, as one of ours.
fn take(pid: i32, number: i32) -> Option<Fd> {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
    let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok().map(Fd::from_owned)
}

fn look(fd: Fd) -> Option<Look> {
    use rustix::fs::FileType;
    let stat = rustix::fs::fstat(fd).ok()?;
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => What::Directory,
        FileType::Fifo => What::Pipe,
        FileType::Socket if rustix::net::sockopt::socket_acceptconn(fd) == Ok(true) => What::Listener,
        FileType::Socket => What::Socket,
        FileType::RegularFile => What::File,
        _ => What::Other,
    };
    Some(Look { what, dev: stat.st_dev as u64, ino: stat.st_ino as u64 })
}

/// What the kernel says of a process.
fn world(pid: i32) -> World {
    let mut world = World { now: time::boot(), ..World::default() };
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    world.children = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    let path = |world: &mut World, dir: i32, path: &str, whole: String| {
        if let Ok(meta) = std::fs::metadata(whole) {
            world.paths.insert((dir, CString::new(path).unwrap()), (meta.dev(), meta.ino()));
        }
    };
    path(&mut world, Fd::CWD.0, ".", format!("/proc/{pid}/cwd"));
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let number: i32 = entry.unwrap().file_name().to_str().unwrap().parse().unwrap();
        let Some(mut fd) = take(pid, number) else { continue };
        let Some(seen) = look(fd) else { continue };
        world.fds.insert(number, seen);
        let flags = rustix::fs::fcntl_getfl(fd).unwrap_or(rustix::fs::OFlags::RDWR);
        if !flags.contains(rustix::fs::OFlags::RDWR) {
            world.reads.insert(number, !flags.contains(rustix::fs::OFlags::WRONLY));
        }
        match seen.what {
            What::Directory => {
                for name in ["supervise/control", "supervise/lock", ".s6-svscan/control", ".s6-svscan/lock"] {
                    path(&mut world, number, name, format!("/proc/{pid}/fd/{number}/{name}"));
                }
                if let Ok(status) = status::read(fd) {
                    world.statuses.insert(number, (status.pid, status.finishing));
                }
            }
            What::Socket => {
                if let Ok(peer) = linchpin::sys::socket::peer(fd) {
                    world.peers.insert(number, (peer.pid, peer.uid, peer.gid));
                }
            }
            _ => {}
        }
        fd.close();
    }
    world
}

/// The descriptor of the arena of a process.
pub fn arena_of(pid: i32) -> Fd {
    let number = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().find_map(|entry| {
        let entry = entry.unwrap();
        let to = std::fs::read_link(entry.path()).ok()?;
        let is_it = to.to_str().is_some_and(|to| to.starts_with("/memfd:linchpin"));
        is_it.then(|| entry.file_name().to_str().unwrap().parse::<i32>().unwrap())
    });
    take(pid, number.expect("an arena")).unwrap()
}

/// The arena of an engine, at this moment, with the world around it.
pub fn snapshot(svscan: &Svscan) -> Image {
    svscan.signal(libc::SIGSTOP);
    let is_stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", svscan.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with('T')
    };
    eventually(is_stopped);
    let mut arena = arena_of(svscan.pid());
    let image = Image::read(arena, world(svscan.pid()));
    svscan.signal(libc::SIGCONT);
    arena.close();
    image
}

/// An engine with so many services of each kind, two held sockets, two clients.
pub fn busy_engine(each: usize) -> (Svscan, Vec<UnixStream>) {
    let dir = ScanDir::in_memory(&[]);
    let flapping = "#!/bin/sh\nexit 1\n";
    for i in 0..each {
        let make = |name: &str, files: &[(&str, &str)]| {
            crate::supervision::make_service(&dir.path().join(format!("{name}{i}")), files);
        };
        make("plain", &[("run", SLEEPER)]);
        make("logged", &[("run", SLEEPER), ("log/run", "#!/bin/sh\nexec cat >/dev/null\n")]);
        make("ready", &[("run", READY), NOTIFIES]);
        make("down", &[("run", SLEEPER), DOWN]);
        make("finishing", &[("run", "#!/bin/sh\nexit 0\n"), ("finish", "#!/bin/sh\nsleep 0.05\n")]);
        make("flapping", &[("run", flapping), ("restart-delay", "10ms\n")]);
        make("speaking", &[("run", SLEEPER), ("notify-socket", "watchdog=60s\n")]);
        make("waiting", &[("run", SLEEPER), ("dependencies.d/nobody", "")]);
    }
    let svscan = dir.start("");
    let socket = svscan.path("fdholder/s");
    eventually(|| socket.exists());
    for name in ["a", "b"] {
        let listener = UnixListener::bind(svscan.base(name)).unwrap();
        let stdin: std::process::Stdio = std::os::fd::OwnedFd::from(listener).into();
        let mut store = Command::new("s6-fdholder-store");
        let stored = store.arg(&socket).arg(format!("unix:{name}")).stdin(stdin).status().unwrap();
        assert!(stored.success(), "{}", svscan.log());
    }
    let clients = (0..2).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    for name in ["plain", "logged", "ready"] {
        svscan.pid_of(&format!("{name}{}", each - 1));
    }
    (svscan, clients)
}

#[test]
fn an_engine_at_work_has_nothing_to_be_mended_at_any_moment() {
    let (svscan, _clients) = busy_engine(6);
    for nth in 0..40 {
        let mut image = snapshot(&svscan);
        assert_eq!(image.tables().header.services_top, 6 * 9, "{}", svscan.log());
        let said = image.mend();
        assert_eq!((image.violation(), &said[..]), (None, &[][..]), "snapshot {nth}");
        assert_eq!(image.changed(), [""; 0], "snapshot {nth}");
        if nth % 4 == 0 {
            svscan.send(&format!("plain{}", nth % 6), b"k");
            svscan.send(&format!("logged{}", nth % 6), b"r");
        }
    }
}
