//! `s6-ipcserver-access [-v verbosity] [-e | -E] [-l localname] [-i rulesdir | -x rulesfile] prog...`: runs prog if the
//! rules allow its client, which is known by `${PROTO}REMOTEEUID` and `${PROTO}REMOTEEGID`.
//!
//! Exit codes: 1 if the client is denied, or no rule is for it; 111 if rules cannot be read, whatever the reason: then it
//! is not allowed either. What the rule says of the environment holds for prog, but the variables that describe the
//! connection are ours: `${PROTO}LOCALPATH` is set, and with `-E` all of them are taken out.

use super::admit;
use super::proto::Proto;
use crate::access::ruleset::{Exec, Source, Told};
use crate::access::{Answer, Ids};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::environment::Environment;
use crate::sys::name::{self, End};
use crate::sys::{Errno, Fd, process};
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use core::ffi::CStr;
use core::fmt::{self, Display};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -v verbosity ] [ -e | -E ] [ -l localname ] [ -i rulesdir | -x rulesfile ] prog...";

/// The variables that a super-server and this program set, after `PROTO` itself.
const VARIABLES: [&str; 5] = ["REMOTEEUID", "REMOTEEGID", "REMOTEPATH", "LOCALPATH", "CONNNUM"];

/// sun_path of unix(7).
const PATH: usize = 108;

struct Settings {
    verbosity: u32,
    /// The variables of the connection are taken out.
    bare: bool,
    localname: Option<&'static CStr>,
    source: Source,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut settings = Settings { verbosity: 1, bare: false, localname: None, source: Source::None };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'v') => settings.verbosity = options.number()?,
                Opt::Short(b'E') => settings.bare = true,
                Opt::Short(b'e') => settings.bare = false,
                Opt::Short(b'l') => settings.localname = Some(options.text()?),
                Opt::Short(b'i') => settings.source = Source::Directory(options.text()?),
                Opt::Short(b'x') => settings.source = Source::Database(options.text()?),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        if words.get(0).is_none_or(CStr::is_empty) {
            return Err(WrongUsage);
        }
        let client = Proto::of(cli).and_then(|proto| {
            let uid = proto.parsed(cli, "REMOTEEUID", parse_u32)?;
            Ok((proto, Ids { uid, gid: proto.parsed(cli, "REMOTEEGID", parse_u32)? }))
        });
        let (proto, ids) = match client {
            Ok(client) => client,
            Err(code) => return Ok(code),
        };
        let env = match Environment::of(cli.env()) {
            Ok(env) => env,
            Err(e) => return Ok(cli.unable("change the environment", e)),
        };
        let mut exec = Exec::new();
        Ok(match admit(cli, &settings, proto, ids, env, &mut exec) {
            Ok(key) => admit::run(cli, words, env, &exec, c"-Pc", key),
            Err(code) => code,
        })
    })
}

/// Asks the rules; says what they answer, and makes the environment. The error is the exit code.
fn admit(
    cli: &Cli,
    settings: &Settings,
    proto: Proto,
    ids: Ids,
    env: &mut Environment,
    exec: &mut Exec,
) -> Result<Option<crate::access::Key>, i32> {
    let Settings { verbosity, source, .. } = *settings;
    if source == Source::None && verbosity >= 2 {
        cli.warn("invoked without a ruleset!");
    }
    let rules = admit::open(cli, source, verbosity)?;
    let (answer, key) = rules.ask(ids.keys(Ids::own()), env, exec).map_err(|trouble| {
        let (kind, place) = source.words();
        cli.fail(format_args!("unable to check {kind} ruleset in {place}: {}", Told(trouble)))
    })?;
    rules.close();
    let reason = match answer {
        Answer::Allow => None,
        Answer::Deny => Some(Errno::ACCESS),
        Answer::Nothing => Some(Errno::NOENT),
    };
    let client = Client(ids);
    if let Some(reason) = reason {
        if verbosity >= 2 {
            cli.info(format_args!("deny {client}: {}", Reason(reason)));
        }
        return Err(1);
    }
    if verbosity >= 1 {
        cli.info(format_args!("allow {client}"));
    }
    describe(settings, proto, env).map_err(|(what, e)| cli.unable(what, e))?;
    Ok(key)
}

/// Makes the variables of the connection what they have to be, whatever the rule has said of them.
fn describe(settings: &Settings, proto: Proto, env: &mut Environment) -> Result<(), (&'static str, Errno)> {
    if settings.bare {
        for what in VARIABLES {
            env.unset(proto.name(what).as_bytes());
        }
        env.unset(b"PROTO");
        return Ok(());
    }
    let mut room = [0; PATH];
    let path = match settings.localname {
        Some(name) => name.to_bytes(),
        None => {
            let length = name::path(Fd::STDIN, End::Local, &mut room)
                .map_err(|e| ("find the path of the socket on standard input", e))?;
            room.get(..length).unwrap_or_default()
        }
    };
    proto.set(env, "LOCALPATH", Some(path)).map_err(|e| ("change the environment", e))
}

/// Displays the client as the lines `allow` and `deny` have it.
struct Client(Ids);

impl Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} uid {} gid {}", process::pid(), self.0.uid, self.0.gid)
    }
}
