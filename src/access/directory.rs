//! Rules in a directory: for each key a directory of that name. A file `allow` in it allows, else a file `deny` denies;
//! `env` is a directory of variables, `exec` a file. What is not there, and an `allow` that may not be read, count as
//! absent; what cannot be looked at for another reason is an error, and so is anything wrong with `env` and `exec`. A
//! `deny` that may not be read is an error too, where s6 goes on to the next rule, which may allow.

use super::{Answer, Detail, EXEC};
use crate::sys::envfile::{self, CLAMP, How};
use crate::sys::{Errno, Fd, Result, file};
use crate::text::CPath;
use core::ffi::CStr;
use rustix::fs::{Access, AtFlags};

/// Bytes of a path in the rules: the key, `env`, the name of a variable.
type Path = CPath<{ 272 + 8 + 256 }>;

pub(super) fn rule(dir: Fd, key: &CStr, detail: &mut dyn FnMut(Detail<'_>)) -> Result<Answer> {
    let path = |name: &[u8]| Path::of(&[key.to_bytes(), b"/", name]);
    if !readable(dir, &path(b"allow"), true)? {
        return Ok(if readable(dir, &path(b"deny"), false)? { Answer::Deny } else { Answer::Nothing });
    }
    variables(dir, &path(b"env"), detail)?;
    let mut content = [0; EXEC + 1];
    match file::read(dir, path(b"exec").path()?, &mut content) {
        Ok([]) | Err(Errno::NOENT) => {}
        Ok(content) if content.len() > EXEC => return Err(Errno::TOOBIG),
        Ok(content) if content.contains(&0) => return Err(Errno::INVAL),
        Ok(content) => detail(Detail::Exec(content)),
        Err(e) => return Err(e),
    }
    Ok(Answer::Allow)
}

fn readable(dir: Fd, path: &Path, forgiving: bool) -> Result<bool> {
    match rustix::fs::accessat(dir, path.path()?, Access::READ_OK, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::ACCESS) if forgiving => Ok(false),
        Err(e) => Err(e),
    }
}

fn variables(dir: Fd, env: &Path, detail: &mut dyn FnMut(Detail<'_>)) -> Result<()> {
    let mut room = [0; CLAMP + 1];
    let visited = envfile::visit(dir, env.path()?, |name| {
        let file = Path::of(&[env.as_bytes(), b"/", name.to_bytes()]);
        let length = envfile::read(dir, file.path()?, &mut room, &How::default())?;
        let value = length.and_then(|length| room.get(..length));
        detail(Detail::Variable(name.to_bytes(), value));
        Ok(())
    });
    match visited {
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
        Ok(done) => done,
    }
}
