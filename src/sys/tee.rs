//! Looking at what is in a pipe without taking it off: tee(2) into a pipe of our own.
//!
//! What has only been looked at is still there for whoever reads the pipe next, should we be killed meanwhile.

use super::{Errno, Fd, Result, file};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fs::OFlags;
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice, tee};

/// A pipe of so many bytes is not full if some of its first page are left in it.
const ROOMY: usize = 16 * 1024;

/// A pipe that is looked at, a private one, and a place where bytes vanish.
pub struct Peek {
    from: Fd,
    read: Fd,
    write: Fd,
    sink: Fd,
    news: Fd,
}

impl Peek {
    /// One that shows up to `bytes` of the pipe `from` at a time; fewer, if the kernel grants no such pipe. EMFILE, ENFILE:
    /// there are no descriptors left.
    pub fn new(from: Fd, bytes: usize) -> Result<Peek> {
        let (read, write) = Fd::pipe()?;
        // Pages may be partly filled: as many bytes need more pages then.
        if fcntl_getpipe_size(write).is_ok_and(|size| size < 2 * bytes) {
            let _ = fcntl_setpipe_size(write, 2 * bytes);
        }
        // Without it bytes are taken off by reading them again.
        let sink = file::open(Fd::CWD, c"/dev/null", OFlags::WRONLY, 0).unwrap_or(Fd::NONE);
        // One that is full of very little cannot be waited for.
        let has_room = fcntl_getpipe_size(from).is_ok_and(|size| size >= ROOMY);
        let news = if has_room { watch(from).unwrap_or(Fd::NONE) } else { Fd::NONE };
        Ok(Peek { from, read, write, sink, news })
    }

    /// What can be waited for until more comes than there was: it can be read then. [`Fd::NONE`]: there is no such thing.
    /// (Kernels from 5.5 to 5.13 may not tell what comes into a pipe that is not empty.)
    pub fn news(&self) -> &Fd {
        &self.news
    }

    /// What has come until here is no news any more. What comes after that is, also if somebody looks at it. Answers
    /// whether it was news that nobody can write any more.
    pub fn forget_news(&self) -> bool {
        let mut room = [core::mem::MaybeUninit::<epoll::Event>::uninit(); 1];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_hang_up = |event: &epoll::Event| {
            let flags = event.flags; // the record is packed
            flags.contains(EventFlags::HUP)
        };
        match epoll::wait(self.news, &mut room[..], Some(&at_once)) {
            Ok((events, _)) => events.iter().any(is_hang_up),
            Err(_) => false,
        }
    }

    /// Copies the first bytes that are in the pipe into `buf`; answers how many. 0: it is empty, and nobody can write to
    /// it any more. EAGAIN: it is empty. EINVAL: it is no pipe. Never waits.
    pub fn look(&self, buf: &mut [u8]) -> Result<usize> {
        let count = loop {
            match tee(self.from, self.write, buf.len(), SpliceFlags::NONBLOCK) {
                Err(Errno::INTR) => {}
                done => break done?,
            }
        };
        match file::read_full(self.read, buf.get_mut(..count).unwrap_or_default())? {
            done if done == count => Ok(count),
            _ => Err(Errno::IO),
        }
    }

