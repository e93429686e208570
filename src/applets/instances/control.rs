//! `s6-instance-control [options] servicedir name...`: svc on instances, with its options and exit codes.

use super::enter;
use crate::applets::cli::{Cli, SYSTEM};
use crate::applets::services::svc;

/// What follows the name on a command line.
pub const USAGE: &str = "[-wu | -wU | -wd | -wD | -wr | -wR] [-T timeout] [-s signal] \
                         [-abqhkti12pcyrlPCKoduDUxOQ] servicedir name...";

/// The command.
pub fn run(cli: &Cli) -> i32 {
    svc::control(cli, 2, |words| enter(cli, words, SYSTEM))
}
