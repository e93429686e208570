//! `svdt` and `svdt-clear`: print and empty the death tally of a service, s6-svdt(8), s6-svdt-clear(8).

use crate::applets::cli::{Cli, Opt, Output, WrongUsage};
use crate::limits::DEATH_TALLY;
use crate::service::tally::{self, Record};
use crate::sys::{Fd, Result, file, signal};
use crate::text::number::Decimal;
use crate::text::quote::Printable;

/// `svdt [-S | -s] [-n max] servicedir`: one line for each of the last `max` (4096) deaths, oldest first; `-s`: signals by
/// number. A tally that is missing or malformed is started anew. Exit code: 0, 111.
pub fn svdt(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let (mut count, mut numeric) = (DEATH_TALLY as u32, false);
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'S') => numeric = false,
                Opt::Short(b's') => numeric = true,
                Opt::Short(b'n') => count = options.number()?,
                _ => return Err(WrongUsage),
            }
        }
        let path = options.operands(1)?.get(0).unwrap_or_default();
        if count == 0 {
            return Ok(0);
        }
        let mut output = Output::new();
        let done = file::with_dir(path, |dir| list(dir, count, numeric, &mut output)).and_then(|done| done);
        Ok(match done {
            Ok(()) => output.finish(cli),
            Err(e) => cli.unable(format_args!("read the death tally of {}", Printable(path.to_bytes())), e),
        })
    })
}

fn list(dir: Fd, count: u32, numeric: bool, output: &mut Output) -> Result<()> {
    if !tally::is_sound(dir)? {
        return tally::reset(dir);
    }
    tally::visit(dir, count, &mut |record| put(output, record, numeric))
}

fn put(output: &mut Output, record: &Record, numeric: bool) {
    output.put(&record.stamp.to_text());
    match record.signal {
        0 => {
            output.put(b" exitcode ");
            output.put(Decimal::new(record.code.into()).as_bytes());
        }
        signal if numeric => {
            output.put(b" signal ");
            output.put(Decimal::new(signal.into()).as_bytes());
        }
        signal => {
            output.put(b" signal SIG");
            output.put(signal::name(signal.into()).as_bytes());
        }
    }
    output.put(b"\n");
}

/// `svdt-clear servicedir`. Exit code: 0, 111.
pub fn svdt_clear(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let path = options.operands(1)?.get(0).unwrap_or_default();
        Ok(match file::with_dir(path, tally::reset).and_then(|done| done) {
            Ok(()) => 0,
            Err(e) => cli.unable(format_args!("clear the death tally of {}", Printable(path.to_bytes())), e),
        })
    })
}
