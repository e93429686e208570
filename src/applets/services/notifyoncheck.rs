//! `s6-notifyoncheck [options] prog...`: for a `run` script whose daemon does not say itself that it is ready. Goes on
//! as prog; a child of it asks `./data/check` again and again until that exits 0, and then says that the service is
//! ready. In the service directory.
//!
//! Options, with times in milliseconds (0: no limit): `-3` the descriptor to say it on (default: what `notification-fd`
//! says); `-s` the time before the first check (10); `-w` the time between two (1000); `-n` how many at most (7; 0: any
//! number); `-t` what one may take, after which it is killed with all that it started in its session; `-T` what all may
//! take; `-c` a command line to run in place of `./data/check`; `-d` the child is to be no child of prog.
//!
//! The command line of `-c` is read by execlineb where there is one in PATH, as with s6; else by `/bin/sh`.
//!
//! Exit code: 100 nobody supervises the current directory, 111; else prog's. The child's, which nobody looks at: 0 ready,
//! 1 no check is left, 2 the service has died or its supervisor is gone, 3 there is no time left.

use crate::applets::cli::{Cli, Opt, SYSTEM, WrongUsage};
use crate::service::client;
use crate::service::event::Subscription;
use crate::service::files::{self, Problem, Reading};
use crate::service::poll::{Input, Plan, Poll, Step, Verdict};
use crate::sys::args::Argv;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::process::{self, Spawn, fork_with};
use crate::sys::signal::{self, SignalSet};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, Result, file};
use crate::text::CPath;
use crate::text::errno::Reason;
use core::ffi::CStr;
use rustix::fs::{Access, AtFlags};

/// What follows the name on a command line.
pub const USAGE: &str = "[-d] [-3 fd] [-s initialsleep] [-T globaltimeout] [-t localtimeout] [-w waitingtime] \
                         [-n tries] [-c command] prog...";

/// Longest command line of `-c`, NUL included.
const COMMAND: usize = 4096;

/// Kinds of events: those that are looked for after every wait; nobody reads what we would write.
const QUIET: u8 = 0;
const UNHEARD: u8 = 1;

struct Request {
    plan: Plan,
    /// Where to say it; `None`: as the service directory says.
    fd: Option<Fd>,
    command: Option<CPath<COMMAND>>,
    apart: bool,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let plan = Plan { initial: 10 * MILLI, pause: 1000 * MILLI, tries: 7, each: 0, all: 0 };
        let mut request = Request { plan, fd: None, command: None, apart: false };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'd') | Opt::Long(b"doublefork") => request.apart = true,
                Opt::Short(b'3') | Opt::Long(b"notification-fd") => request.fd = Some(descriptor(options.number()?)),
                Opt::Short(b's') | Opt::Long(b"initial-sleep") => request.plan.initial = millis(options.number()?),
                Opt::Short(b'T') | Opt::Long(b"global-timeout") => request.plan.all = millis(options.number()?),
                Opt::Short(b't') | Opt::Long(b"local-timeout") => request.plan.each = millis(options.number()?),
                Opt::Short(b'w') | Opt::Long(b"waiting-time") => request.plan.pause = millis(options.number()?),
                Opt::Short(b'n') | Opt::Long(b"tries") => request.plan.tries = options.number()?,
                Opt::Short(b'c') | Opt::Long(b"check-program") => {
                    request.command = Some(CPath::of(&[options.value()?]))
                }
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        if request.command.as_ref().is_some_and(|command| command.get().is_none()) {
            return Ok(cli.refuse(format_args!("a command of {COMMAND} bytes or more")));
        }
        Ok(match begin(cli, &request) {
            Ok(()) => cli.exec(words),
            Err(code) => code,
        })
    })
}

fn millis(number: u32) -> Nanos {
    Nanos::from(number) * MILLI
}

/// A number as a descriptor; one that is too large is the largest, which is never open.
fn descriptor(number: u32) -> Fd {
    Fd(i32::try_from(number).unwrap_or(i32::MAX))
}

/// Starts the child that checks. Errors are exit codes; what went wrong has been said.
fn begin(cli: &Cli, request: &Request) -> core::result::Result<(), i32> {
    match client::is_supervised(Fd::CWD) {
        Ok(true) => {}
        Ok(false) => return Err(cli.refuse("the current directory has no supervisor")),
        Err(e) => return Err(cli.unable("read supervise/lock", e)),
    }
    let mut fd = match request.fd {
        Some(fd) => fd,
        None => told_fd(cli)?,
    };
    if !fd.is_open() {
        return Err(cli.unable(format_args!("notify on descriptor {}", fd.0), Errno::BADF));
    }
    // Before the service goes on: its death is not to be missed. The child takes over.
    let mut events = Subscription::open(Fd::CWD, c"event").map_err(|e| cli.unable("subscribe to the events", e))?;
    let mut check = || fork_with(&mut || watch(cli, request, fd, &mut events));
    let started = match request.apart {
        false => check().map(drop),
        true => fork_with(&mut || check().map_or(SYSTEM, |_| 0)).and_then(passed_on),
    };
    match started {
        Ok(()) => fd.close(),
        Err(e) => {
            events.close();
            return Err(cli.unable("fork", e));
        }
    }
    Ok(())
}

/// Waits for the child whose only work it was to have a child.
fn passed_on(pid: i32) -> Result<()> {
    match process::wait_for(pid) {
        Ok(death) if death.wstat != 0 => Err(Errno::AGAIN),
        // Deaths are not told to who ignores SIGCHLD.
        Ok(_) | Err(Errno::CHILD) => Ok(()),
        Err(e) => Err(e),
    }
}

