//! Input that was taken from the kernel and not acted on yet: bytes of a control FIFO, a signal, the newline of a service that
//! is ready. The kernel writes it into the arena, where it stays until all that it asks for is done: what was asked for
//! comes to pass whatever happens to us meanwhile, though a signal may be sent twice. See
//! [`crate::state::layout::progress::Inbox`].

use super::engine::{Engine, token};
use crate::service::machine::Event;
use crate::service::{label, supervisor};
use crate::state::Inbox;
use crate::sys::epoll::Token;
use crate::sys::memory::commit;
use crate::sys::time::Nanos;
use crate::sys::{Fd, Result, file, signal};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use crate::{error, fault_point, warning};

/// Where it comes from, as [`Inbox::source`] holds it.
pub mod source {
    /// A service's control FIFO.
    pub const SERVICE: u32 = 1;
    /// The scan directory's.
    pub const SCANDIR: u32 = 2;
    /// The signalfd.
    pub const SIGNAL: u32 = 3;
    /// A service's readiness pipe.
    pub const READINESS: u32 = 4;
}

/// What was taken up again so often and has failed each time is given up.
const ATTEMPTS: u32 = 2;

impl Inbox {
    /// Empties it, for what comes from `source`, and is of the service with this slot and generation.
    fn open(&mut self, source: u32, slot: u32, generation: u32) {
        self.close();
        (self.done, self.acting, self.job, self.attempts) = (0, 0, 0, 0);
        (self.slot, self.generation) = (slot, generation);
        self.bytes.fill(0);
        commit(self);
        self.source = source;
        commit(self);
    }

    /// All of it is done.
    pub(super) fn close(&mut self) {
        self.source = 0;
        commit(self);
    }

    /// What came.
    fn came(&self) -> &[u8] {
        let end = self.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The event that a byte has led to is on record: the byte is done with.
    pub(super) fn event_is_on_record(&mut self) {
        if self.acting > 0 {
            self.done = self.acting;
            (self.acting, self.attempts) = (0, 0); // it gets on
            commit(self);
        }
    }
}

impl Engine {
    /// A service's control FIFO has something.
    pub(super) fn service_control(&mut self, token: Token, now: Nanos) {
        let Some(slot) = self.current(token, |service| service.control_fd) else { return };
        let Some(service) = self.tables.services.get(slot) else { return };
        let fifo = Fd(service.control_fd);
        self.tables.inbox.open(source::SERVICE, token.slot, token.generation);
        match self.take(|bytes| file::read_fifo(fifo, bytes).map(|n| n.is_some())) {
            Ok(true) => self.act_on_inbox(now),
            Ok(false) => {}
            Err(e) => {
                let Some(service) = self.tables.services.get(slot) else { return };
                warning!("cannot read the control FIFO of {}: {}", label(service), Reason(e));
            }
        }
    }

    /// The scan directory's control FIFO has something.
    pub(super) fn read_control(&mut self, now: Nanos) {
        let fifo = Fd(self.tables.header.control_fd);
        self.tables.inbox.open(source::SCANDIR, 0, 0);
        match self.take(|bytes| file::read_fifo(fifo, bytes).map(|n| n.is_some())) {
            Ok(true) => self.act_on_inbox(now),
            Ok(false) => {}
            Err(e) => warning!("cannot read the control FIFO: {}", Reason(e)),
        }
    }

    /// All pending signals.
    pub(super) fn read_signals(&mut self, now: Nanos) {
        let fd = self.signals;
        // As many as there are signals: each is pending at most once (real-time ones may come again next turn).
        for _ in 0..64 {
            self.tables.inbox.open(source::SIGNAL, 0, 0);
            match self.take(|bytes| signal::take_signal(fd, bytes)) {
                Ok(true) => self.act_on_inbox(now),
                Ok(false) => return,
                Err(e) => return warning!("cannot read the signalfd: {}", Reason(e)),
            }
        }
    }

    /// A service may have said through its pipe that it is ready.
    pub(super) fn hear_readiness(&mut self, slot: usize, now: Nanos) {
        let Some(service) = self.tables.services.get_mut(slot).filter(|service| service.notify_fd >= 0) else { return };
        let inbox = &mut self.tables.inbox;
        inbox.open(source::READINESS, slot as u32, service.generation);
        if supervisor::said_ready(service, &mut inbox.bytes) {
            commit(inbox);
            self.act_on_inbox(now);
        } else {
            inbox.close();
        }
    }

    fn take(&mut self, read: impl FnOnce(&mut [u8]) -> Result<bool>) -> Result<bool> {
        let inbox = &mut self.tables.inbox;
        fault_point!("inbox.opened");
        let came = read(&mut inbox.bytes);
        commit(inbox);
        fault_point!("inbox.read");
        if came != Ok(true) {
            inbox.close();
        }
        came
    }

    /// Acts on what was left in the inbox.
    pub(super) fn take_up_inbox(&mut self, now: Nanos) {
        let inbox = &mut self.tables.inbox;
        if inbox.source == 0 {
            return;
        }
        if inbox.attempts >= ATTEMPTS {
            error!("input that fails every time is given up: {}", Printable(inbox.came()));
            return inbox.close();
        }
        inbox.attempts += 1;
        commit(inbox);
        self.act_on_inbox(now);
    }

    fn act_on_inbox(&mut self, now: Nanos) {
        let inbox = &self.tables.inbox;
        match inbox.source {
            source::SERVICE => self.act_on_orders(now),
            source::SCANDIR => {
                let (mut bytes, came) = (inbox.bytes, inbox.came().len());
                let orders = bytes.get_mut(..came).unwrap_or_default();
                self.obey(orders, now);
            }
            source::SIGNAL if self.is_job_started() => {}
            source::SIGNAL => {
                if let Some(received) = signal::received(&inbox.bytes) {
                    self.signal(received, now);
                }
            }
            source::READINESS if inbox.came().contains(&b'\n') => {
                let (slot, generation) = (inbox.slot as usize, inbox.generation);
                let is = |service: &crate::state::Service| service.used != 0 && service.generation == generation;
                if self.tables.services.get(slot).is_some_and(is) {
                    self.drive(slot, Event::Ready, now);
                }
            }
            _ => {}
        }
        fault_point!("inbox.done");
        self.tables.inbox.close();
    }

    /// The orders to a service, one after the other.
    fn act_on_orders(&mut self, now: Nanos) {
        loop {
            let inbox = &mut self.tables.inbox;
            let next = inbox.done.saturating_add(1);
            let Some(byte) = inbox.came().get(inbox.done as usize).copied() else { return };
            let token = Token { kind: token::SERVICE_CONTROL, slot: inbox.slot, generation: inbox.generation };
            inbox.acting = next;
            // What follows an `x` that was obeyed has nobody to obey it.
            let Some(slot) = self.current(token, |service| service.control_fd) else { return };
            self.order(slot, byte, now);
            fault_point!("inbox.acted");
            let inbox = &mut self.tables.inbox;
            (inbox.acting, inbox.done, inbox.attempts) = (0, inbox.done.max(next), 0);
            commit(inbox);
        }
    }

    /// Whether what the signal in the inbox asks for is a job that was started before we were interrupted.
    fn is_job_started(&self) -> bool {
        let slot = (self.tables.inbox.job as usize).checked_sub(1);
        let job = slot.and_then(|slot| self.tables.jobs.get(slot));
        job.is_some_and(|job| job.used != 0 && job.pid > 0)
    }
}
