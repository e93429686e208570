//! `s6-notify-fd-from-socket [-3 fd] [-t ms] [-f] prog...`: for the `run` of a daemon that says by sd_notify(3) that it is
//! ready, under a supervisor that expects a newline on a descriptor. Goes on as prog, with a socket of its own in
//! `NOTIFY_SOCKET`; another process listens there, and writes the newline when `READY=1` has come.
//!
//! The descriptor is the one that `-3` (`--notification-fd=`) names, else that of the file `notification-fd` in the working
//! directory, which is read as the supervisor does. `-t` (`--timeout=`) is how many milliseconds to listen at most; 0, the
//! default: any time. The listener is no child of prog, unless there is `-f` (`--no-doublefork`).
//!
//! Heard are root, our own user, prog, its descendants and the processes of its session: the socket has an abstract name,
//! and so anybody may send to it. Descriptors that come with a message are closed at once, as sd_notify_barrier(3) expects.
//! After `READY=1` the listener stays for such a barrier, but not for long, then goes; prog, if it has something else to
//! say, finds that nobody listens. The variables of a watchdog and of a descriptor store are taken out of the environment:
//! there is neither.
//!
//! Exit code: 100 notification-fd holds no number, 111; 126, 127; else prog's. The listener's: 0 ready, 1 prog has ended
//! before, 2 the supervisor is gone, 99 there is no time left, 111.

use super::notify_watch::{self, NEVER_READY};
use crate::applets::cli::{Cli, Opt, TIMEOUT, WrongUsage};
use crate::service::files::{self, Problem, Reading};
use crate::service::notify::{ANCESTORS, VARIABLES};
use crate::sys::environment::Environment;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::message::{self, CONTROL_WORDS, HEADER_WORDS, PART_WORDS, Room, Sender};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, datagram, file, process, reaper};
use crate::text::CPath;
use crate::text::notify::{MESSAGE, Message};

/// What follows the name on a command line.
pub const USAGE: &str = "[ -3 fd ] [ -t timeout ] [ -f ] prog...";

/// The supervisor is gone.
const UNHEARD: i32 = 2;

/// How long the listener stays after `READY=1`: systemd-notify(1) asks whether that has been heard, and waits as long.
const BARRIER_PATIENCE: Nanos = 5 * SECOND;

/// How often to look for prog where there is no descriptor of a process: kernels before 5.3.
const LOOK: Nanos = SECOND;

/// Messages that are taken without a look at the time and at prog.
const BATCH: u32 = 64;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut fd, mut timeout, mut apart) = (None, 0, true);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'3') | Opt::Long(b"notification-fd") => fd = Some(options.descriptor()?),
                Opt::Short(b't') | Opt::Long(b"timeout") => timeout = options.number()?,
                Opt::Short(b'f') | Opt::Long(b"no-doublefork") => apart = false,
                Opt::Long(b"doublefork") => apart = true,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        Ok(match begin(cli, fd, timeout, apart) {
            Ok(env) => cli.exec_env(words, env.env()),
            Err(code) => code,
        })
    })
}

/// Starts the listener; answers prog's environment. Errors are exit codes; what went wrong has been said.
fn begin(cli: &Cli, fd: Option<Fd>, timeout: u32, apart: bool) -> core::result::Result<&'static mut Environment, i32> {
    let mut notify = match fd {
        Some(fd) => fd,
        None => told_fd(cli)?,
    };
    if !notify.is_open() {
        return Err(cli.unable(format_args!("notify on descriptor {}", notify.0), Errno::BADF));
    }
    let mut socket = datagram::anywhere().map_err(|e| cli.unable("make a notification socket", e))?;
    let env = environment(cli, socket).map_err(|e| cli.unable("change the environment", e))?;
    let prog = process::pid();
    let mut end = match reaper::watch(prog) {
        Ok(fd) => fd,
        Err(Errno::NOSYS) => Fd::NONE,
        Err(e) => return Err(cli.unable("watch over prog", e)),
    };
    let deadline = notify_watch::deadline(timeout);
    let mut listener = Listener { cli, socket, notify, end, prog, deadline, ready: false };
    notify_watch::start(cli, apart, &[socket, notify, end], &mut || listener.listen())?;
    socket.close();
    end.close();
    notify.close();
    Ok(env)
}

/// What the supervisor was told.
fn told_fd(cli: &Cli) -> core::result::Result<Fd, i32> {
    match files::notification_fd(Fd::CWD) {
        Reading { problem: Some(Problem::Unreadable(e)), .. } => Err(cli.unable("read ./notification-fd", e)),
        Reading { problem: Some(Problem::Invalid), .. } => Err(cli.refuse("./notification-fd does not hold a number")),
        Reading { value: None, .. } => Err(cli.unable("read ./notification-fd", Errno::NOENT)),
        // One that is too large is never open.
        Reading { value: Some(number), .. } => Ok(Fd(i32::try_from(number).unwrap_or(i32::MAX))),
    }
}

