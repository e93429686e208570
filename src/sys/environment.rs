//! The environment of the program that this process is about to become: ours, with changes.

use super::args::Env;
use super::cell::TakeCell;
use super::{Errno, Result};
use crate::limits::{ENV_BYTES, ENV_ENTRIES};
use core::ffi::{CStr, c_char};
use core::ptr;

/// Variables; the last entry is null, as exec wants it.
pub struct Environment {
    entries: [*const c_char; ENV_ENTRIES + 1],
    count: usize,
    text: [u8; ENV_BYTES],
    used: usize,
}

static ROOM: TakeCell<Environment> =
    TakeCell::new(Environment { entries: [ptr::null(); ENV_ENTRIES + 1], count: 0, text: [0; ENV_BYTES], used: 0 });

impl Environment {
    /// A copy of `env`, to be changed; there is one only. E2BIG: more than [`ENV_ENTRIES`] variables, or asked again.
    pub fn of(env: Env) -> Result<&'static mut Environment> {
        let room = ROOM.take().ok_or(Errno::TOOBIG)?;
        for entry in env.iter() {
            room.push(entry.as_ptr())?;
        }
        Ok(room)
    }

    fn push(&mut self, entry: *const c_char) -> Result<()> {
        if self.count == ENV_ENTRIES {
            return Err(Errno::TOOBIG);
        }
        self.entries[self.count] = entry;
        self.count += 1;
        Ok(())
    }

    /// Takes `name` out, every entry of it.
    pub fn unset(&mut self, name: &[u8]) {
        self.retain(|other| other != name);
    }

    /// Takes out every variable whose name `keep` does not want. An entry without a `=` is no variable, and stays.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut kept = 0;
        for at in 0..self.count {
            let entry = self.entries[at];
            // SAFETY: the entries below `count` are C strings, of the process's environment or of `text`, which both
            // live as long as the process; nothing of `text` that an entry points to is written again.
            let bytes = unsafe { CStr::from_ptr(entry) }.to_bytes();
            let name = bytes.iter().position(|byte| *byte == b'=').and_then(|end| bytes.get(..end));
            if name.is_some_and(|name| !keep(name)) {
                continue;
            }
            self.entries[kept] = entry;
            kept += 1;
        }
        self.entries[kept..self.count].fill(ptr::null());
        self.count = kept;
    }

    /// Gives `name` the value that `fill` writes to the beginning of the room that it is shown, and whose length it
    /// returns; `None` takes the variable out. E2BIG: more than [`ENV_ENTRIES`] variables or [`ENV_BYTES`]. EINVAL:
    /// the value holds a NUL.
    pub fn set_with(&mut self, name: &[u8], fill: impl FnOnce(&mut [u8]) -> Result<Option<usize>>) -> Result<()> {
        self.unset(name);
        self.append(name, fill)
    }

    /// Gives `name` a value; errors as [`Environment::set_with`].
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        self.unset(name);
        self.add(name, value)
    }

    /// Gives `name`, which is known not to be there, a value: for thousands of variables. Errors as
    /// [`Environment::set_with`].
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        self.append(name, |room| {
            room.get_mut(..value.len()).ok_or(Errno::TOOBIG)?.copy_from_slice(value);
            Ok(Some(value.len()))
        })
    }

    fn append(&mut self, name: &[u8], fill: impl FnOnce(&mut [u8]) -> Result<Option<usize>>) -> Result<()> {
        let room = self.text.get_mut(self.used..).unwrap_or_default();
        let (head, room) = room.split_at_mut_checked(name.len() + 1).ok_or(Errno::TOOBIG)?;
        head[..name.len()].copy_from_slice(name);
        head[name.len()] = b'=';
        let Some(len) = fill(room)? else { return Ok(()) };
        // One that fills the room may have been cut, and leaves no place for the NUL.
        let value = room.get_mut(..=len).ok_or(Errno::TOOBIG)?;
        if value[..len].contains(&0) {
            return Err(Errno::INVAL);
        }
        value[len] = 0;
        let entry = head.as_ptr().cast();
        self.used += name.len() + 1 + len + 1;
        self.push(entry)
    }

    /// What exec gets.
    pub fn env(&'static self) -> Env {
        Env(self.entries.as_ptr())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of its own for each test.
    fn environment() -> &'static mut Environment {
        let entries = [ptr::null(); ENV_ENTRIES + 1];
        Box::leak(Box::new(Environment { entries, count: 0, text: [0; ENV_BYTES], used: 0 }))
    }

    fn all(environment: &Environment) -> Vec<String> {
        let env = Env(environment.entries.as_ptr());
        env.iter().map(|entry| entry.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_variable_is_set_replaced_and_taken_out() {
        let env = environment();
        env.push(c"A=1".as_ptr()).unwrap();
        env.push(c"AB=2".as_ptr()).unwrap();
        env.push(c"A=3".as_ptr()).unwrap();
        env.set(b"B", b"x").unwrap();
        assert_eq!(all(env), ["A=1", "AB=2", "A=3", "B=x"]);
        env.set(b"A", b"").unwrap();
        assert_eq!(all(env), ["AB=2", "B=x", "A="]);
        env.unset(b"B");
        env.set_with(b"AB", |_| Ok(None)).unwrap();
        assert_eq!(all(env), ["A="]);
    }

    #[test]
    fn many_are_taken_out_at_once() {
        let env = environment();
        for entry in [c"A=1", c"no variable", c"B=2=3", c"=x", c"A=4", c"C="] {
            env.push(entry.as_ptr()).unwrap();
        }
        env.retain(|name| name != b"A" && name != b"C");
        env.add(b"C", b"5").unwrap();
        assert_eq!(all(env), ["no variable", "B=2=3", "=x", "C=5"]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let env = environment();
        assert_eq!(env.set(b"BIG", &vec![b'x'; ENV_BYTES]), Err(Errno::TOOBIG));
        let fits = ENV_BYTES - "BIG=".len() - 1;
        assert_eq!(env.set_with(b"BIG", |room| Ok(Some(room.len()))), Err(Errno::TOOBIG));
        assert_eq!(env.set(b"BIG", &vec![b'x'; fits]), Ok(()));
        assert_eq!(env.set(b"", b""), Err(Errno::TOOBIG));
        let env = environment();
        for i in 0..ENV_ENTRIES {
            env.add(format!("V{i}").as_bytes(), b"").unwrap();
        }
        assert_eq!(env.set(b"ONE_MORE", b""), Err(Errno::TOOBIG));
    }

    #[test]
    fn a_value_with_a_nul_is_refused() {
        assert_eq!(environment().set(b"A", b"x\0y"), Err(Errno::INVAL));
    }
}
