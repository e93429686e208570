//! What a service's record, and that of its notification socket, can be; and what is made of one that cannot be so. The
//! service runs on: what its record has lost is taken from the kernel, or it is a service that was never started.
//!
//! `svscan::mend` goes through the records, all of them once for each function here: who can prove what he has comes first.

use super::machine::{State, Timer, Waits, arm};
use super::{kind, label};
use crate::fdholder::table::Origin;
use crate::limits::{NOTIFY_STATUS, STORED_MOST};
use crate::rules;
use crate::state::check::{Bound, Check, FAR, Rule};
use crate::state::claims::Of;
use crate::state::ledger::What;
use crate::state::{Held, Notify, Service};
use crate::sys::time::{Nanos, SECOND};
use core::fmt;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const RULES: &[Rule] = rules!(Service:
    active Bound::Most(1, 1),
    want_up Bound::Most(1, 1),
    paused Bound::Most(1, 0),
    ready Bound::Most(1, 1),
    fresh Bound::Most(1, 0),
    stdio_closed Bound::Most(1, 0),
    supervised Bound::Most(1, 1),
    state Bound::Most(State::Gone as u32, State::Down as u32),
    timer Bound::Most(Timer::Watchdog as u32, 0),
    wstat Bound::Most(0xffff, 0),
    stamp_sec Bound::Label,
    ready_sec Bound::Label,
    stamp_nano Bound::Most(999_999_999, 0),
    ready_nano Bound::Most(999_999_999, 0),
    started Bound::Past,
    supervisor_started Bound::Past,
    died Bound::Past,
    trouble Bound::Most(4095, 0),
    drains Bound::Most(1, 0),
    waits Bound::Most(Waits::Descriptor as u32, Waits::Unknown as u32),
    notifies Bound::Most(1, 0),
    failures Bound::Most(63, 0),
    deferred Bound::Most(2, 0),
    waiting_file Bound::Most(1, 1),
    untallied Bound::Most(1, 0),
    lingers Bound::Most(250, 0),
    notified Bound::Most(1, 1),
    gave_up Bound::Most(1, 0),
    watchdog Bound::Near(0),
);

const NOTIFY_RULES: &[Rule] = rules!(Notify:
    access Bound::Most(1, 0),
    hidden Bound::Most(1, 1),
    state Bound::Most(3, 0),
    stored_max Bound::Most(STORED_MOST as u32, 0),
    name_len Bound::Most(24, 0),
    status_len Bound::Most(NOTIFY_STATUS as u32, 0),
    logged Bound::Past,
    written Bound::Past,
    due Bound::Near(1),
);

/// A lost deadline of a kill is so far away.
const KILL_LATER: Nanos = 60 * SECOND;

struct Called<'a>(&'a Service, usize);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !has_name(self.0) {
            return write!(f, "the service in slot {}", self.1);
        }
        write!(f, "{} in slot {}", label(self.0), self.1)
    }
}

fn called(record: &[u8], slot: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    Service::ref_from_bytes(record).map_or(Ok(()), |service| write!(f, "{}", Called(service, slot)))
}

fn called_notify(_: &[u8], slot: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the notification socket of the service in slot {slot}")
}

/// What a record says that was interrupted half-way, where that is no damage: who has no supervisor has no descriptors of
/// one.
pub fn tidy(service: &mut Service) {
    if service.used != 0 && service.supervised == 0 && matches!(State::of(service), Some(State::Down | State::Gone)) {
        for fd in [&mut service.dir_fd, &mut service.control_fd, &mut service.lock_fd, &mut service.notify_fd] {
            *fd = -1;
        }
    }
}

/// Where else something of a record's identity may be read.
pub struct Hints<'a> {
    /// The records of notification sockets.
    pub notifies: &'a [Notify],
    /// What is held.
    pub held: &'a [Held],
}

