//! What an open descriptor is, asked of the kernel. Nothing is accepted on it, read from it or changed.

use crate::sys::diag::{self, Access, Diag, Name, Socket};
use crate::sys::entry::FileType;
use crate::sys::{Fd, file};
use core::fmt::Write;

/// Longest address: that of a path, with some to spare.
pub const LONGEST: usize = 4352;

/// An address as it is read, its bytes not made printable yet. What is too long is cut off.
pub type Address = heapless::Vec<u8, LONGEST>;

/// The name of a kind.
pub type Kind = heapless::String<20>;

/// What can be seen of a descriptor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sight {
    /// What it is.
    pub kind: Kind,
    /// How it stands.
    pub state: &'static str,
    /// What waits in it.
    pub queue: Queue,
    /// Packets or connections that were dropped; `None`: its kind does not count them, or the kernel does not tell.
    pub dropped: Option<u32>,
}

/// What waits in a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    /// Nothing can.
    None,
    /// The kernel does not tell.
    Unknown,
    /// Connections to be accepted, and how many there may be.
    Connections(u32, u32),
    /// Bytes to be read, and how many there may be, if that is known.
    Bytes(u64, Option<u64>),
    /// Bytes of the first datagram.
    First(u64),
}

/// Looks at `fd`; `address` and `peer` get where it is and who is on the other side, or stay empty.
pub fn look(fd: Fd, diag: Option<&Diag>, address: &mut Address, peer: &mut Address) -> Sight {
    address.clear();
    peer.clear();
    match diag::socket(fd) {
        Ok(socket) => look_at_socket(fd, socket, diag, address, peer),
        Err(_) => look_at_file(fd, address),
    }
}

fn look_at_socket(fd: Fd, socket: Socket, diag: Option<&Diag>, address: &mut Address, peer: &mut Address) -> Sight {
    let mut room = [0; 128];
    let named = diag::name(fd, &mut room).is_ok_and(|name| put_name(address, socket, name));
    let mut room = [0; 128];
    let connected = diag::peer(fd, &mut room).map(|name| put_name(peer, socket, name)).is_ok();
    let streams = matches!(socket.kind, diag::STREAM | diag::SEQPACKET);
    let tcp = if is_tcp(socket) { diag::tcp(fd).ok() } else { None };
    let received = diag::received(fd).ok();
    let bound = if named { "bound" } else { "unbound" };
    let state = match tcp {
        _ if socket.listens => "listening",
        Some(tcp) => match tcp.state {
            1 => "connected",
            2 | 3 => "connecting",
            7 => bound,
            _ => "closing",
        },
        None if !connected => bound,
        None if streams && diag::is_hung_up(fd) => "hung up",
        None => "connected",
    };
    let queue = if socket.listens {
        let told = match (tcp, diag) {
            (Some(tcp), _) => Some((tcp.waiting, tcp.backlog)),
            (None, Some(diag)) if socket.family == diag::UNIX => {
                file::identity(fd).and_then(|(_, inode)| diag.unix_queue(inode as u32)).ok()
            }
            _ => None,
        };
        told.map_or(Queue::Unknown, |(waiting, backlog)| Queue::Connections(waiting, backlog))
    } else if streams && state == bound {
        Queue::None
    } else {
        match received {
            // A unix datagram counts as its sender's until it is read.
            Some(told) if !streams && socket.family != diag::UNIX => {
                Queue::Bytes(told.bytes.into(), Some(told.limit.into()))
            }
            _ => match (diag::unread(fd), streams) {
                (Ok(bytes), true) => Queue::Bytes(bytes, None),
                (Ok(bytes), false) => Queue::First(bytes),
                (Err(_), _) => Queue::Unknown,
            },
        }
    };
    let counts = socket.family != diag::UNIX && (socket.listens || !streams);
    Sight { kind: kind_of(socket), state, queue, dropped: received.filter(|_| counts).map(|told| told.dropped) }
}

fn is_ip(socket: Socket) -> bool {
    matches!(socket.family, diag::INET | diag::INET6)
}

fn is_tcp(socket: Socket) -> bool {
    const IPPROTO_TCP: u32 = 6;
    is_ip(socket) && socket.protocol == IPPROTO_TCP
}

