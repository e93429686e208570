//! The shell around the machine: performs its actions, feeds back their outcome. One supervisor is a record in the
//! arena and a few descriptors; there is no process for it.

use super::handover::{self, Refused, Room};
use super::machine::{self, Action, Event, Timer};
use super::news::{note, settle, tally_death};
use super::redo::{Child, FINISH, RUN};
use super::{cgroup, extra, files, kind, label, notify};
use crate::fdholder::table::Table;
use crate::state::{Notify, Redo, Service};
use crate::sys::args::{Argv, Env};
use crate::sys::epoll::{Epoll, Flags, Token};
use crate::sys::process::{self, Rlimit, Spawn, SpawnError};
use crate::sys::signal::number as sig;
use crate::sys::time::{MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, file, memory, random};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use crate::text::tai::Stamp;
use crate::{fault_point, warning};
use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, Ordering};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

/// `run` could not be executed: it is tried again after this.
const EXEC_AGAIN: Nanos = 60 * SECOND;
/// Somebody else holds the service lock: it is tried again after this.
const LOCK_AGAIN: Nanos = SECOND;
/// What was told to abort and does not end is killed after this, if `timeout-kill` does not say otherwise.
const ABORT_TIME: Nanos = 10 * SECOND;

/// What a supervisor needs from the engine.
pub struct Context<'a> {
    /// Where the readiness pipe is watched.
    pub epoll: &'a Epoll,
    /// Token for it.
    pub readiness: Token,
    /// Kind of the token for its notification socket, which is the same otherwise.
    pub notify_kind: u8,
    /// The record of that socket; used if the service asks for one.
    pub notify: Option<&'a mut Notify>,
    /// Environment of the children.
    pub env: Env,
    /// The name that scripts get, if it is not that of the record.
    pub called: Option<&'static CStr>,
    /// What is held; `None`: there is no fd-holder here.
    pub held: Option<Table<'a>>,
    /// Where is put together what one child is given and others are not.
    pub room: Option<&'a mut Room>,
    /// RLIMIT_NOFILE of the children, if ours was raised.
    pub nofile: Option<Rlimit>,
    /// A null device, for stdio that was closed.
    pub null: Fd,
    /// Stdout and stderr of the catch-all logger, `NONE` where it gets ours.
    pub console: [Fd; 2],
    /// Somebody has seen to it that what the service depends on is ready.
    pub cleared: bool,
    /// Boot time.
    pub now: Nanos,
    /// Wall clock.
    pub stamp: Stamp,
    /// Whether a start that is due after a death may be done at once. Not if orders wait: they may be against it.
    pub at_once: bool,
    /// Where the event is on record, and the children that it leads to.
    pub redo: &'a mut Redo,
    /// The event was interrupted, and is fed again: a child that it has led to is there already.
    pub again: bool,
}

/// Feeds `first` to the service's machine and performs everything that follows from it. What others see of it (tally,
/// status, events) comes last. If a service that died was started again at once, that much is still to be done, by
/// [`settle`]: answers whether it is. So the new process runs before the world is told of both, in order.
#[must_use]
pub fn drive(context: &mut Context<'_>, service: &mut Service, first: Event) -> bool {
    // Somebody will settle what there is already, and readiness with it; but not one death is to be lost to the next.
    let spoke = matches!(first, Event::Ready | Event::Alive | Event::Extend(_));
    let is_next = service.untold[0] != 0 && spoke;
    if service.untallied != 0 && !is_next {
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
        let actions = machine::step(service, event, context.now, context.stamp);
        fault_point!("drive.stepped");
        for action in actions {
            if let Some(outcome) = perform(context, service, action) {
                let _ = queue.push_back(outcome);
            }
            fault_point!("drive.performed");
        }
        let due = Timer::of(service) == Timer::Start && service.deadline <= context.now;
        if due && context.at_once && queue.is_empty() && matches!(event, Event::Died(_) | Event::NoFinish) {
            let _ = queue.push_back(Event::Timer);
            again = true;
        }
    }
    let owes = again && service.pid > 0;
    if !owes && !is_next {
        settle(service);
    }
    owes
}

