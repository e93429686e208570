//! Leaving by a fault: the process has failed, and its binary is executed again, which goes on with the arena
//! ([`super::open`]). Called by the signal handler, by the panic handler, and by the loop when somebody has sent such a
//! signal. System calls only, and no memory but what is named here.
//!
//! What fails here is counted: a second failure leaves with the least there is, a third one gives up, a fourth ends.

use super::arena::STATE;
use super::{Arena, Header, Tables, Why};
use crate::error;
use crate::log::Line;
use crate::sys::cell::{LateRef, SeizeCell};
use crate::sys::fault::{self, Fault, TRAP};
use crate::sys::signal::{Received, name};
use crate::sys::time::{self, Nanos, SECOND};
use crate::sys::{Errno, Fd, again, fd, file, memory, process};
use crate::text::CPath;
use crate::text::errno::Reason;
use crate::text::number::Decimal;
use core::ffi::CStr;
use core::fmt::{Display, Formatter, Result, Write};
use core::panic::Location;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering::Relaxed};
use rustix::fs::OFlags;

/// What follows when the process has failed too often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Then {
    /// Sync, but not for ever, and reboot.
    Reboot = 0,
    /// Keep reaping, and run the rescue command, again when it has ended.
    Rescue = 1,
    /// Keep reaping.
    Reap = 2,
    /// Exit with 111: for what is not process 1.
    Exit = 3,
}

impl Then {
    /// What a header says; what is no such thing is a reboot, or an exit of what is not process 1.
    pub fn of(header: &Header) -> Then {
        match header.fault_then {
            1 => Then::Rescue,
            2 => Then::Reap,
            3 => Then::Exit,
            _ => Then::by_default(),
        }
    }

    /// Where nobody has said otherwise.
    pub fn by_default() -> Then {
        if process::pid() == 1 { Then::Reboot } else { Then::Exit }
    }
}

/// Faults within [`WITHIN`] after which the process gives up, where nobody has said otherwise. The header has room for the
/// times of eight.
pub const LIMIT: u32 = 5;
/// See [`LIMIT`].
pub const WITHIN: Nanos = 60 * SECOND;

/// Does what is to follow, with the board's rescue command (empty: there is none). Does not come back.
pub type GiveUp = fn(Then, &CStr) -> !;

/// Why the process leaves.
pub enum Cause<'a> {
    /// An instruction of ours has failed, or a signal was sent that means so.
    Signal(&'a Fault),
    /// A panic, with its message.
    Panic(Option<&'a Location<'a>>, &'a dyn Display),
}

impl Display for Cause<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Cause::Signal(fault) if fault.is_sent() => {
                write!(f, "SIG{} was sent by pid {}, uid {}", name(fault.signal), fault.sender, fault.uid)?;
                if fault.instruction != 0 {
                    write!(f, ", at instruction {:#x}", fault.instruction)?;
                }
                Ok(())
            }
            Cause::Signal(fault) => {
                write!(f, "SIG{}, {}", name(fault.signal), what(fault))?;
                write!(f, " {:#x}, at instruction {:#x}, stack {:#x}", fault.address, fault.instruction, fault.stack)?;
                if fault.link != 0 { write!(f, ", called from {:#x}", fault.link) } else { Ok(()) }
            }
            Cause::Panic(Some(at), message) => write!(OneLine(f), "panic at {}:{}: {message}", at.file(), at.line()),
            Cause::Panic(None, message) => write!(OneLine(f), "panic: {message}"),
        }
    }
}

/// Messages of panics may have several lines.
struct OneLine<'a, 'b>(&'a mut Formatter<'b>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> Result {
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                self.0.write_char(' ')?;
            }
            self.0.write_str(line)?;
        }
        Ok(())
    }
}

/// What a synchronous fault says of its address.
fn what(fault: &Fault) -> &'static str {
    match (fault.signal, fault.code) {
        // The stack's end, or the page that ends it (`memory::limit_stack`).
        (11, _) if fault.address.abs_diff(fault.stack) < 64 * 1024 => "the stack is full: address",
        (11, 1) => "nothing is mapped at address",
        (11, 2) => "not allowed at address",
        (7, 1) => "not aligned: address",
        (7, 2 | 3) => "its page cannot be read: address",
        (8, 1) => "division by zero at address",
        (31, _) => "a system call that is not allowed, at address",
        _ => "address",
    }
}

static TABLES: SeizeCell<Tables> = SeizeCell::new();
static GIVE_UP: LateRef<GiveUp> = LateRef::new();
/// The binary's own descriptor, and the arena's.
static BINARY: AtomicI32 = AtomicI32::new(-1);
static ARENA: AtomicI32 = AtomicI32::new(-1);
/// How often the process has failed since it was executed.
static FAILED: AtomicU32 = AtomicU32::new(0);
/// A signal that was sent, and for which the process leaves as soon as it may; 0: there is none.
static SENT: AtomicI32 = AtomicI32::new(0);
/// Who sent it.
static SENDER: AtomicI32 = AtomicI32::new(0);
/// See above.
static SENDER_UID: AtomicU32 = AtomicU32::new(0);

