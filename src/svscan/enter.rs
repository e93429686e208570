//! Entering again: what is done with an arena that an earlier incarnation of the process has left, before the loop goes on.
//!
//! There is one way in, not two: [`Engine::new`] makes all that is derived from the records, of which a fresh arena has
//! none. What differs for an old one is here: [`check`] before anything else looks at it, [`Engine::resume`] when all is there.

use super::children::JobKind;
use super::engine::{Engine, token};
use super::mend::mend;
use super::published::{self, Found};
use super::start::{forget_inherited, inherited};
use super::{Plan, Role};
use crate::fdholder::{session, transfer};
use crate::limits::DESCRIPTORS;
use crate::log;
use crate::service::{label, machine, redo, status};
use crate::state::ledger::{Ledger, Look, What};
use crate::state::{Header, Job, Tables, Why};
use crate::sys::cell::LendCell;
use crate::sys::epoll::{Flags, Token};
use crate::sys::fd::{Inherited, close_all_on_exec, each_open};
use crate::sys::time::{self, Nanos};
use crate::sys::{Errno, Fd, memory, process, socket};
use crate::text::errno::Reason;
use crate::{error, fault_point, notice, warning};
use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rustix::fs::{AtFlags, FileType, OFlags, SeekFrom};

/// A number that may be a descriptor's.
fn number(fd: i32) -> Option<Fd> {
    (fd >= 0).then_some(Fd(fd))
}

/// What the kernel says.
struct Kernel {
    arena: Fd,
}

impl Ledger for Kernel {
    fn look(&mut self, fd: i32) -> Option<Look> {
        if fd < 0 {
            return None;
        }
        let stat = rustix::fs::fstat(Fd(fd)).ok()?;
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => What::Directory,
            FileType::Fifo => What::Pipe,
            FileType::Socket if socket::listens(Fd(fd)) == Ok(true) => What::Listener,
            FileType::Socket => What::Socket,
            FileType::RegularFile => What::File,
            _ => What::Other,
        };
        Some(Look { what, dev: stat.st_dev as u64, ino: stat.st_ino as u64 })
    }

    fn is_child(&mut self, pid: i32) -> bool {
        process::is_child(pid)
    }

    fn reads(&mut self, fd: i32) -> Option<bool> {
        let fd = number(fd)?;
        let flags = rustix::fs::fcntl_getfl(fd).ok()?;
        (!flags.contains(OFlags::RDWR)).then(|| !flags.contains(OFlags::WRONLY))
    }

    fn at(&mut self, dir: i32, path: &CStr) -> Option<(u64, u64)> {
        let dir = if dir == Fd::CWD.0 { Fd::CWD } else { number(dir)? };
        let stat = rustix::fs::statat(dir, path, AtFlags::empty()).ok()?;
        Some((stat.st_dev as u64, stat.st_ino as u64))
    }

    fn status(&mut self, dir: i32) -> Option<(i32, bool)> {
        status::read(number(dir)?).ok().map(|status| (status.pid, status.finishing))
    }

    fn peer(&mut self, fd: i32) -> Option<(u32, u32, u32)> {
        socket::peer(number(fd)?).ok().map(|peer| (peer.pid, peer.uid, peer.gid))
    }

    fn written(&mut self, from: usize) -> Option<usize> {
        match rustix::fs::seek(self.arena, SeekFrom::Data(from as u64)) {
            Ok(at) => Some(at as usize),
            Err(Errno::NXIO) => None,
            Err(_) => Some(from), // it cannot tell
        }
    }
}

/// What was found on entering, until it is published: records that were reset, descriptors that were closed.
static RESET: AtomicU32 = AtomicU32::new(0);
static CLOSED: AtomicU32 = AtomicU32::new(0);

/// [`Header::boot_progress`] from when the loop begins: all that comes before it is done.
pub const RUNNING: u32 = 4;

/// Whether the loop has run already.
pub fn has_begun(header: &Header) -> bool {
    header.boot_progress >= RUNNING
}

