//! Asking the process that has a store to become another binary.

use super::{Connection, Request};
use crate::sys::{Fd, Result, socket};

impl Connection {
    /// A hand-over of all that the process has, as it is at this moment. EPERM: not allowed. EPIPE, ECONNRESET: it does not
    /// know this request. EOPNOTSUPP: it is a process that cannot be upgraded.
    pub fn hand_over(&mut self) -> Result<Fd> {
        self.request(&Request::HandOver, &[])?;
        self.descriptor()
    }

    /// Has the process go on as `binary`; the answer is that of the new one. Errors: as above, ENOEXEC: it is no program of
    /// this machine; execve(2)'s, and then nothing has changed.
    pub fn enter(&mut self, binary: Fd) -> Result<()> {
        self.request(&Request::Enter, &[binary])?;
        self.status()
    }

    /// The process on the other side, as far as it lives in our pid namespace.
    pub fn server(&self) -> Option<i32> {
        let pid = socket::peer(self.fd).ok()?.pid;
        i32::try_from(pid).ok().filter(|pid| *pid > 0)
    }
}
