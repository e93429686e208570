//! `linchpin --install DIR [PATH]`: a symbolic link for every command, by its short name and by its s6 name.

use super::cli::{Cli, SYSTEM};
use crate::sys::{Errno, Fd, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::{AtFlags, FileType};

/// Makes the links in `dir`, to `target` (the path of this binary, if none is given). Links that are there already are
/// replaced; anything else of the name is left alone and reported (exit code 1).
#[inline(never)] // its buffers would be part of process 1's stack for ever
pub fn install(cli: &Cli, dir: &CStr, target: Option<&CStr>) -> i32 {
    let mut own = CPath::<4096>::new();
    let target = match target {
        Some(target) => target,
        None => match own_path(&mut own) {
            Ok(()) => own.get().unwrap_or(c"/sbin/linchpin"),
            Err(e) => return cli.unable("find out where this binary is", e),
        },
    };
    let into = match file::open_dir(Fd::CWD, dir) {
        Ok(into) => into,
        Err(e) => return cli.unable(format_args!("open {}", Printable(dir.to_bytes())), e),
    };
    let mut code = 0;
    for applet in super::all() {
        for prefix in applet.prefixes {
            let name = CPath::<64>::of(&[prefix.as_bytes(), applet.name.as_bytes()]);
            match name.path().and_then(|name| link(into, name, target)) {
                Ok(()) => {}
                Err(Errno::EXIST) => {
                    cli.warn(format_args!("{} is there and is no link: left alone", Printable(name.as_bytes())));
                    code = 1;
                }
                Err(e) => {
                    cli.warn(format_args!("unable to make {}: {}", Printable(name.as_bytes()), Reason(e)));
                    code = SYSTEM;
                }
            }
        }
    }
    code
}

/// Appends the path of this binary. ENOENT: there is no /proc. ENAMETOOLONG: it does not fit.
fn own_path(path: &mut CPath<4096>) -> crate::sys::Result<()> {
    let mut buf = [core::mem::MaybeUninit::<u8>::uninit(); 4096];
    let (bytes, _) = rustix::fs::readlinkat_raw(Fd::CWD, c"/proc/self/exe", &mut buf[..])?;
    path.push(bytes);
    path.path().map(drop)
}

fn link(dir: Fd, name: &CStr, target: &CStr) -> crate::sys::Result<()> {
    match rustix::fs::symlinkat(target, dir, name) {
        Err(Errno::EXIST) => {}
        done => return done,
    }
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Err(Errno::EXIST);
    }
    rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
    rustix::fs::symlinkat(target, dir, name)
}
