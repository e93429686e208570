//! `s6-tai64nlocal [-g]`: shows the time stamps in front of lines as dates and times of the day, in local time, or in UTC (`-g`).
//!
//! A line that does not begin with a stamp (`@` and 24 hex digits, of a time since 1970), or is nothing but that, is passed
//! on as it is; so is what follows a stamp. Local time is that of the TZ variable, see tzset(3), or of /etc/localtime. 111:
//! something cannot be read or written.

use super::filter::{Filter, Output, Part};
use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::logd::stamp::{Dates, decimals};
use crate::text::tai::Stamp;

/// What follows the name on a command line.
pub const USAGE: &str = "[ -g ]";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    cli.with_usage(|| {
        let mut dates = None;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'g') | Opt::Long(b"utc") => dates = Some(Dates::utc()),
                _ => return Err(WrongUsage),
            }
        }
        let mut dates = dates.unwrap_or_else(|| Dates::of_machine(Some(cli.env())));
        if let Some(trouble) = dates.trouble() {
            cli.warn(trouble);
        }
        Ok(Filter::new(cli).map_or_else(|code| code, |filter| filter.run(&mut dates, |_| {}, change)))
    })
}

fn change(dates: &mut Dates, part: Part<'_>, output: &mut Output) {
    let stamp = Some(part.bytes).filter(|bytes| part.begins && bytes.len() > 25).and_then(Stamp::from_text);
    match stamp.and_then(|stamp| Some((dates.of(stamp)?, stamp.nano))) {
        Some((date, nano)) => {
            output.put(date);
            output.put(&decimals(nano));
            output.put(&part.bytes[25..]);
        }
        None => output.put(part.bytes),
    }
}