/// From here on a fault leads to `give_up`, and as soon as there is an arena ([`give`]) into the binary again. To be called
/// once, first of all: by process 1, `svscan` and `supervise`. An incarnation that leaves has blocked all signals: whoever
/// unblocks some before this lets those pass that nobody handles yet.
pub fn arm(give_up: &'static GiveUp) {
    static ON_FAULT: fault::Handler = on_fault;
    GIVE_UP.set(give_up);
    again::keep_arguments();
    memory::limit_stack();
    fault::install(&ON_FAULT);
    fault::unblock();
}

/// Finds the binary and notes its descriptor, if that of the header is not it already. Where it cannot be found, /proc was
/// not mounted, perhaps.
pub fn find_binary(header: &mut Header) {
    if !again::is_own_binary(Fd(header.exe_fd)) {
        header.exe_fd = again::open_own_binary().unwrap_or(Fd::NONE).0;
    }
    BINARY.store(header.exe_fd, Relaxed);
}

/// Whether this process leaves by here when it fails.
pub fn is_armed() -> bool {
    GIVE_UP.get().is_some() && fault::is_owner()
}

/// From here on a fault is survived. (The binary's descriptor is the one that the earlier incarnation had, if there was one,
/// until [`find_binary`] has looked.)
pub fn give(arena: Arena, why: Why) -> Arena {
    let tables = TABLES.lend(arena.tables);
    let header = &mut tables.header;
    ARENA.store(header.arena_fd, Relaxed);
    if why == Why::Fresh {
        (header.fault_limit, header.fault_within) = (LIMIT, WITHIN);
        header.fault_then = Then::by_default() as u32;
    } else {
        fd::saw(i32::try_from(header.fds_top).unwrap_or(0).saturating_sub(1));
        again::restore_name();
    }
    #[cfg(feature = "faults")]
    configure_for_tests(header);
    BINARY.store(header.exe_fd, Relaxed);
    Arena { tables, ring: arena.ring }
}

/// Tests say in the environment where the process is to fail, and how often it may: `LINCHPIN_FAULT_LIMIT=LIMIT[,SECONDS[,THEN]]`. Without it
/// only process 1 has a limit.
#[cfg(feature = "faults")]
fn configure_for_tests(header: &mut Header) {
    use crate::sys::inject;
    use crate::text::number::parse_u32;
    let variable = |name| crate::sys::args::original().and_then(|args| args.env().get(name));
    if let Some(plan) = variable(inject::VARIABLE) {
        inject::configure(plan.to_bytes(), header.incarnation);
    }
    let mut numbers =
        variable(b"LINCHPIN_FAULT_LIMIT").map_or(&b""[..], CStr::to_bytes).split(|byte| *byte == b',').map(parse_u32);
    match numbers.next().flatten() {
        Some(limit) => {
            header.fault_limit = limit;
            header.fault_within = numbers.next().flatten().map_or(WITHIN, |seconds| Nanos::from(seconds) * SECOND);
            if let Some(then) = numbers.next().flatten() {
                header.fault_then = then;
            }
        }
        None if process::pid() != 1 => header.fault_limit = 0,
        None => {}
    }
}

/// The handler of the signals by which an instruction fails.
fn on_fault(fault: &Fault) {
    if fault.is_sent() && !is_meant_at_once(fault) {
        // Nothing has failed. In the middle of leaving it is obeyed already; before there is an arena nothing can be done.
        if FAILED.load(Relaxed) > 0 || SENT.load(Relaxed) == 0 || !TABLES.is_known() {
            let sender = Received { signal: fault.signal, pid: fault.sender as u32, uid: fault.uid };
            return leave_soon(&sender);
        }
        // It was sent before, and the loop has not come round since: it hangs.
    }
    leave(&Cause::Signal(fault))
}

/// Who sends such a signal to himself has failed. In builds for tests SIGTRAP interrupts whatever is being done.
fn is_meant_at_once(fault: &Fault) -> bool {
    TABLES.is_known() && (fault.sender == process::pid() || (cfg!(feature = "faults") && fault.signal == TRAP))
}

/// Leaves at the next turn of the loop: somebody has sent a signal that means that the process has failed.
pub fn leave_soon(received: &Received) {
    if FAILED.load(Relaxed) == 0 && SENT.load(Relaxed) == 0 {
        SENDER.store(received.pid as i32, Relaxed);
        SENDER_UID.store(received.uid, Relaxed);
        SENT.store(received.signal, Relaxed);
        fault::wake();
    }
}

/// Leaves if somebody has sent such a signal. The loop calls this when nothing is in progress.
#[inline]
pub fn leave_if_told() {
    let signal = SENT.load(Relaxed);
    if signal != 0 && is_armed() {
        leave_for(signal);
    }
}

#[cold]
#[inline(never)]
fn leave_for(signal: i32) -> ! {
    let (sender, uid) = (SENDER.load(Relaxed), SENDER_UID.load(Relaxed));
    leave(&Cause::Signal(&Fault { signal, code: 0, sender, uid, address: 0, instruction: 0, stack: 0, link: 0 }))
}

