//! The names that the two ends of a socket have: getsockname(2), getpeername(2).

use super::{Errno, Fd, Result};
use core::net::SocketAddr;
use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// Whose name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Ours.
    Local,
    /// The other one's. ENOTCONN: there is none.
    Remote,
}

fn name(fd: Fd, end: End) -> Result<Option<SocketAddrAny>> {
    match end {
        End::Local => rustix::net::getsockname(fd).map(Some),
        End::Remote => rustix::net::getpeername(fd),
    }
}

/// The address of one end of an IP socket; one of IPv6 that stands for an IPv4 address is given as that. EAFNOSUPPORT: it
/// is no IP socket.
pub fn ip(fd: Fd, end: End) -> Result<SocketAddr> {
    let name = name(fd, end)?.ok_or(Errno::AFNOSUPPORT)?;
    let mut address = SocketAddr::try_from(name).map_err(|_| Errno::AFNOSUPPORT)?;
    address.set_ip(address.ip().to_canonical());
    Ok(address)
}

/// Copies the path of one end of a unix socket and answers its length; 0 if it has none (an abstract name is none).
/// EAFNOSUPPORT: it is no unix socket.
pub fn path(fd: Fd, end: End, buf: &mut [u8]) -> Result<usize> {
    let Some(name) = name(fd, end)? else { return Ok(0) };
    let name = SocketAddrUnix::try_from(name).map_err(|_| Errno::AFNOSUPPORT)?;
    let Some(path) = name.path_bytes() else { return Ok(0) };
    buf.get_mut(..path.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(path);
    Ok(path.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn both_ends_of_a_tcp_connection_have_an_address() {
        for place in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(place).unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let fd = Fd(stream.as_raw_fd());
            assert_eq!(ip(fd, End::Local), Ok(stream.local_addr().unwrap()));
            assert_eq!(ip(fd, End::Remote), Ok(listener.local_addr().unwrap()));
            assert_eq!(ip(Fd(listener.as_raw_fd()), End::Remote), Err(Errno::NOTCONN));
            assert_eq!(path(fd, End::Local, &mut [0; 108]), Err(Errno::AFNOSUPPORT));
        }
    }

    #[test]
    fn a_unix_socket_has_the_path_that_it_was_bound_to_or_none() {
        let place = format!("/tmp/linchpin-name-{}", std::process::id());
        let listener = UnixListener::bind(&place).unwrap();
        let stream = UnixStream::connect(&place).unwrap();
        std::fs::remove_file(&place).unwrap();
        let mut buf = [0; 108];
        let fd = Fd(stream.as_raw_fd());
        assert_eq!(path(fd, End::Local, &mut buf), Ok(0));
        assert_eq!(path(fd, End::Remote, &mut buf).map(|length| buf[..length].to_vec()), Ok(place.into_bytes()));
        assert_eq!(path(fd, End::Remote, &mut buf[..8]), Err(Errno::NAMETOOLONG));
        assert_eq!(ip(Fd(listener.as_raw_fd()), End::Local), Err(Errno::AFNOSUPPORT));
    }
}
