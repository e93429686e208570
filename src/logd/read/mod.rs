//! Reading logdirs and rings again, merged by time.

use crate::applets::cli::Cli;

/// Runs the command.
pub fn run(_cli: &Cli) -> i32 {
    todo!()
}