fn environment(cli: &Cli, socket: Fd) -> Result<&'static mut Environment> {
    let mut name = [0; 107];
    let length = datagram::abstract_name(socket, &mut name)?;
    let address = CPath::<109>::of(&[b"@", name.get(..length).unwrap_or_default()]);
    let env = Environment::of(cli.env())?;
    VARIABLES.iter().for_each(|name| env.unset(name));
    env.set(b"NOTIFY_SOCKET", address.path()?.to_bytes())?;
    Ok(env)
}

/// The process that stays.
struct Listener<'a> {
    cli: &'a Cli,
    socket: Fd,
    /// Where to say it.
    notify: Fd,
    /// Can be read when prog has ended; `NONE`: the kernel has no such thing.
    end: Fd,
    prog: i32,
    deadline: Option<Nanos>,
    /// It has been said.
    ready: bool,
}

const SOCKET: u8 = 0;
const END: u8 = 1;
const NOTIFY: u8 = 2;

/// Where a message is received.
struct Place {
    header: [u64; HEADER_WORDS],
    part: [u64; PART_WORDS],
    control: [u64; CONTROL_WORDS],
    bytes: [u8; MESSAGE],
}

impl Listener<'_> {
    fn listen(&mut self) -> i32 {
        self.until_over().unwrap_or_else(|e| self.cli.unable("listen for the notification", e))
    }

    /// Errors: the kernel has no room for what is needed.
    fn until_over(&mut self) -> Result<i32> {
        let epoll = Epoll::new()?;
        let token = |kind| Token { kind, slot: 0, generation: 0 };
        epoll.add(self.socket, token(SOCKET), Flags::IN)?;
        if self.end.is_some() {
            epoll.add(self.end, token(END), Flags::IN)?;
        }
        // What is no pipe and no socket has no reader that could be gone, and cannot be watched.
        let _ = epoll.add(self.notify, token(NOTIFY), Flags::empty());
        let mut place = Place {
            header: [0; HEADER_WORDS],
            part: [0; PART_WORDS],
            control: [0; CONTROL_WORDS],
            bytes: [0; MESSAGE],
        };
        let mut events = Events::new();
        loop {
            let left = self.deadline.map(|deadline| deadline.saturating_sub(time::boot()));
            if left == Some(0) && self.ready {
                return Ok(0);
            }
            if left == Some(0) {
                self.cli.warn("not ready: there was no READY=1 in time");
                return Ok(TIMEOUT);
            }
            let step = if self.end.is_some() { left } else { Some(left.unwrap_or(LOOK).min(LOOK)) };
            epoll.wait(&mut events, step)?;
            let happened = |kind| events.iter().any(|(token, _)| token.kind == kind);
            let ended = happened(END) || self.end == Fd::NONE && process::kill(self.prog, 0) == Err(Errno::SRCH);
            // What it said before it ended counts.
            if let Some(code) = self.take_messages(&mut place) {
                return Ok(code);
            }
            if ended {
                return Ok(if self.ready { 0 } else { NEVER_READY });
            }
            if happened(NOTIFY) && !self.ready {
                return Ok(UNHEARD);
            }
        }
    }

    /// Takes the messages that have come. An exit code: all has been said.
    fn take_messages(&mut self, place: &mut Place) -> Option<i32> {
        for _ in 0..BATCH {
            message::forget(&mut place.header);
            let mut room = Room { header: &mut place.header, part: &mut place.part, control: &mut place.control };
            let Ok(came) = room.receive(self.socket, &mut place.bytes) else { return None };
            message::descriptors(&came, &place.control).iter().for_each(|number| Fd(*number).close());
            let Some(bytes) = place.bytes.get(..came.bytes).filter(|_| !came.truncated) else { continue };
            let Ok(said) = Message::parse(bytes) else { continue };
            if !message::sender(&came, &place.control).is_some_and(|sender| self.hears(sender)) {
                continue;
            }
            if said.ready && !self.ready {
                if let Err(e) = file::write_all(self.notify, b"\n") {
                    return Some(self.cli.unable("notify the supervisor", e));
                }
                self.notify.close();
                self.ready = true;
                self.deadline = Some(time::boot() + BARRIER_PATIENCE);
            }
            if said.barrier && self.ready {
                return Some(0);
            }
        }
        None
    }

    /// Whether somebody may speak for prog.
    fn hears(&self, sender: Sender) -> bool {
        if sender.uid == 0 || sender.uid == process::effective_user() {
            return true;
        }
        let Ok(pid @ 1..) = i32::try_from(sender.pid) else { return false };
        if pid == self.prog {
            return true;
        }
        // A session whose leader is outside of our pid namespace has no number.
        if process::session(pid).is_ok_and(|session| session > 0 && Ok(session) == process::session(self.prog)) {
            return true;
        }
        let mut ancestor = pid;
        for _ in 0..ANCESTORS {
            match process::parent(ancestor) {
                Some(parent) if parent == self.prog => return true,
                Some(parent @ 2..) => ancestor = parent,
                _ => return false,
            }
        }
        false
    }
}
