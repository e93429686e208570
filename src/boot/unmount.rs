//! Unmounting: everything that holds data is unmounted or made read-only, so that nothing is left to be done to it at the next
//! boot. Below an overlay that is the root lie two file systems (`boot::root`), which are in use as long as it is: they
//! are made read-only after it. (Unmounting them would only hide them.)

use crate::sys::cell::TakeCell;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, poll, process};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{log, warning};
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags};

/// Where an overlay's parts are.
const LAYERS: &[u8] = b"/run/linchpin/";
/// The kernel has this long to make read-only on its own what cannot be made so otherwise.
const EMERGENCY: Nanos = 3 * SECOND;

const MOUNTINFO: usize = 64 * 1024;
static TABLE: TakeCell<[u8; MOUNTINFO]> = TakeCell::new([0; MOUNTINFO]);

/// Runs in a child of process 1, which stays responsive meanwhile. Unmounts in reverse order what holds data; what is
/// busy, the root and what lies below it is made read-only. A container's file systems may be the host's: those that stay,
/// stay as they are. Answers how many cannot be made so.
pub fn unmount_all() -> i32 {
    log::leave_ring();
    rustix::fs::sync();
    let Some(table) = TABLE.take() else { return 1 };
    let text = match read_mounts(table) {
        Ok(text) => text,
        Err(e) => {
            warning!("cannot read the mounts: {}; the root is made read-only", Reason(e));
            b"0 0 0:0 / / rw - root root rw\n"
        }
    };
    for mount in mounts(text).filter(|mount| !mount.is_root() && !mount.is_layer()) {
        if let Ok(target) = mount.target.path() {
            let _ = rustix::mount::unmount(target, UnmountFlags::empty());
        }
    }
    if !process::owns_machine() {
        rustix::fs::sync();
        return 0;
    }
    let mut failures = 0;
    let is_top = |mount: &Mount| !mount.is_layer();
    for mount in mounts(text).filter(is_top).chain(mounts(text).filter(Mount::is_layer)) {
        let Ok(target) = mount.target.path() else { continue };
        match rustix::mount::mount_remount(target, MountFlags::RDONLY, c"") {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {} // EINVAL: not mounted (any more)
            Err(e) => {
                warning!("cannot make {} read-only: {}", Printable(mount.target.as_bytes()), Reason(e));
                failures += 1;
            }
        }
    }
    rustix::fs::sync();
    if failures > 0 && let_kernel_do_it(table) { 0 } else { failures }
}

/// Asks the kernel to make everything read-only, whoever uses it; answers whether it has.
fn let_kernel_do_it(table: &mut [u8; MOUNTINFO]) -> bool {
    let Ok(mut fd) = file::open(Fd::CWD, c"/proc/sysrq-trigger", OFlags::WRONLY, 0) else { return false };
    let asked = file::write_all(fd, b"u");
    fd.close();
    let limit = time::boot() + EMERGENCY;
    while asked.is_ok() && time::boot() < limit {
        if read_mounts(table).is_ok_and(|text| mounts(text).all(|mount| !mount.is_writable)) {
            return true;
        }
        poll::until(time::boot() + 20 * MILLI);
    }
    false
}

/// The mounts that hold data, the last first.
fn mounts(text: &[u8]) -> impl Iterator<Item = Mount> {
    text.rsplit(|byte| *byte == b'\n').filter_map(parse)
}

fn read_mounts(table: &mut [u8; MOUNTINFO]) -> Result<&[u8]> {
    let mut fd = file::open(Fd::CWD, c"/proc/self/mountinfo", OFlags::RDONLY, 0)?;
    let done = file::read_full(fd, table);
    fd.close();
    done.map(|n| &table[..n])
}

/// File systems without data of their own.
const VIRTUAL: [&[u8]; 22] = [
    b"proc",
    b"sysfs",
    b"devtmpfs",
    b"devpts",
    b"tmpfs",
    b"ramfs",
    b"rootfs",
    b"cgroup",
    b"cgroup2",
    b"debugfs",
    b"tracefs",
    b"securityfs",
    b"pstore",
    b"efivarfs",
    b"bpf",
    b"configfs",
    b"fusectl",
    b"mqueue",
    b"hugetlbfs",
    b"binfmt_misc",
    b"autofs",
    b"nsfs",
];

struct Mount {
    target: CPath<1024>,
    /// The file system, that is, wherever else it is mounted.
    is_writable: bool,
}

impl Mount {
    fn is_root(&self) -> bool {
        self.target.as_bytes() == b"/"
    }

    fn is_layer(&self) -> bool {
        self.target.as_bytes().starts_with(LAYERS)
    }
}

/// A line of proc_pid_mountinfo(5), if it is of a file system that holds data.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let target = fields.nth(4)?;
    let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
    let fstype = fields.next()?;
    let is_writable = fields.nth(1).is_some_and(|options| options.split(|b| *b == b',').next() == Some(b"rw"));
    if VIRTUAL.contains(&fstype) {
        return None;
    }
    let mut path = CPath::new();
    let mut rest = target;
    while let [first, after @ ..] = rest {
        match rest {
            // Blanks and backslashes are written as three octal digits.
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                path.push(&[(a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')]);
                rest = after;
            }
            _ => {
                path.push(&[*first]);
                rest = after;
            }
        }
    }
    Some(Mount { target: path, is_writable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_hold_data_are_found_and_their_names_decoded() {
        let line = b"36 35 98:0 / /mnt/my\\040disk\\134 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(parse(line).unwrap().target.as_bytes(), b"/mnt/my disk\\");
        assert!(parse(line).unwrap().is_writable);
        assert!(!parse(b"36 35 98:0 / / rw - squashfs /dev/vda2 ro,errors=continue").unwrap().is_writable);
        assert!(parse(b"22 1 0:20 / /proc rw - proc proc rw").is_none());
        assert!(parse(b"22 1 0:20 / /x rw shared:1 master:2 propagate_from:3 - tmpfs tmpfs rw").is_none());
        assert!(parse(b"").is_none());
        assert!(parse(b"1 2 3 4").is_none());
    }

    #[test]
    fn the_parts_of_an_overlay_are_known_by_where_they_are() {
        let text = b"1 0 254:2 / /run/linchpin/lower ro - squashfs /dev/vda2 ro\n\
            2 0 254:3 / /data rw - ext4 /dev/vda3 rw\n3 0 0:9 / / rw - overlay overlay rw\n";
        let found: Vec<_> = mounts(text).map(|mount| (mount.is_root(), mount.is_layer(), mount.is_writable)).collect();
        assert_eq!(found, [(true, false, true), (false, false, true), (false, true, false)]);
    }
}
