//! The kernel's file systems: mounted first of all, unless somebody (an initramfs, a container) has done it already.

use super::device::{self, Until, Waiting};
use crate::board::{Mount, Source};
use crate::has;
use crate::sys::time::MILLI;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{fault_point, info, warning};
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

/// What [`mount_early`] could not do, to be said when there is a place to say it.
pub struct Failures([Option<Errno>; EARLY.len()]);

/// Mounts what is missing.
pub fn mount_early() -> Failures {
    let failures = EARLY.each_ref().map(|early| mount_one(early).err());
    for (link, target) in LINKS {
        let _ = rustix::fs::symlink(target, link); // EEXIST: it is there
    }
    Failures(failures)
}

impl Failures {
    /// One line each.
    pub fn report(&self) {
        for (early, failure) in EARLY.iter().zip(self.0) {
            if let Some(e) = failure {
                complain(early.fstype.to_bytes(), early.target.to_bytes(), e);
            }
        }
    }
}

fn complain(source: &[u8], target: &[u8], why: Errno) {
    warning!("cannot mount {} on {}: {}", Printable(source), Printable(target), Reason(why));
}

fn mount_one(early: &Early) -> Result<()> {
    if is_mount_point(early.target) && (early.sign.is_empty() || file::exists(Fd::CWD, early.sign)?) {
        return Ok(());
    }
    // On a read-only root without the directory it is mount(2) that says so.
    let _ = rustix::fs::mkdir(early.target, Mode::from_raw_mode(0o755));
    match rustix::mount::mount(early.fstype, early.target, early.fstype, early.flags, Some(early.data)) {
        Err(Errno::BUSY) => Ok(()),
        done => done,
    }
}

/// Whether something is mounted on a directory: it is on another device than the one above it.
pub fn is_mount_point(path: &CStr) -> bool {
    let Ok(here) = rustix::fs::stat(path) else { return false };
    let above = file::open_dir(Fd::CWD, path).and_then(|mut dir| {
        let stat = rustix::fs::statat(dir, c"..", AtFlags::empty());
        dir.close();
        stat
    });
    above.is_ok_and(|above| above.st_dev != here.st_dev)
}

/// Makes the directories above a path, mode 0755, as far as that can be done.
pub fn make_parents(path: &[u8]) {
    for (at, _) in path.iter().enumerate().filter(|(at, byte)| *at > 0 && **byte == b'/') {
        let above = CPath::<512>::of(&[path.get(..at).unwrap_or_default()]);
        if let Ok(above) = above.path() {
            let _ = rustix::fs::mkdir(above, Mode::from_raw_mode(0o755));
        }
    }
}

