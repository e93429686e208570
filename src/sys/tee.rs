//! Looking at what is in a pipe without taking it off: tee(2) into a pipe of our own.
//!
//! What has only been looked at is still there for whoever reads the pipe next, should we be killed meanwhile.

use super::{Errno, Fd, Result, file};
use rustix::fs::OFlags;
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice, tee};

/// A private pipe, and a place where bytes vanish.
pub struct Peek {
    read: Fd,
    write: Fd,
    sink: Fd,
}

impl Peek {
    /// One that shows up to `bytes` at a time; fewer, if the kernel grants no such pipe. EMFILE, ENFILE: there are no
    /// descriptors left.
    pub fn new(bytes: usize) -> Result<Peek> {
        let (read, write) = Fd::pipe()?;
        // Pages may be partly filled: as many bytes need more pages then.
        if fcntl_getpipe_size(write).is_ok_and(|size| size < 2 * bytes) {
            let _ = fcntl_setpipe_size(write, 2 * bytes);
        }
        // Without it bytes are taken off by reading them again.
        let sink = file::open(Fd::CWD, c"/dev/null", OFlags::WRONLY, 0).unwrap_or(Fd::NONE);
        Ok(Peek { read, write, sink })
    }

    /// Copies the first bytes that are in the pipe `from` into `buf`; answers how many. 0: it is empty, and nobody can
    /// write to it any more. EAGAIN: it is empty. EINVAL: it is no pipe. Never waits.
    pub fn look(&self, from: Fd, buf: &mut [u8]) -> Result<usize> {
        let count = loop {
            match tee(from, self.write, buf.len(), SpliceFlags::NONBLOCK) {
                Err(Errno::INTR) => {}
                done => break done?,
            }
        };
        match file::read_full(self.read, buf.get_mut(..count).unwrap_or_default())? {
            done if done == count => Ok(count),
            _ => Err(Errno::IO),
        }
    }

    /// Takes the first bytes off the pipe `from`: as many as `seen` has, which is what [`Peek::look`] has shown of them.
    pub fn take(&self, from: Fd, seen: &mut [u8]) -> Result<()> {
        /// What is copied faster than it is passed on.
        const FEW: usize = 1024;
        let mut left = seen.len();
        while self.sink.is_some() && left > FEW {
            match splice(from, None, self.sink, None, left, SpliceFlags::NONBLOCK) {
                Ok(count) if count > 0 => left -= count.min(left),
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
        let rest = seen.get_mut(..left).unwrap_or_default();
        if file::read_full(from, rest)? == left { Ok(()) } else { Err(Errno::IO) }
    }

    /// Closes its descriptors.
    pub fn close(&mut self) {
        for fd in [&mut self.read, &mut self.write, &mut self.sink] {
            fd.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (mut pipe, mut peek) = (Pipe::new(), Peek::new(65_528).unwrap());
        let text: Vec<u8> = (0..60_000u32).map(|i| (i % 251) as u8).collect();
        file::write_all(pipe.1, &text).unwrap();
        let mut buf = vec![0; 65_528];
        for _ in 0..2 {
            assert_eq!(peek.look(pipe.0, &mut buf), Ok(text.len()));
            assert!(buf.starts_with(&text));
        }
        for (from, count) in [(0, 50_000), (50_000, 100), (50_100, 9_900)] {
            assert_eq!(peek.look(pipe.0, &mut buf), Ok(text.len() - from));
            assert!(buf.starts_with(&text[from..]));
            peek.take(pipe.0, &mut buf[..count]).unwrap();
        }
        assert_eq!(peek.look(pipe.0, &mut buf), Err(Errno::AGAIN));
        pipe.1.close();
        assert_eq!(peek.look(pipe.0, &mut buf), Ok(0));
        peek.close();
    }

    #[test]
    fn a_small_pipe_of_our_own_shows_less_and_loses_nothing() {
        let (pipe, mut peek) = (Pipe::new(), Peek::new(4096).unwrap());
        fcntl_setpipe_size(peek.write, 4096).unwrap();
        let text: Vec<u8> = (0..60_000u32).map(|i| (i % 251) as u8).collect();
        file::write_all(pipe.1, &text).unwrap();
        let (mut buf, mut got) = (vec![0; 65_528], Vec::new());
        while got.len() < text.len() {
            let count = peek.look(pipe.0, &mut buf).unwrap();
            assert!(count > 0 && count <= 4096);
            peek.take(pipe.0, &mut buf[..count]).unwrap();
            got.extend(&buf[..count]);
        }
        assert_eq!(got, text);
        peek.close();
    }

    #[test]
    fn without_a_place_to_vanish_bytes_are_read() {
        let (pipe, mut peek) = (Pipe::new(), Peek::new(65_528).unwrap());
        peek.sink.close();
        file::write_all(pipe.1, &[7; 9000]).unwrap();
        let mut buf = vec![0; 10_000];
        assert_eq!(peek.look(pipe.0, &mut buf), Ok(9000));
        peek.take(pipe.0, &mut buf[..8999]).unwrap();
        assert_eq!(peek.look(pipe.0, &mut buf), Ok(1));
        peek.close();
    }

    #[test]
    fn what_is_no_pipe_cannot_be_looked_at() {
        let mut peek = Peek::new(4096).unwrap();
        let mut null = file::open(Fd::CWD, c"/dev/null", OFlags::RDONLY, 0).unwrap();
        assert_eq!(peek.look(null, &mut [0; 10]), Err(Errno::INVAL));
        null.close();
        peek.close();
    }
}
