//! A pseudo-terminal, to be process 1's console.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Our side of it, non-blocking, and the path of the other.
pub fn open() -> (File, PathBuf) {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
    let ours = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/ptmx").unwrap();
    let (mut number, unlock): (libc::c_int, libc::c_int) = (0, 0);
    // SAFETY: both ioctls take a pointer to an int, which lives across the call.
    unsafe {
        assert_eq!(libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock), 0);
        assert_eq!(libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTN, &raw mut number), 0);
    }
    (ours, PathBuf::from(format!("/dev/pts/{number}")))
}
