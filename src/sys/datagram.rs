//! Unix-domain datagram sockets that know who sent what: the receiving side, unix(7) with SO_PASSCRED.

use super::socket::{MAX_FDS, Peer};
use super::{Errno, Fd, Result, raw};
use core::ffi::CStr;
use linux_raw_sys::net;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

/// A socket that has no name yet: close-on-exec, non-blocking, and the kernel says with each message who sent it.
fn socket() -> Result<Fd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let mut fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map(Fd::from_owned)?;
    match sockopt::set_socket_passcred(fd, true) {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

fn bound(address: &SocketAddrUnix) -> Result<Fd> {
    let mut fd = socket()?;
    match rustix::net::bind(fd, address) {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

/// A socket at `path`. EADDRINUSE: something has that name. ENAMETOOLONG: more than [`super::unix::MAX_PATH`] bytes.
pub fn at(path: &CStr) -> Result<Fd> {
    bound(&SocketAddrUnix::new(path)?)
}

/// A socket with an abstract name that the kernel chooses. Everybody in the network namespace may send to it, and may
/// see its name.
pub fn anywhere() -> Result<Fd> {
    bound(&SocketAddrUnix::new_unnamed())
}

/// Copies the abstract name of a socket, without its leading NUL; answers its length. ENOENT: it has another name.
pub fn abstract_name(fd: Fd, buf: &mut [u8]) -> Result<usize> {
    let address = SocketAddrUnix::try_from(rustix::net::getsockname(fd)?).map_err(|_| Errno::NOTSOCK)?;
    let name = address.abstract_name().ok_or(Errno::NOENT)?;
    buf.get_mut(..name.len()).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(name);
    Ok(name.len())
}

/// What [`receive`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Bytes stored.
    pub bytes: usize,
    /// Descriptors stored.
    pub fds: usize,
    /// Who sent it, if the kernel said so. The pid is 0 if the sender is outside our pid namespace.
    pub sender: Option<Sender>,
    /// The message was longer than the buffer: the rest is lost.
    pub truncated: bool,
    /// Some of its descriptors were lost: there were too many for the buffer, or the process ran out of numbers.
    pub fds_lost: bool,
}

/// Credentials as the kernel checked them: those of the process, or ones that it may take on.
pub type Sender = Peer;

/// Bytes of an ancillary message of `length` bytes: its header, and the whole of it aligned as the next one must be.
const fn space(length: usize) -> usize {
    (HEADER + length).next_multiple_of(ALIGNMENT)
}

const ALIGNMENT: usize = size_of::<usize>();
/// `struct cmsghdr`: a word for the length, then level and type.
const HEADER: usize = (ALIGNMENT + 8).next_multiple_of(ALIGNMENT);
const CREDENTIALS: usize = 12;

const CONTROL: usize = space(CREDENTIALS) + space(4 * MAX_FDS);

#[repr(align(8))]
struct Control([u8; CONTROL]);

/// recvmsg(2) with MSG_DONTWAIT: one message and its descriptors, which are close-on-exec. EAGAIN: nothing there.
pub fn receive(fd: Fd, bytes: &mut [u8], fds: &mut [Fd; MAX_FDS]) -> Result<Received> {
    let mut control = Control([0; CONTROL]);
    let (length, control_length, flags) = raw::receive_message(fd.0, bytes, &mut control.0)?;
    let mut got = Received {
        bytes: length.min(bytes.len()),
        truncated: flags & net::MSG_TRUNC != 0,
        fds_lost: flags & net::MSG_CTRUNC != 0,
        ..Received::default()
    };
    let mut rest = control.0.get(..control_length).unwrap_or_default();
    while let Some((kind, content, next)) = ancillary(rest) {
        let word = |at: usize| content.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
        match kind {
            Kind::Credentials => {
                if let (Some(pid), Some(uid), Some(gid)) = (word(0), word(4), word(8)) {
                    got.sender = Some(Sender { pid, uid, gid });
                }
            }
            Kind::Rights => {
                for at in (0..content.len()).step_by(4) {
                    let Some(number) = word(at) else { break };
                    let mut received = Fd::new(number as i32);
                    match fds.get_mut(got.fds) {
                        Some(place) => {
                            *place = received;
                            got.fds += 1;
                        }
                        None => {
                            received.close();
                            got.fds_lost = true;
                        }
                    }
                }
            }
            Kind::Other => {}
        }
        rest = next;
    }
    Ok(got)
}

enum Kind {
    Rights,
    Credentials,
    Other,
}

/// The first ancillary message, and what follows it.
fn ancillary(bytes: &[u8]) -> Option<(Kind, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(bytes.get(..ALIGNMENT)?.try_into().ok()?);
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let kind = match (number(ALIGNMENT)?, number(ALIGNMENT + 4)?) {
        (net::SOL_SOCKET, net::SCM_RIGHTS) => Kind::Rights,
        (net::SOL_SOCKET, net::SCM_CREDENTIALS) => Kind::Credentials,
        _ => Kind::Other,
    };
    let next = bytes.get(length.checked_next_multiple_of(ALIGNMENT)?..).unwrap_or_default();
    Some((kind, bytes.get(HEADER..length)?, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;
    use std::ffi::CString;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    fn place(name: &str) -> CString {
        CString::new(format!("/tmp/linchpin-datagram-{name}-{}", std::process::id())).unwrap()
    }

    fn sender_to(path: &CStr) -> UnixDatagram {
        let socket = UnixDatagram::unbound().unwrap();
        socket.connect(path.to_str().unwrap()).unwrap();
        socket
    }

    #[test]
    fn a_message_comes_whole_with_its_sender_and_its_descriptors() {
        let path = place("whole");
        let mut fd = at(&path).unwrap();
        assert_eq!(at(&path), Err(Errno::ADDRINUSE));
        let sender = sender_to(&path);
        let sent = [Fd(sender.as_raw_fd()); MAX_FDS];
        let (mut bytes, mut fds) = ([0; 64], [Fd::NONE; MAX_FDS]);
        assert_eq!(receive(fd, &mut bytes, &mut fds), Err(Errno::AGAIN));
        for count in [0, 1, 2, 3, MAX_FDS] {
            assert_eq!(crate::sys::socket::send(Fd(sender.as_raw_fd()), b"hello", &sent[..count]), Ok(5));
            let got = receive(fd, &mut bytes, &mut fds).unwrap();
            let who = got.sender.unwrap();
            assert_eq!((got.bytes, got.fds, got.truncated, got.fds_lost), (5, count, false, false));
            assert_eq!((who.pid, who.uid), (process::pid() as u32, process::effective_user()));
            assert_eq!(&bytes[..5], b"hello");
            assert!(fds[..count].iter().all(|fd| fd.is_open() && fd.0 != sender.as_raw_fd()));
            fds[..count].iter_mut().for_each(Fd::close);
        }
        fd.close();
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }

    #[test]
    fn a_message_that_is_too_long_says_so() {
        let path = place("long");
        let mut fd = at(&path).unwrap();
        sender_to(&path).send(&[b'x'; 65]).unwrap();
        sender_to(&path).send(&[b'x'; 64]).unwrap();
        let (mut bytes, mut fds) = ([0; 64], [Fd::NONE; MAX_FDS]);
        for truncated in [true, false] {
            let got = receive(fd, &mut bytes, &mut fds).unwrap();
            assert_eq!((got.bytes, got.truncated), (64, truncated));
        }
        fd.close();
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }

    #[test]
    fn the_kernel_chooses_an_abstract_name_for_each() {
        let (mut one, mut other) = (anywhere().unwrap(), anywhere().unwrap());
        let (mut a, mut b) = ([0; 16], [0; 16]);
        let (a, b) = (
            abstract_name(one, &mut a).map(|n| a[..n].to_vec()),
            abstract_name(other, &mut b).map(|n| b[..n].to_vec()),
        );
        assert_eq!(a.as_ref().unwrap().len(), 5);
        assert_ne!(a, b);
        one.close();
        other.close();
    }

    #[test]
    fn damaged_ancillary_data_is_read_without_harm() {
        assert!(ancillary(&[]).is_none());
        assert!(ancillary(&[0xff; 24]).is_none());
        assert!(ancillary(&[0; 24]).is_none());
        let mut short = [0; 24];
        short[..ALIGNMENT].copy_from_slice(&25usize.to_ne_bytes());
        assert!(ancillary(&short).is_none());
    }
}
