//! Faults on demand, for tests: built with the feature `faults` only. Code that changes state that must survive names the
//! points at which it could be interrupted (`fault_point!`); a test says in the environment variable [`VARIABLE`] at which
//! of them the process is to fail, how, and how often.
//!
//! The variable holds one word per incarnation, separated by commas; later ones run undisturbed. A word is `-` (no fault) or
//! `POINT[:NTH[:KIND]]`: at the NTH passage (the first, if it is not said), a fault of this [`Kind`] (`null`), or SIGKILL
//! (`kill`), or, at points that are calls (`fault_errno!`), an error (`e28` for errno 28). Or the whole is
//! `random:SEED:ONE_IN[:LIMIT]`: at every passage of any point, one time in so many, in all incarnations below LIMIT.

use super::raw;
use super::signal::SignalSet;
use crate::text::number::parse_u32;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// The environment variable.
pub const VARIABLE: &[u8] = b"LINCHPIN_FAULTS";

/// Every point there is. A name that is missing here does not compile.
pub const POINTS: &[&[&str]] = &[
    &["turn"],
    // Supervision.
    &[
        "drive.begin",
        "drive.begun",
        "redo.put_back",
        "pick_up",
        "drive.done",
        "drive.end",
        "drive.stepped",
        "drive.performed",
        "start.closed",
        "start.pipe",
        "start.pipe.named",
        "spawn.run.before",
        "spawn.run.after",
        "spawn.run.named",
        "spawn.finish.before",
        "spawn.finish.after",
        "spawn.finish.named",
        "readiness.read",
        "spawn.failed",
        "spawn.failed.reaped",
        "death.seen",
        "death.taken",
        "death.reaped",
        "job.before",
        "job.after",
        "job.fork.before",
        "job.fork.after",
        "inbox.opened",
        "inbox.read",
        "inbox.done",
        "inbox.acted",
        "news.events.before",
        "news.events.after",
        "news.events.done",
        "news.tally.before",
        "news.tally.after",
        "news.status.before",
        "news.status.after",
        "waiting.before",
        "create.before",
        "create.after",
        "join.done",
        "release.begin",
        "release.parted",
        "release.both",
        "release.done",
        "supervise.before",
        "supervise.after",
        "gone.begun",
        "begin.dir",
        "begin.locked",
        "scan.done",
        "scan.active",
        "rename.one",
        "join.pipe",
        "stop.begin",
        "stop.begun",
        "stop.told",
        "stop.killed",
        "script.asked",
        "script.started",
        "script.ended",
        "script.over",
        "order.deferred",
        "order.told",
    ],
    // The fd-holder and notification sockets.
    &[
        "holder.accepted",
        "holder.admitted",
        "holder.reading",
        "holder.received",
        "holder.taking",
        "holder.taken",
        "holder.read",
        "holder.moving",
        "holder.moved",
        "holder.begun",
        "holder.storing",
        "holder.stored",
        "holder.replacing",
        "holder.replaced",
        "holder.decided",
        "holder.removed",
        "holder.settling",
        "holder.settled",
        "holder.sending",
        "holder.sent",
        "holder.answered",
        "holder.closing",
        "notify.receiving",
        "notify.received",
        "notify.stored",
        "notify.handled",
        "notify.closing",
        "sockets.bound",
        "sockets.held",
    ],
    // Boot, entering again, the hand-over.
    &[
        "boot.arena",
        "boot.early",
        "boot.module",
        "boot.root",
        "boot.upper",
        "boot.overlay",
        "boot.moved",
        "boot.switched",
        "boot.emptied",
        "boot.mounting",
        "boot.mount",
        "scandir.dir",
        "scandir.lock",
        "scandir.control",
        "boot.holder",
        "boot.rights",
        "boot.socket",
        "boot.sockets",
        "boot.copied",
        "boot.pipe",
        "boot.laid",
        "boot.script",
        "boot.begun",
        "svscan.ready",
        "enter.checked",
        "enter.derived",
        "enter.children",
        "enter.told",
        "upgrade.asked",
        "upgrade.written",
        "upgrade.executing",
        "upgrade.telling",
    ],
    // Logdirs. Where a call is about to be made, it can be made to fail too.
    &[
        "log.mkdir",
        "log.locked",
        "log.state.removed",
        "log.newstate.removed",
        "log.previous.removed",
        "log.recovered",
        "log.state.made",
        "log.current.made",
        "log.opened",
        "log.write",
        "log.written",
        "log.sync",
        "log.synced",
        "log.rename",
        "log.renamed",
        "log.create",
        "log.created",
        "log.mark",
        "log.marked",
        "log.names",
        "log.link",
        "log.linked",
        "log.unlinked",
        "log.trim",
        "log.trimmed",
        "log.spawn",
        "log.spawned",
        "log.processed",
        "log.output",
        "log.output.synced",
        "log.newstate",
        "log.drop",
        "log.dropped",
        "log.kept",
        "log.archived",
        "log.finish",
        "log.finished",
    ],
];

