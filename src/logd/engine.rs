//! The logger's loop.

use crate::applets::cli::Cli;

/// Runs the command.
pub fn run(_cli: &Cli) -> i32 {
    todo!()
}
