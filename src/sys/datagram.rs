//! Unix-domain datagram sockets that know who sent what: the receiving side, unix(7) with SO_PASSCRED. What comes is
//! received with [`super::message`]. And the sending side, which is a client's.

use super::{Errno, Fd, Result};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    UCred, sockopt,
};
use rustix::process::{Pid, getegid, geteuid};

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

/// An address as `NOTIFY_SOCKET` has it: a path, or `@` and an abstract name, of which every byte counts and none else.
fn address(text: &CStr) -> Result<SocketAddrUnix> {
    match text.to_bytes() {
        b"" => Err(Errno::NOENT),
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name),
        path if path.len() > super::unix::MAX_PATH => Err(Errno::NAMETOOLONG),
        _ => SocketAddrUnix::new(text),
    }
}

/// Whether this can be the address of a socket: a path, or `@` and an abstract name. ENOENT: it is empty. ENAMETOOLONG:
/// more than [`super::unix::MAX_PATH`] bytes, not counting the `@`.
pub fn check(address: &CStr) -> Result<()> {
    self::address(address).map(drop)
}

/// A socket whose messages go to this address; close-on-exec, non-blocking. Errors as of [`check`]; ENOENT, ECONNREFUSED:
/// nobody listens there. EACCES: we may not send there.
pub fn to(address: &CStr) -> Result<Fd> {
    let address = self::address(address)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let mut fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map(Fd::from_owned)?;
    match rustix::net::connect(fd, &address) {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

/// Sends a message in the name of process `pid`: the receiver is told that pid, with our own user and group. EPERM: that
/// takes CAP_SYS_ADMIN, unless it is our own. ESRCH: there is no such process. EAGAIN: the receiver's queue is full.
pub fn send_as(fd: Fd, bytes: &[u8], pid: i32) -> Result<usize> {
    let pid = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0).ok_or(Errno::SRCH)?;
    let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmCredentials(UCred { pid, uid: geteuid(), gid: getegid() })) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(fd, &[IoSlice::new(bytes)], &mut control, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn a_name_is_taken_once() {
        let path = CString::new(format!("/tmp/linchpin-datagram-name-{}", std::process::id())).unwrap();
        let mut fd = at(&path).unwrap();
        assert_eq!(at(&path), Err(Errno::ADDRINUSE));
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
    fn an_abstract_address_has_the_length_of_its_name() {
        let mut here = anywhere().unwrap();
        let mut buf = [0; 16];
        let length = abstract_name(here, &mut buf).unwrap();
        let name = CString::new([b"@", &buf[..length]].concat()).unwrap();
        let mut there = to(&name).unwrap();
        assert_eq!(send_as(there, b"hello", std::process::id() as i32), Ok(5));
        let mut bytes = [0; 8];
        assert_eq!(rustix::io::read(here, &mut bytes), Ok(5));
        assert_eq!(send_as(there, b"hello", 0), Err(Errno::SRCH));
        there.close();
        here.close();
    }

    #[test]
    fn an_address_that_cannot_be_is_known() {
        let long = |length: usize| CString::new("x".repeat(length)).unwrap();
        assert_eq!(check(c""), Err(Errno::NOENT));
        assert_eq!((check(&long(107)), check(&long(108))), (Ok(()), Err(Errno::NAMETOOLONG)));
        let name = |length: usize| CString::new(format!("@{}", "x".repeat(length))).unwrap();
        assert_eq!((check(&name(107)), check(&name(108))), (Ok(()), Err(Errno::NAMETOOLONG)));
    }
}
