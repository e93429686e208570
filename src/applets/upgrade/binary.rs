//! `check --binary PATH`: whether this binary could take the place of the running one (`reexec`); it reads, on trial, what
//! that has at this moment, or, where none runs, a hand-over in which there is nothing. Exit 0: it could; 1: it would lose
//! something; 100: it is not fit; 111.

use super::candidate::{self, Said};
use super::reexec;
use crate::applets::cli::{Cli, Opt, Options, Output, WrongUsage};
use crate::applets::machine::sockets::find_socket;
use crate::state::handover;
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::Write;

/// What `check` does when it has options, of which `first` has been read.
pub fn check<I>(cli: &Cli, first: Opt, mut options: Options<I>) -> Result<i32, WrongUsage>
where
    I: ExactSizeIterator<Item = &'static [u8]>,
{
    let (mut binary, mut place, mut next) = (None, None, Some(first));
    while let Some(option) = next {
        match option {
            Opt::Long(b"binary") => binary = Some(options.text()?),
            Opt::Short(b's') => place = Some(options.text()?),
            Opt::Long(b"hand-over") => return Ok(candidate::answer(cli)),
            _ => return Err(WrongUsage),
        }
        next = options.option()?;
    }
    match binary {
        Some(binary) if options.operands(0)?.is_empty() => {
            Ok(check_binary(cli, binary, place).unwrap_or_else(|code| code))
        }
        _ => Err(WrongUsage),
    }
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
    let mut output = Output::new();
    let _ = writeln!(output, "{}: {}", Printable(path.to_bytes()), Printable(&said));
    Ok(match output.finish(cli) {
        0 if whole => 0,
        0 => candidate::LOSES,
        code => code,
    })
}
