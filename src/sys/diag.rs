//! What the kernel tells about an open descriptor, sockets above all: what it is, its names, its state and its queue.
//! Nothing is changed by it, and nothing accepted, read or waited for.

use super::{Errno, Fd, Result, raw};
use crate::text::CPath;
use crate::text::number::Decimal;
use core::mem::MaybeUninit;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use linux_raw_sys::net as nr;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// AF_UNIX
pub const UNIX: u32 = nr::AF_UNIX;
/// AF_INET
pub const INET: u32 = nr::AF_INET;
/// AF_INET6
pub const INET6: u32 = nr::AF_INET6;
/// AF_NETLINK
pub const NETLINK: u32 = nr::AF_NETLINK;
/// SOCK_STREAM
pub const STREAM: u32 = nr::SOCK_STREAM;
/// SOCK_DGRAM
pub const DATAGRAM: u32 = nr::SOCK_DGRAM;
/// SOCK_SEQPACKET
pub const SEQPACKET: u32 = nr::SOCK_SEQPACKET;

/// What a socket is, socket(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket {
    /// AF_*
    pub family: u32,
    /// SOCK_*
    pub kind: u32,
    /// IPPROTO_*, NETLINK_*…; 0 for a family that has none.
    pub protocol: u32,
    /// Takes connections.
    pub listens: bool,
}

/// Looks at a socket. ENOTSOCK: it is none.
pub fn socket(fd: Fd) -> Result<Socket> {
    let ask = |option| number(fd, nr::SOL_SOCKET, option);
    Ok(Socket {
        family: ask(nr::SO_DOMAIN)?,
        kind: ask(nr::SO_TYPE)?,
        protocol: ask(nr::SO_PROTOCOL)?,
        listens: ask(nr::SO_ACCEPTCONN)? != 0,
    })
}

fn number(fd: Fd, level: u32, option: u32) -> Result<u32> {
    let mut word = [0];
    raw::socket_option(fd.0, level, option, &mut word).map(|_| word[0])
}

/// An address as the kernel writes it (struct sockaddr_storage).
pub type Room = [u8; 128];

/// A socket's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name<'a> {
    /// None.
    Unnamed,
    /// A unix socket's path.
    Path(&'a [u8]),
    /// A unix socket's abstract name.
    Abstract(&'a [u8]),
    /// Internet address and port.
    Ip(SocketAddr),
    /// Netlink's port and groups, netlink(7).
    Netlink(u32, u32),
    /// That of another family.
    Other,
}

/// getsockname(2)
pub fn name(fd: Fd, room: &mut Room) -> Result<Name<'_>> {
    let length = raw::socket_name(fd.0, false, room)?;
    Ok(read_name(room.get(..length).unwrap_or(&[])))
}

/// getpeername(2). ENOTCONN: it is not connected.
pub fn peer(fd: Fd, room: &mut Room) -> Result<Name<'_>> {
    let length = raw::socket_name(fd.0, true, room)?;
    Ok(read_name(room.get(..length).unwrap_or(&[])))
}

/// Reads a struct sockaddr. Integers are the machine's, but for ports and addresses.
fn read_name(bytes: &[u8]) -> Name<'_> {
    let Some((family, rest)) = bytes.split_first_chunk() else { return Name::Unnamed };
    match u16::from_ne_bytes(*family).into() {
        UNIX => match rest {
            [] => Name::Unnamed,
            [0, name @ ..] => Name::Abstract(name),
            path => Name::Path(path.split(|byte| *byte == 0).next().unwrap_or(path)),
        },
        INET => match *rest {
            [p, q, a, b, c, d, ..] => {
                Name::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), u16::from_be_bytes([p, q])))
            }
            _ => Name::Other,
        },
        INET6 => read_v6(rest).map_or(Name::Other, |address| Name::Ip(SocketAddr::V6(address))),
        NETLINK => match *rest {
            [_, _, a, b, c, d, e, f, g, h, ..] => {
                Name::Netlink(u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
            }
            _ => Name::Other,
        },
        _ => Name::Other,
    }
}