/// Has the first status of a supervisor written and its first event sent, by [`settle`].
pub fn announce(service: &mut Service) {
    service.published = service.sequence.wrapping_sub(1);
    note(service, b"s");
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
        Action::ArmKill => return Some(Event::KillAfter(kill_after(service))),
        Action::Abort { late } => {
            let why =
                if late { "did not say in time that it is alive" } else { "says that something is wrong with it" };
            warning!("{} (pid {}) {why}: aborted", label(service), service.pid);
            send(service, sig::ABRT, false);
            send(service, sig::CONT, false);
            let after = kill_after(service);
            return Some(Event::KillAfter(if after == 0 { ABORT_TIME } else { after }));
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

/// `timeout-kill`; 0: never.
fn kill_after(service: &Service) -> Nanos {
    Nanos::from(noted(service, "timeout-kill", files::timeout_kill(Fd(service.dir_fd)))) * MILLI
}

/// The value of a file of the service directory; says what is wrong with the file, if something is.
pub(super) fn noted<T>(service: &Service, name: &str, reading: files::Reading<T>) -> T {
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
        kind::CATCH_ALL if pipe.is_some() => [Fd::NONE, pipe, context.console[1]],
        kind::CATCH_ALL => [Fd::NONE, context.console[0], context.console[1]],
        _ => [Fd::NONE, pipe, Fd::NONE],
    };
    if service.stdio_closed != 0 {
        stdio[0] = context.null;
        stdio[1] = context.null;
    }
    stdio
}

/// The child of this kind that the event had led to when it was interrupted, if it is fed again.
fn earlier(context: &mut Context<'_>, kind: u32) -> Child {
    let child = if context.again { context.redo.child(kind) } else { Child::Never };
    context.again &= context.redo.spawned != kind; // what follows it is new
    child
}

fn start(context: &mut Context<'_>, service: &mut Service) -> Event {
    let started = match earlier(context, RUN) {
        // All that it was given is in the record.
        Child::Started(pid) => {
            service.pid = pid;
            Ok(())
        }
        Child::Failed(why) => Err(not_started(why)),
        Child::Never => {
            let mut extra = heapless::Vec::<(Fd, i32), 2>::new();
            let started = start_run(context, service, &mut extra);
            for (fd, _) in &mut extra {
                fd.close();
            }
            fault_point!("start.closed");
            started
        }
    };
    match started {
        Ok(()) => {
            service.trouble = 0;
            Event::Started
        }
        Err(Failure::Handover(refused)) => {
            close(&mut service.notify_fd);
            memory::forget_seldom();
            match refused {
                Refused::Waits => Event::Lacks(EXEC_AGAIN),
                Refused::Failed => Event::StartFailed(EXEC_AGAIN),
            }
        }
        Err(Failure::System(what, e, again)) => {
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

/// Why `run` was not started.
enum Failure {
    /// This could not be done; it is to be tried again after so long.
    System(&'static str, Errno, Nanos),
    /// It cannot be given what it needs, which has been told.
    Handover(Refused),
}

fn start_run(
    context: &mut Context<'_>,
    service: &mut Service,
    extra: &mut heapless::Vec<(Fd, i32), 2>,
) -> core::result::Result<(), Failure> {
    let dir = Fd(service.dir_fd);
    close(&mut service.notify_fd); // of a start that was interrupted: nobody has its other end
    service.notifies = 0;
    if let Some(number) = noted(service, "lock-fd", files::lock_fd(dir)) {
        let lock = open_service_lock(dir).map_err(|e| {
            let again = if e == Errno::AGAIN { LOCK_AGAIN } else { EXEC_AGAIN };
            Failure::System("supervise/service-lock", e, again)
        })?;
        let _ = extra.push((lock, descriptor(number)));
    }
    if let Some(number) = noted(service, "notification-fd", files::notification_fd(dir)) {
        let number = descriptor(number);
        if extra.iter().any(|(_, taken)| *taken == number) {
            return Err(failed("notification-fd is the same as lock-fd", Errno::INVAL));
        }
        let (mut read, write) = readiness_pipe().map_err(|e| failed("the readiness pipe", e))?;
        fault_point!("start.pipe");
        let _ = extra.push((write, number));
        if let Err(e) = context.epoll.add(read, context.readiness, Flags::IN) {
            read.close();
            return Err(failed("watching its readiness pipe", e));
        }
        service.notify_fd = read.0;
        service.notifies = 1;
        memory::commit(service);
        fault_point!("start.pipe.named");
    }
    let socket = notify_socket(context, service)?;
    let is_given = service.extras & (extra::SOCKETS | extra::NOTIFY) != 0;
    if is_given {
        gather(context, service, extra, socket.as_ref())?;
    }
    let own = name(service);
    let name = context.called.map_or(own.path(), Ok).map_err(|e| failed("its name", e))?;
    let argv = Argv::<3>::new(&[c"./run", name]);
    let mut cgroup = door(service);
    let stdio = stdio(context, service);
    let gifts = context.room.as_mut().filter(|_| is_given).map(|room| room.gifts());
    let (extra, given) = gifts.map_or((&extra[..], None), |(fds, env)| (fds, Some(env)));
    let spawn = Spawn {
        path: c"./run",
        argv: &argv,
        env: context.env,
        given,
        dir,
        stdio,
        extra,
        session: true,
        new_pidns: noted(service, "flag-newpidns", files::flag_newpidns(dir)),
        cgroup,
        nofile: context.nofile,
    };
    memory::commit(service);
    let redo = &mut *context.redo;
    redo.about_to_start(RUN);
    context.again = false;
    fault_point!("spawn.run.before");
    let started = spawn.start_on_record(&mut redo.pid, &mut redo.failed);
    fault_point!("spawn.run.after");
    service.pid = redo.pid;
    memory::commit(service);
    fault_point!("spawn.run.named");
    cgroup.close();
    if is_given {
        forget_gifts(context, service.pid);
    }
    started.map_err(not_started)
}

fn not_started(why: SpawnError) -> Failure {
    match why {
        SpawnError::Fork(e) => failed("no new process", e),
        SpawnError::Setup(e) => failed("setting up its process", e),
        SpawnError::Exec(e) => failed("./run", e),
    }
}

fn failed(what: &'static str, e: Errno) -> Failure {
    Failure::System(what, e, EXEC_AGAIN)
}

/// The address of the service's notification socket, if it asks for one; without one, it has none any more.
fn notify_socket(
    context: &mut Context<'_>,
    service: &mut Service,
) -> core::result::Result<Option<notify::Address>, Failure> {
    let asks = service.extras & extra::NOTIFY != 0;
    let Some(notify) = context.notify.as_mut().filter(|_| asks || service.notified != 0) else { return Ok(None) };
    if !asks {
        notify::close(notify, service);
        return Ok(None);
    }
    let settings = noted(service, "notify-socket", notify::settings(Fd(service.dir_fd)));
    service.watchdog = settings.watchdog;
    service.notifies |= u8::from(settings.ready);
    let (address, is_new) =
        notify::open(notify, service, &settings).map_err(|e| failed("its notification socket", e))?;
    if is_new {
        let token = Token { kind: context.notify_kind, ..context.readiness };
        if let Err(e) = context.epoll.add(Fd(notify.fd), token, Flags::IN) {
            notify::close(notify, service);
            return Err(failed("watching its notification socket", e));
        }
    }
    Ok(Some(address))
}

/// Collects what only this service is given.
fn gather(
    context: &mut Context<'_>,
    service: &mut Service,
    own: &[(Fd, i32)],
    socket: Option<&notify::Address>,
) -> core::result::Result<(), Failure> {
    let Some(room) = context.room.as_mut() else { return Err(failed("room for its descriptors", Errno::NOMEM)) };
    let start = handover::Start {
        slot: context.readiness.slot,
        held: context.held.as_ref(),
        wall: context.stamp,
        env: context.env,
        own,
    };
    handover::prepare(&start, service, EXEC_AGAIN, room).map_err(Failure::Handover)?;
    let (Some(socket), Some(notify)) = (socket, context.notify.as_ref()) else { return Ok(()) };
    notify::describe(notify, service, socket, &mut room.env).map_err(|e| failed("its environment", e))
}

/// The child has begun, or (`pid` 0) has not.
fn forget_gifts(context: &mut Context<'_>, pid: i32) {
    let Some(room) = context.room.as_mut() else { return };
    if let Some(held) = context.held.as_mut().filter(|_| pid > 0) {
        room.given(held, pid, context.now);
    }
    room.clear();
    memory::forget_seldom();
}

fn start_finish(context: &mut Context<'_>, service: &mut Service) -> Event {
    let started = match earlier(context, FINISH) {
        // A run was to be started already: there was none, or it could not be executed.
        Child::Never if context.again && context.redo.spawned == RUN => return Event::NoFinish,
        Child::Never => execute_finish(context, service),
        Child::Started(pid) => {
            service.pid = pid;
            Ok(true)
        }
        Child::Failed(why) => Err(why),
    };
    let dir = Fd(service.dir_fd);
    match started {
        Ok(true) => {
            Event::FinishStarted(Nanos::from(noted(service, "timeout-finish", files::timeout_finish(dir))) * MILLI)
        }
        Ok(false) => Event::NoFinish,
        Err(why) => {
            warning!("{}: cannot run ./finish: {}", label(service), Reason(why.errno()));
            Event::NoFinish
        }
    }
}

/// Answers whether there is one.
fn execute_finish(context: &mut Context<'_>, service: &mut Service) -> core::result::Result<bool, SpawnError> {
    let dir = Fd(service.dir_fd);
    // Most services have none: do not make a process to find that out.
    if !file::exists(dir, c"finish").unwrap_or(true) {
        return Ok(false);
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
    let [Ok(code), Ok(signal), Ok(name), Ok(group)] = words else { return Ok(false) };
    let argv = Argv::<6>::new(&[c"./finish", code, signal, name, group]);
    let mut cgroup = door(service);
    let spawn = Spawn {
        path: c"./finish",
        argv: &argv,
        env: context.env,
        given: None,
        dir,
        stdio: stdio(context, service),
        extra: &[],
        session: true,
        new_pidns: false,
        cgroup,
        nofile: context.nofile,
    };
    let redo = &mut *context.redo;
    redo.about_to_start(FINISH);
    context.again = false;
    fault_point!("spawn.finish.before");
    let started = spawn.start_on_record(&mut redo.pid, &mut redo.failed);
    fault_point!("spawn.finish.after");
    service.pid = redo.pid;
    memory::commit(service);
    fault_point!("spawn.finish.named");
    cgroup.close();
    started.map(|()| true)
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

/// Reads what has come through the readiness pipe; answers whether a newline was in it, and is in `bytes`. Closes the pipe
/// when the service did.
pub fn said_ready(service: &mut Service, bytes: &mut [u8]) -> bool {
    // What does not fit in these turns is read in the next: the pipe stays readable.
    for _ in 0..16 {
        let read = rustix::io::read(Fd(service.notify_fd), &mut *bytes);
        fault_point!("readiness.read");
        match read {
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

/// Forgets a descriptor, then closes it: one that nothing names is closed on entry.
fn close(number: &mut i32) {
    let mut fd = Fd(core::mem::replace(number, -1));
    memory::commit(number);
    fd.close();
}
