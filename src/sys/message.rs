//! Messages whose fate the kernel itself notes where the caller says: recvmmsg(2) and sendmmsg(2), of one message. When the
//! call has done something, that is in memory before the next instruction of ours; a process that is interrupted there and
//! entered again finds out by looking.

use super::fd::saw;
use super::raw::{self, MessageHeader};
use super::socket::{MAX_FDS, Peer};
use super::{Errno, Fd, Result};
use core::ops::Range;
use linux_raw_sys::net;
use zerocopy::{FromBytes, IntoBytes};

/// Words of [`Room::header`], [`Room::part`] and [`Room::control`]: enough for what a 64-bit machine needs.
pub const HEADER_WORDS: usize = size_of::<[u64; 8]>() / 8;
/// See above.
pub const PART_WORDS: usize = 2;
/// See above: credentials, and as many descriptors as there can be.
pub const CONTROL_WORDS: usize = (space(CREDENTIALS) + space(4 * MAX_FDS)).div_ceil(8);

/// Where the kernel finds, and notes, what there is to know of a message besides its bytes. Plain numbers: the pointers in
/// it mean nothing after the call.
pub struct Room<'a> {
    /// struct mmsghdr.
    pub header: &'a mut [u64; HEADER_WORDS],
    /// struct iovec.
    pub part: &'a mut [u64; PART_WORDS],
    /// Ancillary data.
    pub control: &'a mut [u64; CONTROL_WORDS],
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Came {
    /// Bytes of the message that are there; of a stream, 0 is its end.
    pub bytes: usize,
    /// The message was longer than the buffer: the rest is lost.
    pub truncated: bool,
    /// Some of its descriptors were lost: there were too many for the buffer, or the process ran out of numbers.
    pub fds_lost: bool,
    /// Bytes of ancillary data.
    control: usize,
}

/// No flags that a kernel says.
const NOTHING: u32 = u32::MAX;

const FLAGS: usize = 6;
const LENGTH: usize = 7;
const CONTROL_LENGTH: usize = 5;

fn words(header: &[u64; HEADER_WORDS]) -> MessageHeader {
    MessageHeader::read_from_prefix(header.as_bytes()).map_or([0; 8], |(words, _)| words)
}

fn words_mut(header: &mut [u64; HEADER_WORDS]) -> Result<&mut MessageHeader> {
    MessageHeader::mut_from_prefix(header.as_mut_bytes()).map(|(words, _)| words).map_err(|_| Errno::FAULT)
}

fn part_mut(part: &mut [u64; PART_WORDS]) -> Result<&mut [usize; 2]> {
    <[usize; 2]>::mut_from_prefix(part.as_mut_bytes()).map(|(words, _)| words).map_err(|_| Errno::FAULT)
}

/// Forgets what was noted: from now on nothing has come and nothing has been sent.
pub fn forget(header: &mut [u64; HEADER_WORDS]) {
    if let Ok(words) = words_mut(header) {
        (words[FLAGS], words[LENGTH]) = (NOTHING as usize, 0);
    }
}

impl Room<'_> {
    /// Receives a message without waiting; its descriptors are close-on-exec. Call [`forget`] first. EAGAIN: nothing is
    /// there.
    pub fn receive(&mut self, fd: Fd, bytes: &mut [u8]) -> Result<Came> {
        let control = self.control.as_mut_bytes();
        raw::receive_message(fd.0, words_mut(self.header)?, part_mut(self.part)?, bytes, control)?;
        let came = came(self.header).ok_or(Errno::PROTO)?;
        descriptors(&came, self.control).iter().for_each(|number| saw(*number));
        Ok(came)
    }

    /// Sends a message without waiting; `fds` travel with its first byte. How many bytes of it went. Call [`forget`] first.
    /// EAGAIN: the peer's queue is full. EPIPE: it is gone. EINVAL: more than [`MAX_FDS`].
    pub fn send(&mut self, fd: Fd, bytes: &[u8], fds: &[i32]) -> Result<usize> {
        let length = if fds.is_empty() { 0 } else { self.put(fds)? };
        let control = self.control.as_bytes().get(..length).unwrap_or_default();
        raw::send_message(fd.0, words_mut(self.header)?, part_mut(self.part)?, bytes, control)?;
        Ok(sent(self.header))
    }

    /// Makes ancillary data of descriptors; how many bytes.
    fn put(&mut self, fds: &[i32]) -> Result<usize> {
        if fds.len() > MAX_FDS {
            return Err(Errno::INVAL);
        }
        let length = HEADER + size_of_val(fds);
        let control = self.control.as_mut_bytes();
        let (head, rest) = control.split_at_mut_checked(HEADER).ok_or(Errno::INVAL)?;
        let (level, kind) = (net::SOL_SOCKET.to_ne_bytes(), net::SCM_RIGHTS.to_ne_bytes());
        for (to, from) in head.iter_mut().zip(length.to_ne_bytes().iter().chain(&level).chain(&kind)) {
            *to = *from;
        }
        for (to, from) in rest.iter_mut().zip(fds.as_bytes()) {
            *to = *from;
        }
        Ok(space(size_of_val(fds)))
    }
}

