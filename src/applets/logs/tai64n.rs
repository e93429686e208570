//! `s6-tai64n`.

use crate::applets::cli::Cli;

pub const USAGE: &str = "";

/// Runs it.
pub fn run(cli: &Cli) -> i32 {
    let _ = cli;
    todo!()
}
