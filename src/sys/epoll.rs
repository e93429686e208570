//! The engine's one waiting place: epoll(7), level-triggered, with tokens that carry a generation.

use super::time::{MILLI, Nanos};
use super::{Errno, Fd, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

pub use rustix::event::epoll::EventFlags as Flags;

/// What an event is about: a kind chosen by the caller, a slot in that kind's table and the slot's generation at the
/// time of registration. An event whose generation is no longer the slot's is late and must be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// Caller's kind of source.
    pub kind: u8,
    /// Slot in the kind's table; at most 2^24 - 1.
    pub slot: u32,
    /// Generation of the slot.
    pub generation: u32,
}

impl Token {
    fn pack(self) -> u64 {
        u64::from(self.generation) | u64::from(self.slot & 0xff_ffff) << 32 | u64::from(self.kind) << 56
    }

    fn unpack(bits: u64) -> Token {
        Token { kind: (bits >> 56) as u8, slot: (bits >> 32) as u32 & 0xff_ffff, generation: bits as u32 }
    }
}

/// An epoll instance.
pub struct Epoll(Fd);

/// How many events one wait returns at most; more wait for the next turn.
pub const BATCH: usize = 64;

/// Room for what a wait returns.
pub type Events = heapless::Vec<(Token, EventFlags), BATCH>;

impl Epoll {
    /// A new, close-on-exec instance.
    pub fn new() -> Result<Epoll> {
        epoll::create(epoll::CreateFlags::CLOEXEC).map(|fd| Epoll(Fd::from_owned(fd)))
    }

    /// The instance's own descriptor.
    pub fn fd(&self) -> Fd {
        self.0
    }

    /// Starts watching `fd`. ENOSPC: /proc/sys/fs/epoll/max_user_watches is reached. EPERM: a regular file.
    pub fn add(&self, fd: Fd, token: Token, flags: EventFlags) -> Result<()> {
        epoll::add(self.0, fd, EventData::new_u64(token.pack()), flags)
    }

    /// Changes what is watched.
    pub fn modify(&self, fd: Fd, token: Token, flags: EventFlags) -> Result<()> {
        epoll::modify(self.0, fd, EventData::new_u64(token.pack()), flags)
    }

    /// Stops watching; must precede close if the open file description lives on elsewhere.
    pub fn remove(&self, fd: Fd) {
        let _ = epoll::delete(self.0, fd);
    }

    /// Waits until something happens or `timeout` (nanoseconds, rounded up to a millisecond so that a short one does
    /// not become a busy loop) has passed. Returns how many events were stored; an interruption counts as none.
    pub fn wait(&self, events: &mut Events, timeout: Option<Nanos>) -> Result<usize> {
        events.clear();
        let limit = timeout.map(|t| {
            let millis = t.div_ceil(MILLI).min(i32::MAX as u64);
            Timespec { tv_sec: (millis / 1000) as i64, tv_nsec: ((millis % 1000) * MILLI) as _ }
        });
        let mut raw = [core::mem::MaybeUninit::<epoll::Event>::uninit(); BATCH];
        match epoll::wait(self.0, &mut raw[..], limit.as_ref()) {
            Ok((ready, _)) => {
                events.extend(ready.iter().map(|event| (Token::unpack(event.data.u64()), event.flags)));
                Ok(events.len())
            }
            Err(Errno::INTR) => Ok(0),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn a_token_survives_its_trip_through_the_kernels_word() {
        for token in [
            Token { kind: 0, slot: 0, generation: 0 },
            Token { kind: 255, slot: 0xff_ffff, generation: u32::MAX },
            Token { kind: 3, slot: 70_000, generation: 5 },
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
