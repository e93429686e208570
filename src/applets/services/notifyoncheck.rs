//! `notifyoncheck`: tells the supervisor that a daemon is ready once a check succeeds, for daemons that do not tell
//! themselves; s6-notifyoncheck(8).

use crate::applets::cli::{Cli, Opt, SYSTEM, WrongUsage};
use crate::service::check::{self, Plan};
use crate::service::client;
use crate::service::event::Subscription;
use crate::service::files;
use crate::sys::args::Argv;
use crate::sys::signal::{SignalSet, number};
use crate::sys::{Errno, Fd, Result, file, process};
use crate::text::CPath;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[-d] [-3 fd] [-s initialsleep] [-T globaltimeout] [-t localtimeout] [-w waitingtime] [-n tries] \
                         [-c checkprog] prog...";

/// Longest argument of `-c`, NUL included.
const COMMAND: usize = 4096;

/// `notifyoncheck [options] prog...`, in a service directory: becomes prog; a child of it runs `./data/check` until that
/// exits 0, then writes the newline that means "ready" to the notification descriptor.
///
/// `-c` gives a command line instead: for `execlineb -Pc` if there is one in PATH, else for `/bin/sh -c` (s6 knows
/// execlineb only).
///
/// Exit code: that of prog; 100 nobody supervises here; 111.
pub fn notifyoncheck(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut plan = Plan { first: 10, between: 1000, tries: 7, each: 0, all: 0 };
        let (mut fd, mut command, mut detach) = (None, None, false);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') => detach = true,
                Opt::Short(b'3') => fd = Some(options.number()?),
                Opt::Short(b's') => plan.first = options.number()?,
                Opt::Short(b'T') => plan.all = options.number()?,
                Opt::Short(b't') => plan.each = options.number()?,
                Opt::Short(b'w') => plan.between = options.number()?,
                Opt::Short(b'n') => plan.tries = options.number()?,
                Opt::Short(b'c') => command = Some(CPath::<COMMAND>::of(&[options.value()?])),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        let command = match &command {
            Some(command) => match command.get() {
                Some(command) => Some(command),
                None => return Ok(cli.refuse(format_args!("a command of more than {} bytes", COMMAND - 1))),
            },
            None => None,
        };
        Ok(match start(cli, &plan, fd, command, detach) {
            Ok(()) => cli.exec(words),
            Err(code) => code,
        })
    })
}

/// Starts the child and returns when it listens. The error is an exit code.
fn start(
    cli: &Cli,
    plan: &Plan,
    fd: Option<u32>,
    command: Option<&CStr>,
    detach: bool,
) -> core::result::Result<(), i32> {
    if !client::is_supervised(Fd::CWD).map_err(|e| cli.unable("check supervise/lock", e))? {
        return Err(cli.refuse("nobody supervises this directory"));
    }
    let number = match fd {
        Some(fd) => fd,
        None => match files::notification_fd(Fd::CWD) {
            files::Reading { value: Some(fd), .. } => fd,
            files::Reading { problem: Some(files::Problem::Unreadable(e)), .. } => {
                return Err(cli.unable("read notification-fd", e));
            }
            _ => {
                cli.refuse("notification-fd is missing or no number");
                return Err(SYSTEM);
            }
        },
    };
    let mut ready = Fd(i32::try_from(number).unwrap_or(i32::MAX));
    if !ready.is_open() {
        return Err(cli.unable("use the notification descriptor", Errno::BADF));
    }
    let (mut listens, mut tell) = Fd::pipe().map_err(|e| cli.unable("make a pipe", e))?;
    let mut work = || {
        listens.close();
        watch(cli, plan, ready, command, tell)
    };
    let pid = match detach {
        false => process::fork_with(&mut work),
        true => process::fork_with(&mut || i32::from(process::fork_with(&mut work).is_err())),
    };
    let pid = pid.map_err(|e| cli.unable("fork", e))?;
    tell.close();
    if detach {
        let death = process::wait_for(pid).map_err(|e| cli.unable("wait for the child", e))?;
        if death.wstat != 0 {
            return Err(cli.unable("fork", Errno::AGAIN));
        }
    }
    // A byte: it listens. The end: it could not, and has said why.
    let heard = file::read_full(listens, &mut [0]);
    listens.close();
    ready.close();
    if heard == Ok(1) { Ok(()) } else { Err(SYSTEM) }
}

/// The child. Returns its exit code.
fn watch(cli: &Cli, plan: &Plan, ready: Fd, command: Option<&CStr>, mut tell: Fd) -> i32 {
    // A service that is gone does not read what we tell it.
    let before = SignalSet::of(&[number::CHLD, number::PIPE]).block();
    let mut subscription = match Subscription::open(Fd::CWD, c"event") {
        Ok(subscription) => subscription,
        Err(e) => return cli.unable("subscribe to the events", e),
    };
    // Neither the checks nor what they leave behind hold on to it.
    let _ = ready.set_cloexec(true);
    let told = file::write_all(tell, b"\n");
    tell.close();
    let done = told.and_then(|()| check::run(plan, &subscription, &mut || spawn_check(cli, before, command)));
    subscription.close();
    match done {
        Ok(verdict) => {
            if verdict == check::Verdict::Ready {
                let _ = file::write_all(ready, b"\n");
            }
            verdict as i32
        }
        Err(e) => cli.unable("watch the service", e),
    }
}

fn spawn_check(cli: &Cli, mask: SignalSet, command: Option<&CStr>) -> Result<i32> {
    process::spawn_with(&mut || {
        mask.block();
        if let Err(e) = process::lead_group() {
            return e;
        }
        match command {
            None => process::exec_argv(c"data/check", &Argv::<2>::new(&[c"data/check"]), cli.env()),
            Some(command) => {
                let why = cli.try_exec(&Argv::<4>::new(&[c"execlineb", c"-Pc", command]), c"execlineb");
                if why != Errno::NOENT {
                    return why;
                }
                process::exec_argv(c"/bin/sh", &Argv::<4>::new(&[c"sh", c"-c", command]), cli.env())
            }
        }
    })
}
