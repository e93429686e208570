//! `s6-ftrig-notify fifodir message`: sends the bytes of message, each an event, to all listeners of a fifodir, in one
//! piece. That nobody listens, or that a listener's FIFO is full, is no error.

use super::cleanfifodir::sweep;
use crate::applets::cli::Cli;
use crate::service::event;
use crate::sys::Fd;

/// What follows the name on a command line.
pub const USAGE: &str = "fifodir message";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    sweep(cli, 2, "notify", |path, message| event::notify(Fd::CWD, path, message))
}
