//! `s6-setlock [-r | -w] [-n | -N] [-t ms] [-d fd] file prog...`: runs prog with a lock on a file, which is made if it
//! is missing.
//!
//! The lock is for prog alone (`-w`), or shared with other `-r`. It is waited for, unless `-n`, at most as long as `-t`
//! says (0: for ever). Exit code: 1 somebody else has it, 111 the file cannot be opened.
//!
//! The lock is prog's and ends with it, whatever processes prog has made. With `-d` prog gets it as descriptor fd, and
//! it lasts until everybody has closed that one.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::lock::{self, Owner, Patience};
use crate::sys::{Errno, Fd, file};
use crate::text::errno::Reason;
use crate::text::quote::Printable;
use core::ffi::CStr;
use rustix::fs::OFlags;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -n | -N ] [ -t timeout ] [ -d fd ] [ -r | -w ] file prog...";

/// There is no lock to be had.
const BUSY: i32 = 1;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut shared, mut waits, mut millis, mut number) = (false, true, 0, Fd::NONE);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'r') => shared = true,
                Opt::Short(b'w') => shared = false,
                Opt::Short(b'n') => waits = false,
                Opt::Short(b'N') => waits = true,
                Opt::Short(b't') => millis = options.number()?,
                Opt::Short(b'd') => number = options.descriptor()?,
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let path = words.get(0).unwrap_or_default();
        let name = Printable(path.to_bytes());
        let patience = match millis {
            _ if !waits => Patience::None,
            0 => Patience::Endless,
            millis => Patience::Millis(millis),
        };
        let owner = if number.is_some() { Owner::Description } else { Owner::Process };
        let mut fd = match open(path, shared) {
            Ok(fd) => fd,
            Err(e) => return Ok(cli.unable(format_args!("open {name}"), e)),
        };
        let mut taken = lock::take(fd, shared, owner, Patience::None);
        if waits && taken == Err(Errno::AGAIN) {
            cli.settle();
            taken = lock::take(fd, shared, owner, patience);
        }
        if let Err(e) = taken {
            let reason = if e == Errno::AGAIN { Errno::BUSY } else { e };
            cli.refuse(format_args!("unable to lock {name}: {}", Reason(reason)));
            return Ok(BUSY);
        }
        let place = if number.is_some() { number } else { fd };
        if let Err(e) = fd.place(place.0) {
            return Ok(cli.unable(format_args!("move the lock to descriptor {}", place.0), e));
        }
        if place != fd {
            fd.close();
        }
        Ok(cli.exec(words.skip(1)))
    })
}

/// A shared lock needs a descriptor for reading; whoever may only read the file can have one.
fn open(path: &CStr, shared: bool) -> Result<Fd, Errno> {
    let writing = file::open(Fd::CWD, path, OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK, 0o666);
    match writing {
        Err(Errno::ACCESS | Errno::ROFS) if shared => file::open(Fd::CWD, path, OFlags::RDONLY | OFlags::NONBLOCK, 0),
        Err(Errno::ACCESS) => file::open(Fd::CWD, path, OFlags::WRONLY | OFlags::NONBLOCK, 0),
        done => done,
    }
}
