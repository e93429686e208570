//! What services say through their notification sockets, and what becomes of it: events for their machines, descriptors
//! for the fd-holder's table, a file for people.
//!
//! Whatever is sent, and by whomever: of one service's messages a bounded number is taken in a turn, every descriptor
//! that came is stored or closed before the next message is looked at, and nothing here waits.

use super::engine::{Engine, token};
use crate::fault_point;
use crate::fdholder::records::Now;
use crate::fdholder::table::{Origin, Table};
use crate::fdholder::transfer::{self, kind};
use crate::has::NOTIFY;
use crate::limits::{NOTIFY_LAST, NOTIFY_TURN, NOTIFY_TURN_FDS};
use crate::service::fdstore::{self, Gift, Outcome, Owner};
use crate::service::label;
use crate::service::machine::{Event, State, Timer};
use crate::service::notify;
use crate::state::slot::Handle;
use crate::state::{Held, Service, Tables};
use crate::sys::epoll::{Epoll, Flags, Token};
use crate::sys::memory::commit;
use crate::sys::message::{self, Came, Sender};
use crate::sys::socket::MAX_FDS;
use crate::sys::time::{self, MILLI, Nanos, SECOND};
use crate::sys::{Errno, Fd};
use crate::text::errno::Reason;
use crate::text::notify::{MESSAGE, Message, Problem, UNNAMED, Watchdog};
use crate::text::quote::Printable;
use crate::warning;
use core::fmt;

const MICRO: Nanos = 1000;
/// The longest time that a service can ask for: a year, far from any overflow.
const LONGEST: Nanos = 366 * 24 * 3600 * SECOND;

/// A descriptor's events: it hung up, or reports an error; told once.
const HUNG_UP: Flags = Flags::ONESHOT;

/// So often one message is acted on, if the process fails each time.
const ATTEMPTS: u32 = 3;

/// What came with a message, and who sent it.
struct Got {
    came: Came,
    sender: Option<Sender>,
}

fn usec(number: u64) -> Nanos {
    number.saturating_mul(MICRO).min(LONGEST)
}

impl Engine {
    /// Something has come through a notification socket.
    pub(super) fn notified(&mut self, token: Token, now: Nanos) {
        let Some(slot) = self.current(token, |service| i32::from(service.notified) - 1) else { return };
        self.hear(slot, NOTIFY_TURN, NOTIFY_TURN_FDS, now);
    }

    /// A service has died that has a socket: what it said before counts.
    pub(super) fn hear_last(&mut self, slot: usize, now: Nanos) {
        self.hear(slot, NOTIFY_LAST, 16 * NOTIFY_TURN_FDS, now);
    }

    /// Takes messages of a service, until there are none, or there were so many, or so many descriptors came with them.
    fn hear(&mut self, slot: usize, messages: usize, descriptors: usize, now: Nanos) {
        let mut came = 0;
        for _ in 0..messages {
            let Some((socket, generation)) = self.socket_of(slot) else { return };
            let transfer = &mut self.tables.transfer;
            transfer::begin(transfer, slot as u32, generation, now);
            transfer::arm(transfer, kind::NOTIFY);
            fault_point!("notify.receiving");
            let (mut room, bytes) = transfer::room(transfer);
            let received = room.receive(socket, bytes.get_mut(..=MESSAGE).unwrap_or_default());
            fault_point!("notify.received");
            if let Err(e) = received {
                transfer::end(transfer);
                if !matches!(e, Errno::AGAIN | Errno::INTR) {
                    self.tell(slot, now, format_args!("cannot read its notification socket: {}", Reason(e)));
                }
                break;
            }
            came += self.handle(slot, now);
            if came >= descriptors {
                break;
            }
        }
        self.show_what_was_said(slot, now);
    }

    /// Acts on the message that has come, as the arena says; how many descriptors came with it. It is done again from here
    /// if that is interrupted by a fault.
    fn handle(&mut self, slot: usize, now: Nanos) -> usize {
        let transfer = &mut self.tables.transfer;
        let mut text = [0; MESSAGE + 1];
        let mut fds = [Fd::NONE; MAX_FDS];
        let Some(came) = message::came(&transfer.header) else {
            transfer::end(transfer);
            return 0;
        };
        let text = text.get_mut(..came.bytes).unwrap_or_default();
        text.iter_mut().zip(&transfer.bytes).for_each(|(to, from)| *to = *from);
        let numbers = message::descriptors(&came, &transfer.control);
        fds.iter_mut().zip(numbers).for_each(|(to, from)| *to = Fd(*from));
        let fds = fds.get_mut(..numbers.len()).unwrap_or_default();
        let sender = message::sender(&came, &transfer.control);
        self.message(slot, text, fds, &Got { came, sender }, now);
        fault_point!("notify.handled");
        // From here on those that are not held are nobody's. The one that comes with BARRIER=1 is closed when all that came
        // before it is done.
        transfer::end(&mut self.tables.transfer);
        fault_point!("notify.closing");
        fds.iter_mut().for_each(Fd::close);
        fds.len()
    }

