//! `linchpin log [options] [service...]`: shows the logs of services, merged by time.
//!
//! A service is found by its running logger (the directories that this has open) and in /run/log and /var/log; a word with a
//! slash is a directory itself. Without one, all that there are are shown.
//!
//! * `-f`: goes on with what comes; begins with the last ten lines, if `-n` does not say otherwise.
//! * `-n COUNT`: the last so many lines (`all`: all).
//! * `--since TIME`, `--until TIME`: see [`crate::logd::read`].
//! * `--grep RE`: lines that match, behind their time.
//! * `-g`: times are UTC, given and shown. `-t`: TAI64N labels are shown. `--json`: an object a line.
//! * `-d DIR`: logdirs are in DIR, and nowhere else. `-s SCANDIR`: loggers run there.
//!
//! Times that a line does not tell itself are shown without a fraction: that of the line before it, else its file's.
//! Exit code: 0; 100 wrong usage, or a service has no logs; 111 something cannot be read.

use crate::applets::cli::Cli;

pub const USAGE: &str = "[-f] [-n count] [--since time] [--until time] [--grep regex] [-g] [-t | --json] [-d directory] \
                         [-s scandir] [service...]";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    crate::logd::read::run(cli)
}
