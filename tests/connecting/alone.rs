//! Namespaces of a test's own: a network in which every port is free, a mount namespace with another /etc/hosts.

use std::ffi::CString;
use std::path::Path;

fn check(done: libc::c_int) {
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Runs `body` in a thread that has a network to itself, with nothing but `lo`, and `hosts` as its /etc/hosts; its
/// children have them too.
pub fn alone<T: Send>(hosts: &Path, body: impl FnOnce() -> T + Send) -> T {
    let hosts = CString::new(hosts.to_str().unwrap()).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // SAFETY: system calls with C strings and a structure that live as long as the calls.
            unsafe {
                check(libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS));
                let none = std::ptr::null();
                check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()));
                check(libc::mount(hosts.as_ptr(), c"/etc/hosts".as_ptr(), none, libc::MS_BIND, none.cast()));
                let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
                // struct ifreq: a name of 16 bytes, then here the flags.
                let mut request = [0u8; 40];
                request[..2].copy_from_slice(b"lo");
                request[16..18].copy_from_slice(&(libc::IFF_UP as u16).to_ne_bytes());
                check(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, request.as_mut_ptr()));
                libc::close(socket);
            }
            body()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
