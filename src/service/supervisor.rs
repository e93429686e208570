//! The shell around the machine: performs its actions, feeds back their outcome. One supervisor is a record in the
//! arena and a few descriptors; there is no process for it.

use super::machine::{self, Action, Event, Timer};
use super::{cgroup, event, extra, files, kind, label, status, tally};
use crate::state::Service;
use crate::sys::args::{Argv, Env};
use crate::sys::epoll::{Epoll, Flags, Token};
use crate::sys::process::{self, Rlimit, Spawn, SpawnError};
use crate::sys::signal::number as sig;
use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, random};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::text::tai::Stamp;
use crate::{info, warning};
use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, Ordering};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

/// `run` could not be executed: it is tried again after this.
const EXEC_AGAIN: Nanos = 60 * SECOND;
/// Somebody else holds the service lock: it is tried again after this.
const LOCK_AGAIN: Nanos = SECOND;

/// What a supervisor needs from the engine.
pub struct Context<'a> {
    /// Where the readiness pipe is watched.
    pub epoll: &'a Epoll,
    /// Token for it.
    pub readiness: Token,
    /// Environment of the children.
    pub env: Env,
    /// The name that scripts get, if it is not that of the record.
    pub called: Option<&'static CStr>,
    /// RLIMIT_NOFILE of the children, if ours was raised.
    pub nofile: Option<Rlimit>,
    /// A null device, for stdio that was closed.
    pub null: Fd,
    /// Stderr of the catch-all logger, or `NONE`.
    pub console: Fd,
    /// Somebody has seen to it that what the service depends on is ready.
    pub cleared: bool,
    /// Boot time.
    pub now: Nanos,
    /// Wall clock.
    pub stamp: Stamp,
    /// Whether a start that is due after a death may be done at once. Not if orders wait: they may be against it.
    pub at_once: bool,
}

/// Feeds `first` to the service's machine and performs everything that follows from it. What others see of it (tally,
/// status, events) comes last. If a service that died was started again at once, that much is still to be done, by
/// [`settle`]: answers whether it is. So the new process runs before the world is told of both, in order.
#[must_use]
pub fn drive(context: &mut Context<'_>, service: &mut Service, first: Event) -> bool {
    // Not one death is to be lost to the next.
    if service.untallied != 0 {
        settle(service);
    }
    let mut again = false;
    let mut queue = heapless::Deque::<Event, 8>::new();
    let _ = queue.push_back(first);
    // What may lead to a start, or to leftovers.
    if matches!(first, Event::Died(_) | Event::Timer | Event::Want(_) | Event::Release | Event::Drain) {
        extra::look(service);
    }
    // An event leads to at most a few others (a death to a finish, that to its outcome): the bound is for bugs.
    for _ in 0..16 {
        let Some(event) = queue.pop_front() else { break };
        for action in machine::step(service, event, context.now, context.stamp) {
            if let Some(outcome) = perform(context, service, action) {
                let _ = queue.push_back(outcome);
            }
        }
        let due = Timer::of(service) == Timer::Start && service.deadline <= context.now;
        if due && context.at_once && queue.is_empty() && matches!(event, Event::Died(_) | Event::NoFinish) {
            let _ = queue.push_back(Event::Timer);
            again = true;
        }
    }
    let owes = again && service.pid > 0;
    if !owes {
        settle(service);
    }
    owes
}

/// Writes the first status of a supervisor and sends its first event.
pub fn announce(service: &mut Service) {
    service.published = service.sequence.wrapping_sub(1);
    note(service, b"s");
    settle(service);
}

/// Does what the record owes the world: adds the last death to the tally, writes the status file, sends the events. Until
/// it is done the record says so: after a fault in between it is done again, so that an event may come twice, but never
/// not at all.
pub fn settle(service: &mut Service) {
    tally_death(service);
    if service.published != service.sequence {
        publish(service);
    }
    if service.untold[0] != 0 {
        report(service);
        let len = service.untold.iter().position(|byte| *byte == 0).unwrap_or(service.untold.len());
        // Nobody may listen: that the directory cannot be read is no reason to stop supervising.
        let _ = event::notify(Fd(service.dir_fd), c"event", service.untold.get(..len).unwrap_or_default());
        service.untold = [0; 4];
    }
}

/// Puts events on record, to be sent by [`settle`].
fn note(service: &mut Service, events: &[u8]) {
    for event in events {
        if service.untold.iter().all(|byte| *byte != 0) {
            settle(service);
        }
        if let Some(free) = service.untold.iter_mut().find(|byte| **byte == 0) {
            *free = *event;
        }
    }
}

