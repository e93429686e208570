//! Signals: numbers, masks, and the signalfd through which the engine receives them.

use super::raw;
use super::{Fd, Result};
use linux_raw_sys::general as linux;

pub use names::{NAMES, name, parse};

/// Signal numbers that the crate uses (signal(7)).
#[allow(missing_docs)]
pub mod number {
    use super::linux;
    pub const HUP: i32 = linux::SIGHUP as i32;
    pub const INT: i32 = linux::SIGINT as i32;
    pub const QUIT: i32 = linux::SIGQUIT as i32;
    pub const ABRT: i32 = linux::SIGABRT as i32;
    pub const KILL: i32 = linux::SIGKILL as i32;
    pub const USR1: i32 = linux::SIGUSR1 as i32;
    pub const USR2: i32 = linux::SIGUSR2 as i32;
    pub const PIPE: i32 = linux::SIGPIPE as i32;
    pub const ALRM: i32 = linux::SIGALRM as i32;
    pub const TERM: i32 = linux::SIGTERM as i32;
    pub const CHLD: i32 = linux::SIGCHLD as i32;
    pub const CONT: i32 = linux::SIGCONT as i32;
    pub const STOP: i32 = linux::SIGSTOP as i32;
    pub const PWR: i32 = linux::SIGPWR as i32;
    pub const WINCH: i32 = linux::SIGWINCH as i32;
    /// First real-time signal as C programs count (two are taken by the C library).
    pub const RTMIN: i32 = 34;
}

mod names {
    use super::number as n;
    /// Classic names, without `SIG`.
    pub const NAMES: [(&str, i32); 31] = [
        ("HUP", n::HUP),
        ("INT", n::INT),
        ("QUIT", n::QUIT),
        ("ILL", 4),
        ("TRAP", 5),
        ("ABRT", n::ABRT),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", n::KILL),
        ("USR1", n::USR1),
        ("SEGV", 11),
        ("USR2", n::USR2),
        ("PIPE", n::PIPE),
        ("ALRM", n::ALRM),
        ("TERM", n::TERM),
        ("STKFLT", 16),
        ("CHLD", n::CHLD),
        ("CONT", n::CONT),
        ("STOP", n::STOP),
        ("TSTP", 20),
        ("TTIN", 21),
        ("TTOU", 22),
        ("URG", 23),
        ("XCPU", 24),
        ("XFSZ", 25),
        ("VTALRM", 26),
        ("PROF", 27),
        ("WINCH", n::WINCH),
        ("IO", 29),
        ("PWR", n::PWR),
        ("SYS", 31),
    ];

    /// Other names of some of them.
    const ALIASES: [(&str, i32); 3] = [("IOT", n::ABRT), ("CLD", n::CHLD), ("POLL", 29)];

    /// Name of a signal without `SIG`; `???` for those that have none, as s6 prints them.
    pub fn name(signal: i32) -> &'static str {
        NAMES.iter().find(|(_, n)| *n == signal).map_or("???", |(name, _)| name)
    }

    /// A signal by name (with or without `SIG`, any case) or decimal number 1 to 64.
    pub fn parse(word: &[u8]) -> Option<i32> {
        if let Some(n) = crate::text::number::parse_u32(word) {
            return (1..=64).contains(&n).then_some(n as i32);
        }
        let bare = match word {
            [a, b, c, rest @ ..] if [*a, *b, *c].eq_ignore_ascii_case(b"SIG") => rest,
            _ => word,
        };
        let mut names = NAMES.iter().chain(&ALIASES);
        names.find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(bare)).map(|(_, n)| *n)
    }
}

/// A set of signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// Every signal.
    pub const ALL: SignalSet = SignalSet(!0);

    /// The signals listed.
    pub const fn of(signals: &[i32]) -> SignalSet {
        let mut bits = 0u64;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << (signals[i] - 1);
            i += 1;
        }
        SignalSet(bits)
    }

    /// Both sets together.
    pub const fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }

    /// All of these but one.
    pub const fn without(self, signal: i32) -> SignalSet {
        SignalSet(self.0 & !(1 << (signal - 1)))
    }

    /// These, without those of another set.
    pub const fn less(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The signals that are blocked now.
    pub fn blocked() -> SignalSet {
        SignalSet(raw::mask())
    }

    /// Makes this the set of blocked signals (sigprocmask(2)); returns the one before.
    pub fn block(self) -> SignalSet {
        SignalSet(raw::set_mask(self.0))
    }
}

/// Resets a signal to its default action, so that children do not inherit an "ignore" that somebody left us.
pub fn reset_action(signal: i32) {
    raw::default_action(signal);
}

/// Forgets a blocked signal that has come. Its action is the default one afterwards.
pub fn forget(signal: i32) {
    raw::ignore(signal);
    raw::default_action(signal);
}

/// Whether a signal is ignored, as somebody who started us may have wanted it.
pub fn is_ignored(signal: i32) -> bool {
    raw::is_ignored(signal)
}

/// A signal taken from the signalfd: what, and who sent it (pid and uid are 0 for the kernel's own).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// Signal number.
    pub signal: i32,
    /// Sender's pid, as our pid namespace sees it.
    pub pid: u32,
    /// Sender's real uid.
    pub uid: u32,
}

/// A non-blocking, close-on-exec signalfd(2) for `set`, which must be blocked.
pub fn open_signalfd(set: SignalSet) -> Result<Fd> {
    raw::signalfd(set.0).map(Fd::new)
}

/// struct signalfd_siginfo.
const SIGINFO: usize = 128;

/// Takes the next pending signal, as the kernel describes it, into the beginning of `info` (at least 128 bytes); answers
/// whether there was one.
pub fn take_signal(fd: Fd, info: &mut [u8]) -> Result<bool> {
    match rustix::io::read(fd, info.get_mut(..SIGINFO).unwrap_or_default()) {
        Ok(SIGINFO) => Ok(true),
        Ok(_) | Err(super::Errno::AGAIN | super::Errno::INTR) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The next pending signal, or `None` when there is none left.
pub fn read_signalfd(fd: Fd) -> Result<Option<Received>> {
    let mut info = [0; SIGINFO];
    Ok(if take_signal(fd, &mut info)? { received(&info) } else { None })
}

/// The signal that [`take_signal`] took; `None`: there is none.
pub fn received(info: &[u8]) -> Option<Received> {
    let word = |at: usize| info.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let (signal, pid, uid) = (word(0)?, word(12)?, word(16)?);
    (signal != 0).then_some(Received { signal: signal as i32, pid, uid })
}
