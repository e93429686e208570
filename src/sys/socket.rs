//! Unix-domain messages with descriptors, and who sent them.

use super::{Errno, Fd, Result, raw};
use core::mem::MaybeUninit;
use rustix::fd::BorrowedFd;
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

/// Most descriptors in one message (the kernel's SCM_MAX_FD).
pub const MAX_FDS: usize = 253;

/// Credentials of a unix socket's peer at the time it connected, unix(7) SO_PEERCRED. The pid is 0 if it lives outside
/// our pid namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Process.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// Who is on the other side of a connected unix socket.
pub fn peer(fd: Fd) -> Result<Peer> {
    raw::peer_credentials(fd.0).map(|[pid, uid, gid]| Peer { pid, uid, gid })
}

/// Whether `fd` is the client's end of a connection to `listener`, a unix socket of our own: both have the same name and
/// were made to listen by the same process.
pub fn is_connection_to(fd: Fd, listener: Fd) -> bool {
    let Ok(Some(name)) = rustix::net::getpeername(fd) else { return false };
    name.address_family() == rustix::net::AddressFamily::UNIX
        && rustix::net::getsockname(listener).is_ok_and(|own| own == name)
        && peer(fd).is_ok_and(|peer| raw::peer_credentials(listener.0) == Ok([peer.pid, peer.uid, peer.gid]))
}

/// Whether `fd` is our end of a connection that `listener`, a unix socket of ours, was asked for: it has the listener's name.
pub fn is_accepted_from(fd: Fd, listener: Fd) -> bool {
    let Ok(name) = rustix::net::getsockname(fd) else { return false };
    name.address_family() == rustix::net::AddressFamily::UNIX
        && rustix::net::getsockname(listener).is_ok_and(|own| own == name)
        && rustix::net::sockopt::socket_type(fd) == Ok(rustix::net::SocketType::STREAM)
        && listens(fd) == Ok(false)
        && peer(fd).is_ok()
}

/// Whether a socket listens.
pub fn listens(fd: Fd) -> Result<bool> {
    rustix::net::sockopt::socket_acceptconn(fd)
}

/// Small pieces are sent at once from now on: TCP_NODELAY. ENOTSOCK, EOPNOTSUPP: it is no TCP socket.
pub fn set_nodelay(fd: Fd) -> Result<()> {
    rustix::net::sockopt::set_tcp_nodelay(fd, true)
}

/// sendmsg(2) with MSG_NOSIGNAL and MSG_DONTWAIT; `fds` travel with the first byte. Returns how many bytes went.
/// EAGAIN: the peer's queue is full. EPIPE: it is gone. EINVAL: more than [`MAX_FDS`].
pub fn send(fd: Fd, bytes: &[u8], fds: &[Fd]) -> Result<usize> {
    send_flags(fd, bytes, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

/// As [`send`], but waits while the queue is full: for clients.
pub fn send_waiting(fd: Fd, bytes: &[u8], fds: &[Fd]) -> Result<usize> {
    send_flags(fd, bytes, fds, SendFlags::NOSIGNAL)
}

fn send_flags(fd: Fd, bytes: &[u8], fds: &[Fd], flags: SendFlags) -> Result<usize> {
    if fds.is_empty() {
        return rustix::net::send(fd, bytes, flags);
    }
    if fds.len() > MAX_FDS {
        return Err(Errno::INVAL);
    }
    if !fds.iter().all(|fd| fd.is_some()) {
        return Err(Errno::BADF);
    }
    // SAFETY: both are transparent around the number, of which a borrowed one must not be -1; the numbers stay open for
    // as long as this call, for nobody else runs meanwhile.
    let borrowed = unsafe { core::slice::from_raw_parts(fds.as_ptr().cast::<BorrowedFd<'_>>(), fds.len()) };
    let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(borrowed)) {
        return Err(Errno::INVAL);
    }
    rustix::net::sendmsg(fd, &[IoSlice::new(bytes)], &mut control, flags)
}

/// What [`receive`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Bytes stored; 0 is the end of the stream.
    pub bytes: usize,
    /// Descriptors stored.
    pub fds: usize,
    /// Some descriptors were lost: the message had more than there was room for (those that did not fit are closed),
    /// or the process ran out of numbers.
    pub fds_lost: bool,
}

/// recvmsg(2) with MSG_DONTWAIT; received descriptors are close-on-exec. EAGAIN: nothing there.
pub fn receive(fd: Fd, bytes: &mut [u8], fds: &mut [Fd]) -> Result<Received> {
    receive_flags(fd, bytes, fds, RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC)
}

/// As [`receive`], but waits until something comes: for clients.
pub fn receive_waiting(fd: Fd, bytes: &mut [u8], fds: &mut [Fd]) -> Result<Received> {
    receive_flags(fd, bytes, fds, RecvFlags::CMSG_CLOEXEC)
}

fn receive_flags(fd: Fd, bytes: &mut [u8], fds: &mut [Fd], flags: RecvFlags) -> Result<Received> {
    let mut free = fds.iter_mut();
    let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::net::recvmsg(fd, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    let mut got = Received { bytes: message.bytes, fds: 0, fds_lost: message.flags.contains(ReturnFlags::CTRUNC) };
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            for owned in rights {
                let mut received = Fd::from_owned(owned);
                match free.next() {
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
    }
    Ok(got)
}
