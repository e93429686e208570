//! What the world is told of a service: its death tally, its status file, its events, a line in the log. The record says
//! what is still owed, so that it can be put off while something more urgent happens, and is done again after a fault.

use super::supervisor::noted;
use super::{event, files, label, machine, status, tally};
use crate::state::Service;
use crate::sys::memory::commit;
use crate::sys::{Errno, Fd};
use crate::text::errno::Reason;
use crate::text::tai::Stamp;
use crate::{fault_point, info, warning};
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Something could not be told, is still on record, and is worth another attempt.
static BEHIND: AtomicBool = AtomicBool::new(false);

/// A way to tell, and the errno with which it fails, once that has been said; 0 when it works.
struct Way {
    what: &'static str,
    said: AtomicI32,
}

static TALLY: Way = Way { what: "write its death tally", said: AtomicI32::new(0) };
static STATUS: Way = Way { what: "write its status", said: AtomicI32::new(0) };
static EVENTS: Way = Way { what: "tell its listeners", said: AtomicI32::new(0) };

impl Way {
    fn works(&self) {
        self.said.store(0, Ordering::Relaxed);
    }

    /// Says once why it does not, and remembers that there is something to tell if that may pass by itself.
    fn fails(&self, service: &Service, e: Errno) {
        let again = passes(e);
        if again {
            BEHIND.store(true, Ordering::Relaxed);
        }
        if self.said.swap(e.raw_os_error(), Ordering::Relaxed) != e.raw_os_error() {
            let then = if again { "; tried again every second" } else { "" };
            warning!("{}: cannot {}: {}{then}", label(service), self.what, Reason(e));
        }
    }
}

/// Whether it is a shortage, which ends. A directory that is gone or read-only stays so: then the next change of state is
/// early enough.
fn passes(e: Errno) -> bool {
    matches!(e, Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOSPC | Errno::DQUOT)
}

/// Whether since this was last asked something could not be told: [`settle`] those that are [behind](is_behind) a little
/// later.
pub fn take_behind() -> bool {
    BEHIND.swap(false, Ordering::Relaxed)
}

/// Whether the world was not told all of a service, be it that it is put off or that it could not be done.
pub fn is_behind(service: &Service) -> bool {
    service.published != service.sequence || service.untallied != 0 || service.untold[0] != 0
}

/// Does what the record owes the world: adds the last death to the tally, writes the status file, sends the events. Until
/// it is done the record says so: after a fault in between it is done again, so that an event may come twice, but never
/// not at all.
pub fn settle(service: &mut Service) {
    settle_until(service, service.untold.len());
}

/// As [`settle`], but where news of a start follows other news it is left for a later call: answers whether it is.
/// Clients of s6 before 2.12 that read both in one piece take notice of the last only, and would wait for a restart that
/// they have missed.
pub fn settle_in_turn(service: &mut Service) -> bool {
    match service.untold.iter().position(|event| *event == b'u') {
        None | Some(0) => {
            settle(service);
            false
        }
        Some(start) => {
            settle_until(service, start);
            service.untold[0] == b'u' // else the other news could not be told, and waits for better times itself
        }
    }
}

/// Settles, but for the events from `end` on.
fn settle_until(service: &mut Service, end: usize) {
    tally_death(service);
    if service.published != service.sequence {
        publish(service);
    }
    let told = service.untold;
    let told = told.get(..end).unwrap_or(&told).split(|byte| *byte == 0).next().unwrap_or_default();
    if !told.is_empty() {
        fault_point!("news.events.before");
        // Nobody may listen: that the directory is not there is no reason to stop supervising.
        match event::notify(Fd(service.dir_fd), c"event", told) {
            Err(e) if passes(e) => return EVENTS.fails(service, e),
            _ => EVENTS.works(),
        }
        fault_point!("news.events.after");
        report(service, told);
        let mut left = [0; 4];
        for (to, event) in left.iter_mut().zip(service.untold.iter().skip(told.len())) {
            *to = *event;
        }
        service.untold = left;
        commit(service);
        fault_point!("news.events.done");
    }
}

