//! Descriptors as plain numbers. Records in the arena name descriptors by number, and PID 1 may be entered again
//! with those numbers only; so the crate passes [`Fd`] around and closes explicitly.

use super::Result;
use rustix::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// A descriptor number, or [`Fd::NONE`]. Copying it does not duplicate the descriptor; nothing is closed on drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Fd(pub i32);

impl Fd {
    /// No descriptor.
    pub const NONE: Fd = Fd(-1);
    /// Standard input.
    pub const STDIN: Fd = Fd(0);
    /// Standard output.
    pub const STDOUT: Fd = Fd(1);
    /// Standard error.
    pub const STDERR: Fd = Fd(2);
    /// The current directory, for the `*at` calls.
    pub const CWD: Fd = Fd(linux_raw_sys::general::AT_FDCWD);

    /// Takes over an owned descriptor: it stays open until [`Fd::close`].
    pub fn from_owned(fd: OwnedFd) -> Fd {
        Fd(fd.into_raw_fd())
    }

    /// pipe2(2): the end to read from, the end to write to; close-on-exec.
    pub fn pipe() -> Result<(Fd, Fd)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok((Fd::from_owned(read), Fd::from_owned(write)))
    }

    /// Whether there is a number at all.
    pub fn is_some(self) -> bool {
        self.0 >= 0
    }

    /// Closes the descriptor and forgets the number; nothing happens for `NONE`. close(2)'s errors are of no use.
    pub fn close(&mut self) {
        if self.is_some() {
            // SAFETY: a number without an owner in the type system; closing one that is not open is EBADF.
            unsafe { rustix::io::close(self.0) };
        }
        *self = Fd::NONE;
    }

    /// Whether the number is open.
    pub fn is_open(self) -> bool {
        self.is_some() && fcntl_getfd(self).is_ok()
    }

    /// Sets or clears close-on-exec.
    pub fn set_cloexec(self, on: bool) -> Result<()> {
        fcntl_setfd(self, if on { FdFlags::CLOEXEC } else { FdFlags::empty() })
    }

    /// Sets or clears O_NONBLOCK on the open file description.
    pub fn set_nonblocking(self, on: bool) -> Result<()> {
        let mut flags = rustix::fs::fcntl_getfl(self)?;
        flags.set(rustix::fs::OFlags::NONBLOCK, on);
        rustix::fs::fcntl_setfl(self, flags)
    }

    /// A close-on-exec duplicate with the lowest free number that is at least `min`.
    pub fn duplicate(self, min: i32) -> Result<Fd> {
        rustix::io::fcntl_dupfd_cloexec(self, min).map(Fd::from_owned)
    }

    /// dup2(2) onto `to`, without close-on-exec. If the numbers are equal, only the flag is cleared.
    pub fn place(self, to: i32) -> Result<()> {
        if self.0 == to {
            return self.set_cloexec(false);
        }
        // SAFETY: `to` has no owner in the type system; the temporary owner is released without closing.
        let mut target = unsafe { <OwnedFd as rustix::fd::FromRawFd>::from_raw_fd(to) };
        let done = rustix::io::dup2(self, &mut target);
        let _ = target.into_raw_fd();
        done
    }
}

/// Closes every descriptor above standard error: what somebody left us, at the start of a process that has opened none
/// itself yet. Best effort: kernels before 5.9 cannot.
pub fn close_inherited() {
    let _ = super::raw::close_from(3);
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // BorrowedFd cannot hold -1; the highest number is never open and answers EBADF just as well.
        let raw = if self.0 == -1 { i32::MAX } else { self.0 };
        // SAFETY: only system calls look at it, and they check the number.
        unsafe { BorrowedFd::borrow_raw(raw) }
    }
}