/// Checks what an earlier incarnation has left, if one has: every record alone, against the others and against the kernel.
/// What is wrong is reset, and told. If the loop has not run yet, what nobody names is closed here, so that it is in nobody's
/// way; else [`Engine::resume`] does it, when everybody has said what is his.
pub fn check(tables: &mut Tables, why: Why, role: Role) {
    if why == Why::Fresh {
        return;
    }
    redo::complete(&mut tables.redo, &mut tables.services);
    let mut resets = 0;
    let arena = Fd(tables.header.arena_fd);
    mend(tables, role, &mut Kernel { arena }, &mut |what| {
        resets += 1;
        error!("{what}");
    });
    if leave_children_nothing_of_ours(tables, role) {
        resets += 1;
        error!("the arena's header: what was left to us for our children is damaged: what is ours is not among it");
    }
    RESET.store(resets, Relaxed);
    if resets > 0 && has_begun(&tables.header) && Plan::of(&tables.header) == Plan::Run {
        tables.header.scan_deadline = 1; // what has lost its record is found again
    }
    if !has_begun(&tables.header) {
        let closed = close_unnamed(tables, &[], &mut |_| false);
        CLOSED.store(closed as u32, Relaxed);
    }
    fault_point!("enter.checked");
}

/// Nothing that a record names was left to us for our children, and to process 1 nothing is. Answers whether the header said
/// so: then it does not any more, and they do not get it.
fn leave_children_nothing_of_ours(tables: &mut Tables, role: Role) -> bool {
    let before = inherited(&tables.header);
    let mut after = before;
    if matches!(role, Role::Init(_)) {
        after = Inherited { own_from: before.own_from.clamp(0, 3), ..Inherited::default() };
    }
    each_named(tables, &mut |number| {
        if number > 2 && after.has(number) {
            after.forget(number);
        }
    });
    if after == before {
        return false;
    }
    (tables.header.own_from, tables.header.inherited) = (after.own_from, after.mask);
    after.remember();
    close_all_on_exec(after);
    true
}

impl Engine {
    /// Makes what is derived of a record: where it is found, when it is due, what of it is watched.
    pub(super) fn derive(&mut self, slot: usize) {
        let Some(service) = self.tables.services.get(slot).filter(|service| service.used != 0) else { return };
        self.slots.set_identity(slot, super::records::identity_key(service.dev, service.ino));
        self.slots.set_pid(slot, service.pid);
        self.slots.set_deadline(slot, service.deadline);
        let token = |kind| Token { kind, slot: slot as u32, generation: service.generation };
        for (number, kind) in [(service.control_fd, token::SERVICE_CONTROL), (service.notify_fd, token::READINESS)] {
            if number < 0 {
                continue;
            }
            match self.epoll.add(Fd(number), token(kind), Flags::IN) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => warning!("{}: cannot watch descriptor {number}: {}", label(service), Reason(e)),
            }
        }
        self.watch_notify(slot);
    }

    /// Makes what is derived of all records.
    pub(super) fn derive_all(&mut self) {
        for slot in 0..self.high {
            self.derive(slot);
        }
        self.watch_stored();
        let mut used = self.used();
        let lacks = used.any(|(_, service)| machine::Waits::of(service) == machine::Waits::Descriptor);
        drop(used);
        self.anybody_lacks = lacks;
        fault_point!("enter.derived");
    }

    /// The loop is about to run. `ready` is not needed any more: whoever waits for us was told.
    pub fn begin(&mut self, ready: Option<Fd>) {
        let header = &mut self.tables.header;
        if !has_begun(header) {
            header.boot_progress = RUNNING;
        }
        if let Some(mut ready) = ready {
            forget_inherited(header, ready);
            ready.close();
        }
    }

    /// Whether the board's init script was started, be it by an earlier incarnation that could not note it any more: then
    /// there is the record of the job, into which the kernel has written the pid.
    pub fn has_started_init(&self) -> bool {
        let is_it = |job: &Job| job.used != 0 && job.kind == JobKind::InitScript as u8 && job.pid > 0;
        self.tables.header.init_started != 0 || self.tables.jobs.iter().any(is_it)
    }

    /// Notes that it was started, or cannot be.
    pub fn note_started_init(&mut self) {
        self.tables.header.init_started = 1;
    }

    /// How long processes that are left at the end have between SIGTERM and SIGKILL.
    pub fn kill_timeout(&self) -> Nanos {
        self.tables.header.kill_timeout
    }

    /// Goes on where the earlier incarnation was interrupted, if there was one.
    #[inline(never)] // it is needed seldom
    pub fn resume(&mut self) {
        if self.tables.header.incarnation == 0 {
            return;
        }
        let now = time::boot();
        // Before anything is begun again: a lock that nobody names must not be in its way.
        self.close_what_nobody_names(now);
        self.repair();
        self.finish_transfer(now);
        self.redo(now);
        self.find_children(now);
        fault_point!("enter.children");
        if self.plan() != Plan::Run {
            self.find_dependants();
            self.dependant_gone = true; // look whom to tell next
        }
        self.take_up_inbox(now);
        self.go_on_with_stop(now);
        fault_point!("enter.told");
        self.tell_asker();
        if has_begun(&self.tables.header) {
            self.tell_of_return();
        }
        memory::forget_seldom();
    }

    /// Lets people know of the process, before it is said to be ready.
    pub fn publish(&self) {
        published::write(self.tables, Found::default());
    }

    fn tell_of_return(&self) {
        let Tables { header, epitaph, .. } = &*self.tables;
        let services = self.used().count();
        let held = self.tables.held.iter().take(header.held_top as usize).filter(|held| held.used != 0).count();
        let asked = header.entered_why == Why::Asked as u32;
        let failed = !asked && epitaph.time > 0 && epitaph.time <= header.entered;
        let began = if failed { epitaph.time } else { header.entered };
        let took = time::boot().saturating_sub(began) / 1000;
        let after = if asked { "entered again as asked" } else { "back after a fault" };
        let (reset, closed) = (RESET.load(Relaxed), CLOSED.load(Relaxed));
        published::write(self.tables, Found { reset, closed, back_after: if asked { 0 } else { took } });
        notice!("{after}: {services} services, {held} held descriptors, {took} us");
    }

    /// Forgets all records, with what they hold: the loop has not run yet, and they are made anew.
    pub(super) fn forget_records(&mut self) {
        for slot in 0..self.high {
            self.release(slot);
        }
    }

    /// Closes every descriptor that is open and that no record, nor anything else here, names.
    fn close_what_nobody_names(&mut self, now: Nanos) {
        let own = [self.epoll.fd(), self.signals];
        let mut open_ended = heapless::Vec::<Fd, 16>::new();
        let lacks_holder = self.holder.is_none() && !matches!(self.config.role, Role::Supervise(_));
        let mut listener = None;
        let mut keep = |fd| {
            if lacks_holder && listener.is_none() && is_own_listener(fd) {
                listener = Some(fd);
                return true;
            }
            (is_connection(fd) || is_pipe(fd)) && open_ended.push(fd).is_ok()
        };
        let mut left = close_unnamed(self.tables, &own, &mut keep);
        if let Some(listener) = listener {
            self.take_back_holder(listener);
        }
        for mut fd in open_ended {
            let taken = if is_pipe(fd) { self.take_back_pipe(fd) } else { self.adopt_connection(fd, now) };
            if !taken {
                fd.close();
                left += 1;
            }
        }
        CLOSED.fetch_add(left as u32, Relaxed);
        if left > 0 {
            warning!("{left} descriptors that no record names are closed");
        }
    }
}

