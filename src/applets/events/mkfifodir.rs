//! `s6-mkfifodir [-f] [-g gid] fifodir`: makes a fifodir in which everybody may listen, or (`-g`) the members of a group.
//! One that is there and ours keeps its group and mode, unless `-f`; that of somebody else is an error: 111.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::service::event::{self, Access};
use crate::sys::{Errno, Fd, entry, process};
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -f ] [ -g gid ] fifodir";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut force, mut access) = (false, Access::Public);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'f') => force = true,
                Opt::Short(b'g') => access = Access::Group(options.number()?),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        let path = words.get(0).unwrap_or_default();
        Ok(match make(path, access, force) {
            Ok(()) => 0,
            Err(e) => cli.unable(format_args!("create fifodir at {}", Printable(path.to_bytes())), e),
        })
    })
}

fn make(path: &CStr, access: Access, force: bool) -> Result<(), Errno> {
    if event::make(Fd::CWD, path, access)? {
        return Ok(());
    }
    if entry::owner(Fd::CWD, path)? != process::effective_user() {
        return Err(Errno::ACCESS);
    }
    if force { event::set_access(Fd::CWD, path, access) } else { Ok(()) }
}