/// What came, if something did since [`forget`].
pub fn came(header: &[u64; HEADER_WORDS]) -> Option<Came> {
    let words = words(header);
    let flags = words[FLAGS] as u32;
    (flags != NOTHING).then_some(Came {
        bytes: words[LENGTH] as u32 as usize,
        truncated: flags & net::MSG_TRUNC != 0,
        fds_lost: flags & net::MSG_CTRUNC != 0,
        control: words[CONTROL_LENGTH],
    })
}

/// How many bytes were sent since [`forget`].
pub fn sent(header: &[u64; HEADER_WORDS]) -> usize {
    words(header)[LENGTH] as u32 as usize
}

/// The descriptors that came, by number, in their order.
pub fn descriptors<'c>(came: &Came, control: &'c [u64; CONTROL_WORDS]) -> &'c [i32] {
    let range = find(control.as_bytes(), came.control, net::SCM_RIGHTS);
    control.as_bytes().get(range).and_then(|numbers| <[i32]>::ref_from_bytes(numbers).ok()).unwrap_or_default()
}

/// The same, to be changed.
pub fn descriptors_mut<'c>(came: &Came, control: &'c mut [u64; CONTROL_WORDS]) -> &'c mut [i32] {
    let range = find(control.as_bytes(), came.control, net::SCM_RIGHTS);
    let numbers = control.as_mut_bytes().get_mut(range).unwrap_or_default();
    <[i32]>::mut_from_bytes(numbers).unwrap_or_default()
}

/// Credentials as the kernel checked them: those of the process, or ones that it may take on. The pid is 0 if the sender is
/// outside our pid namespace.
pub type Sender = Peer;

/// Who sent it, if the kernel said so.
pub fn sender(came: &Came, control: &[u64; CONTROL_WORDS]) -> Option<Sender> {
    let range = find(control.as_bytes(), came.control, net::SCM_CREDENTIALS);
    let ([pid, uid, gid], _) = <[u32; 3]>::read_from_prefix(control.as_bytes().get(range)?).ok()?;
    Some(Sender { pid, uid, gid })
}

const ALIGNMENT: usize = size_of::<usize>();
/// `struct cmsghdr`: a word for the length, then level and type.
const HEADER: usize = (ALIGNMENT + 8).next_multiple_of(ALIGNMENT);
const CREDENTIALS: usize = 12;

/// Bytes of an ancillary message of `length` bytes: its header, and the whole of it aligned as the next one must be.
const fn space(length: usize) -> usize {
    (HEADER + length).next_multiple_of(ALIGNMENT)
}

/// Where the content is of the first ancillary message of a kind (there is no second one), among the first `length` bytes.
fn find(control: &[u8], length: usize, wanted: u32) -> Range<usize> {
    let mut at = 0;
    while let Some((kind, content)) = control.get(..length).and_then(|all| all.get(at..)).and_then(ancillary) {
        let end = at + HEADER + content;
        if kind == wanted {
            return at + HEADER..end / 4 * 4;
        }
        at = end.next_multiple_of(ALIGNMENT);
    }
    0..0
}

