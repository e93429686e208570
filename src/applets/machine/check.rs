//! `check file`: reads a board config as PID 1 does. Mistakes go to standard error, `FILE:LINE:COLUMN: sentence`; what
//! was understood to standard output. Exit 0: no mistake; 1: some; 111: the file cannot be read.
//!
//! Every option is about a binary to go on as: see [`upgrade`].

use crate::applets::cli::{Cli, SYSTEM, WrongUsage};
use crate::applets::upgrade;
use crate::board::check::Summary;
use crate::board::{Diagnostic, with_file};
use crate::log::Line;
use crate::sys::{Fd, file};
use crate::text::quote::Printable;
use core::ffi::CStr;
use core::fmt::{self, Write};

/// The command.
pub fn check(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if let Some(option) = options.option()? {
            return upgrade::check(cli, option, options);
        }
        let words = options.operands(1)?;
        match words.get(0) {
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

struct Stdout;

impl Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        file::write_all(Fd::STDOUT, text.as_bytes()).map_err(|_| fmt::Error)
    }
}
