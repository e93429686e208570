//! `s6-background-watch [-t ms] [-d fd] pidfile prog...`: stays in the foreground for a daemon that does not. prog forks,
//! the pid of the daemon is written to pidfile, and the parent exits 0 when the daemon is ready. Signals are passed on to
//! the daemon (before that: to prog); its end is ours, with its exit code, or 128 and the number of its signal.
//!
//! With `-t` a parent that takes longer is killed; with `-d` a newline is written to fd when the daemon is known.
//!
//! Other exit codes: the parent's own, if it failed (pidfile is removed then); 104 there is no good pidfile; 126, 127
//! prog cannot be executed.

use crate::applets::cli::{Cli, Opt, WrongUsage, spawn_after, unable_to_exec};
use crate::sys::args::Args;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::process::Death;
use crate::sys::signal::{self, SignalSet, number};
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Errno, Fd, entry, file, process, reaper};
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use core::ffi::CStr;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -t timeout ] [ -d notif ] pidfile prog...";

/// pidfile is missing, or names no process.
const NO_PID: i32 = 104;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut timeout, mut notify) = (0, Fd::NONE);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b't') | Opt::Long(b"timeout-ready") => timeout = options.number()?,
                Opt::Short(b'd') | Opt::Long(b"notification-fd") => notify = options.descriptor()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        if notify.is_some() && (notify.0 < 3 || notify.set_cloexec(true).is_err()) {
            return Ok(cli.refuse(format_args!("invalid notification fd: {}", notify.0)));
        }
        let deadline = (timeout != 0).then(|| time::boot() + u64::from(timeout) * MILLI);
        let pidfile = words.get(0).unwrap_or_default();
        Ok(watch(cli, pidfile, words.skip(1), deadline, notify).unwrap_or_else(|code| code))
    })
}

/// Errors are exit codes; what went wrong has been said.
fn watch(cli: &Cli, pidfile: &CStr, words: Args, deadline: Option<Nanos>, mut notify: Fd) -> Result<i32, i32> {
    reaper::adopt_orphans().map_err(|e| cli.unable("become a subreaper", e))?;
    let before = SignalSet::ALL.block();
    let mut relay = Relay::new().map_err(|e| cli.unable("receive signals", e))?;
    let started = spawn_after(cli, words, &mut || {
        before.block();
        Ok(())
    });
    let parent = started.map_err(|e| unable_to_exec(cli, words, e))?;
    let failed = |e| cli.unable("wait for prog", e);
    let death = relay.until_end(parent, deadline, false).map_err(failed)?;
    if death.wstat != 0 {
        let _ = entry::remove(Fd::CWD, pidfile);
        return Ok(death.exit_code());
    }
    let daemon = read_pid(pidfile).map_err(|e| {
        cli.refuse(format_args!("no pid in {}: {}", Printable(pidfile.to_bytes()), Reason(e)));
        NO_PID
    })?;
    if notify.is_some() {
        // Nobody listening is no reason to give the daemon up.
        let _ = file::write_all(notify, b"\n");
        notify.close();
    }
    match relay.until_end(daemon, None, true) {
        Ok(death) => Ok(death.exit_code()),
        Err(Errno::SRCH) => {
            cli.refuse(format_args!("there is no process {daemon}, which {} names", Printable(pidfile.to_bytes())));
            Ok(NO_PID)
        }
        Err(Errno::CHILD) => {
            cli.refuse(format_args!("process {daemon} has ended, but not as ours: its exit code is not known"));
            Err(crate::applets::cli::SYSTEM)
        }
        Err(e) => Err(failed(e)),
    }
}

/// EINVAL: it is no pid, or one that cannot be a daemon's.
fn read_pid(pidfile: &CStr) -> Result<i32, Errno> {
    let mut buf = [0; 64];
    let text = file::read(Fd::CWD, pidfile, &mut buf)?.trim_ascii();
    let pid = parse_u32(text).and_then(|pid| i32::try_from(pid).ok());
    pid.filter(|pid| *pid > 1 && *pid != process::pid()).ok_or(Errno::INVAL)
}

const SIGNALS: Token = Token { kind: 0, slot: 0, generation: 0 };
const PROCESS: Token = Token { kind: 1, slot: 0, generation: 0 };

/// Passes signals on to a process until that has ended.
struct Relay {
    epoll: Epoll,
    signals: Fd,
}

impl Relay {
    /// All signals must be blocked.
    fn new() -> Result<Relay, Errno> {
        let relay = Relay { epoll: Epoll::new()?, signals: signal::open_signalfd(SignalSet::ALL)? };
        relay.epoll.add(relay.signals, SIGNALS, Flags::IN)?;
        Ok(relay)
    }

    /// Waits for the end of `pid`, which is killed, once, at the deadline. Buries all others that have become our children
    /// and ended, if told to: not before the daemon is known, which may be one of them. ESRCH: there is no such process.
    /// ECHILD: it has ended, and was nobody that we have to bury.
    fn until_end(&mut self, pid: i32, mut deadline: Option<Nanos>, bury: bool) -> Result<Death, Errno> {
        // A daemon whose own parent lives on is not our child yet, perhaps never.
        let mut watched = match reaper::watch(pid) {
            Ok(fd) => fd,
            Err(Errno::NOSYS) => Fd::NONE,
            Err(e) => return Err(e),
        };
        if watched.is_some() {
            self.epoll.add(watched, PROCESS, Flags::IN)?;
        }
        let mut events = Events::new();
        let mut gone = false;
        let done = loop {
            match process::reap_ended(pid) {
                Ok(Some(death)) => break Ok(death),
                Ok(None) => {}
                // Without a descriptor of it there is only its number to ask for.
                Err(Errno::CHILD) if !gone && (watched.is_some() || process::kill(pid, 0) != Err(Errno::SRCH)) => {}
                Err(e) => break Err(e),
            }
            while let Some(other) = process::peek_death().filter(|death| bury && death.pid != pid) {
                process::reap(other.pid);
            }
            let left = deadline.map(|deadline| deadline.saturating_sub(time::boot()));
            if left == Some(0) {
                deadline = None;
                let _ = process::kill(pid, number::KILL);
                continue;
            }
            let n = match self.epoll.wait(&mut events, left) {
                Ok(n) => n,
                Err(e) => break Err(e),
            };
            gone |= events.iter().take(n).any(|(token, _)| *token == PROCESS);
            while let Some(received) = signal::read_signalfd(self.signals)? {
                // A broken pipe of our own is none of its business.
                let own = received.signal == number::PIPE && received.pid == 0;
                if received.signal != number::CHLD && !own {
                    let _ = process::kill(pid, received.signal);
                }
            }
        };
        if watched.is_some() {
            self.epoll.remove(watched);
            watched.close();
        }
        done
    }
}
