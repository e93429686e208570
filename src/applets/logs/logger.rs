//! `s6-log [-d notif] [-q | -v] [-b] [-p] [-l linelimit] [-t lastlinetimeout] [--] directive...`: see [`logd`].
//!
//! `-d`: writes a newline to that descriptor when everything is open, and closes it. `-q`, `-v`: says less, more. `-b`:
//! reads nothing while anything waits to be written. `-p`: SIGTERM does nothing. `-l`: lines of more bytes are split; 48
//! at least, 0 is as many as there can be. `-t`: how many milliseconds it waits for the rest of a line when it is told to
//! end; 0 is for ever.

use crate::applets::cli::{Cli, Opt, WrongUsage};
use crate::limits::{LOG_LINE_LEAST, LOG_LINE_MAX};
use crate::logd::{self, Settings};
use crate::sys::Fd;
use crate::sys::time::{MILLI, Nanos};

/// What follows the name on a command line.
pub const USAGE: &str =
    "[ -d notif ] [ -q | -v ] [ -b ] [ -p ] [ -l linelimit ] [ -t lastlinetimeout ] [ -- ] directive...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    #[cfg(feature = "faults")]
    if let Some(plan) = cli.env().get(crate::sys::inject::VARIABLE) {
        crate::sys::inject::configure(plan.to_bytes(), 0);
    }
    cli.with_usage(|| {
        let mut settings = Settings::DEFAULT;
        let mut options = cli.options();
        while let Some(option) = options.option()? {
            match option {
                Opt::Short(b'q') => settings.verbosity = settings.verbosity.saturating_sub(1),
                Opt::Short(b'v') => settings.verbosity = settings.verbosity.saturating_add(1),
                Opt::Short(b'b') => settings.waits = true,
                Opt::Short(b'p') => settings.is_protected = true,
                Opt::Short(b'l') => settings.limit = options.number()? as usize,
                Opt::Short(b't') => settings.patience = Nanos::from(options.number()?) * MILLI,
                Opt::Short(b'd') => {
                    let number = options.number()?;
                    settings.notification = i32::try_from(number).map_or(Fd::NONE, Fd);
                    if number < 3 {
                        return Ok(cli.refuse("notification fd must be 3 or more"));
                    }
                    if !settings.notification.is_open() {
                        return Ok(cli.refuse("invalid notification fd: Bad file descriptor"));
                    }
                }
                _ => return Err(WrongUsage),
            }
        }
        let words = options.operands(1)?;
        settings.limit = match settings.limit {
            0 => LOG_LINE_MAX,
            limit => limit.clamp(LOG_LINE_LEAST, LOG_LINE_MAX),
        };
        Ok(logd::run(cli, settings, words))
    })
}
