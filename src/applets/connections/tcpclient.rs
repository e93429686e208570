//! `s6-tcpclient [-q | -Q | -v] [-4 | -6] [-d | -D] [-r | -R] [-h] [-H] [-n | -N] [-t seconds] [-l localname] [-T x+y]
//! [-i localip] [-p localport] host port prog...`: connects to a TCP port, and goes on as prog, with the connection as its
//! descriptors 6 and 7.
//!
//! host is a name of /etc/hosts, an address, or several with commas between them; empty or 0: this machine, ::1 and then
//! 127.0.0.1. There is no DNS: so `-h` is always so, and `-n` changes nothing. With `-H` host must be addresses, and no
//! names are looked up.
//!
//! Every address is given `x` seconds to answer (`-T`, 2); if none does, each is given `y` more (58; 0: no second round).
//! A single one gets both at once. `-t` limits the whole, the IDENT query of `-r` included.
//!
//! prog finds `PROTO=TCP`, `TCPREMOTEIP`, `TCPREMOTEPORT`, `TCPLOCALIP`, `TCPLOCALPORT`, and where they are known
//! `TCPREMOTEHOST`, `TCPLOCALHOST` (or what `-l` says), and with `-r` `TCPREMOTEINFO`, empty if there was no answer.
//! Where they are not, they are not set.

use super::ident;
use super::resolve::{self, HOSTS};
use crate::applets::cli::{Cli, Opt, Options, TIMEOUT, WrongUsage};
use crate::limits::ADDRESSES;
use crate::socket::address::{is_interface, parse_ip, parse_port};
use crate::sys::connect::{self, Failure};
use crate::sys::environment::Environment;
use crate::sys::listener::{self, Family, Kind};
use crate::sys::name::{self, End};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, socket};
use crate::text::errno::Reason;
use crate::text::ip;
use crate::text::number::{Decimal, parse_u32};
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::ControlFlow;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -q | -Q | -v ] [ -4 | -6 ] [ -d | -D ] [ -r | -R ] [ -h ] [ -H ] [ -n | -N ] [ -t timeout ] \
                         [ -l localname ] [ -T timeoutconn ] [ -i localip ] [ -p localport ] host port prog...";

/// How long an IDENT server has if `-t` says nothing: the RFC wants at least as much, and one that accepts and is silent
/// must not keep prog from running.
const IDENT_SECONDS: Nanos = 30;

type Addresses = heapless::Vec<SocketAddr, ADDRESSES>;

/// What the options say.
struct Wanted {
    verbosity: u32,
    v4: bool,
    v6: bool,
    nodelay: bool,
    ident: bool,
    names: bool,
    seconds: u32,
    rounds: [u32; 2],
    own: Option<&'static [u8]>,
    own_port: u16,
    local: Option<&'static CStr>,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let wanted = options_of(&mut options)?;
        let words = options.operands(3)?;
        let word = |i| words.get(i).unwrap_or_default().to_bytes();
        let Some(port) = parse_port(word(1)) else {
            return Ok(cli.refuse(format_args!("invalid port number: {}", Printable(word(1)))));
        };
        let done = own(cli, &wanted).and_then(|own| {
            let deadline = (wanted.seconds > 0).then(|| time::boot() + SECOND * Nanos::from(wanted.seconds));
            let addresses = addresses(cli, &wanted, word(0), port)?;
            let (fd, remote) = connect(cli, &wanted, &addresses, own, deadline)?;
            let environment = Environment::of(cli.env()).and_then(|environment| {
                introduce(cli, &wanted, environment, (fd, remote), deadline).map(|()| environment)
            });
            let environment = environment.map_err(|e| Wrong::Code(cli.unable("build environment", e)))?;
            let placed = connect::hand_on(fd);
            placed.map_err(|(number, e)| Wrong::Code(cli.unable(format_args!("set up fd {number}"), e)))?;
            Ok(cli.exec_env(words.skip(2), environment.env()))
        });
        match done {
            Ok(code) | Err(Wrong::Code(code)) => Ok(code),
            Err(Wrong::Usage) => Err(WrongUsage),
        }
    })
}

/// Why it ends.
enum Wrong {
    Usage,
    /// It has been said; this is the exit code.
    Code(i32),
}

