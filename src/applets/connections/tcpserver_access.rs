//! `s6-tcpserver-access [-v verbosity] [-W | -w] [-D | -d] [-H] [-h] [-R | -r] [-P | -p] [-l localname] [-B banner]
//! [-t timeout] [-i rulesdir | -x rulesfile] prog...`: runs prog if the rules allow its client, which is known by its
//! address, `${PROTO}REMOTEIP`, and by the name that /etc/hosts gives this.
//!
//! Rules for the address come first; if there is none, those for the name decide. `-H` makes it do without names. They come
//! from /etc/hosts only, the DNS is not asked: so `-h` changes nothing, and `-p`, which wants a name to lead back to the
//! address and so needs names in spite of `-H`, finds that every one of them does.
//!
//! With `-r` the client's machine is asked whose connection it is (RFC 1413), for `${PROTO}REMOTEINFO`.
//!
//! Exit codes: 1 if the client is denied, or no rule is for it, or with `-w` if it has no name; 111 if rules cannot be
//! read, whatever the reason: then it is not allowed either; 99 if a banner, or with `-w` the answer to
//! `-r`, takes more than the timeout; 2, with `-w`, if the answer is a refusal.

use super::admit;
use super::ident;
use super::proto::Proto;
use super::resolve;
use crate::access::origin::{self, HostName, Origin};
use crate::access::ruleset::{Exec, Source, Told};
use crate::access::{Answer, Trouble};
use crate::applets::cli::{Cli, Opt, SYSTEM, TIMEOUT, WrongUsage};
use crate::limits::BANNER;
use crate::sys::cell::TakeCell;
use crate::sys::environment::Environment;
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, Result, file, poll, process, socket};
use crate::text::errno::Reason;
use crate::text::ip;
use crate::text::number::parse_u32;
use core::ffi::CStr;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -W | -w ] [ -D | -d ] [ -H ] [ -h ] [ -R | -r ] [ -P | -p ] [ -l localname ] [ -B banner ] [ -t timeout ] [ -i rulesdir | -x rulesfile ] prog...";

struct Settings {
    verbosity: u32,
    /// What goes wrong with names ends it.
    strict: bool,
    nodelay: bool,
    names: bool,
    paranoid: bool,
    ident: bool,
    localname: Option<&'static CStr>,
    banner: heapless::Vec<u8, BANNER>,
    /// Milliseconds; 0: none.
    timeout: u32,
    source: Source,
}

/// The connection, as the super-server tells of it.
struct Connection {
    proto: Proto,
    local: SocketAddr,
    remote: SocketAddr,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut settings = Settings {
            verbosity: 1,
            strict: false,
            nodelay: false,
            names: true,
            paranoid: false,
            ident: false,
            localname: None,
            banner: heapless::Vec::new(),
            timeout: 0,
            source: Source::None,
        };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'v') => settings.verbosity = options.number()?,
                Opt::Short(b'W') => settings.strict = false,
                Opt::Short(b'w') => settings.strict = true,
                Opt::Short(b'D') => settings.nodelay = true,
                Opt::Short(b'd') => settings.nodelay = false,
                Opt::Short(b'H') => settings.names = false,
                Opt::Short(b'P') => settings.paranoid = false,
                Opt::Short(b'p') => settings.paranoid = true,
                Opt::Short(b'R') => settings.ident = false,
                Opt::Short(b'r') => settings.ident = true,
                Opt::Short(b'h') => {}
                Opt::Short(b'l') => settings.localname = Some(options.text()?),
                Opt::Short(b'B') => {
                    if settings.banner.extend_from_slice(options.value()?).is_err() {
                        return Ok(cli.refuse(format_args!("banner too long: more than {BANNER} bytes")));
                    }
                }
                Opt::Short(b't') => settings.timeout = options.number()?,
                Opt::Short(b'i') => settings.source = Source::Directory(options.text()?),
                Opt::Short(b'x') => settings.source = Source::Database(options.text()?),
                _ => return Err(WrongUsage),
            }
        }
        settings.names |= settings.paranoid;
        let words = options.operands(1)?;
        if words.get(0).is_none_or(CStr::is_empty) {
            return Err(WrongUsage);
        }
        let connection = match connection(cli) {
            Ok(connection) => connection,
            Err(code) => return Ok(code),
        };
        let named = with_pid(cli);
        let cli = named.as_ref().unwrap_or(cli);
        let env = match Environment::of(cli.env()) {
            Ok(env) => env,
            Err(e) => return Ok(cli.unable("change the environment", e)),
        };
        let mut exec = Exec::new();
        let mut names = Names::default();
        Ok(match admit(cli, &settings, &connection, env, &mut exec, &mut names) {
            Ok(key) => admit::run(cli, words, env, &exec, c"-c", key),
            Err(code) => code,
        })
    })
}

