//! Connections made: connect(2) to paths and IP addresses, with a deadline.

use super::listener::{self, Family, Kind};
use super::time::Nanos;
use super::{Errno, Fd, poll, unix};
use core::ffi::CStr;
use core::net::SocketAddr;

/// What could not be done on the way to a connection, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// To make a socket. EMFILE: no number is left. EAFNOSUPPORT: the kernel has no such family.
    Create(Errno),
    /// To give it an address of its own. EADDRINUSE: somebody has it. EADDRNOTAVAIL: no interface has it.
    Bind(Errno),
    /// To reach the other side. ECONNREFUSED: nobody listens there. ETIMEDOUT: the deadline has passed, or the kernel has
    /// given up. EAFNOSUPPORT: our own address is of the other family.
    Connect(Errno),
}

impl Failure {
    /// Why.
    pub fn reason(self) -> Errno {
        match self {
            Failure::Create(e) | Failure::Bind(e) | Failure::Connect(e) => e,
        }
    }
}

/// Connects to the stream socket at `to`, close-on-exec and blocking; it waits while the listener's backlog is full. The
/// socket has the path `own`, which must not exist and stays when it is closed. ENAMETOOLONG: a path has more than
/// [`unix::MAX_PATH`] bytes. An empty one is ENOENT (`to`) or EINVAL (`own`): the kernel would make up a name.
pub fn path(to: &CStr, own: Option<&CStr>) -> Result<Fd, Failure> {
    let mut fd = listener::create(Family::Unix, Kind::Stream, false).map_err(Failure::Create)?;
    let bound = own.map_or(Ok(()), |own| listener::bind_path(fd, own).map_err(Failure::Bind));
    match bound.and_then(|()| unix::connect_on(fd, to, None).map_err(Failure::Connect)) {
        Ok(()) => Ok(fd),
        Err(failure) => {
            fd.close();
            Err(failure)
        }
    }
}

/// Connects to a TCP port, close-on-exec and blocking, from the address `own` if that is given (port 0: any).
/// [`Failure::Connect`] with ETIMEDOUT: `deadline` has passed.
pub fn ip(to: &SocketAddr, own: Option<&SocketAddr>, deadline: Option<Nanos>) -> Result<Fd, Failure> {
    if own.is_some_and(|own| own.is_ipv6() != to.is_ipv6()) {
        return Err(Failure::Connect(Errno::AFNOSUPPORT));
    }
    let family = if to.is_ipv6() { Family::V6 } else { Family::V4 };
    let mut fd = listener::create(family, Kind::Stream, true).map_err(Failure::Create)?;
    let bound = own.map_or(Ok(()), |own| listener::bind_ip(fd, own).map_err(Failure::Bind));
    match bound.and_then(|()| connect_by(fd, to, deadline).map_err(Failure::Connect)) {
        Ok(()) => Ok(fd),
        Err(failure) => {
            fd.close();
            Err(failure)
        }
    }
}

/// Connects a non-blocking socket, which is blocking afterwards.
fn connect_by(fd: Fd, to: &SocketAddr, deadline: Option<Nanos>) -> super::Result<()> {
    match rustix::net::connect(fd, to) {
        Err(Errno::INPROGRESS | Errno::INTR) => {
            poll::writable(fd, deadline)?;
            rustix::net::sockopt::socket_error(fd)??;
        }
        done => done?,
    }
    fd.set_nonblocking(false)
}

/// Puts a connection where the program of a UCSPI client finds it: descriptors 6 and 7, which stay open on exec. What was
/// there is closed, and so is `fd`. The error tells which number could not be had: EBADF, it is above RLIMIT_NOFILE.
pub fn hand_on(mut fd: Fd) -> Result<(), (i32, Errno)> {
    fd.place(6).map_err(|e| (6, e))?;
    Fd(6).place(7).map_err(|e| (7, e))?;
    if !matches!(fd.0, 6 | 7) {
        fd.close();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::time::{self, MILLI, SECOND};
    use std::net::TcpListener;

    fn soon() -> Option<Nanos> {
        Some(time::boot() + 20 * SECOND)
    }

    #[test]
    fn a_listener_is_reached_from_the_address_that_was_asked_for() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(place).unwrap();
            let own: SocketAddr = place.parse().unwrap();
            let mut fd = ip(&listener.local_addr().unwrap(), Some(&own), soon()).unwrap();
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(crate::sys::name::ip(fd, crate::sys::name::End::Local), Ok(peer));
            let flags = rustix::fs::fcntl_getfl(fd).unwrap();
            assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
            fd.close();
        }
    }

    #[test]
    fn it_is_told_which_step_failed() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let nobodys = SocketAddr::new([127, 9, 9, 1].into(), address.port());
        assert_eq!(ip(&nobodys, None, soon()), Err(Failure::Connect(Errno::CONNREFUSED)));
        assert_eq!(ip(&address, Some(&address), soon()), Err(Failure::Bind(Errno::ADDRINUSE)));
        let other = "[::1]:0".parse().unwrap();
        assert_eq!(ip(&address, Some(&other), soon()), Err(Failure::Connect(Errno::AFNOSUPPORT)));
        assert_eq!(path(c"/dev/null/x", None), Err(Failure::Connect(Errno::NOTDIR)));
        assert_eq!(path(c"", None), Err(Failure::Connect(Errno::NOENT)));
        assert_eq!(path(c"/x", Some(c"")), Err(Failure::Bind(Errno::INVAL)));
    }

    #[test]
    fn a_listener_that_does_not_answer_is_given_up_at_the_deadline() {
        let mut full = listener::create(Family::V4, Kind::Stream, true).unwrap();
        listener::bind_ip(full, &"127.0.0.1:0".parse().unwrap()).unwrap();
        listener::listen(full, 0).unwrap();
        let address = crate::sys::name::ip(full, crate::sys::name::End::Local).unwrap();
        let mut queued = Vec::new();
        let before = loop {
            let before = time::boot();
            match ip(&address, None, Some(before + 100 * MILLI)) {
                Ok(fd) => queued.push(fd),
                Err(e) => {
                    assert_eq!(e, Failure::Connect(Errno::TIMEDOUT));
                    break before;
                }
            }
            assert!(queued.len() < 50, "the backlog has no end");
        };
        assert!(time::boot() >= before + 100 * MILLI);
        queued.iter_mut().for_each(Fd::close);
        full.close();
    }
}
