//! The loop: one epoll set, one signalfd, the deadlines. Everything that happens to process 1 (or to `svscan`) comes
//! through [`Engine::turn`]; nothing in it waits for anything else.
//!
//! The engine owns the tables of the arena and what is derived from them. It must never block, never exit while there
//! is something to supervise, and never act on an event whose handle is out of date.

use super::dependencies::{is_ready, is_up};
use super::enter::has_begun;
use super::order::{EDGES, Edges};
use super::slots::Slots;
use super::{Plan, Role};
use crate::access::fdholder::check_others;
use crate::fdholder::records::{Now, Records};
use crate::fdholder::rights::Source;
use crate::fdholder::server::{self, Server, Settings};
use crate::fdholder::table::Table;
use crate::has;
use crate::limits::{DEPENDENCIES, SERVICES};
use crate::service::handover::{self, Room};
use crate::service::machine::{Event, State, Timer, Waits};
use crate::service::news;
use crate::service::redo::Moment;
use crate::service::supervisor::{self, Context};
use crate::state::slot::Handle;
use crate::state::{Arena, Service, Tables, leave};
use crate::sys::args::Env;
use crate::sys::cell::TakeCell;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::memory::commit;
use crate::sys::process::Rlimit;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{self, Fd, memory, signal};
use crate::{error, fault_point};

/// Kinds of epoll tokens (those of the fd-holder are its own).
pub mod token {
    /// The signalfd.
    pub const SIGNALS: u8 = 1;
    /// `.s6-svscan/control`.
    pub const CONTROL: u8 = 2;
    /// A service's `supervise/control`.
    pub const SERVICE_CONTROL: u8 = 3;
    /// A service's readiness pipe.
    pub const READINESS: u8 = 4;
    /// A service's notification socket.
    pub const NOTIFY: u8 = 5;
    /// A descriptor that a service has stored.
    pub const STORED: u8 = 6;
}

/// Services whose deadline is acted on per turn: a start takes about a millisecond, and when hundreds are due the others
/// get their turn in between.
const TIMERS_PER_TURN: usize = 32;

/// Files are written and listeners told so long after a service was started again. The kernel would let us go on at once,
/// before its first instruction; asleep, we leave the processor to it.
const START_FIRST: Nanos = MILLI;
/// Listeners are told of the start so long after the death: see [`news::settle_in_turn`].
const APART: Nanos = 20 * MILLI;
/// What could not be told is told again after this.
const BEHIND_AGAIN: Nanos = SECOND;
/// Services that may be started again in that time; with more the news is not put off.
const OWING: usize = 32;

static SLOTS: TakeCell<Slots<SERVICES>> = TakeCell::new(Slots::new());

/// How the engine is to behave.
pub struct Config {
    /// Process 1, `svscan` or `supervise`.
    pub role: Role,
    /// Most supervised processes; at most [`SERVICES`].
    pub services_max: usize,
    /// Whether loggers count too, or go with their services.
    pub loggers_count: bool,
    /// Longest name of a service.
    pub name_max: usize,
    /// Scan again after so long; 0 for only when told.
    pub rescan: Nanos,
    /// How long a stop waits before it kills; 0 for what `.s6-svscan/stop-timeout` says.
    pub stop_timeout: Nanos,
    /// RLIMIT_NOFILE for children, if ours was raised.
    pub nofile: Option<Rlimit>,
}

/// Process 1's (or svscan's) loop and all it needs.
pub struct Engine {
    pub(super) tables: &'static mut Tables,
    pub(super) slots: &'static mut Slots<SERVICES>,
    pub(super) epoll: Epoll,
    pub(super) signals: Fd,
    pub(super) env: Env,
    pub(super) config: Config,
    /// The fd-holder, if it lives in this process.
    pub(super) holder: Option<Server>,
    /// Slots from here on were never used.
    pub(super) high: usize,
    /// Deaths may be left that no SIGCHLD will announce again.
    pub(super) more_deaths: bool,
    /// There are children that no record names.
    pub(super) strangers: bool,
    /// Somebody may wait for a dependency.
    pub(super) anybody_waits: bool,
    /// Somebody may wait for a descriptor to be held.
    pub(super) anybody_lacks: bool,
    /// When the newest held descriptor was stored, when they were last looked at for those.
    pub(super) newest_seen: Nanos,
    /// Where is put together what one child is given.
    room: Option<&'static mut Room>,
    /// In a stop: who depends on whom.
    pub(super) edges: &'static mut Edges<DEPENDENCIES>,
    /// In a stop: somebody is gone who depended on others.
    pub(super) dependant_gone: bool,
    /// No order waits in this turn.
    pub(super) no_orders: bool,
    /// Services that were started again and owe the world the news…
    pub(super) owing: heapless::Vec<usize, OWING>,
    /// …until then.
    pub(super) owing_until: Nanos,
    /// When those are told of again that could not be told of; 0: there are none.
    behind_until: Nanos,
    /// When something that a service said is to be shown; 0: nothing.
    pub(super) show_at: Nanos,
    /// How long the machine had slept when that was last asked.
    pub(super) slept: Nanos,
    /// What the last scan complained about.
    pub(super) complaints: super::scan::Complaints,
}

