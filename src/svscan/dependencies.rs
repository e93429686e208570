//! Dependencies: `dependencies.d/` in a service directory names services of the same scan directory. A service is held
//! until each of them is up, and ready if it can say so. It waits without a process and without a timer: what it waits
//! for wakes it. One that is down because nobody wants it up, or that is not there, is waited for like any other.
//! `svc -u` is obeyed when they are ready, orders to go down or to exit at once.
//!
//! `supervise`, which knows no other service, does not look at dependencies.
//!
//! A circle, or a name that nobody has, holds those that depend on it and nobody else, and is reported once, with the
//! names. Each scan looks at those that wait once more, so a mended directory counts from the next scan (`svscanctl -a`)
//! or `svc -u`.

use super::engine::Engine;
use crate::service::machine::{self, Event, State, Timer, Waits};
use crate::service::waiting::{self, Cause};
use crate::service::{extra, kind, label};
use crate::state::Service;
use crate::state::slot::checksum;
use crate::sys::memory::commit;
use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd, dir};
use crate::text::CPath;
use crate::text::errno;
use crate::text::quote::Printable;
use crate::{fault_point, warning};
use core::fmt;
use core::ops::ControlFlow;

/// What is over within this time is not worth a file: so a service that comes back at once costs nothing.
const WORTH_TELLING: Nanos = SECOND;

type Name = CPath<256>;

/// What a look at the dependencies of a service found.
#[allow(clippy::large_enum_variant)] // there is one at a time, on the stack
enum Found {
    /// All are ready.
    Ready,
    /// This one, and perhaps others, is not.
    Unready(usize),
    /// There is no service of the name that was noted.
    Missing,
}

/// Whether others that depend on a service may start: it is up, and has said that it is ready if it can.
pub(super) fn is_ready(service: &Service) -> bool {
    is_up(service) && (service.notifies == 0 || service.ready != 0)
}

/// Whether its run runs.
pub(super) fn is_up(service: &Service) -> bool {
    service.supervised != 0 && matches!(State::of(service), Some(State::Up | State::LastUp))
}