    /// A message had come when the process was interrupted.
    pub(super) fn finish_message(&mut self, now: Nanos) {
        if !NOTIFY {
            return;
        }
        let transfer = &mut self.tables.transfer;
        transfer.attempts = transfer.attempts.saturating_add(1);
        commit(transfer);
        let (slot, generation, attempts) = (transfer.slot as usize, transfer.generation, transfer.attempts);
        if self.socket_of(slot).is_none_or(|(_, known)| known != generation) {
            return transfer::abandon(&mut self.tables.transfer, &[]);
        }
        if attempts > ATTEMPTS {
            transfer::abandon(&mut self.tables.transfer, &[]);
            let why = "sent a message at which this process fails again and again: ignored";
            return self.tell(slot, now, format_args!("{why}"));
        }
        self.handle(slot, now);
        self.show_what_was_said(slot, now);
    }

    /// One part of a message, that has this number, is done.
    fn done(&mut self, part: u32) {
        let transfer = &mut self.tables.transfer;
        commit(transfer);
        transfer.count = part;
        commit(transfer);
    }

    fn socket_of(&self, slot: usize) -> Option<(Fd, u32)> {
        if !NOTIFY {
            return None;
        }
        let service = self.tables.services.get(slot).filter(|service| service.used != 0)?;
        let notify = self.tables.notifies.get(slot)?;
        notify::is_of(notify, service).then_some((Fd(notify.fd), service.generation))
    }

