//! Waiting for descriptors: for clients, never for PID 1's loop, which may ask what is so already.

use super::time::{self, MILLI, Nanos, SECOND};
use super::{Errno, Fd, Result};
use rustix::event::Timespec;

pub use rustix::event::{PollFd, PollFlags};

fn wait(fd: Fd, flags: PollFlags, deadline: Option<Nanos>) -> Result<()> {
    any(&mut [PollFd::new(&fd, flags)], deadline)
}

/// Waits until one of several descriptors is as it is wanted (see their `revents`). ETIMEDOUT: `deadline` has passed.
pub fn any(asked: &mut [PollFd<'_>], deadline: Option<Nanos>) -> Result<()> {
    loop {
        let limit = deadline.map(|deadline| {
            let left = deadline.saturating_sub(time::boot());
            // A deadline that is close is one that was meant so.
            let left = if left < MILLI { left } else { left.next_multiple_of(MILLI) };
            Timespec { tv_sec: (left / SECOND) as _, tv_nsec: (left % SECOND) as _ }
        });
        match rustix::event::poll(asked, limit.as_ref()) {
            Ok(0) => return Err(Errno::TIMEDOUT),
            Err(Errno::INTR) => {}
            done => return done.map(drop),
        }
    }
}

/// Waits until `fd` can be read, has ended or has failed. ETIMEDOUT: `deadline` has passed.
pub fn readable(fd: Fd, deadline: Option<Nanos>) -> Result<()> {
    wait(fd, PollFlags::IN, deadline)
}

/// Waits until `fd` can be written or has failed. ETIMEDOUT: `deadline` has passed.
pub fn writable(fd: Fd, deadline: Option<Nanos>) -> Result<()> {
    wait(fd, PollFlags::OUT, deadline)
}

/// Waits for nothing, until `deadline`.
pub fn until(deadline: Nanos) {
    while time::boot() < deadline {
        let left = deadline.saturating_sub(time::boot()).next_multiple_of(MILLI);
        let limit = Timespec { tv_sec: (left / SECOND) as _, tv_nsec: (left % SECOND) as _ };
        let _ = rustix::event::poll(&mut [], Some(&limit));
    }
}

/// Whether `fd` reports an error, or that its other side is gone (POLLERR, POLLHUP). Does not wait.
pub fn is_hung_up(fd: Fd) -> bool {
    let mut asked = [PollFd::new(&fd, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let answered = rustix::event::poll(&mut asked, Some(&at_once)).is_ok();
    answered && asked.iter().any(|fd| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_writable_at_once_and_readable_once_something_is_in_it() {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let (mut read, mut write) = (Fd::from_owned(read), Fd::from_owned(write));
        writable(write, None).unwrap();
        assert_eq!(readable(read, Some(time::boot() + 5 * MILLI)), Err(Errno::TIMEDOUT));
        rustix::io::write(write, b"x").unwrap();
        readable(read, Some(time::boot() + SECOND)).unwrap();
        read.close();
        write.close();
    }
}
