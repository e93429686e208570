//! The queue of a datagram socket, of which nothing is taken before it has been dealt with: whoever dies in between has
//! left it to the next who has the socket.

use super::{Errno, Fd, Result};
use core::net::SocketAddr;
use rustix::net::{AddressFamily, RecvFlags, SocketType};

/// What a datagram socket speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaks {
    /// To this machine.
    Unix,
    /// UDP.
    Ip,
}

/// What this socket speaks, if it is one for datagrams. `None`: it is something else, or not open.
pub fn datagrams(fd: Fd) -> Option<Speaks> {
    let kind = rustix::net::sockopt::socket_type(fd).ok()?;
    match (kind, rustix::net::getsockname(fd).ok()?.address_family()) {
        (SocketType::DGRAM, AddressFamily::UNIX) => Some(Speaks::Unix),
        (SocketType::DGRAM, AddressFamily::INET | AddressFamily::INET6) => Some(Speaks::Ip),
        _ => None,
    }
}

/// The first datagram of the queue, which stays in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First {
    /// Bytes of it that are in the buffer. 0: it has none.
    pub bytes: usize,
    /// Who has sent it; of UDP only.
    pub from: Option<SocketAddr>,
}

/// Copies the beginning of the first datagram, without waiting. EAGAIN: there is none.
pub fn look(fd: Fd, buf: &mut [u8]) -> Result<First> {
    let (bytes, _, from) = rustix::net::recvfrom(fd, buf, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok(First { bytes, from: from.and_then(|from| SocketAddr::try_from(from).ok()) })
}

/// Takes the first datagram out of the queue. EAGAIN: there is none.
pub fn drop_first(fd: Fd) -> Result<()> {
    loop {
        let mut nowhere: [u8; 0] = [];
        match rustix::net::recv(fd, &mut nowhere, RecvFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            done => return done.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn a_datagram_stays_until_it_is_dropped_however_little_of_it_was_read() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let fd = Fd(ours.as_raw_fd());
        let mut bytes = [0; 3];
        assert_eq!(look(fd, &mut bytes), Err(Errno::AGAIN));
        theirs.send(b"hello").unwrap();
        theirs.send(b"").unwrap();
        for _ in 0..2 {
            assert_eq!(look(fd, &mut bytes), Ok(First { bytes: 3, from: None }));
            assert_eq!(&bytes, b"hel");
        }
        drop_first(fd).unwrap();
        assert_eq!(look(fd, &mut bytes), Ok(First { bytes: 0, from: None }));
        drop_first(fd).unwrap();
        assert_eq!(drop_first(fd), Err(Errno::AGAIN));
    }

    #[test]
    fn who_sends_over_udp_is_told() {
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        there.send_to(b"x", here.local_addr().unwrap()).unwrap();
        let first = look(Fd(here.as_raw_fd()), &mut [0; 3]).unwrap();
        assert_eq!(first, First { bytes: 1, from: Some(there.local_addr().unwrap()) });
    }

    #[test]
    fn sockets_for_datagrams_are_known() {
        let unix = UnixDatagram::unbound().unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let (stream, _other) = UnixStream::pair().unwrap();
        let kinds = [unix.as_raw_fd(), udp.as_raw_fd(), stream.as_raw_fd(), -1].map(|fd| datagrams(Fd(fd)));
        assert_eq!(kinds, [Some(Speaks::Unix), Some(Speaks::Ip), None, None]);
    }
}