/// Mounts the file systems of the board config, in its order, but for the first `done`, which is kept up to date. Targets
/// that are missing are made.
pub fn mount_board(mounts: &[Mount<'_>], done: &mut u32) {
    for mount in mounts.iter().skip(*done as usize) {
        match mount_by_words(mount) {
            Ok(()) => info!("mounted {} on {}", mount.source, mount.target),
            Err(Errno::TIMEDOUT) => {
                let (source, target, wait) = (mount.source, mount.target, mount.wait / MILLI);
                warning!("cannot mount {source} on {target}: it did not appear within {wait} ms");
            }
            Err(e) => complain(mount.source.as_bytes(), mount.target.as_bytes(), e),
        }
        fault_point!("boot.mounting");
        *done += 1;
        fault_point!("boot.mount");
    }
}

/// The device that a mount is of, as soon as it is there; else the source as it is written. ENOENT: there is none, ETIMEDOUT:
/// it did not come, EINTR: somebody wants the machine to go down.
fn find_source(mount: &Mount<'_>) -> Result<CPath<512>> {
    let written = mount.source.as_bytes();
    let node = match Source::parse(written) {
        Ok(Source::Other(_)) | Err(_) => return Ok(CPath::of(&[written])),
        Ok(Source::Path(_)) if mount.wait == 0 => return Ok(CPath::of(&[written])),
        Ok(_) if !has::ROOT => return Ok(CPath::of(&[written])),
        Ok(source) if mount.wait == 0 => device::find(&source)?,
        Ok(source) => {
            let mut waiting = Waiting::begin(written);
            let found = waiting.device(&source, Until::from_now(mount.wait));
            waiting.end();
            found.map_err(|ended| match ended {
                device::Ended::TimeOut => Errno::TIMEDOUT,
                device::Ended::Asked => Errno::INTR,
            })?
        }
    };
    Ok(CPath::of(&[node.as_bytes()]))
}

fn mount_by_words(mount: &Mount<'_>) -> Result<()> {
    let path = |text: &str| CPath::<512>::of(&[text.as_bytes()]);
    let (source, target, kind) = (find_source(mount)?, path(mount.target), path(mount.kind));
    let (source, target, kind) = (source.path()?, target.path()?, kind.path()?);
    make_parents(target.to_bytes());
    let _ = rustix::fs::mkdir(target, Mode::from_raw_mode(0o755)); // or mount(2) says what is wrong
    let options = split_options(mount.options.as_bytes());
    let (flags, data) = (options.flags, options.data.path()?);
    if options.remount {
        return rustix::mount::mount_remount(target, flags, data);
    }
    rustix::mount::mount(source, target, kind, flags, Some(data))?;
    // The kernel takes no other flag together with this one.
    if flags.contains(MountFlags::BIND) && flags != MountFlags::BIND {
        return rustix::mount::mount_remount(target, flags, c"");
    }
    Ok(())
}

/// Mount options: flags, and what the file system itself is told.
pub struct Options {
    /// Flags of mount(2).
    pub flags: MountFlags,
    remount: bool,
    /// All others, with commas between them.
    pub data: CPath<512>,
}

/// Splits mount options as mount(8) has them.
pub fn split_options(words: &[u8]) -> Options {
    let mut options = Options { flags: MountFlags::empty(), remount: false, data: CPath::new() };
    for option in words.split(|b| *b == b',').filter(|option| !option.is_empty()) {
        let flag = match option {
            b"ro" => MountFlags::RDONLY,
            b"rw" | b"defaults" => MountFlags::empty(),
            b"nosuid" => MountFlags::NOSUID,
            b"nodev" => MountFlags::NODEV,
            b"noexec" => MountFlags::NOEXEC,
            b"noatime" => MountFlags::NOATIME,
            b"nodiratime" => MountFlags::NODIRATIME,
            b"relatime" => MountFlags::RELATIME,
            b"strictatime" => MountFlags::STRICTATIME,
            b"sync" => MountFlags::SYNCHRONOUS,
            b"dirsync" => MountFlags::DIRSYNC,
            b"lazytime" => MountFlags::LAZYTIME,
            b"bind" => MountFlags::BIND,
            b"silent" => MountFlags::SILENT,
            b"remount" => {
                options.remount = true;
                continue;
            }
            other => {
                if !options.data.is_empty() {
                    options.data.push(b",");
                }
                options.data.push(other);
                continue;
            }
        };
        options.flags |= flag;
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_into_flags_and_the_file_systems_own() {
        let options = split_options(b"ro,noatime,size=16m,mode=0755,nosuid");
        assert_eq!(options.flags, MountFlags::RDONLY | MountFlags::NOATIME | MountFlags::NOSUID);
        assert_eq!(options.data.get(), Some(c"size=16m,mode=0755"));
        let options = split_options(b"defaults");
        assert_eq!((options.flags, options.data.len(), options.remount), (MountFlags::empty(), 0, false));
        assert!(split_options(b"remount,rw").remount);
    }

    #[test]
    fn proc_is_a_mount_point_and_a_plain_directory_is_not() {
        assert!(is_mount_point(c"/proc"));
        assert!(!is_mount_point(c"/proc/self/fd"));
        assert!(!is_mount_point(c"/nonexistent"));
    }
}