impl Engine {
    /// An engine over `arena`, a fresh one or one that has been checked. The descriptors of the scan directory and of the fd-holder's listener (if there is one) are
    /// in its header already. Errors: see epoll_create(2),
    /// signalfd(2); EBUSY if there is an engine in this process already.
    pub fn new(arena: Arena, env: Env, config: Config) -> sys::Result<Engine> {
        let slots = SLOTS.take().ok_or(sys::Errno::BUSY)?;
        let edges = EDGES.take().ok_or(sys::Errno::BUSY)?;
        for name in handover::VARIABLES {
            env.remove(name); // what somebody has told us of our descriptors is no child's business
        }
        let epoll = Epoll::new()?;
        let watched = config.role.signals();
        let signals = signal::open_signalfd(watched)?;
        epoll.add(signals, Token { kind: token::SIGNALS, slot: 0, generation: 0 }, Flags::IN)?;
        let control = Fd(arena.tables.header.control_fd);
        if control.is_some() {
            epoll.add(control, Token { kind: token::CONTROL, slot: 0, generation: 0 }, Flags::IN)?;
        }
        let high = (arena.tables.header.services_top as usize).min(SERVICES);
        let mut engine = Engine {
            tables: arena.tables,
            slots,
            epoll,
            signals,
            env,
            config,
            holder: None,
            high,
            more_deaths: true,
            strangers: false,
            anybody_waits: true,
            anybody_lacks: false,
            newest_seen: 0,
            room: Room::take(),
            edges,
            dependant_gone: false,
            no_orders: true,
            owing: heapless::Vec::new(),
            owing_until: 0,
            behind_until: 0,
            show_at: 0,
            slept: time::slept(),
            complaints: super::scan::Complaints::new(),
        };
        engine.start_holder()?;
        engine.derive_all();
        if !has_begun(&engine.tables.header) && !matches!(engine.config.role, Role::Supervise(_)) {
            engine.tables.header.scan_deadline = 1; // the first scan is due
        }
        Ok(engine)
    }

    /// The fd-holder, if there is a socket for it. Errors: see epoll_ctl(2).
    pub(super) fn start_holder(&mut self) -> sys::Result<()> {
        let listener = Fd(self.tables.header.fdholder_fd);
        if listener.is_some() {
            let was_sent = self.tables.epitaph.signal != 0 && self.tables.epitaph.code <= 0;
            let mut records = Records::of(self.tables);
            if was_sent {
                records.forgive();
            }
            let source = Source::Board(Some(check_others));
            let settings = Settings { source, upgrades: has::UPGRADE, ..Settings::default() };
            self.holder = Some(Server::new(listener, settings, &mut records, &self.epoll, &Now::read())?);
        }
        Ok(())
    }

    /// Runs until a stop is asked for.
    #[inline(never)] // into its caller, whose code is seldom run and let go of
    pub fn serve(&mut self) {
        while self.plan() == Plan::Run {
            self.turn(None);
        }
    }

    /// Runs until what was asked for is done: every service is stopped, or the stop's deadline has passed.
    #[inline(never)] // as above
    pub fn run(&mut self) -> Plan {
        loop {
            // What is due may be the last that a stop waits for: look before the wait, not only after it.
            self.fire(time::boot());
            let plan = self.plan();
            if plan != Plan::Run && self.stopped(plan) {
                // Each tells one more of a record's four events at least; what cannot be told must not keep us here.
                for _ in 0..4 {
                    self.settle(0);
                }
                return plan;
            }
            self.take_events(None);
        }
    }

    /// One turn: what is due, then what has happened, waiting for it at most until `limit` (boot-time).
    pub fn turn(&mut self, limit: Option<Nanos>) {
        self.fire(time::boot());
        self.take_events(limit);
    }

