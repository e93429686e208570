//! The shell around [`Wait`]: listens to the events of some services until the wait is over. For clients.

use super::event::{self, Access, Subscription};
use super::status;
use super::wait::{Tracked, Wait};
use crate::limits::WATCHED;
use crate::sys::epoll::{Epoll, Events, Flags, Token};
use crate::sys::time::{self, Nanos};
use crate::sys::{Errno, Fd, Result};
use heapless::Vec;

/// Services being watched: at most [`WATCHED`]. Dropping it removes the FIFOs.
pub struct Watch {
    epoll: Epoll,
    wait: Wait,
    tracked: Vec<Tracked, WATCHED>,
    subscriptions: Vec<Subscription, WATCHED>,
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(wait: Wait) -> Result<Watch> {
        Ok(Watch { epoll: Epoll::new()?, wait, tracked: Vec::new(), subscriptions: Vec::new() })
    }

    /// Watches the service directory `dir` too: makes `event/` if it is missing, subscribes, then reads the status. What
    /// happens from now on counts. On failure says what could not be done ("unable to …"). EMFILE: too many services.
    pub fn add(&mut self, dir: Fd) -> core::result::Result<(), (&'static str, Errno)> {
        let slot = self.subscriptions.len();
        if slot == WATCHED {
            return Err(("watch one service more", Errno::MFILE));
        }
        event::make(dir, c"event", Access::own_group()).map_err(|e| ("make the fifodir", e))?;
        let mut subscription = Subscription::open(dir, c"event").map_err(|e| ("subscribe to the events", e))?;
        let token = Token { kind: 0, slot: slot as u32, generation: 0 };
        let done = match self.epoll.add(subscription.fd(), token, Flags::IN) {
            Ok(()) => status::read(dir).map_err(|e| ("read the status", e)),
            Err(e) => Err(("listen to the events", e)),
        };
        match done {
            Ok(status) => {
                // There is room: the length was checked above.
                let _ = self.tracked.push(self.wait.track(&status));
                let _ = self.subscriptions.push(subscription);
                Ok(())
            }
            Err(e) => {
                subscription.close();
                Err(e)
            }
        }
    }

    /// Does not wait for the service that was added as number `slot` any more.
    pub fn abandon(&mut self, slot: usize) {
        if let Some(service) = self.tracked.get_mut(slot) {
            self.wait.abandon(service);
        }
    }

    /// Waits until the goal is reached or `deadline` (on the boot-time clock) has passed: `None`. Else how many services
    /// failed.
    pub fn run(&mut self, deadline: Option<Nanos>) -> Result<Option<u32>> {
        let mut events = Events::new();
        while !self.wait.is_over(&self.tracked) {
            let left = deadline.map(|deadline| deadline.saturating_sub(time::boot()));
            let n = self.epoll.wait(&mut events, left)?;
            if n == 0 && left == Some(0) {
                return Ok(None);
            }
            for (token, _) in events.iter().take(n) {
                if self.take(token.slot as usize)? {
                    break;
                }
            }
        }
        Ok(Some(self.wait.failures()))
    }

    /// Takes the events of one service that have come; says whether the wait is over.
    fn take(&mut self, slot: usize) -> Result<bool> {
        let mut buf = [0; 64];
        let Some(subscription) = self.subscriptions.get(slot) else { return Ok(false) };
        let n = subscription.read(&mut buf)?.unwrap_or(0);
        for byte in buf.iter().take(n) {
            if let Some(service) = self.tracked.get_mut(slot) {
                self.wait.event(service, *byte);
            }
            if self.wait.is_over(&self.tracked) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.subscriptions.iter_mut().for_each(Subscription::close);
        self.epoll.fd().close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use crate::service::status::Status;
    use crate::service::wait::{Goal, Quorum};

    fn service() -> Scratch {
        let scratch = Scratch::new();
        scratch.mkdir("supervise");
        status::write(scratch.fd, &Status { ready: true, ..Status::default() }).unwrap();
        scratch
    }

    fn watch(goal: Goal) -> Watch {
        Watch::new(Wait::new(goal, Quorum::All, false)).unwrap()
    }

    #[test]
    fn events_of_all_services_are_followed() {
        let (one, two) = (service(), service());
        let mut watch = watch(Goal::UpReady);
        watch.add(one.fd).unwrap();
        watch.add(two.fd).unwrap();
        assert_eq!(watch.run(Some(0)), Ok(None));
        for scratch in [&one, &two] {
            assert_eq!(event::notify(scratch.fd, c"event", b"uU").unwrap().told, 1);
        }
        assert_eq!(watch.run(None), Ok(Some(0)));
        drop(watch);
        assert_eq!(one.names("event"), [] as [&str; 0]);
    }

    #[test]
    fn nothing_counts_after_the_goal_is_reached() {
        let service = service();
        let mut watch = watch(Goal::Up);
        watch.add(service.fd).unwrap();
        event::notify(service.fd, c"event", b"udODx").unwrap();
        assert_eq!(watch.run(None), Ok(Some(0)));
    }

    #[test]
    fn failures_are_counted() {
        let service = service();
        let mut watch = watch(Goal::UpReady);
        watch.add(service.fd).unwrap();
        event::notify(service.fd, c"event", b"udODx").unwrap();
        assert_eq!(watch.run(None), Ok(Some(1)));
    }

    #[test]
    fn an_abandoned_service_is_not_waited_for() {
        let service = service();
        let mut watch = watch(Goal::Up);
        watch.add(service.fd).unwrap();
        watch.abandon(0);
        assert_eq!(watch.run(None), Ok(Some(0)));
    }

    #[test]
    fn a_service_without_status_cannot_be_watched_and_leaves_no_fifo() {
        let scratch = Scratch::new();
        assert_eq!(watch(Goal::Up).add(scratch.fd), Err(("read the status", Errno::NOENT)));
        assert_eq!(scratch.mode("event"), 0o3730);
        assert_eq!(scratch.names("event"), [] as [&str; 0]);
    }
}
