//! `s6-tai64nlocal`.

use crate::applets::cli::Cli;

pub const USAGE: &str = "[-g]";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    let _ = cli;
    todo!()
}
