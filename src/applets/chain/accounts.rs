//! Looking people up for the chain loaders: messages and exit codes are s6's.

use crate::applets::cli::{Cli, SYSTEM};
use crate::applets::identity::{Groups, Identity};
use crate::board::users;
use crate::limits::ACCOUNT_GROUPS;
use crate::text::quote::Printable;

/// Nobody is called that.
pub const UNKNOWN: i32 = 1;

/// Says that a user is not known; returns the exit code.
pub fn unknown_user(cli: &Cli, name: &[u8]) -> i32 {
    cli.refuse(format_args!("unknown user: {}", Printable(name)));
    UNKNOWN
}

/// User, primary group and further groups of an account; `None`: there is none of that name. Errors are exit codes;
/// what went wrong has been said.
pub fn find(cli: &Cli, name: &[u8]) -> Result<Option<Identity>, i32> {
    let Some(user) = user(cli, name)? else { return Ok(None) };
    let found = users::groups(name, user.gid).map_err(|e| cli.unable("read /etc/group", e))?;
    if found.full {
        cli.refuse(format_args!("user {} is in more than {ACCOUNT_GROUPS} groups", Printable(name)));
        return Err(SYSTEM);
    }
    if found.skipped > 0 {
        cli.warn(format_args!("ignoring {} too long lines of /etc/group", found.skipped));
    }
    // The first one is the primary group.
    let further: Groups = found.ids.iter().copied().skip(1).collect();
    Ok(Some(Identity { uid: user.uid, gid: user.gid, groups: Some(further) }))
}

/// The user of that name.
pub fn user(cli: &Cli, name: &[u8]) -> Result<Option<crate::text::passwd::User>, i32> {
    users::user(name).map_err(|e| cli.unable("read /etc/passwd", e))
}

/// The group of that name.
pub fn group(cli: &Cli, name: &[u8]) -> Result<Option<u32>, i32> {
    users::group(name).map_err(|e| cli.unable("read /etc/group", e))
}