/// Whether there is such a point.
pub const fn is_point(name: &str) -> bool {
    let mut group = 0;
    while group < POINTS.len() {
        let mut i = 0;
        while i < POINTS[group].len() {
            if is_same(POINTS[group][i].as_bytes(), name.as_bytes()) {
                return true;
            }
            i += 1;
        }
        group += 1;
    }
    false
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// How to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Read at address 0: SIGSEGV.
    Null = 0,
    /// Recurse until the stack is full: SIGSEGV.
    Stack = 1,
    /// An instruction that there is not: SIGILL.
    Illegal = 2,
    /// An integer division by zero: SIGFPE. Machines that do not trap it are sent the signal.
    Division = 3,
    /// A panic: division by zero, as Rust sees it.
    Arithmetic = 4,
    /// A panic: an index out of bounds.
    Index = 5,
    /// A panic: an assertion.
    Assertion = 6,
    /// A write into code: SIGSEGV with another si_code.
    Write = 7,
}

/// All kinds, with their names.
pub const KINDS: [(&str, Kind); 8] = [
    ("null", Kind::Null),
    ("stack", Kind::Stack),
    ("illegal", Kind::Illegal),
    ("division", Kind::Division),
    ("arithmetic", Kind::Arithmetic),
    ("index", Kind::Index),
    ("assertion", Kind::Assertion),
    ("write", Kind::Write),
];

/// What [`KIND`] holds instead of a [`Kind`]: SIGKILL.
const KILL: u32 = 100;
/// From here on: an error, which is the rest.
const ERROR: u32 = 1000;

/// The signal that makes process 1 (or `svscan`) fail in the first of these ways as soon as its loop sees it; those that
/// follow are for the other ways.
pub const FIRST_SIGNAL: i32 = 50;

/// All of them.
pub const SIGNALS: SignalSet = {
    let mut set = SignalSet::EMPTY;
    let mut kind = 0;
    while kind < KINDS.len() {
        set = set.union(SignalSet::of(&[FIRST_SIGNAL + kind as i32]));
        kind += 1;
    }
    set
};

/// 1 and the number of the kind in which the loop is to fail; 0: none.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// Makes the loop fail at its next turn, if this is one of [`SIGNALS`]. Answers whether it is.
pub fn ask(signal: i32) -> bool {
    let kind = signal - FIRST_SIGNAL;
    let known = (0..KINDS.len() as i32).contains(&kind);
    if known {
        ASKED.store(kind as u32 + 1, Relaxed);
    }
    known
}

/// Fails, if the loop was asked to.
pub fn fail_if_asked() {
    match ASKED.swap(0, Relaxed) {
        0 => {}
        kind => fail_as(kind as i32 - 1),
    }
}

/// [`key`] of the point.
static POINT: AtomicU64 = AtomicU64::new(0);
static LEFT: AtomicU32 = AtomicU32::new(0);
static KIND: AtomicU32 = AtomicU32::new(0);
static ONE_IN: AtomicU32 = AtomicU32::new(0);
static RANDOM: AtomicU64 = AtomicU64::new(0);