/// Names of the ends that are host names; `None`: there is none.
#[derive(Default)]
struct Names {
    local: Option<HostName>,
    remote: Option<HostName>,
}

/// Reads what the super-server tells. What is missing or wrong is said; the error is the exit code.
fn connection(cli: &Cli) -> core::result::Result<Connection, i32> {
    let proto = Proto::of(cli)?;
    let port = |word: &[u8]| u16::try_from(parse_u32(word)?).ok();
    let (local, local_port) = (proto.parsed(cli, "LOCALIP", address)?, proto.parsed(cli, "LOCALPORT", port)?);
    let (remote, remote_port) = (proto.parsed(cli, "REMOTEIP", address)?, proto.parsed(cli, "REMOTEPORT", port)?);
    let (local, remote) = (SocketAddr::new(local, local_port), SocketAddr::new(remote, remote_port));
    Ok(Connection { proto, local, remote })
}

/// An address; one of IPv6 that stands for an IPv4 address is that, so that its rules cannot be evaded.
fn address(word: &[u8]) -> Option<IpAddr> {
    let address = ip::parse(word)?;
    Some(address.to_canonical())
}

/// The same command, whose messages begin with `PROG: pid N`.
fn with_pid(cli: &Cli) -> Option<Cli> {
    static SPEAKER: TakeCell<heapless::String<64>> = TakeCell::new(heapless::String::new());
    let name = SPEAKER.take()?;
    write!(name, "{}: pid {}", cli.speaker(), process::pid()).ok()?;
    Some(Cli::new(cli.applet(), name.as_bytes(), cli.args()))
}

/// Does what the options want, and asks the rules; says what they answer, and makes the environment. The error is the
/// exit code.
fn admit<'a>(
    cli: &Cli,
    settings: &Settings,
    connection: &Connection,
    env: &mut Environment,
    exec: &mut Exec,
    names: &'a mut Names,
) -> core::result::Result<Option<Origin<'a>>, i32> {
    let (proto, remote) = (connection.proto, connection.remote.ip());
    let Settings { verbosity, source, .. } = *settings;
    let deadline = (settings.timeout > 0).then(|| time::boot() + u64::from(settings.timeout) * MILLI);
    if settings.nodelay {
        if let Err(e) = socket::set_nodelay(Fd::STDOUT) {
            if verbosity > 0 {
                cli.warn(format_args!("unable to set TCP_NODELAY: {}", Reason(e)));
            }
        }
    }
    greet(&settings.banner, deadline).map_err(|e| {
        let code = cli.unable("write banner", e);
        if e == Errno::TIMEDOUT { TIMEOUT } else { code }
    })?;
    let deny = |code| {
        if verbosity >= 2 {
            cli.info(format_args!("deny pid {} ip {remote}", process::pid()));
        }
        code
    };
    let broken = |what, trouble: Trouble<Origin<'_>>| {
        let (kind, place) = source.words();
        cli.fail(format_args!("unable to check {kind} ruleset for {what} in {place}: {}", Told(trouble)))
    };
    let rules = admit::open(cli, source, verbosity)?;
    let mut answer = rules.ask(origin::of_address(remote), env, exec).map_err(|trouble| broken("IP", trouble))?;
    match answer.0 {
        Answer::Deny => return Err(deny(1)),
        Answer::Nothing if !settings.names => return Err(deny(1)),
        _ => {}
    }
    let mut room = [0; ident::USER];
    let user = if settings.ident { who(cli, settings, connection, deadline, &mut room).map_err(deny)? } else { None };
    if settings.names {
        look_up(cli, settings, connection, names).map_err(deny)?;
    }
    if answer.0 == Answer::Nothing {
        if let Some(name) = &names.remote {
            answer = rules.ask(name.keys(), env, exec).map_err(|trouble| broken("reverse DNS", trouble))?;
        }
    }
    rules.close();
    if answer.0 != Answer::Allow {
        return Err(deny(1));
    }
    let local = names.local.as_ref().map(|name| name.as_bytes());
    let variables = [
        ("REMOTEINFO", user),
        ("LOCALHOST", settings.localname.map(CStr::to_bytes).or(local)),
        ("REMOTEHOST", names.remote.as_ref().map(|name| name.as_bytes())),
    ];
    for (what, value) in variables {
        proto.set(env, what, value).map_err(|e| cli.unable("change the environment", e))?;
    }
    if verbosity >= 1 {
        cli.info(format_args!("allow pid {} ip {remote}", process::pid()));
    }
    Ok(answer.1)
}

