//! Our own binary as the kernel would see it if it were executed once more by this process: whether that could make a
//! difference.

use super::{Errno, Fd, Result};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use rustix::fs::{Access, AtFlags, FileType, StatxFlags};
use rustix::process::{DumpableBehavior, dumpable_behavior};

/// Something was changed that the kernel looks at when it executes a file.
static CHANGED: AtomicBool = AtomicBool::new(false);

/// Notes that an execution would not be what the last one was: there is another user or group, for whom capabilities and
/// the right to be looked into are counted anew, or another limit for the memory that an image takes.
pub(super) fn note_change() {
    CHANGED.store(true, Relaxed);
}

/// Whether the process is to the kernel what it was when it was executed: the same user, whom it may still be looked into
/// by, and the same limits for memory.
pub fn is_unchanged() -> bool {
    !CHANGED.load(Relaxed) && dumpable_behavior() == Ok(DumpableBehavior::Dumpable)
}

/// Whether `path` leads to the file that this process executes, which has one name only, on the mount where it was found
/// then; we may execute it, and that gives no privileges. Errors are those with which an execution would look for another
/// one: ENOENT, ENOTDIR, EACCES, ENAMETOOLONG.
pub fn is_own(path: &CStr) -> Result<bool> {
    let found = Identity::of(path)?;
    let own = Identity::of(c"/proc/self/exe");
    Ok(Ok(found) == own && found.is_plain() && may_execute(path) && !has_capabilities(path))
}

/// What file it is. A security module may look at its name, and at the mount.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: (u32, u32),
    inode: u64,
    /// 0, if the kernel does not tell: before 5.8.
    mount: u64,
    mode: u32,
    names: u32,
}

impl Identity {
    fn of(path: &CStr) -> Result<Identity> {
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(Fd::CWD, path, AtFlags::empty(), wanted)?;
        let tells = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
        Ok(Identity {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            mount: if tells { stat.stx_mnt_id } else { 0 },
            mode: stat.stx_mode.into(),
            names: stat.stx_nlink,
        })
    }

    /// A file without a second name, which makes nobody somebody else.
    fn is_plain(self) -> bool {
        const PRIVILEGES: u32 = 0o6000; // setuid and setgid
        FileType::from_raw_mode(self.mode) == FileType::RegularFile && self.mode & PRIVILEGES == 0 && self.names == 1
    }
}

/// Reading is asked for too: who may not read what it executes cannot be looked into. EACCES also stands for a file system
/// from which nothing is to be executed.
fn may_execute(path: &CStr) -> bool {
    rustix::fs::accessat(Fd::CWD, path, Access::EXEC_OK | Access::READ_OK, AtFlags::EACCESS).is_ok()
}

/// Whether the file gives capabilities to who executes it, as far as one can tell.
fn has_capabilities(path: &CStr) -> bool {
    let mut value = [0; 64];
    let asked = rustix::fs::getxattr(path, c"security.capability", &mut value[..]);
    !matches!(asked, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

/// Gives the process the name, in `ps` and `/proc/self/comm`, that executing `path` would.
pub fn name_process(path: &CStr) {
    let base = path.to_bytes_with_nul().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if let Ok(base) = CStr::from_bytes_with_nul(base) {
        let _ = rustix::thread::set_name(base);
    }
}
