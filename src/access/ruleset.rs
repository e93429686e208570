//! The rules of a program that asks them about one client and then runs another program.

use super::{Answer, Detail, EXEC, Rules, Subject, Trouble, look_up};
use crate::limits::RULES_FILE;
use crate::sys::cell::TakeCell;
use crate::sys::environment::Environment;
use crate::sys::{Errno, Fd, Result, file};
use crate::text::CPath;
use crate::text::cdb::Cdb;
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt;

/// Where rules are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nowhere: everybody is allowed.
    None,
    /// In this directory.
    Directory(&'static CStr),
    /// In this constant database.
    Database(&'static CStr),
}

impl Source {
    /// s6's word for the kind, and the path.
    pub fn words(&self) -> (&'static str, Printable<'static>) {
        match self {
            Source::None => ("no", Printable(b"")),
            Source::Directory(path) => ("fs", Printable(path.to_bytes())),
            Source::Database(path) => ("cdb", Printable(path.to_bytes())),
        }
    }
}

/// Room for a whole database.
pub type Room = [u8; RULES_FILE];

static ROOM: TakeCell<Room> = TakeCell::new([0; RULES_FILE]);

/// The room, once.
pub fn room() -> Result<&'static mut Room> {
    ROOM.take().ok_or(Errno::BUSY)
}

/// Reads a whole database; can be called once. EFBIG: it has more than [`RULES_FILE`] bytes. EPROTO: it is none, or
/// damaged. Others: see open(2), read(2).
pub fn read(path: &CStr) -> Result<Cdb<'static>> {
    let room = room()?;
    let size = room.len();
    // A database that fills the room may have been cut.
    let bytes = file::read(Fd::CWD, path, room)?;
    if bytes.len() == size {
        return Err(Errno::FBIG);
    }
    Cdb::new(bytes).map_err(|_| Errno::PROTO)
}

/// Rules, opened.
#[derive(Clone, Copy)]
pub struct Ruleset(Option<Rules<'static>>, bool);

impl Ruleset {
    /// Opens a directory, or reads a database: see [`read`].
    pub fn open(source: Source) -> Result<Ruleset> {
        Ok(match source {
            Source::None => Ruleset(None, true),
            Source::Directory(path) => Ruleset(Some(Rules::Directory(file::open_dir(Fd::CWD, path)?)), false),
            Source::Database(path) => Ruleset(Some(Rules::Database(read(path)?)), false),
        })
    }

    /// Rules that say nothing of anybody.
    pub const EMPTY: Ruleset = Ruleset(None, false);

    /// They are not asked any more.
    pub fn close(self) {
        if let Some(Rules::Directory(mut dir)) = self.0 {
            dir.close();
        }
    }

    /// What the rules say of who has these keys. What the deciding rule does to the environment is done to `env`, what
    /// it has to be run instead of the program is kept in `exec`. After an error both hold anything: nothing may be run
    /// then. E2BIG: the variables do not fit.
    pub fn ask<K: Subject>(
        &self,
        keys: impl Iterator<Item = K>,
        env: &mut Environment,
        exec: &mut Exec,
    ) -> core::result::Result<(Answer, Option<K>), Trouble<K>> {
        let Some(rules) = self.0 else {
            return Ok((if self.1 { Answer::Allow } else { Answer::Nothing }, None));
        };
        let mut failed = None;
        let (answer, key) = look_up(rules, keys, &mut |detail| {
            let done = match detail {
                Detail::Variable(name, Some(value)) => env.set(name, value),
                Detail::Variable(name, None) => {
                    env.unset(name);
                    Ok(())
                }
                Detail::Exec(content) => {
                    exec.push(content);
                    exec.path().map(drop)
                }
            };
            failed = failed.or(done.err());
        })?;
        match failed {
            None => Ok((answer, key)),
            Some(errno) => Err(Trouble { key, errno }),
        }
    }
}

/// What a rule has to be run instead of the program: what execlineb(1) reads. Empty: the program itself.
pub type Exec = CPath<{ EXEC + 1 }>;

/// Displays a trouble as the end of a message: the key, and the reason.
pub struct Told<K>(pub Trouble<K>);

impl<K: Subject> fmt::Display for Told<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.0.key {
            write!(f, "{}: ", Printable(key.path().as_bytes()))?;
        }
        write!(f, "{}", Why(self.0.errno))
    }
}

/// Displays the reason why rules cannot be read.
pub struct Why(pub Errno);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Errno::PROTO => f.write_str("this is no database of rules, or it is damaged"),
            Errno::INVAL => f.write_str("a NUL where none may be"),
            Errno::TOOBIG => f.write_str("too long"),
            Errno::FBIG => write!(f, "more than {RULES_FILE} bytes"),
            other => write!(f, "{}", Reason(other)),
        }
    }
}