/// Asks the client's machine whose connection it is. If that must be known and is not, the error is the exit code.
fn who<'a>(
    cli: &Cli,
    settings: &Settings,
    connection: &Connection,
    deadline: Option<Nanos>,
    room: &'a mut [u8],
) -> core::result::Result<Option<&'a [u8]>, i32> {
    let asked = ident::ask(connection.local, connection.remote, deadline, room);
    let room: &[u8] = room;
    let told = asked.map(|length| room.get(..length).unwrap_or_default());
    let e = match told {
        // What has a NUL in it fits no variable.
        Ok(user) if user.contains(&0) => Errno::PROTO,
        Ok(user) => return Ok(Some(user)),
        Err(e) => e,
    };
    let refusal = ident::refusal(e);
    if settings.verbosity >= 3 {
        match refusal {
            Some(reason) => cli.warn(format_args!("ident server replied: {reason}")),
            None => cli.warn(format_args!("unable to ask the ident server: {}", Reason(e))),
        }
    }
    match refusal {
        _ if !settings.strict => Ok(None),
        Some(_) => Err(2),
        None if e == Errno::TIMEDOUT => Err(TIMEOUT),
        None => Err(SYSTEM),
    }
}

/// Looks for the names of both ends. If they must be known and are not, the error is the exit code.
fn look_up(
    cli: &Cli,
    settings: &Settings,
    connection: &Connection,
    names: &mut Names,
) -> core::result::Result<(), i32> {
    match resolve::names([connection.local.ip(), connection.remote.ip()]) {
        Ok(found) => {
            let [local, remote] = found.map(|name| HostName::new(&name?));
            *names = Names { local, remote };
        }
        Err(e) => {
            if settings.verbosity >= 2 {
                cli.warn(format_args!("unable to read {}: {}", resolve::HOSTS, Reason(e)));
            }
            if settings.strict {
                return Err(SYSTEM);
            }
        }
    }
    if names.remote.is_none() && settings.strict { Err(1) } else { Ok(()) }
}

/// Sends the banner. ETIMEDOUT: `deadline` has passed before the client has taken it.
fn greet(mut banner: &[u8], deadline: Option<Nanos>) -> Result<()> {
    while !banner.is_empty() {
        poll::writable(Fd::STDOUT, deadline)?;
        match socket::send(Fd::STDOUT, banner, &[]) {
            Ok(sent) => banner = banner.get(sent..).unwrap_or_default(),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A pipe that can be written takes this much.
            Err(Errno::NOTSOCK) => return file::write_all(Fd::STDOUT, banner),
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