/// Puts events on record, to be sent by [`settle`].
pub(super) fn note(service: &mut Service, events: &[u8]) {
    for event in events {
        if service.untold.iter().all(|byte| *byte != 0) {
            settle(service);
            if service.untold[0] != 0 {
                report(service, &service.untold); // the oldest that cannot be told are in the log at least
                service.untold = [0; 4];
            }
        }
        if let Some(free) = service.untold.iter_mut().find(|byte| **byte == 0) {
            *free = *event;
        }
    }
}

/// Adds the last death to the tally, if it is not in it yet.
pub(super) fn tally_death(service: &mut Service) {
    if service.untallied == 0 {
        return;
    }
    let dir = Fd(service.dir_fd);
    let limit = noted(service, "max-death-tally", files::max_death_tally(dir));
    let stamp = Stamp { sec: service.stamp_sec, nano: service.stamp_nano };
    fault_point!("news.tally.before");
    match tally::append(dir, &tally::Record::new(stamp, service.wstat as u16), limit) {
        Ok(()) => TALLY.works(),
        Err(e) => {
            TALLY.fails(service, e);
            if passes(e) {
                return;
            }
        }
    }
    fault_point!("news.tally.after");
    service.untallied = 0;
    commit(service);
}

/// One line for each thing that an operator of a machine wants to find in its log.
fn report(service: &Service, events: &[u8]) {
    for event in events {
        match event {
            b'u' => info!("{} started, pid {}", label(service), service.pid),
            b'U' => info!("{} is ready", label(service)),
            b'd' => match service.wstat & 0x7f {
                0 => info!("{} ended, exit code {}", label(service), service.wstat >> 8),
                signal => info!("{} ended by SIG{}", label(service), crate::sys::signal::name(signal as i32)),
            },
            b'O' => warning!("{} asks not to be started again", label(service)),
            _ => {}
        }
    }
}

fn publish(service: &mut Service) {
    let running = service.pid > 0;
    let finishing =
        running && matches!(machine::State::of(service), Some(machine::State::Finish | machine::State::LastFinish));
    let record = status::Status {
        stamp: Stamp { sec: service.stamp_sec, nano: service.stamp_nano },
        ready_stamp: Stamp { sec: service.ready_sec, nano: service.ready_nano },
        pid: service.pid,
        wstat: service.wstat as u16,
        paused: service.paused != 0 || service.fresh != 0,
        finishing,
        want_up: service.want_up != 0,
        ready: service.ready != 0,
    };
    fault_point!("news.status.before");
    match status::write(Fd(service.dir_fd), &record) {
        Ok(()) => {
            fault_point!("news.status.after");
            service.published = service.sequence;
            commit(service);
            STATUS.works();
        }
        Err(e) => STATUS.fails(service, e),
    }
}

#[cfg(test)]
mod tests {
    use super::super::machine::Event;
    use super::super::supervisor::{Context, drive};
    use super::*;
    use crate::service::event::Subscription;
    use crate::service::scratch::Scratch;
    use crate::state::Redo;
    use crate::sys::args::Env;
    use crate::sys::epoll::{Epoll, Token};
    use crate::sys::time::SECOND;
    use zerocopy::FromZeros;

    /// A service as it is in the record after it was killed by SIGKILL and started again, before the world knows.
    fn started_again(scratch: &Scratch) -> Box<Service> {
        files::prepare(scratch.fd).unwrap();
        let mut service = Box::new(Service::new_zeroed());
        machine::begin(&mut service, true, 1, Stamp::from_unix(100, 0));
        service.dir_fd = scratch.fd.0;
        service.pid = 7;
        for (event, second) in [(Event::Started, 100), (Event::Died(9), 200), (Event::NoFinish, 200)] {
            machine::step(&mut service, event, 2 * SECOND, Stamp::from_unix(second, 0));
        }
        service.pid = 8;
        machine::step(&mut service, Event::Started, 2 * SECOND, Stamp::from_unix(200, 0));
        service.untallied = 1;
        note(&mut service, b"dD");
        note(&mut service, b"u");
        service
    }

