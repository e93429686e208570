//! What an open descriptor is, asked of the kernel. Nothing is accepted on it, read from it or changed.

use crate::sys::diag::{self, Access, Diag, Name, Socket};
use crate::sys::entry::FileType;
use crate::sys::{Fd, file};
use crate::text::ip;
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
    let connected = match diag::peer(fd, &mut room) {
        Ok(Name::Netlink(0, 0)) | Err(_) => false, // netlink names the kernel as the peer of those that have none
        Ok(name) => {
            put_name(peer, socket, name);
            true
        }
    };
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
            let _ = write!(Text(out), "{}:{}", kind_of(socket), ip::Socket(address));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    /// Kind, state, queue, address and peer of a descriptor.
    fn of(fd: Fd) -> (String, &'static str, Queue, String, String) {
        let (mut address, mut peer) = (Address::new(), Address::new());
        let sight = look(fd, None, &mut address, &mut peer);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (sight.kind.as_str().to_owned(), sight.state, sight.queue, text(&address), text(&peer))
    }

    fn fd(of: &impl AsRawFd) -> Fd {
        Fd(of.as_raw_fd())
    }

    #[test]
    fn links_of_proc_are_read_by_kind() {
        let name = |link: &str, what| {
            let (kind, place) = name_of(link.as_bytes(), what);
            [kind, place].map(|bytes| std::str::from_utf8(bytes).unwrap().to_owned())
        };
        let file = Some(FileType::RegularFile);
        assert_eq!(name("anon_inode:[eventpoll]", None), ["epoll", ""]);
        assert_eq!(name("anon_inode:[eventfd]", file), ["eventfd", ""]);
        assert_eq!(name("anon_inode:inotify", None), ["inotify", ""]);
        assert_eq!(name("/memfd:a name (deleted)", file), ["memfd", "a name"]);
        assert_eq!(name("/var/log/x (deleted)", file), ["file", "/var/log/x (deleted)"]);
        assert_eq!(name("pipe:[77]", Some(FileType::Fifo)), ["pipe", "pipe:[77]"]);
        assert_eq!(name("/run/fifo", Some(FileType::Fifo)), ["fifo", "/run/fifo"]);
        assert_eq!(name("net:[402]", file), ["namespace", "net:[402]"]);
        assert_eq!(name("pidfd:[9]", file), ["pidfd", "pidfd:[9]"]);
        assert_eq!(name("/dev/a:b", Some(FileType::CharacterDevice)), ["chardev", "/dev/a:b"]);
        assert_eq!(name("", Some(FileType::Directory)), ["directory", ""], "there is no /proc");
        assert_eq!(name("", None), ["?", ""]);
    }

    #[test]
    fn connections_stand_as_they_are() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let [there, here] =
            [listener.local_addr(), ours.local_addr()].map(|address| format!("tcp:{}", address.unwrap()));
        let (kind, state, queue, address, peer) = of(fd(&listener));
        assert_eq!((&kind[..], state, address, peer), ("tcp", "listening", there.clone(), String::new()));
        assert!(matches!(queue, Queue::Connections(1, 2..)), "{queue:?}");
        assert_eq!(of(fd(&ours)), ("tcp".to_owned(), "connected", Queue::Bytes(0, None), here, there));
        let theirs = listener.accept().unwrap();
        drop(theirs);
        let mut states = std::iter::repeat_with(|| of(fd(&ours)).1);
        assert!(states.by_ref().take(100_000).any(|state| state == "closing"), "{:?}", states.next());

        let (one, other) = UnixStream::pair().unwrap();
        assert_eq!(of(fd(&one)).1, "connected");
        drop(other);
        assert_eq!(of(fd(&one)).1, "hung up");
        let unbound = UnixDatagram::unbound().unwrap();
        let nothing = String::new();
        let expected = ("unix-dgram".to_owned(), "unbound", Queue::First(0), nothing.clone(), nothing.clone());
        assert_eq!(of(fd(&unbound)), expected);
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!((&of(fd(&udp)).0[..], of(fd(&udp)).1), ("udp", "bound"));
        udp.connect("127.0.0.1:9").unwrap();
        assert_eq!((of(fd(&udp)).1, &of(fd(&udp)).4[..]), ("connected", "udp:127.0.0.1:9"));
    }

    #[test]
    fn what_is_no_socket_is_told_by_its_access_and_place() {
        let (mut read, mut write) = Fd::pipe().unwrap();
        assert_eq!((&of(read).0[..], of(read).1, of(write).1), ("pipe", "read end", "write end"));
        rustix::io::write(write, b"abc").unwrap();
        assert!(matches!(of(read).2, Queue::Bytes(3, Some(4096..))));
        write.close();
        let mut states = std::iter::repeat_with(|| of(read).1);
        assert!(states.by_ref().take(100_000).any(|state| state == "hung up"), "{:?}", states.next());
        read.close();
        let null = std::fs::File::open("/dev/null").unwrap();
        let nothing = String::new();
        let expected = ("chardev".to_owned(), "read-only", Queue::None, "/dev/null".to_owned(), nothing);
        assert_eq!(of(fd(&null)), expected);
        let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let mut event = Fd::from_owned(event);
        assert_eq!((&of(event).0[..], of(event).1), ("eventfd", "open"));
        event.close();
        assert_eq!((&of(Fd::NONE).0[..], of(Fd::NONE).1), ("?", "?"));
    }
}