fn options_of(
    options: &mut Options<impl ExactSizeIterator<Item = &'static [u8]>>,
) -> core::result::Result<Wanted, WrongUsage> {
    let mut wanted = Wanted {
        verbosity: 1,
        v4: true,
        v6: true,
        nodelay: false,
        ident: false,
        names: true,
        seconds: 0,
        rounds: [2, 58],
        own: None,
        own_port: 0,
        local: None,
    };
    while let Some(option) = options.option()? {
        let Opt::Short(letter) = option else { return Err(WrongUsage) };
        match letter {
            b'q' => wanted.verbosity = wanted.verbosity.saturating_sub(1),
            b'Q' => wanted.verbosity = 1,
            b'v' => wanted.verbosity = wanted.verbosity.saturating_add(1),
            b'4' => (wanted.v4, wanted.v6) = (true, false),
            b'6' => (wanted.v4, wanted.v6) = (false, true),
            b'd' => wanted.nodelay = false,
            b'D' => wanted.nodelay = true,
            b'r' => wanted.ident = true,
            b'R' => wanted.ident = false,
            b'H' => wanted.names = false,
            b'h' | b'n' | b'N' => {}
            b't' => wanted.seconds = options.number()?,
            b'T' => wanted.rounds = rounds(options.value()?).ok_or(WrongUsage)?,
            b'i' => wanted.own = Some(options.value()?),
            b'p' => wanted.own_port = parse_port(options.value()?).ok_or(WrongUsage)?,
            b'l' => wanted.local = Some(options.text()?),
            _ => return Err(WrongUsage),
        }
    }
    Ok(wanted)
}

/// `x` or `x+y`.
fn rounds(word: &[u8]) -> Option<[u32; 2]> {
    match word.iter().position(|byte| *byte == b'+') {
        Some(at) => Some([parse_u32(word.get(..at)?)?, parse_u32(word.get(at + 1..)?)?]),
        None => Some([parse_u32(word)?, 0]),
    }
}

/// A numeric address; `None`: it is none. The error is that of the search for its interface. ENODEV: there is no such one.
fn numeric(word: &[u8], port: u16) -> Option<Result<SocketAddr>> {
    let scoped = word.iter().position(|byte| *byte == b'%').and_then(|at| Some((word.get(..at)?, word.get(at + 1..)?)));
    let Some((ip, interface)) = scoped.filter(|(_, name)| is_interface(name) && parse_u32(name).is_none()) else {
        return parse_ip(word, port).map(Ok);
    };
    let SocketAddr::V6(mut address) = parse_ip(ip, port)? else { return None };
    Some(index_of(interface).map(|index| {
        address.set_scope_id(index);
        SocketAddr::V6(address)
    }))
}

fn index_of(interface: &[u8]) -> Result<u32> {
    let mut any = listener::create(Family::V6, Kind::Datagram, false)?;
    let index = listener::interface_index(any, interface);
    any.close();
    index
}

fn no_interface(cli: &Cli, word: &[u8], e: Errno) -> Wrong {
    Wrong::Code(cli.unable(format_args!("find the network interface of {}", Printable(word)), e))
}

/// The address that `-i` gives to our end.
fn own(cli: &Cli, wanted: &Wanted) -> core::result::Result<Option<SocketAddr>, Wrong> {
    let Some(word) = wanted.own else { return Ok(None) };
    let address = numeric(word, wanted.own_port).ok_or(Wrong::Usage)?;
    address.map(Some).map_err(|e| no_interface(cli, word, e))
}