fn read_v6(rest: &[u8]) -> Option<SocketAddrV6> {
    let (port, rest) = rest.split_first_chunk()?;
    let (flow, rest) = rest.split_first_chunk()?;
    let (ip, rest) = rest.split_first_chunk::<16>()?;
    let scope = u32::from_ne_bytes(*rest.first_chunk()?);
    Some(SocketAddrV6::new(Ipv6Addr::from(*ip), u16::from_be_bytes(*port), u32::from_be_bytes(*flow), scope))
}

/// State and queue of a TCP socket, tcp(7) TCP_INFO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// TCP_ESTABLISHED (1) and so on, as in /proc/net/tcp.
    pub state: u8,
    /// If it listens: connections that nobody has accepted yet…
    pub waiting: u32,
    /// …and how many there may be.
    pub backlog: u32,
}

/// Asks about a TCP socket.
pub fn tcp(fd: Fd) -> Result<Tcp> {
    // struct tcp_info: eight bytes, of which the state is the first; four words; tcpi_unacked and tcpi_sacked, which a
    // listening socket uses for its queue.
    let mut info = [0u32; 8];
    match raw::socket_option(fd.0, nr::IPPROTO_TCP as u32, nr::TCP_INFO, &mut info)? {
        8 => Ok(Tcp { state: info[0].to_ne_bytes()[0], waiting: info[6], backlog: info[7] }),
        _ => Err(Errno::OPNOTSUPP),
    }
}

/// What a socket has received and nobody has read, SO_MEMINFO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Bytes of memory that it takes.
    pub bytes: u32,
    /// How many it may take.
    pub limit: u32,
    /// Packets that were dropped because there was no room; of a listening TCP socket, connections.
    pub dropped: u32,
}

/// Asks for the memory that a socket uses. ENOPROTOOPT: a kernel before 4.12.
pub fn received(fd: Fd) -> Result<Received> {
    let mut words = [0u32; 9]; // SK_MEMINFO_VARS
    match raw::socket_option(fd.0, nr::SOL_SOCKET, nr::SO_MEMINFO, &mut words)? {
        9 => Ok(Received { bytes: words[0], limit: words[1], dropped: words[8] }),
        _ => Err(Errno::NOPROTOOPT),
    }
}

/// FIONREAD: bytes that can be read; of a datagram socket, those of the first datagram.
pub fn unread(fd: Fd) -> Result<u64> {
    rustix::io::ioctl_fionread(fd)
}

/// For what a descriptor is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// O_RDONLY
    Read,
    /// O_WRONLY
    Write,
    /// O_RDWR
    Both,
    /// O_PATH
    Path,
}

/// For what `fd` is open; `None`: it is not.
pub fn access(fd: Fd) -> Option<Access> {
    let flags = rustix::fs::fcntl_getfl(fd).ok()?;
    Some(match flags & OFlags::RWMODE {
        _ if flags.contains(OFlags::PATH) => Access::Path,
        OFlags::RDONLY => Access::Read,
        OFlags::WRONLY => Access::Write,
        _ => Access::Both,
    })
}

/// The type of the file that `fd` is; `None`: it has none, or is not open.
pub fn file_type(fd: Fd) -> Option<FileType> {
    let found = FileType::from_raw_mode(rustix::fs::fstat(fd).ok()?.st_mode);
    (found != FileType::Unknown).then_some(found)
}

/// The text of the link of `fd` in /proc/self/fd, proc_pid_fd(5), as far as it fits; empty if there is none.
pub fn link(fd: Fd, room: &mut [u8]) -> &[u8] {
    let path = CPath::<32>::of(&[b"/proc/self/fd/", Decimal::new(fd.0.max(0) as u64).as_bytes()]);
    let Ok(path) = path.path() else { return &[] };
    let mut text = [MaybeUninit::uninit(); 4096];
    let Ok((text, _)) = rustix::fs::readlinkat_raw(Fd::CWD, path, &mut text[..]) else { return &[] };
    let length = text.len().min(room.len());
    let room = room.get_mut(..length).unwrap_or_default();
    for (to, from) in room.iter_mut().zip(text) {
        *to = *from;
    }
    room
}

/// Bytes that a pipe can hold. EBADF: it is none.
pub fn pipe_size(fd: Fd) -> Result<u64> {
    rustix::pipe::fcntl_getpipe_size(fd).map(|size| size as u64)
}

/// Whether the other side of a connection or a pipe is gone.
pub fn is_hung_up(fd: Fd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    rustix::event::poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().intersects(gone)
}

