//! `s6-setuidgid account prog...`: drops privileges for good, then runs prog.
//!
//! An account is a name in /etc/passwd (its groups are those that /etc/group gives it; UID, GID and GIDLIST are taken
//! out of the environment), or two numbers `uid:gid` (no further groups), or nothing: then nothing changes. A name that
//! is not known: exit 1.

use super::accounts;
use crate::applets::cli::{Cli, WrongUsage};
use crate::applets::identity::{Groups, Identity, VARIABLES, take_on};
use crate::text::number::parse_u32;

/// What follows the name on a command line.
pub const USAGE: &str = "account prog...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(2)?;
        let account = words.get(0).unwrap_or_default().to_bytes();
        let identity = match account.iter().position(|byte| *byte == b':') {
            _ if account.is_empty() => Identity::default(),
            Some(colon) => {
                let (uid, gid) = (&account[..colon], &account[colon + 1..]);
                let [uid, gid] = [uid, gid].map(parse_u32);
                Identity { uid: uid.ok_or(WrongUsage)?, gid: gid.ok_or(WrongUsage)?, groups: Some(Groups::new()) }
            }
            None => match accounts::find(cli, account) {
                Ok(Some(identity)) => {
                    VARIABLES.iter().for_each(|name| cli.env().remove(name));
                    identity
                }
                Ok(None) => return Ok(accounts::unknown_user(cli, account)),
                Err(code) => return Ok(code),
            },
        };
        Ok(take_on(cli, identity).map_or_else(|code| code, |()| cli.exec(words.skip(1))))
    })
}
