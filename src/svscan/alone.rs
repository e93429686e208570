//! `supervise DIR`, s6-supervise(8): the engine with one record and no scan directory: its directory is the working
//! directory, and the process ends when its supervisor does.

use super::engine::{Engine, token};
use super::records::{Failure, open_supervisor};
use super::start::fill_stdio;
use super::{Plan, Role};
use crate::service::kind;
use crate::service::machine::Event;
use crate::service::supervisor;
use crate::sys::epoll::Token;
use crate::sys::signal::number as sig;
use crate::sys::time::Nanos;
use crate::sys::{Errno, Fd};
use core::ffi::CStr;
use rustix::fs::AtFlags;

impl Role {
    /// The name of the only service there is, if there is to be no other.
    pub(super) fn only_service(self) -> Option<&'static CStr> {
        match self {
            Role::Supervise(name) => Some(name),
            Role::Init(_) | Role::Svscan => None,
        }
    }

    /// The only service lets go of its standard input and output: nobody else has them, so they are the process's own.
    /// A logger's supervisor must not keep the pipe open whose end the logger waits for.
    pub(super) fn close_stdio(self) {
        if self.only_service().is_some() {
            Fd(0).close();
            Fd(1).close();
            fill_stdio();
        }
    }
}

impl Engine {
    /// Supervises the service whose directory is the working directory. EAGAIN: somebody else does; ENOTDIR, EEXIST:
    /// something else has the name of `event`, `supervise` or `supervise/control`.
    pub fn supervise_here(&mut self, now: Nanos) -> core::result::Result<(), Failure> {
        let name = self.config.role.only_service().unwrap_or_default();
        let no_room = ("make a record", Errno::NOMEM);
        let stat = rustix::fs::statat(Fd::CWD, c".", AtFlags::empty()).map_err(|e| ("look at the directory", e))?;
        self.forget_records(); // of an attempt that was interrupted
        let slot = self.create(name.to_bytes(), kind::ALONE, stat.st_dev as u64, stat.st_ino as u64).ok_or(no_room)?;
        let service = self.tables.services.get_mut(slot).ok_or(no_room)?;
        let control = Token { kind: token::SERVICE_CONTROL, slot: slot as u32, generation: service.generation };
        let want_up = open_supervisor(Fd::CWD, Ok(c"."), service, &self.epoll, control)
            .inspect_err(|_| supervisor::close_all(service))?;
        service.active = 1;
        self.supervise(slot, want_up, now);
        Ok(())
    }

    /// A signal to `supervise`.
    pub(super) fn supervise_signal(&mut self, signal: i32, now: Nanos) {
        let event = match signal {
            sig::TERM => Event::Terminate,
            sig::HUP => Event::Hangup,
            sig::QUIT => Event::Quit,
            sig::INT => Event::Interrupt,
            _ => return,
        };
        if self.plan() == Plan::Run {
            self.drive(0, event, now);
        }
    }
}