/// A connection to sock_diag(7).
pub struct Diag(Fd);

/// Sizes of nlmsghdr, of struct unix_diag_req, of struct unix_diag_msg.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 24;
const MESSAGE: usize = 16;
/// The family of netlink(7) sockets that answers.
const NETLINK_SOCK_DIAG: u32 = 4;
/// Message types, and the flag of a question.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// What is asked for, and what the attribute with it is called.
const UDIAG_SHOW_RQLEN: u32 = 0x10;
const UNIX_DIAG_RQLEN: u16 = 4;

impl Diag {
    /// Connects. EPROTONOSUPPORT: the kernel has no such thing.
    pub fn open() -> Result<Diag> {
        let protocol = core::num::NonZeroU32::new(NETLINK_SOCK_DIAG).map(Protocol::from_raw);
        let flags = SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)
            .map(|fd| Diag(Fd::from_owned(fd)))
    }

    /// Ends it.
    pub fn close(&mut self) {
        self.0.close();
    }

    /// Connections that wait at the listening unix socket of this inode, and how many may. ENOENT: there is none in our
    /// network namespace, or the kernel does not tell (CONFIG_UNIX_DIAG).
    pub fn unix_queue(&self, inode: u32) -> Result<(u32, u32)> {
        rustix::net::send(self.0, &request(inode), SendFlags::NOSIGNAL)?;
        let mut answer = [0; 512];
        // The kernel has answered by the time it has taken the question.
        let (_, length) = rustix::net::recv(self.0, &mut answer, RecvFlags::DONTWAIT)?;
        read_queue(answer.get(..length).ok_or(Errno::MSGSIZE)?, inode)
    }
}

/// The question for one unix socket.
fn request(inode: u32) -> [u8; REQUEST] {
    let word = |n: u32| n.to_ne_bytes();
    let [[a, b], [c, d]] = [SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST].map(u16::to_ne_bytes);
    let head = [word(REQUEST as u32), [a, b, c, d], word(inode), word(0)];
    // Family and protocol, states (all), inode, what to show, no cookie.
    let body = [[UNIX as u8, 0, 0, 0], word(u32::MAX), word(inode), word(UDIAG_SHOW_RQLEN), word(!0), word(!0)];
    let mut out = [0; REQUEST];
    for (to, from) in out.iter_mut().zip(head.iter().chain(&body).flatten()) {
        *to = *from;
    }
    out
}

