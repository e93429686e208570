//! How a program is told which descriptors it gets: s6's `S6_FD#`, `S6_FD_0`, `S6_FDID_0`, `S6_FDLIMIT_0`…, or
//! `LISTEN_FDS`, `LISTEN_FDNAMES` and `LISTEN_PID`, sd_listen_fds_with_names(3).

use crate::applets::cli::Cli;
use crate::fdholder::client::is_never;
use crate::limits::FDHOLDER_DUMP;
use crate::service::handover;
use crate::sys::args::{Args, Env};
use crate::sys::environment::Environment;
use crate::sys::{Errno, Fd, Result, process};
use crate::text::number::{Decimal, parse_u32};
use crate::text::tai::Stamp;
use core::ffi::CStr;

/// The number of descriptors.
pub const COUNT: &[u8] = b"S6_FD#";

/// What there is of every descriptor: its number, what it is held as, until when. The place of it follows.
pub const KINDS: [&[u8]; 3] = [b"S6_FD_", b"S6_FDID_", b"S6_FDLIMIT_"];

/// The first number of those that `LISTEN_FDS` counts.
pub const LISTEN_START: i32 = 3;

/// What of a descriptor a variable of that name tells, and of the how-many-th.
fn place(name: &[u8]) -> Option<(usize, usize)> {
    KINDS.iter().enumerate().find_map(|(kind, prefix)| {
        let digits = name.strip_prefix(*prefix)?;
        let place = parse_u32(digits).filter(|place| Decimal::new((*place).into()).as_bytes() == digits)?;
        Some((kind, place as usize))
    })
}

/// The name of the variable that tells that of a descriptor.
fn variable(kind: &[u8], place: usize) -> heapless::Vec<u8, 32> {
    let mut name = heapless::Vec::new();
    for part in [kind, Decimal::new(place as u64).as_bytes()] {
        let _ = name.extend_from_slice(part); // there is room for the longest of both
    }
    name
}

/// The words of the environment about each descriptor; of equal names the first counts, as with getenv(3).
pub type Words = [[Option<&'static CStr>; KINDS.len()]; FDHOLDER_DUMP];

/// Finds them.
pub fn read(env: Env, words: &mut Words) {
    for entry in env.iter() {
        let bytes = entry.to_bytes_with_nul();
        let Some((name, value)) = bytes.iter().position(|byte| *byte == b'=').and_then(|at| bytes.split_at_checked(at))
        else {
            continue;
        };
        let word = place(name).and_then(|(kind, place)| words.get_mut(place)?.get_mut(kind));
        if let Some(word) = word.filter(|word| word.is_none()) {
            *word = value.get(1..).and_then(|value| CStr::from_bytes_with_nul(value).ok());
        }
    }
}

/// A descriptor as the program will know it.
pub struct Handed<'a> {
    /// Where it is open.
    pub fd: Fd,
    /// What it is held as.
    pub id: &'a [u8],
    /// Until when; `None`: for ever, or nobody knows.
    pub limit: Option<Stamp>,
}

/// A limit as it is told: none that is never reached.
pub fn told(limit: Stamp, now: Stamp) -> Option<Stamp> {
    (!is_never(limit, now)).then_some(limit)
}

/// Goes on as the program that `words` name, with s6's variables. Returns only if that fails: an exit code.
pub fn as_s6<'a>(cli: &Cli, count: usize, fds: impl Iterator<Item = Handed<'a>>, words: Args) -> i32 {
    become_with(cli, words, |env| {
        env.retain(|name| name != COUNT && place(name).is_none_or(|(_, place)| place >= count));
        env.add(COUNT, Decimal::new(count as u64).as_bytes())?;
        for (i, handed) in fds.enumerate() {
            handed.fd.set_cloexec(false)?;
            let [fd, id, limit] = KINDS.map(|kind| variable(kind, i));
            env.add(&fd, Decimal::new(handed.fd.0.unsigned_abs().into()).as_bytes())?;
            env.add(&id, handed.id)?;
            if let Some(until) = handed.limit {
                env.add(&limit, &until.to_text())?;
            }
        }
        Ok(())
    })
}

/// Goes on as the program that `words` name, told of `count` descriptors from [`LISTEN_START`] on with these names.
/// Returns only if that fails: an exit code.
pub fn as_listen_fds<N: Iterator<Item = u8>>(
    cli: &Cli,
    count: usize,
    names: impl Iterator<Item = N>,
    words: Args,
) -> i32 {
    become_with(cli, words, |env| {
        env.retain(|name| !handover::VARIABLES.contains(&name));
        env.add(b"LISTEN_FDS", Decimal::new(count as u64).as_bytes())?;
        env.add(b"LISTEN_PID", Decimal::new(process::pid().unsigned_abs().into()).as_bytes())?;
        env.set_with(b"LISTEN_FDNAMES", |room| {
            let mut len = 0;
            let mut put = |byte| {
                *room.get_mut(len).ok_or(Errno::TOOBIG)? = byte;
                len += 1;
                Ok(())
            };
            for (i, mut name) in names.enumerate() {
                if i > 0 {
                    put(b':')?;
                }
                name.try_for_each(&mut put)?;
            }
            Ok(Some(len))
        })
    })
}

fn become_with(cli: &Cli, words: Args, change: impl FnOnce(&mut Environment) -> Result<()>) -> i32 {
    let changed = Environment::of(cli.env()).and_then(|env| change(env).map(|()| env));
    match changed {
        Ok(env) => cli.exec_env(words, env.env()),
        Err(e) => cli.unable("set the environment", e),
    }
}