/// Adds the last death to the tally, if it is not in it yet.
fn tally_death(service: &mut Service) {
    if service.untallied == 0 {
        return;
    }
    let dir = Fd(service.dir_fd);
    let limit = noted(service, "max-death-tally", files::max_death_tally(dir));
    let stamp = Stamp { sec: service.stamp_sec, nano: service.stamp_nano };
    if let Err(e) = tally::append(dir, &tally::Record::new(stamp, service.wstat as u16), limit) {
        warning!("{}: cannot write its death tally: {}", label(service), Reason(e));
    }
    service.untallied = 0;
}

fn perform(context: &mut Context<'_>, service: &mut Service, action: Action) -> Option<Event> {
    let dir = Fd(service.dir_fd);
    match action {
        Action::Start => {
            // The last run of a logger needs nobody but its pipe.
            let free = context.cleared || service.drains != 0 || service.extras & extra::DEPENDENCIES == 0;
            return Some(if free { start(context, service) } else { Event::Held });
        }
        Action::Finish => return Some(start_finish(context, service)),
        Action::Signal(signal) => send(service, signal, false),
        Action::SignalGroup(signal) => send(service, signal, true),
        Action::SignalDown => send(service, noted(service, "down-signal", files::down_signal(dir)), false),
        Action::SignalReload => send(service, noted(service, "reload-signal", files::reload_signal(dir)), false),
        Action::ArmKill => {
            let millis = noted(service, "timeout-kill", files::timeout_kill(dir));
            return Some(Event::KillAfter(Nanos::from(millis) * MILLI));
        }
        Action::Kill => {
            warning!("{} (pid {}) did not end in time: killed", label(service), service.pid);
            send(service, sig::KILL, noted(service, "flag-timeout-killpg", files::flag_timeout_killpg(dir)));
            send(service, sig::CONT, false);
        }
        Action::KillLeftovers => kill_leftovers(service),
        Action::Delay => {
            let rule = noted(service, "restart-delay", extra::restart_delay(dir));
            let mut bytes = [0; 4];
            if rule.is_random() {
                random::fill(&mut bytes);
            }
            return Some(Event::Delay(rule, u32::from_ne_bytes(bytes)));
        }
        Action::CloseNotify => close(&mut service.notify_fd),
        Action::CloseStdio => service.stdio_closed = 1,
        Action::ClosePipe if service.kind == kind::LOGGER => close(&mut service.pipe_fd),
        Action::ClosePipe => {}
        // The death's stamp is in the record until the next change of state, and that has the same one.
        Action::Tally => service.untallied = 1,
        Action::Publish => {} // the record's sequence says it
        Action::Tell(events) => note(service, events),
        Action::Gone => {}
    }
    None
}

/// One line for each thing that an operator of a machine wants to find in its log.
fn report(service: &Service) {
    for event in service.untold {
        match event {
            b'u' => info!("{} started, pid {}", label(service), service.pid),
            b'U' => info!("{} is ready", label(service)),
            b'd' => match service.wstat & 0x7f {
                0 => info!("{} ended, exit code {}", label(service), service.wstat >> 8),
                signal => info!("{} ended by SIG{}", label(service), crate::sys::signal::name(signal as i32)),
            },
            b'O' => warning!("{} asks not to be started again", label(service)),
            _ => {}
        }
    }
}

fn publish(service: &mut Service) {
    let running = service.pid > 0;
    let finishing =
        running && matches!(machine::State::of(service), Some(machine::State::Finish | machine::State::LastFinish));
    let record = status::Status {
        stamp: Stamp { sec: service.stamp_sec, nano: service.stamp_nano },
        ready_stamp: Stamp { sec: service.ready_sec, nano: service.ready_nano },
        pid: service.pid,
        wstat: service.wstat as u16,
        paused: service.paused != 0 || service.fresh != 0,
        finishing,
        want_up: service.want_up != 0,
        ready: service.ready != 0,
    };
    match status::write(Fd(service.dir_fd), &record) {
        Ok(()) => service.published = service.sequence,
        Err(e) => warning!("{}: cannot write its status: {}", label(service), Reason(e)),
    }
}

/// The value of a file of the service directory; says what is wrong with the file, if something is.
fn noted<T>(service: &Service, name: &str, reading: files::Reading<T>) -> T {
    if let Some(problem) = reading.problem {
        match problem {
            files::Problem::Unreadable(e) => warning!("{}: cannot read its {name}: {}", label(service), Reason(e)),
            files::Problem::Invalid => warning!("{}: what its {name} says is not valid", label(service)),
        }
    }
    reading.value
}

