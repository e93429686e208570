//! `s6-socklog [-d notif] [-r] [-U | -u uid -g gid -G gidlist] [-l linelen] [-t lingertimeout] [-x path | -i ip_port | -0]`:
//! prints what syslog clients send to a datagram socket, as `facility.priority: text`.
//!
//! The socket is /dev/log, path, or UDP (`-i address_port`, or `address:port`; port 514 if none is given, and lines begin
//! with `ADDRESS_PORT: `). `-r` leaves `<N>` as it is. Of a message of more than linelen bytes (1024 by default, 76 to 1048576) one
//! byte more than that is printed, and `...`. Exit codes: 0 after a SIGTERM; 99 if it could not print the rest within
//! lingertimeout milliseconds then (0: it has as much time as it needs).
//!
//! **Sockets that somebody holds.** Without `-x` and `-i` it serves what it was given: standard input, if that is a
//! datagram socket, and those that `LISTEN_FDS` counts if `LISTEN_PID` is its own pid. (In a file `sockets` of a service:
//! `0 unix:/dev/log`.) It binds, locks and removes nothing then. Only if there are none it binds /dev/log, or, with `-0`,
//! refuses to run.
//!
//! A datagram is taken out of the queue when its line has been written. So one that dies leaves it to the next: with a
//! held socket nothing is lost, and the line that was being written may come twice. While nobody reads its lines it takes
//! nothing, and clients wait. At a SIGTERM it leaves a held socket as it is; of one of its own, which ends
//! with it, it prints what is in the queue. Empty datagrams, at which s6's ends, say nothing and are passed over.

use super::datagrams::{Server, Socket, Sockets};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::applets::identity::{Identity, from_environment, parse_groups, take_on};
use crate::limits::{SYSLOG_MESSAGE, SYSLOG_SOCKETS};
use crate::socket::address::{Address, Host, parse_port};
use crate::socket::bind::{self, Failure};
use crate::sys::listener::{self, Family, Kind};
use crate::sys::signal::{SignalSet, number as sig, open_signalfd};
use crate::sys::{Errno, Fd, Result, file, identity, pages, process, queue};
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use crate::text::{CPath, syslog};
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -d notif ] [ -r ] [ -U | -u uid -g gid -G gidlist ] [ -l linelen ] [ -t lingertimeout ] [ -x path | -i ip_port | -0 ]";

/// The port of syslog over UDP.
const PORT: u16 = 514;

/// Where messages come from.
#[derive(Clone, Copy)]
enum Source {
    /// Held sockets, or /dev/log.
    Any,
    /// Held sockets.
    Held,
    /// A socket at this path.
    Path(&'static CStr),
    /// UDP.
    Ip(Host<'static>),
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut notify, mut raw, mut wanted, mut source) = (None, false, Identity::default(), Source::Any);
        let (mut limit, mut linger) = (1024u32, 0);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') => notify = Some(options.descriptor()?),
                Opt::Short(b'r') => raw = true,
                Opt::Short(b'u') => wanted.uid = options.number()?,
                Opt::Short(b'g') => wanted.gid = options.number()?,
                Opt::Short(b'G') => wanted.groups = Some(parse_groups(options.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'U') => match from_environment(cli) {
                    Ok(identity) => wanted = identity,
                    Err(code) => return Ok(code),
                },
                Opt::Short(b'l') => limit = options.number()?,
                Opt::Short(b't') => linger = options.number()?,
                Opt::Short(b'x') => source = Source::Path(options.text()?),
                Opt::Short(b'i') => source = Source::Ip(place(options.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'0') => source = Source::Held,
                _ => return Err(WrongUsage),
            }
        }
        options.operands(0)?;
        let limit = (limit as usize).clamp(76, SYSLOG_MESSAGE);
        let begun = sockets(cli, source, notify).and_then(|(sockets, held)| {
            take_on(cli, wanted)?;
            let size = syslog::FRONT + limit + 1 + syslog::BACK;
            let room = pages::reserve(size).map_err(|e| cli.unable("reserve memory", e))?;
            let signals = SignalSet::of(&[sig::TERM]);
            SignalSet::blocked().union(signals).union(SignalSet::of(&[sig::PIPE])).block();
            let signals = open_signalfd(signals).map_err(|e| cli.unable("trap signals", e))?;
            Ok(Server { cli, signals, sockets, held, room, limit, raw, linger, ending: None })
        });
        Ok(begun.map_or_else(|code| code, |server| serve(server, notify)))
    })
}

fn serve(server: Server<'_>, notify: Option<Fd>) -> i32 {
    if let Some(mut fd) = notify {
        let _ = file::write_all(fd, b"\n");
        fd.close();
    }
    server.run()
}

