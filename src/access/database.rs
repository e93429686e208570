//! Rules in a constant database: for each key `D`, which denies, or `A`, the length of what it does to the environment,
//! that, the length of `exec`, that. Lengths have 16 bits, the highest byte first. The environment is `NAME=VALUE` and a
//! NUL for each variable, `NAME` and a NUL for one that is taken out. A variable without a name, or a NUL in `exec`, which
//! would cut it, make a record that is no rule.

use super::{Answer, Detail, EXEC};
use crate::text::cdb::{Cdb, Damaged};

/// Most bytes of variables: s6's number.
pub const ENV: usize = 4096;

pub(super) fn rule(cdb: &Cdb<'_>, key: &[u8], detail: &mut dyn FnMut(Detail<'_>)) -> Result<Answer, Damaged> {
    let Some(data) = cdb.find(key)? else { return Ok(Answer::Nothing) };
    let (env, exec) = match data {
        b"D" => return Ok(Answer::Deny),
        [b'A', rest @ ..] => parts(rest).ok_or(Damaged)?,
        _ => return Err(Damaged),
    };
    if exec.contains(&0) {
        return Err(Damaged);
    }
    for entry in entries(env) {
        let (name, value) = match entry.iter().position(|byte| *byte == b'=') {
            Some(at) => (entry.get(..at), entry.get(at + 1..)),
            None => (Some(entry), None),
        };
        let name = name.filter(|name| !name.is_empty()).ok_or(Damaged)?;
        detail(Detail::Variable(name, value));
    }
    if !exec.is_empty() {
        detail(Detail::Exec(exec));
    }
    Ok(Answer::Allow)
}

/// Each ends with a NUL.
fn entries(env: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ended = env.strip_suffix(&[0]);
    ended.into_iter().flat_map(|env| env.split(|byte| *byte == 0))
}

fn parts(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (env, rest) = part(data, ENV)?;
    let (exec, rest) = part(rest, EXEC)?;
    (rest.is_empty() && env.last().is_none_or(|last| *last == 0)).then_some((env, exec))
}

fn part(data: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length > most { None } else { rest.split_at_checked(length) }
}
