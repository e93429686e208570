//! Control groups, version 2 (cgroups(7)): finding our own, making others below it, entering and killing them.
//!
//! Where none is mounted and `/sys/fs/cgroup` is still bare, process 1 mounts them there, when the first is
//! asked for: a machine without any pays nothing.

use super::{Errno, Fd, Result, entry, file, lines, process};
use crate::text::CPath;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

/// Longest path of a cgroup.
pub const PATH: usize = 1024;

/// Where they are mounted by everybody's habit.
const USUAL: &CStr = c"/sys/fs/cgroup";
/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const MAGIC: u64 = 0x6367_7270;
/// SYSFS_MAGIC.
const BARE: u64 = 0x6265_6572;

/// A line of /proc/PID/mountinfo, proc_pid_mountinfo(5). Paths in it are escaped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mount<'a> {
    /// What is mounted of the file system.
    pub root: &'a [u8],
    /// Where.
    pub point: &'a [u8],
    /// Its type.
    pub kind: &'a [u8],
}

impl<'a> Mount<'a> {
    /// Reads a line. `None`: it is none.
    pub fn of(line: &'a [u8]) -> Option<Mount<'a>> {
        // 36 35 98:0 ROOT POINT OPTIONS [TAG[:VALUE]...] - TYPE SOURCE SUPER-OPTIONS
        let mut words = line.split(|byte| *byte == b' ');
        let (root, point) = (words.nth(3)?, words.next()?);
        words.find(|word| *word == b"-")?;
        Some(Mount { root, point, kind: words.next()? })
    }

    /// The directory of the cgroup `own`, if it can be seen here.
    pub fn directory(&self, own: &[u8]) -> Option<CPath<PATH>> {
        let mut path = CPath::new();
        unescape(self.point, &mut path);
        let mut root = CPath::<PATH>::new();
        unescape(self.root, &mut root);
        let root = root.as_bytes();
        let below = own.strip_prefix(root)?;
        // `/` is above all; `/a` is above `/a/b`, not `/ab`. What begins with `/..` is outside of our namespace.
        let whole = root == b"/" || below.is_empty() || below.starts_with(b"/");
        if !whole || own.starts_with(b"/..") {
            return None;
        }
        let below = below.strip_prefix(b"/").unwrap_or(below);
        if !below.is_empty() {
            path.push(b"/");
            path.push(below);
        }
        path.get().is_some().then_some(path)
    }
}

/// The path of our cgroup in a line of /proc/self/cgroup. `None`: it is about another hierarchy.
pub fn own_path(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"0::").filter(|path| path.starts_with(b"/"))
}

/// `\040` and its like in mountinfo.
fn unescape<const N: usize>(text: &[u8], out: &mut CPath<N>) {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let code = after.first_chunk::<3>().filter(|_| *first == b'\\').and_then(|digits| {
            digits.iter().try_fold(0u8, |sum, digit| {
                let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
                sum.checked_mul(8)?.checked_add(digit)
            })
        });
        match code {
            Some(byte) => {
                out.push(&[byte]);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(&[*first]);
                rest = after;
            }
        }
    }
}

