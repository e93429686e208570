//! The step from one root to the other: what is mounted below the old one moves to the new one, which then is the root; what
//! the initramfs held is memory again, and the next program is process 1.

use super::mounts::is_mount_point;
use super::root::is_in_memory;
use crate::sys::args::Env;
use crate::sys::process::Rlimit;
use crate::sys::rlimit::{Resource, restore};
use crate::sys::time::{self, Nanos};
use crate::sys::{Errno, Fd, again, file, tree};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use crate::{error, fault_point, notice, warning};
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountPropagationFlags;

/// What tells the program that is executed then when the boot began (nanoseconds since the kernel did), and that the root
/// is the one that it is to have.
const VARIABLE: &[u8] = b"LINCHPIN_STARTED";

/// What goes with us.
const MOVED: [(&CStr, &CStr); 4] =
    [(c"/dev", c"/sysroot/dev"), (c"/proc", c"/sysroot/proc"), (c"/sys", c"/sysroot/sys"), (c"/run", c"/sysroot/run")];

/// What process 1 becomes: this program, or, if it is empty, what it is.
pub struct Next(pub CPath<512>);

/// Whether the root that there is is one to which an earlier program has switched.
pub fn has_switched(env: Env) -> bool {
    env.get(VARIABLE).is_some()
}

/// When the boot began, if an earlier program has told.
pub fn began(env: Env) -> Option<Nanos> {
    let digits = env.get(VARIABLE)?.to_bytes();
    let mut sum = 0u64;
    for digit in digits {
        sum = sum.checked_mul(10)?.checked_add(char::from(*digit).to_digit(10)?.into())?;
    }
    (!digits.is_empty() && sum <= time::boot()).then_some(sum)
}

/// The children of this program need not know.
pub fn forget(env: Env) {
    env.remove(VARIABLE);
}

/// Makes what is mounted on `new` (`/sysroot`) the root. Errors: what cannot be done; all is as it was then.
pub fn switch(new: &CStr) -> Result<(), (&'static str, Errno)> {
    let mut old =
        file::open(Fd::CWD, c"/", OFlags::RDONLY | OFlags::DIRECTORY, 0).map_err(|e| ("open the initramfs", e))?;
    // Nothing can be moved out of a mount that others see.
    let _ = rustix::mount::mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE);
    for (from, to) in MOVED {
        move_mount(from, to);
        fault_point!("boot.moved");
    }
    let moved = rustix::process::chdir(new).and_then(|()| rustix::mount::mount_move(c".", c"/"));
    let done = moved.and_then(|()| rustix::process::chroot(c".")).and_then(|()| rustix::process::chdir(c"/"));
    if let Err(why) = done {
        let _ = rustix::process::chdir(c"/");
        for (from, to) in MOVED {
            let _ = rustix::mount::mount_move(to, from);
        }
        old.close();
        return Err(("make it the root", why));
    }
    fault_point!("boot.switched");
    empty(old);
    old.close();
    fault_point!("boot.emptied");
    Ok(())
}

/// What an earlier incarnation has moved already stays where it is.
fn move_mount(from: &CStr, to: &CStr) {
    if !is_mount_point(from) || is_mount_point(to) {
        return;
    }
    let _ = rustix::fs::mkdir(to, Mode::from_raw_mode(0o755)); // or the move says what is wrong
    if let Err(why) = rustix::mount::mount_move(from, to) {
        let dir = Printable(from.to_bytes());
        warning!("root: it has no directory {dir} to which that can move: {}: make it in the image", Reason(why));
    }
}

/// Gives the initramfs's memory back. Nothing but that: neither what is mounted below, nor a root that is none.
fn empty(old: Fd) {
    let (Ok(before), Ok(now)) = (rustix::fs::fstat(old), rustix::fs::stat(c"/")) else { return };
    if before.st_dev != now.st_dev && is_in_memory(old, c".") {
        tree::empty_device(old, before.st_dev);
    }
}

/// Executes what is next. Comes back only if nothing can be executed: then this program goes on as it is.
pub fn execute(next: &Next, binary: Fd, nofile: Option<Rlimit>, started: Nanos) {
    if let Some(limit) = nofile {
        restore(Resource::Nofile, limit);
    }
    let variable = CPath::<64>::of(&[VARIABLE, b"=", Decimal::new(started).as_bytes()]);
    let variable = variable.get().unwrap_or_default();
    let path = next.0.get().unwrap_or_default();
    if !path.is_empty() {
        notice!("going on with {} of the root file system", Printable(path.to_bytes()));
        give_console();
        let why = again::exec_program(path, variable);
        let shown = Printable(path.to_bytes());
        let hint = match why {
            Errno::NOENT => " (a library or an interpreter that it needs is not there)",
            Errno::NOEXEC => " (it is made for another processor)",
            _ => "",
        };
        error!("root: cannot execute {shown}: {}{hint}; process 1 goes on itself", Reason(why));
    } else {
        notice!("going on with the board config of the root file system, which has no /sbin/init");
    }
    let why = again::exec(binary, variable, again::Given::All);
    error!("root: this binary cannot be executed again: {}", Reason(why));
}

/// As the kernel gives it to process 1.
fn give_console() {
    let flags = OFlags::RDWR | OFlags::NONBLOCK;
    let Ok(mut console) = file::open(Fd::CWD, c"/dev/console", flags, 0) else { return };
    let _ = console.set_nonblocking(false);
    for number in 0..3 {
        let _ = console.place(number);
    }
    console.close();
}
