//! A directory of a test's own, gone when the test is over.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The directory.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new, empty one, which everybody may enter.
    pub fn new() -> TempDir {
        TempDir::within(&std::env::temp_dir()).unwrap()
    }

    /// The same in memory, as scan directories are, if there is such a place: a disk makes a thousand of them slow.
    #[allow(dead_code)] // few tests have so many files
    pub fn in_memory() -> TempDir {
        TempDir::within(Path::new("/dev/shm")).unwrap_or_else(|_| TempDir::new())
    }

    fn within(place: &Path) -> std::io::Result<TempDir> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = place.join(format!("linchpin-test-{}-{count}", std::process::id()));
            match std::fs::create_dir(&path) {
                // Of a test that was killed, whose process had our number.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                done => return done.map(|()| TempDir(path)),
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A link in it to the binary, called `name`; returns its path.
    #[allow(dead_code)] // not all tests run commands by a name
    pub fn command(&self, name: &str) -> PathBuf {
        let link = self.0.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_linchpin"), &link).unwrap();
        link
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
