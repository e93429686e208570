//! The fd-holder's wire protocol: what goes over a connection, as bytes; both directions, no system call.
//!
//! A message is a length (u32), a number of descriptors (u16) and that many bytes; all integers are big-endian. The
//! descriptors travel beside the bytes, in a queue of their own: a message takes its number from the front. A request
//! begins with a letter, an answer with a status (0 or an errno). An identifier is a length byte, the bytes, a NUL; a
//! limit is a TAI64N stamp.

use crate::limits::{FDHOLDER_REQUEST, HELD_NAME};
use crate::sys::{Errno, socket};
use crate::text::tai::Stamp;

/// Bytes before the payload.
pub const HEADER: usize = 6;

/// Bytes of the shortest answer: a status.
pub const STATUS: usize = HEADER + 1;

/// Most descriptors in a message, so also most entries in one message of a dump.
pub const CHUNK: usize = socket::MAX_FDS;

/// Seconds in the future that mean "never", when a limit is made. Half of it is enough when one is read.
pub const NEVER: u64 = 1 << 61;

/// What is wrong with a message: no answer exists for that, so the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Longer than any request is.
    TooLong,
    /// The first byte names no operation.
    Operation,
    /// Of a length that the operation does not have.
    Length,
    /// A number of descriptors that the operation does not have.
    Descriptors,
    /// An identifier that is empty, holds a NUL, or does not end where it should.
    Identifier,
    /// A limit with a billion nanoseconds or more.
    Limit,
}

impl Violation {
    /// In words, for the log.
    pub fn text(self) -> &'static str {
        match self {
            Violation::TooLong => "a message longer than any request",
            Violation::Operation => "an unknown operation",
            Violation::Length => "a request of a wrong length",
            Violation::Descriptors => "a request with a wrong number of descriptors",
            Violation::Identifier => "an invalid identifier",
            Violation::Limit => "an invalid time limit",
        }
    }
}

type Result<T> = core::result::Result<T, Violation>;

/// The header in front of `bytes`: payload length, number of descriptors. `None`: it is not all there.
pub fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let fds = rest.first_chunk::<2>()?;
    Some((u32::from_be_bytes(*length) as usize, u16::from_be_bytes(*fds).into()))
}

/// The first request in a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framed<'a> {
    /// It is not all there: it will have at least so many bytes, header included, and takes so many descriptors.
    Partial(usize, usize),
    /// Its payload, and how many descriptors it takes.
    Whole(&'a [u8], usize),
}

/// Looks at the first request in `bytes`. One that cannot become valid is refused as early as can be: with its header,
/// or with the byte that names the operation.
pub fn frame(bytes: &[u8]) -> Result<Framed<'_>> {
    let Some((length, fds)) = header(bytes) else { return Ok(Framed::Partial(HEADER, 0)) };
    if length > FDHOLDER_REQUEST - HEADER {
        return Err(Violation::TooLong);
    }
    if length == 0 {
        return Err(Violation::Length);
    }
    if fds > CHUNK {
        return Err(Violation::Descriptors);
    }
    let payload = bytes.get(HEADER..).unwrap_or(&[]);
    if let Some(operation) = payload.first() {
        check(*operation, length, fds)?;
    }
    Ok(match payload.get(..length) {
        Some(whole) => Framed::Whole(whole, fds),
        None => Framed::Partial(HEADER + length, fds),
    })
}

/// Bytes of an identifier of the shortest and of the longest kind.
const ID: [usize; 2] = [1 + 1 + 1, 1 + HELD_NAME + 1];

fn check(operation: u8, length: usize, fds: usize) -> Result<()> {
    let (min, max, takes) = match operation {
        b'S' => (1 + Stamp::SIZE + ID[0], 1 + Stamp::SIZE + ID[1], 1),
        b'D' => (1 + ID[0], 1 + ID[1], 0),
        b'R' => (2 + ID[0], 2 + ID[1], 0),
        b'L' | b'?' | b'h' => (1, 1, 0),
        b'e' => (1, 1, 1),
        b'!' | b'i' => (5, 5, 0),
        b'.' => (1 + fds * (Stamp::SIZE + ID[0]), 1 + fds * (Stamp::SIZE + ID[1]), fds.max(1)),
        _ => return Err(Violation::Operation),
    };
    if fds != takes {
        return Err(Violation::Descriptors);
    }
    if length < min || length > max { Err(Violation::Length) } else { Ok(()) }
}

