//! `s6-log`.

use crate::applets::cli::Cli;

pub const USAGE: &str = "[-d notif] [-q | -v] [-b] [-p] [-l linelimit] [-t lastlinetimeout] [--] directive...";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    #[cfg(feature = "faults")]
    if let Some(plan) = cli.env().get(crate::sys::inject::VARIABLE) {
        crate::sys::inject::configure(plan.to_bytes(), 0);
    }
    crate::logd::run(cli)
}