    fn take_events(&mut self, limit: Option<Nanos>) {
        leave::leave_if_told();
        #[cfg(feature = "faults")]
        crate::sys::inject::fail_if_asked();
        crate::fault_point!("turn");
        let now = time::boot();
        if self.anybody_lacks {
            self.look_for_descriptors(now);
        }
        let mut events = Events::new();
        let due = if self.more_deaths || self.dependant_gone { Some(now) } else { self.next_deadline(now) };
        let due = [due, limit].into_iter().flatten().min();
        let timeout = due.map(|at| at.saturating_sub(now));
        let ready = match self.epoll.wait(&mut events, timeout) {
            Ok(n) => events.get(..n).unwrap_or_default(),
            Err(e) => {
                error!("the event queue answers {}: this is a bug", crate::text::errno::Reason(e));
                &[]
            }
        };
        let now = time::boot();
        self.no_orders = !ready.iter().any(|(token, _)| matches!(token.kind, token::CONTROL | token::SERVICE_CONTROL));
        // What a service said before it died comes before its death, and its death before orders that came later.
        for (token, _) in ready {
            match token.kind {
                token::READINESS => self.readiness(*token, now),
                token::NOTIFY => self.notified(*token, now),
                _ => {}
            }
        }
        if ready.iter().any(|(token, _)| token.kind == token::SIGNALS) {
            self.read_signals(now);
        }
        if self.more_deaths {
            self.more_deaths = self.sweep(now);
        }
        for (token, _) in ready {
            match token.kind {
                token::CONTROL => self.read_control(now),
                token::SERVICE_CONTROL => self.service_control(*token, now),
                token::STORED => self.stored_hung_up(*token),
                server::LISTENER_KIND | server::CLIENT_KIND => self.holder_event(*token, now),
                _ => {}
            }
        }
        self.grant_wishes();
    }