/// What kind the first ancillary message is of, and how long its content.
fn ancillary(bytes: &[u8]) -> Option<(u32, usize)> {
    let (length, rest) = usize::read_from_prefix(bytes).ok()?;
    let ([level, kind], _) = <[u32; 2]>::read_from_prefix(rest).ok()?;
    let content = bytes.get(HEADER..length)?.len();
    Some((if level == net::SOL_SOCKET { kind } else { 0 }, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{datagram, process, socket};
    use std::ffi::CString;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    struct Place {
        header: [u64; HEADER_WORDS],
        part: [u64; PART_WORDS],
        control: [u64; CONTROL_WORDS],
    }

    impl Place {
        fn new() -> Place {
            let mut header = [0; HEADER_WORDS];
            forget(&mut header);
            Place { header, part: [0; PART_WORDS], control: [0; CONTROL_WORDS] }
        }

        fn room(&mut self) -> Room<'_> {
            Room { header: &mut self.header, part: &mut self.part, control: &mut self.control }
        }
    }

    fn receiver(name: &str) -> (Fd, UnixDatagram, String) {
        let path = format!("/tmp/linchpin-message-{name}-{}", std::process::id());
        let fd = datagram::at(&CString::new(path.as_str()).unwrap()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        (fd, sender, path)
    }

    #[test]
    fn a_message_comes_whole_with_its_sender_and_its_descriptors_and_all_of_it_is_noted() {
        let (mut fd, socket, path) = receiver("whole");
        let sent = [Fd(socket.as_raw_fd()); MAX_FDS];
        let (mut bytes, mut place) = ([0; 64], Place::new());
        assert_eq!(place.room().receive(fd, &mut bytes), Err(Errno::AGAIN));
        assert_eq!(came(&place.header), None);
        for count in [0, 1, 2, 3, MAX_FDS] {
            forget(&mut place.header);
            assert_eq!(socket::send(Fd(socket.as_raw_fd()), b"hello", &sent[..count]), Ok(5));
            let got = place.room().receive(fd, &mut bytes).unwrap();
            assert_eq!(came(&place.header), Some(got));
            assert_eq!((got.bytes, got.truncated, got.fds_lost), (5, false, false));
            let who = sender(&got, &place.control).unwrap();
            assert_eq!((who.pid, who.uid), (process::pid() as u32, process::effective_user()));
            assert_eq!(&bytes[..5], b"hello");
            let fds = descriptors_mut(&got, &mut place.control);
            assert_eq!(fds.len(), count);
            assert!(fds.iter().all(|fd| Fd(*fd).is_open() && *fd != socket.as_raw_fd()));
            fds.iter_mut().for_each(|fd| Fd(core::mem::replace(fd, -1)).close());
            assert!(descriptors(&got, &place.control).iter().all(|fd| *fd == -1));
        }
        fd.close();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_message_that_is_too_long_says_so_and_an_empty_one_is_one() {
        let (mut fd, sender, path) = receiver("long");
        let (mut bytes, mut place) = ([0; 64], Place::new());
        for (length, got, truncated) in [(65, 64, true), (64, 64, false), (0, 0, false)] {
            forget(&mut place.header);
            sender.send(&vec![b'x'; length]).unwrap();
            let came = place.room().receive(fd, &mut bytes).unwrap();
            assert_eq!((came.bytes, came.truncated), (got, truncated));
        }
        fd.close();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_was_sent_is_noted_and_what_was_not_is_not() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let (ours, theirs) = (Fd(ours.as_raw_fd()), Fd(theirs.as_raw_fd()));
        let (mut place, mut other, mut bytes) = (Place::new(), Place::new(), [0; 64]);
        for count in [0, 1, 2, MAX_FDS] {
            forget(&mut place.header);
            assert_eq!(place.room().send(ours, b"hello", &[ours.0; MAX_FDS][..count]), Ok(5));
            assert_eq!(sent(&place.header), 5);
            forget(&mut other.header);
            let came = other.room().receive(theirs, &mut bytes).unwrap();
            let fds = descriptors(&came, &other.control);
            assert_eq!((came.bytes, fds.len()), (5, count));
            fds.iter().for_each(|fd| Fd(*fd).close());
        }
        forget(&mut place.header);
        assert_eq!(place.room().send(ours, b"hello", &[-1]), Err(Errno::BADF));
        assert_eq!(place.room().send(ours, b"hello", &[ours.0; MAX_FDS + 1]), Err(Errno::INVAL));
        assert_eq!(sent(&place.header), 0);
    }

    #[test]
    fn damaged_ancillary_data_is_read_without_harm() {
        for (bytes, length) in [([0xff; 64], 64), ([0; 64], 64), ([0; 64], usize::MAX), ([0xff; 64], 0)] {
            assert_eq!(find(&bytes, length, net::SCM_RIGHTS), 0..0);
        }
        let mut short = [0; 64];
        short[..ALIGNMENT].copy_from_slice(&65usize.to_ne_bytes());
        short[ALIGNMENT..ALIGNMENT + 4].copy_from_slice(&net::SOL_SOCKET.to_ne_bytes());
        short[ALIGNMENT + 4..ALIGNMENT + 8].copy_from_slice(&net::SCM_RIGHTS.to_ne_bytes());
        assert_eq!(find(&short, 64, net::SCM_RIGHTS), 0..0);
        short[..ALIGNMENT].copy_from_slice(&(HEADER + 7).to_ne_bytes());
        assert_eq!(find(&short, 64, net::SCM_RIGHTS), HEADER..HEADER + 4);
    }
}
