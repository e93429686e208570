//! What a board says, as a short table for people: `linchpin check`.

use super::model::{Board, Signals, Socket};
use crate::sys::listener::Kind;
use crate::sys::time::MILLI;
use crate::text::quote::Printable;
use core::fmt::{self, Display, Write};

/// Displays a board: a line for each thing it says or assumes.
pub struct Summary<'b, 'a>(pub &'b Board<'a>);

impl Display for Summary<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let board = self.0;
        row(f, "board", board.name().unwrap_or("(no name)"), format_args!(""))?;
        if let Some(hostname) = board.hostname() {
            row(f, "hostname", hostname, format_args!(""))?;
        }
        row(f, "services", board.scandir(), format_args!("from {}", Word(board.services())))?;
        if let Some(init) = board.init() {
            row(f, "init", init, format_args!(""))?;
        }
        for mount in board.mounts() {
            let (kind, source, options) = (Word(mount.kind), Word(mount.source), Word(mount.options));
            row(f, "mount", mount.target, format_args!("{kind} from {source} {options}"))?;
        }
        for socket in board.sockets() {
            row(f, "socket", socket.name, format_args!("{}", Details(socket)))?;
        }
        let fdholder = board.fdholder();
        row(f, "fdholder", core::str::from_utf8(fdholder.as_bytes()).unwrap_or("?"), format_args!(""))?;
        let signals = if board.signals() == Signals::S6 { "s6" } else { "busybox" };
        row(f, "signals", signals, format_args!(""))?;
        let (stop, kill) = (board.timeout() / MILLI, board.kill_timeout() / MILLI);
        writeln!(f, "{:<9} {stop} ms for services, {kill} ms for what is left", "shutdown")
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, name: &str, more: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{what:<9} {:<27} {more}", Word(name))
}

/// A word of the file; what was invisible in it is shown.
struct Word<'a>(&'a str);

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Printable(self.0.as_bytes()))?;
        for _ in self.0.len()..f.width().unwrap_or(0) {
            f.write_char(' ')?;
        }
        Ok(())
    }
}

struct Details<'b, 'a>(&'b Socket<'a>);

impl Display for Details<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.0;
        f.write_str(match socket.kind {
            Kind::Stream => "stream",
            Kind::Datagram => "dgram",
            Kind::SeqPacket => "seqpacket",
        })?;
        if socket.kind != Kind::Datagram {
            write!(f, ", backlog {}", socket.backlog)?;
        }
        if socket.address.is_unix() {
            write!(f, ", mode {:04o}", socket.mode)?;
            if let Some(user) = socket.owner.user {
                write!(f, ", user {user}")?;
            }
            if let Some(group) = socket.owner.group {
                write!(f, ", group {group}")?;
            }
            return Ok(());
        }
        for (on, name) in [(socket.freebind, "freebind"), (socket.reuseport, "reuseport"), (!socket.v6only, "and IPv4")]
        {
            if on {
                write!(f, ", {name}")?;
            }
        }
        Ok(())
    }
}
