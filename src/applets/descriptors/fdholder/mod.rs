//! The clients of a fd-holder, as s6-fdholder-*(8):
//!
//! * [`single`]: `fdholder-store`, `fdholder-delete`: one descriptor.
//! * [`retrieve`]: `fdholder-retrieve`: one for a program's standard input, or several in the ways daemons know.
//! * [`list`], which is `fdholder-list`.
//! * [`dump`]: `fdholder-getdump`, `fdholder-setdump`, `fdholder-transferdump`: all at once.
//! * [`hand`]: how a program is told which descriptors it gets.
//!
//! Exit codes besides the common ones: 1 the store said no, or what answered is no store; 111 it could not be reached.

pub mod dump;
mod hand;
pub mod list;
pub mod retrieve;
pub mod single;

use crate::applets::cli::{Cli, Opt, Options, WrongUsage};
use crate::fdholder::client::Connection;
use crate::sys::Errno;
use crate::sys::args::Args;
use crate::sys::time::{self, MILLI, Nanos};
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::Display;

/// The store was asked, and said no.
const REFUSED: i32 = 1;

/// The socket and the deadline, and how to connect to it.
struct Target {
    path: &'static CStr,
    deadline: Option<Nanos>,
    /// What messages call it.
    what: &'static str,
}

impl Target {
    /// A store from which an answer must have come `millis` from now (0: at any time).
    fn new(path: &'static CStr, millis: u32, what: &'static str) -> Target {
        let deadline = (millis != 0).then(|| time::boot().saturating_add(u64::from(millis) * MILLI));
        Target { path, deadline, what }
    }

    /// Connects and asks. What is asked for is told in a message if it fails.
    fn ask(&self, cli: &Cli, what: impl Display, ask: impl FnOnce(&mut Connection) -> Result<i32, Errno>) -> i32 {
        self.connect(cli)
            .map_or_else(|code| code, |mut connection| ask(&mut connection).unwrap_or_else(|e| refused(cli, what, e)))
    }

    /// Connects; the error is an exit code.
    fn connect(&self, cli: &Cli) -> Result<Connection, i32> {
        Connection::open(self.path, self.deadline).map_err(|e| {
            let path = Printable(self.path.to_bytes());
            cli.unable(format_args!("connect to a {} at {path}", self.what), e)
        })
    }
}

fn refused(cli: &Cli, what: impl Display, why: Errno) -> i32 {
    cli.unable(what, why);
    REFUSED
}

/// Reads options, of which `-t` is common to all; answers the socket, and the words from there on, at least `words`.
fn target<I: ExactSizeIterator<Item = &'static [u8]>>(
    mut options: Options<I>,
    words: usize,
    mut other: impl FnMut(Opt, &mut Options<I>) -> Result<(), WrongUsage>,
) -> Result<(Target, Args), WrongUsage> {
    let mut timeout = 0;
    while let Some(option) = options.option()? {
        match option {
            Opt::Short(b't') => timeout = options.number()?,
            option => other(option, &mut options)?,
        }
    }
    let words = options.operands(words)?;
    let path = words.get(0).ok_or(WrongUsage)?;
    Ok((Target::new(path, timeout, "fd-holder daemon"), words))
}

/// For commands that have no other option.
fn no_other<T>(_: Opt, _: &mut T) -> Result<(), WrongUsage> {
    Err(WrongUsage)
}
