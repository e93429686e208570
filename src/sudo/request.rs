//! The request: a program's arguments, and variables for its environment.
//!
//! `CLIENT`, four numbers (u32, big-endian: how many arguments, how many variables, the bytes of either), the arguments, the
//! variables, each with a NUL behind it.

use super::{CLIENT, FDS};
use crate::fdholder::wire::Builder;
use crate::limits::SUDO_COUNT;
use crate::sys::Errno;
use core::ffi::CStr;

/// Bytes before the strings.
pub const FIXED: usize = CLIENT.len() + 4 * 4;

/// What is wrong with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// It does not begin with [`CLIENT`].
    Banner,
    /// It is shorter than what all requests begin with, or of another length than its numbers tell.
    Length,
    /// More than [`SUDO_COUNT`] arguments or variables.
    Count,
    /// There are not as many strings as it says, or the last one does not end.
    Strings,
    /// A variable without `=`.
    Variable,
}

impl Malformed {
    /// In words, for the log.
    pub fn text(self) -> &'static str {
        match self {
            Malformed::Banner => "wrong client banner",
            Malformed::Length => "wrong client message",
            Malformed::Count => "too many arguments or variables from client",
            Malformed::Strings => "bad arguments or environment from client",
            Malformed::Variable => "bad environment from client",
        }
    }

    /// What the client is told, if that is of use to it.
    pub fn answer(self) -> Option<Errno> {
        match self {
            Malformed::Banner | Malformed::Length => None,
            Malformed::Count => Some(Errno::TOOBIG),
            Malformed::Strings | Malformed::Variable => Some(Errno::INVAL),
        }
    }
}

/// A whole request, found to be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    args: Strings<'a>,
    env: Strings<'a>,
}

impl<'a> Request<'a> {
    /// Reads the payload of a message, all of it.
    pub fn parse(payload: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (head, strings) = payload.split_first_chunk::<FIXED>().ok_or(Malformed::Length)?;
        let (banner, numbers) = head.split_at(CLIENT.len());
        if banner != CLIENT {
            return Err(Malformed::Banner);
        }
        let mut numbers = numbers.chunks_exact(4).map(|n| n.try_into().map_or(u32::MAX, u32::from_be_bytes));
        let [argc, envc, args, env] = [(); 4].map(|()| numbers.next().unwrap_or(u32::MAX) as usize);
        if args.checked_add(env) != Some(strings.len()) {
            return Err(Malformed::Length);
        }
        if argc > SUDO_COUNT || envc > SUDO_COUNT {
            return Err(Malformed::Count);
        }
        let (args, env) = strings.split_at_checked(args).ok_or(Malformed::Length)?;
        let (args, env) = (Strings::of(args, argc)?, Strings::of(env, envc)?);
        if !env.iter().all(|entry| entry.to_bytes().contains(&b'=')) {
            return Err(Malformed::Variable);
        }
        Ok(Request { args, env })
    }

    /// The arguments.
    pub fn args(&self) -> impl Iterator<Item = &'a CStr> + Clone + use<'a> {
        self.args.iter()
    }

    /// How many there are.
    pub fn argc(&self) -> usize {
        self.args.count
    }

    /// The variables: name, value. A name may be empty, and come more than once.
    pub fn variables(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.env.iter().filter_map(|entry| split(entry.to_bytes()))
    }
}

/// Name and value of `NAME=VALUE`.
pub fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = entry.iter().position(|byte| *byte == b'=')?;
    Some((entry.get(..end)?, entry.get(end + 1..)?))
}

/// Strings, each with its NUL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Strings<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Strings<'a> {
    fn of(bytes: &'a [u8], count: usize) -> Result<Strings<'a>, Malformed> {
        let ended = bytes.last().is_none_or(|last| *last == 0);
        let found = bytes.iter().filter(|byte| **byte == 0).count();
        if ended && found == count { Ok(Strings { bytes, count }) } else { Err(Malformed::Strings) }
    }

    fn iter(self) -> impl Iterator<Item = &'a CStr> + Clone + use<'a> {
        self.bytes.split_inclusive(|byte| *byte == 0).filter_map(|bytes| CStr::from_bytes_with_nul(bytes).ok())
    }
}

/// Writes the whole message into `out`. Entries of `env` that are no variables are left out. E2BIG: it does not fit, or has
/// more than [`SUDO_COUNT`] arguments or variables.
pub fn encode<'o, 'w>(
    out: &'o mut [u8],
    args: impl Iterator<Item = &'w CStr> + Clone,
    env: impl Iterator<Item = &'w CStr> + Clone,
) -> Result<&'o [u8], Errno> {
    let env = env.filter(|entry| entry.to_bytes().contains(&b'='));
    let ((argc, arg_bytes), (envc, env_bytes)) = (measure(args.clone()), measure(env.clone()));
    if argc > SUDO_COUNT || envc > SUDO_COUNT {
        return Err(Errno::TOOBIG);
    }
    let mut message = Builder::new(out);
    message.bytes(CLIENT);
    for number in [argc, envc, arg_bytes, env_bytes] {
        message.bytes(&u32::try_from(number).map_err(|_| Errno::TOOBIG)?.to_be_bytes());
    }
    for string in args.chain(env) {
        message.bytes(string.to_bytes_with_nul());
    }
    message.finish(FDS).ok_or(Errno::TOOBIG)
}

/// How many, and how many bytes.
fn measure<'w>(strings: impl Iterator<Item = &'w CStr>) -> (usize, usize) {
    strings.fold((0, 0), |(count, bytes), string| (count + 1, bytes + string.to_bytes_with_nul().len()))
}
