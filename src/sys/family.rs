//! Our children, as /proc knows them: for who has lost his own list.

use super::{Errno, Fd, Result, dir, file, process};
use crate::text::CPath;
use crate::text::number::{Decimal, parse_u32};
use core::ops::ControlFlow;
use rustix::fs::{AtFlags, OFlags};

/// Calls `visit` with the pid of every child, those included that have ended and were not reaped. ENOENT: there is no /proc.
pub fn each_child(mut visit: impl FnMut(i32)) -> Result<()> {
    match file::open(Fd::CWD, c"/proc/thread-self/children", OFlags::RDONLY, 0) {
        Ok(mut fd) => {
            let done = numbers(fd, &mut visit);
            fd.close();
            done
        }
        // A kernel without CONFIG_PROC_CHILDREN: look at everybody.
        Err(Errno::NOENT) => {
            let own = process::pid();
            dir::visit(Fd::CWD, c"/proc", |name, _| {
                if let Some(pid) = number(name.to_bytes()).filter(|pid| process::parent(*pid) == Some(own)) {
                    visit(pid);
                }
                ControlFlow::Continue(())
            })
        }
        Err(e) => Err(e),
    }
}

fn number(word: &[u8]) -> Option<i32> {
    parse_u32(word).and_then(|number| i32::try_from(number).ok())
}

/// The numbers of a file that holds nothing but those and blanks.
fn numbers(fd: Fd, visit: &mut impl FnMut(i32)) -> Result<()> {
    let mut buf = [0; 1024];
    let (mut word, mut len) = ([0; 12], 0);
    loop {
        let n = file::read_some(fd, &mut buf)?;
        let read = buf.get(..n).unwrap_or_default();
        for byte in read.iter().chain((n == 0).then_some(&b' ')) {
            if byte.is_ascii_digit() {
                if let Some(place) = word.get_mut(len) {
                    *place = *byte;
                    len += 1;
                }
            } else {
                if let Some(pid) = number(word.get(..len).unwrap_or_default()) {
                    visit(pid);
                }
                len = 0;
            }
        }
        if n == 0 {
            return Ok(());
        }
    }
}

fn path(pid: i32, entry: &[u8]) -> CPath<64> {
    CPath::of(&[b"/proc/", Decimal::new(pid.unsigned_abs().into()).as_bytes(), b"/", entry])
}

/// st_dev and st_ino of the working directory of a process. ENOENT: it has ended. EACCES: it is not to be looked at.
pub fn working_dir(pid: i32) -> Result<(u64, u64)> {
    let path = path(pid, b"cwd");
    let stat = rustix::fs::statat(Fd::CWD, path.path()?, AtFlags::empty())?;
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

/// The first arguments of a process, as far as they fit, each followed by a NUL.
pub fn arguments(pid: i32, buf: &mut [u8]) -> Result<&[u8]> {
    let path = path(pid, b"cmdline");
    file::read(Fd::CWD, path.path()?, buf)
}

/// st_dev and st_ino of what a process has open under a number. ENOENT: nothing, or it has ended.
pub fn descriptor(pid: i32, number: u32) -> Result<(u64, u64)> {
    let number = Decimal::new(number.into());
    let below = CPath::<24>::of(&[b"fd/", number.as_bytes()]);
    let path = path(pid, below.as_bytes());
    let stat = rustix::fs::statat(Fd::CWD, path.path()?, AtFlags::empty())?;
    Ok((stat.st_dev as u64, stat.st_ino as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_found_with_its_directory_and_its_arguments_even_when_it_has_ended() {
        // Tests have several threads, each with children of its own: one here waits for all of it.
        let mut child = Command::new("sleep").arg("1000").current_dir("/usr").stdout(Stdio::piped()).spawn().unwrap();
        let pid = child.id() as i32;
        let listed = || {
            let mut seen = false;
            each_child(|other| seen |= other == pid).unwrap();
            seen
        };
        assert!(listed());
        let stat = rustix::fs::stat(c"/usr").unwrap();
        assert_eq!(working_dir(pid), Ok((stat.st_dev as u64, stat.st_ino as u64)));
        let mut buf = [0; 64];
        while arguments(pid, &mut buf).unwrap() != b"sleep\x001000\0" {} // between fork and exec it has ours
        let ours = file::identity(Fd(std::os::fd::AsRawFd::as_raw_fd(child.stdout.as_ref().unwrap())));
        assert_eq!(descriptor(pid, 1), ours);
        assert_eq!(descriptor(pid, 77), Err(Errno::NOENT));
        child.kill().unwrap();
        while working_dir(pid).is_ok() {}
        assert!(listed());
        child.wait().unwrap();
        assert!(!listed());
    }
}