fn send(service: &Service, signal: i32, group: bool) {
    if service.pid <= 0 {
        return;
    }
    let target = if group { -service.pid } else { service.pid };
    match process::kill(target, signal) {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(e) => warning!("{}: cannot send SIG{}: {}", label(service), crate::sys::signal::name(signal), Reason(e)),
    }
}

/// Kills what the process that has just died left in its process group and in its control group. It is not reaped yet,
/// so that nobody else can have the number.
fn kill_leftovers(service: &Service) {
    let asked = |bit: u8| service.extras & bit != 0;
    let group = (asked(extra::KILL_LEFTOVERS) && service.dead_pid > 1)
        .then(|| process::kill(-service.dead_pid, sig::KILL))
        .filter(|done| *done != Err(Errno::SRCH));
    let cgroup = (asked(extra::CGROUP) && service.cgroup_fd >= 0).then(|| cgroup::kill(Fd(service.cgroup_fd)));
    for done in [group, cgroup].into_iter().flatten() {
        if let Err(e) = done {
            warning!("{}: cannot kill what it left behind: {}", label(service), Reason(e));
        }
    }
}

/// The way into the service's control group, if it is to have one; `NONE` if that cannot be, which is said once.
fn door(service: &mut Service) -> Fd {
    static SAID: AtomicI32 = AtomicI32::new(0);
    if service.extras & extra::CGROUP == 0 {
        return Fd::NONE;
    }
    // Somebody may have removed the group that we hold.
    if service.cgroup_fd >= 0 {
        if let Ok(door) = cgroup::door(Fd(service.cgroup_fd)) {
            return door;
        }
        close(&mut service.cgroup_fd);
    }
    let opened = cgroup::open(service).and_then(|group| {
        service.cgroup_fd = group.0;
        cgroup::door(group)
    });
    opened.unwrap_or_else(|e| {
        if SAID.swap(e.raw_os_error(), Ordering::Relaxed) != e.raw_os_error() {
            warning!("{} runs without a control group of its own: cgroup v2: {}", label(service), Reason(e));
        }
        Fd::NONE
    })
}

/// Descriptors 0, 1 and 2 of the service's children; `NONE` where they get ours.
fn stdio(context: &Context<'_>, service: &Service) -> [Fd; 3] {
    let pipe = Fd(service.pipe_fd);
    let mut stdio = match service.kind {
        kind::LOGGER => [pipe, Fd::NONE, Fd::NONE],
        kind::CATCH_ALL => [Fd::NONE, pipe, context.console],
        _ => [Fd::NONE, pipe, Fd::NONE],
    };
    if service.stdio_closed != 0 {
        stdio[0] = context.null;
        stdio[1] = context.null;
    }
    stdio
}

fn start(context: &mut Context<'_>, service: &mut Service) -> Event {
    let mut extra = heapless::Vec::<(Fd, i32), 2>::new();
    let started = start_run(context, service, &mut extra);
    for (fd, _) in &mut extra {
        fd.close();
    }
    match started {
        Ok(()) => {
            service.trouble = 0;
            Event::Started
        }
        Err((what, e, again)) => {
            close(&mut service.notify_fd);
            settle(service); // nothing is urgent any more; and what came before is told before
            if service.trouble != e.raw_os_error() as u32 {
                service.trouble = e.raw_os_error() as u32;
                warning!(
                    "{} cannot be started: {what}: {}; tried again every {} s",
                    label(service),
                    Reason(e),
                    again / SECOND
                );
            }
            Event::StartFailed(again)
        }
    }
}