/// Checks who a record is of. What is damaged of that is found again, if its checksum says so; a record that can prove by
/// its directory that it is of somebody is kept; another one is given up: the next scan makes it anew.
pub fn identity(services: &mut [Service], slot: usize, hints: &Hints<'_>, check: &mut Check<'_>) {
    let Some(service) = services.get_mut(slot) else { return };
    if service.used == 0 {
        // One that is being made, or was given up, has no supervisor.
        let is_lost = service.supervised == 1 && has_name(service) && service.checksum == service.identity_sum();
        if !is_lost || !check.wrong(slot, &Called(service, slot), "its record says that it is not in use: it is") {
            return;
        }
        service.used = 1;
    }
    if service.used != 1
        && check.wrong(slot, &Called(service, slot), "its record is neither in use nor free: it is in use")
    {
        service.used = 1;
    }
    if !is_whole(service) {
        let seen = check.ledger.look(service.dir_fd).filter(|look| look.what == What::Directory);
        let seen = seen.map(|look| (look.dev, look.ino));
        // In dry runs nothing is tried.
        let known = seen == Some((service.dev, service.ino));
        if !check.mends {
            check.wrong(slot, &Called(service, slot), "its identity is damaged");
            return;
        }
        let generation = hint(hints, slot);
        if restore(services, slot, seen, generation) {
            let Some(service) = services.get(slot) else { return };
            check.wrong(slot, &Called(service, slot), "a part of its identity was damaged: it is found again");
        } else if known {
            make_credible(services, slot);
            let Some(service) = services.get(slot) else { return };
            check.wrong(slot, &Called(service, slot), "its identity is damaged: what is left of it counts");
        } else {
            let Some(service) = services.get_mut(slot) else { return };
            check.wrong(
                slot,
                &Called(service, slot),
                "its record is damaged, and given up: the next scan makes a new one",
            );
            return service.zero();
        }
    }
    let Some(service) = services.get_mut(slot) else { return };
    if !check.claims.take_key(Of::Directory, &[service.dev.as_bytes(), service.ino.as_bytes()])
        && check.wrong(slot, &Called(service, slot), "its record is that of another one once more: it is given up")
    {
        service.zero();
    }
}

fn has_name(service: &Service) -> bool {
    let name = service.name_bytes();
    !name.is_empty() && !name.contains(&0) && !name.contains(&b'/')
}

fn is_whole(service: &Service) -> bool {
    service.checksum == service.identity_sum() && service.kind <= kind::ALONE && has_name(service)
}

/// The generation that others believe the record of a slot to have.
fn hint(hints: &Hints<'_>, slot: usize) -> Option<u32> {
    let notify = hints.notifies.get(slot).filter(|notify| notify.used == 1).map(|notify| notify.generation);
    let owned = |held: &&Held| Origin::of(held) == Origin::Service && usize::try_from(held.service) == Ok(slot);
    notify.or_else(|| hints.held.iter().filter(|held| held.used != 0).find(owned).map(|held| held.service_generation))
}

/// Puts in the place of each part of an identity what else it may be, until the checksum is right.
fn restore(services: &mut [Service], slot: usize, seen: Option<(u64, u64)>, generation: Option<u32>) -> bool {
    let back = services.iter().position(|other| other.used != 0 && usize::try_from(other.partner) == Ok(slot));
    let name = partner(services, slot).map(|other| (other.name, other.name_len));
    let Some(service) = services.get_mut(slot) else { return false };
    let (was, partner) = (service.kind, service.partner);
    for kind in kind::SERVICE..=kind::ALONE {
        service.kind = kind;
        if is_whole(service) {
            return true;
        }
    }
    service.kind = was;
    for other in [-1, back.map_or(-1, |back| back as i32)] {
        service.partner = other;
        if is_whole(service) {
            return true;
        }
    }
    service.partner = partner;
    let was = (service.dev, service.ino);
    (service.dev, service.ino) = seen.unwrap_or(was);
    if is_whole(service) {
        return true;
    }
    (service.dev, service.ino) = was;
    let was = service.generation;
    service.generation = generation.unwrap_or(was);
    if is_whole(service) {
        return true;
    }
    service.generation = was;
    let was = service.name_len;
    for len in 1..=u8::MAX {
        service.name_len = len;
        if is_whole(service) {
            return true;
        }
    }
    service.name_len = was;
    if let Some((name, len)) = name {
        let was = core::mem::replace(&mut service.name, name);
        let was_len = core::mem::replace(&mut service.name_len, len);
        if is_whole(service) {
            return true;
        }
        (service.name, service.name_len) = (was, was_len);
    }
    false
}

fn partner(services: &[Service], slot: usize) -> Option<&Service> {
    let partner = usize::try_from(services.get(slot)?.partner).ok()?;
    services.get(partner).filter(|other| partner != slot && other.used != 0)
}

