//! Control groups of services that ask for one (file `cgroup`), where there is cgroup v2: `BASE/NAME`, for a logger
//! `BASE/.log.NAME` (no service's name begins with a dot). BASE is `linchpin` below the group that we are in, for a
//! process 1, and else `linchpin-PID`, so that several trees do not meet. cgroups(7); the kernel's cgroup-v2 document.
//!
//! Process 1 mounts cgroup v2 on `/sys/fs/cgroup` where nobody has, when the first service asks: a machine whose services
//! do not ask pays nothing.

use super::kind;
use crate::state::Service;
use crate::sys::{Errno, Fd, Result, entry, file, lines, process};
use crate::text::CPath;
use crate::text::number::{Decimal, parse_u32};
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;
use rustix::mount::MountFlags;

/// Where cgroup v2 is mounted, alone…
const USUAL: &CStr = c"/sys/fs/cgroup";
/// …or beside version 1.
const MOUNTS: [&CStr; 2] = [USUAL, c"/sys/fs/cgroup/unified"];
/// f_type of cgroup v2 (CGROUP2_SUPER_MAGIC).
const CGROUP2: u64 = 0x6367_7270;
/// f_type of the file system that has the mount point: nobody has mounted anything there (SYSFS_MAGIC).
const SYSFS: u64 = 0x6265_6572;
/// Without `cgroup.kill` (kernels before 5.14), a group is read and killed so often: who forks faster than that lives.
const PASSES: usize = 16;

/// Opens the directory of a service's group; makes it, and BASE, if it is missing. ENODEV: there is no cgroup v2.
pub fn open(service: &Service) -> Result<Fd> {
    let mut base = open_base(true)?;
    let own = name(service);
    let opened = own.path().and_then(|name| {
        file::make_dir(base, name, 0o755)?;
        file::open_dir(base, name)
    });
    base.close();
    opened
}

/// Opens `cgroup.procs` of a group: a process that writes "0" there is in it.
pub fn door(group: Fd) -> Result<Fd> {
    file::open(group, c"cgroup.procs", OFlags::WRONLY, 0)
}

/// Kills everybody in a group (SIGKILL).
pub fn kill(group: Fd) -> Result<()> {
    match file::open(group, c"cgroup.kill", OFlags::WRONLY, 0) {
        Ok(mut fd) => {
            let done = file::write_all(fd, b"1");
            fd.close();
            done
        }
        Err(Errno::NOENT) => kill_each(group),
        Err(e) => Err(e),
    }
}

fn kill_each(group: Fd) -> Result<()> {
    for _ in 0..PASSES {
        let mut buf = [0; 1024];
        let text = file::read(group, c"cgroup.procs", &mut buf)?;
        if text.is_empty() {
            break;
        }
        // The last line may be cut: then it has no line feed, and comes again.
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let pid = line.strip_suffix(b"\n").and_then(parse_u32).and_then(|pid| i32::try_from(pid).ok());
            if let Some(pid) = pid.filter(|pid| *pid > 1) {
                let _ = process::kill(pid, crate::sys::signal::number::KILL);
            }
        }
    }
    Ok(())
}

/// Whether process `pid` is in a group itself (not in one below).
pub fn has(group: Fd, pid: i32) -> bool {
    let Ok(mut fd) = file::open(group, c"cgroup.procs", OFlags::RDONLY, 0) else { return false };
    let (mut found, mut buf) = (false, [0; 1024]);
    let _ = lines::visit_fd(fd, &mut buf, &mut |line| {
        found = parse_u32(line).is_some_and(|member| i32::try_from(member) == Ok(pid));
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    fd.close();
    found
}

/// Removes the group of a service. EBUSY: somebody is in it still.
pub fn remove(service: &Service) -> Result<()> {
    let mut base = open_base(false)?;
    let done = name(service).path().and_then(|name| entry::remove_dir(base, name));
    base.close();
    match done {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Removes BASE, if it is there and nobody is in it: at the end.
pub fn remove_base() {
    for mount in MOUNTS {
        if let Ok(path) = base_in(mount).path() {
            let _ = entry::remove_dir(Fd::CWD, path);
        }
    }
}

fn name(service: &Service) -> CPath<272> {
    match service.kind {
        kind::ALONE => CPath::of(&[b"service"]), // its name is a path, and nobody else is in BASE
        kind::LOGGER => CPath::of(&[b".log.", service.name_bytes()]),
        _ => CPath::of(&[service.name_bytes()]),
    }
}

fn open_base(make: bool) -> Result<Fd> {
    let is = |mount: &CStr, kind| rustix::fs::statfs(mount).is_ok_and(|stat| stat.f_type as u64 & 0xffff_ffff == kind);
    let mount = match MOUNTS.into_iter().find(|mount| is(mount, CGROUP2)) {
        Some(mount) => mount,
        None if make && process::pid() == 1 && is(USUAL, SYSFS) => {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            rustix::mount::mount(c"cgroup2", USUAL, c"cgroup2", flags, Some(c""))?;
            USUAL
        }
        None => return Err(Errno::NODEV),
    };
    let base = base_in(mount);
    if make {
        file::make_dir(Fd::CWD, base.path()?, 0o755)?;
    }
    file::open_dir(Fd::CWD, base.path()?)
}

fn base_in(mount: &CStr) -> CPath<512> {
    let mut buf = [0; 512];
    let own = file::read(Fd::CWD, c"/proc/self/cgroup", &mut buf).ok().and_then(own_group).unwrap_or_default();
    let mut base = CPath::of(&[mount.to_bytes(), own, b"/linchpin"]);
    let pid = process::pid();
    if pid != 1 {
        base.push(b"-");
        base.push(Decimal::new(pid.unsigned_abs().into()).as_bytes());
    }
    base
}

/// The group of version 2 in the text of `/proc/self/cgroup`; the root is empty.
fn own_group(text: &[u8]) -> Option<&[u8]> {
    let line = text.split_inclusive(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::"))?;
    let path = line.strip_suffix(b"\n")?;
    Some(if path == b"/" { b"" } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_that_we_are_in_is_in_the_line_without_a_controller() {
        assert_eq!(own_group(b"1:cpu:/x\n0::/user/me\n"), Some(&b"/user/me"[..]));
        assert_eq!(own_group(b"0::/\n"), Some(&b""[..]));
        assert_eq!(own_group(b"0::/cut"), None);
        assert_eq!(own_group(b"1:cpu:/\n"), None);
    }
}