/// The addresses that `host` means.
fn addresses(cli: &Cli, wanted: &Wanted, host: &[u8], port: u16) -> core::result::Result<Addresses, Wrong> {
    let shown = Printable(host);
    let mut all = Addresses::new();
    let fits = |address: &SocketAddr| if address.is_ipv6() { wanted.v6 } else { wanted.v4 };
    let mut add = |address: SocketAddr| if fits(&address) { all.push(address).is_ok() } else { true };
    if host.is_empty() || host == b"0" {
        add(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port));
        add(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    } else if host.split(|byte| *byte == b',').all(|word| numeric(word, port).is_some()) {
        for word in host.split(|byte| *byte == b',') {
            let address = numeric(word, port).ok_or(Wrong::Usage)?;
            if !add(address.map_err(|e| no_interface(cli, word, e))?) {
                return Err(Wrong::Code(cli.refuse(format_args!("more than {ADDRESSES} addresses: {shown}"))));
            }
        }
    } else if wanted.names {
        let mut known = false;
        let read = resolve::addresses(host, &mut |ip| {
            known = true;
            if add(SocketAddr::new(ip, port)) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Err(e) = read {
            return Err(Wrong::Code(cli.unable(format_args!("look up {shown} in {HOSTS}"), e)));
        }
        if !known {
            return Err(Wrong::Code(cli.fail(format_args!(
                "unable to resolve {shown}: {HOSTS} has no such name, and nothing else is asked"
            ))));
        }
    } else {
        return Err(Wrong::Usage);
    }
    if all.is_empty() {
        let family = match (wanted.v4, wanted.v6) {
            (true, false) => "IPv4 ",
            (false, true) => "IPv6 ",
            _ => "IP ",
        };
        return Err(Wrong::Code(cli.refuse(format_args!("no {family}address for {shown}"))));
    }
    Ok(all)
}

/// Connects to the first address that answers.
fn connect(
    cli: &Cli,
    wanted: &Wanted,
    addresses: &Addresses,
    own: Option<SocketAddr>,
    deadline: Option<Nanos>,
) -> core::result::Result<(Fd, SocketAddr), Wrong> {
    const SUITABLE: &str = "unable to connect to a suitable IP address";
    let [first, second] = wanted.rounds.map(Nanos::from);
    let rounds = if addresses.len() == 1 { [first + second, 0] } else { [first, second] };
    let last = if rounds[1] == 0 { 0 } else { 1 };
    for (round, seconds) in rounds.iter().enumerate().take(last + 1) {
        for address in addresses {
            let any = || match address {
                SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), wanted.own_port),
                SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), wanted.own_port),
            };
            let own = own.or_else(|| (wanted.own_port != 0).then(any));
            let limit = time::boot() + seconds * SECOND;
            let limit = deadline.map_or(limit, |deadline| deadline.min(limit));
            let reason = match connect::ip(address, own.as_ref(), Some(limit)) {
                Ok(fd) => return Ok((fd, *address)),
                Err(Failure::Connect(e) | Failure::Create(e @ Errno::AFNOSUPPORT)) => e,
                Err(Failure::Create(e)) => return Err(Wrong::Code(cli.unable("create socket", e))),
                Err(Failure::Bind(e)) => return Err(Wrong::Code(cli.unable("bind socket", e))),
            };
            let over = deadline.is_some_and(|deadline| time::boot() >= deadline);
            if over || round == last {
                let (ip, port) = (address.ip(), address.port());
                cli.warn(format_args!("unable to connect to {ip} port {port}: {}", Reason(reason)));
            }
            if over {
                cli.fail(format_args!("{SUITABLE} within {} s", wanted.seconds));
                return Err(Wrong::Code(TIMEOUT));
            }
        }
    }
    Err(Wrong::Code(cli.fail(SUITABLE)))
}

/// Makes the connection what prog expects, and tells it about that.
fn introduce(
    cli: &Cli,
    wanted: &Wanted,
    environment: &mut Environment,
    (fd, asked): (Fd, SocketAddr),
    deadline: Option<Nanos>,
) -> Result<()> {
    if wanted.nodelay {
        if let Err(e) = socket::set_nodelay(fd) {
            cli.warn(format_args!("unable to set TCP_NODELAY: {}", Reason(e)));
        }
    }
    let local = name::ip(fd, End::Local)?;
    // The other side may have reset the connection by now; prog will see.
    let remote = name::ip(fd, End::Remote).unwrap_or(asked);
    if wanted.verbosity >= 2 {
        cli.info(format_args!("connected to {} port {}", ip::Shown(remote.ip()), remote.port()));
    }
    environment.set(b"PROTO", b"TCP")?;
    for (ip, port, address) in
        [(&b"TCPREMOTEIP"[..], &b"TCPREMOTEPORT"[..], remote), (b"TCPLOCALIP", b"TCPLOCALPORT", local)]
    {
        let mut text = heapless::String::<48>::new();
        write!(text, "{}", ip::Shown(address.ip())).map_err(|_| Errno::NAMETOOLONG)?;
        environment.set(ip, text.as_bytes())?;
        environment.set(port, Decimal::new(address.port().into()).as_bytes())?;
    }
    let names = if wanted.names { resolve::names([remote.ip(), local.ip()]) } else { Ok([None, None]) };
    let [of_remote, of_local] = names.unwrap_or_else(|e| {
        cli.warn(format_args!("unable to look up names in {HOSTS}: {}", Reason(e)));
        [None, None]
    });
    let of_local = wanted.local.map(CStr::to_bytes).or(of_local.as_deref());
    for (name, value) in [(&b"TCPREMOTEHOST"[..], of_remote.as_deref()), (b"TCPLOCALHOST", of_local)] {
        match value {
            Some(value) => environment.set(name, value)?,
            None => environment.unset(name),
        }
    }
    const INFO: &[u8] = b"TCPREMOTEINFO";
    if !wanted.ident {
        environment.unset(INFO);
        return Ok(());
    }
    let deadline = deadline.or_else(|| Some(time::boot() + IDENT_SECONDS * SECOND));
    let mut user = [0; ident::USER];
    let length = ident::ask(local, remote, deadline, &mut user).unwrap_or_else(|e| {
        match ident::refusal(e) {
            _ if wanted.verbosity == 0 => {}
            Some(text) => cli.warn(format_args!("ident server replied: {text}")),
            None => {
                cli.warn(format_args!("unable to ask the ident server of {}: {}", ip::Shown(remote.ip()), Reason(e)))
            }
        }
        0
    });
    environment.set(INFO, user.get(..length).unwrap_or_default())
}
