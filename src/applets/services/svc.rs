//! `svc`: sends commands to supervisors, s6-svc(8), and waits for what comes of them.

use super::waiting;
use crate::applets::cli::{Cli, Opt, SYSTEM, TIMEOUT, WrongUsage};
use crate::limits::CONTROL_BYTES;
use crate::service::client::{self, SendError};
use crate::service::command::Command;
use crate::service::notify;
use crate::service::wait::{Goal, Quorum, Wait};
use crate::service::watch::Watch;
use crate::sys::args::Args;
use crate::sys::file;
use crate::sys::signal::{self, SignalSet};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use heapless::Vec;

/// No supervisor listens.
const NOT_SUPERVISED: i32 = 102;
/// The `supervise` directory is not as it should be.
const ODD: i32 = 1;

/// What follows the name on a command line.
pub const USAGE: &str = "[-wu | -wU | -wd | -wD | -wr | -wR] [-T timeout] [-s signal] \
                              [-abqhkti12pcyrlPCKoduDUxOQ] servicedir...";

/// What the options say.
pub struct Request {
    commands: Vec<u8, CONTROL_BYTES>,
    goal: Option<Goal>,
    /// Milliseconds; 0 for ever.
    timeout: u32,
}

/// `svc [-w goal] [-T ms] [-s signal] [-letters] servicedir...`
///
/// Exit code: 0; 102 not supervised, 1 odd `supervise` directory, 111: the last failure, the other directories get their
/// commands all the same. With `-w`: the number of services that failed (at most 98), 99 timed out.
pub fn svc(cli: &Cli) -> i32 {
    with_request(cli, 1, |request, dirs| {
        if dirs.iter().any(<[u8]>::is_empty) {
            return cli.refuse("empty service directory name");
        }
        request.run(cli, dirs.words())
    })
}

/// Reads the options and calls `body` with them and the other words, of which there are at least `min`.
pub fn with_request(cli: &Cli, min: usize, body: impl FnOnce(&Request, Args) -> i32) -> i32 {
    cli.with_usage(|| {
        let mut request = Request { commands: Vec::new(), goal: None, timeout: 0 };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            let command = match option {
                Opt::Short(b'w') => {
                    let [letter] = options.value()? else { return Err(WrongUsage) };
                    request.goal = Some(Goal::from_letter(*letter).ok_or(WrongUsage)?);
                    continue;
                }
                Opt::Short(b'T') => {
                    request.timeout = options.number()?;
                    continue;
                }
                Opt::Short(b's') => {
                    let word = options.value()?;
                    match signal::parse(word).and_then(Command::of_signal) {
                        Some(command) => command,
                        None => return Ok(cli.refuse(format_args!("no command for signal {}", Printable(word)))),
                    }
                }
                Opt::Short(letter) => Command::from_byte(letter).ok_or(WrongUsage)?,
                Opt::Long(_) => return Err(WrongUsage),
            };
            if request.commands.push(command.byte()).is_err() {
                return Ok(cli.refuse(format_args!("more than {CONTROL_BYTES} commands")));
            }
        }
        Ok(body(&request, options.operands(min)?))
    })
}

impl Request {
    /// Sends to the services `dirs` and waits for them, as the options say. Returns the exit code.
    pub fn run<'a>(&self, cli: &Cli, dirs: impl Iterator<Item = &'a CStr> + Clone) -> i32 {
        // A supervisor that goes away while it is written to is an error message, not a death.
        SignalSet::of(&[signal::number::PIPE]).block();
        match self.goal {
            None => send_all(cli, dirs, &self.commands, None),
            Some(goal) => send_and_wait(cli, dirs, self, goal),
        }
    }
}

/// Sends the commands to everybody. Whom they do not reach is not waited for.
fn send_all<'a>(
    cli: &Cli,
    dirs: impl Iterator<Item = &'a CStr>,
    commands: &[u8],
    mut watch: Option<&mut Watch>,
) -> i32 {
    let mut code = 0;
    for (slot, path) in dirs.enumerate() {
        let sent = file::with_dir(path, |dir| client::command_supervisor(dir, commands));
        let why = match sent.unwrap_or_else(|e| Err(SendError::System(e))) {
            Ok(()) => continue,
            Err(why) => why,
        };
        let name = Printable(path.to_bytes());
        code = match why {
            SendError::NotListening => {
                cli.refuse(format_args!("unable to control {name}: supervisor not listening"));
                NOT_SUPERVISED
            }
            SendError::Odd(e) => {
                cli.refuse(format_args!("something is wrong with the {name}/supervise directory: {}", Reason(e)));
                ODD
            }
            SendError::System(e) => cli.unable(format_args!("control {name}"), e),
        };
        if let Some(watch) = watch.as_deref_mut() {
            watch.abandon(slot);
        }
    }
    code
}

/// Subscribes to all, looks at all, sends to all, waits for all: no event between a command and the wait is missed.
fn send_and_wait<'a>(cli: &Cli, dirs: impl Iterator<Item = &'a CStr> + Clone, request: &Request, goal: Goal) -> i32 {
    let goal = if goal == goal.without_readiness() || says_when_ready(dirs.clone()) {
        goal
    } else {
        cli.warn(format_args!("neither notification-fd nor notify-socket: not waiting for readiness"));
        goal.without_readiness()
    };
    let deadline = waiting::deadline(request.timeout);
    // Without a command it is s6-svwait, with commands s6-svlisten: for that one a restart begins after finish.
    let wait = Wait::new(goal, Quorum::All, !request.commands.is_empty());
    let mut watch = match waiting::listen(cli, wait, dirs.clone()) {
        Ok(watch) => watch,
        Err(code) => return code,
    };
    let sent = if request.commands.is_empty() { 0 } else { send_all(cli, dirs, &request.commands, Some(&mut watch)) };
    let code = waiting::outcome(cli, &mut watch, deadline);
    // Who could not be told is the news, unless the wait came to no end.
    if matches!(code, SYSTEM | TIMEOUT) || sent == 0 { code } else { sent }
}

/// Whether the first service has a `notification-fd`, or a `notify-socket`.
fn says_when_ready<'a>(mut dirs: impl Iterator<Item = &'a CStr>) -> bool {
    let there = |path| {
        file::with_dir(path, |dir| file::exists(dir, c"notification-fd") == Ok(true) || notify::says_when_ready(dir))
    };
    matches!(dirs.next().map(there), Some(Ok(true)))
}
