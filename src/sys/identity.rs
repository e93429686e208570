//! Who the process is: user, groups; and the umask.

use super::{Errno, Result, image};
use rustix::fs::Mode;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// setgroups(2). EPERM: not root. EINVAL: more than the kernel's 65536.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    image::note_change();
    // SAFETY: Gid is a transparent u32 (rustix hands such slices to the kernel as they are).
    let groups = unsafe { core::slice::from_raw_parts(groups.as_ptr().cast::<Gid>(), groups.len()) };
    set_thread_groups(groups)
}

/// setgid(2): real, effective and saved, if we are root.
pub fn set_gid(gid: u32) -> Result<()> {
    image::note_change();
    set_thread_gid(Gid::from_raw(valid(gid)?))
}

/// setuid(2): real, effective and saved, if we are root.
pub fn set_uid(uid: u32) -> Result<()> {
    image::note_change();
    set_thread_uid(Uid::from_raw(valid(uid)?))
}

/// All ones means "unchanged" to some system calls and is nobody's id.
fn valid(id: u32) -> Result<u32> {
    if id == u32::MAX { Err(Errno::INVAL) } else { Ok(id) }
}

/// umask(2); returns the previous one.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(Mode::from_raw_mode(mask)).as_raw_mode()
}