    /// Takes the first bytes off the pipe: as many as `seen` has, which is what [`Peek::look`] has shown of them.
    pub fn take(&self, seen: &mut [u8]) -> Result<()> {
        /// What is copied faster than it is passed on.
        const FEW: usize = 1024;
        let mut left = seen.len();
        while self.sink.is_some() && left > FEW {
            match splice(self.from, None, self.sink, None, left, SpliceFlags::NONBLOCK) {
                Ok(count) if count > 0 => left -= count.min(left),
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
        let rest = seen.get_mut(..left).unwrap_or_default();
        if file::read_full(self.from, rest)? == left { Ok(()) } else { Err(Errno::IO) }
    }

    /// Closes its descriptors. The pipe that it looked at stays open.
    pub fn close(&mut self) {
        for fd in [&mut self.read, &mut self.write, &mut self.sink, &mut self.news] {
            fd.close();
        }
    }
}

/// Something that can be read when something new has come into `from`, once: an edge-triggered epoll(7).
fn watch(from: Fd) -> Result<Fd> {
    let mut news = epoll::create(epoll::CreateFlags::CLOEXEC).map(Fd::from_owned)?;
    match epoll::add(news, from, EventData::new_u64(0), EventFlags::IN | EventFlags::ET) {
        Ok(()) => Ok(news),
        Err(e) => {
            news.close();
            Err(e)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{poll, time};

    /// A pipe that is closed when the test ends, whatever is in it.
    struct Pipe(Fd, Fd);

    impl Pipe {
        fn new() -> Pipe {
            let (read, write) = Fd::pipe().unwrap();
            Pipe(read, write)
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            self.0.close();
            self.1.close();
        }
    }

    #[test]
    fn what_was_looked_at_is_still_there_until_it_is_taken() {
        let mut pipe = Pipe::new();
        let mut peek = Peek::new(pipe.0, 65_528).unwrap();
        let text: Vec<u8> = (0..60_000u32).map(|i| (i % 251) as u8).collect();
        file::write_all(pipe.1, &text).unwrap();
        let mut buf = vec![0; 65_528];
        for _ in 0..2 {
            assert_eq!(peek.look(&mut buf), Ok(text.len()));
            assert!(buf.starts_with(&text));
        }
        for (from, count) in [(0, 50_000), (50_000, 100), (50_100, 9_900)] {
            assert_eq!(peek.look(&mut buf), Ok(text.len() - from));
            assert!(buf.starts_with(&text[from..]));
            peek.take(&mut buf[..count]).unwrap();
        }
        assert_eq!(peek.look(&mut buf), Err(Errno::AGAIN));
        pipe.1.close();
        assert_eq!(peek.look(&mut buf), Ok(0));
        peek.close();
    }

    #[test]
    fn a_small_pipe_of_our_own_shows_less_and_loses_nothing() {
        let pipe = Pipe::new();
        let mut peek = Peek::new(pipe.0, 4096).unwrap();
        fcntl_setpipe_size(peek.write, 4096).unwrap();
        let text: Vec<u8> = (0..60_000u32).map(|i| (i % 251) as u8).collect();
        file::write_all(pipe.1, &text).unwrap();
        let (mut buf, mut got) = (vec![0; 65_528], Vec::<u8>::new());
        while got.len() < text.len() {
            let count = peek.look(&mut buf).unwrap();
            assert!(count > 0 && count <= 4096);
            peek.take(&mut buf[..count]).unwrap();
            got.extend(&buf[..count]);
        }
        assert_eq!(got, text);
        peek.close();
    }

    #[test]
    fn without_a_place_to_vanish_bytes_are_read() {
        let pipe = Pipe::new();
        let mut peek = Peek::new(pipe.0, 65_528).unwrap();
        peek.sink.close();
        file::write_all(pipe.1, &[7; 9000]).unwrap();
        let mut buf = vec![0; 10_000];
        assert_eq!(peek.look(&mut buf), Ok(9000));
        peek.take(&mut buf[..8999]).unwrap();
        assert_eq!(peek.look(&mut buf), Ok(1));
        peek.close();
    }

    #[test]
    fn what_is_no_pipe_cannot_be_looked_at() {
        let mut null = file::open(Fd::CWD, c"/dev/null", OFlags::RDONLY, 0).unwrap();
        let mut peek = Peek::new(null, 4096).unwrap();
        assert_eq!(peek.look(&mut [0; 10]), Err(Errno::INVAL));
        null.close();
        peek.close();
    }

    #[test]
    fn what_comes_on_top_of_something_is_news_once() {
        let mut pipe = Pipe::new();
        let mut peek = Peek::new(pipe.0, 4096).unwrap();
        let is_news = |peek: &Peek| poll::readable(*peek.news(), Some(time::boot())).is_ok();
        file::write_all(pipe.1, b"beginning").unwrap();
        assert!(is_news(&peek) && is_news(&peek));
        assert!(!peek.forget_news());
        assert!(!is_news(&peek));
        assert_eq!(peek.look(&mut [0; 100]), Ok(9));
        assert!(!is_news(&peek));
        file::write_all(pipe.1, b"more").unwrap();
        assert!(is_news(&peek));
        assert!(!peek.forget_news() && !is_news(&peek));
        pipe.1.close();
        assert!(is_news(&peek));
        assert!(peek.forget_news() && !peek.forget_news());
        peek.close();
    }
}