/// A unix socket that this process listens at. (All others of this kind have names.)
fn is_own_listener(fd: Fd) -> bool {
    socket::listens(fd) == Ok(true) && socket::peer(fd).is_ok_and(|peer| peer.pid == process::pid() as u32)
}

/// A unix stream socket that somebody has connected to.
fn is_connection(fd: Fd) -> bool {
    socket::peer(fd).is_ok() && socket::listens(fd) != Ok(true)
}

fn is_pipe(fd: Fd) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

const WORDS: usize = (DESCRIPTORS as usize).div_ceil(64);

/// A set of descriptor numbers. Most of its memory is never touched.
struct Numbers([u64; WORDS]);

impl Numbers {
    fn insert(&mut self, number: i32) {
        let Ok(number) = usize::try_from(number) else { return };
        if let Some(word) = self.0.get_mut(number / 64) {
            *word |= 1 << (number % 64);
        }
    }

    fn has(&self, number: i32) -> bool {
        let word = usize::try_from(number).ok().and_then(|number| self.0.get(number / 64));
        word.is_some_and(|word| word >> (number % 64) & 1 != 0)
    }

    /// Takes all of them out, in their order, but for those that `others` has.
    fn drain(&mut self, others: &Numbers, words: usize, mut visit: impl FnMut(i32)) {
        for (at, (word, other)) in self.0.iter_mut().zip(&others.0).enumerate().take(words) {
            let mut left = core::mem::take(word) & !other;
            while left != 0 {
                visit((at * 64) as i32 + left.trailing_zeros() as i32);
                left &= left - 1;
            }
        }
    }
}

struct Sets {
    named: Numbers,
    open: Numbers,
}

