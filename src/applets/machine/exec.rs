//! `exec file [arg...]`: goes on as the program whose command line is written in a file. So a file that begins with
//! `#!/sbin/linchpin exec` and can be executed is a script, in an image that has no shell: see
//! [`words`](crate::text::words) for how it is written.
//!
//! The arguments take the place of a word `"$@"`, as in a shell; without that they are left out, for supervisors give `run`
//! the name of the service, and `finish` what there is to know of its end. The file is one command line, however many lines it has. Exit code: as the program that is executed; 100: wrong usage,
//! or something is wrong with the file; 111: it cannot be read; 126, 127: the program cannot be executed, is not there.

use crate::applets::cli::{Cli, SYSTEM, WrongUsage};
use crate::limits::{COMMAND_FILE, COMMAND_WORDS};
use crate::sys::args::Args;
use crate::sys::cell::TakeCell;
use crate::sys::{Fd, file};
use crate::text::quote::Printable;
use crate::text::words::{Mistake, unquote};
use core::ffi::CStr;
use rustix::fs::OFlags;

/// Usage line.
pub const USAGE: &str = "file [arg...]";

static TEXT: TakeCell<[u8; COMMAND_FILE + 2]> = TakeCell::new([0; COMMAND_FILE + 2]);

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(1)?;
        let path = words.get(0).unwrap_or_default();
        Ok(read(cli, path, words.skip(1)).map_or_else(|code| code, |words| cli.exec(words)))
    })
}

/// The words of the file at `path`, with `given` where it wants those. The error is an exit code; what is wrong has been said.
fn read(cli: &Cli, path: &CStr, given: Args) -> Result<Args, i32> {
    let name = Printable(path.to_bytes());
    let Some(text) = TEXT.take() else { return Err(SYSTEM) };
    // One byte more than there may be tells that there are more; one more is for the NUL of the last word.
    let room = text.get_mut(..=COMMAND_FILE).unwrap_or_default();
    let read = file::open(Fd::CWD, path, OFlags::RDONLY, 0).and_then(|mut fd| {
        let read = file::read_full(fd, room);
        fd.close();
        read
    });
    let len = read.map_err(|e| cli.unable(format_args!("read {name}"), e))?;
    if len > COMMAND_FILE {
        return Err(cli.refuse(format_args!("{name} is longer than {COMMAND_FILE} bytes")));
    }
    let line = unquote(text, len).map_err(|(mistake, at)| match mistake {
        Mistake::Open(quote) => cli.refuse(format_args!("{name}:{at}: a {} is not closed", char::from(quote))),
        Mistake::Shell(byte) => cli.refuse(format_args!(
            "{name}:{at}: a {} means nothing here, there is no shell: put it between ' and '",
            char::from(byte)
        )),
        Mistake::Nul => cli.refuse(format_args!("{name}:{at}: there is a NUL byte: it is no text")),
    })?;
    let text = text.get(..line.end).unwrap_or_default();
    let (before, after) = text.split_at_checked(line.given.unwrap_or(line.end)).unwrap_or_default();
    if before.is_empty() {
        return Err(cli.refuse(format_args!("{name} names no program")));
    }
    let given = if line.given.is_some() { given } else { given.skip(given.len()) };
    let joined = given.between(before, after);
    joined.map_err(|_| cli.refuse(format_args!("{name}: there are more than {COMMAND_WORDS} words")))
}
