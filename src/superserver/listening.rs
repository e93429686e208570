//! The socket that is standard input: what it must be, and where it is kept.

use super::Kind;
use crate::applets::cli::Cli;
use crate::sys::accept::{Family, family};
use crate::sys::name::{End, ip};
use crate::sys::signal::{SignalSet, open_signalfd};
use crate::sys::{Errno, Fd, Result, file, socket};
use core::net::SocketAddr;

/// Checks standard input: a listening socket of that kind. Answers the address of one of TCP. The error is the exit code.
pub fn check(cli: &Cli, kind: Kind) -> core::result::Result<Option<SocketAddr>, i32> {
    match file::about(Fd::STDIN) {
        Ok(about) if about.is_socket => {}
        Ok(_) => return Err(cli.refuse("stdin is not a socket")),
        Err(e) => return Err(cli.unable("fstat stdin", e)),
    }
    let is = family(Fd::STDIN).map_err(|e| cli.unable("get local socket information", e))?;
    match (kind, is) {
        (Kind::Ipc, Family::Unix) | (Kind::Tcp, Family::Ip) => {}
        (Kind::Ipc, _) => return Err(cli.refuse("stdin is not a unix socket")),
        (Kind::Tcp, _) => return Err(cli.unable("get local socket information", Errno::AFNOSUPPORT)),
    }
    match socket::listens(Fd::STDIN) {
        Ok(true) => {}
        Ok(false) => return Err(cli.refuse("stdin is a socket that does not listen")),
        Err(e) => return Err(cli.unable("get local socket information", e)),
    }
    match kind {
        Kind::Ipc => Ok(None),
        Kind::Tcp => ip(Fd::STDIN, End::Local).map(Some).map_err(|e| cli.unable("get local socket information", e)),
    }
}

/// Moves the listening socket out of the way, to where no child sees it, and opens a descriptor for each set of `signals`,
/// which are blocked. Standard input is closed then, so that it is where connections come.
///
/// The socket does not block from now on, for whoever else has this open file description: somebody else may have taken the
/// connection that was seen, and to wait for the next would be to be deaf to signals.
pub fn arrange(signals: [SignalSet; 2]) -> Result<(Fd, [Fd; 2])> {
    let mut stdin = Fd::STDIN;
    let mut opened = [Fd::NONE; 2];
    for (opened, signals) in opened.iter_mut().zip(signals) {
        let mut fd = open_signalfd(signals)?;
        *opened = fd;
        if fd.0 <= 2 {
            *opened = fd.duplicate(3)?;
            fd.close();
        }
    }
    let listener = stdin.duplicate(3)?;
    listener.set_nonblocking(true)?;
    stdin.close();
    Ok((listener, opened))
}