    fn next_deadline(&mut self, now: Nanos) -> Option<Nanos> {
        let service = self.slots.first();
        let holder = match &self.holder {
            Some(holder) => holder.next_deadline(&Records::of(self.tables), &Now::at(now)),
            None => None,
        };
        if news::take_behind() {
            self.behind_until = now + BEHIND_AGAIN;
        }
        let header = &self.tables.header;
        let nonzero = |at: Nanos| (at > 0).then_some(at);
        let owing = (!self.owing.is_empty()).then_some(self.owing_until);
        let show = nonzero(self.show_at);
        [
            owing,
            nonzero(self.behind_until),
            show,
            service,
            holder,
            nonzero(header.scan_deadline),
            nonzero(header.stop_deadline),
            nonzero(header.pending_deadline),
            self.job_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Tells what services owe that were started again; of their start a little later than of their death.
    fn settle(&mut self, now: Nanos) {
        for slot in core::mem::take(&mut self.owing) {
            let Some(service) = self.tables.services.get_mut(slot) else { continue };
            if service.supervised != 0 && news::settle_in_turn(service) {
                let _ = self.owing.push(slot); // it had room before
            }
        }
        self.owing_until = now + APART;
    }

    /// Tells again of services of which something could not be told: the process had run out of descriptors, or the file
    /// system of room.
    fn catch_up(&mut self) {
        self.behind_until = 0;
        for slot in 0..self.high {
            let waits = self.owing.contains(&slot);
            match self.tables.services.get_mut(slot) {
                Some(service) if service.supervised != 0 && !waits && news::is_behind(service) => news::settle(service),
                _ => {}
            }
        }
    }

    fn fire(&mut self, now: Nanos) {
        if self.behind_until > 0 && self.behind_until <= now {
            self.catch_up();
        }
        if self.owing_until <= now {
            self.settle(now);
        }
        let header = &self.tables.header;
        if header.scan_deadline > 0 && header.scan_deadline <= now {
            self.scan(now);
            memory::forget_seldom();
        }
        let pending = self.tables.header.pending_deadline;
        if pending > 0 && pending <= now {
            self.bind_sockets();
        }
        if self.dependant_gone {
            self.tell_deferred(now);
        }
        for _ in 0..TIMERS_PER_TURN {
            let Some(slot) = self.slots.expired(now) else { break };
            match self.tables.services.get(slot).map(Timer::of) {
                Some(Timer::Respawn) => self.begin_supervisor(slot, now),
                Some(Timer::Linger) => self.go_on_releasing(slot),
                Some(Timer::Watchdog) if self.has_slept() => self.watch_anew(now),
                Some(_) => self.drive(slot, Event::Timer, now),
                None => {}
            }
        }
        self.expire_jobs(now);
        self.expire_stop(now);
        if self.show_at > 0 && self.show_at <= now {
            self.show_what_is_due(now);
        }
        if let Some(holder) = &mut self.holder {
            holder.expire(&mut Records::of(self.tables), &self.epoll, &Now::at(now));
        }
    }

    fn holder_event(&mut self, token: Token, now: Nanos) {
        let Some(holder) = &mut self.holder else { return };
        let mut records = Records::of(self.tables);
        let now = Now::at(now);
        if token.kind == server::LISTENER_KIND {
            holder.accept(&mut records, &self.epoll, &now);
        } else {
            let known = holder.client_ready(token.slot, token.generation, &mut records, &self.epoll, &now);
            if !known {
                self.tables.header.late_events = self.tables.header.late_events.wrapping_add(1);
            }
        }
    }

    /// Does what follows from the event that is on record (see [`Engine::drive`]); `again`: it was interrupted, and is fed
    /// again.
    pub(super) fn follow(&mut self, slot: usize, event: Event, moment: &Moment, again: bool) {
        let now = moment.now;
        let console = Fd(self.tables.header.console_fd);
        // In process 1 the catch-all logger's stdout would be what it reads.
        let console = [if matches!(self.config.role, Role::Init(_)) { console } else { Fd::NONE }, console];
        let Tables { header, services, notifies, held, redo, .. } = &mut *self.tables;
        let Some(service) = services.get_mut(slot).filter(|service| service.supervised != 0) else { return };
        let mut context = Context {
            epoll: &self.epoll,
            readiness: Token { kind: token::READINESS, slot: slot as u32, generation: service.generation },
            notify_kind: token::NOTIFY,
            notify: notifies.get_mut(slot),
            env: self.env,
            called: self.config.role.only_service(),
            nofile: self.config.nofile,
            null: Fd(header.null_fd),
            console,
            held: self.holder.is_some().then(|| Table::new(held, &mut header.held_top)),
            room: self.room.as_deref_mut(),
            cleared: matches!(event, Event::Release) || self.config.role.only_service().is_some(),
            now,
            stamp: moment.stamp,
            at_once: moment.at_once,
            redo,
            again,
        };
        let (pid, stdio_closed) = (service.pid, service.stdio_closed);
        let (was_up, was_ready, waited) = (is_up(service), is_ready(service), waited_for(service));
        let owes = supervisor::drive(&mut context, service, event);
        commit(service);
        fault_point!("drive.done");
        redo.end();
        fault_point!("drive.end");
        if owes {
            if self.owing.is_empty() {
                self.owing_until = now + START_FIRST;
            }
            if self.owing.push(slot).is_err() {
                news::settle(service);
            }
        }
        if service.stdio_closed != stdio_closed {
            self.config.role.close_stdio();
        }
        if service.pid != pid || again {
            self.slots.set_pid(slot, service.pid);
        }
        self.slots.set_deadline(slot, service.deadline);
        let (turns, becomes_ready) = (was_up != is_up(service), !was_ready && is_ready(service));
        let held = Waits::of(service) == Waits::Unknown;
        if Waits::of(service) == Waits::Descriptor {
            (self.anybody_waits, self.anybody_lacks) = (true, true);
        }
        let gone = State::of(service) == Some(State::Gone);
        if waited_for(service) != waited {
            self.note_waiting(slot, now);
        }
        if becomes_ready {
            self.wake_waiting(slot, now);
        } else if turns {
            self.retell_waiting(slot, now);
        }
        if held {
            self.look_at_dependencies(slot, now);
        }
        if gone {
            self.supervisor_gone(slot, now);
        }
    }

    fn readiness(&mut self, token: Token, now: Nanos) {
        let Some(slot) = self.current(token, |service| service.notify_fd) else { return };
        self.hear_readiness(slot, now);
    }

    /// The slot that a token means, if it still belongs to whom it belonged to when the token was made.
    pub(super) fn current(&mut self, token: Token, fd: impl Fn(&Service) -> i32) -> Option<usize> {
        let handle = Handle { slot: token.slot as usize, generation: token.generation };
        let service = self.tables.services.get(handle.slot)?;
        if service.used != 0 && service.generation == handle.generation && fd(service) >= 0 {
            return Some(handle.slot);
        }
        self.tables.header.late_events = self.tables.header.late_events.wrapping_add(1);
        None
    }

    /// What was asked for last.
    pub fn plan(&self) -> Plan {
        Plan::of(&self.tables.header)
    }

    /// Notes how far the boot (or the end) has come.
    pub fn set_progress(&mut self, progress: u32) {
        self.tables.header.boot_progress = progress;
    }

    /// Slots that are in use.
    pub(super) fn used(&self) -> impl Iterator<Item = (usize, &Service)> {
        self.tables.services.iter().take(self.high).enumerate().filter(|(_, service)| service.used != 0)
    }
}

/// What decides what `supervise/waiting` says. That of a watchdog is put off all the time, and not said.
pub(super) fn waited_for(service: &Service) -> (u8, u8, u8, u8, Nanos) {
    let (waits, deferred, gave_up) = (service.waits, service.deferred, service.gave_up);
    match Timer::of(service) {
        Timer::Watchdog => (waits, deferred, gave_up, 0, 0),
        _ => (waits, deferred, gave_up, service.timer, service.deadline),
    }
}
