//! The process under attack: svscan with twenty services, and with a hundred descriptors of an honest client in its store.

use crate::scandir::{ScanDir, Svscan};
use crate::supervision::*;
use linchpin::fdholder::client::{Connection, never};
use linchpin::sys::{Fd, process, time};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How many services there are.
pub const SERVICES: usize = 20;
/// How many descriptors are held.
const HELD: usize = 100;

/// The process.
pub struct World {
    pub svscan: Svscan,
    names: Vec<String>,
    /// Descriptors that it has when no client is there.
    fds: usize,
    /// What is held under the honest names.
    file: std::fs::File,
}

impl World {
    /// Everything up, everything stored.
    pub fn new() -> World {
        World::started_by("exec \"$@\"")
    }

    /// The same, started by a shell script that ends by executing `"$@"`.
    pub fn started_by(script: &str) -> World {
        let names: Vec<String> = (0..SERVICES).map(|n| format!("service{n}")).collect();
        let services: Vec<Service<'_>> = names.iter().map(|name| (&name[..], &[("run", SLEEPER)][..])).collect();
        let svscan = ScanDir::in_memory(&services).start_by(script, "");
        let path = svscan.base("held");
        std::fs::write(&path, "honest").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut world = World { svscan, names, fds: 0, file };
        let mut connection = world.connect();
        for n in 0..HELD {
            connection.store(Fd(world.file.as_raw_fd()), honest_name(n).as_bytes(), never()).unwrap();
        }
        connection.close();
        world.pids();
        world.fds = world.settled();
        world
    }

    /// The store's socket.
    pub fn socket(&self) -> PathBuf {
        self.svscan.path("fdholder/s")
    }

    pub fn connect(&self) -> Connection {
        Connection::open(&c_path(&self.socket()), Some(time::boot() + 60 * time::SECOND)).unwrap()
    }

    /// Descriptors of the process once that number stands still.
    fn settled(&self) -> usize {
        let mut last = (self.svscan.fds(), Instant::now());
        let deadline = last.1 + PATIENCE;
        while last.1.elapsed() < Duration::from_millis(300) {
            assert!(Instant::now() < deadline, "the number of descriptors does not come to rest");
            std::thread::sleep(Duration::from_millis(10));
            let now = self.svscan.fds();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        last.0
    }

    /// The pids of all services, which are up or will be.
    pub fn pids(&self) -> Vec<i32> {
        self.names.iter().map(|name| self.svscan.pid_of(name)).collect()
    }

    /// Kills every service, and answers how long it took until all were up again.
    pub fn kill_services(&self) -> Duration {
        let before = self.pids();
        let began = Instant::now();
        for pid in &before {
            assert!(*pid > 1);
            process::kill(*pid, 9).unwrap();
        }
        for (name, old) in self.names.iter().zip(before) {
            eventually(|| self.svscan.try_status(name).is_some_and(|status| status.is_up() && status.pid != old));
        }
        began.elapsed()
    }

    /// What an attack must not have changed. Its connections are closed.
    pub fn check(&self) {
        let evil = |id: &[u8]| !id.starts_with(b"honest");
        let mut connection = self.connect();
        let mut buf = vec![0; 400_000];
        let ids: Vec<Vec<u8>> = connection.list(&mut buf).unwrap().map(<[u8]>::to_vec).collect();
        for id in ids.iter().filter(|id| evil(id)) {
            let _ = connection.delete(id); // may have expired
        }
        let mut left: Vec<Vec<u8>> = connection.list(&mut buf).unwrap().map(<[u8]>::to_vec).collect();
        left.sort();
        let mut expected: Vec<Vec<u8>> = (0..HELD).map(|n| honest_name(n).into_bytes()).collect();
        expected.sort();
        assert_eq!(left, expected, "what was held is held");
        let identity = self.file.metadata().unwrap();
        for id in &expected {
            let mut fd = connection.retrieve(id, false).unwrap();
            let found = std::fs::metadata(format!("/proc/self/fd/{}", fd.0)).unwrap();
            assert_eq!((found.dev(), found.ino()), (identity.dev(), identity.ino()), "the wrong descriptor");
            fd.close();
        }
        connection.close();
        let deadline = Instant::now() + PATIENCE;
        while self.svscan.fds() != self.fds {
            assert!(Instant::now() < deadline, "{} descriptors instead of {}", self.svscan.fds(), self.fds);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The names under which the honest client has something held.
pub fn honest_name(n: usize) -> String {
    format!("honest {n}")
}
