//! An environment that is ours with changes: of the program that this process is about to become, or of a child.

use super::args::Env;
use super::cell::TakeCell;
use super::{Errno, Result, memory};
use crate::limits::{ENV_BYTES, ENV_ENTRIES};
use core::ffi::{CStr, c_char};
use core::ptr;

/// Variables; the last entry is null, as exec wants it. The large parts begin at pages, so that those that were used can be
/// given back.
#[repr(C, align(4096))]
pub struct Environment {
    text: [u8; ENV_BYTES],
    entries: [*const c_char; ENV_ENTRIES + 1],
    count: usize,
    used: usize,
    /// Where in `text` the child writes its pid.
    own_pid: heapless::Vec<usize, OWN_PIDS>,
}

/// Where the value of a variable is that changes with every child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    at: usize,
    most: usize,
}

/// Variables that may hold the pid of the program that gets them: `LISTEN_PID`, `WATCHDOG_PID`.
pub const OWN_PIDS: usize = 2;

/// Bytes that the pid takes, its NUL included.
pub(super) const PID_BYTES: usize = 11;

/// One for each command of a chain that goes on in the same process; when there is none left, the next one is executed.
static ROOMS: [TakeCell<Environment>; 2] = [const { TakeCell::new(Environment::new()) }; 2];

impl Environment {
    /// Without variables.
    pub const fn new() -> Environment {
        Environment {
            text: [0; ENV_BYTES],
            entries: [ptr::null(); ENV_ENTRIES + 1],
            count: 0,
            used: 0,
            own_pid: heapless::Vec::new(),
        }
    }

    /// Becomes a copy of `env`, whatever it was; to be changed then, for [`Spawn::given`](super::process::Spawn::given).
    /// E2BIG: more than [`ENV_ENTRIES`] variables.
    pub fn begin(&mut self, env: Env) -> Result<()> {
        self.clear();
        env.iter().try_for_each(|entry| self.push(entry.as_ptr()))
    }

    /// Has no variables any more; the memory that they took goes back to the kernel.
    pub fn clear(&mut self) {
        memory::discard_pages(&mut self.entries, self.count);
        self.count = 0;
        self.own_pid.clear();
        memory::discard_pages(&mut self.text, self.used);
        self.used = 0;
    }

