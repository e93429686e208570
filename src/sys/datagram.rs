//! Unix-domain datagram sockets that know who sent what: the receiving side, unix(7) with SO_PASSCRED. What comes is
//! received with [`super::message`].

use super::{Errno, Fd, Result};
use core::ffi::CStr;
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
}