    /// One message. Descriptors that are kept become `NONE`; the others are the caller's to close.
    fn message(&mut self, slot: usize, bytes: &[u8], fds: &mut [Fd], got: &Got, now: Nanos) {
        let Tables { services, notifies, .. } = &mut *self.tables;
        let (Some(service), Some(notify)) = (services.get(slot), notifies.get_mut(slot)) else { return };
        let runs = matches!(State::of(service), Some(State::Up | State::LastUp));
        if !runs {
            return;
        }
        if !notify::may_speak(notify, service, got.sender) {
            // systemd-notify lets its parent speak, but waits itself until that has been heard.
            if Message::parse(bytes).is_ok_and(|message| message.barrier) {
                return;
            }
            let (pid, uid) = got.sender.map_or((0, 0), |sender| (sender.pid, sender.uid));
            return self.tell(slot, now, format_args!("does not let pid {pid} (uid {uid}) speak for it: ignored"));
        }
        if got.came.truncated || bytes.len() > MESSAGE {
            return self.tell(slot, now, format_args!("sent a message of more than {MESSAGE} bytes: ignored"));
        }
        if got.came.fds_lost {
            return self.tell(slot, now, format_args!("sent more descriptors than there is room for: ignored"));
        }
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(Problem::Nul) => return self.tell(slot, now, format_args!("sent a message with a NUL in it: ignored")),
            Err(Problem::MixedBarrier) => {
                return self.tell(slot, now, format_args!("sent BARRIER=1 together with something else: ignored"));
            }
        };
        if message.barrier {
            return self.show_what_was_said(slot, now); // before the descriptor is closed that came with it
        }
        notify::take(notify, &message, now);
        if let Some(pid) = message.main_pid.filter(|pid| u64::try_from(service.pid) != Ok(*pid)) {
            self.tell(slot, now, format_args!("says that its main process is {pid}; the one that was started counts"));
        }
        // Parts that were done before a fault are not done again: the first could undo the second, and an event that came
        // between two faults would count twice.
        let begun = self.tables.transfer.count;
        if message.remove && begun < 1 {
            self.let_go_of(slot, message.name, now);
            self.done(1);
        }
        if message.store {
            self.store(slot, &message, fds, got, now);
            fault_point!("notify.stored");
        }
        // Who is told that it is ready can see what it said besides.
        if message.ready && begun < 2 {
            self.show_at_once_unless_ready(slot, now);
            self.drive(slot, Event::Ready, now);
            self.done(2);
        }
        if let Some(time) = message.watchdog_usec.filter(|_| begun < 3) {
            if let Some(service) = self.tables.services.get_mut(slot) {
                service.watchdog = usec(time);
            }
            self.drive(slot, Event::Alive, now);
            self.done(3);
        }
        if let Some(watchdog) = message.watchdog.filter(|_| begun < 4) {
            let event = match watchdog {
                Watchdog::Alive => Event::Alive,
                Watchdog::Trigger => Event::Wrong,
            };
            self.drive(slot, event, now);
            self.done(4);
        }
        if let Some(time) = message.extend_usec.filter(|_| begun < 5) {
            self.drive(slot, Event::Extend(usec(time)), now);
            self.done(5);
        }
    }

    fn store(&mut self, slot: usize, message: &Message<'_>, fds: &mut [Fd], got: &Got, now: Nanos) {
        let Engine { tables, holder, epoll, .. } = self;
        let Tables { header, services, notifies, held, .. } = &mut **tables;
        let (Some(service), Some(notify), Some(sender)) = (services.get(slot), notifies.get_mut(slot), got.sender)
        else {
            return;
        };
        let Some(holder) = holder else {
            let why = "there is no fd-holder here, only process 1 and svscan have one";
            return notify::tell(notify, now, format_args!("{} cannot store descriptors: {why}", label(service)));
        };
        let (most, stamps) = (notify.stored_max as usize, Now { boot: now, ..Now::read() });
        let mut held = Table::new(held, &mut header.held_top);
        let name = message.name.unwrap_or(UNNAMED);
        let mut failed = None;
        for fd in fds.iter_mut() {
            let gift = Gift { fd: *fd, name, polled: !message.unwatched, sender };
            match fdstore::store(&mut held, owner(slot, service), most, &gift, &stamps) {
                Ok(Outcome::Twice) => {}
                Ok(Outcome::Stored(place)) => {
                    *fd = Fd::NONE;
                    if let Some(record) = held.get(place) {
                        watch_stored(epoll, place, record);
                    }
                }
                Err(e) => failed = Some(e),
            }
        }
        holder.note_changes(&mut held);
        let label = label(service);
        match failed {
            None => {}
            Some(Errno::DQUOT) => {
                notify::tell(notify, now, format_args!("{label} has stored {most} descriptors, and may store no more"));
            }
            Some(Errno::NAMETOOLONG) => {
                let what = Printable(name);
                notify::tell(
                    notify,
                    now,
                    format_args!("{label} cannot store {what}: that name is too long with its own"),
                );
            }
            Some(e) => notify::tell(notify, now, format_args!("{label} cannot store a descriptor: {}", Reason(e))),
        }
    }

    /// Takes something out of the table of held descriptors.
    fn change_held(&mut self, slot: usize, change: impl FnOnce(&mut Table<'_>, Owner<'_>, &mut dyn FnMut(Fd))) {
        let Engine { tables, holder, epoll, .. } = self;
        let Tables { header, services, held, .. } = &mut **tables;
        let (Some(service), Some(holder)) = (services.get(slot), holder) else { return };
        let mut held = Table::new(held, &mut header.held_top);
        change(&mut held, owner(slot, service), &mut |mut fd| {
            epoll.remove(fd); // somebody else may have it open still: nothing more is to be heard of it
            fd.close();
        });
        holder.note_changes(&mut held);
    }

    /// `FDSTOREREMOVE=1`.
    fn let_go_of(&mut self, slot: usize, name: Option<&[u8]>, now: Nanos) {
        match name {
            Some(name) => self.change_held(slot, |held, owner, close| fdstore::remove(held, owner, name, close)),
            None => self.tell(slot, now, format_args!("does not say with FDNAME= which descriptor to remove: ignored")),
        }
    }

    /// A service is gone for good: lets go of what it has stored.
    pub(super) fn forget_stored(&mut self, slot: usize) {
        if !NOTIFY {
            return;
        }
        self.change_held(slot, |held, owner, close| fdstore::remove_all(held, owner.handle, close));
    }

    /// A stored descriptor has hung up.
    pub(super) fn stored_hung_up(&mut self, token: Token) {
        if !NOTIFY {
            return;
        }
        let Engine { tables, holder, epoll, .. } = self;
        let mut held = Table::new(&mut tables.held, &mut tables.header.held_top);
        let place = token.slot as usize;
        if let Some(mut fd) = fdstore::remove_hung_up(&mut held, place, token.generation) {
            epoll.remove(fd);
            fd.close();
        } else if let Some(known) = held.get(place).filter(|known| fdstore::generation(known) == token.generation) {
            let _ = epoll.modify(Fd(known.fd), token, HUNG_UP); // it was an error that somebody has dealt with
        }
        if let Some(holder) = holder {
            holder.note_changes(&mut held);
        }
    }

    /// Whether the machine has slept since this was last asked.
    pub(super) fn has_slept(&mut self) -> bool {
        note_sleep(&mut self.slept, time::slept())
    }

    /// While the machine slept nobody could say that he is alive: everybody has his whole time from now on.
    pub(super) fn watch_anew(&mut self, now: Nanos) {
        for slot in 0..self.high {
            if self.tables.services.get(slot).is_some_and(|service| Timer::of(service) == Timer::Watchdog) {
                self.drive(slot, Event::Alive, now);
            }
        }
    }

    /// Watches the notification socket that a service has already.
    pub(super) fn watch_notify(&mut self, slot: usize) {
        let Some((socket, _)) = self.socket_of(slot) else { return };
        let Some(service) = self.tables.services.get(slot) else { return };
        let token = Token { kind: token::NOTIFY, slot: slot as u32, generation: service.generation };
        match self.epoll.add(socket, token, Flags::IN) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => warning!("{}: cannot watch its notification socket: {}", label(service), Reason(e)),
        }
        let due = self.tables.notifies.get(slot).map_or(0, |notify| notify.due);
        if due > 0 {
            self.show_at = if self.show_at == 0 { due } else { self.show_at.min(due) };
        }
    }

    /// Watches the descriptors that services have stored already.
    pub(super) fn watch_stored(&mut self) {
        if !NOTIFY {
            return;
        }
        let Engine { tables, epoll, .. } = self;
        for (place, record) in Table::new(&mut tables.held, &mut tables.header.held_top).iter() {
            watch_stored(epoll, place, record);
        }
    }

    /// The supervisor of a service is gone: lets go of its notification socket.
    pub(super) fn close_notify(&mut self, slot: usize) {
        if !NOTIFY {
            return;
        }
        let Tables { services, notifies, .. } = &mut *self.tables;
        let Some(service) = services.get_mut(slot).filter(|service| service.notified != 0) else { return };
        if let Some(notify) = notifies.get_mut(slot) {
            notify::close(notify, service);
        }
    }

    /// Shows what a service said of itself: now, if it may be; else soon.
    fn show_what_was_said(&mut self, slot: usize, now: Nanos) {
        let Tables { services, notifies, .. } = &mut *self.tables;
        let (Some(service), Some(notify)) = (services.get(slot), notifies.get_mut(slot)) else { return };
        notify::show(notify, service, now);
        if notify.due > 0 {
            self.show_at = if self.show_at == 0 { notify.due } else { self.show_at.min(notify.due) };
        }
    }

    /// Shows what a service said of itself if it is not ready yet, and so will be only once.
    fn show_at_once_unless_ready(&mut self, slot: usize, now: Nanos) {
        let Tables { services, notifies, .. } = &mut *self.tables;
        if let (Some(Service { ready: 0, .. }), Some(notify)) = (services.get(slot), notifies.get_mut(slot)) {
            notify.due = notify.due.min(now);
            self.show_what_was_said(slot, now);
        }
    }

    /// Shows what is to be shown by now.
    pub(super) fn show_what_is_due(&mut self, now: Nanos) {
        if !NOTIFY {
            return;
        }
        self.show_at = 0;
        for slot in 0..self.high {
            if self.tables.services.get(slot).is_some_and(|service| service.notified != 0) {
                self.show_what_was_said(slot, now);
            }
        }
    }

    fn tell(&mut self, slot: usize, now: Nanos, what: fmt::Arguments<'_>) {
        let Tables { services, notifies, .. } = &mut *self.tables;
        let (Some(service), Some(notify)) = (services.get(slot), notifies.get_mut(slot)) else { return };
        notify::tell(notify, now, format_args!("{} {what}", label(service)));
    }
}