/// A number as a descriptor; one that is too large is the largest, which nobody can have.
fn descriptor(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

type Failure = (&'static str, Errno, Nanos);

fn start_run(
    context: &mut Context<'_>,
    service: &mut Service,
    extra: &mut heapless::Vec<(Fd, i32), 2>,
) -> core::result::Result<(), Failure> {
    let dir = Fd(service.dir_fd);
    service.notifies = 0;
    if let Some(number) = noted(service, "lock-fd", files::lock_fd(dir)) {
        let lock = open_service_lock(dir).map_err(|e| {
            let again = if e == Errno::AGAIN { LOCK_AGAIN } else { EXEC_AGAIN };
            ("supervise/service-lock", e, again)
        })?;
        let _ = extra.push((lock, descriptor(number)));
    }
    if let Some(number) = noted(service, "notification-fd", files::notification_fd(dir)) {
        let number = descriptor(number);
        if extra.iter().any(|(_, taken)| *taken == number) {
            return Err(("notification-fd is the same as lock-fd", Errno::INVAL, EXEC_AGAIN));
        }
        let (mut read, write) = readiness_pipe().map_err(|e| ("the readiness pipe", e, EXEC_AGAIN))?;
        let _ = extra.push((write, number));
        if let Err(e) = context.epoll.add(read, context.readiness, Flags::IN) {
            read.close();
            return Err(("watching its readiness pipe", e, EXEC_AGAIN));
        }
        service.notify_fd = read.0;
        service.notifies = 1;
    }
    let own = name(service);
    let name = context.called.map_or(own.path(), Ok).map_err(|e| ("its name", e, EXEC_AGAIN))?;
    let argv = Argv::<3>::new(&[c"./run", name]);
    let mut cgroup = door(service);
    let spawn = Spawn {
        path: c"./run",
        argv: &argv,
        env: context.env,
        dir,
        stdio: stdio(context, service),
        extra,
        session: true,
        new_pidns: noted(service, "flag-newpidns", files::flag_newpidns(dir)),
        cgroup,
        nofile: context.nofile,
    };
    let started = spawn.start(&mut service.pid);
    cgroup.close();
    started.map_err(|why| match why {
        SpawnError::Fork(e) => ("no new process", e, EXEC_AGAIN),
        SpawnError::Setup(e) => ("setting up its process", e, EXEC_AGAIN),
        SpawnError::Exec(e) => ("./run", e, EXEC_AGAIN),
    })
}

fn start_finish(context: &mut Context<'_>, service: &mut Service) -> Event {
    let dir = Fd(service.dir_fd);
    // Most services have none: do not make a process to find that out.
    if !file::exists(dir, c"finish").unwrap_or(true) {
        return Event::NoFinish;
    }
    tally_death(service); // finish may want to count
    let (code, signal) = match service.wstat & 0x7f {
        0 => (service.wstat >> 8 & 0xff, 0),
        signal => (256, signal),
    };
    let number = |n: u32| CPath::<24>::of(&[Decimal::new(n.into()).as_bytes()]);
    // The process group of the dead run is its pid, which was its session's too.
    let (code, signal, group) = (number(code), number(signal), number(service.dead_pid as u32));
    let own = name(service);
    let words = [code.path(), signal.path(), context.called.map_or(own.path(), Ok), group.path()];
    let [Ok(code), Ok(signal), Ok(name), Ok(group)] = words else { return Event::NoFinish };
    let argv = Argv::<6>::new(&[c"./finish", code, signal, name, group]);
    let mut cgroup = door(service);
    let spawn = Spawn {
        path: c"./finish",
        argv: &argv,
        env: context.env,
        dir,
        stdio: stdio(context, service),
        extra: &[],
        session: true,
        new_pidns: false,
        cgroup,
        nofile: context.nofile,
    };
    let started = spawn.start(&mut service.pid);
    cgroup.close();
    match started {
        Ok(()) => {
            Event::FinishStarted(Nanos::from(noted(service, "timeout-finish", files::timeout_finish(dir))) * MILLI)
        }
        Err(why) => {
            warning!("{}: cannot run ./finish: {}", label(service), Reason(why.errno()));
            Event::NoFinish
        }
    }
}

/// The name that scripts get, and its path in the scan directory: `NAME` or `NAME/log`.
pub fn name(service: &Service) -> CPath<272> {
    let suffix: &[u8] = if service.kind == kind::LOGGER { b"/log" } else { b"" };
    CPath::of(&[service.name_bytes(), suffix])
}

/// A pipe whose reading side does not block.
fn readiness_pipe() -> Result<(Fd, Fd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let (mut read, mut write) = (Fd::from_owned(read), Fd::from_owned(write));
    if let Err(e) = read.set_nonblocking(true) {
        read.close();
        write.close();
        return Err(e);
    }
    Ok((read, write))
}

/// `supervise/service-lock`, locked. The lock belongs to the open file that the service inherits, and lives as long.
fn open_service_lock(dir: Fd) -> Result<Fd> {
    let mut fd = file::open(dir, c"supervise/service-lock", OFlags::WRONLY | OFlags::CREATE | OFlags::NONBLOCK, 0o666)?;
    match file::lock_open(fd) {
        Ok(()) => Ok(fd),
        Err(e) => {
            fd.close();
            Err(e)
        }
    }
}

/// Reads what has come through the readiness pipe; answers whether a newline was in it. Closes the pipe when the
/// service did.
pub fn said_ready(service: &mut Service) -> bool {
    let mut bytes = [0u8; 512];
    // What does not fit in these turns is read in the next: the pipe stays readable.
    for _ in 0..8 {
        match rustix::io::read(Fd(service.notify_fd), &mut bytes) {
            Ok(0) => {
                close(&mut service.notify_fd);
                return false;
            }
            Ok(n) if bytes.get(..n).unwrap_or_default().contains(&b'\n') => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return false,
            Err(_) => {
                close(&mut service.notify_fd);
                return false;
            }
        }
    }
    false
}

/// Closes what a supervisor holds open (not the log pipe, which is the record's).
pub fn close_all(service: &mut Service) {
    close(&mut service.notify_fd);
    close(&mut service.control_fd);
    close(&mut service.lock_fd);
    close(&mut service.dir_fd);
}

fn close(number: &mut i32) {
    Fd(*number).close();
    *number = -1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::event::Subscription;
    use crate::service::scratch::Scratch;
    use zerocopy::FromZeros;

    /// A service as it is in the record after it was killed by SIGKILL and started again, before the world knows.
    fn started_again(scratch: &Scratch) -> Box<Service> {
        files::prepare(scratch.fd).unwrap();
        let mut service = Box::new(Service::new_zeroed());
        machine::begin(&mut service, true, 1, Stamp::from_unix(100, 0));
        service.dir_fd = scratch.fd.0;
        service.pid = 7;
        for (event, second) in [(Event::Started, 100), (Event::Died(9), 200), (Event::NoFinish, 200)] {
            machine::step(&mut service, event, 2 * SECOND, Stamp::from_unix(second, 0));
        }
        service.pid = 8;
        machine::step(&mut service, Event::Started, 2 * SECOND, Stamp::from_unix(200, 0));
        service.untallied = 1;
        note(&mut service, b"dD");
        note(&mut service, b"u");
        service
    }

    fn deaths(scratch: &Scratch) -> Vec<(u64, u8)> {
        let mut seen = Vec::new();
        let unix = Stamp::from_unix(0, 0).sec;
        tally::visit(scratch.fd, 100, &mut |record| seen.push((record.stamp.sec - unix, record.signal))).unwrap();
        seen
    }

    #[test]
    fn what_a_record_owes_is_told_in_order_and_once() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        settle(&mut service);
        let mut buf = [0; 16];
        assert_eq!(listener.read(&mut buf), Ok(Some(3)));
        assert_eq!(&buf[..3], b"dDu");
        let status = status::read(scratch.fd).unwrap();
        assert_eq!((status.pid, status.wstat, status.is_up()), (8, 9, true));
        assert_eq!(deaths(&scratch), [(200, 9)]);
        settle(&mut service);
        assert_eq!(listener.read(&mut buf), Ok(None));
        assert_eq!(deaths(&scratch), [(200, 9)]);
        listener.close();
    }

    #[test]
    fn a_death_before_the_last_one_is_told_loses_nothing() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        let epoll = Epoll::new().unwrap();
        let mut context = Context {
            epoll: &epoll,
            readiness: Token { kind: 0, slot: 0, generation: 0 },
            env: Env::EMPTY,
            called: None,
            nofile: None,
            null: Fd::NONE,
            console: Fd::NONE,
            cleared: true,
            now: 2 * SECOND,
            stamp: Stamp::from_unix(201, 0),
            at_once: true,
        };
        assert!(!drive(&mut context, &mut service, Event::Died(15)));
        assert_eq!(deaths(&scratch), [(200, 9), (201, 15)]);
        let mut buf = [0; 16];
        assert_eq!(listener.read(&mut buf), Ok(Some(5)));
        assert_eq!(&buf[..5], b"dDudD");
        let status = status::read(scratch.fd).unwrap();
        assert_eq!((status.pid, status.wstat, status.ready), (0, 15, true));
        listener.close();
    }

    #[test]
    fn more_events_than_a_record_can_owe_are_told_in_two_parts() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        note(&mut service, b"Ux");
        let mut buf = [0; 16];
        assert_eq!(listener.read(&mut buf), Ok(Some(4)));
        settle(&mut service);
        let mut rest = [0; 16];
        assert_eq!(listener.read(&mut rest), Ok(Some(1)));
        assert_eq!((&buf[..4], &rest[..1]), (&b"dDuU"[..], &b"x"[..]));
        listener.close();
    }
}