/// Opens the directory (O_PATH) of the cgroup that we are in. ENODEV: the kernel has none of version 2, or they are not
/// mounted, or ours is not to be seen where they are.
pub fn open_own() -> Result<Fd> {
    let mut own = CPath::<PATH>::new();
    let mut buf = [0; 4096];
    lines::visit(c"/proc/self/cgroup", &mut buf, &mut |line| match own_path(line) {
        Some(path) => {
            own.push(path);
            ControlFlow::Break(())
        }
        None => ControlFlow::Continue(()),
    })?;
    if own.is_empty() {
        return Err(Errno::NODEV);
    }
    let mut found = Err(Errno::NODEV);
    lines::visit(c"/proc/self/mountinfo", &mut buf, &mut |line| {
        let Some(mount) = Mount::of(line) else { return ControlFlow::Continue(()) };
        let path = mount.directory(own.as_bytes()).filter(|_| mount.kind == b"cgroup2");
        // It may be out of sight, below another mount.
        match path.and_then(|path| open_cgroup(&path).ok()) {
            Some(fd) => {
                found = Ok(fd);
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    })?;
    if found.is_err() && process::pid() == 1 && rustix::fs::statfs(USUAL).map(|about| magic(&about)) == Ok(BARE) {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount(c"cgroup2", USUAL, c"cgroup2", flags, Some(c""))?;
        return open_cgroup(&CPath::of(&[USUAL.to_bytes(), own.as_bytes()]));
    }
    found
}

/// The type of a file system; its size and sign differ from machine to machine.
fn magic(about: &rustix::fs::StatFs) -> u64 {
    about.f_type as u64 & 0xffff_ffff
}

/// Opens a directory if it is a cgroup's; something else may be mounted over it.
fn open_cgroup(path: &CPath<PATH>) -> Result<Fd> {
    let mut fd = file::open_dir(Fd::CWD, path.path()?)?;
    match rustix::fs::fstatfs(fd) {
        Ok(about) if magic(&about) == MAGIC => Ok(fd),
        other => {
            fd.close();
            Err(other.err().unwrap_or(Errno::NODEV))
        }
    }
}

/// Makes the cgroup `name` (components separated by `/`) below the one with directory `above`, and those on the way to
/// it, as far as they are missing; opens its directory (O_PATH). EACCES, EROFS: we may not.
pub fn make(above: Fd, name: &[u8]) -> Result<Fd> {
    let ends = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain([name.len()]) {
        let path = CPath::<PATH>::of(&[name.get(..end).unwrap_or_default()]);
        match rustix::fs::mkdirat(above, path.path()?, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
    }
    file::open_dir(above, CPath::<PATH>::of(&[name]).path()?)
}

/// Opens what a process writes to to enter a cgroup ([`super::process::Spawn::cgroup`]). ENODEV: it has been removed.
pub fn open_procs(cgroup: Fd) -> Result<Fd> {
    file::open(cgroup, c"cgroup.procs", OFlags::WRONLY, 0)
}

/// Puts the calling process into the cgroup that `procs` was opened in.
pub(super) fn enter(procs: Fd) -> Result<()> {
    file::write_all(procs, b"0")
}

/// Sends SIGKILL to all processes in a cgroup and below it, whatever they fork meanwhile. ENOENT: a kernel before 5.14.
pub fn kill(cgroup: Fd) -> Result<()> {
    let mut fd = file::open(cgroup, c"cgroup.kill", OFlags::WRONLY, 0)?;
    let done = file::write_all(fd, b"1");
    fd.close();
    done
}

/// Removes a cgroup; it may be gone already. EBUSY: a process, or another cgroup, is still in it.
pub fn remove(cgroup: Fd) -> Result<()> {
    let mut buf = [MaybeUninit::<u8>::uninit(); PATH];
    let link = CPath::<32>::of(&[b"/proc/self/fd/", crate::text::number::Decimal::new(cgroup.0 as u64).as_bytes()]);
    let (path, _) = rustix::fs::readlinkat_raw(Fd::CWD, link.path()?, &mut buf[..])?;
    match entry::remove_dir(Fd::CWD, CPath::<PATH>::of(&[path]).path()?) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNIFIED: &[u8] = b"31 25 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";

    fn directory(line: &[u8], own: &[u8]) -> Option<String> {
        let path = Mount::of(line)?.directory(own)?;
        Some(String::from_utf8(path.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_mount_is_read_with_and_without_tags() {
        let mount = Mount { root: b"/", point: b"/sys/fs/cgroup", kind: b"cgroup2" };
        assert_eq!(Mount::of(UNIFIED), Some(mount));
        assert_eq!(Mount::of(b"31 25 0:27 / /sys/fs/cgroup rw - cgroup2 none rw"), Some(mount));
        assert_eq!(Mount::of(b"31 25 0:27 / /sys/fs/cgroup rw a:1 b:2 c - cgroup2 none rw"), Some(mount));
        for bad in [&b""[..], b"31 25 0:27 /", b"31 25 0:27 / /sys rw cgroup2 none rw", b"31 25 0:27 / /sys rw -"] {
            assert_eq!(Mount::of(bad), None);
        }
    }

    #[test]
    fn our_directory_is_below_the_mount() {
        assert_eq!(directory(UNIFIED, b"/").as_deref(), Some("/sys/fs/cgroup"));
        assert_eq!(directory(UNIFIED, b"/a/b").as_deref(), Some("/sys/fs/cgroup/a/b"));
        let part = b"31 25 0:27 /a /mnt rw - cgroup2 none rw";
        assert_eq!(directory(part, b"/a").as_deref(), Some("/mnt"));
        assert_eq!(directory(part, b"/a/b").as_deref(), Some("/mnt/b"));
    }

    #[test]
    fn what_is_not_below_the_mount_cannot_be_seen() {
        let part = b"31 25 0:27 /a /mnt rw - cgroup2 none rw";
        assert_eq!(directory(part, b"/ab"), None);
        assert_eq!(directory(part, b"/"), None);
        assert_eq!(directory(UNIFIED, b"/../other"), None);
    }

    #[test]
    fn escaped_paths_are_read_as_they_are() {
        let line = b"31 25 0:27 / /my\\040mount\\134\\011 rw - cgroup2 none rw";
        assert_eq!(directory(line, b"/x").as_deref(), Some("/my mount\\\t/x"));
        let odd = b"31 25 0:27 / /a\\04\\999 rw - cgroup2 none rw";
        assert_eq!(directory(odd, b"/").as_deref(), Some("/a\\04\\999"));
    }

    #[test]
    fn our_path_stands_in_the_line_of_the_unified_hierarchy() {
        assert_eq!(own_path(b"0::/"), Some(&b"/"[..]));
        assert_eq!(own_path(b"0::/user.slice/a:b"), Some(&b"/user.slice/a:b"[..]));
        assert_eq!(own_path(b"9:name=systemd:/"), None);
        assert_eq!(own_path(b"0::"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_harm(line in "[ -~]{0,80}", own in "/[ -~]{0,20}") {
            if let Some(mount) = Mount::of(line.as_bytes()) {
                let _ = mount.directory(own.as_bytes());
            }
        }
    }
}
