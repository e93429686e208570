//! The directory itself: where it is, what its files are called, and what went wrong with one of them.

use crate::sys::{Errno, Fd};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::{self, Display};

/// A logdir's directory.
pub struct Place {
    /// Open, to look up names in.
    pub dir: Fd,
    /// As it was called on the command line.
    pub path: &'static CStr,
    /// Permissions of a log that is written: 0666 less the umask.
    pub mode: u32,
}

/// What a log's owner may do with it besides, once it is complete.
const COMPLETE: u32 = 0o100;

impl Place {
    /// Permissions of a log that is complete.
    pub fn complete(&self) -> u32 {
        self.mode | COMPLETE
    }

    /// `unable to …`, of a file in here.
    pub fn unable<'a>(&'a self, failed: &'a Failed) -> impl Display {
        Unable(self, failed)
    }
}

/// Whether these are the permissions of a log that is complete.
pub fn is_complete(mode: u32) -> bool {
    mode & COMPLETE != 0
}

impl Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(self.path.to_bytes()).fmt(f)
    }
}

/// What could not be done, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed {
    /// In words. Those that begin with a slash are files of the directory.
    what: &'static [&'static str],
    /// Why.
    pub why: Errno,
}

/// Says what failed, if it did.
pub trait Doing<T> {
    /// In words: those that begin with a slash are files of the directory; a slash alone is the directory.
    fn doing(self, what: &'static [&'static str]) -> Result<T, Failed>;
}

impl<T> Doing<T> for Result<T, Errno> {
    fn doing(self, what: &'static [&'static str]) -> Result<T, Failed> {
        self.map_err(|why| Failed { what, why })
    }
}

struct Unable<'a>(&'a Place, &'a Failed);

impl Display for Unable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unable(place, failed) = self;
        f.write_str("unable to")?;
        for word in failed.what {
            match *word {
                "/" => write!(f, " {place}")?,
                file if file.starts_with('/') => write!(f, " {place}{file}")?,
                word => write!(f, " {word}")?,
            }
        }
        write!(f, ": {}", Reason(failed.why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_said_with_the_files_as_the_command_line_has_them() {
        let place = Place { dir: Fd::NONE, path: c"./d", mode: 0o640 };
        let failed = Err::<(), _>(Errno::NOENT).doing(&["rename", "/current", "to", "/previous"]).unwrap_err();
        let said = "unable to rename ./d/current to ./d/previous: No such file or directory";
        assert_eq!(place.unable(&failed).to_string(), said);
        let failed = Err::<(), _>(Errno::NOSPC).doing(&["finish current .u for logdir", "/"]).unwrap_err();
        assert_eq!(
            place.unable(&failed).to_string(),
            "unable to finish current .u for logdir ./d: No space left on device"
        );
        assert_eq!((place.complete(), is_complete(0o740), is_complete(0o654)), (0o740, true, false));
    }
}