/// The sockets to be served, and whether somebody holds them. Errors are exit codes; what is wrong has been said.
fn sockets(cli: &Cli, source: Source, notify: Option<Fd>) -> core::result::Result<(Sockets, bool), i32> {
    let mut found = match source {
        Source::Any | Source::Held => held(cli)?,
        Source::Path(_) | Source::Ip(_) => Sockets::new(),
    };
    if found.is_empty() {
        if matches!(source, Source::Held) {
            return Err(
                cli.refuse("no socket was handed over: neither standard input nor those that LISTEN_FDS counts")
            );
        }
        let mut stdin = Fd::STDIN;
        stdin.close();
    }
    for (fd, name) in [(Fd::STDOUT, "stdout"), (Fd::STDERR, "stderr")] {
        if !fd.is_open() {
            return Err(cli.refuse(format_args!("invalid {name}: {}", Reason(Errno::BADF))));
        }
    }
    match notify {
        Some(fd) if fd.0 < 3 => return Err(cli.refuse("notification fd must be 3 or more")),
        Some(fd) if found.iter().any(|socket| socket.fd == fd) => {
            return Err(cli.refuse(format_args!("notification fd {} is a socket that was handed over", fd.0)));
        }
        Some(fd) if !fd.is_open() => {
            return Err(cli.refuse(format_args!("invalid notification fd: {}", Reason(Errno::BADF))));
        }
        _ => {}
    }
    if !found.is_empty() {
        return Ok((found, true));
    }
    let fd = match source {
        Source::Ip(host) => bind_ip(host).map_err(|Failure { errno, .. }| {
            let (ip, port) = (host.ip.ip(), host.ip.port());
            cli.unable(format_args!("bind socket to ip {ip} port {port}"), errno)
        })?,
        Source::Path(path) => at_path(cli, path)?,
        Source::Any | Source::Held => at_path(cli, c"/dev/log")?,
    };
    let _ = found.push(Socket { fd, names_senders: matches!(source, Source::Ip(_)) }); // there is room for one
    Ok((found, false))
}

/// The sockets that were handed over.
fn held(cli: &Cli) -> core::result::Result<Sockets, i32> {
    let mut found = Sockets::new();
    let socket = |fd, speaks| Socket { fd, names_senders: speaks == queue::Speaks::Ip };
    if let Some(speaks) = queue::datagrams(Fd::STDIN) {
        let _ = found.push(socket(Fd::STDIN, speaks)); // there is room for one
    }
    let variable = |name: &[u8]| cli.env().get(name).and_then(|value| parse_u32(value.to_bytes()));
    let ours = variable(b"LISTEN_PID") == Some(process::pid().unsigned_abs());
    let count = if ours { variable(b"LISTEN_FDS").unwrap_or(0) } else { 0 };
    for number in (0..count).map(|place| place.saturating_add(3)) {
        let mut fd = Fd(number.min(i32::MAX as u32) as i32);
        let Some(speaks) = queue::datagrams(fd) else {
            return Err(cli.refuse(format_args!(
                "descriptor {number}, which LISTEN_FDS counts, is no datagram socket: give it type = \"dgram\""
            )));
        };
        if found.push(socket(fd, speaks)).is_err() {
            fd.close();
            return Err(cli.refuse(format_args!("more than {SYSLOG_SOCKETS} sockets were handed over")));
        }
    }
    Ok(found)
}

fn at_path(cli: &Cli, path: &CStr) -> core::result::Result<Fd, i32> {
    bind_path(path).map_err(|e| cli.unable(format_args!("bind socket to {}", Printable(path.to_bytes())), e))
}

/// A socket that everybody may send to, and that is alone: `PATH.lock`, which conflicts with s6's, is held for as long as we
/// live. EBUSY: somebody else has that. EADDRINUSE: somebody has the path, without the lock.
fn bind_path(path: &CStr) -> Result<Fd> {
    let mut fd = listener::create(Family::Unix, Kind::Datagram, true)?;
    let done = take_over(fd, path);
    if done.is_err() {
        fd.close();
    }
    done.map(|()| fd)
}

fn take_over(fd: Fd, path: &CStr) -> Result<()> {
    if path.is_empty() || path.count_bytes() > listener::UNIX_NAME {
        return Err(if path.is_empty() { Errno::INVAL } else { Errno::NAMETOOLONG });
    }
    let lock = CPath::<{ listener::UNIX_NAME + 6 }>::of(&[path.to_bytes(), b".lock"]);
    let busy = |e| if e == Errno::AGAIN { Errno::BUSY } else { e };
    file::lock(Fd::CWD, lock.path()?, 0o600).map_err(busy)?; // until we end
    if listener::is_bound(path)? {
        return Err(Errno::ADDRINUSE);
    }
    let _ = file::remove(Fd::CWD, path);
    let old = identity::set_umask(0);
    let done = listener::bind_path(fd, path);
    identity::set_umask(old);
    done
}

fn bind_ip(host: Host<'_>) -> core::result::Result<Fd, Failure> {
    bind::bind(&Address::Udp(host), &bind::Options { kind: Kind::Datagram, backlog: 0, ..bind::Options::S6 })
}

/// `address_port`, `address:port` (IPv4 only), or `address`.
fn place(word: &'static [u8]) -> Option<Host<'static>> {
    let cut = |separator: u8| {
        let at = word.iter().rposition(|byte| *byte == separator)?;
        Some((word.get(..at)?, parse_port(word.get(at + 1..)?)?))
    };
    if let Some((address, port)) = cut(b'_') {
        return Host::parse(address, port);
    }
    let v4 = cut(b':').and_then(|(address, port)| Host::parse(address, port)).filter(|host| host.ip.is_ipv4());
    v4.or_else(|| Host::parse(word, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_port_are_read_as_s6_does() {
        let read = |word: &'static str| place(word.as_bytes()).map(|host| host.to_string());
        for (word, meant) in [
            ("127.0.0.1", "127.0.0.1:514"),
            ("127.0.0.1_5514", "127.0.0.1:5514"),
            ("127.0.0.1:5514", "127.0.0.1:5514"),
            ("::1", "[::1]:514"),
            ("::1_777", "[::1]:777"),
            ("::1:777", "[::1:777]:514"),
            ("fe80::1%eth0_7", "[fe80::1%eth0]:7"),
        ] {
            assert_eq!(read(word).as_deref(), Some(meant), "{word}");
        }
        for wrong in ["", "1.2.3", "1.2.3.4:99999", "1.2.3.4_", "1.2.3.4:", "_514", "localhost", "1.2.3.4_5_6"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
