//! From the last stopped service to the kernel: everybody else is told to end, then killed; file systems are synced,
//! unmounted or made read-only; then power off, reboot or halt. Each step has a deadline: a disk that hangs or a
//! process that cannot die does not keep the machine from going down.

use super::Progress;
use crate::svscan::children::JobKind;
use crate::svscan::{Engine, Plan};
use crate::sys::cell::TakeCell;
use crate::sys::signal::number as sig;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, file, process};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{log, notice, warning};
use rustix::fs::OFlags;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::system::RebootCommand;

/// After SIGKILL, processes get this long to be gone.
const AFTER_KILL: Nanos = 2 * SECOND;
/// The catch-all logger has this long to read what services have said…
const LAST_WORDS: Nanos = 2 * SECOND;
/// …and this long to end before everybody is killed.
const HANG_UP: Nanos = SECOND / 2;
/// Syncing and unmounting may take this long.
const UNMOUNT: Nanos = 20 * SECOND;

/// Ends the machine, in the way that was asked for last. Returns only if the kernel refuses (EPERM in a container):
/// what, and why.
pub fn finish(engine: &mut Engine, grace: Nanos) -> (Plan, Errno) {
    end_processes(engine, grace);
    let unlogged = engine.unlogged();
    if unlogged > 0 {
        warning!("{unlogged} bytes for s6-svscan-log are lost: it has not read them");
    }
    engine.set_progress(Progress::Unmounting as u32);
    notice!("syncing and unmounting file systems");
    if !engine.run_job(JobKind::Unmounter, unmount_all, time::boot() + UNMOUNT) {
        warning!("unmounting did not end in {} s: going on without", UNMOUNT / SECOND);
    }
    let plan = engine.plan();
    notice!("{} now", plan.name());
    (plan, reboot(plan))
}

/// reboot(2). Returns only if it is refused.
pub fn reboot(plan: Plan) -> Errno {
    let command = match plan {
        Plan::Poweroff => RebootCommand::PowerOff,
        Plan::Halt => RebootCommand::Halt,
        _ => RebootCommand::Restart,
    };
    rustix::system::reboot(command).err().unwrap_or(Errno::INVAL)
}

/// Whether there are processes besides us. On a machine they are our children, or below one; kill(2) would not tell,
/// because it counts kernel threads too. In a container there are none of those, but processes that came from outside.
fn anybody_left() -> bool {
    process::has_children() || (!process::owns_machine() && process::kill(-1, 0) != Err(Errno::SRCH))
}

/// SIGTERM to everybody who is left, then SIGKILL. The catch-all logger, the last service, logs what they say meanwhile, and
/// ends when they have; unless it ends by SIGTERM as they do.
fn end_processes(engine: &mut Engine, grace: Nanos) {
    engine.let_logger_finish(LAST_WORDS);
    for (signal, patience) in [(sig::TERM, grace), (sig::KILL, AFTER_KILL)] {
        if !anybody_left() {
            return; // nobody is left
        }
        if signal == sig::KILL {
            engine.hang_up_logger(HANG_UP);
        }
        let _ = process::kill(-1, signal);
        let _ = process::kill(-1, sig::CONT);
        let limit = time::boot() + patience;
        while time::boot() < limit {
            // Children wake us by their death; those of others are looked for.
            engine.turn(Some(limit.min(time::boot() + 50 * MILLI)));
            if !anybody_left() {
                return;
            }
        }
        if signal == sig::TERM {
            notice!("processes are left after {} ms: killing them", patience / MILLI);
        }
    }
    warning!("processes are left that cannot be killed");
}

const MOUNTINFO: usize = 64 * 1024;
static TABLE: TakeCell<[u8; MOUNTINFO]> = TakeCell::new([0; MOUNTINFO]);

/// Runs in a child of process 1, which stays responsive meanwhile. Unmounts in reverse order what holds data; what is
/// busy, and the root, is made read-only. A container's file systems may be the host's: those that stay, stay as they
/// are.
fn unmount_all() -> i32 {
    log::leave_ring();
    rustix::fs::sync();
    let ours = process::owns_machine();
    let Some(table) = TABLE.take() else { return 1 };
    let text = match read_mounts(table) {
        Ok(text) => text,
        Err(e) => {
            warning!("cannot read the mounts: {}; the root is made read-only", Reason(e));
            b"0 0 0:0 / / rw - root root rw\n"
        }
    };
    let mut failures = 0;
    for line in text.rsplit(|b| *b == b'\n') {
        let Some(mount) = parse(line) else { continue };
        let Ok(target) = mount.target.path() else { continue };
        if mount.target.as_bytes() != b"/" {
            match rustix::mount::unmount(target, UnmountFlags::empty()) {
                Ok(()) | Err(Errno::INVAL) => continue, // EINVAL: not mounted (any more)
                Err(_) => {}
            }
        }
        if !ours {
            continue;
        }
        if let Err(e) = rustix::mount::mount_remount(target, MountFlags::RDONLY, c"") {
            warning!("cannot make {} read-only: {}", Printable(mount.target.as_bytes()), Reason(e));
            failures += 1;
        }
    }
    rustix::fs::sync();
    failures
}

fn read_mounts(table: &mut [u8; MOUNTINFO]) -> crate::sys::Result<&[u8]> {
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
}

/// A line of proc_pid_mountinfo(5), if it is of a file system that holds data.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|b| *b == b' ');
    let target = fields.nth(4)?;
    let fstype = fields.skip_while(|field| *field != b"-").nth(1)?;
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
    Some(Mount { target: path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_hold_data_are_found_and_their_names_decoded() {
        let line = b"36 35 98:0 / /mnt/my\\040disk\\134 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(parse(line).unwrap().target.as_bytes(), b"/mnt/my disk\\");
        assert!(parse(b"22 1 0:20 / /proc rw - proc proc rw").is_none());
        assert!(parse(b"22 1 0:20 / /x rw shared:1 master:2 propagate_from:3 - tmpfs tmpfs rw").is_none());
        assert!(parse(b"").is_none());
        assert!(parse(b"1 2 3 4").is_none());
    }
}
