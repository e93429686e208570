//! `s6-permafailon secs deathcount events prog...`: ends a service for good that dies too often. For `finish`, in the
//! service directory.
//!
//! If the service has died `deathcount` times in the last `secs` seconds of one of `events` (see
//! [`crate::service::causes`]), exits 125, which as the exit code of `finish` tells the supervisor not to start it
//! again. Else goes on as prog; no prog: exits 0. A tally that cannot be read has no deaths.

use crate::applets::cli::{Cli, WrongUsage};
use crate::limits::DEATH_TALLY;
use crate::service::causes::{Causes, Invalid};
use crate::service::tally::{self, Record};
use crate::sys::Fd;
use crate::sys::time::SECOND;
use crate::text::errno::Reason;
use crate::text::number::parse_u32;
use crate::text::quote::Printable;
use crate::text::tai::Stamp;

/// What follows the name on a command line.
pub const USAGE: &str = "secs deathcount events prog...";

/// The exit code of `finish` that makes a failure permanent.
const PERMANENT: i32 = 125;

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut options = cli.options();
        if options.option()?.is_some() {
            return Err(WrongUsage);
        }
        let words = options.operands(3)?;
        let number = |i| words.get(i).and_then(|word| parse_u32(word.to_bytes())).ok_or(WrongUsage);
        let (seconds, count) = (number(0)?, number(1)?);
        if count == 0 {
            return Err(WrongUsage);
        }
        let causes = match Causes::parse(words.get(2).unwrap_or_default().to_bytes()) {
            Ok(causes) => causes,
            Err(Invalid(item)) => {
                return Ok(cli.refuse(format_args!("neither exit code nor signal: {}", Printable(item))));
            }
        };
        let deaths = deaths(cli, seconds, &causes);
        if deaths >= count {
            cli.info(format_args!("permanent failure: {deaths} such deaths in the last {seconds} seconds"));
            return Ok(PERMANENT);
        }
        Ok(cli.exec(words.skip(3)))
    })
}

/// Deaths of these causes that are younger than that.
fn deaths(cli: &Cli, seconds: u32, causes: &Causes) -> u32 {
    let (now, age) = (Stamp::now(), u64::from(seconds) * SECOND);
    let mut deaths = 0u32;
    let mut see = |death: &Record| {
        if death.stamp.plus(age) > now && causes.include(death) {
            deaths = deaths.saturating_add(1);
        }
    };
    let sound = tally::is_sound(Fd::CWD);
    match sound.and_then(|sound| tally::visit(Fd::CWD, DEATH_TALLY as u32, &mut see).map(|()| sound)) {
        Ok(true) => {}
        Ok(false) => cli.warn("supervise/death_tally is missing or damaged"),
        Err(e) => cli.warn(format_args!("unable to read supervise/death_tally: {}", Reason(e))),
    }
    deaths
}
