//! The processor of an archive: a program that reads `previous` (0) and its last `state` (4), writes what is to be the
//! archive, `processed` (1), and its `newstate` (5), in the logdir.

use super::Interpreter;
use super::place::{Doing, Failed, Place};
use crate::applets::cli::in_path;
use crate::fault_errno;
use crate::sys::args::{Argv, Env};
use crate::sys::process::Spawn;
use crate::sys::{Errno, Fd, file};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// How a processor has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// `processed` is good.
    Well,
    /// It is not: said so by its exit code,
    Failed,
    /// or by a signal.
    Crashed,
}

impl Ended {
    /// What a wait status says.
    pub fn of(wstat: u32) -> Ended {
        match (wstat & 0x7f, wstat >> 8 & 0xff) {
            (0, 0) => Ended::Well,
            (0, _) => Ended::Failed,
            _ => Ended::Crashed,
        }
    }
}

/// The files of a processor, in the order of the numbers that they become.
struct Files([Fd; 4]);

impl Files {
    fn open(dir: Fd) -> Result<Files, Failed> {
        let mut files = Files([Fd::NONE; 4]);
        let [previous, processed, state, newstate] = &mut files.0;
        let read = OFlags::RDONLY | OFlags::NONBLOCK;
        let empty = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
        *previous = file::open(dir, c"previous", read, 0).doing(&["open", "/previous"])?;
        *processed = file::open(dir, c"processed", empty, 0o666).doing(&["open", "/processed"])?;
        *state = file::open(dir, c"state", read | OFlags::CREATE, 0o666).doing(&["open", "/state"])?;
        *newstate = file::open(dir, c"newstate", empty, 0o666).doing(&["open", "/newstate"])?;
        // s6 opens them with O_NONBLOCK too, but a program may not expect that: it is none of files.
        files.0.iter().try_for_each(|fd| fd.set_nonblocking(false)).doing(&["open files in", "/"])?;
        Ok(files)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(Fd::close);
    }
}

/// Starts one; answers its pid.
pub fn start(place: &Place, interpreter: Interpreter, command: &CStr, env: Env) -> Result<i32, Failed> {
    let files = Files::open(place.dir)?;
    let started = fault_errno!("log.spawn").and_then(|()| match interpreter {
        Interpreter::Execline => match spawn(place, &files, &[c"execlineb", c"-Pc", command], env) {
            Err(Errno::NOENT) => spawn(place, &files, &[c"/bin/sh", c"-c", command], env),
            done => done,
        },
        Interpreter::Shell => spawn(place, &files, &[c"/bin/sh", c"-c", command], env),
    });
    started.doing(&["spawn processor for logdir", "/"])
}

fn spawn(place: &Place, files: &Files, words: &[&CStr; 3], env: Env) -> Result<i32, Errno> {
    let [previous, processed, state, newstate] = files.0;
    let mut pid = 0;
    let why = in_path(words[0], env, &mut |path| {
        let child = Spawn {
            path,
            argv: &Argv::<4>::new(words),
            env,
            given: None,
            dir: place.dir,
            stdio: [previous, processed, Fd::NONE],
            extra: &[(state, 4), (newstate, 5)],
            session: false,
            new_pidns: false,
            cgroup: Fd::NONE,
            nofile: None,
        };
        // With anything but "not found" the search is over.
        child.start(&mut pid).map_or_else(|error| error.errno(), |()| Errno::ALREADY)
    });
    if pid > 0 { Ok(pid) } else { Err(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_done_well_if_it_exits_with_0() {
        assert_eq!([0, 1 << 8, 255 << 8].map(Ended::of), [Ended::Well, Ended::Failed, Ended::Failed]);
        assert_eq!([9, 15, 11 | 0x80].map(Ended::of), [Ended::Crashed; 3]);
    }
}
