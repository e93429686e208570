//! `ucspilogd`.

use crate::applets::cli::Cli;

pub const USAGE: &str = "[-D defaultvalue] [var...]";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    let _ = cli;
    todo!()
}
