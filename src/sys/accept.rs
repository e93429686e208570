//! Connections that somebody else is to have: accept4(2), and who is at the other end.

use super::time::{MILLI, Nanos, SECOND};
use super::{Errno, Fd, Result, raw};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::AddressFamily;

/// Longest path that the other end of a unix socket can have: all of sun_path.
pub const PEER_PATH: usize = 108;

/// The address of the other end, as accept4(2) gives it.
#[derive(Clone, Copy)]
pub struct Remote {
    bytes: [u8; 128],
    length: usize,
}

impl Remote {
    /// Of an IP socket: address and port. An IPv6 address that stands for an IPv4 address is given as that. `None`: it is of
    /// another family.
    pub fn ip(&self) -> Option<SocketAddr> {
        let port = u16::from_be_bytes([self.bytes[2], self.bytes[3]]);
        let ip = match (self.family(), self.length) {
            (AddressFamily::INET, 8..) => IpAddr::V4(Ipv4Addr::from(self.part::<4>(4))),
            (AddressFamily::INET6, 24..) => IpAddr::V6(Ipv6Addr::from(self.part::<16>(8))).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// Of a unix socket: the path that it is bound to. Empty: none, or a name without a file.
    pub fn path(&self) -> &[u8] {
        let path = match self.family() {
            AddressFamily::UNIX => self.bytes.get(2..self.length.min(2 + PEER_PATH)).unwrap_or_default(),
            _ => &[],
        };
        path.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    fn family(&self) -> AddressFamily {
        match self.length {
            0..2 => AddressFamily::UNSPEC,
            _ => AddressFamily::from_raw(u16::from_ne_bytes([self.bytes[0], self.bytes[1]])),
        }
    }

    fn part<const N: usize>(&self, at: usize) -> [u8; N] {
        core::array::from_fn(|i| self.bytes[at + i])
    }
}

/// accept4(2) without flags: a blocking connection that programs inherit, on the lowest free number. EAGAIN: nobody waits.
/// EMFILE, ENFILE, ENOBUFS, ENOMEM: there is no room for another one now. EINVAL: the socket does not listen. Others are those
/// of a connection that has failed already ([`is_of_one`]).
pub fn accept(listener: Fd) -> Result<(Fd, Remote)> {
    let mut bytes = [0; 128];
    let (fd, length) = raw::accept(listener.0, 0, &mut bytes)?;
    Ok((Fd::new(fd), Remote { bytes, length }))
}

/// Whether an error of accept4(2) is that of one connection, after which others may come: it has been reset, or the network
/// or a packet filter had something against it.
pub fn is_of_one(e: Errno) -> bool {
    matches!(
        e,
        Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::PERM
            | Errno::TIMEDOUT
            | Errno::NETDOWN
            | Errno::NETUNREACH
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::NONET
            | Errno::INTR
    )
}

/// Whether an error of accept4(2) or clone(2) says that something has run out, which may come back when somebody lets go
/// of it.
pub fn is_shortage(e: Errno) -> bool {
    matches!(e, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN)
}

/// What a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// AF_UNIX
    Unix,
    /// AF_INET or AF_INET6
    Ip,
    /// Something else.
    Other,
}

/// The family of a socket. ENOTSOCK, EBADF: it is none.
pub fn family(fd: Fd) -> Result<Family> {
    Ok(match rustix::net::sockopt::socket_domain(fd)? {
        AddressFamily::UNIX => Family::Unix,
        AddressFamily::INET | AddressFamily::INET6 => Family::Ip,
        _ => Family::Other,
    })
}

/// What [`wait`] saw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// A signal has come.
    pub signal: bool,
    /// Somebody wants to connect.
    pub client: bool,
    /// The listening socket has failed, or listens no more.
    pub failed: bool,
}

/// Between two looks of one who cannot wait for what he wants to see.
const BLIND: Timespec = Timespec { tv_sec: 0, tv_nsec: (100 * MILLI) as _ };

/// Waits until a signal or a connection has come, or `limit` is over. `listener` may be `NONE`: nobody is let in now. A
/// process whose RLIMIT_NOFILE is below 2 cannot wait for both: after a tenth of a second it is told to look at both.
pub fn wait(signals: Fd, listener: Fd, limit: Option<Nanos>) -> Result<Seen> {
    let limit = limit.map(|left| {
        let left = left.next_multiple_of(MILLI);
        Timespec { tv_sec: (left / SECOND) as _, tv_nsec: (left % SECOND) as _ }
    });
    let mut asked = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&listener, PollFlags::IN)];
    let asked = if listener.is_some() { &mut asked[..] } else { &mut asked[..1] };
    match rustix::event::poll(asked, limit.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        // It may not have as many descriptors as it asks about: look from time to time.
        Err(Errno::INVAL) => {
            let limit = limit.filter(|limit| limit.tv_sec == 0 && limit.tv_nsec < BLIND.tv_nsec).unwrap_or(BLIND);
            rustix::event::poll(&mut [], Some(&limit))?;
            return Ok(Seen { signal: true, client: listener.is_some(), failed: false });
        }
        Err(e) => return Err(e),
    }
    let is = |at: usize, flags| asked.get(at).is_some_and(|fd: &PollFd<'_>| fd.revents().intersects(flags));
    Ok(Seen {
        signal: is(0, PollFlags::IN),
        client: is(1, PollFlags::IN),
        failed: is(1, PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    fn remote(bytes: &[u8]) -> Remote {
        let mut remote = Remote { bytes: [0; 128], length: bytes.len() };
        remote.bytes[..bytes.len()].copy_from_slice(bytes);
        remote
    }

    #[test]
    fn the_other_end_of_a_tcp_connection_is_known() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(place).unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut fd, remote) = accept(Fd(listener.as_raw_fd())).unwrap();
            assert_eq!(remote.ip(), Some(stream.local_addr().unwrap()));
            assert_eq!(remote.path(), b"");
            fd.close();
        }
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_one_is_one_of_ipv4() {
        let mut bytes = vec![0; 28];
        bytes[..2].copy_from_slice(&10u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&80u16.to_be_bytes());
        bytes[18..24].copy_from_slice(&[255, 255, 192, 0, 2, 7]);
        assert_eq!(remote(&bytes).ip(), Some("192.0.2.7:80".parse().unwrap()));
        assert_eq!(remote(&bytes[..20]).ip(), None);
    }

    #[test]
    fn paths_of_all_lengths_are_taken_and_other_names_are_none() {
        let name = |path: &[u8]| [&1u16.to_ne_bytes()[..], path].concat();
        assert_eq!(remote(&name(b"")).path(), b"");
        assert_eq!(remote(&[]).path(), b"");
        assert_eq!(remote(&name(b"\0abstract")).path(), b"");
        assert_eq!(remote(&name(b"/a/b\0")).path(), b"/a/b");
        // The kernel counts a NUL that has no place any more.
        assert_eq!(remote(&name(&[b'x'; 109])).path(), [b'x'; 108]);
    }
}
