//! The catch-all logger of process 1, which reads what everybody writes who has no logger of his own (`boot::catch_all`
//! makes the pipe). A stop ends it last: services, then their loggers, then process 1 lets go of its own end of the pipe;
//! what is left in it is read, and when the last of all other processes is gone, so is the pipe's last writer. So that is
//! logged, too, which is said by whoever ends, and the logger sees the end of its input.
//!
//! That of an `svscan` which is not process 1 has its pipe from elsewhere, and ends as s6's does (see `stop`).

use super::Role;
use super::engine::Engine;
use super::stop::Manner;
use crate::fdholder::table::Table;
use crate::service::kind;
use crate::state::{Header, Service, Tables};
use crate::sys::signal::number as sig;
use crate::sys::time::{self, MILLI, Nanos};
use crate::sys::{Fd, poll, process};
use rustix::fs::FileType;

/// Under what its pipe is held.
pub const HELD: &[u8] = b"pipe:s6-svscan-log";

/// How often it is looked at whether the logger has read everything: nothing tells of it.
const LOOK: Nanos = 20 * MILLI;

/// The end of the pipe that is held, if there is one.
pub fn held_pipe(tables: &mut Tables) -> Option<Fd> {
    let held = Table::new(&mut tables.held, &mut tables.header.held_top);
    let fd = Fd(held.get(held.find(HELD)?)?.fd);
    // Somebody may have stored something else under the name.
    let stat = rustix::fs::fstat(fd).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::Fifo).then_some(fd)
}

/// Whether process 1 has laid its output into the pipe: then it has kept the console.
fn is_laid(role: Role, header: &Header) -> bool {
    matches!(role, Role::Init(_)) && header.console_fd >= 0
}

impl Engine {
    /// Whether a service is one that a stop leaves to the last.
    pub(super) fn is_last(&self, service: &Service) -> bool {
        service.kind == kind::CATCH_ALL && is_laid(self.config.role, &self.tables.header)
    }

    /// Whether we let go of our output when everybody else has ended, not when a stop begins.
    pub(super) fn speaks_to_the_last(&self) -> bool {
        is_laid(self.config.role, &self.tables.header)
    }

    /// All services but this logger have ended. It reads on to the end of its input, and is not started again. Waits, no
    /// longer than `patience`, until it has ended, or has read all that is there: then there are other processes that may
    /// write. Nothing happens if there is no such logger.
    pub fn let_logger_finish(&mut self, patience: Nanos) {
        if !self.speaks_to_the_last() {
            return;
        }
        self.take_back_output();
        let now = time::boot();
        for slot in 0..self.high {
            if self.tables.services.get(slot).is_some_and(|service| service.used != 0 && self.is_last(service)) {
                self.terminate_one(slot, Manner::LoggersDrain, now);
            }
        }
        self.await_logger(now + patience, |engine| engine.has_read_all());
    }

    /// Everybody is about to be killed: the logger is told to end before, and has so long for it.
    pub fn hang_up_logger(&mut self, patience: Nanos) {
        for (_, service) in self.used().filter(|(_, service)| service.pid > 0 && self.is_last(service)) {
            // s6-log with -p takes no notice of SIGTERM.
            let _ = process::kill(service.pid, sig::HUP);
            let _ = process::kill(service.pid, sig::CONT);
        }
        self.await_logger(time::boot() + patience, |_| false);
    }

    /// Bytes in the pipe that nobody has read.
    pub fn unlogged(&mut self) -> u64 {
        if !self.speaks_to_the_last() {
            return 0;
        }
        held_pipe(self.tables).and_then(|pipe| rustix::io::ioctl_fionread(pipe).ok()).unwrap_or(0)
    }

    fn has_read_all(&mut self) -> bool {
        let Some(pipe) = held_pipe(self.tables) else { return true };
        // Without a writer it ends by itself, as soon as it has read everything.
        !poll::is_hung_up(pipe) && self.unlogged() == 0
    }

    /// Turns until no such logger runs any more, or `enough`, or it is too late.
    fn await_logger(&mut self, limit: Nanos, enough: fn(&mut Engine) -> bool) {
        let runs = |engine: &Engine| engine.used().any(|(_, service)| service.pid > 0 && engine.is_last(service));
        while time::boot() < limit && runs(self) && !enough(self) {
            self.turn(Some(limit.min(time::boot() + LOOK)));
        }
    }
}