/// Reads the answer to it.
fn read_queue(answer: &[u8], inode: u32) -> Result<(u32, u32)> {
    let word = |at: usize| answer.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_ne_bytes(*b));
    let half = |at: usize| answer.get(at..at + 2).and_then(|b| b.first_chunk()).map(|b| u16::from_ne_bytes(*b));
    let length = word(0).map_or(0, |length| length as usize).min(answer.len());
    match half(4) {
        Some(NLMSG_ERROR) => {
            let errno = word(HEADER).map_or(0, |error| 0i32.wrapping_sub(error as i32));
            return Err(if (1..4096).contains(&errno) { Errno::from_raw_os_error(errno) } else { Errno::PROTO });
        }
        Some(SOCK_DIAG_BY_FAMILY) if word(HEADER + 4) == Some(inode) => {}
        _ => return Err(Errno::PROTO),
    }
    let mut at = HEADER + MESSAGE;
    while at + 4 <= length {
        let (Some(size), Some(kind)) = (half(at), half(at + 2)) else { break };
        if kind == UNIX_DIAG_RQLEN && size == 12 {
            return word(at + 4).zip(word(at + 8)).ok_or(Errno::PROTO);
        }
        at += usize::from(size).max(4).next_multiple_of(4);
    }
    Err(Errno::PROTO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream};

    fn of(fd: &impl AsRawFd) -> Fd {
        Fd(fd.as_raw_fd())
    }

    #[test]
    fn the_queue_of_a_tcp_listener_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let _waiting = [TcpStream::connect(address).unwrap(), TcpStream::connect(address).unwrap()];
        let told = tcp(of(&listener)).unwrap();
        assert_eq!((told.state, told.waiting), (10, 2));
        assert!(told.backlog >= 100, "{told:?}");
        let socket = socket(of(&listener)).unwrap();
        assert_eq!(socket, Socket { family: INET, kind: STREAM, protocol: 6, listens: true });
        assert_eq!(name(of(&listener), &mut [0; 128]), Ok(Name::Ip(address)));
        assert_eq!(peer(of(&listener), &mut [0; 128]), Err(Errno::NOTCONN));
    }

    #[test]
    fn the_queue_of_a_unix_listener_is_told() {
        let name_of = format!("linchpin-diag-{}\x01", std::process::id());
        let address = UnixAddr::from_abstract_name(&name_of).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        rustix::net::listen(of(&listener), 7).unwrap();
        let _waiting: Vec<_> = (0..3).map(|_| UnixStream::connect_addr(&address).unwrap()).collect();
        let mut diag = Diag::open().unwrap();
        let inode = rustix::fs::fstat(of(&listener)).unwrap().st_ino as u32;
        assert_eq!(diag.unix_queue(inode), Ok((3, 7)));
        assert_eq!(diag.unix_queue(inode), Ok((3, 7)), "looking takes nothing");
        drop(listener.accept().unwrap());
        assert_eq!(diag.unix_queue(inode), Ok((2, 7)));
        assert_eq!(name(of(&listener), &mut [0; 128]), Ok(Name::Abstract(name_of.as_bytes())));
        drop(listener);
        assert_eq!(diag.unix_queue(inode), Err(Errno::NOENT));
        diag.close();
        assert_eq!(diag.unix_queue(inode), Err(Errno::BADF));
    }

    #[test]
    fn what_waits_at_a_udp_socket_and_what_was_lost_is_told() {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(of(&socket), 4096).unwrap();
        let sender = UdpSocket::bind("[::1]:0").unwrap();
        assert_eq!(received(of(&socket)).unwrap().bytes, 0);
        for _ in 0..100 {
            sender.send_to(&[0; 500], socket.local_addr().unwrap()).unwrap();
        }
        let told = received(of(&socket)).unwrap();
        assert!(told.bytes > 0 && told.limit >= 4096 && told.dropped > 0, "{told:?}");
        assert_eq!(unread(of(&socket)), Ok(500));
        assert_eq!(name(of(&socket), &mut [0; 128]), Ok(Name::Ip(socket.local_addr().unwrap())));
    }

    #[test]
    fn a_connection_has_a_peer_until_that_hangs_up() {
        let (one, other) = UnixStream::pair().unwrap();
        assert_eq!(name(of(&one), &mut [0; 128]), Ok(Name::Unnamed));
        assert_eq!(peer(of(&one), &mut [0; 128]), Ok(Name::Unnamed));
        assert!(!is_hung_up(of(&one)));
        std::io::Write::write_all(&mut &other, b"abc").unwrap();
        assert_eq!(unread(of(&one)), Ok(3));
        drop(other);
        assert!(is_hung_up(of(&one)));
        assert_eq!(unread(of(&one)), Ok(3), "nothing was read");
    }

    #[test]
    fn other_kinds_of_sockets_are_known_and_files_are_none() {
        let unbound = UnixDatagram::unbound().unwrap();
        let told = socket(of(&unbound)).unwrap();
        assert_eq!(told, Socket { family: UNIX, kind: DATAGRAM, protocol: 0, listens: false });
        let mut diag = Diag::open().unwrap();
        let told = socket(diag.0).unwrap();
        assert_eq!((told.family, told.protocol), (NETLINK, 4));
        assert!(matches!(name(diag.0, &mut [0; 128]), Ok(Name::Netlink(_, 0))));
        diag.close();
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(socket(of(&file)), Err(Errno::NOTSOCK));
        assert_eq!(socket(Fd::NONE), Err(Errno::BADF));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(mut answer: Vec<u8>, inode: u32, kind in 0u16..24) {
            let _ = read_queue(&answer, inode);
            if let Some(place) = answer.get_mut(4..6) {
                place.copy_from_slice(&kind.to_ne_bytes());
            }
            let _ = read_queue(&answer, inode);
        }

        #[test]
        fn no_address_makes_it_panic(bytes: Vec<u8>, family in prop::sample::select(vec![0u16, 1, 2, 10, 16, 17])) {
            let _ = read_name(&bytes);
            let _ = read_name(&[&family.to_ne_bytes(), &bytes[..]].concat());
        }
    }
}
