//! What the kernel knows, as the checks of an arena ask for it: tests and fuzzing answer in its place.

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

/// The kernel's answers.
pub trait Ledger {
    /// What is open under this number; `None`: nothing.
    fn look(&mut self, fd: i32) -> Option<Look>;
    /// Whether this process is a child of ours, be it that it has ended already.
    fn is_child(&mut self, pid: i32) -> bool;
}