/// Gives a record an identity that may be; a scan finds out what its name is.
fn make_credible(services: &mut [Service], slot: usize) {
    let logs = partner(services, slot).is_some_and(|other| other.kind != kind::LOGGER);
    let Some(service) = services.get_mut(slot) else { return };
    if service.kind > kind::ALONE {
        service.kind = if logs { kind::LOGGER } else { kind::SERVICE };
    }
    let left = service.name_bytes().iter().take_while(|byte| !matches!(byte, 0 | b'/')).count();
    service.name_len = left as u8;
    if left == 0 {
        service.set_name(b"nameless");
    }
    service.seal();
}

/// Checks whether a record's partner is so the other way round too.
pub fn link(services: &mut [Service], slot: usize, check: &mut Check<'_>) {
    let Some(service) = services.get(slot).filter(|service| service.used != 0 && service.partner != -1) else { return };
    let mutual = partner(services, slot).is_some_and(|other| {
        usize::try_from(other.partner) == Ok(slot) && (other.kind == kind::LOGGER) != (service.kind == kind::LOGGER)
    });
    if mutual
        || !check.wrong(slot, &Called(service, slot), "it is not connected with its logger, or its service, any more")
    {
        return;
    }
    let Some(service) = services.get_mut(slot) else { return };
    service.partner = -1;
    if service.kind == kind::LOGGER {
        service.active = 0; // so that a scan gives it to whom it belongs to
    }
    service.seal();
}

/// Whether a record is certainly one of a service.
pub fn is_certain(service: &Service) -> bool {
    service.used == 1 && is_whole(service)
}

/// Checks the fields of a record that stand for themselves.
pub fn values(service: &mut Service, slot: usize, services_top: u32, check: &mut Check<'_>) {
    check.fields(service.as_mut_bytes(), slot, RULES, called);
    if service.extras >= 64
        && check.wrong(slot, &Called(service, slot), "its extra files are not known: they are looked for")
    {
        (service.extras, service.looked) = (0, 0);
    }
    let lasting = service.untold.iter().position(|byte| *byte == 0).unwrap_or(service.untold.len());
    let credible = service.untold.iter().take(lasting).all(|byte| b"sudDxOU".contains(byte));
    if !(credible && service.untold.iter().skip(lasting).all(|byte| *byte == 0))
        && check.wrong(slot, &Called(service, slot), "what it owes its listeners is not known: it is nothing")
    {
        service.untold = [0; 4];
    }
    let on = service.waits_on;
    if !(on == -1 || on >= 0 && (on as u32) < services_top)
        && check.wrong(slot, &Called(service, slot), "what it waits for is not known: it is looked for")
    {
        service.waits_on = -1;
        service.waits = if service.waits == 0 { 0 } else { Waits::Unknown as u8 };
    }
}

/// Checks the directory of a service, and whose death it has taken.
pub fn directory(service: &mut Service, slot: usize, check: &mut Check<'_>) {
    if service.dead_pid != 0
        && !(service.dead_pid > 0 && check.ledger.is_child(service.dead_pid))
        && check.wrong(slot, &Called(service, slot), "nobody has died whose death it has taken: that is forgotten")
    {
        service.dead_pid = 0;
    }
    let why = "its directory's descriptor is not that: it is opened again";
    let identity = Some((service.dev, service.ino));
    let fd = check.descriptor(service.dir_fd, What::Directory, identity, why, slot, &Called(service, slot));
    if check.mends {
        service.dir_fd = fd;
    }
}

/// Checks the descriptors that can be found by their names.
pub fn named_descriptors(service: &mut Service, slot: usize, check: &mut Check<'_>) {
    // A look costs something: while nothing is wrong, what is a FIFO is the one.
    let dir = if check.mends && service.dir_fd >= 0 { Some(service.dir_fd) } else { None };
    for (fd, what, path, why) in [
        (service.control_fd, What::Pipe, c"supervise/control", "its control FIFO is not that: it is opened again"),
        (service.lock_fd, What::File, c"supervise/lock", "its lock is not that: it is locked again"),
    ] {
        let identity = dir.and_then(|dir| check.ledger.at(dir, path));
        let fd = check.descriptor(fd, what, identity, why, slot, &Called(service, slot));
        match what {
            _ if !check.mends => {}
            What::Pipe => service.control_fd = fd,
            _ => service.lock_fd = fd,
        }
    }
}

