//! The kernel's file systems: mounted first of all, unless somebody (an initramfs, a container) has done it already.

use crate::sys::{Errno, Fd, Result, file};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{info, warning};
use core::ffi::CStr;
use rustix::fs::{AtFlags, Mode};
use rustix::mount::MountFlags;

/// One of them.
struct Early {
    target: &'static CStr,
    fstype: &'static CStr,
    flags: MountFlags,
    data: &'static CStr,
    /// What shows that it is there although it is no mount point of its own (a file below the target).
    sign: &'static CStr,
}

const NOSUID_NODEV: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const NO_ALL: MountFlags = NOSUID_NODEV.union(MountFlags::NOEXEC);
const NOSUID_NOEXEC: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

/// In this order; modes and options are those that Buildroot's fstab and systemd agree on.
const EARLY: [Early; 6] = [
    Early { target: c"/proc", fstype: c"proc", flags: NO_ALL, data: c"", sign: c"/proc/self" },
    Early { target: c"/sys", fstype: c"sysfs", flags: NO_ALL, data: c"", sign: c"/sys/class" },
    Early { target: c"/dev", fstype: c"devtmpfs", flags: MountFlags::NOSUID, data: c"mode=0755", sign: c"/dev/null" },
    Early {
        target: c"/dev/pts",
        fstype: c"devpts",
        flags: NOSUID_NOEXEC,
        data: c"gid=5,mode=620,ptmxmode=666",
        sign: c"/dev/pts/ptmx",
    },
    Early { target: c"/dev/shm", fstype: c"tmpfs", flags: NOSUID_NODEV, data: c"mode=1777", sign: c"" },
    Early { target: c"/run", fstype: c"tmpfs", flags: NOSUID_NODEV, data: c"mode=0755", sign: c"" },
];

/// Links that programs expect in /dev and that devtmpfs does not make.
const LINKS: [(&CStr, &CStr); 4] = [
    (c"/dev/fd", c"/proc/self/fd"),
    (c"/dev/stdin", c"/proc/self/fd/0"),
    (c"/dev/stdout", c"/proc/self/fd/1"),
    (c"/dev/stderr", c"/proc/self/fd/2"),
];

/// Mounts what is missing.
pub fn mount_early() {
    for early in &EARLY {
        if let Err(e) = mount_one(early) {
            warning!(
                "cannot mount {} on {}: {}",
                Printable(early.fstype.to_bytes()),
                Printable(early.target.to_bytes()),
                Reason(e)
            );
        }
    }
    for (link, target) in LINKS {
        let _ = rustix::fs::symlink(target, link); // EEXIST: it is there
    }
}

fn mount_one(early: &Early) -> Result<()> {
    if is_mount_point(early.target) && (early.sign.is_empty() || file::exists(Fd::CWD, early.sign)?) {
        return Ok(());
    }
    match rustix::fs::mkdir(early.target, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        // A read-only root without the directory: mount(2) will say it.
        Err(_) => {}
    }
    match rustix::mount::mount(early.fstype, early.target, early.fstype, early.flags, Some(early.data)) {
        Err(Errno::BUSY) => Ok(()),
        done => done,
    }
}

/// Whether something is mounted on a directory: it is on another device than the one above it.
fn is_mount_point(path: &CStr) -> bool {
    let Ok(here) = rustix::fs::stat(path) else { return false };
    let above = file::open_dir(Fd::CWD, path).and_then(|mut dir| {
        let stat = rustix::fs::statat(dir, c"..", AtFlags::empty());
        dir.close();
        stat
    });
    above.is_ok_and(|above| above.st_dev != here.st_dev)
}

/// Mounts a file system of the board config. The target is made if it is missing.
pub fn mount_board(source: &CStr, target: &CStr, fstype: &CStr, options: &[u8]) {
    let _ = rustix::fs::mkdir(target, Mode::from_raw_mode(0o755));
    let (flags, data) = split_options(options);
    let done = data.path().and_then(|data| rustix::mount::mount(source, target, fstype, flags, Some(data)));
    let (source, target) = (Printable(source.to_bytes()), Printable(target.to_bytes()));
    match done {
        Ok(()) => info!("mounted {source} on {target}"),
        Err(e) => warning!("cannot mount {source} on {target}: {}", Reason(e)),
    }
}

/// Splits mount options as mount(8) has them into flags and what the file system itself is told.
fn split_options(options: &[u8]) -> (MountFlags, crate::text::CPath<512>) {
    let mut flags = MountFlags::empty();
    let mut data = crate::text::CPath::new();
    for option in options.split(|b| *b == b',').filter(|option| !option.is_empty()) {
        match option {
            b"ro" => flags |= MountFlags::RDONLY,
            b"rw" | b"defaults" => {}
            b"nosuid" => flags |= MountFlags::NOSUID,
            b"nodev" => flags |= MountFlags::NODEV,
            b"noexec" => flags |= MountFlags::NOEXEC,
            b"noatime" => flags |= MountFlags::NOATIME,
            b"nodiratime" => flags |= MountFlags::NODIRATIME,
            b"relatime" => flags |= MountFlags::RELATIME,
            b"strictatime" => flags |= MountFlags::STRICTATIME,
            b"sync" => flags |= MountFlags::SYNCHRONOUS,
            b"dirsync" => flags |= MountFlags::DIRSYNC,
            b"lazytime" => flags |= MountFlags::LAZYTIME,
            b"bind" => flags |= MountFlags::BIND,
            b"silent" => flags |= MountFlags::SILENT,
            other => {
                if !data.is_empty() {
                    data.push(b",");
                }
                data.push(other);
            }
        }
    }
    (flags, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_into_flags_and_the_file_systems_own() {
        let (flags, data) = split_options(b"ro,noatime,size=16m,mode=0755,nosuid");
        assert_eq!(flags, MountFlags::RDONLY | MountFlags::NOATIME | MountFlags::NOSUID);
        assert_eq!(data.get(), Some(c"size=16m,mode=0755"));
        let (flags, data) = split_options(b"defaults");
        assert_eq!((flags, data.len()), (MountFlags::empty(), 0));
    }

    #[test]
    fn proc_is_a_mount_point_and_a_plain_directory_is_not() {
        assert!(is_mount_point(c"/proc"));
        assert!(!is_mount_point(c"/proc/self/fd"));
        assert!(!is_mount_point(c"/nonexistent"));
    }
}
