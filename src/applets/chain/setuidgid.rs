//! `s6-setuidgid account prog...`: drops privileges for good, then runs prog.
//!
//! An account is a name in /etc/passwd (its groups are those that /etc/group gives it; UID, GID and GIDLIST are taken
//! out of the environment), or two numbers `uid:gid` (no further groups). A name that is not known: exit 1.

use crate::applets::cli::{Cli, SYSTEM, WrongUsage};
use crate::board::users;
use crate::limits::ACCOUNT_GROUPS;
use crate::sys::identity;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(2)?;
        let account = words.get(0).map_or(&b""[..], |word| word.to_bytes());
        let become_it = match account.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let (uid, gid) = (&account[..colon], &account[colon + 1..]);
                let gid = parse_u32(gid).ok_or(WrongUsage)?;
                become_user(cli, parse_u32(uid).ok_or(WrongUsage)?, &[gid])
            }
            None => become_account(cli, account),
        };
        Ok(become_it.map_or_else(|code| code, |()| cli.exec(words.skip(1))))
    })
}

/// Errors are exit codes; what went wrong has been said.
fn become_account(cli: &Cli, name: &[u8]) -> Result<(), i32> {
    let user = users::user(name).map_err(|e| cli.unable("read /etc/passwd", e))?;
    let Some(user) = user else {
        cli.refuse(format_args!("unknown user: {}", Printable(name)));
        return Err(1);
    };
    let groups = users::groups(name, user.gid).map_err(|e| cli.unable("read /etc/group", e))?;
    if groups.full {
        cli.refuse(format_args!("user {} is in more than {ACCOUNT_GROUPS} groups", Printable(name)));
        return Err(SYSTEM);
    }
    if groups.skipped > 0 {
        cli.warn(format_args!("ignoring {} too long lines of /etc/group", groups.skipped));
    }
    for variable in [&b"UID"[..], b"GID", b"GIDLIST"] {
        cli.env().remove(variable);
    }
    become_user(cli, user.uid, &groups.ids)
}

/// Takes on `uid` and `groups`, the first of which is the primary one.
#[inline(never)]
fn become_user(cli: &Cli, uid: u32, groups: &[u32]) -> Result<(), i32> {
    identity::set_groups(groups).map_err(|e| cli.unable("set supplementary group list", e))?;
    if let Some(gid) = groups.first() {
        identity::set_gid(*gid).map_err(|e| cli.unable("setgid", e))?;
    }
    identity::set_uid(uid).map_err(|e| cli.unable("setuid", e))
}
