//! Many services: scan, logger pipes, control commands, the engine that PID 1 runs.
//!
//! * [`engine`]: the loop. * [`scan`]: which services there are. * [`records`]: the life of each. * [`orders`]: control FIFOs and signals.
//! * [`alone`]: one service and no scan directory. * [`catch_all`]: the logger that ends last. * [`children`]: deaths and one-shot jobs. * [`stop`]: bringing everything down,
//!   in an [`order`]. * [`dependencies`]: who waits for whom. * [`notify`]: what services say.
//! * [`start`]: the scan directory's own files, and `svscan` as a program.
//! * [`published`]: what people may know of the scanner.
//! * [`sockets`]: those of the board that are to be bound. * [`slots`]: what is derived from the records, for speed.
//! * [`enter`]: going on where an earlier incarnation was interrupted; [`strangers`]: children that no record names.

pub mod alone;
pub mod catch_all;
pub mod children;
pub mod dependencies;
pub mod engine;
pub mod enter;
pub mod inbox;
pub mod mend;
pub mod notify;
pub mod order;
pub mod orders;
pub mod published;
pub mod records;
pub mod redo;
pub mod repair;
pub mod scan;
pub mod slots;
pub mod sockets;
pub mod start;
pub mod stop;
pub mod stop_script;
pub mod strangers;
pub mod transfer;
pub mod upgrade;

pub use engine::{Config, Engine};

use crate::state::Header;
use crate::sys::fault;
use crate::sys::signal::SignalSet;
use crate::sys::signal::number as sig;
use core::ffi::CStr;

/// What was asked of the whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Plan {
    /// Go on.
    Run = 0,
    /// `svscan`: stop everything, then execute `finish` or exit.
    Finish = 1,
    /// `svscan`: leave at once, wait for nobody.
    Leave = 2,
    /// Process 1: stop everything, then power off.
    Poweroff = 3,
    /// Process 1: stop everything, then reboot.
    Reboot = 4,
    /// Process 1: stop everything, then halt.
    Halt = 5,
}

impl Plan {
    /// The plan that a header holds; a number that is none is `Run`.
    pub fn of(header: &Header) -> Plan {
        match header.plan {
            1 => Plan::Finish,
            2 => Plan::Leave,
            3 => Plan::Poweroff,
            4 => Plan::Reboot,
            5 => Plan::Halt,
            _ => Plan::Run,
        }
    }

    /// Its name, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Plan::Run => "run",
            Plan::Finish => "stop",
            Plan::Leave => "leave",
            Plan::Poweroff => "poweroff",
            Plan::Reboot => "reboot",
            Plan::Halt => "halt",
        }
    }
}

/// What the signals to process 1 mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// s6-linux-init's: INT reboot, USR1 and PWR poweroff, USR2 halt; TERM nothing.
    S6,
    /// BusyBox init's: INT and TERM reboot, USR1 halt, USR2 and PWR poweroff.
    Busybox,
}

impl Dialect {
    /// As the header holds it.
    pub fn number(self) -> u32 {
        match self {
            Dialect::S6 => 0,
            Dialect::Busybox => 1,
        }
    }

    /// That of a header; a number that is none is s6's.
    pub fn of(header: &Header) -> Dialect {
        if header.dialect == 1 { Dialect::Busybox } else { Dialect::S6 }
    }
}

/// Whose loop it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Process 1 of a machine.
    Init(Dialect),
    /// `svscan DIR`.
    Svscan,
    /// `supervise DIR`: this one service, which scripts know by this name.
    Supervise(&'static CStr),
}

/// Signals that `poweroff`, `reboot` and `halt` send to process 1, whatever the dialect; nobody else uses them there.
/// They are systemd's numbers for the same purpose.
pub mod shutdown_signal {
    use crate::sys::signal::number::RTMIN;
    /// Halt.
    pub const HALT: i32 = RTMIN + 3;
    /// Power off.
    pub const POWEROFF: i32 = RTMIN + 4;
    /// Reboot.
    pub const REBOOT: i32 = RTMIN + 5;
}

impl Role {
    /// The signals that the engine receives through its signalfd. They are blocked, all the time.
    pub const fn signals(self) -> SignalSet {
        let svscan = SignalSet::of(&[
            sig::CHLD,
            sig::ALRM,
            sig::ABRT,
            sig::HUP,
            sig::INT,
            sig::TERM,
            sig::QUIT,
            sig::USR1,
            sig::USR2,
            sig::PWR,
            sig::WINCH,
        ]);
        let own = match self {
            Role::Svscan => svscan,
            Role::Supervise(_) => SignalSet::of(&[sig::CHLD, sig::TERM, sig::HUP, sig::QUIT, sig::INT]),
            Role::Init(_) => svscan.union(SignalSet::of(&[
                shutdown_signal::HALT,
                shutdown_signal::POWEROFF,
                shutdown_signal::REBOOT,
            ])),
        };
        #[cfg(feature = "faults")]
        let own = own.union(crate::sys::inject::SIGNALS);
        own
    }

    /// The signals that are blocked: those received, and SIGPIPE, so that a write to a vanished reader is an error. Those by
    /// which an instruction of ours fails never are.
    pub const fn blocked(self) -> SignalSet {
        match self {
            Role::Svscan | Role::Supervise(_) => self.signals().union(SignalSet::of(&[sig::PIPE])),
            Role::Init(_) => SignalSet::ALL.less(fault::SET),
        }
    }
}
