//! Sockets before anybody talks on them: create, set options, bind, listen; and whether a path is somebody's.

use super::{Errno, Fd, Result, raw};
use core::ffi::CStr;
use core::net::SocketAddr;
use core::num::NonZeroU32;
use linux_raw_sys::net::{SO_BINDTODEVICE, SOL_SOCKET};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, Protocol, SocketAddrUnix, SocketFlags, SocketType};

/// Longest path or abstract name of a unix socket, in bytes: sun_path less its NUL.
pub const UNIX_NAME: usize = 107;

/// How a socket delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Kind {
    /// SOCK_STREAM
    #[default]
    Stream,
    /// SOCK_DGRAM
    Datagram,
    /// SOCK_SEQPACKET (unix only)
    SeqPacket,
}

/// Where a socket lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// AF_UNIX
    Unix,
    /// AF_INET
    V4,
    /// AF_INET6
    V6,
    /// AF_NETLINK, with its protocol; always SOCK_RAW.
    Netlink(u8),
}

/// A new close-on-exec socket. EAFNOSUPPORT, EPROTONOSUPPORT: the kernel has no such family.
pub fn create(family: Family, kind: Kind, nonblocking: bool) -> Result<Fd> {
    let kind = match (family, kind) {
        (Family::Netlink(_), _) => SocketType::RAW,
        (_, Kind::Stream) => SocketType::STREAM,
        (_, Kind::Datagram) => SocketType::DGRAM,
        (_, Kind::SeqPacket) => SocketType::SEQPACKET,
    };
    let (family, protocol) = match family {
        Family::Unix => (AddressFamily::UNIX, 0),
        Family::V4 => (AddressFamily::INET, 0),
        Family::V6 => (AddressFamily::INET6, 0),
        Family::Netlink(protocol) => (AddressFamily::NETLINK, protocol),
    };
    let mut flags = SocketFlags::CLOEXEC;
    flags.set(SocketFlags::NONBLOCK, nonblocking);
    let protocol = NonZeroU32::new(protocol.into()).map(Protocol::from_raw);
    net::socket_with(family, kind, flags, protocol).map(Fd::from_owned)
}

/// setsockopt(2) of a number; a flag is 0 or 1. ENOPROTOOPT: the kernel does not know the option. EPERM: it is root's.
pub fn set(fd: Fd, level: u32, option: u32, value: u32) -> Result<()> {
    raw::set_socket_option(fd.0, level, option, &value.to_ne_bytes())
}

/// SO_REUSEADDR
pub fn reuse_address(fd: Fd) -> Result<()> {
    net::sockopt::set_socket_reuseaddr(fd, true)
}

/// SO_BINDTODEVICE: what goes through another network interface is not for this socket. ENODEV: there is none of this
/// name.
pub fn bind_to_device(fd: Fd, name: &[u8]) -> Result<()> {
    raw::set_socket_option(fd.0, SOL_SOCKET, SO_BINDTODEVICE, name)
}

/// The number of a network interface, netdevice(7), as any socket knows it. ENODEV: there is none of this name.
pub fn interface_index(fd: Fd, name: &[u8]) -> Result<u32> {
    net::netdevice::name_to_index(fd, core::str::from_utf8(name).map_err(|_| Errno::NODEV)?)
}

/// Gives a unix socket a path, which must not exist: EADDRINUSE. ENAMETOOLONG: more than [`UNIX_NAME`] bytes. EINVAL:
/// none.
pub fn bind_path(fd: Fd, path: &CStr) -> Result<()> {
    net::bind(fd, &unix_path(path)?)
}

/// Gives a unix socket a name without a file, unix(7). ENAMETOOLONG: more than [`UNIX_NAME`] bytes.
pub fn bind_abstract(fd: Fd, name: &[u8]) -> Result<()> {
    net::bind(fd, &SocketAddrUnix::new_abstract_name(name)?)
}

/// Gives an IP socket an address.
pub fn bind_ip(fd: Fd, address: &SocketAddr) -> Result<()> {
    net::bind(fd, address)
}

/// Gives a netlink socket an address that the kernel picks, and makes it a member of multicast groups: a bit for each of
/// the first 32. EPERM: they are root's.
pub fn bind_netlink(fd: Fd, groups: u32) -> Result<()> {
    net::bind(fd, &SocketAddrNetlink::new(0, groups))
}

/// listen(2); the kernel cuts `backlog` to net.core.somaxconn. EOPNOTSUPP: a datagram socket.
pub fn listen(fd: Fd, backlog: u32) -> Result<()> {
    net::listen(fd, backlog.min(i32::MAX as u32) as i32)
}

/// Whether the unix socket at `path` belongs to an open socket, whoever holds it, listening or not.
///
/// It asks with connect(2) from a datagram socket. A stream or seqpacket socket is of another kind (EPROTOTYPE), so no
/// connection reaches its backlog; a datagram socket takes no notice of who is connected to it. ECONNREFUSED: nobody
/// has it open (or it is no socket). EACCES: we may not write to it, so it cannot be known.
pub fn is_bound(path: &CStr) -> Result<bool> {
    let mut probe = create(Family::Unix, Kind::Datagram, true)?;
    let answer = unix_path(path).and_then(|address| net::connect(probe, &address));
    probe.close();
    match answer {
        Ok(()) | Err(Errno::PROTOTYPE | Errno::PERM | Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(e) => Err(e),
    }
}

fn unix_path(path: &CStr) -> Result<SocketAddrUnix> {
    match path.to_bytes().len() {
        0 => Err(Errno::INVAL),
        1..=UNIX_NAME => SocketAddrUnix::new(path),
        _ => Err(Errno::NAMETOOLONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn scratch(name: &str) -> (String, CString) {
        let path = format!("/tmp/linchpin-listener-{}-{name}", std::process::id());
        let _ = std::fs::remove_file(&path);
        (path.clone(), CString::new(path).unwrap())
    }

    #[test]
    fn a_path_is_bound_as_long_as_anybody_has_its_socket_open() {
        let (path, cpath) = scratch("stream");
        assert_eq!(is_bound(&cpath), Ok(false));
        let listener = UnixListener::bind(&path).unwrap();
        let second = listener.try_clone().unwrap();
        drop(listener);
        assert_eq!(is_bound(&cpath), Ok(true));
        second.set_nonblocking(true).unwrap();
        assert_eq!(second.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "the probe left a connection");
        drop(second);
        assert_eq!(is_bound(&cpath), Ok(false));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn datagram_sockets_are_seen_and_other_files_are_not_sockets() {
        let (path, cpath) = scratch("dgram");
        let socket = UnixDatagram::bind(&path).unwrap();
        assert_eq!(is_bound(&cpath), Ok(true));
        drop(socket);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(is_bound(&cpath), Ok(false));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_path_may_have_107_bytes() {
        let socket = create(Family::Unix, Kind::Stream, false).unwrap();
        let long = CString::new("x".repeat(108)).unwrap();
        assert_eq!(bind_path(socket, &long), Err(Errno::NAMETOOLONG));
        assert_eq!(bind_path(socket, c""), Err(Errno::INVAL));
        let mut socket = socket;
        socket.close();
    }
}
