//! `permafailon`: in a `finish` script, says that a service that dies too often is not to be started again;
//! s6-permafailon(8).

use crate::applets::cli::{Cli, USAGE, WrongUsage};
use crate::service::failure::{self, Deaths};
use crate::service::tally;
use crate::sys::{Errno, Fd, Result};
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;

/// The exit code by which `finish` tells its supervisor so.
const FAILED_FOR_GOOD: i32 = 125;

/// `permafailon seconds count list prog...`, in a service directory: if the last `seconds` saw `count` deaths that are
/// listed, exit code 125, else it becomes prog. A tally that cannot be read fails nobody.
pub fn permafailon(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(3)?;
        let word = |i| words.get(i).unwrap_or_default().to_bytes();
        let seconds = parse_u32(word(0)).ok_or(WrongUsage)?;
        let limit = parse_u32(word(1)).filter(|count| *count > 0).ok_or(WrongUsage)?;
        let deaths = match Deaths::parse(word(2)) {
            Ok(deaths) => deaths,
            Err(bad) => {
                cli.refuse(format_args!("neither exit code nor range nor signal: {}", Printable(bad)));
                return Ok(USAGE);
            }
        };
        match count(&deaths, seconds) {
            Ok(found) if found.count >= limit => {
                let (what, number) = match found.last {
                    Some(record) if record.signal > 0 => ("signal", record.signal),
                    Some(record) => ("exit code", record.code),
                    None => ("exit code", 0),
                };
                cli.info(format_args!(
                    "PERMANENT FAILURE triggered after {limit} events involving {what} {number} in the last {seconds} seconds"
                ));
                return Ok(FAILED_FOR_GOOD);
            }
            Ok(_) => {}
            Err(e) => cli.warn(format_args!("unable to read supervise/death_tally: {}", Reason(e))),
        }
        Ok(cli.exec(words.skip(3)))
    })
}

fn count(deaths: &Deaths, seconds: u32) -> Result<failure::Count> {
    if !tally::is_sound(Fd::CWD)? {
        return Err(Errno::INVAL);
    }
    failure::count(Fd::CWD, deaths, seconds, Stamp::now())
}