fn told_fd(cli: &Cli) -> core::result::Result<Fd, i32> {
    match files::notification_fd(Fd::CWD) {
        Reading { problem: Some(Problem::Unreadable(e)), .. } => Err(cli.unable("read notification-fd", e)),
        Reading { problem: Some(Problem::Invalid), .. } => Err(cli.refuse("notification-fd does not hold a number")),
        Reading { value: None, .. } => Err(cli.unable("read notification-fd", Errno::NOENT)),
        Reading { value: Some(number), .. } => Ok(descriptor(number)),
    }
}

/// The child: checks until there is a verdict, which is its exit code.
fn watch(cli: &Cli, request: &Request, fd: Fd, events: &mut Subscription) -> i32 {
    let _ = fd.set_cloexec(true);
    signal::reset_action(signal::number::CHLD);
    SignalSet::of(&[signal::number::CHLD, signal::number::PIPE]).block();
    let verdict = poll(cli, request, fd, events);
    events.close();
    match verdict {
        Ok(Verdict::Ready) => match file::write_all(fd, b"\n") {
            Ok(()) => 0,
            Err(e) => cli.unable("notify the supervisor", e),
        },
        Ok(Verdict::Exhausted) => {
            cli.warn("not ready: no check has succeeded");
            1
        }
        Ok(Verdict::Died) => 2,
        Ok(Verdict::TimedOut) => {
            cli.warn("not ready: no check has succeeded in time");
            3
        }
        Err(e) => cli.unable("wait for checks and events", e),
    }
}

fn poll(cli: &Cli, request: &Request, fd: Fd, events: &Subscription) -> Result<Verdict> {
    let token = |kind| Token { kind, slot: 0, generation: 0 };
    let (epoll, deaths) = (Epoll::new()?, signal::open_signalfd(SignalSet::of(&[signal::number::CHLD]))?);
    epoll.add(deaths, token(QUIET), Flags::IN)?;
    epoll.add(events.fd(), token(QUIET), Flags::IN)?;
    // A supervisor that was killed tells no death, but nobody reads the pipe then. (What is no pipe cannot be watched.)
    let _ = epoll.add(fd, token(UNHEARD), Flags::empty());
    let mut poll = Poll::new(request.plan, time::boot());
    let mut input = Input::Time;
    let mut check = 0;
    loop {
        let step = poll.step(input, time::boot());
        input = Input::Time;
        if !matches!(step, Step::Await(_)) {
            give_up(&mut check);
        }
        let until = match step {
            Step::Over(verdict) => return Ok(verdict),
            Step::Check => {
                if let Err(e) = start(cli, request, &mut check) {
                    cli.warn(format_args!("unable to start the check: {}", Reason(e)));
                    input = Input::Checked(false);
                }
                continue;
            }
            Step::Await(until) => until,
            Step::Sleep(until) => Some(until),
        };
        let left = until.map(|until| until.saturating_sub(time::boot()));
        let mut ready = Events::new();
        let waited = epoll.wait(&mut ready, left);
        if let Some(success) = take_deaths(deaths, &mut check)? {
            input = Input::Checked(success);
        }
        let unheard = ready.iter().any(|(token, _)| token.kind == UNHEARD);
        if take_events(events)? || unheard {
            input = Input::Died;
        }
        if let Err(e) = waited {
            give_up(&mut check);
            return Err(e);
        }
    }
}

/// Takes the deaths of children. If the check is among them: whether it has succeeded.
fn take_deaths(deaths: Fd, check: &mut i32) -> Result<Option<bool>> {
    let mut outcome = None;
    while signal::read_signalfd(deaths)?.is_some() {}
    while let Some(death) = process::peek_death() {
        process::reap(death.pid);
        if death.pid == *check {
            *check = 0;
            outcome = Some(death.wstat == 0);
        }
    }
    Ok(outcome)
}

/// Takes the events that have come: whether the service has died.
fn take_events(events: &Subscription) -> Result<bool> {
    let (mut buf, mut died) = ([0; 64], false);
    while let Some(n) = events.read(&mut buf)? {
        died |= buf.iter().take(n).any(|byte| *byte == b'd');
    }
    Ok(died)
}

/// Kills the check, if one runs, and what it has started.
fn give_up(check: &mut i32) {
    if *check > 1 {
        let _ = process::kill(-*check, signal::number::KILL);
    }
    *check = 0;
}

/// Starts the check, in a session of its own: it can be killed without the service.
fn start(cli: &Cli, request: &Request, check: &mut i32) -> Result<()> {
    let command = request.command.as_ref().and_then(CPath::get);
    let execlineb = command.and_then(|_| in_path(cli, b"execlineb"));
    let (path, argv) = match (command, &execlineb) {
        (None, _) => (c"./data/check", Argv::<4>::new(&[c"./data/check"])),
        (Some(command), Some(path)) => (path.path()?, Argv::new(&[c"execlineb", c"-Pc", command])),
        (Some(command), None) => (c"/bin/sh", Argv::new(&[c"sh", c"-c", command])),
    };
    let spawn = Spawn {
        path,
        argv: &argv,
        env: cli.env(),
        given: None,
        dir: Fd::NONE,
        stdio: [Fd::NONE; 3],
        extra: &[],
        session: true,
        new_pidns: false,
        cgroup: Fd::NONE,
        nofile: None,
    };
    spawn.start(check).map_err(|why| why.errno())
}

/// The first program of this name in PATH.
fn in_path(cli: &Cli, name: &[u8]) -> Option<CPath<1024>> {
    let path = cli.env().get(b"PATH").map_or(&b"/usr/bin:/bin"[..], CStr::to_bytes);
    path.split(|b| *b == b':').map(|dir| CPath::of(&[dir, b"/", name])).find(|candidate| {
        let candidate = candidate.get();
        candidate.is_some_and(|path| rustix::fs::accessat(Fd::CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok())
    })
}