/// Whether a descriptor is an end of a pipe that this service may have: a logger reads, others write. That costs something:
/// while nothing is wrong, it is believed.
fn is_own_end(service: &Service, check: &mut Check<'_>) -> bool {
    !check.mends || check.ledger.reads(service.pipe_fd).is_none_or(|reads| reads == (service.kind == kind::LOGGER))
}

/// Checks the pipe between a service and its logger; answers whether both are connected by the same one. `said`: this was
/// asked of the partner already, and was so.
pub fn pair(services: &[Service], slot: usize, said: bool, check: &mut Check<'_>) -> bool {
    let (Some(service), Some(other)) = (services.get(slot), partner(services, slot)) else { return false };
    if service.used == 0 || service.pipe_fd < 0 || service.pipe_fd == other.pipe_fd || !is_own_end(service, check) {
        return false;
    }
    if said {
        return check.claims.take(service.pipe_fd);
    }
    let (one, other) = (check.ledger.look(service.pipe_fd), check.ledger.look(other.pipe_fd));
    one.is_some_and(|one| one.what == What::Pipe) && one == other && check.claims.take(service.pipe_fd)
}

/// Checks the other descriptors. `paired`: [`pair`] has said so. `other`: the pipe of its partner.
pub fn descriptors(service: &mut Service, slot: usize, paired: bool, other: i32, check: &mut Check<'_>) {
    let why = "its end of the pipe between it and its logger is not that";
    if !paired
        && service.pipe_fd != -1
        && !(is_own_end(service, check) && check.claim(service.pipe_fd, What::Pipe, None))
        && check.wrong(slot, &Called(service, slot), why)
    {
        let pipe = check.ledger.look(other).filter(|look| look.what == What::Pipe);
        let reads = Some(service.kind == kind::LOGGER);
        service.pipe_fd = pipe.map_or(-1, |pipe| check.find(Some(What::Pipe), (pipe.dev, pipe.ino), reads));
    }
    let why = "its readiness pipe is not that: it cannot say any more that it is ready";
    let notify = check.descriptor(service.notify_fd, What::Pipe, None, why, slot, &Called(service, slot));
    let why = "its control group's descriptor is not that: it is opened again";
    let cgroup = check.descriptor(service.cgroup_fd, What::Directory, None, why, slot, &Called(service, slot));
    if check.mends {
        (service.notify_fd, service.cgroup_fd) = (notify, cgroup);
    }
}

/// Checks its process, its state, its timer. `stopping`: everything is being stopped.
pub fn process(service: &mut Service, slot: usize, stopping: bool, check: &mut Check<'_>) {
    let state = State::of(service).unwrap_or(State::Down);
    let runs = !matches!(state, State::Down | State::Gone);
    if service.supervised == 0 {
        let lives = runs && service.pid > 0 && check.ledger.is_child(service.pid);
        if lives && check.wrong(slot, &Called(service, slot), "its record says that it has no supervisor: it has") {
            service.supervised = 1;
        } else {
            return without_supervisor(service, slot, runs, check);
        }
    }
    let told = if check.mends { check.ledger.status(service.dir_fd) } else { None };
    if let Some((pid, finishing)) = told.filter(|(pid, _)| *pid > 0 && *pid != service.pid) {
        let settled = service.published == service.sequence || !check.ledger.is_child(service.pid);
        if settled
            && check.ledger.is_child(pid)
            && check.wrong(
                slot,
                &Called(service, slot),
                "its process is not that of its record: it is that of its status file",
            )
        {
            service.pid = pid;
            set_running(service, finishing);
        }
    }
    let lives = service.pid > 0
        && check.ledger.is_child(service.pid)
        && (matches!(State::of(service), Some(State::Gone))
            || check.claims.take_key(Of::Process, &[service.pid.as_bytes()]));
    let state = State::of(service).unwrap_or(State::Down);
    let runs = !matches!(state, State::Down | State::Gone);
    if lives
        && !runs
        && check.wrong(slot, &Called(service, slot), "its process lives, against what its record says: it is up")
    {
        set_running(service, told.is_some_and(|(pid, finishing)| pid == service.pid && finishing));
    }
    if !lives
        && runs
        && check.wrong(slot, &Called(service, slot), "its process is no child of ours, or another's: it is down")
    {
        service.state = State::Down as u8;
        (service.pid, service.paused, service.ready) = (0, 0, 1);
        (service.timer, service.deadline) = (0, 0);
    }
    if !lives
        && state == State::Down
        && service.pid != 0
        && check.wrong(slot, &Called(service, slot), "it is down: it has no process")
    {
        service.pid = 0;
    }
    timer(service, slot, stopping, check);
}

