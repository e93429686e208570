//! A directory of its own for each test, removed after it.

use crate::sys::{Fd, file};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Scratch {
    pub path: PathBuf,
    /// Descriptor of the directory, as PID 1 holds that of a service.
    pub fd: Fd,
}

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = loop {
            let name = format!("linchpin-service-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            match std::fs::create_dir(&path) {
                // Of a test that was killed, whose process had our number.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                done => break done.map(|()| path).unwrap(),
            }
        };
        let c_path = CString::new(path.to_str().unwrap()).unwrap();
        Scratch { fd: file::open_dir(Fd::CWD, &c_path).unwrap(), path }
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path.join(name), content).unwrap();
    }

    pub fn mkdir(&self, name: &str) {
        std::fs::create_dir(self.path.join(name)).unwrap();
    }

    /// The twelve mode bits of an entry.
    pub fn mode(&self, name: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(self.path.join(name)).unwrap().permissions().mode() & 0o7777
    }

    pub fn names(&self, dir: impl AsRef<Path>) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path.join(dir))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.fd.close();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
