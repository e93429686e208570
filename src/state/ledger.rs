//! What the kernel knows, as the checks of an arena ask for it: tests and fuzzing answer in its place.

use crate::sys::time::{self, Nanos};
use core::ffi::CStr;

/// What a descriptor is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A directory.
    Directory,
    /// A FIFO or a pipe.
    Pipe,
    /// A socket that listens.
    Listener,
    /// Any other socket.
    Socket,
    /// A regular file.
    File,
    /// Something else.
    Other,
}

/// What is known of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// What it is.
    pub what: What,
    /// st_dev.
    pub dev: u64,
    /// st_ino.
    pub ino: u64,
}

/// The kernel's answers. Those with a body need not be given: nothing is known then, and records are believed.
pub trait Ledger {
    /// Boot time.
    fn now(&mut self) -> Nanos {
        time::boot()
    }
    /// What is open under this number; `None`: nothing.
    fn look(&mut self, fd: i32) -> Option<Look>;
    /// Whether one can only read from this descriptor (true), or only write to it (false).
    fn reads(&mut self, _fd: i32) -> Option<bool> {
        None
    }
    /// Whether this process is a child of ours, be it that it has ended already.
    fn is_child(&mut self, pid: i32) -> bool;
    /// st_dev and st_ino of what has this path in an open directory ([`Fd::CWD`](crate::sys::Fd::CWD): in ours), links
    /// followed.
    fn at(&mut self, _dir: i32, _path: &CStr) -> Option<(u64, u64)> {
        None
    }
    /// What the status file of a service directory says: a pid, and whether that is of `finish`.
    fn status(&mut self, _dir: i32) -> Option<(i32, bool)> {
        None
    }
    /// Who is at the other end of a connection: pid, user, group.
    fn peer(&mut self, _fd: i32) -> Option<(u32, u32, u32)> {
        None
    }
    /// Where, from this offset in the arena on, something may have been written; `None`: nowhere.
    fn written(&mut self, from: usize) -> Option<usize> {
        Some(from)
    }
}