/// A request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// `S`: hold the descriptor that comes with it.
    Store(Entry<'a>),
    /// `D`: let go of one.
    Delete(&'a [u8]),
    /// `R`: give one; if the flag is set, let go of it then.
    Retrieve(&'a [u8], bool),
    /// `L`: name all.
    List,
    /// `?`: give all.
    GetDump,
    /// `!`: so many descriptors will come.
    SetDump(u32),
    /// `.`: here are some of them.
    DumpData(Entries<'a>),
    /// `i`: tell about what is held, from this slot on (not in s6; see [`info`](super::info)).
    Info(u32),
    /// `h`: give a hand-over of all that this process has (not in s6; see [`upgrade`](super::upgrade)).
    HandOver,
    /// `e`: go on as the binary that comes with it (not in s6).
    Enter,
}

impl<'a> Request<'a> {
    /// Reads the payload of a message that takes `fds` descriptors.
    pub fn decode(payload: &'a [u8], fds: usize) -> Result<Request<'a>> {
        let Some((operation, rest)) = payload.split_first() else { return Err(Violation::Length) };
        check(*operation, payload.len(), fds)?;
        Ok(match operation {
            b'S' => Request::Store(last(entry(rest)?)?),
            b'D' => Request::Delete(last(id(rest)?)?),
            b'R' => {
                let Some((delete, rest)) = rest.split_first() else { return Err(Violation::Length) };
                Request::Retrieve(last(id(rest)?)?, *delete != 0)
            }
            b'L' => Request::List,
            b'?' => Request::GetDump,
            b'!' => Request::SetDump(u32::from_be_bytes(*rest.first_chunk().ok_or(Violation::Length)?)),
            b'i' => Request::Info(u32::from_be_bytes(*rest.first_chunk().ok_or(Violation::Length)?)),
            b'.' => Request::DumpData(Entries::decode(rest, fds)?),
            b'h' => Request::HandOver,
            b'e' => Request::Enter,
            _ => return Err(Violation::Operation),
        })
    }

    /// How many descriptors go with it.
    pub fn fds(&self) -> usize {
        match self {
            Request::Store(_) | Request::Enter => 1,
            Request::DumpData(entries) => entries.count,
            _ => 0,
        }
    }

    /// Writes the whole message, header included. `None`: `out` is too small, or an identifier is longer than
    /// [`HELD_NAME`].
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Option<&'o [u8]> {
        let mut message = Builder::new(out);
        match *self {
            Request::Store(Entry { limit, id }) => message.bytes(b"S").entry(limit, id),
            Request::Delete(id) => message.bytes(b"D").id(id),
            Request::Retrieve(id, delete) => message.bytes(b"R").bytes(&[delete.into()]).id(id),
            Request::List => message.bytes(b"L"),
            Request::GetDump => message.bytes(b"?"),
            Request::SetDump(total) => message.bytes(b"!").bytes(&total.to_be_bytes()),
            Request::DumpData(entries) => message.bytes(b".").bytes(entries.bytes),
            Request::Info(slot) => message.bytes(b"i").bytes(&slot.to_be_bytes()),
            Request::HandOver => message.bytes(b"h"),
            Request::Enter => message.bytes(b"e"),
        };
        message.finish(self.fds())
    }
}

/// What a descriptor is held as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Until when.
    pub limit: Stamp,
    /// Its identifier: 1 to [`HELD_NAME`] bytes without NUL.
    pub id: &'a [u8],
}

/// The entries of one message of a dump, found to be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Entries<'a> {
    /// Checks that `bytes` are exactly `count` entries. (Such a message of the server has nothing before them.)
    pub fn decode(bytes: &'a [u8], count: usize) -> Result<Entries<'a>> {
        let mut rest = bytes;
        for _ in 0..count {
            rest = entry(rest)?.1;
        }
        if rest.is_empty() { Ok(Entries { bytes, count }) } else { Err(Violation::Length) }
    }

    /// One after the other; the k-th goes with the k-th descriptor.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let mut rest = self.bytes;
        core::iter::from_fn(move || {
            let (found, behind) = entry(rest).ok()?;
            rest = behind;
            Some(found)
        })
    }
}

/// An identifier in front of `bytes`, and what is behind it.
pub(super) fn id(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first().ok_or(Violation::Length)?;
    let (id, rest) = rest.split_at_checked((*length).into()).ok_or(Violation::Identifier)?;
    match rest.split_first() {
        Some((0, rest)) if !id.is_empty() && !id.contains(&0) => Ok((id, rest)),
        _ => Err(Violation::Identifier),
    }
}

fn entry(bytes: &[u8]) -> Result<(Entry<'_>, &[u8])> {
    let (limit, rest) = bytes.split_first_chunk().ok_or(Violation::Length)?;
    let limit = Stamp::from_bytes(limit);
    if limit.nano >= 1_000_000_000 {
        return Err(Violation::Limit);
    }
    let (id, rest) = id(rest)?;
    Ok((Entry { limit, id }, rest))
}

fn last<T>((value, rest): (T, &[u8])) -> Result<T> {
    if rest.is_empty() { Ok(value) } else { Err(Violation::Length) }
}

/// An answer that is a status alone: 0, or an errno.
pub fn status(errno: u8) -> [u8; STATUS] {
    [0, 0, 0, 1, 0, 0, errno]
}

/// The answer that brings a descriptor.
pub const DESCRIPTOR: [u8; STATUS] = [0, 0, 0, 1, 0, 1, 0];

/// Messages that a dump of `total` descriptors takes.
pub fn trips(total: u32) -> u32 {
    total.div_ceil(CHUNK as u32)
}

/// The answer to `?`: how many messages follow, with how many descriptors in all.
pub fn dump_head(total: u32) -> [u8; STATUS + 8] {
    let ([a, b, c, d], [e, f, g, h]) = (trips(total).to_be_bytes(), total.to_be_bytes());
    [0, 0, 0, 9, 0, 0, 0, a, b, c, d, e, f, g, h]
}

/// The answer to `!`: how many messages are expected.
pub fn dump_accepted(total: u32) -> [u8; STATUS + 4] {
    let [a, b, c, d] = trips(total).to_be_bytes();
    [0, 0, 0, 5, 0, 0, 0, a, b, c, d]
}

/// Writes a message: [`Builder::new`], pieces, [`Builder::finish`]. Too small a buffer makes the whole void.
pub struct Builder<'o> {
    out: &'o mut [u8],
    len: usize,
    valid: bool,
}

