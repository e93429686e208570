//! What a board says, as a short table for people: `linchpin check`.

use super::model::{Allow, Board, DIRECTORY_MODE, Fault, Glob, Signals, Socket, Then, Whom};
use super::root::{Root, module};
use crate::fdholder::rights::{GETDUMP, SETDUMP, Use};
use crate::socket::Address;
use crate::socket::options::{KNOWN, Takes, V6ONLY};
use crate::sys::listener::Kind;
use crate::sys::time::{MILLI, Nanos};
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
        for words in board.modules() {
            let (name, parameters) = module(words).unwrap_or_default();
            row(f, "module", name, format_args!("{}", Word(parameters)))?;
        }
        root(f, &board.root())?;
        for mount in board.mounts() {
            let (kind, source, options) = (Word(mount.kind), Word(mount.source), Word(mount.options));
            let wait = Wait(mount.wait);
            row(f, "mount", mount.target, format_args!("{kind} from {source} {options}{wait}"))?;
        }
        for socket in board.sockets() {
            row(f, "socket", socket.name, format_args!("{}", Details(socket)))?;
        }
        let fdholder = board.fdholder();
        row(f, "fdholder", core::str::from_utf8(fdholder.as_bytes()).unwrap_or("?"), format_args!(""))?;
        if let Some(rules) = board.rules() {
            row(f, "rules", rules, format_args!(""))?;
        }
        for allow in board.allows() {
            write!(f, "{:<9} ", "allow")?;
            entry(f, allow, board.globs(allow))?;
        }
        let signals = if board.signals() == Signals::S6 { "s6" } else { "busybox" };
        row(f, "signals", signals, format_args!(""))?;
        writeln!(f, "{:<9} {}", "fault", After(board.fault()))?;
        if let Some(script) = board.script() {
            row(f, "stop", script, format_args!("first, {} ms at most", board.script_timeout() / MILLI))?;
        }
        let (stop, kill) = (board.timeout() / MILLI, board.kill_timeout() / MILLI);
        writeln!(f, "{:<9} {stop} ms for services, {kill} ms for what is left", "shutdown")
    }
}

/// Where process 1 goes from an initramfs, if the file says so.
fn root(f: &mut fmt::Formatter<'_>, root: &Root<'_>) -> fmt::Result {
    if !root.wanted {
        return Ok(());
    }
    let (kind, options) = (root.kind.unwrap_or("(rootfstype=)"), root.options.unwrap_or("(ro or rw, rootflags=)"));
    let (kind, options, wait) = (Word(kind), Word(options), Wait(root.timeout));
    row(f, "root", root.device.unwrap_or("(root=)"), format_args!("{kind} {options}{wait}"))?;
    match root.overlay {
        None => Ok(()),
        Some(overlay) => {
            let kind = Word(root.overlay_kind.unwrap_or_default());
            let more = if root.overlay_kind.is_some() { " " } else { "" };
            row(f, "overlay", overlay, format_args!("{kind}{more}{}", Word(root.overlay_options.unwrap_or_default())))
        }
    }
}

/// How long is waited for a device.
struct Wait(Nanos);

impl Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " (waits {} ms at most)", self.0 / MILLI) }
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

/// Who may do what with the fd-holder.
fn entry(f: &mut fmt::Formatter<'_>, allow: &Allow<'_>, globs: &[Glob<'_>]) -> fmt::Result {
    match allow.whom {
        Whom::User(id) => write!(f, "user {id}")?,
        Whom::Group(id) => write!(f, "group {id}")?,
        Whom::Everybody => f.write_str("everybody")?,
    }
    for (what, verb) in
        [(Use::Store, "store"), (Use::Retrieve, "retrieve"), (Use::Delete, "delete"), (Use::List, "list")]
    {
        for (i, glob) in globs.iter().filter(|glob| glob.what == what).enumerate() {
            if i == 0 {
                write!(f, ", {verb}")?;
            }
            write!(f, " {}", Word(glob.pattern))?;
        }
    }
    for (right, name) in [(GETDUMP, "getdump"), (SETDUMP, "setdump")] {
        if allow.rights & right != 0 {
            write!(f, ", {name}")?;
        }
    }
    if allow.held_max > 0 {
        write!(f, ", {} at most", allow.held_max)?;
    }
    if allow.lifetime_max > 0 {
        write!(f, ", for {} ms at most", allow.lifetime_max / MILLI)?;
    }
    writeln!(f)
}

/// What becomes of a process 1 that fails.
struct After<'a>(Fault<'a>);

impl Display for After<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { limit, within, then, rescue } = self.0;
        let faults = match limit {
            0 => return f.write_str("process 1 goes on after any number of faults"),
            1 => "fault",
            _ => "faults",
        };
        write!(f, "process 1 goes on; after {limit} {faults} within {} ms, ", within / MILLI)?;
        match then {
            Then::Reboot => f.write_str("reboot"),
            Then::Rescue => write!(f, "rescue with {}", Word(rescue)),
            Then::Reap => f.write_str("only reap"),
        }
    }
}

struct Details<'b, 'a>(&'b Socket<'a>);

impl Display for Details<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.0;
        if socket.at != socket.name {
            write!(f, "{}, ", Word(socket.at))?;
        }
        f.write_str(match (socket.address, socket.kind) {
            (Address::Netlink { .. }, _) => "raw",
            (_, Kind::Stream) => "stream",
            (_, Kind::Datagram) => "dgram",
            (_, Kind::SeqPacket) => "seqpacket",
        })?;
        if socket.kind != Kind::Datagram {
            write!(f, ", backlog {}", socket.backlog)?;
        }
        if matches!(socket.address, Address::Path(_)) {
            write!(f, ", mode {:04o}", socket.mode)?;
            if let Some(user) = socket.owner.user {
                write!(f, ", user {user}")?;
            }
            if let Some(group) = socket.owner.group {
                write!(f, ", group {group}")?;
            }
            if socket.directory_mode != DIRECTORY_MODE {
                write!(f, ", directories {:04o}", socket.directory_mode)?;
            }
        }
        if !socket.nonblocking {
            f.write_str(", blocking")?;
        }
        if !socket.device.is_empty() {
            write!(f, ", device {}", socket.device)?;
        }
        for (known, value) in socket.values.iter().filter(|(known, _)| known.is_for(&socket.address)) {
            match (known.takes, value) {
                // Its opposite is what is worth saying.
                (_, 0) if *known == KNOWN[V6ONLY] => f.write_str(", and IPv4")?,
                (Takes::Flag, on) if on == 0 || *known == KNOWN[V6ONLY] => {}
                (Takes::Flag, _) => write!(f, ", {}", known.key)?,
                (Takes::Number(_), _) => write!(f, ", {} {value}", known.key)?,
                (Takes::Seconds, _) => write!(f, ", {} {value} s", known.key)?,
            }
        }
        Ok(())
    }
}
