//! The pipe of the catch-all logger. If the services that process 1 boots contain one called `s6-svscan-log`, s6's name for
//! it, there is this pipe before the first process is: whatever process 1 starts inherits its one end as stdout and stderr;
//! the other end is held as `pipe:s6-svscan-log`, and the logger is given it at every start by its file `sockets`, as
//! `0 pipe:s6-svscan-log`. So what is in it outlives the logger, and process 1's own faults.
//!
//! Process 1 neither reads it nor writes to it. While nobody reads, what is written waits: [`PIPE`] bytes of it, then its
//! writers do. How the pipe ends is told in [`svscan::catch_all`](crate::svscan::catch_all).

use crate::fdholder::records::Now;
use crate::fdholder::server::store_own;
use crate::fdholder::table::{Origin, Table};
use crate::limits::CATCH_ALL_PIPE as PIPE;
use crate::state::Tables;
use crate::svscan::catch_all::{HELD, held_pipe};
use crate::sys::memory::commit;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::{fault_point, info, warning};
use rustix::fs::OFlags;

/// Makes the pipe, if there is a logger for it and that is not `down`. An earlier incarnation may have made it already.
/// What cannot be done is said; output goes to the console then, as it does without such a logger.
pub fn prepare(tables: &mut Tables) {
    let scandir = Fd(tables.header.scandir_fd);
    if scandir.is_some() && is_wanted(scandir) {
        match lay(tables) {
            Ok(()) => info!("what nobody else logs goes to s6-svscan-log"),
            Err((what, e)) => {
                warning!("s6-svscan-log gets nothing to log: cannot {what}: {}", Reason(e));
            }
        }
    }
}

fn is_wanted(scandir: Fd) -> bool {
    let has = |path| file::exists(scandir, path) == Ok(true);
    has(c"s6-svscan-log/run") && !has(c"s6-svscan-log/down")
}

/// Lays stdout and stderr into the pipe. The logger's own become the console, which they have been until now.
fn lay(tables: &mut Tables) -> core::result::Result<(), (&'static str, Errno)> {
    let mut console = Fd::STDERR.duplicate(3).map_err(|e| ("keep the console", e))?;
    let mut write = open(tables).inspect_err(|_| console.close())?;
    fault_point!("boot.pipe");
    let placed = write.place(1).and_then(|()| write.place(2));
    write.close();
    if let Err(e) = placed {
        let _ = console.place(1);
        console.close();
        return Err(("make it standard output", e));
    }
    // From here on the logger's own output goes there, and all that outlives it.
    let mut earlier = Fd(core::mem::replace(&mut tables.header.console_fd, console.0));
    commit(&tables.header);
    earlier.close(); // of an earlier incarnation that came this far
    fault_point!("boot.laid");
    Ok(())
}

/// The end to write to, of the pipe that is held.
fn open(tables: &mut Tables) -> core::result::Result<Fd, (&'static str, Errno)> {
    if let Some(read) = held_pipe(tables) {
        // Made by an earlier incarnation, whose stdout is the console again by now.
        return open_again(read).map_err(|e| ("open its pipe again", e));
    }
    let (mut read, mut write) = Fd::pipe().map_err(|e| ("make its pipe", e))?;
    let _ = rustix::pipe::fcntl_setpipe_size(read, PIPE); // else it has the kernel's 64 KiB
    let mut held = Table::new(&mut tables.held, &mut tables.header.held_top);
    match store_own(&mut held, HELD, read, Origin::Board, &Now::read()) {
        Ok(()) => Ok(write),
        Err(e) => {
            read.close();
            write.close();
            Err(("hold its pipe", e))
        }
    }
}

/// The other end of a pipe: opening what /proc leads to makes a new one.
fn open_again(read: Fd) -> Result<Fd> {
    let path = CPath::<32>::of(&[b"/proc/self/fd/", Decimal::new(read.0 as u64).as_bytes()]);
    file::open(Fd::CWD, path.path()?, OFlags::WRONLY, 0)
}
