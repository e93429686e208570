//! `s6-log`.

use crate::applets::cli::Cli;

pub const USAGE: &str = "[-d notif] [-q | -v] [-b] [-p] [-l linelimit] [-t lastlinetimeout] [--] directive...";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    crate::logd::run(cli)
}