impl<'o> Builder<'o> {
    /// A message without payload.
    pub fn new(out: &'o mut [u8]) -> Builder<'o> {
        let valid = out.len() >= HEADER;
        Builder { out, len: HEADER, valid }
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.len.saturating_add(bytes.len());
        match self.out.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.valid = false,
        }
        self
    }

    /// Appends an identifier.
    pub fn id(&mut self, id: &[u8]) -> &mut Self {
        match u8::try_from(id.len()) {
            Ok(length) => self.bytes(&[length]).bytes(id).bytes(&[0]),
            Err(_) => {
                self.valid = false;
                self
            }
        }
    }

    /// Appends an entry of a dump.
    pub fn entry(&mut self, limit: Stamp, id: &[u8]) -> &mut Self {
        self.bytes(&limit.to_bytes()).id(id)
    }

    /// The message, to be sent with `fds` descriptors.
    pub fn finish(self, fds: usize) -> Option<&'o [u8]> {
        let (out, len): (&'o [u8], usize) = {
            let length = u32::try_from(self.len - HEADER).ok()?.to_be_bytes();
            let fds = u16::try_from(fds).ok()?.to_be_bytes();
            if !self.valid {
                return None;
            }
            self.out.get_mut(..4)?.copy_from_slice(&length);
            self.out.get_mut(4..HEADER)?.copy_from_slice(&fds);
            (self.out, self.len)
        };
        out.get(..len)
    }
}

/// What an answer says: what follows the status 0, or the errno. EPROTO: it is none.
pub fn answer(payload: &[u8]) -> core::result::Result<&[u8], Errno> {
    match payload {
        [0, rest @ ..] => Ok(rest),
        [errno] => Err(Errno::from_raw_os_error((*errno).into())),
        _ => Err(Errno::PROTO),
    }
}

/// The identifiers in the answer to a list, found to be valid: what follows the status is a number and as many
/// NUL-terminated strings. EPROTO: it is not.
pub fn identifiers(rest: &[u8]) -> core::result::Result<impl Iterator<Item = &[u8]>, Errno> {
    let (count, names) = rest.split_first_chunk().ok_or(Errno::PROTO)?;
    let found = names.iter().filter(|byte| **byte == 0).count();
    if found != u32::from_be_bytes(*count) as usize || names.last().is_some_and(|byte| *byte != 0) {
        return Err(Errno::PROTO);
    }
    Ok(names.split_inclusive(|byte| *byte == 0).map(|name| name.strip_suffix(b"\0").unwrap_or(name)))
}
