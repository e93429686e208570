//! `s6-envuidgid [-i | -D uid:gid:gidlist] [-u | -g | -B] [-n] account prog...`: tells prog who somebody is, in the
//! variables UID, GID and GIDLIST (the groups that the account is a member of, besides its own).
//!
//! With `-u` only UID is set, with `-g` only GID, of the group called account; with `-B` and `-n` both, of account as
//! `user:group` (a missing half is 0). `-n` takes a number for itself if nobody has it as a name. Whoever is not known
//! gets the values of `-D`; without it (`-i`) the exit code is 1.

use super::accounts::{self, UNKNOWN};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::applets::identity::{Groups, Identity, VARIABLES, parse_groups};
use crate::sys::environment::Environment;
use crate::sys::{Errno, Result};
use crate::text::number::{Decimal, parse_u32};
use crate::text::quote::Printable;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -i | -D uid:gid:gidlist ] [ -u | -g | -B ] [ -n ] account prog...";

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Account,
    User,
    Group,
    Both,
}

struct Lookup<'a> {
    cli: &'a Cli,
    numbers: bool,
    default: Option<Identity>,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut what = What::Account;
        let mut lookup = Lookup { cli, numbers: false, default: None };
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'i') => lookup.default = None,
                Opt::Short(b'D') => lookup.default = Some(parse_default(options.value()?).ok_or(WrongUsage)?),
                Opt::Short(b'u') => what = What::User,
                Opt::Short(b'g') => what = What::Group,
                Opt::Short(b'B') => what = What::Both,
                Opt::Short(b'n') => lookup.numbers = true,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        if what == What::Account && lookup.numbers {
            what = What::Both;
        }
        let account = words.get(0).unwrap_or_default().to_bytes();
        let env = match lookup.export(what, account) {
            Ok(env) => env,
            Err(code) => return Ok(code),
        };
        Ok(cli.exec_env(words.skip(1), env.env()))
    })
}

/// `uid:gid:gidlist`, whose parts may be empty or, from the end, missing.
fn parse_default(text: &[u8]) -> Option<Identity> {
    let mut parts = text.splitn(3, |byte| *byte == b':');
    let mut number = || match parts.next() {
        None | Some(b"") => Some(0),
        Some(word) => parse_u32(word),
    };
    let (uid, gid) = (number()?, number()?);
    Some(Identity { uid, gid, groups: Some(parse_groups(parts.next().unwrap_or_default())?) })
}

/// Errors are exit codes; what went wrong has been said.
impl Lookup<'_> {
    fn export(mut self, what: What, account: &[u8]) -> core::result::Result<&'static mut Environment, i32> {
        let colon = account.iter().position(|byte| *byte == b':').unwrap_or(account.len());
        let (before, after) = (account.get(..colon), account.get(colon + 1..));
        let (user, group) = (before.unwrap_or_default(), after.unwrap_or_default());
        let (uid, gid, groups) = match what {
            What::Account => {
                let identity = match accounts::find(self.cli, account)? {
                    Some(identity) => identity,
                    None => self.default.take().ok_or_else(|| accounts::unknown_user(self.cli, account))?,
                };
                (Some(identity.uid), Some(identity.gid), identity.groups)
            }
            What::User => (Some(self.user(account)?), None, None),
            What::Group => (None, Some(self.group(account)?), None),
            What::Both => {
                let gid = if group.is_empty() { self.default_gid() } else { self.group(group)? };
                let uid = if user.is_empty() { self.default_uid() } else { self.user(user)? };
                (Some(uid), Some(gid), None)
            }
        };
        let changed = Environment::of(self.cli.env()).and_then(|env| set(env, uid, gid, groups).map(|()| env));
        changed.map_err(|e| self.cli.unable("change the environment", e))
    }

    fn default_uid(&self) -> u32 {
        self.default.as_ref().map_or(0, |default| default.uid)
    }

    fn default_gid(&self) -> u32 {
        self.default.as_ref().map_or(0, |default| default.gid)
    }

    fn number(&self, name: &[u8]) -> Option<u32> {
        if self.numbers { parse_u32(name) } else { None }
    }

    fn user(&self, name: &[u8]) -> core::result::Result<u32, i32> {
        if let Some(user) = accounts::user(self.cli, name)? {
            return Ok(user.uid);
        }
        let other = self.number(name).or(self.default.as_ref().map(|default| default.uid));
        other.ok_or_else(|| accounts::unknown_user(self.cli, name))
    }

    fn group(&self, name: &[u8]) -> core::result::Result<u32, i32> {
        if let Some(gid) = accounts::group(self.cli, name)? {
            return Ok(gid);
        }
        let other = self.number(name).or(self.default.as_ref().map(|default| default.gid));
        other.ok_or_else(|| {
            self.cli.refuse(format_args!("unknown group: {}", Printable(name)));
            UNKNOWN
        })
    }
}

fn set(env: &mut Environment, uid: Option<u32>, gid: Option<u32>, groups: Option<Groups>) -> Result<()> {
    let [uid_name, gid_name, list_name] = VARIABLES;
    for (name, id) in [(uid_name, uid), (gid_name, gid)] {
        if let Some(id) = id {
            env.set(name, Decimal::new(id.into()).as_bytes())?;
        }
    }
    let Some(groups) = groups else { return Ok(()) };
    env.set_with(list_name, |room| {
        let mut len = 0;
        let mut push = |bytes: &[u8]| {
            room.get_mut(len..len + bytes.len()).ok_or(Errno::TOOBIG)?.copy_from_slice(bytes);
            len += bytes.len();
            Ok(())
        };
        for (i, group) in groups.iter().enumerate() {
            push(if i == 0 { b"" } else { b"," })?;
            push(Decimal::new((*group).into()).as_bytes())?;
        }
        Ok(Some(len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_may_be_left_out_from_the_end() {
        let parse = |text: &str| parse_default(text.as_bytes()).map(|d| (d.uid, d.gid, d.groups.unwrap().to_vec()));
        assert_eq!(parse("1:2:3,4"), Some((1, 2, vec![3, 4])));
        assert_eq!(parse("1:2"), Some((1, 2, vec![])));
        assert_eq!(parse("1"), Some((1, 0, vec![])));
        assert_eq!(parse("::"), Some((0, 0, vec![])));
        for bad in ["x", "1:x", "1:2:x", "1:2:3:4"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
