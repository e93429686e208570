//! An s6-ioconnect at work, with this test at all of its ends.

use crate::beside::{Beside, Whose};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The same descriptor under a number that nothing else here uses.
fn high(fd: RawFd) -> OwnedFd {
    // SAFETY: a system call that makes a new descriptor, which nobody else owns.
    unsafe {
        let fd = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100);
        assert!(fd >= 100, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    }
}

/// `s6-ioconnect` with these descriptors at these numbers; what is below 10 and not among them is closed.
pub fn command(both: &Beside, whose: Whose, ends: &[(&dyn AsRawFd, RawFd)]) -> Command {
    let mut command = both.command(whose, "ioconnect");
    let ends: Vec<(OwnedFd, RawFd)> = ends.iter().map(|(fd, to)| (high(fd.as_raw_fd()), *to)).collect();
    // SAFETY: the child makes system calls only.
    unsafe {
        command.pre_exec(move || {
            for number in (0..10).filter(|number| *number != 2) {
                let end = ends.iter().find(|(_, to)| *to == number);
                match end {
                    Some((fd, to)) if libc::dup2(fd.as_raw_fd(), *to) < 0 => {
                        return Err(std::io::Error::last_os_error());
                    }
                    Some(_) => {}
                    None => {
                        // Not what tells the parent that it could not be executed.
                        if number < 3 {
                            libc::close(number);
                        } else {
                            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
                        }
                    }
                }
            }
            Ok(())
        });
    }
    command
}

/// Starts it, with `connection` as 6 and 7.
pub fn start(
    both: &Beside,
    whose: Whose,
    input: &dyn AsRawFd,
    output: &dyn AsRawFd,
    connection: &dyn AsRawFd,
    words: &[&str],
) -> Child {
    let ends: [(&dyn AsRawFd, RawFd); 4] = [(input, 0), (output, 1), (connection, 6), (connection, 7)];
    command(both, whose, &ends).args(words).stderr(Stdio::piped()).spawn().unwrap()
}

/// Its exit code, and what it said.
pub fn end(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

/// A pipe: the end to read from, the end to write to.
pub fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: a system call that makes two new descriptors, which nobody else owns.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

/// Processor time that a process has had so far, in nanoseconds.
fn worked(child: &Child) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id())).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Waits until it sleeps, and sees that it goes on doing so: one that spins has all that the machine has to spare.
pub fn is_at_rest(child: &Child) {
    let asleep = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('S')
    };
    let quiet = || {
        let before = worked(child);
        std::thread::sleep(std::time::Duration::from_millis(200));
        asleep() && worked(child) - before < 200_000
    };
    crate::beside::eventually(quiet);
    assert!(quiet() && quiet(), "it is not at rest");
}
