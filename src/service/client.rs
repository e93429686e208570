//! What clients do with a service directory or a scan directory: ask whether somebody supervises it, and send commands.
//! (Its status is in [`super::status`], its events in [`super::event`].)

use crate::sys::entry::FileType;
use crate::sys::{Errno, Fd, Result, entry, file};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// Whether the service directory `dir` has a supervisor: whether somebody holds `supervise/lock`.
pub fn is_supervised(dir: Fd) -> Result<bool> {
    match is_locked(dir, c"supervise/lock") {
        Err(Errno::NOENT) => Ok(false),
        answer => answer,
    }
}

/// Whether the scan directory `dir` has a scanner: whether somebody holds `.s6-svscan/lock`. ENOENT: it never had one.
pub fn is_scanned(dir: Fd) -> Result<bool> {
    is_locked(dir, c".s6-svscan/lock")
}

fn is_locked(dir: Fd, path: &CStr) -> Result<bool> {
    let mut lock = file::open(dir, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let locked = file::is_locked(lock);
    lock.close();
    locked
}

/// Why commands could not be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// Nobody listens: there is no supervisor, or no scanner.
    NotListening,
    /// There is a private directory, but its control FIFO is not what it should be.
    Odd(Errno),
    /// A system call failed.
    System(Errno),
}

/// Sends command bytes ([`super::command::Command`]) to the supervisor of the service directory `dir`, in one write of
/// at most 4096 bytes (PIPE_BUF), so that those of several clients do not mix. No bytes: only finds out whether it
/// listens. That they are written does not mean that they are obeyed. Waits while the FIFO is full. SIGPIPE must be
/// blocked or handled.
pub fn command_supervisor(dir: Fd, bytes: &[u8]) -> core::result::Result<(), SendError> {
    send(dir, c"supervise", c"supervise/control", bytes)
}

/// As [`command_supervisor`], to the scanner of the scan directory `dir` ([`super::command::ScanCommand`]).
pub fn command_scanner(dir: Fd, bytes: &[u8]) -> core::result::Result<(), SendError> {
    send(dir, c".s6-svscan", c".s6-svscan/control", bytes)
}

fn send(dir: Fd, private: &CStr, control: &CStr, bytes: &[u8]) -> core::result::Result<(), SendError> {
    // Non-blocking: a FIFO without a reader answers ENXIO at once.
    match file::open(dir, control, OFlags::WRONLY | OFlags::NONBLOCK, 0) {
        Ok(mut fifo) => {
            let done = write(fifo, bytes);
            fifo.close();
            done
        }
        Err(Errno::NXIO) => Err(SendError::NotListening),
        Err(e @ (Errno::NOENT | Errno::NOTDIR | Errno::ISDIR)) => match file::exists(dir, private) {
            Ok(true) => Err(SendError::Odd(e)),
            Ok(false) => Err(SendError::NotListening),
            Err(e) => Err(SendError::System(e)),
        },
        Err(e) => Err(SendError::System(e)),
    }
}

fn write(fifo: Fd, bytes: &[u8]) -> core::result::Result<(), SendError> {
    if entry::kind_of(fifo).map_err(SendError::System)? != FileType::Fifo {
        return Err(SendError::Odd(Errno::INVAL));
    }
    match fifo.set_nonblocking(false).and_then(|()| file::write_all(fifo, bytes)) {
        Ok(()) => Ok(()),
        Err(Errno::PIPE) => Err(SendError::NotListening),
        Err(e) => Err(SendError::System(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::files;
    use crate::service::scratch::Scratch;

    #[test]
    fn a_service_is_supervised_while_its_lock_is_held() {
        let scratch = Scratch::new();
        assert_eq!(is_supervised(scratch.fd), Ok(false));
        let mut prepared = files::prepare(scratch.fd).unwrap();
        assert_eq!(is_supervised(scratch.fd), Ok(true));
        prepared.lock.close();
        assert_eq!(is_supervised(scratch.fd), Ok(false));
        prepared.control.close();
    }

    #[test]
    fn commands_arrive_as_they_were_sent() {
        let scratch = Scratch::new();
        let mut prepared = files::prepare(scratch.fd).unwrap();
        assert_eq!(command_supervisor(scratch.fd, b""), Ok(()));
        let mut buf = [0; 8];
        assert_eq!(file::read_fifo(prepared.control, &mut buf), Ok(None));
        assert_eq!(command_supervisor(scratch.fd, b"du"), Ok(()));
        assert_eq!(file::read_fifo(prepared.control, &mut buf), Ok(Some(2)));
        assert_eq!(&buf[..2], b"du");
        prepared.control.close();
        assert_eq!(command_supervisor(scratch.fd, b"u"), Err(SendError::NotListening));
        prepared.lock.close();
    }

    #[test]
    fn no_private_directory_means_that_nobody_listens() {
        let scratch = Scratch::new();
        assert_eq!(command_supervisor(scratch.fd, b"u"), Err(SendError::NotListening));
        assert_eq!(command_scanner(scratch.fd, b"a"), Err(SendError::NotListening));
    }

    #[test]
    fn a_private_directory_without_its_fifo_is_odd() {
        let scratch = Scratch::new();
        scratch.mkdir("supervise");
        assert_eq!(command_supervisor(scratch.fd, b"u"), Err(SendError::Odd(Errno::NOENT)));
        scratch.write("supervise/control", "");
        assert_eq!(command_supervisor(scratch.fd, b"u"), Err(SendError::Odd(Errno::INVAL)));
        std::fs::remove_file(scratch.path.join("supervise/control")).unwrap();
        scratch.mkdir("supervise/control");
        assert_eq!(command_supervisor(scratch.fd, b"u"), Err(SendError::Odd(Errno::ISDIR)));
        scratch.write(".s6-svscan", "");
        assert_eq!(command_scanner(scratch.fd, b"a"), Err(SendError::Odd(Errno::NOTDIR)));
    }
}