/// Leaves.
#[cold]
#[inline(never)]
pub fn leave(cause: &Cause<'_>) -> ! {
    let failed = FAILED.fetch_add(1, Relaxed);
    TABLES.seize(|tables| match (failed, tables) {
        (0, Some(tables)) => {
            let may_go_on = note(tables, cause);
            let header = &mut tables.header;
            if may_go_on {
                error!("fault {}, which is survived: {cause}", header.faults);
                let why = enter_again(header, again::Given::All);
                error!("this binary cannot be executed again: {}", Reason(why));
            } else {
                let within = header.fault_within / SECOND;
                error!(
                    "fault {}, one of {} in {within} s, which are too many: {cause}",
                    header.faults, header.fault_limit
                );
            }
            give_up(Then::of(&tables.header), &tables.header)
        }
        (1, Some(tables)) => {
            let why = enter_again(&mut tables.header, again::Given::Least);
            error!("this binary cannot be executed again: {}: {cause}", Reason(why));
            give_up(Then::of(&tables.header), &tables.header)
        }
        (0, None) => {
            super::handover::go_back();
            error!("{cause}: before anything could be kept");
            give_up_with(Then::by_default(), c"")
        }
        (1 | 2, _) => give_up_with(Then::by_default(), c""),
        _ => again::end(),
    })
}

fn give_up(then: Then, header: &Header) -> ! {
    give_up_with(then, CStr::from_bytes_until_nul(&header.rescue).unwrap_or_default())
}

fn give_up_with(then: Then, rescue: &CStr) -> ! {
    // What fails from here on is not tried again.
    FAILED.store(FAILED.load(Relaxed).max(2), Relaxed);
    match GIVE_UP.get() {
        Some(give_up) => give_up(then, rescue),
        None => again::end(),
    }
}

/// Executes the binary again, which finds the arena and everything that was open. Returns only on failure.
fn enter_again(header: &mut Header, given: again::Given) -> Errno {
    header.entered_why = Why::Fault as u32;
    fd::keep_open_on_exec();
    header.fds_top = fd::highest() as u32 + 1;
    let number = Decimal::new(ARENA.load(Relaxed).unsigned_abs().into());
    let variable = CPath::<32>::of(&[STATE, b"=", number.as_bytes()]);
    let variable = variable.path().unwrap_or_default();
    let binary = Fd(BINARY.load(Relaxed));
    let why = again::exec(binary, variable, given);
    if given == again::Given::All {
        again::exec(binary, variable, again::Given::Least);
    }
    why
}

/// Writes the epitaph, and counts. Answers whether the process may go on.
fn note(tables: &mut Tables, cause: &Cause<'_>) -> bool {
    let now = time::boot();
    let header = &mut tables.header;
    header.faults = header.faults.wrapping_add(1);
    let epitaph = &mut tables.epitaph;
    epitaph.time = now;
    epitaph.wall = time::wall().0;
    let mut sent = false;
    (epitaph.signal, epitaph.code, epitaph.sender) = (0, 0, 0);
    (epitaph.address, epitaph.instruction, epitaph.stack, epitaph.link) = (0, 0, 0, 0);
    if let Cause::Signal(fault) = cause {
        sent = fault.is_sent() && !is_meant_at_once(fault);
        epitaph.signal = fault.signal as u32;
        epitaph.code = fault.code;
        epitaph.sender = fault.sender;
        epitaph.address = fault.address;
        epitaph.instruction = fault.instruction;
        epitaph.stack = fault.stack;
        epitaph.link = fault.link;
    }
    let mut text = Line::<440>::new();
    let _ = write!(text, "{cause}");
    let text = text.finish("").as_bytes();
    let len = text.len().min(epitaph.text.len());
    epitaph.text[..len].copy_from_slice(&text[..len]);
    epitaph.text[len..].fill(0);
    epitaph.len = len as u32;
    remember_across_boots(text);
    // Signals that were sent are an operator's doing, not a sign that we fail over and over.
    sent || is_within_limit(header, now)
}

/// Notes a fault, and answers whether the limit is not reached.
fn is_within_limit(header: &mut Header, now: Nanos) -> bool {
    let times = &mut header.fault_times;
    let oldest = (0..times.len()).min_by_key(|at| times[*at]).unwrap_or(0);
    times[oldest] = now.max(1);
    let limit = (header.fault_limit as usize).min(times.len());
    let recent = times.iter().filter(|at| **at > 0 && now.saturating_sub(**at) <= header.fault_within).count();
    limit == 0 || recent < limit
}

/// Into the memory that the machine keeps across a reboot, if there is some.
fn remember_across_boots(text: &[u8]) {
    if process::pid() != 1 {
        return;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK;
    if let Ok(mut pmsg) = file::open(Fd::CWD, c"/dev/pmsg0", flags, 0) {
        let mut line = Line::<460>::new();
        let _ = write!(line, "linchpin: {}", core::str::from_utf8(text).unwrap_or_default());
        let _ = rustix::io::write(pmsg, line.finish("\n").as_bytes());
        pmsg.close();
    }
}
