//! One event of one service at a time: noted in the arena before its machine takes it, so that a fault in the middle of what
//! follows from it is made good. See [`crate::state::layout::progress::Redo`].
//!
//! What follows for others (who waits for it, whom it keeps from ending, a supervisor that is over) is not on record: it is
//! found again by looking at every record, on entry ([`Engine::redo`]). So there is one event on record at a time.

use super::Plan;
use super::engine::{Engine, waited_for};
use super::inbox::source;
use crate::service::machine::{self, Event, State, Timer, Waits};
use crate::service::redo::{self, Moment};
use crate::service::{label, news, supervisor};
use crate::state::{Service, Tables};
use crate::sys::process;
use crate::sys::time::Nanos;
use crate::text::tai::Stamp;
use crate::{error, fault_point, warning};

impl Engine {
    /// Feeds an event to a service and does what follows from it. Nothing happens to one that has no supervisor (any
    /// more): it may have exited at an earlier byte of the same order.
    pub(super) fn drive(&mut self, slot: usize, event: Event, now: Nanos) {
        let moment = Moment { now, stamp: Stamp::now(), at_once: self.no_orders };
        let Tables { services, redo, inbox, .. } = &mut *self.tables;
        let Some(service) = services.get(slot).filter(|service| service.supervised != 0) else { return };
        fault_point!("drive.begin");
        redo.begin(slot, service, event, &moment, inbox.acting);
        fault_point!("drive.begun");
        inbox.event_is_on_record();
        self.follow(slot, event, &moment, false);
    }

    /// Changes fields of a service's record that belong together: all of them, or none.
    pub(super) fn change(&mut self, slot: usize, change: impl FnOnce(&mut Service)) {
        let Tables { services, redo, .. } = &mut *self.tables;
        if let Some(service) = services.get_mut(slot) {
            redo.change(slot, service, change);
        }
    }

    /// Does what was left undone of the last event, and of what was to follow from others.
    pub(super) fn redo(&mut self, now: Nanos) {
        self.feed_again(now);
        self.pick_up(now);
    }

    /// Feeds the event again that was interrupted.
    fn feed_again(&mut self, now: Nanos) {
        let Tables { services, redo, inbox, .. } = &mut *self.tables;
        let slot = redo.slot as usize;
        let Some(event) = redo.event() else { return redo.end() };
        let Some(service) = services.get_mut(slot).filter(|service| service.supervised != 0 && redo.is_of(service))
        else {
            warning!("the event that was interrupted belongs to nobody any more");
            return redo.end();
        };
        if inbox.source == source::SERVICE {
            inbox.done = inbox.done.max(redo.taken);
        }
        if redo.try_again() {
            redo.put_back(service);
            let moment = redo.moment();
            fault_point!("redo.put_back");
            return self.follow(slot, event, &moment, true);
        }
        error!("{}: the event {} fails every time: it is given up", label(service), redo::name(event));
        redo.give_up(event, service, now);
        redo.end();
        self.slots.set_pid(slot, service.pid);
        self.slots.set_deadline(slot, service.deadline);
    }

    /// Looks at every record for what was to follow from something that had happened, or was being done to it.
    fn pick_up(&mut self, now: Nanos) {
        self.anybody_waits = true;
        self.newest_seen = 0;
        let stopping = self.plan() != Plan::Run;
        self.tidy_jobs();
        for slot in 0..self.high {
            self.part_from_stranger(slot);
            let Some(service) = self.tables.services.get_mut(slot).filter(|service| service.used != 0) else {
                continue;
            };
            if service.dead_pid != service.pid {
                service.dead_pid = 0;
            }
            self.anybody_lacks |= Waits::of(service) == Waits::Descriptor;
            if service.supervised == 0 {
                self.pick_up_unsupervised(slot, stopping, now);
            } else if State::of(service) == Some(State::Gone) {
                self.supervisor_gone(slot, now);
            } else {
                if service.stdio_closed != 0 {
                    self.config.role.close_stdio();
                }
                match Waits::of(service) {
                    Waits::Unknown => self.look_at_dependencies(slot, now),
                    _ if waited_for(service) != (0, 0, 0, 0, 0) || service.waiting_file != 0 => {
                        self.note_waiting(slot, now)
                    }
                    _ => {}
                }
            }
            fault_point!("pick_up");
        }
        self.wake_all_waiting(now);
        self.owe_what_is_behind(now);
        if stopping {
            self.let_go_of_output();
            self.dependant_gone = true;
        }
    }

    /// A record that has no supervisor: it waits for one, or was about to get one, or was about to go.
    fn pick_up_unsupervised(&mut self, slot: usize, stopping: bool, now: Nanos) {
        let last = self.tables.services.get(slot).is_some_and(|service| self.is_last(service));
        let Some(service) = self.tables.services.get_mut(slot) else { return };
        let timer = Timer::of(service);
        if timer == Timer::Linger {
            return;
        }
        supervisor::close_all(service); // of a supervisor that was about to be, or is over
        if self.config.role.only_service().is_some() {
            self.tables.header.plan = Plan::Leave as u32;
        } else if (service.active == 0 || stopping && !last) && service.deferred == 0 {
            if !stopping {
                self.scan_soon();
            }
            self.release(slot);
        } else if timer != Timer::Respawn && !stopping {
            let over = State::of(service) == Some(State::Gone);
            let at = if over { Engine::earliest_supervisor(service, now) } else { now };
            machine::arm(service, Timer::Respawn, at);
            self.slots.set_deadline(slot, service.deadline);
        }
    }

    /// A record and its partner know each other, or neither does: a pipe that only one of them has is nobody's. What is in a
    /// logger's is kept for its next run.
    fn part_from_stranger(&mut self, slot: usize) {
        let services = &self.tables.services;
        let Some(service) = services.get(slot).filter(|service| service.used != 0 && service.partner >= 0) else {
            return;
        };
        let other = usize::try_from(service.partner).ok().and_then(|other| services.get(other));
        if !other.is_some_and(|other| other.used != 0 && usize::try_from(other.partner) == Ok(slot)) {
            self.change(slot, |service| {
                service.partner = -1;
                service.seal();
            });
        }
    }

    /// Jobs that were about to be started have not been, and those that could not execute their program neither.
    fn tidy_jobs(&mut self) {
        for job in self.tables.jobs.iter_mut().filter(|job| job.used != 0) {
            if job.failed != 0 && process::is_child(job.pid) {
                let _ = process::wait_for(job.pid);
            }
            if job.pid <= 0 || job.failed != 0 {
                (job.used, job.pid) = (0, 0);
            }
        }
    }

    /// What the world was not told yet is told, and where it is a start that follows a death, in its turn.
    fn owe_what_is_behind(&mut self, now: Nanos) {
        for slot in 0..self.high {
            let Some(service) = self.tables.services.get_mut(slot) else { continue };
            if service.supervised != 0 && news::is_behind(service) && self.owing.push(slot).is_err() {
                news::settle(service);
            }
        }
        self.owing_until = now;
    }
}