fn set_running(service: &mut Service, finishing: bool) {
    let last = matches!(State::of(service), Some(State::LastUp | State::LastFinish));
    service.state = match (finishing, last) {
        (false, false) => State::Up,
        (false, true) => State::LastUp,
        (true, false) => State::Finish,
        (true, true) => State::LastFinish,
    } as u8;
}

fn without_supervisor(service: &mut Service, slot: usize, runs: bool, check: &mut Check<'_>) {
    if runs && check.wrong(slot, &Called(service, slot), "it has no supervisor, and so no state") {
        service.state = State::Gone as u8;
    }
    let fits = matches!(Timer::of(service), Timer::None | Timer::Respawn | Timer::Linger);
    if !fits && check.wrong(slot, &Called(service, slot), "it has no supervisor: it is to have one") {
        arm(service, Timer::Respawn, check.now);
    }
    deadline(service, slot, check);
}

fn timer(service: &mut Service, slot: usize, stopping: bool, check: &mut Check<'_>) {
    let state = State::of(service).unwrap_or(State::Down);
    let fits = match Timer::of(service) {
        Timer::None => true,
        Timer::Start => state == State::Down,
        Timer::Kill | Timer::Watchdog => matches!(state, State::Up | State::LastUp),
        Timer::KillFinish => matches!(state, State::Finish | State::LastFinish),
        Timer::Respawn | Timer::Linger => false,
    };
    if !fits && check.wrong(slot, &Called(service, slot), "its timer is not one of its state") {
        (service.timer, service.deadline) = (0, 0);
        if matches!(state, State::Up | State::LastUp) && service.watchdog > 0 {
            arm(service, Timer::Watchdog, check.now.saturating_add(service.watchdog));
        }
    }
    deadline(service, slot, check);
    if service.waits != 0
        && state != State::Down
        && check.wrong(slot, &Called(service, slot), "it runs: it waits for nothing")
    {
        (service.waits, service.waits_on) = (0, -1);
    }
    let idle = Timer::of(service) == Timer::None && service.waits == 0;
    if state == State::Down
        && idle
        && service.want_up != 0
        && !stopping
        && check.wrong(slot, &Called(service, slot), "it is down, wanted up, and waits for nothing: it is started")
    {
        arm(service, Timer::Start, check.now);
    }
}

fn deadline(service: &mut Service, slot: usize, check: &mut Check<'_>) {
    let timer = Timer::of(service);
    let fits = service.deadline > 0 && service.deadline <= check.now.saturating_add(FAR);
    if timer != Timer::None
        && !fits
        && check.wrong(slot, &Called(service, slot), "its timer's deadline cannot be: it has another")
    {
        let later = match timer {
            Timer::Watchdog => service.watchdog,
            Timer::Kill | Timer::KillFinish => KILL_LATER,
            _ => 0,
        };
        arm(service, timer, check.now.saturating_add(later));
    }
}

/// Checks a service's notification socket. `notify` is the record of its slot; it is looked at if there is a reason to.
pub fn notify(service: &mut Service, notify: &mut Notify, slot: usize, check: &mut Check<'_>) {
    if service.notified == 0 {
        let is_there = notify.used == 1 && notify.generation == service.generation && notify.fd >= 0;
        if !is_there
            || !check.wrong(slot, &Called(service, slot), "its record says that it has no notification socket: it has")
        {
            return;
        }
        service.notified = 1;
    }
    check.fields(notify.as_mut_bytes(), slot, NOTIFY_RULES, called_notify);
    let fits =
        notify.used == 1 && notify.generation == service.generation && check.claim(notify.fd, What::Socket, None);
    if !fits && check.wrong(slot, &Called(service, slot), "its notification socket is lost: its next run has a new one")
    {
        notify.used = 0;
        notify.fd = -1;
        (service.notified, service.watchdog) = (0, 0);
        if Timer::of(service) == Timer::Watchdog {
            (service.timer, service.deadline) = (0, 0); // it cannot say that it is alive
        }
    }
}
