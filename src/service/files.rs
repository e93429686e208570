//! What a user puts into a service directory to configure the supervision, and the two directories that the supervisor
//! makes there. Everything is read anew each time it is needed: changes take effect without a restart.
//!
//! Files with a number or a signal are read as s6 does: the first line of the first 11 (signals: 15) bytes, no blanks.
//! A missing file means the default.

use super::event::{self, Access};
use crate::limits::{CONTROL_FIFO, DEATH_TALLY};
use crate::sys::{Errno, Fd, entry, file, signal};
use crate::text::number::parse_u32;
use core::ffi::CStr;

/// Why a file was not taken at its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It is there, but cannot be read.
    Unreadable(Errno),
    /// It holds something else than it should.
    Invalid,
}

/// What a file says; with a problem to report, the default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading<T> {
    /// The value to use.
    pub value: T,
    /// What is wrong with the file.
    pub problem: Option<Problem>,
}

impl<T> Reading<T> {
    const fn plain(value: T) -> Reading<T> {
        Reading { value, problem: None }
    }
}

/// `notification-fd`: the descriptor on which the service says that it is ready; none: it does not say.
pub fn notification_fd(dir: Fd) -> Reading<Option<u32>> {
    optional(dir, c"notification-fd")
}

/// `lock-fd`: the descriptor on which the service holds the lock on `supervise/service-lock`; none: no lock.
pub fn lock_fd(dir: Fd) -> Reading<Option<u32>> {
    optional(dir, c"lock-fd")
}

/// `timeout-kill`: milliseconds between an order to go down and SIGKILL; 0, the default: no SIGKILL.
pub fn timeout_kill(dir: Fd) -> Reading<u32> {
    number(dir, c"timeout-kill", 0)
}

/// `timeout-finish`: milliseconds that `finish` may take; 0: any time. Default 5000.
pub fn timeout_finish(dir: Fd) -> Reading<u32> {
    number(dir, c"timeout-finish", 5000)
}

/// `max-death-tally`: deaths to keep on record, at most 4096; 0: none. Default 100.
pub fn max_death_tally(dir: Fd) -> Reading<u32> {
    let mut reading = number(dir, c"max-death-tally", 100);
    reading.value = reading.value.min(DEATH_TALLY as u32);
    reading
}

/// `.s6-svscan/stop-timeout` of a scan directory: milliseconds between the first order to stop everything and SIGKILL for
/// who is left; 0, the default: no SIGKILL. s6 does not know it.
pub fn stop_timeout(scandir: Fd) -> Reading<u32> {
    number(scandir, c".s6-svscan/stop-timeout", 0)
}

/// `down-signal`: what stops the service. Default SIGTERM.
pub fn down_signal(dir: Fd) -> Reading<i32> {
    signal_in(dir, c"down-signal", signal::number::TERM)
}

/// `reload-signal`: what makes it read its configuration again. Default SIGHUP.
pub fn reload_signal(dir: Fd) -> Reading<i32> {
    signal_in(dir, c"reload-signal", signal::number::HUP)
}

/// `down`: whether the service is down until somebody wants it up. Read when the supervisor starts.
pub fn down(dir: Fd) -> Reading<bool> {
    flag(dir, c"down")
}

/// `flag-newpidns`: whether `run` gets a pid namespace of its own.
pub fn flag_newpidns(dir: Fd) -> Reading<bool> {
    flag(dir, c"flag-newpidns")
}

/// `flag-timeout-killpg`: whether the SIGKILL after `timeout-kill` goes to the whole process group.
pub fn flag_timeout_killpg(dir: Fd) -> Reading<bool> {
    flag(dir, c"flag-timeout-killpg")
}

