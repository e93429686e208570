//! Who people are on this machine: looked up in /etc/passwd and /etc/group, and nowhere else. Of several entries with
//! one name the first counts.

use super::model::{Id, Owner};
use crate::limits::{ACCOUNT_GROUPS, ACCOUNT_LINE};
use crate::sys::{Errno, Result, lines};
use crate::text::passwd::{self, User};
use core::ffi::CStr;
use core::ops::ControlFlow;

/// Where users are.
pub const PASSWD: &CStr = c"/etc/passwd";
/// Where groups are.
pub const GROUP: &CStr = c"/etc/group";

/// A user's groups.
pub struct Groups {
    /// Primary group first, each once.
    pub ids: heapless::Vec<u32, ACCOUNT_GROUPS>,
    /// There are more than [`ACCOUNT_GROUPS`].
    pub full: bool,
    /// Lines of /etc/group that were too long to be looked at ([`ACCOUNT_LINE`]).
    pub skipped: usize,
}

fn visit(path: &CStr, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<usize> {
    lines::visit(path, &mut [0; ACCOUNT_LINE], visit)
}

/// The user called `name`. Errors: /etc/passwd cannot be read.
pub fn user(name: &[u8]) -> Result<Option<User>> {
    let mut found = None;
    visit(PASSWD, &mut |line| {
        found = passwd::user(line, name);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The id of the group called `name`. Errors: /etc/group cannot be read.
pub fn group(name: &[u8]) -> Result<Option<u32>> {
    let mut found = None;
    visit(GROUP, &mut |line| {
        found = passwd::group(line, name);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The first user with this id. Errors: /etc/passwd cannot be read.
pub fn user_of_id(uid: u32) -> Result<Option<User>> {
    let mut found = None;
    visit(PASSWD, &mut |line| {
        found = passwd::user_of_id(line, uid);
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// The name of the first group with this id; `None` too if it is longer than 32 bytes, which is the limit of the usual
/// tools. Errors: /etc/group cannot be read.
pub fn name_of_group(gid: u32) -> Result<Option<heapless::Vec<u8, 32>>> {
    let mut found = None;
    visit(GROUP, &mut |line| match passwd::name_of_group(line, gid) {
        Some(name) => {
            found = heapless::Vec::from_slice(name).ok();
            ControlFlow::Break(())
        }
        None => ControlFlow::Continue(()),
    })?;
    Ok(found)
}

/// The groups of the user called `name` whose primary group is `gid`. Errors: /etc/group cannot be read (not there:
/// just `gid`).
pub fn groups(name: &[u8], gid: u32) -> Result<Groups> {
    let mut groups = Groups { ids: heapless::Vec::new(), full: false, skipped: 0 };
    let _ = groups.ids.push(gid);
    let walked = visit(GROUP, &mut |line| {
        if let Some(id) = passwd::membership(line, name).filter(|id| !groups.ids.contains(id)) {
            groups.full |= groups.ids.push(id).is_err();
        }
        ControlFlow::Continue(())
    });
    groups.skipped = match walked {
        Ok(skipped) => skipped,
        Err(Errno::NOENT) => 0,
        Err(e) => return Err(e),
    };
    Ok(groups)
}

/// Why an owner's ids are not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unknown {
    /// /etc/passwd has no such user, or cannot be read.
    User(Option<Errno>),
    /// /etc/group has no such group, or cannot be read.
    Group(Option<Errno>),
}

/// User id and group id of an owner; `None` where it leaves them as they are.
pub fn resolve(owner: &Owner<'_>) -> core::result::Result<(Option<u32>, Option<u32>), Unknown> {
    let uid = match owner.user {
        None => None,
        Some(Id::Number(uid)) => Some(uid),
        Some(Id::Name(name)) => match user(name.as_bytes()) {
            Ok(Some(user)) => Some(user.uid),
            Ok(None) => return Err(Unknown::User(None)),
            Err(e) => return Err(Unknown::User(Some(e))),
        },
    };
    let gid = match owner.group {
        None => None,
        Some(Id::Number(gid)) => Some(gid),
        Some(Id::Name(name)) => match group(name.as_bytes()) {
            Ok(Some(gid)) => Some(gid),
            Ok(None) => return Err(Unknown::Group(None)),
            Err(e) => return Err(Unknown::Group(Some(e))),
        },
    };
    Ok((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_and_nobody_else_is_made_up() {
        assert_eq!(user(b"root"), Ok(Some(User { uid: 0, gid: 0 })));
        assert_eq!(group(b"root"), Ok(Some(0)));
        assert_eq!(user(b"no such user"), Ok(None));
        assert_eq!(group(b""), Ok(None));
        assert_eq!(groups(b"root", 0).unwrap().ids.first(), Some(&0));
        assert_eq!(user_of_id(0), Ok(Some(User { uid: 0, gid: 0 })));
        assert_eq!(name_of_group(0).unwrap().as_deref(), Some(&b"root"[..]));
    }

    #[test]
    fn an_owner_is_resolved_part_by_part() {
        let parse = |text| resolve(&Owner::parse(text).unwrap());
        assert_eq!(parse("root:7"), Ok((Some(0), Some(7))));
        assert_eq!(parse(":root"), Ok((None, Some(0))));
        assert_eq!(parse("1000"), Ok((Some(1000), None)));
        assert_eq!(parse("no-such-user:0"), Err(Unknown::User(None)));
        assert_eq!(parse("0:no-such-group"), Err(Unknown::Group(None)));
    }
}
