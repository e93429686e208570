//! `reexec [-t ms] [-s socket|scandir] [--force] [path]`: process 1 (or the `svscan` of a scan directory) goes on as another
//! binary, or as the same one again. Its services, what it holds and its clients stay as they are.
//!
//! The binary is asked first, with all that the process has at this moment; see [`candidate`](super::candidate). Then the
//! process gets it as an open file, so that what was asked is what is executed.

use super::candidate::{self, Said};
use crate::applets::cli::{Cli, Opt, SYSTEM, WrongUsage};
use crate::applets::machine::sockets::{Path, find_socket};
use crate::fdholder::client::Connection;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file};
use crate::text::CPath;
use crate::text::number::Decimal;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// Usage line.
pub const USAGE: &str = "[-t ms] [-s socket|scandir] [--force] [path]";

/// How long the process that is to be upgraded may let us wait: it answers at the end of a turn of its loop.
const PATIENCE: Nanos = 60 * SECOND;

/// The command. `-t`: how long the binary may take on trial. Exit code: 0; 1 the new binary would lose something, and was not forced; 100 the binary is not fit; 111 it
/// could not be done. Unless it is 0 nothing has changed.
pub fn reexec(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut millis, mut force, mut place) = (0, false, None);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b't') => millis = options.number()?,
                Opt::Short(b's') => place = Some(options.text()?),
                Opt::Long(b"force") => force = true,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(0)?;
        if words.len() > 1 {
            return Err(WrongUsage);
        }
        let limit = if millis == 0 { candidate::PATIENCE } else { u64::from(millis) * MILLI };
        Ok(upgrade(cli, words.get(0), place, force, limit).unwrap_or_else(|code| code))
    })
}

/// The error is an exit code; what went wrong has been said.
fn upgrade(
    cli: &Cli,
    path: Option<&CStr>,
    place: Option<&'static CStr>,
    force: bool,
    limit: Nanos,
) -> core::result::Result<i32, i32> {
    let Some(socket) = find_socket(place) else { return Err(nobody(cli)) };
    let mut live = connect(cli, &socket, Some(time::boot().saturating_add(PATIENCE)))?;
    let own = own_path(&live);
    let path = match path {
        Some(path) => path,
        None => own.path().map_err(|e| cli.unable("find the binary that runs", e))?,
    };
    let binary = candidate::open(cli, path)?;
    let handover = live.hand_over().map_err(|e| refused(cli, "get a hand-over", e))?;
    let mut said = Said::new();
    let whole = candidate::try_out(cli, path, binary, handover, limit, &mut said)?;
    let name = Printable(path.to_bytes());
    if !whole && !force {
        cli.warn(format_args!("{name}: {}", Printable(&said)));
        cli.refuse("it would lose something: nothing was changed (--force does it nevertheless)");
        return Ok(candidate::LOSES);
    }
    live.enter(binary).map_err(|e| refused(cli, format_args!("go on as {name}"), e))?;
    cli.info(format_args!("{name} has taken over: {}", Printable(&said)));
    Ok(0)
}

/// Connects to the process that is to be upgraded.
pub fn connect(cli: &Cli, socket: &Path, deadline: Option<Nanos>) -> core::result::Result<Connection, i32> {
    let connected = socket.path().and_then(|path| Connection::open(path, deadline));
    let name = Printable(socket.as_bytes());
    connected.map_err(|e| cli.unable(format_args!("connect to a fd-holder daemon at {name}"), e))
}

/// Says that there is nobody.
pub fn nobody(cli: &Cli) -> i32 {
    cli.refuse("there is no fd-holder in /run/service or /service: name a socket or a scan directory with -s")
}

/// Says what the other side has refused; returns the exit code.
pub fn refused(cli: &Cli, what: impl core::fmt::Display, why: Errno) -> i32 {
    match why {
        Errno::PIPE | Errno::CONNRESET => cli.fail(format_args!(
            "unable to {what}: the other side ended the connection: it is no linchpin that knows this"
        )),
        Errno::OPNOTSUPP => cli.fail(format_args!("unable to {what}: the other side is no process 1 and no svscan")),
        why => {
            cli.unable(what, why);
            SYSTEM
        }
    }
}

/// The path of the binary that runs there, or of ours: a new one has been put in its place, perhaps.
fn own_path(live: &Connection) -> CPath<4096> {
    let mut room = [0; 4096];
    let mut of = |process: &[u8]| -> Result<CPath<4096>> {
        let link = CPath::<32>::of(&[b"/proc/", process, b"/exe"]);
        let n = rustix::fs::readlinkat_raw(Fd::CWD, link.path()?, &mut room[..])?;
        let path = room.get(..n).filter(|_| n < 4096).ok_or(Errno::NAMETOOLONG)?;
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let path = CPath::of(&[path]);
        if file::exists(Fd::CWD, path.path()?)? { Ok(path) } else { Err(Errno::NOENT) }
    };
    let theirs = live.server().ok_or(Errno::SRCH).and_then(|pid| of(Decimal::new(pid as u64).as_bytes()));
    theirs.or_else(|_| of(b"self")).unwrap_or_else(|_| CPath::of(&[b"/proc/self/exe"]))
}
