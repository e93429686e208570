//! s6's access rules: who may do something, and with which variables in the environment, by user and group, or by
//! address and host name ([`origin`]).
//!
//! Rules are a directory ([`directory`]) or a constant database made of one ([`database`]), in the format of
//! s6-accessrules-cdb-from-fs(8). [`look_up`] goes through the keys of somebody; [`fdholder`] is what a store makes of it,
//! [`ruleset`] what a program does that runs another one. Whatever is wrong with a rule is an error: nothing is allowed
//! then. Nothing here waits for anything but the file system.

pub mod database;
mod directory;
pub mod fdholder;
pub mod origin;
pub mod ruleset;

use crate::sys::{Errno, Fd};
use crate::text::CPath;
use crate::text::cdb::{self, Cdb};
use crate::text::number::Decimal;
use core::ffi::CStr;

/// Most bytes of a rule's `exec` file: s6's number.
pub const EXEC: usize = 4096;

/// A key as it is written: `reversedns/` and the longest host name, and a NUL.
pub type KeyPath = CPath<272>;

/// What rules can be for.
pub trait Subject: Copy {
    /// As it is written: a kind, a slash, a name.
    fn path(&self) -> KeyPath;
}

/// Whom a rule is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// `uid/self`: the user that we run as.
    UserSelf,
    /// `uid/N`.
    User(u32),
    /// `gid/self`: the group that we run as.
    GroupSelf,
    /// `gid/N`.
    Group(u32),
    /// `uid/default`: everybody else.
    Default,
}

impl Key {
    /// As it is written.
    pub fn path(self) -> KeyPath {
        let (kind, number) = match self {
            Key::UserSelf => return CPath::of(&[b"uid/self"]),
            Key::GroupSelf => return CPath::of(&[b"gid/self"]),
            Key::Default => return CPath::of(&[b"uid/default"]),
            Key::User(uid) => (b"uid/", uid),
            Key::Group(gid) => (b"gid/", gid),
        };
        CPath::of(&[kind, Decimal::new(number.into()).as_bytes()])
    }
}

impl Subject for Key {
    fn path(&self) -> KeyPath {
        Key::path(*self)
    }
}

/// A user and a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Ids {
    /// Those that this process acts as.
    pub fn own() -> Ids {
        Ids { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// The keys under which rules for these are looked for, for a process that acts as `own`: the first one that says
    /// something decides.
    pub fn keys(self, own: Ids) -> impl Iterator<Item = Key> {
        let user = (self.uid == own.uid).then_some(Key::UserSelf);
        let group = (self.gid == own.gid).then_some(Key::GroupSelf);
        [user, Some(Key::User(self.uid)), group, Some(Key::Group(self.gid)), Some(Key::Default)].into_iter().flatten()
    }
}

/// Where rules are.
#[derive(Clone, Copy)]
pub enum Rules<'a> {
    /// In this directory, which is opened already.
    Directory(Fd),
    /// In a constant database.
    Database(Cdb<'a>),
}

/// What a rule that allows something says besides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail<'a> {
    /// A variable gets this value, or is taken out of the environment.
    Variable(&'a [u8], Option<&'a [u8]>),
    /// What is to be run instead, as execlineb(1) reads it.
    Exec(&'a [u8]),
}

/// What rules say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is allowed.
    Allow,
    /// It is not.
    Deny,
    /// Nothing.
    Nothing,
}

/// Why rules cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trouble<K = Key> {
    /// With the rule for whom that happened.
    pub key: Option<K>,
    /// What happened. EPROTO: a damaged database, or a record that is no rule. E2BIG: an `exec` of more than [`EXEC`] bytes.
    /// EINVAL: there is a NUL in it.
    pub errno: Errno,
}

impl<K> From<cdb::Damaged> for Trouble<K> {
    fn from(_: cdb::Damaged) -> Self {
        Errno::PROTO.into()
    }
}

impl<K> From<Errno> for Trouble<K> {
    fn from(errno: Errno) -> Self {
        Trouble { key: None, errno }
    }
}

/// What the rule for `key` says; `detail` is told the details of one that allows. Everything may have been told before
/// an error is met.
pub fn rule(rules: Rules<'_>, key: &CStr, detail: &mut dyn FnMut(Detail<'_>)) -> Result<Answer, Trouble> {
    match rules {
        Rules::Directory(dir) => Ok(directory::rule(dir, key, detail)?),
        Rules::Database(cdb) => Ok(database::rule(&cdb, key.to_bytes(), detail)?),
    }
}

/// Goes through `keys` until a rule says something; answers what, and which.
pub fn look_up<K: Subject>(
    rules: Rules<'_>,
    keys: impl Iterator<Item = K>,
    detail: &mut dyn FnMut(Detail<'_>),
) -> Result<(Answer, Option<K>), Trouble<K>> {
    for key in keys {
        let in_it = |errno| Trouble { key: Some(key), errno };
        let path = key.path();
        let answer = rule(rules, path.path().map_err(in_it)?, detail).map_err(|trouble| in_it(trouble.errno))?;
        if answer != Answer::Nothing {
            return Ok((answer, Some(key)));
        }
    }
    Ok((Answer::Nothing, None))
}

#[cfg(test)]
mod tests;