    /// A copy of `env`, to be changed; there is one for a command. E2BIG: more than [`ENV_ENTRIES`] variables, or asked too
    /// often.
    pub fn of(env: Env) -> Result<&'static mut Environment> {
        let room = ROOMS.iter().find_map(TakeCell::take).ok_or(Errno::TOOBIG)?;
        for entry in env.iter() {
            room.push(entry.as_ptr())?;
        }
        Ok(room)
    }

    /// Whether [`Environment::of`] can be asked.
    pub fn is_left() -> bool {
        ROOMS.iter().any(|room| !room.is_taken())
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
            // SAFETY: the entries below `count` are C strings, of the process's environment, which lives as long as the
            // process, or of `text`, of which nothing that an entry points to is written before it is cleared.
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

    /// Gives `name` an empty value, and a fixed place for values of up to `most` bytes: for what changes with every child.
    /// Errors as [`Environment::set_with`].
    pub fn reserve(&mut self, name: &[u8], most: usize) -> Result<Place> {
        self.unset(name);
        let at = self.used + name.len() + 1;
        self.append(name, |room| {
            // Zeros, that is, and as long as the NULs behind the value.
            room.get(..=most).ok_or(Errno::TOOBIG)?;
            Ok(Some(0))
        })?;
        self.used += most;
        Ok(Place { at, most })
    }

    /// Writes `value` to a fixed place; what does not fit is cut off, and so is what follows a NUL.
    pub fn put(&mut self, place: Place, value: &[u8]) {
        let length = value.iter().position(|byte| *byte == 0).unwrap_or(value.len()).min(place.most);
        if let Some(room) = self.text.get_mut(place.at..=place.at + length) {
            room[..length].copy_from_slice(&value[..length]);
            room[length] = 0;
        }
    }

    /// Gives `name` the pid of the program that gets the environment, as that itself sees it: the child of
    /// [`Spawn::given`](super::process::Spawn::given) writes it. E2BIG: there is no room, or there are [`OWN_PIDS`] already.
    pub fn set_own_pid(&mut self, name: &[u8]) -> Result<()> {
        let at = self.used + name.len() + 1;
        self.set(name, &[b'0'; PID_BYTES - 1])?;
        self.own_pid.push(at).map_err(|_| Errno::TOOBIG)
    }

    /// What exec gets. It is not ours any more: the next command may change it.
    pub fn env(&'static mut self) -> Env {
        Env(self.entries.as_mut_ptr())
    }

    /// Its variables, `NAME=VALUE`.
    pub fn iter(&self) -> impl Iterator<Item = &CStr> {
        // SAFETY: as in `retain`; the entries live as long as this borrow.
        self.entries.iter().take(self.count).map(|entry| unsafe { CStr::from_ptr(*entry) })
    }

    /// As [`Environment::env`], for a child that is made while it is not changed.
    pub(super) fn as_ptr(&self) -> *const *const u8 {
        self.entries.as_ptr().cast()
    }

    /// Where the child writes its pid: [`PID_BYTES`] each.
    pub(super) fn own_pid_places(&mut self) -> [*mut u8; OWN_PIDS] {
        let mut places = [ptr::null_mut(); OWN_PIDS];
        for (place, at) in places.iter_mut().zip(&self.own_pid) {
            *place = self.text[*at..*at + PID_BYTES].as_mut_ptr();
        }
        places
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of its own for each test.
    fn environment() -> &'static mut Environment {
        Box::leak(Box::new(Environment::new()))
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
    fn it_can_be_begun_anew_and_nothing_of_what_it_was_is_left() {
        let env = environment();
        env.set(b"OLD", &vec![b'x'; 20_000]).unwrap();
        env.set_own_pid(b"PID").unwrap();
        env.begin(Env::EMPTY).unwrap();
        assert_eq!(all(env), [""; 0]);
        assert_eq!((env.used, env.own_pid.len()), (0, 0));
        assert!(env.text.iter().all(|byte| *byte == 0));
        env.set(b"NEW", b"1").unwrap();
        assert_eq!(all(env), ["NEW=1"]);
    }

    #[test]
    fn variables_of_a_kind_are_taken_out_by_their_names() {
        let env = environment();
        for entry in [c"S6_FD#=1", c"S6_FD_0=3", c"S6=S6_FD", c"no variable", c"B=S6_FD_0"] {
            env.push(entry.as_ptr()).unwrap();
        }
        env.retain(|name| !name.starts_with(b"S6_FD"));
        assert_eq!(all(env), ["S6=S6_FD", "no variable", "B=S6_FD_0"]);
    }

    #[test]
    fn there_is_room_for_two_pids() {
        let env = environment();
        env.set_own_pid(b"LISTEN_PID").unwrap();
        env.set(b"B", b"x").unwrap();
        env.set_own_pid(b"WATCHDOG_PID").unwrap();
        assert_eq!(env.set_own_pid(b"THIRD"), Err(Errno::TOOBIG));
        for place in env.own_pid_places() {
            // SAFETY: eleven bytes that are ours.
            unsafe { ptr::copy_nonoverlapping(c"12".as_ptr().cast(), place, 3) };
        }
        assert_eq!(all(env)[..3], ["LISTEN_PID=12", "B=x", "WATCHDOG_PID=12"]);
    }

    #[test]
    fn a_fixed_place_takes_one_value_after_the_other() {
        let env = environment();
        env.push(c"A=old".as_ptr()).unwrap();
        let (a, b) = (env.reserve(b"A", 3).unwrap(), env.reserve(b"B", 2).unwrap());
        env.set(b"C", b"end").unwrap();
        assert_eq!(all(env), ["A=", "B=", "C=end"]);
        for (value, read) in [("xyz", "A=xyz"), ("", "A="), ("x\0z", "A=x"), ("1234", "A=123")] {
            env.put(a, value.as_bytes());
            env.put(b, b"22");
            assert_eq!(all(env), [read, "B=22", "C=end"]);
        }
        assert_eq!(env.reserve(b"BIG", ENV_BYTES), Err(Errno::TOOBIG));
    }

    #[test]
    fn a_value_with_a_nul_is_refused() {
        assert_eq!(environment().set(b"A", b"x\0y"), Err(Errno::INVAL));
    }

    #[test]
    fn a_process_has_two_and_the_second_is_made_of_the_first() {
        let first = Environment::of(Env::EMPTY).unwrap();
        first.set(b"A", b"1").unwrap();
        assert!(Environment::is_left());
        let one = first.env();
        let second = Environment::of(one).unwrap();
        second.set(b"B", b"2").unwrap();
        second.unset(b"A");
        assert_eq!(all(second), ["B=2"]);
        let kept: Vec<_> = one.iter().map(|entry| entry.to_str().unwrap()).collect();
        assert_eq!(kept, ["A=1"], "where the next command is looked up nothing has changed");
        assert!(!Environment::is_left());
        assert_eq!(Environment::of(one).err(), Some(Errno::TOOBIG));
    }
}