/// Calls `visit` with the name of every dependency of the service with this directory. No directory of dependencies is
/// an empty one.
pub(super) fn each_dependency(dir: Fd, mut visit: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), Errno> {
    let visited = dir::visit(dir, extra::DEPENDENCIES_DIR, |name, _| match name.to_bytes() {
        [b'.', ..] => ControlFlow::Continue(()),
        name => visit(name),
    });
    match visited {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

impl Engine {
    /// The slot of the service of this name in the scan directory.
    pub(super) fn named(&self, name: &[u8]) -> Option<usize> {
        self.used()
            .find(|(_, service)| service.kind != kind::LOGGER && service.active != 0 && service.name_bytes() == name)
            .map(|(slot, _)| slot)
    }

    /// Starts a service that was held, or has it wait for one of its dependencies.
    pub(super) fn look_at_dependencies(&mut self, slot: usize, now: Nanos) {
        let Some(service) = self.tables.services.get(slot) else { return };
        if service.supervised == 0 || Waits::of(service) != Waits::Unknown {
            return;
        }
        let mut name = Name::new();
        match self.find_unready(slot, &mut name) {
            Found::Ready => {
                if let Some(service) = self.tables.services.get_mut(slot) {
                    service.complaint = 0;
                }
                self.drive(slot, Event::Release, now);
            }
            Found::Missing => {
                let complaint = checksum(&[b"missing", name.as_bytes()]);
                if self.hold(slot, Waits::Missing, None, complaint) {
                    let shown = Printable(name.as_bytes());
                    let Some(service) = self.tables.services.get(slot) else { return };
                    warning!("{} depends on {shown}, and there is no such service: it waits for it", label(service));
                }
                self.tell_waiting(slot, Cause::Dependency { name: name.as_bytes(), reason: waiting::Reason::Missing });
            }
            Found::Unready(other) if self.waits_for(other, slot) => self.hold_circle(slot, other),
            Found::Unready(other) => {
                self.hold(slot, Waits::Dependency, Some(other), 0);
                self.note_waiting(slot, now);
            }
        }
    }

    /// Has a service wait; answers whether `complaint`, if it is not 0, is a new one.
    fn hold(&mut self, slot: usize, waits: Waits, on: Option<usize>, complaint: u32) -> bool {
        self.anybody_waits = true;
        let Some(service) = self.tables.services.get_mut(slot) else { return false };
        service.waits = waits as u8;
        service.waits_on = on.map_or(-1, |slot| slot as i32);
        complaint != 0 && core::mem::replace(&mut service.complaint, complaint) != complaint
    }

    fn find_unready(&self, slot: usize, missing: &mut Name) -> Found {
        let Some(service) = self.tables.services.get(slot) else { return Found::Ready };
        let mut found = Found::Ready;
        let visited = each_dependency(Fd(service.dir_fd), |name| match self.named(name) {
            None => {
                missing.push(name);
                found = Found::Missing;
                ControlFlow::Break(())
            }
            Some(other) => {
                if matches!(found, Found::Ready) && !self.tables.services.get(other).is_some_and(is_ready) {
                    found = Found::Unready(other);
                }
                ControlFlow::Continue(())
            }
        });
        if let Err(e) = visited {
            warning!("{}: cannot read its dependencies.d: {}; it has none", label(service), errno::Reason(e));
            return Found::Ready;
        }
        found
    }

    /// Whether `from` is `to`, or waits for it, perhaps over others.
    fn waits_for(&self, from: usize, to: usize) -> bool {
        let mut at = from;
        for _ in 0..self.high {
            if at == to {
                return true;
            }
            match self.tables.services.get(at).and_then(awaited) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }

    /// Has every service of a circle wait, and says so once. `next` waits for `slot`, perhaps over others.
    fn hold_circle(&mut self, slot: usize, next: usize) {
        self.hold(slot, Waits::Circle, Some(next), 0);
        // Whoever of them finds it out, it is the same circle.
        let members = Circle { services: &self.tables.services, first: slot };
        let complaint = members.slots().fold(0, |sum, at| {
            let name = self.tables.services.get(at).map_or(&b""[..], Service::name_bytes);
            sum ^ checksum(&[b"circle", name])
        });
        let complaint = complaint.max(1);
        if self.tables.services.get(slot).is_some_and(|service| service.complaint != complaint) {
            warning!("services depend on each other in a circle, {members}: none of them starts");
        }
        let mut at = slot;
        for _ in 0..self.high {
            let Some(service) = self.tables.services.get_mut(at) else { return };
            (service.waits, service.complaint) = (Waits::Circle as u8, complaint);
            let Some(next) = awaited(service) else { return };
            self.note_waiting(at, 0);
            at = next;
            if at == slot {
                return;
            }
        }
    }

    /// A service has become ready, or is gone: whoever waits for it looks again.
    pub(super) fn wake_waiting(&mut self, on: usize, now: Nanos) {
        self.wake(|service| usize::try_from(service.waits_on) == Ok(on), now);
    }

    /// Something may have been stored in the fd-holder: whoever waits for a descriptor looks again if it has.
    pub(super) fn look_for_descriptors(&mut self, now: Nanos) {
        let top = self.tables.header.held_top as usize;
        let held = self.tables.held.iter().take(top).filter(|held| held.used != 0);
        let newest = held.map(|held| held.stored).max().unwrap_or(0);
        if newest != self.newest_seen {
            self.newest_seen = newest;
            self.anybody_lacks = false; // who still does says so again
            self.wake(|service| Waits::of(service) == Waits::Descriptor, now);
        }
    }

    /// A service has come up, though it is not ready, or gone down: whoever waits for it says so.
    pub(super) fn retell_waiting(&mut self, on: usize, now: Nanos) {
        if !self.anybody_waits {
            return;
        }
        for slot in 0..self.high {
            if self.tables.services.get(slot).and_then(awaited) == Some(on) {
                self.note_waiting(slot, now);
            }
        }
    }

    /// Everybody who waits looks again.
    pub(super) fn wake_all_waiting(&mut self, now: Nanos) {
        self.wake(|_| true, now);
    }

    fn wake(&mut self, which: impl Fn(&Service) -> bool, now: Nanos) {
        if !self.anybody_waits {
            return;
        }
        self.anybody_waits = false;
        for slot in 0..self.high {
            let Some(service) = self.tables.services.get_mut(slot) else { continue };
            if service.used == 0 || service.supervised == 0 || Waits::of(service) == Waits::Nothing {
                continue;
            }
            self.anybody_waits = true;
            if which(service) {
                // In its turn, so that a thousand that wait for one do not keep others waiting.
                machine::arm(service, Timer::Start, now);
                self.slots.set_deadline(slot, service.deadline);
            }
        }
    }

    /// Writes or removes `supervise/waiting`, as the record has it.
    pub(super) fn note_waiting(&mut self, slot: usize, now: Nanos) {
        let Some(service) = self.tables.services.get(slot) else { return };
        let worth = service.deadline > now.saturating_add(WORTH_TELLING);
        let other = usize::try_from(service.waits_on).ok().and_then(|other| self.tables.services.get(other));
        let mut name = Name::new();
        name.push(other.map_or(b"", Service::name_bytes));
        let name = name.as_bytes();
        let reason = if other.is_some_and(is_up) { waiting::Reason::NotReady } else { waiting::Reason::Down };
        let cause = match (Waits::of(service), Timer::of(service)) {
            (Waits::Unknown | Waits::Missing | Waits::Descriptor, _) => return, // who looks, tells
            (Waits::Dependency, _) => Cause::Dependency { name, reason },
            (Waits::Circle, _) => Cause::Dependency { name, reason: waiting::Reason::Cycle },
            _ if service.deferred != 0 => Cause::After(name),
            (_, Timer::Start) if worth => Cause::Restart(service.deadline),
            (_, Timer::Kill) if worth => Cause::Kill(service.deadline),
            _ if service.gave_up != 0 => Cause::Order,
            _ => {
                if service.waiting_file != 0 {
                    waiting::remove(Fd(service.dir_fd));
                    if let Some(service) = self.tables.services.get_mut(slot) {
                        service.waiting_file = 0;
                    }
                }
                return;
            }
        };
        self.tell_waiting(slot, cause);
    }

    /// Writes `supervise/waiting`. Where that cannot be, people do without.
    fn tell_waiting(&mut self, slot: usize, cause: Cause<'_>) {
        if let Some(service) = self.tables.services.get_mut(slot) {
            // On record before it is there, so that it is removed whatever happens.
            let before = core::mem::replace(&mut service.waiting_file, 1);
            commit(service);
            fault_point!("waiting.before");
            if waiting::write(Fd(service.dir_fd), [cause]).is_err() {
                service.waiting_file = before;
            }
        }
    }
}

/// Whom a held service waits for.
fn awaited(service: &Service) -> Option<usize> {
    let waits = matches!(Waits::of(service), Waits::Dependency | Waits::Circle);
    usize::try_from(service.waits_on).ok().filter(|_| waits && service.used != 0)
}

/// The services of a circle, as `a -> b -> a`.
struct Circle<'a> {
    services: &'a [Service],
    first: usize,
}

impl Circle<'_> {
    fn slots(&self) -> impl Iterator<Item = usize> {
        let mut at = Some(self.first);
        let mut left = self.services.len();
        core::iter::from_fn(move || {
            let now = at?;
            let next = self.services.get(now).and_then(awaited);
            left = left.checked_sub(1)?;
            at = next.filter(|next| *next != self.first);
            Some(now)
        })
    }
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |slot| self.services.get(slot).map_or(&b""[..], Service::name_bytes);
        for slot in self.slots() {
            write!(f, "{} -> ", Printable(name(slot)))?;
        }
        write!(f, "{}", Printable(name(self.first)))
    }
}
