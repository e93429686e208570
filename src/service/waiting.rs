//! What a service waits for, for people who ask (`linchpin status`): the file `supervise/waiting`, one line, replaced
//! whole, and removed when the service waits no longer. s6 does not know it. It is not written for what is over within
//! a second, so a service that comes back at once costs nothing.
//!
//! | line | means |
//! | --- | --- |
//! | `dependency NAME` | not started until NAME is up, and ready if it can say so |
//! | `missing NAME` | not started because there is no service NAME, which it depends on |
//! | `circle NAME` | not started because NAME, which it depends on, waits for it in turn |
//! | `start TIME` | to be started then |
//! | `kill TIME` | told to go down; to be killed then |
//! | `after NAME` | everything stops, but NAME, which depends on it, has not ended yet |
//!
//! Times are nanoseconds on the boot-time clock. Names are made fit for one line.
//!
//! A scan directory that is being stopped has `.s6-svscan/stopping`, with the line `PLAN TIME`: what follows, and when
//! those that are left are killed (0: never).

use crate::sys::time::{Nanos, SECOND};
use crate::sys::{Errno, Fd, Result, entry, file};
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::Write;

const FILE: &CStr = c"supervise/waiting";
const SCRATCH: &CStr = c"supervise/waiting.new";
const STOPPING: &CStr = c".s6-svscan/stopping";
const STOPPING_SCRATCH: &CStr = c".s6-svscan/stopping.new";

/// Bytes of a line: a name of 255 bytes, each written as four.
pub const LINE: usize = 1040;

/// Waiting for less than this is not worth a file.
pub const WORTH_TELLING: Nanos = SECOND;

/// What a service waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fact<'a> {
    /// This dependency is not ready.
    Dependency(&'a [u8]),
    /// There is no such dependency.
    Missing(&'a [u8]),
    /// This dependency waits for it.
    Circle(&'a [u8]),
    /// It is started then.
    Start(Nanos),
    /// It is killed then.
    Kill(Nanos),
    /// This one depends on it, and ends first.
    After(&'a [u8]),
}

impl Fact<'_> {
    /// The line, with its newline. Names in it are made printable.
    pub fn line(&self) -> heapless::String<LINE> {
        let mut line = heapless::String::new();
        // A name is at most 255 bytes long: it fits.
        let _ = match self {
            Fact::Dependency(name) => writeln!(line, "dependency {}", Printable(name)),
            Fact::Missing(name) => writeln!(line, "missing {}", Printable(name)),
            Fact::Circle(name) => writeln!(line, "circle {}", Printable(name)),
            Fact::Start(at) => writeln!(line, "start {at}"),
            Fact::Kill(at) => writeln!(line, "kill {at}"),
            Fact::After(name) => writeln!(line, "after {}", Printable(name)),
        };
        line
    }

    /// Reads a line, of which names are printable already. `None`: it is none.
    pub fn parse(text: &[u8]) -> Option<Fact<'_>> {
        let line = text.strip_suffix(b"\n")?;
        let blank = line.iter().position(|byte| *byte == b' ')?;
        let (word, rest) = (line.get(..blank)?, line.get(blank + 1..)?);
        if rest.is_empty() || !rest.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            return None;
        }
        match word {
            b"dependency" => Some(Fact::Dependency(rest)),
            b"missing" => Some(Fact::Missing(rest)),
            b"circle" => Some(Fact::Circle(rest)),
            b"start" => number(rest).map(Fact::Start),
            b"kill" => number(rest).map(Fact::Kill),
            b"after" => Some(Fact::After(rest)),
            _ => None,
        }
    }
}

fn number(digits: &[u8]) -> Option<Nanos> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// Says what the service with this directory waits for.
pub fn write(dir: Fd, fact: &Fact<'_>) -> Result<()> {
    file::replace(dir, FILE, SCRATCH, fact.line().as_bytes())
}

/// Says that it waits for nothing (worth telling).
pub fn remove(dir: Fd) {
    let _ = entry::remove(dir, FILE);
}

