//! `check file`: reads a board config as PID 1 does. Mistakes go to standard error, `FILE:LINE:COLUMN: sentence`; what
//! was understood to standard output. Exit 0: no mistake; 1: some; 111: the file cannot be read.
//!
//! `check --binary PATH`: whether this binary could take the place of the running one (`reexec`); it reads, on trial, what
//! that has at this moment, or, where none runs, a hand-over in which there is nothing. Exit 0: it could; 1: it would lose
//! something; 100: it is not fit; 111.

use super::candidate::{self, Said};
use super::reexec;
use super::sockets::find_socket;
use crate::applets::cli::{Cli, Opt, SYSTEM, WrongUsage};
use crate::board::check::Summary;
use crate::board::{Diagnostic, with_file};
use crate::log::Line;
use crate::state::handover;
use crate::sys::{Fd, file};
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::{self, Write};

/// Usage line.
pub const USAGE: &str = "file | --binary path [-s socket|scandir]";

/// The command.
pub fn check(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        let (mut binary, mut place) = (None, None);
        while let Some(option) = options.option()? {
            match option {
                Opt::Long(b"binary") => binary = Some(options.text()?),
                Opt::Short(b's') => place = Some(options.text()?),
                Opt::Long(b"hand-over") => return Ok(candidate::answer(cli)),
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(usize::from(binary.is_none()))?;
        match words.get(0) {
            None => match binary {
                Some(binary) => Ok(check_binary(cli, binary, place).unwrap_or_else(|code| code)),
                None => Err(WrongUsage),
            },
            Some(_) if binary.is_some() || place.is_some() => Err(WrongUsage),
            Some(path) if words.len() == 1 => Ok(check_file(cli, path)),
            _ => Err(WrongUsage),
        }
    })
}

fn check_file(cli: &Cli, path: &CStr) -> i32 {
    let name = Printable(path.to_bytes());
    let mut report = |mistake: &Diagnostic<'_>| {
        let mut line = Line::<1024>::new();
        let _ = write!(line, "{name}:{mistake}");
        let _ = file::write_all(Fd::STDERR, line.finish("\n").as_bytes());
    };
    let checked = with_file(path, &mut report, |board, mistakes| match mistakes {
        Err(e) => cli.unable(format_args!("read {name}"), e),
        Ok(mistakes) if write!(Stdout, "{}", Summary(board)).is_ok() => i32::from(mistakes > 0),
        Ok(_) => SYSTEM,
    });
    checked.unwrap_or(SYSTEM)
}

/// The error is an exit code; what went wrong has been said.
fn check_binary(cli: &Cli, path: &CStr, place: Option<&'static CStr>) -> Result<i32, i32> {
    let binary = candidate::open(cli, path)?;
    let handover = match find_socket(place) {
        Some(socket) => {
            let mut live = reexec::connect(cli, &socket, None)?;
            live.hand_over().map_err(|e| reexec::refused(cli, "get a hand-over", e))?
        }
        None if place.is_some() => return Err(reexec::nobody(cli)),
        None => handover::make_empty().map_err(|e| cli.unable("make a hand-over", e))?,
    };
    let mut said = Said::new();
    let whole = candidate::try_out(cli, path, binary, handover, candidate::PATIENCE, &mut said)?;
    let line = writeln!(Stdout, "{}: {}", Printable(path.to_bytes()), Printable(&said));
    Ok(match line {
        Ok(()) if whole => 0,
        Ok(()) => candidate::LOSES,
        Err(_) => SYSTEM,
    })
}

struct Stdout;

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        file::write_all(Fd::STDOUT, text.as_bytes()).map_err(|_| fmt::Error)
    }
}
