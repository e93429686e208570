//! What the socket binders share: the socket becomes descriptor 0 of the next program, and what did not work is said in
//! s6's words.

use crate::applets::cli::{Cli, Opt, Options as Given, WrongUsage};
use crate::socket::address::{Address, Host, is_interface, parse_port};
use crate::socket::bind::{Access, Failure, Options, Step, bind, bind_telling};
use crate::socket::options::{BROADCAST, FREEBIND, Known, REUSEPORT};
use crate::sys::listener::Kind;
use crate::sys::{Errno, Fd};
use crate::text::errno::Reason;
use crate::text::number::parse_octal;
use crate::text::quote::Printable;
use core::fmt::Arguments;
use core::net::SocketAddr;

/// A binder of unix sockets: `[ -d | -D ] [ -b backlog ] [ -a perms ] [ -B ] path prog...`, and `-M` and `-m` if it can
/// make more than one kind.
pub fn unix(cli: &Cli, mut how: Options<'static>, picks_kind: bool) -> i32 {
    cli.with_usage(|| {
        let mut given = cli.options();
        while let Some(option) = given.option()? {
            match option {
                Opt::Short(b'd') => how.reuse = true,
                Opt::Short(b'D') => how.reuse = false,
                Opt::Short(b'b') => how.backlog = given.number()?,
                Opt::Short(b'M') if picks_kind => how.kind = Kind::Stream,
                Opt::Short(b'm') if picks_kind => how.kind = Kind::Datagram,
                Opt::Short(b'a') => how.access = Access::Umask(parse_octal(given.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'B') => how.nonblocking = false,
                _ => return Err(WrongUsage),
            }
        }
        let words = given.operands(2)?;
        let path = words.get(0).unwrap_or_default().to_bytes();
        Ok(match bind_to_stdin(&Address::Path(path), &how) {
            Ok(()) => cli.exec(words.skip(1)),
            Err(failure) => failed(cli, failure, format_args!("{}", Printable(path))),
        })
    })
}

/// Takes an option that all binders of IP sockets have; false: it is none of these.
pub fn ip_option<I: ExactSizeIterator<Item = &'static [u8]>>(
    how: &mut Options<'static>,
    option: Opt,
    given: &mut Given<I>,
) -> Result<bool, WrongUsage> {
    match option {
        Opt::Short(b'd') | Opt::Long(b"reuse-address") => how.reuse = true,
        Opt::Short(b'D') | Opt::Long(b"no-reuse-address") => how.reuse = false,
        Opt::Short(b'B') | Opt::Long(b"block") => how.nonblocking = false,
        Opt::Long(b"freebind") => how.values = how.values.with(FREEBIND, 1),
        Opt::Long(b"reuseport") => how.values = how.values.with(REUSEPORT, 1),
        Opt::Long(b"device") => {
            how.device = Some(given.value()?).filter(|name| is_interface(name)).ok_or(WrongUsage)?
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// The rest of such a binder, whose words are left: `ip port prog...`.
pub fn ip<I: ExactSizeIterator<Item = &'static [u8]>>(
    cli: &Cli,
    how: &Options<'_>,
    given: Given<I>,
) -> Result<i32, WrongUsage> {
    let words = given.operands(3)?;
    let [ip, port] = [0, 1].map(|i| words.get(i).unwrap_or_default().to_bytes());
    let host = parse_port(port).and_then(|port| Host::parse(ip, port)).ok_or(WrongUsage)?;
    if !how.device.is_empty() && !host.interface.is_empty() && how.device != host.interface {
        return Ok(cli.refuse("--device names another interface than the address does"));
    }
    if how.values.get(BROADCAST).is_some() && host.ip.is_ipv6() {
        return Ok(cli.refuse("--broadcast is for IPv4: IPv6 has multicast groups instead"));
    }
    let address = if how.kind == Kind::Datagram { Address::Udp(host) } else { Address::Tcp(host) };
    let mut report = |option: &'static Known, why| {
        cli.warn(format_args!("unable to set {}: {}", option.key, Reason(why)));
    };
    Fd(0).close();
    let made = bind_telling(&address, how, &mut report).and_then(leave_as_stdin);
    Ok(match made {
        Ok(()) => cli.exec(words.skip(2)),
        Err(Failure { step: Step::Interface, errno }) => {
            let name = if host.interface.is_empty() { how.device } else { host.interface };
            cli.unable(format_args!("use the network interface {}", Printable(name)), errno)
        }
        Err(Failure { step: Step::Bind, errno: Errno::INVAL }) if lacks_interface(&host) => cli.fail(format_args!(
            "unable to bind to {} port {}: a link-local address needs its interface, as in {0}%eth0",
            Printable(ip),
            Printable(port)
        )),
        Err(failure) => failed(cli, failure, format_args!("{} port {} ", Printable(ip), Printable(port))),
    })
}

/// A link-local IPv6 address that could be any interface's.
fn lacks_interface(host: &Host<'_>) -> bool {
    match host.ip {
        SocketAddr::V6(v6) => {
            v6.ip().segments()[0] & 0xffc0 == 0xfe80 && v6.scope_id() == 0 && host.interface.is_empty()
        }
        SocketAddr::V4(_) => false,
    }
}

/// Makes the socket and leaves it as descriptor 0, to be inherited.
pub fn bind_to_stdin(address: &Address<'_>, how: &Options<'_>) -> Result<(), Failure> {
    // First, as in s6: the number is free then, whatever else is open.
    Fd(0).close();
    bind(address, how).and_then(leave_as_stdin)
}

fn leave_as_stdin(fd: Fd) -> Result<(), Failure> {
    fd.place(0).map_err(|errno| Failure { step: Step::Create, errno })
}

/// Says, in s6's words, what did not work; returns 111.
pub fn failed(cli: &Cli, Failure { step, errno }: Failure, address: Arguments<'_>) -> i32 {
    match step {
        Step::Create => cli.unable("create socket", errno),
        Step::Listen => cli.unable(format_args!("listen to {address}"), errno),
        _ => cli.unable(format_args!("bind to {address}"), errno),
    }
}