static SETS: LendCell<Sets> = LendCell::new(Sets { named: Numbers([0; WORDS]), open: Numbers([0; WORDS]) });

/// Closes what is open, was not left to us for our children, is not where our lines go, and has no name in the tables nor in
/// `own`, unless `keep` wants it. Answers how many there were, without those that every incarnation has anew.
fn close_unnamed(tables: &Tables, own: &[Fd], keep: &mut dyn FnMut(Fd) -> bool) -> usize {
    let header = &tables.header;
    let inherited = inherited(header);
    let lent = SETS.lend(|Sets { named, open }| {
        each_named(tables, &mut |number| named.insert(number));
        own.iter().chain(&log::descriptors()).for_each(|fd| named.insert(fd.0));
        let mut closed = 0;
        let mut consider = |number: i32| {
            let Ok(stat) = rustix::fs::fstat(Fd(number)) else { return }; // not open, or that of the list itself
            let own = is_own(&stat);
            if own || !keep(Fd(number)) {
                Fd(number).close();
                closed += usize::from(!own);
            }
        };
        let words = match header.fds_top {
            // Whoever left noted how far they go. To list them would cost as much as all the rest.
            top @ 1.. => {
                let unnamed = |number: &i32| !named.has(*number) && !inherited.has(*number);
                let top = top.min(DESCRIPTORS as u32) as i32;
                (3..top).filter(unnamed).for_each(&mut consider);
                // A binary that could not go on has left what it had opened above that.
                let above = (top..DESCRIPTORS as i32).take_while(|number| Fd(*number).is_open());
                above.filter(unnamed).for_each(&mut consider);
                top as usize / 64 + 1
            }
            0 => {
                let mut top = 0;
                let listed = each_open(|number| {
                    top = top.max(number);
                    if !inherited.has(number) {
                        open.insert(number);
                    }
                });
                if listed.is_err() {
                    // Without /proc: numbers are given from below, so that those that nobody names are not far above the others.
                    top = 4096;
                    (3..top).filter(|number| !inherited.has(*number)).for_each(|number| open.insert(number));
                }
                let words = top as usize / 64 + 1;
                open.drain(named, words, consider);
                words
            }
        };
        named.0.iter_mut().take(words).for_each(|word| *word = 0);
        closed
    });
    lent.unwrap_or(0)
}

/// Whether something that is not named is what every incarnation has anew: an event queue, where its lines go.
fn is_own(stat: &rustix::fs::Stat) -> bool {
    let identity = |stat: &rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let is_it = |fd: &Fd| rustix::fs::fstat(fd).is_ok_and(|own| identity(&own) == identity(stat));
    matches!(FileType::from_raw_mode(stat.st_mode), FileType::Unknown) || log::descriptors().iter().any(is_it)
}

/// Every descriptor that the tables name.
fn each_named(tables: &Tables, visit: &mut dyn FnMut(i32)) {
    let header = &tables.header;
    for number in [
        header.exe_fd,
        header.arena_fd,
        header.scandir_fd,
        header.control_fd,
        header.lock_fd,
        header.fdholder_fd,
        header.console_fd,
        header.null_fd,
    ] {
        visit(number);
    }
    let services = tables.services.iter().take(header.services_top as usize).filter(|service| service.used != 0);
    for service in services {
        for number in
            [service.dir_fd, service.control_fd, service.lock_fd, service.notify_fd, service.pipe_fd, service.cgroup_fd]
        {
            visit(number);
        }
    }
    for (service, notify) in services_with_notify(tables) {
        if notify.used != 0 && notify.generation == service {
            visit(notify.fd);
        }
    }
    for held in tables.held.iter().take(header.held_top as usize).filter(|held| held.used != 0) {
        visit(held.fd);
    }
    for client in tables.clients.iter().take(header.clients_top as usize).filter(|client| client.used != 0) {
        visit(client.fd);
        session::queue(client).iter().for_each(|number| visit(*number));
    }
    transfer::descriptors(&tables.transfer).iter().for_each(|number| visit(*number));
}

/// The generations of services that have a notification socket, and the records of those.
fn services_with_notify(tables: &Tables) -> impl Iterator<Item = (u32, &crate::state::Notify)> {
    let top = tables.header.services_top as usize;
    let both = tables.services.iter().zip(&tables.notifies).take(top);
    both.filter(|(service, _)| service.used != 0 && service.notified != 0)
        .map(|(service, notify)| (service.generation, notify))
}
