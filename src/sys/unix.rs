//! Unix-domain stream sockets in the file system: listening, accepting, connecting.

use super::time::{self, Nanos};
use super::{Errno, Fd, Result};
use core::ffi::CStr;
use core::time::Duration;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Longest path of a socket: `sun_path` less the NUL.
pub const MAX_PATH: usize = 107;

fn address(path: &CStr) -> Result<SocketAddrUnix> {
    match path.count_bytes() {
        0 => Err(Errno::NOENT), // the kernel would make up a name
        n if n > MAX_PATH => Err(Errno::NAMETOOLONG),
        _ => SocketAddrUnix::new(path),
    }
}

fn stream(flags: SocketFlags) -> Result<Fd> {
    let flags = flags | SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map(Fd::from_owned)
}

/// Binds `path` with `mode` (exactly) and listens, with the longest backlog that the system allows; close-on-exec and
/// non-blocking. A socket that an earlier owner left there is removed; anything else of that name is EADDRINUSE.
/// ENAMETOOLONG: more than [`MAX_PATH`] bytes.
pub fn listen(path: &CStr, mode: u32) -> Result<Fd> {
    listen_for(path, mode, i32::MAX)
}

/// The same; of those who connect, `backlog` may wait to be accepted (the kernel caps it at net.core.somaxconn).
pub fn listen_for(path: &CStr, mode: u32, backlog: i32) -> Result<Fd> {
    let address = address(path)?;
    if let Ok(stat) = rustix::fs::statat(Fd::CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        if FileType::from_raw_mode(stat.st_mode) == FileType::Socket {
            rustix::fs::unlinkat(Fd::CWD, path, AtFlags::empty())?;
        }
    }
    let mut fd = stream(SocketFlags::NONBLOCK)?;
    let done = rustix::net::bind(fd, &address)
        .and_then(|()| rustix::fs::chmodat(Fd::CWD, path, Mode::from_raw_mode(mode), AtFlags::empty()))
        .and_then(|()| rustix::net::listen(fd, backlog));
    match done {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

/// accept4(2): a close-on-exec, non-blocking connection. EAGAIN: nobody waits.
pub fn accept(listener: Fd) -> Result<Fd> {
    rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).map(Fd::from_owned)
}

/// Connects to the socket at `path`, close-on-exec and blocking. While the listener's backlog is full it waits for a
/// place there. ETIMEDOUT: `deadline` has passed. ENAMETOOLONG: more than [`MAX_PATH`] bytes.
pub fn connect(path: &CStr, deadline: Option<Nanos>) -> Result<Fd> {
    let mut fd = stream(SocketFlags::empty())?;
    match connect_on(fd, path, deadline) {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

/// Connects a socket that is there already; see [`connect`].
pub fn connect_on(fd: Fd, path: &CStr, deadline: Option<Nanos>) -> Result<()> {
    let address = address(path)?;
    loop {
        if let Some(deadline) = deadline {
            // unix(7) waits as long as SO_SNDTIMEO says; zero would mean for ever.
            let left = deadline.saturating_sub(time::boot()).max(time::MILLI);
            set_socket_timeout(fd, Timeout::Send, Some(Duration::from_nanos(left)))?;
        }
        match rustix::net::connect(fd, &address) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(Errno::TIMEDOUT),
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::os::unix::fs::PermissionsExt;

    fn path(name: &str) -> CString {
        CString::new(format!("/tmp/linchpin-unix-{name}-{}", std::process::id())).unwrap()
    }

    fn remove(path: &CStr) {
        std::fs::remove_file(path.to_str().unwrap()).unwrap();
    }

    #[test]
    fn a_stale_socket_is_replaced_and_the_mode_is_exact() {
        let path = path("stale");
        let mut old = listen(&path, 0o600).unwrap();
        let mut new = listen(&path, 0o777).unwrap();
        let mode = std::fs::metadata(path.to_str().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o777);
        let mut client = connect(&path, None).unwrap();
        assert_eq!(accept(old), Err(Errno::AGAIN));
        let mut served = accept(new).unwrap();
        for fd in [&mut old, &mut new, &mut client, &mut served] {
            fd.close();
        }
        remove(&path);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let path = path("file");
        std::fs::write(path.to_str().unwrap(), "precious").unwrap();
        assert_eq!(listen(&path, 0o777), Err(Errno::ADDRINUSE));
        assert_eq!(std::fs::read(path.to_str().unwrap()).unwrap(), b"precious");
        remove(&path);
    }

    #[test]
    fn paths_of_up_to_107_bytes_are_taken() {
        let base = path("long").into_string().unwrap();
        let fits = CString::new(format!("{base:x<107}")).unwrap();
        let mut fd = listen(&fits, 0o777).unwrap();
        fd.close();
        remove(&fits);
        let longer = CString::new(format!("{base:x<108}")).unwrap();
        assert_eq!(listen(&longer, 0o777), Err(Errno::NAMETOOLONG));
        assert_eq!(connect(&longer, None), Err(Errno::NAMETOOLONG));
        assert_eq!(connect(c"", None), Err(Errno::NOENT));
    }

    #[test]
    fn connecting_waits_for_a_place_in_the_backlog_until_its_deadline() {
        let path = path("full");
        let mut listener = stream(SocketFlags::NONBLOCK).unwrap();
        rustix::net::bind(listener, &address(&path).unwrap()).unwrap();
        rustix::net::listen(listener, 0).unwrap();
        let mut first = connect(&path, None).unwrap();
        let before = time::boot();
        assert_eq!(connect(&path, Some(before + 30 * time::MILLI)), Err(Errno::TIMEDOUT));
        assert!(time::boot() >= before + 20 * time::MILLI);
        let later = std::thread::spawn({
            let path = path.clone();
            move || connect(&path, None)
        });
        let mut served = accept(listener).unwrap();
        let mut second = later.join().unwrap().unwrap();
        for fd in [&mut listener, &mut first, &mut second, &mut served] {
            fd.close();
        }
        remove(&path);
    }
}