/// The names of kinds of sockets.
fn kind_of(socket: Socket) -> Kind {
    const RAW: u32 = 3;
    let fixed = match (socket.family, socket.kind, socket.protocol) {
        (diag::UNIX, diag::STREAM, _) => "unix-stream",
        (diag::UNIX, diag::DATAGRAM, _) => "unix-dgram",
        (diag::UNIX, diag::SEQPACKET, _) => "unix-seqpacket",
        (diag::INET | diag::INET6, RAW, _) => "raw",
        (diag::INET | diag::INET6, _, 1 | 58) => "ping",
        (diag::INET | diag::INET6, _, 6) => "tcp",
        (diag::INET | diag::INET6, _, 17) => "udp",
        (diag::INET | diag::INET6, _, 132) => "sctp",
        (diag::INET | diag::INET6, _, 136) => "udplite",
        (diag::INET | diag::INET6, _, 262) => "mptcp",
        (diag::NETLINK, ..) => "netlink",
        (17, ..) => "packet",
        (29, ..) => "can",
        (31, ..) => "bluetooth",
        (38, ..) => "alg",
        (40, ..) => "vsock",
        (44, ..) => "xdp",
        _ => "",
    };
    let mut kind = Kind::new();
    let _ = match fixed {
        "" => write!(kind, "family-{}", socket.family),
        name => kind.push_str(name).map_err(|_| core::fmt::Error),
    };
    kind
}

/// Appends a socket's name as the board config writes it; whether it has one.
fn put_name(out: &mut Address, socket: Socket, name: Name<'_>) -> bool {
    match name {
        Name::Unnamed => return false,
        Name::Path(path) => put(out, &[b"unix:", path]),
        Name::Abstract(name) => put(out, &[b"unix:@", name]),
        Name::Ip(address) => {
            if address.port() == 0 && address.ip().is_unspecified() {
                return false;
            }
            let _ = write!(Text(out), "{}:{address}", kind_of(socket));
        }
        Name::Netlink(port, groups) => {
            let _ = write!(Text(out), "netlink:{}", socket.protocol);
            if port != 0 {
                let _ = write!(Text(out), " port {port}");
            }
            if groups != 0 {
                let _ = write!(Text(out), " groups {groups:#x}");
            }
            return port != 0 || groups != 0;
        }
        Name::Other => {}
    }
    true
}

fn look_at_file(fd: Fd, address: &mut Address) -> Sight {
    let mut room = [0; LONGEST];
    let link = diag::link(fd, &mut room);
    let what = diag::file_type(fd);
    let (name, place) = name_of(link, what);
    put(address, &[place]);
    let mut kind = Kind::new();
    for byte in name.iter().take(kind.capacity()) {
        let _ = kind.push(char::from(if byte.is_ascii_graphic() { *byte } else { b'?' }));
    }
    let piped = what == Some(FileType::Fifo);
    let state = match (diag::access(fd), piped) {
        (None, _) => "?",
        (Some(Access::Path), _) => "path only",
        _ if link.starts_with(b"anon_inode:") => "open",
        (_, true) if diag::is_hung_up(fd) => "hung up",
        (Some(Access::Read), true) => "read end",
        (Some(Access::Write), true) => "write end",
        (Some(Access::Both), true) => "both ends",
        (Some(Access::Read), false) => "read-only",
        (Some(Access::Write), false) => "write-only",
        (Some(Access::Both), false) => "read-write",
    };
    let queue = match (piped, diag::unread(fd)) {
        (false, _) => Queue::None,
        (true, Ok(bytes)) => Queue::Bytes(bytes, diag::pipe_size(fd).ok()),
        (true, Err(_)) => Queue::Unknown,
    };
    Sight { kind, state, queue, dropped: None }
}

/// Kind and place of what is no socket, by what its link in /proc/self/fd says (nothing, if there is no /proc) and by its
/// file type.
fn name_of(link: &[u8], what: Option<FileType>) -> (&[u8], &[u8]) {
    if let Some(name) = link.strip_prefix(b"anon_inode:") {
        let name = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]")).unwrap_or(name);
        return (if name == b"eventpoll" { b"epoll" } else { name }, b"");
    }
    if let Some(name) = link.strip_prefix(b"/memfd:") {
        return (b"memfd", name.strip_suffix(b" (deleted)").unwrap_or(name));
    }
    let named = link.first() == Some(&b'/');
    let by_type: &[u8] = match what {
        Some(FileType::Fifo) if named => b"fifo",
        Some(FileType::Fifo) => b"pipe",
        Some(FileType::Directory) => b"directory",
        Some(FileType::CharacterDevice) => b"chardev",
        Some(FileType::BlockDevice) => b"blockdev",
        Some(FileType::Symlink) => b"symlink",
        Some(FileType::Socket) => b"socket",
        Some(FileType::RegularFile) => b"file",
        _ => b"?",
    };
    let word = link.split(|byte| *byte == b':').next().unwrap_or(b"");
    match word {
        _ if named || word.len() == link.len() => (by_type, link),
        b"pipe" | b"socket" => (by_type, link),
        b"net" | b"mnt" | b"uts" | b"ipc" | b"pid" | b"user" | b"cgroup" | b"time" => (b"namespace", link),
        other => (other, link),
    }
}

fn put(out: &mut Address, parts: &[&[u8]]) {
    for byte in parts.iter().copied().flatten() {
        let _ = out.push(*byte);
    }
}

/// Text for an address.
struct Text<'a>(&'a mut Address);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        put(self.0, &[text.as_bytes()]);
        Ok(())
    }
}