fn key(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Takes what [`VARIABLE`] says for this incarnation.
pub fn configure(plan: &[u8], incarnation: u32) {
    let number = |word: Option<&[u8]>| word.and_then(parse_u32);
    if let Some(rest) = plan.strip_prefix(b"random:") {
        let mut parts = rest.split(|b| *b == b':');
        let (seed, one_in, limit) = (number(parts.next()), number(parts.next()), number(parts.next()));
        if incarnation < limit.unwrap_or(u32::MAX) {
            let seed = u64::from(seed.unwrap_or(1)) << 32 | u64::from(incarnation);
            RANDOM.store(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, Relaxed);
            ONE_IN.store(one_in.unwrap_or(1000).max(1), Relaxed);
        }
        return;
    }
    let Some(word) = plan.split(|b| *b == b',').nth(incarnation as usize).filter(|word| *word != b"-") else { return };
    let mut parts = word.split(|b| *b == b':');
    let name = parts.next().unwrap_or_default();
    let (nth, kind) = (number(parts.next()), parts.next().unwrap_or_default());
    let known = KINDS.iter().find(|(known, _)| known.as_bytes() == kind).map_or(Kind::Null, |(_, kind)| *kind);
    let errno = kind.strip_prefix(b"e").and_then(parse_u32).filter(|errno| *errno < 4096);
    let kind = if kind == b"kill" { KILL } else { errno.map_or(known as u32, |errno| ERROR + errno) };
    KIND.store(kind, Relaxed);
    POINT.store(key(name), Relaxed);
    LEFT.store(nth.unwrap_or(1).max(1), Relaxed);
}

/// Whether the fault of this incarnation has been.
pub fn is_over() -> bool {
    LEFT.load(Relaxed) == 0
}

/// A point is passed.
pub fn reached(name: &str) {
    let one_in = ONE_IN.load(Relaxed);
    if one_in > 0 {
        let random = next();
        if random % u64::from(one_in) == 0 {
            fail(KINDS[(random >> 32) as usize % KINDS.len()].1);
        }
    }
    let _ = passed(name);
}

/// A point is passed at which a call may be made to fail.
pub fn failure(name: &str) -> super::Result<()> {
    passed(name).map_or(Ok(()), Err)
}

fn passed(name: &str) -> Option<super::Errno> {
    let left = LEFT.load(Relaxed);
    if left > 0 && POINT.load(Relaxed) == key(name.as_bytes()) {
        LEFT.store(left - 1, Relaxed);
        if left == 1 {
            match KIND.load(Relaxed) {
                KILL => drop(raw::kill(super::process::pid(), super::signal::number::KILL)),
                kind if kind > ERROR => return Some(super::Errno::from_raw_os_error((kind - ERROR) as i32)),
                kind => fail(KINDS[kind as usize % KINDS.len()].1),
            }
        }
    }
    None
}

fn next() -> u64 {
    let mut random = RANDOM.load(Relaxed);
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    RANDOM.store(random, Relaxed);
    random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
}

/// Fails as the kind whose number it is.
pub fn fail_as(number: i32) {
    if let Some((_, kind)) = usize::try_from(number).ok().and_then(|number| KINDS.get(number)) {
        fail(*kind);
    }
}

/// Fails.
#[inline(never)]
pub fn fail(kind: Kind) {
    let zero = core::hint::black_box(0usize);
    match kind {
        // SAFETY: nothing is mapped there: the kernel sends a signal, which is what is wanted.
        Kind::Null => drop(unsafe { core::ptr::without_provenance::<u8>(zero).read_volatile() }),
        Kind::Stack => drop(deeper(zero)),
        Kind::Illegal => crate::arch::illegal_instruction(),
        Kind::Division => {
            crate::arch::divide_by_zero();
            let _ = raw::kill(super::process::pid(), 8); // it was none that the machine traps
        }
        Kind::Arithmetic => drop(core::hint::black_box(1 / zero)),
        Kind::Index => drop(core::hint::black_box([1u8, 2][2 + zero])),
        Kind::Assertion => assert_eq!(zero, 1, "a fault was asked for"),
        // SAFETY: as for null: code is mapped without the right to write.
        Kind::Write => unsafe { (fail as *const () as *mut u8).write_volatile(0) },
    }
}

#[allow(unconditional_recursion)]
#[inline(never)]
fn deeper(depth: usize) -> usize {
    let room = core::hint::black_box([depth as u8; 1024]);
    deeper(depth + 1) + usize::from(core::hint::black_box(room)[depth % 1024])
}