/// Creates `down` (empty, mode 0666 less the umask) or removes it; it may be as wanted already.
pub fn set_down(dir: Fd, down: bool) -> crate::sys::Result<()> {
    if down {
        return file::truncate(dir, c"down");
    }
    match entry::remove(dir, c"down") {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

fn flag(dir: Fd, name: &CStr) -> Reading<bool> {
    match file::exists(dir, name) {
        Ok(there) => Reading::plain(there),
        Err(e) => Reading { value: false, problem: Some(Problem::Unreadable(e)) },
    }
}

fn optional(dir: Fd, name: &CStr) -> Reading<Option<u32>> {
    let mut buf = [0; 11];
    reading(first_line(dir, name, &mut buf), parse_u32).map(None, Some)
}

fn number(dir: Fd, name: &CStr, default: u32) -> Reading<u32> {
    let mut buf = [0; 11];
    reading(first_line(dir, name, &mut buf), parse_u32).map(default, |n| n)
}

fn signal_in(dir: Fd, name: &CStr, default: i32) -> Reading<i32> {
    let mut buf = [0; 15];
    reading(first_line(dir, name, &mut buf), |word| signal::parse(word).map(|n| n as u32)).map(default, |n| n as i32)
}

impl Reading<Option<u32>> {
    fn map<T>(self, default: T, f: fn(u32) -> T) -> Reading<T> {
        Reading { value: self.value.map_or(default, f), problem: self.problem }
    }
}

/// The first line of what fits the buffer; a NUL ends it too. `None`: there is no such file.
fn first_line<'a>(dir: Fd, name: &CStr, buf: &'a mut [u8]) -> Result<Option<&'a [u8]>, Errno> {
    match file::read(dir, name, buf) {
        Ok(bytes) => Ok(bytes.split(|b| *b == b'\n' || *b == 0).next()),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

fn reading(line: Result<Option<&[u8]>, Errno>, parse: fn(&[u8]) -> Option<u32>) -> Reading<Option<u32>> {
    match line {
        Ok(None) => Reading::plain(None),
        Err(e) => Reading { value: None, problem: Some(Problem::Unreadable(e)) },
        Ok(Some(word)) => match parse(word) {
            Some(n) => Reading::plain(Some(n)),
            None => Reading { value: None, problem: Some(Problem::Invalid) },
        },
    }
}

/// What a supervisor holds of a service directory.
#[derive(Debug)]
pub struct Prepared {
    /// `supervise/lock`, write-locked: open means supervised.
    pub lock: Fd,
    /// `supervise/control`, non-blocking; it never ends.
    pub control: Fd,
}

/// Prepares the service directory `dir` for a supervisor: makes `event/` (mode 3730, our group) and `supervise/` (0700)
/// where they are missing, takes `supervise/lock` (0644), opens `supervise/control` (0600). Where one of the two is a
/// dangling symbolic link, what it points to is made.
///
/// On failure says what could not be done ("unable to …"). ENOTDIR: something else has the name of a directory. EAGAIN:
/// the service is supervised by somebody else. EEXIST: `control` is no FIFO.
pub fn prepare(dir: Fd) -> Result<Prepared, (&'static str, Errno)> {
    event::make(dir, c"event", Access::own_group()).map_err(|e| ("make event", e))?;
    let made = entry::make_dir(dir, c"supervise").map_err(|e| ("make supervise", e))?;
    if made {
        entry::set_mode(dir, c"supervise", 0o700).map_err(|e| ("set the mode of supervise", e))?;
    }
    let mut lock = file::lock(dir, c"supervise/lock", 0o644).map_err(|e| ("lock supervise/lock", e))?;
    match open_control(dir) {
        Ok(control) => Ok(Prepared { lock, control }),
        Err(e) => {
            lock.close();
            Err(("open supervise/control", e))
        }
    }
}

/// Opens `supervise/control`, made if it is missing. EEXIST: it is no FIFO.
pub fn open_control(dir: Fd) -> crate::sys::Result<Fd> {
    let control = file::control_fifo(dir, c"supervise/control", 0o600)?;
    file::limit_fifo(control, CONTROL_FIFO);
    Ok(control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use std::os::unix::fs::symlink;

    fn told<T>(value: T) -> Reading<T> {
        Reading { value, problem: None }
    }

    fn invalid<T>(value: T) -> Reading<T> {
        Reading { value, problem: Some(Problem::Invalid) }
    }

    #[test]
    fn what_is_missing_has_its_default() {
        let scratch = Scratch::new();
        assert_eq!(notification_fd(scratch.fd), told(None));
        assert_eq!(lock_fd(scratch.fd), told(None));
        assert_eq!(timeout_kill(scratch.fd), told(0));
        assert_eq!(timeout_finish(scratch.fd), told(5000));
        assert_eq!(max_death_tally(scratch.fd), told(100));
        assert_eq!(down_signal(scratch.fd), told(15));
        assert_eq!(reload_signal(scratch.fd), told(1));
        assert_eq!(down(scratch.fd), told(false));
        assert_eq!(flag_newpidns(scratch.fd), told(false));
        assert_eq!(flag_timeout_killpg(scratch.fd), told(false));
    }

    #[test]
    fn each_value_comes_from_its_own_file() {
        let scratch = Scratch::new();
        scratch.write("notification-fd", "3\n");
        scratch.write("lock-fd", "4\n");
        scratch.write("timeout-kill", "300");
        scratch.write("timeout-finish", "0\n");
        scratch.write("max-death-tally", "7\n");
        scratch.write("down-signal", "SIGINT\n");
        scratch.write("reload-signal", "usr1\n");
        for name in ["down", "flag-newpidns", "flag-timeout-killpg"] {
            scratch.write(name, "");
        }
        assert_eq!(notification_fd(scratch.fd), told(Some(3)));
        assert_eq!(lock_fd(scratch.fd), told(Some(4)));
        assert_eq!(timeout_kill(scratch.fd), told(300));
        assert_eq!(timeout_finish(scratch.fd), told(0));
        assert_eq!(max_death_tally(scratch.fd), told(7));
        assert_eq!(down_signal(scratch.fd), told(2));
        assert_eq!(reload_signal(scratch.fd), told(10));
        assert_eq!(down(scratch.fd), told(true));
        assert_eq!(flag_newpidns(scratch.fd), told(true));
        assert_eq!(flag_timeout_killpg(scratch.fd), told(true));
    }

    #[test]
    fn only_the_first_line_counts_and_only_its_first_eleven_bytes() {
        let scratch = Scratch::new();
        for (text, expected) in
            [("12\nabc", told(12)), ("00000000003", told(3)), ("000000000000300", told(0)), ("7\0x", told(7))]
        {
            scratch.write("timeout-kill", text);
            assert_eq!(timeout_kill(scratch.fd), expected, "{text:?}");
        }
        scratch.write("down-signal", "SIGUSR1\nSIGKILL");
        assert_eq!(down_signal(scratch.fd), told(10));
    }

    #[test]
    fn what_is_no_number_is_reported_and_has_its_default() {
        let scratch = Scratch::new();
        for text in ["", "\n", " 5", "5 ", "-5", "5ms", "4294967296"] {
            scratch.write("timeout-finish", text);
            assert_eq!(timeout_finish(scratch.fd), invalid(5000), "{text:?}");
            scratch.write("notification-fd", text);
            assert_eq!(notification_fd(scratch.fd), invalid(None), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_signal_is_reported_and_has_its_default() {
        let scratch = Scratch::new();
        for text in ["SIGNONE", "0", "65", "SIGTERM SIGKILL", "SIGUSR1aaaaaaaaaaaaaaaa"] {
            scratch.write("down-signal", text);
            assert_eq!(down_signal(scratch.fd), invalid(15), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_reported_with_its_reason() {
        let scratch = Scratch::new();
        scratch.mkdir("timeout-kill");
        let unreadable = Reading { value: 0, problem: Some(Problem::Unreadable(Errno::ISDIR)) };
        assert_eq!(timeout_kill(scratch.fd), unreadable);
    }

    #[test]
    fn a_tally_longer_than_4096_is_not_to_be_had() {
        let scratch = Scratch::new();
        scratch.write("max-death-tally", "5000");
        assert_eq!(max_death_tally(scratch.fd), told(4096));
    }

    #[test]
    fn down_can_be_made_and_removed_twice() {
        let scratch = Scratch::new();
        for want in [true, true, false, false] {
            set_down(scratch.fd, want).unwrap();
            assert_eq!(down(scratch.fd), told(want));
        }
    }

    #[test]
    fn preparing_makes_what_a_supervisor_needs_and_only_one_may() {
        let scratch = Scratch::new();
        let mut first = prepare(scratch.fd).unwrap();
        assert_eq!(scratch.mode("event"), 0o3730);
        assert_eq!(scratch.mode("supervise"), 0o700);
        assert_eq!(scratch.mode("supervise/lock"), 0o644);
        assert_eq!(scratch.mode("supervise/control"), 0o600);
        assert_eq!(prepare(scratch.fd).unwrap_err(), ("lock supervise/lock", Errno::AGAIN));
        first.lock.close();
        first.control.close();
        let mut second = prepare(scratch.fd).unwrap();
        second.lock.close();
        second.control.close();
    }

    #[test]
    fn preparing_follows_dangling_links() {
        let scratch = Scratch::new();
        scratch.mkdir("run");
        symlink("run/event", scratch.path.join("event")).unwrap();
        symlink(scratch.path.join("run/supervise"), scratch.path.join("supervise")).unwrap();
        let mut prepared = prepare(scratch.fd).unwrap();
        assert_eq!(scratch.mode("run/event"), 0o3730);
        assert_eq!(scratch.mode("run/supervise"), 0o700);
        prepared.lock.close();
        prepared.control.close();
    }

    #[test]
    fn preparing_reports_what_is_in_the_way() {
        let scratch = Scratch::new();
        scratch.write("event", "");
        assert_eq!(prepare(scratch.fd).unwrap_err(), ("make event", Errno::NOTDIR));
        std::fs::remove_file(scratch.path.join("event")).unwrap();
        scratch.mkdir("supervise");
        scratch.write("supervise/control", "");
        assert_eq!(prepare(scratch.fd).unwrap_err(), ("open supervise/control", Errno::EXIST));
    }
}