    fn deaths(scratch: &Scratch) -> Vec<(u64, u8)> {
        let mut seen = Vec::new();
        let unix = Stamp::from_unix(0, 0).sec;
        tally::visit(scratch.fd, 100, &mut |record| seen.push((record.stamp.sec - unix, record.signal))).unwrap();
        seen
    }

    #[test]
    fn what_a_record_owes_is_told_in_order_and_once() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        settle(&mut service);
        let mut buf = [0; 16];
        assert_eq!(listener.read(&mut buf), Ok(Some(3)));
        assert_eq!(&buf[..3], b"dDu");
        let status = status::read(scratch.fd).unwrap();
        assert_eq!((status.pid, status.wstat, status.is_up()), (8, 9, true));
        assert_eq!(deaths(&scratch), [(200, 9)]);
        settle(&mut service);
        assert_eq!(listener.read(&mut buf), Ok(None));
        assert_eq!(deaths(&scratch), [(200, 9)]);
        listener.close();
    }

    #[test]
    fn only_a_shortage_is_worth_another_attempt_by_itself() {
        for e in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOSPC] {
            assert!(passes(e));
        }
        for e in [Errno::NOENT, Errno::ROFS, Errno::ACCESS, Errno::BADF] {
            assert!(!passes(e));
        }
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        service.dir_fd = -1; // it is gone, for good as far as anybody knows
        settle(&mut service);
        assert!(!take_behind() && is_behind(&service));
        assert_eq!((service.untallied, service.untold), (0, [0; 4]));
        service.dir_fd = scratch.fd.0;
        settle(&mut service);
        assert!(!is_behind(&service));
        assert_eq!(status::read(scratch.fd).unwrap().pid, 8);
    }

    #[test]
    fn a_death_before_the_last_one_is_told_loses_nothing() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        let epoll = Epoll::new().unwrap();
        let mut context = Context {
            epoll: &epoll,
            readiness: Token { kind: 0, slot: 0, generation: 0 },
            notify_kind: 0,
            notify: None,
            env: Env::EMPTY,
            called: None,
            held: None,
            room: None,
            nofile: None,
            null: Fd::NONE,
            console: [Fd::NONE; 2],
            cleared: true,
            now: 2 * SECOND,
            stamp: Stamp::from_unix(201, 0),
            at_once: true,
            redo: &mut Redo::new_zeroed(),
            again: false,
        };
        assert!(!drive(&mut context, &mut service, Event::Died(15)));
        assert_eq!(deaths(&scratch), [(200, 9), (201, 15)]);
        let mut buf = [0; 16];
        assert_eq!(listener.read(&mut buf), Ok(Some(5)));
        assert_eq!(&buf[..5], b"dDudD");
        let status = status::read(scratch.fd).unwrap();
        assert_eq!((status.pid, status.wstat, status.ready), (0, 15, true));
        listener.close();
    }

    #[test]
    fn a_start_is_told_apart_from_the_death_before_it_and_with_the_readiness_after_it() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        note(&mut service, b"U");
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        let mut buf = [0; 16];
        assert!(settle_in_turn(&mut service));
        assert_eq!(listener.read(&mut buf), Ok(Some(2)));
        assert_eq!(&buf[..2], b"dD");
        assert!(!settle_in_turn(&mut service));
        assert_eq!(listener.read(&mut buf), Ok(Some(2)));
        assert_eq!(&buf[..2], b"uU");
        assert_eq!(deaths(&scratch), [(200, 9)]);
        listener.close();
    }

    #[test]
    fn more_events_than_a_record_can_owe_are_told_in_two_parts() {
        let scratch = Scratch::new();
        let mut service = started_again(&scratch);
        let mut listener = Subscription::open(scratch.fd, c"event").unwrap();
        note(&mut service, b"Ux");
        let mut buf = [0; 16];
        assert_eq!(listener.read(&mut buf), Ok(Some(4)));
        settle(&mut service);
        let mut rest = [0; 16];
        assert_eq!(listener.read(&mut rest), Ok(Some(1)));
        assert_eq!((&buf[..4], &rest[..1]), (&b"dDuU"[..], &b"x"[..]));
        listener.close();
    }
}
