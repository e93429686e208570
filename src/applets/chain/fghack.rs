//! `s6-fghack prog...`: runs prog with descriptors of a pipe, and ends when all of them are closed: when prog and all that
//! it has started are gone, unless they close what they do not know.
//!
//! Exit code: prog's, or 128 and the number of the signal that killed it; 102 somebody wrote to the pipe; 111 prog cannot
//! be executed.

use crate::applets::cli::{Cli, WrongUsage, spawn_after};
use crate::sys::{Errno, Fd, fd, file, process};
use crate::text::quote::Printable;

/// What follows the name on a command line.
pub const USAGE: &str = "prog...";

/// Somebody wrote to the pipe.
const WROTE: i32 = 102;

/// Descriptors of the pipe that prog gets: s6's number. Many daemons close some, few close so many.
const COPIES: usize = 31;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(1)?;
        let name = Printable(words.get(0).unwrap_or_default().to_bytes());
        cli.warn("fghack is the last resort: prefer an option of the daemon, or background-watch");
        let (mut read, mut write) = match fd::pipe() {
            Ok(ends) => ends,
            Err(e) => return Ok(cli.unable("make a pipe", e)),
        };
        let pid = match spawn_after(cli, words, &mut || hand_over(read, write)) {
            Ok(pid) => pid,
            Err(e) => return Ok(cli.unable(format_args!("exec {name}"), e)),
        };
        write.close();
        let wrote = file::read_some(read, &mut [0]);
        read.close();
        Ok(match wrote {
            Err(e) => cli.unable("read from the pipe", e),
            Ok(0) => match process::wait_for(pid) {
                Ok(death) => death.exit_code(),
                Err(e) => cli.unable("wait for prog", e),
            },
            Ok(_) => {
                cli.refuse(format_args!("{name} wrote on hackpipe"));
                WROTE
            }
        })
    })
}

/// In the child: descriptors that survive exec, from the lowest number on.
fn hand_over(mut read: Fd, write: Fd) -> Result<(), Errno> {
    read.close();
    write.set_cloexec(false)?;
    (1..COPIES).try_for_each(|_| write.duplicate(0)?.set_cloexec(false))
}