/// What the service with this directory waits for; `None`: nothing.
pub fn read(dir: Fd, buf: &mut [u8; LINE]) -> Result<Option<Fact<'_>>> {
    match file::read(dir, FILE, buf) {
        Ok(text) => Ok(Fact::parse(text)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Says that everything in the scan directory is being stopped.
pub fn write_stopping(scandir: Fd, plan: &str, deadline: Nanos) -> Result<()> {
    let mut line = heapless::String::<64>::new();
    let _ = writeln!(line, "{plan} {deadline}");
    file::replace(scandir, STOPPING, STOPPING_SCRATCH, line.as_bytes())
}

/// Says that it is not.
pub fn remove_stopping(scandir: Fd) {
    let _ = entry::remove(scandir, STOPPING);
}

/// What is being done with the whole scan directory, and when who is left is killed (0: never); `None`: nothing.
pub fn read_stopping(scandir: Fd, buf: &mut [u8; 64]) -> Option<(&str, Nanos)> {
    let text = core::str::from_utf8(file::read(scandir, STOPPING, buf).ok()?).ok()?;
    let (plan, at) = text.strip_suffix('\n')?.split_once(' ')?;
    let fits = !plan.is_empty() && plan.bytes().all(|byte| byte.is_ascii_lowercase());
    fits.then_some((plan, number(at.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::scratch::Scratch;
    use proptest::prelude::*;

    fn reads(dir: Fd) -> Option<String> {
        let mut buf = [0; LINE];
        read(dir, &mut buf).unwrap().map(|fact| format!("{fact:?}"))
    }

    #[test]
    fn what_is_written_is_read_until_it_is_removed() {
        let scratch = Scratch::new();
        assert_eq!(reads(scratch.fd), None);
        scratch.mkdir("supervise");
        for fact in [
            Fact::Dependency(b"a b"),
            Fact::Missing(b"x"),
            Fact::Circle(b"x"),
            Fact::After(b"x"),
            Fact::Start(5),
            Fact::Kill(u64::MAX),
        ] {
            write(scratch.fd, &fact).unwrap();
            assert_eq!(reads(scratch.fd), Some(format!("{fact:?}")));
        }
        assert_eq!(scratch.names("supervise"), ["waiting"]);
        remove(scratch.fd);
        assert_eq!(reads(scratch.fd), None);
    }

    #[test]
    fn the_longest_and_strangest_name_fits_one_line() {
        let line = Fact::Dependency(&[b'\n'; 255]).line();
        assert!(line.ends_with("\\n\n") && line.lines().count() == 1);
        let worst = Fact::Dependency(&[0xff; 255]).line();
        assert!(worst.ends_with("\\xff\n") && worst.len() == 11 + 4 * 255 + 1);
    }

    #[test]
    fn what_is_no_line_is_nothing() {
        for bad in [
            "",
            "\n",
            "dependency\n",
            "dependency \n",
            "dependency a",
            "start x\n",
            "start -1\n",
            "a b\n",
            "after \x1b\n",
        ] {
            assert_eq!(Fact::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_stop_is_told_with_its_deadline() {
        let scratch = Scratch::new();
        scratch.mkdir(".s6-svscan");
        let mut buf = [0; 64];
        assert_eq!(read_stopping(scratch.fd, &mut buf), None);
        write_stopping(scratch.fd, "poweroff", 17).unwrap();
        assert_eq!(read_stopping(scratch.fd, &mut buf), Some(("poweroff", 17)));
        for bad in ["", "stop", "stop 1", "stop x\n", " 1\n"] {
            scratch.write(".s6-svscan/stopping", bad);
            assert_eq!(read_stopping(scratch.fd, &mut buf), None, "{bad:?}");
        }
        remove_stopping(scratch.fd);
        assert_eq!(read_stopping(scratch.fd, &mut buf), None);
    }

    proptest! {
        #[test]
        fn no_content_is_too_strange(text in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(fact) = Fact::parse(&text) {
                let round = fact.line();
                prop_assert!(round.lines().count() == 1);
            }
        }
    }
}