/// Watches what a service has stored, if it is to be let go of when its other side is gone.
fn watch_stored(epoll: &Epoll, place: usize, record: &Held) {
    if record.polled != 0 && Origin::of(record) == Origin::Service {
        let token = Token { kind: token::STORED, slot: place as u32, generation: fdstore::generation(record) };
        // EPERM: a file, which is never gone. Whoever cannot be watched stays.
        let _ = epoll.add(Fd(record.fd), token, HUNG_UP);
    }
}

/// Brings `known` up to date; answers whether it is more than what two clocks that are read one after the other differ by.
fn note_sleep(known: &mut Nanos, slept: Nanos) -> bool {
    let more = slept > known.saturating_add(100 * MILLI);
    if more {
        *known = slept;
    }
    more
}

fn owner(slot: usize, service: &Service) -> Owner<'_> {
    Owner { handle: Handle { slot, generation: service.generation }, name: service.name_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_noticed_once_and_the_time_between_two_readings_is_none() {
        let mut known = 5 * SECOND;
        assert!(!note_sleep(&mut known, 5 * SECOND + 50 * MILLI));
        assert!(!note_sleep(&mut known, 4 * SECOND));
        assert!(note_sleep(&mut known, 7 * SECOND));
        assert!(!note_sleep(&mut known, 7 * SECOND + MILLI));
    }
}
