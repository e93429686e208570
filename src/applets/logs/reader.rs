//! `linchpin log`.

use crate::applets::cli::Cli;

pub const USAGE: &str = "[-f] [service...]";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    crate::logd::read::run(cli)
}
