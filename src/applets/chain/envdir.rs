//! `s6-envdir [-I | -i] [-n] [-f] [-L] [-c nullis] dir prog...`: runs prog with variables that are the files of a
//! directory.
//!
//! Names with a `.` in front or a `=` in them are passed over. An empty file takes its variable out. Otherwise the value
//! is the first line without the blanks at its end (`-n` keeps them); with `-f` it is the whole file without its last
//! newline (`-n` keeps it). NULs become newlines, or the first character of nullis. Without `-L` the first 4095 bytes of
//! a file count; with it a file may be as long as [`ENV_BYTES`](crate::limits::ENV_BYTES) allow.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::sys::environment::Environment;
use crate::sys::{Errno, Fd, dir, file};
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::ops::ControlFlow;
use rustix::fs::OFlags;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -I | -i ] [ -n ] [ -f ] [ -L ] [ -c nullis ] dir prog...";

/// Bytes of a file that count without `-L`: s6's number.
const CLAMP: usize = 4095;

struct How {
    verbatim: bool,
    chomp: bool,
    clamp: bool,
    null_is: u8,
}

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut how = How { verbatim: false, chomp: true, clamp: true, null_is: b'\n' };
        let mut missing_is_fine = false;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'I') => missing_is_fine = true,
                Opt::Short(b'i') => missing_is_fine = false,
                Opt::Short(b'n') => how.chomp = false,
                Opt::Short(b'f') => how.verbatim = true,
                Opt::Short(b'L') => how.clamp = false,
                Opt::Short(b'c') => how.null_is = options.value()?.first().copied().unwrap_or(0),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(2)?;
        let path = words.get(0).unwrap_or_default();
        let name = Printable(path.to_bytes());
        if how.null_is == 0 {
            return Ok(cli.unable(format_args!("envdir {name}"), Errno::INVAL));
        }
        let mut dir = match file::open_dir(Fd::CWD, path) {
            Ok(dir) => dir,
            Err(Errno::NOENT) if missing_is_fine => return Ok(cli.exec(words.skip(1))),
            Err(e) => return Ok(cli.unable(format_args!("envdir {name}"), e)),
        };
        let env = match Environment::of(cli.env()) {
            Ok(env) => env,
            Err(e) => return Ok(cli.unable("change the environment", e)),
        };
        let mut code = 0;
        let walked = dir::visit(dir, c".", |file, _| {
            let variable = file.to_bytes();
            if variable.starts_with(b".") || variable.contains(&b'=') {
                return ControlFlow::Continue(());
            }
            match env.set_with(variable, |room| read(dir, file, room, &how)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(e) => {
                    code = cli.unable(format_args!("envdir {name}: {}", Printable(variable)), e);
                    ControlFlow::Break(())
                }
            }
        });
        dir.close();
        Ok(match walked {
            Err(e) => cli.unable(format_args!("envdir {name}"), e),
            Ok(()) if code != 0 => code,
            Ok(()) => cli.exec_env(words.skip(1), env.env()),
        })
    })
}

/// Reads the value of a variable; `None` if the file is empty. One that is longer than the room is E2BIG.
fn read(dir: Fd, path: &CStr, room: &mut [u8], how: &How) -> Result<Option<usize>, Errno> {
    let size = room.len();
    let limit = if how.clamp { size.min(CLAMP) } else { size };
    let mut fd = file::open(dir, path, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
    let done = fill(fd, room.get_mut(..limit).unwrap_or_default(), how.verbatim);
    fd.close();
    let read = done?;
    match read.len() {
        0 => Ok(None),
        n if n == size => Err(Errno::TOOBIG),
        _ => Ok(Some(value(read, how))),
    }
}

/// Reads the file, or as much of it as has its first line.
fn fill(fd: Fd, room: &mut [u8], whole: bool) -> Result<&mut [u8], Errno> {
    let mut len = 0;
    while let Some(rest) = room.get_mut(len..).filter(|rest| !rest.is_empty()) {
        let n = match file::read_some(fd, rest)? {
            0 => break,
            n => n,
        };
        len += n;
        if !whole && rest.iter().take(n).any(|byte| *byte == b'\n') {
            break;
        }
    }
    Ok(room.get_mut(..len).unwrap_or_default())
}

/// Makes the value out of what the file begins with; returns its length.
fn value(read: &mut [u8], how: &How) -> usize {
    let mut len = read.len();
    if how.verbatim {
        if how.chomp && read.last() == Some(&b'\n') {
            len -= 1;
        }
    } else {
        let line = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let blanks = line.iter().rev().take_while(|byte| how.chomp && matches!(byte, b' ' | b'\t' | b'\r')).count();
        len = line.len() - blanks;
    }
    for byte in read.iter_mut().take(len).filter(|byte| **byte == 0) {
        *byte = how.null_is;
    }
    len
}
